"""`lab replay`: what our rule says to the rows of a ledger, beside what was done."""

import os
from decimal import Decimal
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from house import ROOT, House
from lab.cli import main
from lab.store import foreign_ledger
from lab.verdict.criterion import band_of
from lab.views.replay import WIDTH, judged, noise_of

PUBLISHED = ROOT / "tests" / "examples" / "ledger" / "wild" / "h100-mar8.tsv"
HEADER = "commit\tval_bpb\tmemory_gb\tstatus\tdescription\n"
NIGHT = f"""{HEADER}\
a1b2c3d	0.997900	44.0	keep	baseline
b2c3d4e	0.993200	44.2	keep	increase LR to 0.04
c3d4e5f	1.005000	44.0	discard	switch to GeLU activation
d4e5f6g	0.000000	0.0	crash	double model width (OOM)
-	0.9927	44.2	KEEP	within the noise
f607182	0.991700	60.2	keep	much memory, and a description that is longer than a line of a terminal
0718293	0.989700	44.2	discard	a win that was missed
"""


def replay(path: Path, *options: str) -> Result:
    return CliRunner().invoke(main, ["replay", str(path), *options])


def lines(path: Path, *options: str) -> list[str]:
    result = replay(path, *options)
    assert (result.exit_code, result.stderr) == (0, ""), result.output
    return result.stdout.splitlines()


@pytest.fixture
def night(tmp_path: Path) -> Path:
    path = tmp_path / "night.tsv"
    path.write_text(NIGHT)
    return path


def ledger(folder: Path, *rows: str) -> Path:
    """Of rows `val_bpb status`, the memory being 44.0 but for a third word."""
    path = folder / "made-up.tsv"
    cells = [[*row.split(), "44.0"][:3] for row in rows]
    text = [f"{n:07d}\t{value}\t{gb}\t{word}\tidea {n}\n" for n, (value, word, gb) in enumerate(cells, start=1)]
    path.write_text(HEADER + "".join(text))
    return path


# --- The text -------------------------------------------------------------------------------------------------------


def test_whole(night: Path) -> None:
    assert lines(night) == [
        "   # commit  ledger     ours          gain     band rule       description",
        "   1 a1b2c3d keep       keep                        baseline   baseline",
        "   2 b2c3d4e keep       keep     +0.004700 0.001000 gain       increase LR to 0.04",
        "   3 c3d4e5f discard    discard  -0.011800 0.001000 worse      switch to GeLU activation",
        "   4 d4e5f6g crash      crash                       crash      double model width (OOM)",
        "   5 row0005 keep    != discard  +0.000500 0.001000 no-gain    within the noise",
        "   6 f607182 keep    != discard  +0.001000 0.001000 memory     much memory, and a description that…",
        "   7 0718293 discard != keep     +0.002000 0.001000 gain       a win that was missed",
        "",
        "ledger    7: 4 keep, 2 discard, 1 crash",
        "ours      7: 3 keep, 3 discard, 1 crash; rows that differ: 3",
        "wins      3 keeps after the baseline; below the band of 0.001000: 1",
        "claimed   0.006200, from 0.997900 to 0.991700",
        "left      0.004700 in the recorded keeps that our rule keeps: 0.001500 (24 %) less",
    ]


def test_our_own_chain(night: Path) -> None:
    """The gains are over our last keep; what was claimed stays what was claimed."""
    assert lines(night, "--own")[5:] == [
        "   5 row0005 keep    != discard  +0.000500 0.001000 no-gain    within the noise",
        "   6 f607182 keep    != discard  +0.001500 0.001000 memory     much memory, and a description that…",
        "   7 0718293 discard != keep     +0.003500 0.001000 gain       a win that was missed",
        "",
        "ledger    7: 4 keep, 2 discard, 1 crash",
        "ours      7: 3 keep, 3 discard, 1 crash; rows that differ: 3",
        "wins      3 keeps after the baseline; below the band of 0.001000: 1",
        "claimed   0.006200, from 0.997900 to 0.991700",
        "left      0.008200 in our own chain of keeps: 0.002000 (32 %) more",
    ]


