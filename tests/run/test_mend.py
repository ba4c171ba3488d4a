"""`make mend`, and what is told of records that somebody has edited or deleted."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from house import House, shared
from lab.views.report import gather, label_positions

STEPS = (("1.0", "0.9", "better"), ("0.9", "0.95", "worse"))


@pytest.fixture(scope="session")
def done(settled: House, tmp_path_factory: pytest.TempPathFactory) -> House:
    return shared(tmp_path_factory, "three", lambda folder: with_two_more(settled.copy(folder)))


def with_two_more(house: House) -> House:
    better, worse = (f"sed -i 's/{old}/{new}/' train.py; echo {word}" for old, new, word in STEPS)
    assert house.loop(2, house.in_turn(better, worse)).status == 0
    assert house.statuses() == ["keep", "keep", "discard"]
    return house


@pytest.fixture
def three(done: House, tmp_path: Path) -> House:
    """A run with a baseline, a keep and a discard."""
    return done.copy(tmp_path)


def table(house: House) -> str:
    return (house.run_folder / "results.tsv").read_text()


def edit(house: House, old: str, new: str) -> None:
    path = house.run_folder / "results.tsv"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))


ORDERS = ((1, 2), (2, 1))  # lines of the ledger, as a spreadsheet sorts them
EDITS: dict[str, Callable[[House], None]] = {
    "a verdict": lambda house: edit(house, "discard", "keep"),
    "a value and a description": lambda house: edit(
        house, "0.950000\t44.0\tdiscard\tworse", "0.850000\t44.0\tdiscard\tbest"
    ),
    "a commit": lambda house: edit(house, str(house.experiments()[2]["commit"])[:7], "a1b2c3d"),
    "the order": lambda house: edit(
        house, *("\n".join(table(house).split("\n")[at] for at in order) for order in ORDERS)
    ),
    "a row less": lambda house: edit(house, "\n" + table(house).splitlines()[2], ""),
}


@pytest.mark.first_case
@pytest.mark.parametrize("what", EDITS)
def test_an_edited_ledger_is_told_and_put_back(three: House, what: str) -> None:
    before = table(three)
    EDITS[what](three)
    edited = table(three)
    assert three.call("bin/validate").status == 1
    said = three.call("bin/status")
    assert "trouble   results.tsv differs from the record in 1 row; " in said.out
    assert "best      0.900000" in said.out
    if what not in ("a row less", "a commit"):
        assert "rows      1 kept of 2, 1 discarded" in said.out
    hint = next(line for line in said.out.splitlines() if line.startswith("hint")).split(maxsplit=1)[1]
    assert three.call("bash", "-c", hint).status == 0
    assert table(three) == before
    assert [path.read_text() for path in (three.run_folder / "aside").glob("*-results.tsv")] == [edited]
    assert three.call("bin/validate").status == 0
    assert "nothing to repair" in three.call("bin/mend").out
    three.check_invariants()


def test_an_edited_ledger_is_told_at_a_start_and_changes_no_verdict(three: House) -> None:
    edit(three, "discard", "keep")
    result = three.once(three.setting("0.89"))
    assert "results.tsv, line 4: status: 'keep' was recorded as 'discard'" in result.err
    assert three.experiments()[-1]["status"] == "keep"


def test_rows_by_hand_stay(three: House) -> None:
    by_hand = "a1b2c3d\t0.100000\t1.0\tkeep\tby hand"
    edit(three, "\n" + table(three).splitlines()[3], f"\n{by_hand}\n{table(three).splitlines()[3]}")
    before = table(three)
    assert three.call("bin/validate").status == 0, "nothing that was recorded is otherwise"
    assert "trouble" not in three.call("bin/status").out
    (three.run_folder / "results.tsv").write_text(before.replace("better", "best"))
    assert three.call("bin/mend").status == 0
    assert table(three) == before


GONE: dict[str, tuple[str, ...]] = {
    "results.tsv": ("runs/mar14/results.tsv",),
    "experiments.jsonl": ("runs/mar14/experiments.jsonl",),
    "both": ("runs/mar14/results.tsv", "runs/mar14/experiments.jsonl"),
    "all of the run": ("runs",),
}


@pytest.mark.first_case
@pytest.mark.parametrize("what", GONE)
def test_what_was_deleted_is_made_again(three: House, what: str) -> None:
    before, objects = table(three), three.experiments()
    for name in GONE[what]:
        path = three.tree / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert three.call("bin/loop", MAX_EXPERIMENTS="1").status == 2, "it never begins a second baseline"
    report = three.call("bin/report" if what in ("results.tsv", "both") else "bin/loop", MAX_EXPERIMENTS="1")
    assert report.status == 2
    assert "there is no run" not in report.err
    assert "Errno" not in report.err
    hint = report.err.splitlines()[-1].removeprefix("hint: ").split(": ")[-1]
    assert hint == "make mend TAG=mar14"
    assert three.call("bash", "-c", hint).status == 0
    assert (table(three), three.experiments()) == (before, objects)
    assert json.loads((three.run_folder / "manifest.json").read_text())["tag"] == "mar14"
    assert three.loop(1, three.setting("0.8")).status == 0
    assert [one["n"] for one in three.experiments()] == [1, 2, 3, 4]
    three.check_invariants()


def test_an_edited_experiment_is_put_back_from_git(three: House) -> None:
    path = three.run_folder / "experiments.jsonl"
    before = path.read_text()
    path.write_text(before.replace('"val_bpb": 0.9,', '"val_bpb": 0.1,'))
    assert path.read_text() != before
    assert three.call("bin/mend").status == 0
    assert path.read_text() == before


def test_without_anything_it_says_so(run: House) -> None:
    run.git("update-ref", "-d", "refs/experiments/_records/mar14")
    shutil.rmtree(run.tree / "runs")
    result = run.call("bin/mend")
    assert result.status == 2
    assert result.err.startswith("mend: cannot restore run 'mar14'")


def test_a_loop_at_work_is_not_disturbed(slow: House) -> None:
    with slow.running("bin/loop", AGENT=str(slow.setting("0.9"))):
        slow.wait_for("runs/mar14/flights/*/run.1/pid")
        assert slow.call("bin/mend").status == 75


# --- A last row without a newline, and a torn one ---


def test_a_whole_last_row_without_a_newline_is_no_torn_one(three: House) -> None:
    path = three.run_folder / "results.tsv"
    before = path.read_text()
    path.write_text(before.removesuffix("\n"))
    assert "rows      1 kept of 2" in three.call("bin/status").out
    assert three.loop(1, three.setting("0.8")).status == 0
    assert path.read_text().startswith(before)
    assert [one["n"] for one in three.experiments()] == [1, 2, 3, 4]
    three.check_invariants()


@pytest.mark.parametrize(("name", "cut"), [("results.tsv", 2), ("experiments.jsonl", 1), ("experiments.jsonl", 12)])
def test_a_torn_last_row_is_made_again(three: House, name: str, cut: int) -> None:
    """Of the description a letter less, the row looks whole; the experiment's line is not, or lies in git."""
    before, objects = table(three), three.experiments()
    path = three.run_folder / name
    path.write_text(path.read_text()[:-cut])
    result = three.call("bin/mend")
    assert result.status == 0
    assert (table(three), three.experiments()) == (before, objects)


