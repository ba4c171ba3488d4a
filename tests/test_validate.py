"""`lab validate`: each file of examples/ledger is a test; what the invalid ones are told stands in `expected`."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from lab.cli import main

EXAMPLES = Path(__file__).parent / "examples" / "ledger"
VALID = sorted((EXAMPLES / "valid").glob("*.tsv"))
INVALID = sorted((EXAMPLES / "invalid").glob("*.tsv"))
EXPECTED = (EXAMPLES / "invalid" / "expected").read_text().splitlines()
PUBLISHED = """\
commit	val_bpb	memory_gb	status	description
a1b2c3d	0.997900	44.0	keep	baseline
b2c3d4e	0.993200	44.2	keep	increase LR to 0.04
c3d4e5f	1.005000	44.0	discard	switch to GeLU activation
d4e5f6g	0.000000	0.0	crash	double model width (OOM)
"""


def validate(path: Path) -> Result:
    return CliRunner().invoke(main, ["validate", str(path)])


def test_examples_are_found() -> None:
    assert len(VALID) >= 5
    assert len(INVALID) >= 30
    assert {path.stem for path in INVALID} == {line.split(":")[0] for line in EXPECTED}


def test_the_published_example_is_among_them_as_published() -> None:
    assert (EXAMPLES / "valid" / "published.tsv").read_bytes() == PUBLISHED.encode()


@pytest.mark.parametrize("path", VALID, ids=lambda path: path.stem)
def test_valid(path: Path) -> None:
    result = validate(path)
    assert (result.exit_code, result.output) == (0, "")


@pytest.mark.parametrize("path", INVALID, ids=lambda path: path.stem)
def test_invalid(path: Path) -> None:
    """`NAME:LINE: column: part`: a line of the output, in this order, is `FILE:LINE: column: ...part...`."""
    result = validate(path)
    said = result.output.rstrip("\n").split("\n")
    expected = [line.removeprefix(f"{path.stem}:") for line in EXPECTED if line.startswith(f"{path.stem}:")]
    assert result.exit_code == 1, result.output
    assert len(said) == len(expected), result.output
    for line, wanted in zip(said, expected, strict=True):
        number, column, part = wanted.split(": ", 2)
        assert line.startswith(f"{path}:{number}: {column}: "), result.output
        assert part in line, result.output


@pytest.mark.parametrize("name", ["missing.tsv", "."])
def test_unreadable(tmp_path: Path, name: str) -> None:
    result = validate(tmp_path / name)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith("lab: ")
    assert str(tmp_path) in result.stderr


def test_a_large_ledger_is_checked_to_its_last_row(tmp_path: Path) -> None:
    header, *rows = PUBLISHED.splitlines()
    lines = [header, *(f"{number:07d}{rows[0][7:]}" for number in range(2000)), rows[3].replace("crash", "keep")]
    path = tmp_path / "results.tsv"
    path.write_text("\n".join(lines) + "\n")
    result = validate(path)
    assert result.exit_code == 1
    assert result.output.startswith(f"{path}:2002: val_bpb: ")


def test_as_a_command(tmp_path: Path) -> None:
    """The installed `lab`, in a C locale and from elsewhere: the same words and the same exit status."""
    lab = Path(sys.executable).with_name("lab")
    (tmp_path / "bad.tsv").write_text(PUBLISHED.replace("baseline", "größer\x07"))
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "LC_ALL": "C"}
    done = subprocess.run([lab, "validate", "bad.tsv"], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 1, done.stderr
    assert done.stdout.startswith("bad.tsv:2: description: ")
    assert done.stderr == ""
