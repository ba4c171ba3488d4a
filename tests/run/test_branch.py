"""A person's tree is theirs, and they may commit on the run's branch: what a loop does to either, and what not."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from house import SLOW, TRAIN, House, shared

# The metric is VALUE less what a file beside train.py says; for as long as ~/seconds says.
HELPED = "import helper\n" + TRAIN.replace("{VALUE:.6f}", "{VALUE - helper.BONUS:.6f}")
WAITS = SLOW.removeprefix(TRAIN)


def helped_house(folder: Path) -> House:
    house = House(folder, HELPED + WAITS)
    (house.tree / "helper.py").write_text("BONUS = 0.0\n")
    house.commit("what train.py imports")
    house.setup()
    return house.baseline()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> House:
    """A run with its baseline, whose train.py imports another file."""
    return shared(tmp_path_factory, "helped", helped_house)


@pytest.fixture
def helped(made: House, tmp_path: Path) -> House:
    return made.copy(tmp_path)


def log(house: House) -> str:
    return (house.run_folder / "loop.log").read_text()


def tree_of(house: House) -> tuple[str, ...]:
    """What a person has in the tree: train.py, the index, the stash, the branch that is checked out."""
    train = house.tree / "train.py"
    commands = ("write-tree", "stash list", "branch --show-current")
    return (train.read_text() if train.exists() else "", *(house.git(*command.split()) for command in commands))


@contextmanager
def a_training(house: House, value: str = "0.9") -> Iterator[None]:
    """A loop of one experiment, in whose training a person does something; it ends well."""
    house.seconds.write_text("20")
    with house.running("bin/loop", MAX_EXPERIMENTS="1", AGENT=str(house.setting(value))) as process:
        house.wait_for("runs/mar14/flights/*/run.1/pid")
        yield
        house.seconds.write_text("0")
        assert process.wait(30) == 0, (house.outside / "started.log").read_text()


# --- the tree --------------------------------------------------------------------------------------------------------


def test_train_py_of_the_tree_follows_a_keep_and_nothing_else_does(helped: House) -> None:
    """Unless a person has changed it; what they have changed, staged or not, in other files, does not matter."""
    (helped.tree / "README.md").write_text("half an idea\n")
    (helped.tree / "notes.txt").write_text("untracked\n")
    (helped.tree / "Makefile").write_text("# staged\n")
    helped.git("add", "Makefile")
    helped.git("rm", "--quiet", "program.md")
    (helped.tree / "helper.py").write_text("BONUS = 0.5\n")
    changed = helped.git("diff", "HEAD")
    assert helped.once(helped.setting("0.9")).status == 0
    assert helped.experiments()[-1]["val_bpb"] == 0.9, "it is measured with the helper.py of the commit"
    assert "VALUE = 0.9 " in (helped.tree / "train.py").read_text()
    assert helped.once(helped.setting("1.5")).status == 0
    assert helped.git("diff", "HEAD") == changed
    assert (helped.tree / "notes.txt").read_text() == "untracked\n"
    assert helped.statuses() == ["keep", "keep", "discard"]


EDITS = {  # what a person does in the tree, by shell, while something trains
    "edits train.py": "echo '# my idea' >train.py",
    "edits it and stages that": "echo '# my idea' >>train.py; git add train.py",
    "stages an edit and makes another": "echo '# one' >>train.py; git add train.py; echo '# two' >>train.py",
    "deletes it": "rm train.py",
    "has it no longer tracked": "git rm --quiet --cached train.py",
}


@pytest.mark.first_case
@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
def test_what_a_person_does_to_train_py_in_a_training_stays_and_is_not_measured(helped: House, edit: str) -> None:
    with a_training(helped):
        helped.call("bash", "-c", edit)
        before = tree_of(helped)
    assert tree_of(helped) == before
    last = helped.experiments()[-1]
    assert (last["status"], last["val_bpb"], last["failure"]) == ("keep", 0.9, None)
    assert "VALUE = 0.9 " in helped.git("show", "autoresearch/mar14:train.py")
    assert "train.py in your tree has your changes and was not updated" in log(helped)
    assert "git show autoresearch/mar14:train.py" in log(helped)


def test_a_stash_in_a_training_is_a_persons(helped: House) -> None:
    (helped.tree / "train.py").write_text("# my idea\n")
    with a_training(helped):
        helped.git("stash", "--quiet")
    assert "VALUE = 0.9 " in (helped.tree / "train.py").read_text(), "it was the incumbent's then"
    assert helped.git("show", "stash@{0}:train.py") == "# my idea"
    assert helped.git("status", "--porcelain") == ""
    helped.check_invariants()


@pytest.mark.first_case
@pytest.mark.parametrize("branch", ["main", "--detach main", "-b mine"])
def test_a_loop_goes_on_beside_another_branch_and_does_not_touch_it(helped: House, branch: str) -> None:
    with a_training(helped):
        helped.git("checkout", "--quiet", *branch.split())
        (helped.tree / "train.py").write_text("# my idea\n")
        before = helped.git("rev-parse", "HEAD"), tree_of(helped)
    assert (helped.git("rev-parse", "HEAD"), tree_of(helped)) == before
    assert "was not updated" not in log(helped), "of another branch there is nothing to tell"
    helped.git("checkout", "--quiet", "--force", "autoresearch/mar14")
    assert "VALUE = 0.9 " in (helped.tree / "train.py").read_text()
    assert helped.statuses() == ["keep", "keep"]
    helped.check_invariants()


# --- commits on the branch -------------------------------------------------------------------------------------------


def begun(house: House) -> str:
    """The log from now on."""
    (house.run_folder / "loop.log").unlink(missing_ok=True)
    return house.git("rev-parse", "HEAD")


@pytest.mark.first_case
@pytest.mark.parametrize("name", ["notes.md", "LICENSE", "docs/page.txt"])
def test_a_commit_that_changes_words_is_gone_along_with(helped: House, name: str) -> None:
    path = helped.tree / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("mine\n")
    mine = helped.commit("words")
    begun(helped)
    assert helped.once(helped.setting("0.9")).status == 0
    assert helped.git("rev-parse", "HEAD~1") == mine == helped.experiments()[-1]["parent"]
    assert helped.git("rev-parse", "HEAD") == helped.experiments()[-1]["commit"]
    assert helped.statuses() == ["keep", "keep"]
    assert "another run" not in log(helped)


def test_a_commit_that_changes_another_file_is_measured_before_the_first_verdict(helped: House) -> None:
    """VALUE 1.0 is 0.7 with it: what the commit gains is no gain of an experiment's."""
    (helped.tree / "helper.py").write_text("BONUS = 0.3\n")
    mine = helped.commit("a better helper")
    assert helped.once(helped.setting("1.1")).status == 0
    assert log(helped).count("another run of the incumbent") == 1
    worse = helped.experiments()[-1]
    assert (worse["status"], worse["val_bpb"], worse["incumbent_bpb"], worse["parent"]) == ("discard", 0.8, 0.7, mine)
    assert helped.git("rev-parse", "HEAD") == mine, "it is accepted, without a row"
    assert helped.once(helped.setting("0.9")).status == 0
    better = helped.experiments()[-1]
    assert (better["status"], better["val_bpb"], better["incumbent_bpb"]) == ("keep", 0.6, 0.7)
    assert log(helped).count("another run of the incumbent") == 1, "its level is known"
    assert helped.git("rev-parse", "HEAD~1") == mine


