"""`lab status`: where a run stands, in a few lines for a person."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from lab import ledger
from lab.cli import main

MANIFEST = {
    "tag": "mar14",
    "start": "0123456789" * 4,
    "created": "2026-03-14T09:26:53Z",
    "settings": {"PROFILE": "small", "TIME_BUDGET": "60"},
}
ROWS = [
    ("a1b2c3d", "0.997900", "44.0", "keep", "baseline"),
    ("b2c3d4e", "0.993200", "44.2", "keep", "increase LR to 0.04"),
    ("c3d4e5f", "1.005000", "44.0", "discard", "switch to GeLU activation"),
    ("d4e5f60", "0.000000", "0.0", "crash", "double model width (OOM)"),
]


def make_run(folder: Path, rows: list[tuple[str, ...]], *, foreign: tuple[str, ...] = ()) -> Path:
    """A run with these rows, each with its object unless it is foreign."""
    run = folder / "mar14"
    run.mkdir()
    (run / "manifest.json").write_text(json.dumps(MANIFEST))
    (run / "results.tsv").write_text("".join(f"{line}\n" for line in (ledger.HEADER, *map("\t".join, rows))))
    with (run / "experiments.jsonl").open("w") as file:
        for n, (commit, val_bpb, _, verdict, description) in enumerate(rows, start=1):
            value = None if verdict == "crash" else float(val_bpb)
            facts: dict[str, Any] = {"n": n, "commit": commit.ljust(40, "0"), "status": verdict, "val_bpb": value}
            facts |= {"rule": "baseline" if n == 1 else "gain", "runs": [{"seed": 42, "val_bpb": value}]}
            if commit not in foreign:
                file.write(json.dumps(facts | {"description": description}) + "\n")
    return run


def fly(run: Path, **facts: str) -> None:
    (run / "flight").mkdir()
    for name, text in facts.items():
        (run / "flight" / name).write_text(text)


def status(run: Path) -> list[str]:
    result = CliRunner().invoke(main, ["status", str(run)])
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    return result.stdout.splitlines()


def line(run: Path, name: str) -> str:
    return next(line for line in status(run) if line.startswith(name))


def test_whole(tmp_path: Path) -> None:
    assert status(make_run(tmp_path, ROWS)) == [
        "run       mar14, from 0123456, set up 2026-03-14T09:26:53Z",
        "profile   small, 60 s a run",
        "in flight nothing",
        "rows      4: 2 keep, 1 discard, 1 crash",
        "baseline  0.997900",
        "best      0.993200, #2 increase LR to 0.04 (gain +0.004700, 0.47 %)",
        "",
        "a1b2c3d  0.997900   44.0  keep     baseline",
        "b2c3d4e  0.993200   44.2  keep     increase LR to 0.04",
        "c3d4e5f  1.005000   44.0  discard  switch to GeLU activation",
        "d4e5f60  0.000000    0.0  crash    double model width (OOM)",
    ]


def test_just_set_up(tmp_path: Path) -> None:
    lines = status(make_run(tmp_path, []))
    assert "rows      0: 0 keep, 0 discard, 0 crash" in lines
    assert "no baseline yet" in lines[-1]


def test_the_last_rows_alone(tmp_path: Path) -> None:
    rows = [ROWS[0], *((f"{n:07d}", "1.005000", "44.0", "discard", f"idea {n}") for n in range(2, 300))]
    lines = status(make_run(tmp_path, rows))
    assert "rows      299: 1 keep, 298 discard, 0 crash" in lines
    assert "best      0.997900, #1 baseline (gain +0.000000, 0.00 %)" in lines
    assert len(lines) < 20
    assert lines[-1].endswith("idea 299")


def test_a_crash_is_never_the_best_nor_a_discard(tmp_path: Path) -> None:
    """0.000000 would win a naive minimum; a discard below the best is one that cost too much."""
    rows = [*ROWS, ("e5f6071", "0.900000", "44.0", "discard", "a hundred lines")]
    assert line(make_run(tmp_path, rows), "best").startswith("best      0.993200, #2 ")


def test_the_best_may_not_be_the_last_keep(tmp_path: Path) -> None:
    rows = [*ROWS, ("e5f6071", "0.993300", "44.0", "keep", "simpler")]
    assert line(make_run(tmp_path, rows), "best").startswith("best      0.993200, #2 ")


def test_a_row_without_an_object_is_foreign(tmp_path: Path) -> None:
    """Written by hand: shown as such, never deleted, and never the best."""
    run = make_run(tmp_path, [*ROWS, ("e5f6071", "0.500000", "44.0", "keep", "by hand")], foreign=("e5f6071",))
    before = (run / "results.tsv").read_bytes()
    lines = status(run)
    assert [line for line in lines if "foreign" in line] == [lines[-1]]
    assert lines[-1].startswith("e5f6071  0.500000 ")
    assert line(run, "best").startswith("best      0.993200, #2 ")
    assert (run / "results.tsv").read_bytes() == before


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"done": "attempt 1\n"}, ["no proposal yet", "just begun"]),
        ({"done": "attempt 1\n10-propose\n"}, ["no proposal yet", "10-propose"]),
        ({"done": "attempt 2\n10-propose\n20-commit\n", "description": "raise LR\n"}, ["raise LR", "20-commit"]),
        ({}, ["nothing"]),
    ],
)
def test_in_flight(tmp_path: Path, facts: dict[str, str], words: list[str]) -> None:
    run = make_run(tmp_path, ROWS)
    fly(run, **facts)
    for word in words:
        assert word in line(run, "in flight")


def test_a_torn_last_line_is_no_object(tmp_path: Path) -> None:
    run = make_run(tmp_path, ROWS)
    before = status(run)
    with (run / "experiments.jsonl").open("a") as file:
        file.write('{"n": 5, "comm')
    assert status(run) == before


def test_a_ledger_torn_while_it_is_written(tmp_path: Path) -> None:
    """A person may look in the very moment that a row is appended."""
    run = make_run(tmp_path, ROWS)
    before = status(run)
    with (run / "results.tsv").open("a") as file:
        file.write("e5f6071\t0.99")
    assert status(run) == before


@pytest.mark.parametrize("damage", ["no tabs\n", "\n", "e5f6071\t0.993200\t44.0\tkeep\n"])
def test_a_damaged_ledger_is_refused_in_a_line(tmp_path: Path, damage: str) -> None:
    run = make_run(tmp_path, ROWS)
    with (run / "results.tsv").open("a") as file:
        file.write(damage)
    result = CliRunner().invoke(main, ["status", str(run)])
    assert result.exit_code == 2
    assert result.stderr.startswith("lab: the ledger is damaged: ")
    assert "Traceback" not in result.stderr


def test_no_run(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing"):
        result = CliRunner().invoke(main, ["status", str(path)])
        assert result.exit_code == 2
        assert result.stdout == ""


def test_the_noise_is_told_once_it_is_known(tmp_path: Path) -> None:
    run = make_run(tmp_path, ROWS)
    assert not [line for line in status(run) if line.startswith("noise")]
    reruns = [{"commit": "b2c3d4e".ljust(40, "0"), "seed": seed, "val_bpb": 0.9932 + seed / 1000} for seed in (1, 2)]
    (run / "reruns.jsonl").write_text("".join(json.dumps(one) + "\n" for one in reruns))
    assert "noise     0.001000 is one standard deviation (2 degrees of freedom)" in status(run)
