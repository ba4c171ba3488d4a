"""What a training run has changed beside its own files is as it was before, byte for byte."""

from pathlib import Path

import pytest
from lab.runs.tampering import LOOKED, look_after, look_before

BEFORE = {"results.tsv": b"commit\n", "flight/before.py": b"X = 1  # \xff\xc3\xa9\r\n", "flight/parent": b"a1\n"}


@pytest.mark.parametrize("deed", [b"another", b"", None], ids=["written", "emptied", "removed"])
def test_records_and_facts_are_put_back(tmp_path: Path, deed: bytes | None) -> None:
    """And what is new among them is taken away."""
    run = tmp_path / "runs/mar14"
    (run / "flight").mkdir(parents=True)
    for name, content in BEFORE.items():
        (run / name).write_bytes(content)
    (run / LOOKED).write_text(look_before(run))
    for name in BEFORE:
        (run / name).unlink() if deed is None else (run / name).write_bytes(deed)
    (run / "flight/verdict").write_text("keep\n")
    told = look_after(run).split("\0")
    assert {one for one in told if one.startswith("record ")} == {
        f"record {name}" for name in (*BEFORE, "flight/verdict")
    }
    assert {name: (run / name).read_bytes() for name in BEFORE} == BEFORE
    assert not (run / "flight/verdict").exists()
