"""bin/setup: what a run begins with, and all that it refuses with nothing changed."""

import json
import os
import re
from datetime import date
from pathlib import Path

import pytest
from house import House


def snapshot(house: House) -> tuple[str, str, list[Path]]:
    """Branches and refs, HEAD, and the files of the tree."""
    files = sorted(path for path in house.tree.rglob("*") if not {".git", "__pycache__"} & {*path.parts})
    return house.git("for-each-ref"), house.git("rev-parse", "HEAD"), files


def refused(house: House, problem: str, **settings: str) -> None:
    before = snapshot(house)
    result = house.call("bin/setup", **{"TAG": "mar14", **settings})
    assert result.status == 2
    lines = result.err.splitlines()
    assert lines[-2].startswith("setup: ")
    assert problem in lines[-2]
    assert lines[-1].startswith("hint: ")
    assert snapshot(house) == before


def test_a_run_begins_with_branch_ledger_and_manifest(house: House) -> None:
    start = house.git("rev-parse", "HEAD")
    house.setup(TIME_BUDGET="20")
    assert house.git("symbolic-ref", "--short", "HEAD") == "autoresearch/mar14"
    assert house.git("rev-parse", "HEAD") == start
    assert (house.tree / "results.tsv").read_text() == "commit\tval_bpb\tmemory_gb\tstatus\tdescription\n"
    assert os.readlink(house.tree / "results.tsv") == "runs/mar14/results.tsv"
    assert os.readlink(house.tree / "run.log") == "runs/mar14/run.log"
    manifest = json.loads((house.run_folder / "manifest.json").read_text())
    assert manifest["start"] == start
    assert manifest["settings"]["TIME_BUDGET"] == "20"
    assert house.git("status", "--porcelain", "--untracked-files=all") == ""


def test_the_tag_is_today_where_none_is_given(house: House) -> None:
    assert house.call("bin/setup").status == 0
    today = date.today()
    month = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")[today.month - 1]
    assert house.git("symbolic-ref", "--short", "HEAD") == f"autoresearch/{month}{today.day}"


@pytest.mark.parametrize(
    "tag",
    [
        "",
        "a/b",
        "a b",
        "-rf",
        "..",
        "a..b",
        "a.lock",
        "a;touch pwned",
        "$(touch pwned)",
        "`touch pwned`",
        "a\nb",
        "é",
        ".a",
    ],
)
def test_a_bad_tag_is_refused(house: House, tag: str) -> None:
    refused(house, f"invalid TAG '{tag}'".replace("\n", "?"), TAG=tag)


def test_make_gives_a_tag_to_nobody_but_the_script(house: House) -> None:
    result = house.call("make", "setup", "TAG=$(shell touch pwned)")
    assert result.status == 2
    assert "setup: invalid TAG '$(shell touch pwned)'" in result.err
    assert not (house.tree / "pwned").exists()
    assert house.call("make", "setup", "TAG=mar14").status == 0


def test_an_existing_branch_is_refused(run: House) -> None:
    refused(run, "branch 'autoresearch/mar14' exists")


def test_a_branch_that_brought_experiments_without_a_manifest_is_refused(house: House) -> None:
    house.git("branch", "autoresearch/mar14")
    house.git("checkout", "-q", "autoresearch/mar14")
    house.git("commit", "-q", "--allow-empty", "-m", "experiment: baseline")
    house.git("checkout", "-q", "main")
    refused(house, "branch 'autoresearch/mar14' exists")


def test_what_an_earlier_run_left_is_refused_without_its_branch(run: House) -> None:
    run.git("checkout", "-q", "main")
    run.git("branch", "-D", "autoresearch/mar14")
    refused(run, "run 'mar14' has a ledger")


def test_an_interrupted_setup_is_completed(house: House) -> None:
    start = house.git("rev-parse", "HEAD")
    house.git("branch", "autoresearch/mar14")
    (house.tree / "later").write_text("")
    house.commit("later")
    house.setup()
    assert house.git("symbolic-ref", "--short", "HEAD") == "autoresearch/mar14"
    assert json.loads((house.run_folder / "manifest.json").read_text())["start"] == start


@pytest.mark.parametrize("staged", [False, True])
def test_a_dirty_tree_is_refused_with_the_names(house: House, staged: bool) -> None:
    (house.tree / "train.py").write_text("# mine\n")
    (house.tree / "Makefile").unlink()
    if staged:
        house.git("add", "--all")
    before = snapshot(house)
    result = house.call("bin/setup", TAG="mar14")
    assert result.status == 2
    assert "'Makefile', 'train.py'" in result.err
    assert snapshot(house) == before
    assert (house.tree / "train.py").read_text() == "# mine\n"


def test_untracked_files_are_no_dirt(house: House) -> None:
    (house.tree / "notes.txt").write_text("mine")
    house.setup()
    assert (house.tree / "notes.txt").read_text() == "mine"


def test_not_a_repository_and_no_commit_are_refused(house: House) -> None:
    (house.tree / ".git").rename(house.outside / "git")
    result = house.call("bin/setup", TAG="mar14", GIT_CEILING_DIRECTORIES=str(house.outside))
    assert result.status == 2
    assert "setup: not a git repository: '" in result.err
    house.call("git", "init", "--quiet")
    result = house.call("bin/setup", TAG="mar14")
    assert result.status == 2
    assert "has no commits" in result.err


