"""bin/take: what a run has kept, onto a branch of a person's."""

import re
from pathlib import Path

import pytest
from house import House, shared
from nights import Night, dream_on

# A train.py whose constants lie apart, so that keeps can be taken alone.
FAR_APART = (
    "VALUE = 1.0\n# one\n# two\n# three\n# four\nDEPTH = 4\n# five\n# six\n# seven\n# eight\nWIDTH = 64\nprint('---')\n"
)
FAR_APART += "print(f'val_bpb: {VALUE - DEPTH / 100 + WIDTH / 10000:.6f}')\n"


def change(old: str, new: str) -> str:
    return f"sed -i 's/^{old}$/{new}/' train.py; echo '{old} -> {new}'"


def three_keeps(folder: Path) -> House:
    house = House(folder, FAR_APART)
    house.setup()
    turns = (change("DEPTH = 4", "DEPTH = 6"), change("WIDTH = 64", "WIDTH = 32"), change("DEPTH = 6", "DEPTH = 9"))
    assert house.loop(3, house.in_turn(*turns)).status == 0
    assert house.statuses() == ["keep"] * 4
    house.git("checkout", "--quiet", "main")
    return house


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> House:
    return shared(tmp_path_factory, "three-keeps", three_keeps)


@pytest.fixture
def kept(made: House, tmp_path: Path) -> House:
    """A run with three keeps (#2 and #4 of one line, #3 of another); main is checked out."""
    return made.copy(tmp_path)


def take(house: House, **settings: str) -> str:
    result = house.call("bin/take", **{"TAG": "mar14", **settings})
    assert result.status == 0, result
    return result.out + result.err


def refused(house: House, problem: str, **settings: str) -> str:
    """Returns the hint; nothing has changed."""
    before = house.git("for-each-ref"), house.git("status", "--porcelain"), house.git("stash", "list")
    result = house.call("bin/take", **{"TAG": "mar14", **settings})
    assert (result.status, result.out) == (2, ""), result
    told, hint = result.err.splitlines()[-2:]
    assert problem in told
    assert hint.startswith("hint: ")
    assert (house.git("for-each-ref"), house.git("status", "--porcelain"), house.git("stash", "list")) == before
    return hint.removeprefix("hint: ")


@pytest.mark.slow
def test_all_keeps_are_commits_that_change_train_py_alone(kept: House) -> None:
    main = kept.git("rev-parse", "main")
    said = take(kept)
    assert kept.git("log", "--format=%s", f"{main}..main").splitlines() == [
        "DEPTH = 6 -> DEPTH = 9",
        "WIDTH = 64 -> WIDTH = 32",
        "DEPTH = 4 -> DEPTH = 6",
    ]
    assert kept.git("diff", "--name-only", main, "main") == "train.py"
    assert kept.git("rev-parse", "main:train.py") == kept.git("rev-parse", "autoresearch/mar14:train.py")
    assert kept.git("status", "--porcelain") == "", "index and file have followed"
    trailers = kept.git("log", "-1", "--format=%(trailers)", "main").splitlines()
    commit = kept.experiments()[3]["commit"]
    assert trailers[0] == "val_bpb: 0.913200"
    assert trailers[1].startswith("gain: +0.030000 (")
    assert trailers[-1] == f"(cherry picked from commit {commit})"
    assert {"seeds: 42", "experiment: #4", "run: mar14", "audit: not audited"} <= set(trailers)
    assert kept.git("log", "-1", "--format=%(trailers:key=experiment,valueonly)", "main") == "#4"
    undo = re.search(r"to undo it: (git .*)", said)
    assert undo
    assert kept.call("bash", "-c", undo[1]).status == 0
    assert (kept.git("rev-parse", "main"), kept.git("status", "--porcelain")) == (main, "")
    kept.git("checkout", "--quiet", "autoresearch/mar14")
    kept.check_invariants()


def test_what_was_taken_is_not_taken_twice_and_the_rest_follows(kept: House) -> None:
    assert "run 'mar14' has not measured train.py of 'main'" in take(kept, N="#3")
    assert kept.git("show", "main:train.py").count("DEPTH = 4") == 1
    rest = take(kept)
    assert "#3 is on 'main' already" in rest
    assert "has measured" not in rest, "it is the run's own train.py in the end"
    main = kept.git("rev-parse", "main")
    assert "nothing to take: 'main' has all keeps already" in take(kept)
    assert "#3 changes nothing on 'main'" in take(kept, N="3")
    assert kept.git("rev-parse", "main") == main
    assert kept.git("rev-parse", "main:train.py") == kept.git("rev-parse", "autoresearch/mar14:train.py")


