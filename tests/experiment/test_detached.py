"""bin/experiment --detach and bin/wait: an agent whose tools end a call after a while, or all it has started."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from house import House, Result
from rehearsal import processes
from test_from_tree import edit


def leave(house: House, value: str, what: str, **settings: str) -> str:
    """Edit train.py, and leave it as a flight; its id."""
    edit(house, value)
    return left(house, what, **settings)


def left(house: House, what: str, **settings: str) -> str:
    result = house.call("bin/experiment", "--from-tree", what, "--detach", **settings)
    assert result.status == 0, result
    return result.out.rstrip("\n")


def wait(house: House, *arguments: str) -> Result:
    result = house.call("bin/wait", *arguments)
    assert result.out.splitlines()[-1] == f"exit {result.status}", "the last line, whatever comes"
    return result


def kill_all(house: House) -> None:
    """As a sandbox that ends every process of it."""
    while pids := list(processes.under_loop(house.tree)):
        for pid in pids:
            processes.kill(pid)
        time.sleep(0.05)


def test_it_is_tried_in_the_background_and_said_again_it_is_the_same(run: House) -> None:
    """The baseline first, which is no change of the tree."""
    first = leave(run, "0.9", "first", LAB_AGENT="me")
    assert left(run, "first again") == first == "f1"
    verdict = wait(run)
    assert verdict.status == 0
    assert verdict.out.splitlines()[0] == "#2 keep 0.900000 (gain +0.100000)  first"
    assert wait(run, first).out == wait(run, "2").out == wait(run, "#2").out == verdict.out
    nothing = run.call("bin/experiment", "--from-tree", "first", "--detach")
    assert (nothing.status, nothing.out) == (1, ""), "it is the incumbent now"
    second = leave(run, "1.5", "worse")
    assert wait(run, second).out.startswith("#3 discard 1.500000")
    assert (run.tree / "train.py").read_text().startswith("VALUE = 0.9 "), "undone"
    assert [one["agent"] for one in run.experiments()] == ["baseline", "me", "tree"]
    assert [one["flight"] for one in run.experiments()][1:] == [first, second]
    run.check_invariants()


def test_what_a_sandbox_has_ended_goes_on_with_the_next_wait(slow: House) -> None:
    flight = leave(slow, "0.9", "first")
    slow.wait_for("runs/mar14/flights/*/run.1/pid")
    standing = wait(slow, "--seconds", "0")
    assert standing.status == 75
    assert standing.out.startswith(f"{flight} training")
    kill_all(slow)
    assert wait(slow, "--seconds", "1").status == 75, "begun again"
    slow.wait_for("runs/mar14/flights/*/run.1/pid")
    kill_all(slow)
    slow.seconds.write_text("0")
    assert wait(slow).out.startswith("#2 keep 0.900000")
    assert len(slow.rows()) == 2
    slow.check_invariants()


@pytest.mark.slow
def test_a_loop_tries_it_too_and_takes_over_from_the_background(slow: House) -> None:
    """Whichever was there first; and its rows are exact."""
    first = leave(slow, "0.9", "first")
    slow.wait_for("runs/mar14/flights/*/run.1/pid")
    slow.seconds.write_text("1")
    with slow.running("bin/loop", AGENT=str(slow.proposer("sleep 60")), MAX_EXPERIMENTS="3") as loop:
        assert wait(slow, first).out.startswith("#2 keep 0.900000")
        second = leave(slow, "0.8", "second")
        assert wait(slow, second).out.startswith("#3 keep 0.800000")
        loop.terminate()
        assert loop.wait(timeout=20) == 143
    assert "the loop takes over the experiments of the background process" in (slow.outside / "started.log").read_text()
    assert [row[4] for row in slow.rows()] == ["baseline", "first", "second"]


def test_what_a_person_stops_rests_until_they_want_it(slow: House) -> None:
    first = leave(slow, "0.9", "first")
    slow.wait_for("runs/mar14/flights/*/run.1/pid")
    second = leave(slow, "1.5", "second")
    slow.seconds.write_text("0")
    assert slow.call("bin/stop").status == 0
    assert wait(slow, first).status == 0, "what was in flight ends"
    result = wait(slow, second)
    assert (result.status, "was stopped" in result.err) == (2, True)
    assert slow.call("bin/experiment", "--queue").status == 0
    assert wait(slow, second).status == 1, "it changes the same line"


def test_one_that_cannot_be_carried_over_has_no_row_and_says_so(slow: House) -> None:
    """It changes the same line as a keep since. Its train.py is kept."""
    slow.seconds.write_text("1")
    first = leave(slow, "0.9", "first")
    second = leave(slow, "0.8", "second")
    assert wait(slow, first).status == 0
    result = wait(slow, second)
    assert result.status == 1
    assert "it conflicts with a later keep" in result.out
    (aside,) = slow.run_folder.glob("aside/edit-*/after/train.py")
    assert aside.read_text() == (slow.tree / "train.py").read_text(), "and it is theirs still"


def test_why_nobody_tries_it_is_told(run: House) -> None:
    """A fault of the person's, which ends the background by itself."""
    (run.tree / ".env").write_text("A_KEY=1\n")
    (run.tree / ".env").chmod(0o644)
    leave(run, "0.9", "first")
    result = wait(run)
    assert result.status == 2
    assert "'.env' holds keys" in result.err
    assert "chmod 600 .env" in result.err
    (run.tree / ".env").chmod(0o600)
    assert wait(run).out.startswith("#2 keep 0.900000")


