"""bin/keepalive starts a loop again that died: only one that is wanted, with what it had."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from house import IMPROVE, House


def is_wanted(house: House) -> bool:
    return (house.run_folder / "wanted").exists()


def in_flight(house: House) -> None:
    house.wait_for("runs/mar14/flights/*/run.1/pid")


def killed(house: House, agent: Path, **settings: str) -> None:
    """A loop of which nothing is left, in the middle of a training run."""
    with house.running("bin/loop", AGENT=str(agent), **settings) as process:
        in_flight(house)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def look(house: House, **settings: str) -> str:
    """One call of keepalive, in the environment that cron has; what it says."""
    bare = {"HOME": house.environment["HOME"], "LOGNAME": "me", "PATH": "/usr/bin:/bin", "SHELL": "/bin/sh", **settings}
    done = subprocess.run(
        [house.tree / "bin/keepalive"], cwd="/", env=bare, capture_output=True, text=True, timeout=30, check=False
    )
    print(done)
    assert done.returncode == 0
    return done.stdout + done.stderr


def settled(house: House, rows: int, seconds: float = 30) -> None:
    """Wait until there are so many rows, and no loop is at work any more."""
    deadline = time.monotonic() + seconds
    while len(house.rows()) < rows or "loop      running" in house.call("bin/status").out:
        assert time.monotonic() < deadline, (house.run_folder / "keepalive.log").read_text()
        time.sleep(0.2)


# --- what is wanted --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "wanted"), [("INT", False), ("TERM", True), ("KILL", True)])
def test_ctrl_c_is_a_persons_and_what_else_ends_a_loop_is_not(slow: House, name: str, wanted: bool) -> None:
    with slow.running("bin/loop", AGENT=str(slow.setting("0.9"))) as process:
        in_flight(slow)
        assert is_wanted(slow)
        os.killpg(process.pid, getattr(signal, f"SIG{name}"))
        process.wait(10)
    assert is_wanted(slow) == wanted


def test_a_loop_that_has_its_rows_is_not_wanted_any_more(run: House) -> None:
    assert run.loop(1, run.setting("0.9")).status == 0
    assert not is_wanted(run)
    assert look(run) == ""
    assert len(run.rows()) == 2


def test_make_stop_is_heard_though_the_loop_is_dead(slow: House) -> None:
    killed(slow, slow.setting("0.9"))
    assert "one that died will not be restarted" in slow.call("bin/stop").err
    assert look(slow) == ""
    assert "not running; start it: make loop" in slow.call("bin/status").out


def test_a_baseline_that_crashes_is_not_tried_again_all_night(house: House) -> None:
    (house.tree / "train.py").write_text("raise SystemExit(1)\n")
    house.commit("broken")
    house.setup()
    assert house.call("bin/loop").status == 2
    assert not is_wanted(house)


# --- started again ---------------------------------------------------------------------------------------------------


def test_a_dead_loop_is_started_again_with_all_that_it_had(slow: House) -> None:
    seen = slow.outside / "seen"
    agent = slow.proposer(f'env | grep -E "^(HOME|PATH|AGENT_TIMEOUT)=" >{seen}\n{IMPROVE}', "my agent")
    path = f"{slow.outside}:{slow.environment['PATH']}"
    killed(slow, agent, MAX_EXPERIMENTS="2", AGENT_TIMEOUT="77", PATH=path)
    committed = (slow.flight / "commit").read_text().strip()
    slow.seconds.write_text("0")
    seen.unlink()
    assert look(slow) == "the loop died: restarting it\n"
    settled(slow, 3)
    assert slow.statuses() == ["keep"] * 3, "two rows, of which the first was in flight"
    assert str(slow.experiments()[1]["commit"]) == committed, "a proposal that was committed is measured"
    assert {one["agent"] for one in slow.experiments()[1:]} == {"my agent"}
    assert f"PATH={path}" in seen.read_text()
    assert "AGENT_TIMEOUT=77" in seen.read_text()
    assert not is_wanted(slow)
    assert look(slow) == ""
    slow.check_invariants()


def test_a_loop_that_is_at_work_is_let_alone(slow: House) -> None:
    with slow.running("bin/loop", AGENT=str(slow.setting("0.9"))) as process:
        in_flight(slow)
        assert look(slow) == ""
        assert process.poll() is None


def test_it_is_started_again_from_any_branch_and_from_its_own_copy_of_the_toolkit(slow: House) -> None:
    """What a person does to the tree, its toolkit included, is theirs."""
    killed(slow, slow.setting("0.9"), MAX_EXPERIMENTS="1")
    slow.git("checkout", "-q", "main")
    for name in ("experiment/dispatch", "experiment/scheduler.sh", "lab/step_server.py"):
        (slow.tree / "lib" / name).write_text("exit 9 # half an edit\n")
    (slow.tree / "bin/loop").unlink()
    (slow.tree / "train.py").write_text("# my idea\n")
    slow.seconds.write_text("0")
    assert look(slow) == "the loop died: restarting it\n"
    settled(slow, 2)
    assert slow.statuses() == ["keep", "keep"]
    assert (slow.tree / "train.py").read_text() == "# my idea\n"
    assert slow.git("branch", "--show-current") == "main"
    slow.git("checkout", "-q", "--force", "autoresearch/mar14")
    slow.check_invariants()


def torn(toolkit: Path) -> None:
    """As a power cut may leave what nobody has synced."""
    (path,) = toolkit.glob("*/bin/loop")
    path.write_text("")


@pytest.mark.parametrize("damage", [shutil.rmtree, torn])
def test_where_its_copy_is_gone_it_is_started_from_the_tree(slow: House, damage: Callable[[Path], None]) -> None:
    killed(slow, slow.setting("0.9"), MAX_EXPERIMENTS="1")
    damage(slow.run_folder / "toolkit")
    slow.seconds.write_text("0")
    assert look(slow) == "the loop died: restarting it\n"
    settled(slow, 2)
    slow.check_invariants()


def test_a_flight_is_no_reason_to_look_after_a_run_that_nobody_wants(slow: House) -> None:
    with slow.running("bin/experiment", AGENT=str(slow.setting("0.9"))) as process:
        in_flight(slow)
        os.killpg(process.pid, signal.SIGKILL)
    assert look(slow) == ""


def started(house: House, minutes: float) -> None:
    """As if the last start had been so many minutes ago."""
    path = house.run_folder / "restarts"
    times, _, rows = path.read_text().split()
    path.write_text(f"{times} {int(time.time() - 60 * minutes)} {rows}\n")


def refused(house: House, times: int, seconds: float = 30) -> None:
    """Wait until so many loops have refused the keys."""
    log, deadline = house.run_folder / "keepalive.log", time.monotonic() + seconds
    while (log.read_text() if log.exists() else "").count("line 1 of '.env'") < times or house.left_running():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_starts_that_bring_no_row_are_spaced_out(slow: House) -> None:
    """At once, after a minute, after two more; the next one after four."""
    killed(slow, slow.setting("0.9"))
    keys(slow, "KEY: none\n")
    for times, minutes in enumerate((0, 1, 2), start=1):
        if minutes:
            started(slow, minutes - 0.5)
            assert look(slow) == ""
            started(slow, minutes)
        assert look(slow) != ""
        refused(slow, times)
    started(slow, 3.5)
    assert look(slow) == ""
    status = slow.call("bin/status").out
    assert "the loop is not running, but it should be: started 3 times without a row" in status
    assert "loop: line 1 of '.env' is not NAME=value" in status
    (slow.tree / ".env").unlink()
    slow.seconds.write_text("0")
    started(slow, 4)
    assert look(slow) != ""
    slow.wait_for("runs/mar14/alive")
    deadline = time.monotonic() + 20
    while len(slow.rows()) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert slow.call("bin/stop").status == 0
    settled(slow, 2)


def test_a_start_in_the_future_was_before_the_clock_was_set_back(slow: House) -> None:
    killed(slow, slow.setting("0.9"), MAX_EXPERIMENTS="1")
    (slow.run_folder / "restarts").write_text(f"4 {int(time.time()) + 7200} {len(slow.rows()) - 1}\n")
    slow.seconds.write_text("0")
    assert look(slow) != ""
    settled(slow, 2)


def test_a_loop_that_hangs_though_its_last_sign_is_of_the_future_is_ended(slow: House) -> None:
    """The looks count, and there is no time of day that one could rely on."""
    settings = {"RUN_TIMEOUT": "20", "AGENT_TIMEOUT": "20"}
    with slow.running("bin/loop", AGENT=str(slow.proposer(IMPROVE)), MAX_EXPERIMENTS="1", **settings) as process:
        in_flight(slow)
        os.killpg(process.pid, signal.SIGSTOP)
        os.utime(slow.run_folder / "alive", (time.time() + 7200,) * 2)
        assert [look(slow) for _ in range(5)] == [""] * 5
        assert "the loop hangs" in look(slow)
        process.wait(5)
    slow.seconds.write_text("0")
    settled(slow, 2, 40)


def test_a_loop_that_hangs_is_ended_and_started_again(slow: House) -> None:
    """No step may take longer than its timeout and five minutes: of looks, and of the clock."""
    settings = {"RUN_TIMEOUT": "20", "AGENT_TIMEOUT": "20"}
    with slow.running("bin/loop", AGENT=str(slow.proposer(IMPROVE)), MAX_EXPERIMENTS="1", **settings) as process:
        in_flight(slow)
        os.killpg(process.pid, signal.SIGSTOP)
        alive = slow.run_folder / "alive"
        assert [look(slow) for _ in range(7)] == [""] * 7, "by the clock it does not hang"
        os.utime(alive, (time.time() - 1000,) * 2)
        assert [look(slow) for _ in range(5)] == [""] * 5, "a machine that was asleep has not looked"
        assert "the loop hangs" in look(slow)
        process.wait(5)
    slow.seconds.write_text("0")
    settled(slow, 2, 40)
    slow.check_invariants()


# --- keys ------------------------------------------------------------------------------------------------------------

SECRET = "sk-" + "0123456789"


def keys(house: House, text: str = f"ANTHROPIC_API_KEY={SECRET}\n", mode: int = 0o600) -> None:
    path = house.tree / ".env"
    path.write_text(text)
    path.chmod(mode)


def test_keys_reach_the_proposer_and_nothing_else(slow: House) -> None:
    seen = slow.outside / "seen"
    keys(slow, f"# mine\n\nexport ANTHROPIC_API_KEY='{SECRET}'\n")
    agent = slow.proposer(f"echo $ANTHROPIC_API_KEY >{seen}\n{IMPROVE}")
    slow.seconds.write_text("0")
    assert slow.loop(1, agent).status == 0
    assert seen.read_text().strip() == SECRET
    found = subprocess.run(["grep", "-rlF", SECRET, slow.tree], capture_output=True, text=True, check=False).stdout
    assert found.split() == [str(slow.tree / ".env")]
    slow.check_invariants()


@pytest.mark.parametrize(
    ("text", "mode", "problem"),
    [
        (f"KEY={SECRET}\n", 0o644, "'.env' holds keys, but other users can read it, or it is a link"),
        (f"KEY: {SECRET}\n", 0o600, "line 1 of '.env' is not NAME=value"),
    ],
)
def test_keys_that_others_can_read_are_refused(run: House, text: str, mode: int, problem: str) -> None:
    keys(run, text, mode)
    result = run.loop(1, run.setting("0.9"))
    assert result.status == 2
    assert problem in result.err
    assert SECRET not in result.err
    assert not is_wanted(run)


def test_a_key_of_the_environment_is_not_written_down(slow: House) -> None:
    killed(
        slow, slow.setting("0.9"), ANTHROPIC_API_KEY=SECRET, OPENAI_API_KEY=SECRET, HTTPS_PROXY=f"http://me:{SECRET}@x"
    )
    assert SECRET not in (slow.run_folder / "wanted").read_text()