@pytest.mark.parametrize("options", [[], ["--own"], ["--sd", "0.03"], ["--sd", "0.0007", "--df", "2", "--own"]])
def test_no_line_is_wider_than_a_terminal(night: Path, options: list[str]) -> None:
    for path in (night, PUBLISHED):
        assert max(map(len, lines(path, *options))) <= WIDTH


# --- The published ledger -------------------------------------------------------------------------------------------

DONE = "ledger    126: 23 keep, 102 discard, 1 crash"
CLAIMED = "claimed   0.028214, from 0.997900 to 0.969686"


@pytest.mark.parametrize(
    ("options", "ours", "wins", "left"),
    [
        (
            [],
            "ours      126: 6 keep, 119 discard, 1 crash; rows that differ: 17",
            "wins      22 keeps after the baseline; below the band of 0.001000: 17",
            "left      0.021587 in the recorded keeps that our rule keeps: 0.006627 (23 %) less",
        ),
        (
            ["--own"],
            "ours      126: 11 keep, 114 discard, 1 crash; rows that differ: 12",
            "wins      22 keeps after the baseline; below the band of 0.001000: 17",
            "left      0.027948 in our own chain of keeps: 0.000266 (1 %) less",
        ),
        (
            ["--sd", "0.0007"],
            "ours      126: 4 keep, 121 discard, 1 crash; rows that differ: 19",
            "wins      22 keeps after the baseline; below the band of 0.001941: 19, below one sd of 0.000700: 14",
            "left      0.019387 in the recorded keeps that our rule keeps: 0.008827 (31 %) less",
        ),
        (
            ["--sd", "0.0007", "--own"],
            "ours      126: 7 keep, 118 discard, 1 crash; rows that differ: 16",
            "wins      22 keeps after the baseline; below the band of 0.001941: 19, below one sd of 0.000700: 14",
            "left      0.026842 in our own chain of keeps: 0.001372 (5 %) less",
        ),
    ],
)
def test_the_published_night(options: list[str], ours: str, wins: str, left: str) -> None:
    """Counted by hand too: 14 of its 22 wins are smaller than what another seed does on that machine."""
    assert lines(PUBLISHED, *options)[-5:] == [DONE, ours, wins, CLAIMED, left]


def test_its_rows_are_all_there() -> None:
    text = lines(PUBLISHED, "--sd", "0.0007")
    assert len(text) == 1 + 126 + 1 + 5
    assert (
        text[2]
        == "   2 bea057b keep       keep     +0.011859 0.001941 large-gain halve batch 524K to 262K (more steps…"
    )
    assert sum(" != " in line for line in text[1:127]) == 19


# --- Incumbents and noise -------------------------------------------------------------------------------------------


def test_incumbents_are_as_recorded_or_our_own(tmp_path: Path) -> None:
    """Three gains, each within the noise: recorded, none is a win; in our own chain the third adds up to one."""
    path = ledger(tmp_path, "1.0000 keep", "0.9995 keep", "0.9991 keep", "0.9989 keep")
    rows = foreign_ledger.read(path).rows
    assert [str(line.gain) for line in judged(rows, None, own=False)] == ["None", "0.000500", "0.000400", "0.000200"]
    assert [line.verdict for line in judged(rows, None, own=False)] == ["keep", "discard", "discard", "discard"]
    assert [str(line.gain) for line in judged(rows, None, own=True)] == ["None", "0.000500", "0.000900", "0.001100"]
    assert [line.verdict for line in judged(rows, None, own=True)] == ["keep", "discard", "discard", "keep"]


def test_an_sd_alone_is_known() -> None:
    """1.96 x 0.0007 x sqrt 2: the normal quantile, for Student's t has no other with so many degrees of freedom."""
    assert float(band_of(noise_of(Decimal("0.0007"), None))) == pytest.approx(1.959964 * 0.0007 * 2**0.5, rel=2e-4)
    assert float(band_of(noise_of(Decimal("0.0007"), 2))) == pytest.approx(4.302653 * 0.0007 * 2**0.5, rel=1e-6)
    assert noise_of(None, None) is None


