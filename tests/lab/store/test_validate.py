"""`lab validate`: each file of examples/ledger is a test; what the invalid ones are told stands in `expected`."""

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from house import ROOT
from lab.cli import main
from lab.store import ledger, schemas

EXAMPLES = ROOT / "tests" / "examples" / "ledger"
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


# --- What says the same without jsonschema --------------------------------------------------------------------------

ODD = (
    "",
    " ",
    "a",
    "0",
    ".",
    "-",
    "é",
    "\x07",
    "\x9f",
    "\u2028",
    "\ud800",
    "keep",
    "crash",
    "0.000000",
    "0.0",
    "1e3",
    "٣",
)


def rows_of(paths: list[Path]) -> list[list[str]]:
    """All that stands between tabs in these ledgers, torn or not UTF-8, five columns or not."""
    lines = [line for path in paths for line in path.read_bytes().decode(errors="surrogateescape").split("\n")]
    return [cells for line in lines if len(cells := line.split("\t")) == len(ledger.COLUMNS)]


def mutated(source: random.Random, cells: list[str]) -> list[str]:
    """One column is another's, an odd value, or has a character more or less."""
    at, found = source.randrange(len(cells)), list(cells)
    text, place = found[at], source.randrange(len(found[at]) + 1)
    found[at] = source.choice(
        [
            source.choice(cells),
            source.choice(ODD),
            text[:place] + source.choice(ODD) + text[place:],
            text[:place],
            text * 40,
        ]
    )
    return found


def verdicts(cells: list[str]) -> tuple[bool, bool]:
    """Of the quick way, and of jsonschema."""
    row = dict(zip(ledger.COLUMNS, cells, strict=True))
    return schemas.fits("row", row), not schemas.problems("row", row)


def test_the_quick_way_agrees_with_jsonschema() -> None:
    source = random.Random(14)
    rows = rows_of([*VALID, *INVALID, *sorted((EXAMPLES / "wild").glob("*.tsv"))])
    once = [mutated(source, source.choice(rows)) for _ in range(3000)]
    twice = [mutated(source, cells) for cells in once[:1500]]
    seen = []
    for cells in (*rows[:2000], *once, *twice):
        quick, whole = verdicts(cells)
        assert quick is whole, cells
        seen.append(quick)
    assert min(seen.count(True), seen.count(False)) > 500, "both kinds"


def test_valid_rows_need_no_jsonschema(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes 100 times as long; it is asked only for the sentence."""
    monkeypatch.setattr(schemas, "validator", lambda *_: pytest.fail("asked"))
    path = tmp_path / "results.tsv"
    path.write_text(PUBLISHED)
    assert ledger.problems(path) == []


def test_as_a_command(tmp_path: Path) -> None:
    """The installed `lab`, in a C locale and from elsewhere: the same words and the same exit status."""
    lab = Path(sys.executable).with_name("lab")
    (tmp_path / "bad.tsv").write_text(PUBLISHED.replace("baseline", "größer\x07"))
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "LC_ALL": "C"}
    done = subprocess.run([lab, "validate", "bad.tsv"], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 1, done.stderr
    assert done.stdout.startswith("bad.tsv:2: description: ")
    assert done.stderr == ""