def test_one_commit_of_all_on_a_branch_that_is_not_checked_out(kept: House) -> None:
    kept.git("branch", "mine")
    said = take(kept, ONTO="mine", SQUASH="1")
    assert kept.git("rev-list", "--count", "main..mine") == "1"
    message = kept.git("log", "-1", "--format=%B", "mine")
    assert message.startswith("train.py: 3 improvements of run mar14, val_bpb 0.913200\n")
    assert "gain: +0.053200\n" in message
    assert message.count("(cherry picked from commit ") == 3
    assert (kept.git("status", "--porcelain"), kept.git("rev-parse", "--abbrev-ref", "HEAD")) == ("", "main")
    undo = re.search(r"to undo it: (git .*)", said)
    assert undo
    assert kept.call("bash", "-c", undo[1]).status == 0
    assert kept.git("rev-parse", "mine") == kept.git("rev-parse", "main")


def test_what_does_not_fit_is_refused_and_the_hint_takes_the_rest(kept: House) -> None:
    path = kept.tree / "train.py"
    path.write_text(path.read_text().replace("DEPTH = 4", "DEPTH = 5"))
    kept.commit("mine")
    hint = refused(kept, "#2 4 cannot be taken: 'main' has changed the same lines of train.py, as 'DEPTH = 5'")
    assert hint.startswith("take the others: make take TAG=mar14 ONTO='main' N='3'; ")
    assert kept.call("bash", "-c", hint.split(": ", 1)[1].split(";")[0]).status == 0
    assert "WIDTH = 32" in path.read_text()
    refused(kept, "#4 cannot be taken", N="4")


@pytest.mark.parametrize(
    ("done", "settings", "problem"),
    [
        ("echo '# x' >>train.py", {}, "train.py has uncommitted changes in"),
        ("echo '# x' >>train.py; git add train.py; git show HEAD:train.py >train.py", {}, "train.py has uncommitted"),
        ("git worktree add -q ../other -b mine; echo '# x' >>../other/train.py", {"ONTO": "mine"}, "/other'"),
        ("", {"ONTO": "nosuch"}, "there is no branch 'nosuch'"),
        ("", {"ONTO": "autoresearch/mar14"}, "belongs to a run"),
        ("git branch mine; git checkout -q mine; git rm -q train.py; git commit -qm x; git checkout -q main",
         {"ONTO": "mine"}, "branch 'mine' has no 'train.py'"),
        ("", {"N": "1"}, "experiment #1 is the baseline"),
        ("", {"N": "2 99"}, "has no experiment '99'"),
    ],
)  # fmt: skip
def test_what_is_refused(kept: House, done: str, settings: dict[str, str], problem: str) -> None:
    kept.call("git", "config", "user.name", "me")
    kept.call("git", "config", "user.email", "me@localhost")
    assert kept.call("bash", "-c", done).status == 0
    refused(kept, problem, **settings)


def test_it_follows_in_another_worktree_and_leaves_other_changes_alone(kept: House) -> None:
    kept.git("worktree", "add", "-q", "../other", "-b", "mine")
    (kept.outside / "other/README.md").write_text("mine\n")
    take(kept, ONTO="mine", N="2")
    assert "DEPTH = 6" in (kept.outside / "other/train.py").read_text()
    assert (kept.outside / "other/README.md").read_text() == "mine\n"
    assert kept.git("-C", "../other", "status", "--porcelain") == "M README.md"


def test_a_measured_night_says_how_sure_each_keep_is(run: House) -> None:
    """Of three baseline runs; and its audit is told."""
    dream_on(run, Night(12))
    run.git("checkout", "--quiet", "main")
    take(run)
    commits = run.git("log", "--format=%(trailers)%x00", "--grep=cherry picked", "main").split("\0")[:-1]
    assert len(commits) > 3
    for text in commits:
        assert re.search(r"gain: [+-]\d\.\d{6} \(95 %: [+-]\d\.\d{6} to [+-]\d\.\d{6}\)\n", text)
        assert re.search(r"trust: (sure|likely|within the noise)\n", text)
        assert re.search(r"audit: up to #\d+, \+\d.* of the claimed \+.* reproduced .*, on the holdout \+", text)


def test_the_numbers_are_below_a_keep_in_git_log(kept: House) -> None:
    log = kept.git("log", "--notes=experiments/mar14", "--format=%s%n%N", "-1", "autoresearch/mar14")
    assert "experiment: DEPTH = 6 -> DEPTH = 9" in log
    assert "val_bpb: 0.913200\ngain: +0.030000\nseeds: 42\nexperiment: #4\nrun: mar14\nreason: large-gain: " in log


def test_a_run_without_a_keep(based: House) -> None:
    assert "nothing to take" in take(based)