def test_a_power_cut_leaves_it_where_it_was(based: House) -> None:
    flight = leave(
        based, "0.9", "first", PATH=f"{based.proposer('exit 0', 'setsid').parent}:{based.environment['PATH']}"
    )
    (based.run_folder / f"flights/{flight}/boot").write_text("another\n")
    assert wait(based, flight).out.startswith("#2 keep 0.900000")
    based.check_invariants()


def test_what_is_waited_for_wrongly_is_refused(based: House) -> None:
    for arguments in (["f99"], ["99"], ["x"], ["--seconds"], ["--seconds", "x"], ["f1x"]):
        result = wait(based, *arguments)
        assert (result.status, "hint: " in result.err) == (2, True), arguments


@pytest.mark.slow
def test_an_agent_whose_every_call_is_killed_has_a_row_for_each_experiment(run: House) -> None:
    """By bin/wait's last line alone, as the skill tells it; each call is killed, with its process group."""
    count = 10 if os.environ.get("LONG") else 4
    run.seconds.write_text("0.3")
    for number in range(1, count + 1):
        edit(run, f"{1 - number / 100:.2f}")
        calls = 0
        while (
            cut_off(run, "bin/experiment", "--from-tree", f"idea {number}", "--detach", seconds=0.1 + 0.2 * calls) == ""
        ):
            calls += 1
        while "exit 0" not in cut_off(run, "bin/wait", seconds=1.5):
            pass
    assert [row[3:] for row in run.rows()] == [
        ["keep", "baseline"],
        *(["keep", f"idea {n}"] for n in range(1, count + 1)),
    ]
    run.check_invariants()


def cut_off(house: House, *command: str, seconds: float) -> str:
    """What it has said until then."""
    path: Path = house.outside / "said"
    with path.open("wb") as said:
        process = subprocess.Popen(
            command,
            cwd=house.tree,
            env=house.environment,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            start_new_session=True,
        )
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    return path.read_text()


BOX = ("bwrap", "--ro-bind", "/", "/", "--dev-bind", "/dev", "/dev", "--proc", "/proc", "--unshare-net")


@pytest.mark.skipif(subprocess.run([*BOX, "true"], check=False).returncode != 0, reason="no bubblewrap here")
def test_in_a_sandbox_where_none_can_be_made_the_way_out_is_told(based: House) -> None:
    """As Codex has it: the tree and TMPDIR can be written, .git and the home cannot."""
    edit(based, "0.9")
    writable = ("--bind", str(based.tree), str(based.tree), "--bind", f"{based.outside}/tmp", f"{based.outside}/tmp")
    read_only = ("--ro-bind", f"{based.tree}/.git", f"{based.tree}/.git")
    for more in ([], ["--detach"]):
        result = based.call(*BOX, *writable, *read_only, "bin/experiment", "--from-tree", "x", *more)
        assert (result.status, result.out) == (2, "")
        assert "/.git' is not writable" in result.err
        assert "hint: run bin/experiment outside of the sandbox" in result.err
    other_proc = ("bwrap", "--dev-bind", "/", "/", "--unshare-pid")  # as Claude Code has it
    for more in ([], ["--detach"]):
        result = based.call(*other_proc, "bin/experiment", "--from-tree", "x", *more)
        assert (result.status, result.out) == (2, "")
        assert "a sandbox hides this process in '/proc'" in result.err
        assert "hint: run bin/experiment outside of the sandbox" in result.err
    result = based.call(*BOX, *writable, "bin/experiment", "--from-tree", "x", CONFINE="no")
    assert result.out.startswith("#2 keep 0.900000"), "uv's cache, which is read only, is done without"