def test_a_detached_head_is_refused(house: House) -> None:
    house.git("checkout", "-q", "--detach")
    refused(house, "HEAD is detached")


def test_a_tracked_ledger_is_refused(house: House) -> None:
    (house.tree / "results.tsv").write_text("x\n")
    house.git("add", "--force", "results.tsv")
    house.git("commit", "-q", "-m", "track it")
    refused(house, "git tracks 'results.tsv'")


def test_missing_data_is_refused(house: House) -> None:
    (house.tree / "prepare.py").write_text("import sys\nif '--check' in sys.argv: sys.exit(3)\n")
    house.commit("a prepare.py that misses its data")
    refused(house, "the data of profile")
    result = house.call("bin/setup", TAG="mar14")
    assert "hint: run 'uv run prepare.py' (or: make data)" in result.err


@pytest.mark.parametrize("status", [0, 1, 2])
def test_a_strangers_prepare_may_end_as_it_likes(house: House, status: int) -> None:
    (house.tree / "prepare.py").write_text(
        f"import sys\nif '--check' in sys.argv:\n    print('hello')\n    sys.exit({status})\n"
    )
    house.commit("a stranger's prepare.py")
    house.setup()


@pytest.mark.first_case
@pytest.mark.parametrize("facts", ["{'profile': 'huge', 'time_budget': 'soon'}", "[1]", "7"])
def test_what_a_strangers_prepare_says_is_not_believed_blindly(house: House, facts: str) -> None:
    (house.tree / "prepare.py").write_text(f"import json, sys\nif '--check' in sys.argv: print(json.dumps({facts}))\n")
    house.commit("a stranger's prepare.py")
    house.setup()
    assert house.once(house.setting("0.9")).status == 0


def test_bad_settings_are_refused(house: House) -> None:
    before = snapshot(house)
    for name, value in (("PROFILE", "huge"), ("TIME_BUDGET", "0"), ("TIME_BUDGET", "soon"), ("SEED", "-1")):
        result = house.call("bin/setup", TAG="mar14", **{name: value})
        assert result.status == 2
        assert f"{name}: '{value}' is not" in result.err
    assert snapshot(house) == before


def test_a_commit_without_train_is_refused(house: House) -> None:
    house.git("rm", "-q", "train.py")
    house.git("commit", "-q", "-m", "no train.py")
    refused(house, "has no 'train.py'")


def test_a_ledger_of_nobody_is_moved_aside(house: House) -> None:
    (house.tree / "results.tsv").write_text("precious\n")
    house.setup()
    found = list((house.tree / "runs/found").iterdir())
    assert [path.read_text() for path in found] == ["precious\n"]


def test_a_run_started_on_another_ones_branch_begins_where_that_began(based: House) -> None:
    start = (based.run_folder / "start").read_text().strip()
    assert based.loop(1, based.setting("0.5")).status == 0
    assert based.git("rev-parse", "HEAD") != start
    result = based.call("bin/setup", TAG="mar15")
    assert f"at commit {start[:7]}" in result.err
    assert based.git("rev-parse", "HEAD") == start
    assert os.readlink(based.tree / "results.tsv") == "runs/mar15/results.tsv"
    assert len(based.rows()) == 2, "the earlier run's ledger is as it was"


def test_from_says_where_a_run_begins(based: House) -> None:
    assert based.loop(1, based.setting("0.5")).status == 0
    best = based.git("rev-parse", "HEAD")
    refused(based, "FROM 'nowhere' is not a commit", TAG="mar15", FROM="nowhere")
    assert based.call("bin/setup", TAG="mar15", FROM="autoresearch/mar14").status == 0
    assert based.git("rev-parse", "HEAD") == best


def test_nothing_of_the_callers_git_environment_is_heard(house: House) -> None:
    other = house.outside / "other"
    house.call("git", "init", "--quiet", str(other))
    house.setup(GIT_DIR=str(other / ".git"), GIT_WORK_TREE=str(other), GIT_INDEX_FILE=str(other / "index"))
    assert house.git("symbolic-ref", "--short", "HEAD") == "autoresearch/mar14"


def test_on_last_nights_branch_it_says_where_it_begins_and_how_from_the_best(based: House) -> None:
    """Where the other began: two runs with one baseline can be compared, and what is to stay is taken."""
    assert based.once(based.setting("0.9")).status == 0
    best = based.git("rev-parse", "HEAD")
    said = based.call("bin/setup", TAG="mar15")
    assert said.status == 0
    assert (based.tree / "runs/mar15/start").read_text() == (based.run_folder / "start").read_text()
    begins, of_best = said.err.splitlines()[-2:]
    assert re.match(
        r"run 'mar15' is ready on branch 'autoresearch/mar15', at commit [0-9a-f]{7}, where run 'mar14' started", begins
    )
    assert of_best.endswith(": make setup TAG=mar15b FROM=autoresearch/mar14")
    assert based.call("bash", "-c", of_best.rsplit(": ", 1)[1]).status == 0
    assert (based.tree / "runs/mar15b/start").read_text().strip() == best
