"""`lab validate --import`: each file of examples/ledger/wild is a test; what is told of it stands in `expected`."""

import random
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from house import ROOT, House
from lab.cli import main
from lab.store import foreign_ledger, ledger

EXAMPLES = ROOT / "tests" / "examples" / "ledger"
WILD = sorted((EXAMPLES / "wild").glob("*.tsv"))
VALID = sorted((EXAMPLES / "valid").glob("*.tsv"))
ANY = [*WILD, *VALID, *sorted((EXAMPLES / "invalid").glob("*.tsv"))]
EXPECTED = (EXAMPLES / "wild" / "expected").read_text().split("\n")
LEFT_OUT = {line.split(":")[0] for line in EXPECTED if line.endswith(": the row is left out")}


def name(path: Path) -> str:
    return f"{path.parent.name}/{path.stem}"


def validate(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["validate", *map(str, arguments)])


def test_examples_are_found() -> None:
    assert len(WILD) >= 35
    assert {path.stem for path in WILD} == {path.stem for path in (EXAMPLES / "wild").glob("*.mended")}
    assert {path.stem for path in WILD} == {line.split(":")[0] for line in EXPECTED if line}
    assert sorted(LEFT_OUT) == [
        *("header-metric-of-a-name", "header-other-metric", "keep-without-a-number", "markdown", "status-planned"),
        *("status-unknown", "torn-in-a-row", "values-of-another-metric"),
    ]


@pytest.mark.parametrize("path", WILD, ids=name)
def test_wild(path: Path, tmp_path: Path) -> None:
    """`NAME:LINE: column: what` is all that is told, and the mended ledger is the one beside the file."""
    before = path.read_bytes()
    result = validate("--import", path, "--out", tmp_path / "mended.tsv")
    said = [line.removeprefix(f"{path.parent}/").replace(".tsv:", ":", 1) for line in result.stdout.split("\n")[:-1]]
    assert said == [line for line in EXPECTED if line.startswith(f"{path.stem}:")]
    assert (tmp_path / "mended.tsv").read_text() == path.with_suffix(".mended").read_text()
    assert (result.exit_code, result.stderr) == (int(path.stem in LEFT_OUT), "")
    assert path.read_bytes() == before


@pytest.mark.parametrize("path", VALID, ids=name)
def test_a_valid_ledger_stays_as_it_is(path: Path, tmp_path: Path) -> None:
    result = validate("--import", path, "--out", tmp_path / "mended.tsv")
    assert (result.exit_code, result.output) == (0, "")
    assert (tmp_path / "mended.tsv").read_bytes() == path.read_bytes()


def test_every_wild_ledger_breaks_the_strict_rules() -> None:
    assert [name(path) for path in WILD if not ledger.problems(path)] == []


def check_mended(data: bytes, folder: Path) -> None:
    """What `data` is mended to is valid, and stays as it is when it is read again."""
    (folder / "wild.tsv").write_bytes(data)
    text = foreign_ledger.read(folder / "wild.tsv").text()
    (folder / "mended.tsv").write_text(text)
    assert ledger.problems(folder / "mended.tsv") == []
    again = foreign_ledger.read(folder / "mended.tsv")
    assert (again.said, again.text()) == ([], text)


@pytest.mark.parametrize("path", ANY, ids=name)
def test_the_mended_ledger_is_valid(path: Path, tmp_path: Path) -> None:
    check_mended(path.read_bytes(), tmp_path)


@pytest.mark.parametrize("seed", range(40))
def test_whatever_is_read_the_mended_ledger_is_valid(seed: int, tmp_path: Path) -> None:
    """Pieces of all examples, shuffled, with some bytes struck by chance."""
    chance = random.Random(seed)
    pieces = [line for path in ANY for line in path.read_bytes().split(b"\n")]
    data = bytearray(b"\n".join(chance.sample(pieces, 30)))
    for _ in range(seed):
        data[chance.randrange(len(data))] = chance.choice(b"\t\n\r |-.0159ae\x00\xff")
    check_mended(bytes(data), tmp_path)


