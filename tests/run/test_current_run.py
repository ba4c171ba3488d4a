"""Which run a verb is about: that of TAG, from any branch; else the one checked out; else the only one wanted."""

import os
import signal

import pytest
from house import House


def off_the_branch(house: House) -> tuple[str, str]:
    """A person is on main, with work of theirs."""
    house.git("checkout", "--quiet", "main")
    (house.tree / "train.py").write_text("# my idea\n")
    return house.git("diff", "HEAD"), house.git("rev-parse", "HEAD")


@pytest.mark.slow
def test_tag_names_the_run_from_any_branch_and_in_a_dirty_tree(based: House) -> None:
    mine = off_the_branch(based)
    agent = based.setting("0.9")
    assert based.once(agent, TAG="mar14").status == 0
    assert based.loop(1, agent, TAG="mar14").status == 0
    assert based.statuses() == ["keep", "keep", "discard"]
    assert based.git("rev-parse", "autoresearch/mar14") == based.experiments()[1]["commit"]
    for verb in ("status", "brief", "show", "noise", "stop", "report"):
        result = based.call(f"bin/{verb}", TAG="mar14", N="1")
        assert result.status == 0, verb
    assert (based.git("diff", "HEAD"), based.git("rev-parse", "HEAD")) == mine
    assert based.git("branch", "--show-current") == "main"
    based.git("checkout", "--quiet", "--force", "autoresearch/mar14")
    based.check_invariants()


def test_make_hands_the_tag_over(based: House) -> None:
    off_the_branch(based)
    assert "run       mar14" in based.call("make", "status", "TAG=mar14").out


def test_tag_goes_before_the_run_that_is_checked_out(based: House) -> None:
    based.setup(TAG="mar15")
    assert based.once(based.setting("0.9"), TAG="mar14").status == 0
    assert based.statuses() == ["keep", "keep"]
    assert len((based.tree / "runs/mar15/results.tsv").read_text().splitlines()) == 1
    assert based.git("branch", "--show-current") == "autoresearch/mar15"
    assert os.readlink(based.tree / "results.tsv") == "runs/mar15/results.tsv", "of the one that is checked out"
    assert "train.py" not in based.git("status", "--porcelain")


def test_without_tag_and_off_its_branch_it_is_the_only_run_of_which_a_loop_is_wanted(slow: House) -> None:
    with slow.running("bin/loop", AGENT=str(slow.setting("0.9"))) as process:
        slow.wait_for("runs/mar14/flights/*/run.1/pid")
        slow.git("checkout", "--quiet", "main")
        slow.call("git", "branch", "autoresearch/mar15")
        assert f"(pid {process.pid})" in slow.call("bin/status").out
        assert slow.call("bin/stop").status == 0
        slow.seconds.write_text("0")
        assert process.wait(30) == 0
    assert slow.statuses() == ["keep", "keep"]
    result = slow.call("bin/status")
    assert (result.status, result.out) == (2, "")
    assert "no run is checked out (current branch: 'main')\nhint: name a run: TAG=" in result.err


def test_a_loop_on_one_run_ends_what_was_wanted_of_another(slow: House) -> None:
    """One loop works on a tree, so never more than one is wanted. A set-up alone changes nothing of that."""
    with slow.running("bin/loop", AGENT=str(slow.setting("0.9"))) as process:
        slow.wait_for("runs/mar14/flights/*/run.1/pid")
        os.killpg(process.pid, signal.SIGKILL)
    slow.setup(TAG="mar15")
    assert (slow.run_folder / "wanted").exists()
    with slow.running("bin/loop", AGENT=str(slow.setting("0.9")), TAG="mar15") as process:
        slow.wait_for("runs/mar15/flights/*/run.1/pid")
        assert [path.parent.name for path in slow.tree.glob("runs/*/wanted")] == ["mar15"]


@pytest.mark.parametrize("verb", ["loop", "experiment", "status", "stop", "brief", "report", "noise", "audit", "retry"])
def test_an_unknown_tag_is_refused_by_every_verb(settled: House, verb: str) -> None:
    result = settled.call(f"bin/{verb}", TAG="mar99", N="1")
    assert result.status == 2
    assert result.err.startswith(f"{verb}: there is no run 'mar99'\nhint: name a run: TAG=mar14")