def test_a_gain_of_exactly_one_sd_is_not_below_it(tmp_path: Path) -> None:
    path = ledger(tmp_path, "0.9979 keep", "0.9972 keep", "0.9966 keep")
    assert "below one sd of 0.000700: 1" in lines(path, "--sd", "0.0007")[-3]


# --- Odd ledgers ----------------------------------------------------------------------------------------------------

NOTHING = "claimed   nothing: no row has a val_bpb"
NO_WIN = "claimed   nothing: no keep after the baseline"


@pytest.mark.parametrize("own", [[], ["--own"]])
@pytest.mark.parametrize(
    ("rows", "done", "ours", "last"),
    [
        ([], "0: 0 keep, 0 discard, 0 crash", "0: 0 keep, 0 discard, 0 crash", NOTHING),
        (["- crash", "- crash"], "2: 0 keep, 0 discard, 2 crash", "2: 0 keep, 0 discard, 2 crash", NOTHING),
        (["0.9979 keep"], "1: 1 keep, 0 discard, 0 crash", "1: 1 keep, 0 discard, 0 crash", NO_WIN),
        # no keep at all: the first row with a value is what the others are compared with
        (
            ["0.9979 discard", "0.9990 discard"],
            "2: 0 keep, 2 discard, 0 crash",
            "2: 1 keep, 1 discard, 0 crash",
            NO_WIN,
        ),
        # a crash before the baseline
        (["- crash", "0.9979 keep"], "2: 1 keep, 0 discard, 1 crash", "2: 1 keep, 0 discard, 1 crash", NO_WIN),
        # a value that can be none
        (
            ["0.9979 keep", "25.000000 discard"],
            "2: 1 keep, 1 discard, 0 crash",
            "2: 1 keep, 0 discard, 1 crash",
            NO_WIN,
        ),
    ],
)
def test_odd_ledgers(tmp_path: Path, rows: list[str], done: str, ours: str, last: str, own: list[str]) -> None:
    summary = lines(ledger(tmp_path, *rows), *own)[-3:]
    assert summary[0] == f"ledger    {done}"
    assert summary[1].startswith(f"ours      {ours}; ")
    assert summary[2] == last


def test_keeps_that_lose_claim_nothing(tmp_path: Path) -> None:
    assert lines(ledger(tmp_path, "0.9979 keep", "0.9980 keep"))[-2:] == [
        "claimed   -0.000100, from 0.997900 to 0.998000",
        "left      0.000000 in the recorded keeps that our rule keeps: 0.000100 more",
    ]


def test_rows_that_were_left_out_are_told(tmp_path: Path) -> None:
    text = lines(ledger(tmp_path, "0.9979 keep", "NaN keep", "0.9 maybe"))
    assert text[-1] == "left out  2 unreadable rows (to list them: lab validate --import)"


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["--df", "2"], "lab: --df needs --sd"),
        (["--sd", "-0.0007"], "lab: --sd '-0.0007' is below 0"),
    ],
)
def test_faults_of_usage(night: Path, options: list[str], problem: str) -> None:
    result = replay(night, *options)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.splitlines()[0] == problem
    assert result.stderr.splitlines()[1].startswith("hint: ")


@pytest.mark.parametrize("options", [["--sd", "nan"], ["--sd", "text"], ["--sd", "0.0007", "--df", "0"], ["--bogus"]])
def test_what_cannot_be_an_option(night: Path, options: list[str]) -> None:
    assert replay(night, *options).exit_code == 2


def test_a_ledger_that_is_not_there(tmp_path: Path) -> None:
    result = replay(tmp_path / "missing.tsv")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"lab: no such file or directory: '{tmp_path / 'missing.tsv'}'\nhint: ")


def test_by_make(house: House) -> None:
    """The variables of the command line reach it; without any, it is the run's own ledger with the fixed thresholds."""
    path = os.path.relpath(PUBLISHED, house.tree)
    made = house.call("make", "replay", f"LEDGER={path}", "SD=0.0007", "OWN=1")
    assert made.status == 0
    assert made.out.splitlines() == lines(PUBLISHED, "--sd", "0.0007", "--own")
    (house.tree / "results.tsv").write_text(NIGHT)
    assert house.call("make", "replay").out.splitlines()[-1].startswith("left      0.004700 ")
