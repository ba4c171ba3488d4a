"""bin/runs, bin/drop and bin/prune: every run of a tree, and the end of one."""

import json
import os
import pty
import subprocess
from pathlib import Path

import pytest
from house import House, shared
from nights import Night, dream


def two_nights(folder: Path) -> House:
    """One of long ago, one of today of which main has a keep; and a set-up."""
    house = House(folder)
    house.setup(TAG="today")
    house.git("checkout", "--quiet", "main")
    dream(house, Night(12), "old", train=(house.tree / "train.py").read_text())
    dream(house, Night(12, seed=1), "taken", train=(house.tree / "train.py").read_text())
    assert house.call("bin/take", TAG="taken").status == 0
    return house


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> House:
    return shared(tmp_path_factory, "two-nights", two_nights)


@pytest.fixture
def nights(made: House, tmp_path: Path) -> House:
    return made.copy(tmp_path)


def refs_of(house: House, tag: str) -> list[str]:
    names = house.git("for-each-ref", "--format=%(refname)").splitlines()
    return [name for name in names if f"/{tag}/" in f"{name}/"]


def test_every_run_has_its_line(nights: House) -> None:
    nights.git("branch", "autoresearch/bare")
    result = nights.call("bin/runs")
    assert (result.status, result.err) == (0, "")
    titles, *lines = result.out.splitlines()
    assert titles.split("  ")[0] == "run"
    assert [line.split()[0] for line in lines] == ["bare", "old", "taken", "today"]
    past = [json.loads(line) for line in (nights.tree / "runs/old/experiments.jsonl").read_text().splitlines()]
    kept = sum(one["status"] == "keep" for one in past) - 1
    of_old = lines[1].split()
    assert of_old[1:3] == ["11", str(kept)]
    assert f"{min(one['val_bpb'] for one in past if one['status'] == 'keep'):.6f}" in of_old
    assert "stopped" in of_old
    assert " of " in lines[2]
    assert " of " not in lines[1]
    assert lines[0].endswith("only the branch is left")
    assert lines[3].split()[1:3] == ["0", "0"]


def test_of_a_run_whose_folder_is_gone_it_says_how_it_comes_back(based: House) -> None:
    (based.tree / "runs/mar14").rename(based.outside / "gone")
    assert "only in git: make mend TAG=mar14" in based.call("bin/runs").out
    assert based.call("make", "mend", "TAG=mar14").status == 0
    assert based.call("bin/runs").out.splitlines()[1].split()[:2] == ["mar14", "0"]


def test_of_no_run_it_says_how_to_begin(house: House) -> None:
    result = house.call("bin/runs")
    assert (result.status, result.err) == (0, "")
    assert "make setup TAG=mar14" in result.out


def test_a_run_ends_with_all_that_is_of_it(nights: House) -> None:
    main, others = nights.git("rev-parse", "main"), refs_of(nights, "old")
    shown = nights.call("bin/drop", TAG="taken", FORCE="1")
    assert shown.status == 0
    assert "deleted run 'taken'" in shown.err
    assert refs_of(nights, "taken") == []
    assert not (nights.tree / "runs/taken").exists()
    assert (nights.git("rev-parse", "main"), refs_of(nights, "old")) == (main, others)
    assert nights.call("bin/setup", TAG="taken").status == 0, "the tag is free again"


def test_nothing_goes_without_a_yes(nights: House) -> None:
    before = nights.git("for-each-ref")
    result = nights.call("bin/drop", TAG="old")
    assert result.status == 2
    assert "cannot ask for confirmation without a terminal: drop run 'old': folder runs/old, branch" in result.err
    assert "13 git refs" in result.err
    hint = result.err.splitlines()[-1]
    assert hint.endswith("FORCE=1 make drop TAG=old")
    assert answered(nights, "n\n", "bin/drop", TAG="old") == 1
    assert answered(nights, "\n", "bin/prune", DAYS="0") == 1
    assert nights.git("for-each-ref") == before
    assert answered(nights, "y\n", "bin/drop", TAG="old") == 0
    assert refs_of(nights, "old") == []


def answered(house: House, answer: str, verb: str, **settings: str) -> int:
    """At a terminal."""
    ours, theirs = pty.openpty()
    environment = {**house.environment, **settings}
    process = subprocess.Popen([verb], cwd=house.tree, env=environment, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    os.write(ours, answer.encode())
    status = process.wait(30)
    os.close(ours)
    return status


def test_only_what_is_old_and_not_taken_is_pruned(nights: House) -> None:
    """The nights are of the future; that of today has no row yet."""
    assert "every run is younger than 30 days" in nights.call("bin/prune").out
    for tag in ("old", "taken", "today"):
        path = nights.tree / f"runs/{tag}/experiments.jsonl"
        text = path.read_text() if path.exists() else ""
        path.write_text(text.replace('"ended": "2026', '"ended": "2025'))
    result = nights.call("bin/prune", FORCE="1")
    assert result.status == 0
    assert [line for line in result.err.splitlines() if line.startswith("deleted")] == ["deleted run 'old'"]
    assert refs_of(nights, "taken")


@pytest.mark.parametrize(
    ("done", "settings", "status", "problem"),
    [
        ("", {}, 2, "TAG is missing"),
        ("", {"TAG": "nosuch"}, 2, "there is no run 'nosuch'"),
        ("git checkout -q autoresearch/old", {"TAG": "old"}, 2, "run 'old' is checked out in"),
        ("git worktree add -q ../other autoresearch/old", {"TAG": "old"}, 2, "/other'"),
        ("printf 'pid 1 since noon\\nold\\n' >runs/.lock; exec 9<runs/.lock; flock 9", {"TAG": "old"}, 75,
         "a loop is running on run 'old'"),
    ],
)  # fmt: skip
def test_what_is_not_dropped(nights: House, done: str, settings: dict[str, str], status: int, problem: str) -> None:
    before = nights.git("for-each-ref")
    result = nights.call("bash", "-c", f"{done}\nbin/drop", FORCE="1", **settings)
    assert result.status == status
    assert problem in result.err
    assert result.err.splitlines()[-1].startswith("hint: ")
    assert nights.git("for-each-ref") == before


def test_a_drop_that_was_killed_is_done_by_the_same_again(nights: House) -> None:
    (nights.tree / "runs/old").rename(nights.outside / "gone")
    assert nights.call("bin/drop", TAG="old", FORCE="1").status == 0
    assert refs_of(nights, "old") == []