def test_a_commit_made_while_something_trains_is_under_the_next_verdict(helped: House) -> None:
    """What trains was made on the incumbent before: it is carried over to the commit, and measured there."""
    with a_training(helped):
        (helped.tree / "helper.py").write_text("BONUS = 0.3\n")
        mine = helped.commit("a better helper")
    last = helped.experiments()[-1]
    assert (last["status"], last["val_bpb"], last["incumbent_bpb"], last["parent"]) == ("keep", 0.6, 0.7, mine)
    assert len(last["carried_from"]) == 1  # type: ignore[arg-type]
    assert helped.git("rev-parse", "HEAD~1") == mine


@pytest.mark.parametrize(("value", "status"), [("0.5", "keep"), ("1.5", "discard")])
def test_a_commit_that_changes_train_py_is_tried_as_an_experiment(helped: House, value: str, status: str) -> None:
    before = helped.git("rev-parse", "HEAD")
    text = (helped.tree / "train.py").read_text().replace("VALUE = 1.0", f"VALUE = {value}")
    (helped.tree / "train.py").write_text(text)
    mine = helped.commit("my own idea")
    assert helped.once("/bin/false").status == 0, "it comes before what a proposer would do"
    last = helped.experiments()[-1]
    assert (last["status"], last["agent"], last["description"]) == (status, "commit", "my own idea")
    assert (last["parent"], last["val_bpb"]) == (before, float(value))
    assert "moved branch 'autoresearch/mar14' from" in log(helped)
    assert helped.git("rev-parse", "HEAD") == (last["commit"] if status == "keep" else before)
    assert helped.git("for-each-ref", "--format=%(objectname)", "refs/experiments/mar14/aside") == mine, "kept from gc"
    assert (helped.tree / "train.py").read_text() == text, "the person's tree is as they left it"
    helped.git("reset", "--quiet", "--hard")
    helped.check_invariants()