def test_numbers_are_never_binary_floats(tmp_path: Path) -> None:
    """As binary floats, 0.0000015 and 2.675 fall on the wrong side of a half, and long numbers lose digits."""
    values = {
        "0.9999995": "1.000000",
        "0.0000015": "0.000002",
        "2.6750005": "2.675001",
        "1.00000049999999999": "1.000000",
    }
    rows = [f"{n:07d}\t{value}\t44.0\tkeep\tidea" for n, value in enumerate(values)]
    (tmp_path / "wild.tsv").write_text("\n".join([ledger.HEADER, *rows, ""]))
    assert [row.val_bpb for row in foreign_ledger.read(tmp_path / "wild.tsv").rows] == list(values.values())


def test_stand_ins() -> None:
    assert foreign_ledger.unused("a1b2c3d", {"b2c3d4e"}, 12) == "a1b2c3d"
    assert foreign_ledger.unused("a1b2c3d", {"a1b2c3d"}, 12) == "row0012"
    assert foreign_ledger.unused("", {"row0012", "row0013"}, 12) == "row0014"
    assert foreign_ledger.unused("", {"row9999"}, 9999) == "ow10000"


@pytest.mark.parametrize(
    "name",
    ["val_loss", "val_rmse", "metric", "score", "accuracy", "train_bpb", "best_val_bpb", "bpb_gain", "val_bpb_sd"],
)
def test_another_metric_is_never_read_as_a_val_bpb(name: str, tmp_path: Path) -> None:
    (tmp_path / "wild.tsv").write_text(f"commit\t{name}\tstatus\tdescription\na1b2c3d\t0.9979\tkeep\tbaseline\n")
    found = foreign_ledger.read(tmp_path / "wild.tsv")
    assert (found.rows, found.left_out) == ([], 1)


@pytest.mark.parametrize("name", ["bpb", "Val BPB", "val-bpb ↓", "valBpb", "final_val_bpb", "validation bits per byte"])
def test_a_val_bpb_has_many_names(name: str, tmp_path: Path) -> None:
    (tmp_path / "wild.tsv").write_text(f"exp\tbest_val_bpb\t{name}\tstatus\tnotes\ne1\t0.9\t0.9979\tkeep\tx\n")
    assert [row.val_bpb for row in foreign_ledger.read(tmp_path / "wild.tsv").rows] == ["0.997900"]


# --- Faults ---------------------------------------------------------------------------------------------------------


def test_no_file_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "night.tsv").write_text("a night\n")
    result = validate("--import", WILD[0], "--out", tmp_path / "night.tsv")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"lab: '{tmp_path / 'night.tsv'}' exists\nhint: ")
    assert (tmp_path / "night.tsv").read_text() == "a night\n"


def test_only_a_mended_ledger_is_written(tmp_path: Path) -> None:
    result = validate(VALID[0], "--out", tmp_path / "mended.tsv")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("lab: --out needs --import\nhint: ")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("file", ["missing.tsv", "."])
def test_unreadable(tmp_path: Path, file: str) -> None:
    result = validate("--import", tmp_path / file, "--out", tmp_path / "mended.tsv")
    assert (result.exit_code, result.stdout) == (2, "")
    problem, hint = result.stderr.splitlines()
    assert problem.startswith("lab: ")
    assert problem.endswith(f": '{tmp_path / file}'")
    assert hint.startswith("hint: ")
    assert list(tmp_path.iterdir()) == []


def test_the_verb(house: House) -> None:
    (house.tree / "wild.tsv").write_text("-\t0.9979\t44\tKEEP\tbaseline\nb2c3d4e\tNaN\t44.2\tkeep\tLR\n")
    result = house.call("bin/validate", "--import", "wild.tsv", "--out", "mended.tsv")
    assert (result.status, result.err) == (1, "")
    assert result.out.splitlines()[-1].startswith("wild.tsv:2: val_bpb: 'NaN' ")
    assert house.call("bin/validate", "mended.tsv").status == 0
    assert (house.tree / "mended.tsv").read_text() == f"{ledger.HEADER}\nrow0001\t0.997900\t44.0\tkeep\tbaseline\n"