@pytest.mark.parametrize("cut", [2, 12])
def test_a_torn_last_row_is_made_again_by_a_loop(three: House, cut: int) -> None:
    before = table(three)
    (three.run_folder / "results.tsv").write_text(before[:-cut])
    assert three.loop(1, three.setting("0.8")).status == 0
    assert table(three).startswith(before)
    three.check_invariants()


def test_no_number_is_given_twice_whatever_becomes_of_the_rows(three: House) -> None:
    edit(three, "\n" + table(three).splitlines()[3], "")
    edit(three, "\n" + table(three).splitlines()[2], "")
    assert three.loop(1, three.setting("0.8")).status == 0
    assert [one["n"] for one in three.experiments()] == [1, 2, 3, 4]
    assert "#4" in three.call("bin/show", N="4").out


# --- What nobody measured ---


def test_no_headline_rests_on_a_row_that_nobody_measured(three: House) -> None:
    """Written by hand, or edited: it is shown as such, or as recorded."""
    with (three.run_folder / "results.tsv").open("a") as file:
        file.write("a1b2c3d\t0.100000\t1.0\tkeep\tby hand\n")
    edit(three, "discard", "keep")
    rows = gather.run_data(three.run_folder / "results.tsv")
    assert rows["counts"] == "3: 2 keep, 1 discard, 0 crash"
    assert [row.get("by_hand", False) for row in rows["rows"]] == [False, False, False, True]
    assert [label_positions.is_keep(row) for row in rows["rows"]] == [True, True, False, False]
    assert len(rows["notes"]) == 2
    assert three.call("bin/report").status == 0
    assert "best      0.900000" in three.call("bin/status").out


def test_validate_says_what_it_has_checked(based: House) -> None:
    result = based.call("bin/validate")
    assert (result.status, result.out) == (0, "")
    assert result.err.strip().endswith(
        "results.tsv: valid, rows: 1; each row matches experiments.jsonl or was written by hand"
    )
    table = based.outside / "found.tsv"
    table.write_text((based.run_folder / "results.tsv").read_text())
    assert (
        based.call("bin/validate", str(table))
        .err.strip()
        .endswith("found.tsv: valid, rows: 1; header, columns, numbers, verdicts and unique commits checked")
    )