@pytest.mark.parametrize("when", ["at rest", "in a training"])
def test_a_commit_that_changes_prepare_py_ends_the_loop_with_both_values(helped: House, when: str) -> None:
    old = helped.git("rev-parse", "--short", "HEAD:prepare.py")
    helped.seconds.write_text("20")
    if when == "in a training":
        with helped.running("bin/loop", AGENT=str(helped.setting("0.9"))) as process:
            helped.wait_for("runs/mar14/flights/*/run.1/pid")
            new = another_prepare(helped)
            helped.seconds.write_text("0")
            assert process.wait(30) == 2
        said = (helped.outside / "started.log").read_text()
        assert f"prepare.py is '{new}' in commit" in said
        assert f"but the run was set up with '{old}'\nhint: " in said
    else:
        another_prepare(helped)
        result = helped.loop(1, helped.setting("0.9"))
        assert result.status == 2
        assert "prepare.py is '" in result.err
        assert "but the run was set up with '" in result.err
    assert helped.statuses() == ["keep"]
    helped.git("reset", "--quiet", "--hard", "HEAD~")
    helped.seconds.write_text("0")
    assert helped.loop(1, helped.setting("0.9")).status == 0
    assert helped.statuses() == ["keep", "keep"]
    helped.check_invariants()


def another_prepare(house: House) -> str:
    (house.tree / "prepare.py").write_text("# another metric\n")
    house.commit("another prepare.py")
    return house.git("rev-parse", "--short", "HEAD:prepare.py")


REWRITES = {  # what becomes of the branch, by shell
    "amended": "git -c user.name=me -c user.email=me@x commit --quiet --amend --allow-empty -m other",
    "moved to another commit": "git checkout -q main && git update-ref refs/heads/autoresearch/mar14 main~0 && "
    "git -c user.name=me -c user.email=me@x commit --quiet --allow-empty -m other && "
    "git update-ref refs/heads/autoresearch/mar14 main",
    "moved back": "git reset --quiet --hard HEAD~",
    "deleted": "git checkout -q main && git branch -q -D autoresearch/mar14",
}


@pytest.mark.first_case
@pytest.mark.parametrize("how", REWRITES)
def test_a_branch_that_was_rewritten_is_put_back(helped: House, how: str) -> None:
    assert helped.once(helped.setting("0.9")).status == 0
    kept = helped.experiments()[-1]["commit"]
    with a_training(helped, "0.8"):
        assert helped.call("bash", "-c", REWRITES[how]).status == 0
        before = tree_of(helped)
    assert helped.statuses() == ["keep", "keep", "keep"]
    assert [one["parent"] for one in helped.experiments()][2] == kept
    assert helped.git("rev-parse", "autoresearch/mar14") == helped.experiments()[-1]["commit"]
    if how in ("amended", "moved back"):
        assert "VALUE = 0.8 " in (helped.tree / "train.py").read_text(), "it was that of the branch still"
    else:
        assert tree_of(helped) == before
    if how != "moved back":
        assert re.search(f"(moved|deleted) branch 'autoresearch/mar14' .*'{str(kept)[:7]}'", log(helped))
    helped.git("checkout", "--quiet", "--force", "autoresearch/mar14")
    helped.check_invariants()


def test_a_branch_that_is_gone_at_the_start_is_put_back(helped: House) -> None:
    """From wherever it is asked for."""
    helped.git("checkout", "--quiet", "main")
    helped.git("branch", "--quiet", "-D", "autoresearch/mar14")
    assert helped.once(helped.setting("0.9"), TAG="mar14").status == 0
    assert helped.statuses() == ["keep", "keep"]
    assert helped.git("rev-parse", "autoresearch/mar14") == helped.experiments()[-1]["commit"]
