"""bin/loop and bin/experiment: baseline, verdicts, rows, the branch; what they refuse; how they are stopped."""

import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest
from house import IMPROVE, TRAIN, House


def test_the_baseline_comes_first_and_unmodified(run: House) -> None:
    start = run.git("rev-parse", "HEAD")
    assert run.once(run.setting("0.99")).status == 0
    baseline, experiment = run.experiments()
    assert baseline["n"] == 1
    assert (baseline["description"], baseline["rule"], baseline["gain"]) == ("baseline", "baseline", None)
    assert run.git("diff", start, str(baseline["commit"])) == ""
    assert run.git("log", "-1", "--format=%s", str(baseline["commit"])) == "experiment: baseline"
    assert experiment["parent"] == baseline["commit"]
    assert run.rows()[0] == [str(baseline["commit"])[:7], "1.000000", "44.0", "keep", "baseline"]
    run.check_invariants()


def test_a_keep_advances_the_branch_and_a_discard_does_not(based: House) -> None:
    assert based.once(based.setting("0.9")).status == 0
    kept = based.git("rev-parse", "HEAD")
    assert based.git("log", "-1", "--format=%s") == "experiment: VALUE 0.9"
    assert based.once(based.setting("0.95")).status == 0
    assert based.git("rev-parse", "HEAD") == kept
    assert "VALUE = 0.9 " in (based.tree / "train.py").read_text()
    assert based.statuses() == ["keep", "keep", "discard"]
    discarded = based.experiments()[2]
    assert discarded["commit"] != discarded["parent"] == kept
    assert "VALUE = 0.95 " in based.git("show", f"{discarded['commit']}:train.py")
    based.check_invariants()


def test_every_experiment_outlives_gc(based: House) -> None:
    assert based.loop(3, based.setting("1.5")).status == 0
    based.git("reflog", "expire", "--expire=now", "--all")
    based.git("gc", "--quiet", "--prune=now")
    for one in based.experiments():
        assert based.git("cat-file", "-t", str(one["commit"])) == "commit"
    based.check_invariants()


def test_a_loop_adds_as_many_rows_as_it_is_told(based: House) -> None:
    assert based.loop(2, based.proposer(IMPROVE)).status == 0
    assert based.loop(1, based.proposer(IMPROVE)).status == 0
    assert based.statuses() == ["keep"] * 4
    based.check_invariants()


def test_equal_proposals_in_one_second_get_commits_of_their_own(based: House) -> None:
    assert based.loop(4, based.setting("1.5")).status == 0
    assert len({row[0] for row in based.rows()}) == 5
    based.check_invariants()


def test_in_a_pipe_there_is_one_line_an_experiment_and_no_training_output(run: House) -> None:
    result = run.loop(2, run.proposer(IMPROVE))
    assert result.out == ""
    lines = [line for line in result.err.splitlines() if line.startswith("#")]
    assert lines[:2] == ["#1 keep 1.000000  baseline", "#2 keep 0.990000 (gain +0.010000)  VALUE 1.0 -> 0.99"]
    assert "val_bpb" not in result.err
    assert "val_bpb:          0.980000" in (run.tree / "run.log").read_text()
    assert len(list((run.run_folder / "logs").iterdir())) == 3


def test_at_a_terminal_there_is_a_progress_line(house: House) -> None:
    steps = 'import time\nfor i in range(25):\n    print(f"\\rstep {i:05d} | loss: 1.5", end="", flush=True)\n'
    (house.tree / "train.py").write_text(f"{steps}    time.sleep(0.1)\nprint('\\nval_bpb: 1.0')\n")
    house.commit("slow")
    house.setup()
    seen = house.call("script", "--quiet", "--return", "--command", "bin/experiment", "/dev/null", AGENT="/bin/true")
    assert seen.status == 1
    assert re.search(r"running for 1 s, budget 300 s  step 000\d\d \| loss: 1.5", seen.out)
    assert "no proposal" in seen.out


# --- what is refused -------------------------------------------------------------------------------------------------


def refused(house: House, problem: str, verb: str = "bin/loop", status: int = 2, **settings: str) -> None:
    before = house.git("for-each-ref"), house.git("status", "--porcelain")
    result = house.call(verb, **{"MAX_EXPERIMENTS": "1", "AGENT": "/bin/true", **settings})
    assert result.status == status
    assert problem in result.err
    assert result.err.splitlines()[-1].startswith("hint: ")
    assert (house.git("for-each-ref"), house.git("status", "--porcelain")) == before


@pytest.mark.parametrize("verb", ["bin/loop", "bin/experiment", "bin/status", "bin/stop"])
def test_a_verb_without_a_run_is_refused(house: House, verb: str) -> None:
    refused(house, "no run is checked out", verb)


@pytest.mark.parametrize("tag", ["mar15", "", "../mar14", "found"])
def test_a_tag_that_no_run_has_is_refused_with_the_runs_that_there_are(run: House, tag: str) -> None:
    (run.tree / "runs/found").mkdir()
    refused(run, f"there is no run '{tag}'\nhint: name a run: TAG=mar14 make loop (", TAG=tag)


def test_a_run_without_a_manifest_is_refused(run: House) -> None:
    (run.run_folder / "manifest.json").unlink()
    refused(run, "the manifest of run 'mar14' was deleted")


@pytest.mark.parametrize("agent", ["./README.md", "/nowhere/at/all", "lib/proposers"])
def test_an_agent_that_cannot_be_run_is_refused(run: House, agent: str) -> None:
    refused(run, f"proposer '{agent}' is not an executable file\nhint: allow its execution: chmod +x ", AGENT=agent)


def test_an_unknown_agent_and_engine_are_refused_with_the_nearest(run: House) -> None:
    refused(run, "there is no proposer 'nobody'\nhint: choose one of: aider catalog ", AGENT="nobody")
    refused(run, "there is no proposer 'cluade': did you mean 'claude'?\nhint: choose one of: ", AGENT="cluade")
    refused(run, "there is no engine 'lcoal': did you mean 'local'?\nhint: choose one of: local", ENGINE="lcoal")


@pytest.mark.first_case
@pytest.mark.parametrize("name", ["MAX_EXPERIMENTS", "AGENT_TIMEOUT", "PROPOSAL_WAIT", "RUN_TIMEOUT", "SEED"])
@pytest.mark.parametrize("value", ["-1", "many", "1; true", ""])
def test_a_setting_that_cannot_be_is_refused(run: House, name: str, value: str) -> None:
    refused(run, f"lab: {name}: '{value}' is not", **{name: value})


def test_another_budget_or_another_prepare_is_refused_with_both_values(run: House) -> None:
    refused(run, "TIME_BUDGET is '20', but the run was set up with '300'", TIME_BUDGET="20")
    (run.tree / "prepare.py").write_text("# another one\n")
    run.commit("another prepare.py")
    refused(run, "prepare.py is '")
    run.git("reset", "--quiet", "--hard", "HEAD~")
    (run.tree / "prepare.py").write_text("# a third one, not committed\n")
    assert run.once("/bin/false").status == 1, "what is measured is what is committed"


@pytest.mark.parametrize("damage", ["abc\t1\n", "a1b2c3d\tnan\t0.0\tkeep\tx\n", "a1b2c3d\t0.5\t0.0\tkeep\tx\n"])
def test_a_damaged_ledger_is_refused(run: House, damage: str) -> None:
    with (run.run_folder / "results.tsv").open("a") as file:
        file.write(damage)
    refused(run, "results.tsv:2: ")
    assert (run.run_folder / "results.tsv").read_text().endswith(damage)


def test_a_foreign_row_is_never_deleted(based: House) -> None:
    assert based.once(based.setting("0.9")).status == 0
    with (based.run_folder / "results.tsv").open("a") as file:
        file.write("a1b2c3d\t0.850000\t0.0\tdiscard\tby hand\n")
    assert based.once(based.setting("0.8")).status == 0
    assert [row[4] for row in based.rows()] == ["baseline", "VALUE 0.9", "by hand", "VALUE 0.8"]
    assert "(written by hand)" in based.call("bin/status").out


def test_a_foreign_row_is_no_baseline(run: House) -> None:
    with (run.run_folder / "results.tsv").open("a") as file:
        file.write("a1b2c3d\t0.850000\t0.0\tdiscard\tby hand\n")
    assert run.once(run.setting("0.9")).status == 0
    assert [row[4] for row in run.rows()] == ["by hand", "baseline", "VALUE 0.9"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("train", "verbs"),
    [
        ("raise SystemExit(1)", ("bin/loop", "bin/experiment")),
        ("print('hello')", ("bin/loop",)),
        ("print('val_bpb: nan')", ("bin/experiment",)),
    ],
)
def test_a_baseline_that_crashes_ends_the_verb_without_a_row(tmp_path: Path, train: str, verbs: tuple[str]) -> None:
    house = House(tmp_path, train + "\n")
    mine = house.git("rev-parse", "HEAD")
    house.setup()
    for verb in verbs:
        result = house.call(verb)
        assert result.status == 2
        assert "the baseline crashed" in result.err
        assert house.rows() == []
        assert house.git("rev-parse", "HEAD") == mine
        house.check_invariants()
    assert (house.tree / "run.log").exists()


@pytest.mark.slow
def test_a_baseline_that_takes_too_long_is_told_how_to_get_more_time(tmp_path: Path) -> None:
    house = House(tmp_path, "import time; time.sleep(30)\n")
    house.setup(RUN_TIMEOUT="1")
    result = house.call("bin/loop")
    assert result.status == 2
    assert "the baseline crashed: 'timeout'\nhint: allow more than 1 s" in result.err
    assert result.err.endswith(": RUN_TIMEOUT=2 make loop\n")
    assert house.rows() == []
    house.check_invariants()


def test_a_second_loop_is_told_who_holds_the_tree(slow: House) -> None:
    slow.seconds.write_text("100")
    with slow.running("bin/loop", AGENT=str(slow.setting("0.9"))) as first:
        slow.wait_for("runs/mar14/flights/*/run.1/pid")
        for verb in ("bin/loop", "bin/experiment"):
            refused(slow, f"another loop holds this tree: 'pid {first.pid} since ", verb, status=75)
        refused(slow, "another loop holds this tree", "bin/setup", status=75, TAG="mar15")
        assert f"(pid {first.pid})" in slow.call("bin/status").out
        assert first.poll() is None, "nobody has waited for it"
        first.terminate()
        assert first.wait(20) == 143


@pytest.mark.slow
def test_two_trees_run_side_by_side(based: House, settled: House, tmp_path: Path) -> None:
    houses = based, settled.copy(tmp_path / "another")
    started = [one.start("bin/loop", MAX_EXPERIMENTS="2", AGENT=str(one.proposer(IMPROVE))) for one in houses]
    assert [process.wait(60) for process in started] == [0, 0]
    for one in houses:
        one.check_invariants()


# --- stopping --------------------------------------------------------------------------------------------------------


@pytest.mark.first_case
@pytest.mark.parametrize(("name", "status"), [("INT", 130), ("TERM", 143)])
def test_a_signal_stops_the_training_at_once_and_the_next_loop_goes_on(slow: House, name: str, status: int) -> None:
    with slow.running("bin/loop", MAX_EXPERIMENTS="1", AGENT=str(slow.setting("0.9"))) as process:
        slow.wait_for("runs/mar14/flights/*/run.1/pid")
        committed = (slow.flight / "commit").read_text().strip()
        process.send_signal(getattr(signal, f"SIG{name}"))
        assert process.wait(15) == status, "it does not wait for the training"
    assert slow.left_running() == []
    assert slow.statuses() == ["keep"]
    slow.seconds.write_text("0")
    assert slow.loop(1, slow.proposer("exit 1")).status == 0
    assert str(slow.experiments()[1]["commit"]) == committed, "a proposal that was committed is measured"
    slow.check_invariants()


def test_ctrl_c_in_a_terminal_reaches_the_whole_group(slow: House) -> None:
    with slow.running("bin/loop", AGENT=str(slow.setting("0.9"))) as process:
        slow.wait_for("runs/mar14/flights/*/run.1/pid")
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(15) == 130
    assert slow.left_running() == []


def test_a_stop_ends_the_proposer_too(based: House) -> None:
    with based.running(
        "bin/loop", AGENT=str(based.proposer("trap '' TERM; touch ~/started; sleep 60 & wait; sleep 60"))
    ) as process:
        based.wait_for("../home/started")
        process.terminate()
        assert process.wait(10) == 143
    assert based.left_running() == []
    assert based.scratch_copies() == []
    assert based.loop(1, based.setting("0.9")).status == 0
    based.check_invariants()


def test_a_closed_terminal_ends_nothing(slow: House) -> None:
    with slow.running("bin/loop", MAX_EXPERIMENTS="1", AGENT=str(slow.setting("0.5"))) as process:
        slow.wait_for("runs/mar14/flights/*/run.1/pid")
        os.killpg(process.pid, signal.SIGHUP)
        slow.seconds.write_text("0")
        assert process.wait(30) == 0
    assert slow.statuses() == ["keep", "keep"]
    slow.check_invariants()


def test_a_closed_terminal_ends_one_experiment_and_all_that_it_has_started(slow: House) -> None:
    """Nothing is lost: the next call goes on."""
    with slow.running("bin/experiment", AGENT=str(slow.setting("0.9"))) as process:
        slow.wait_for("runs/mar14/flights/*/run.1/pid")
        os.killpg(process.pid, signal.SIGHUP)
        assert process.wait(10) == 129
    assert slow.left_running() == []
    slow.seconds.write_text("0")
    assert slow.once("/bin/false").status == 0
    assert slow.statuses() == ["keep", "keep"]
    slow.check_invariants()


STUBBORN = """
import os, signal, subprocess, sys, time
if VALUE != 1.0:
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"], start_new_session=True)
    open(os.path.expanduser("~/trains"), "w").close()
    time.sleep(300)
"""


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM])
def test_whoever_ends_an_experiment_ends_a_training_that_heeds_no_signal(tmp_path: Path, number: int) -> None:
    """A terminal that is closed, or a kill, to all of the group at once."""
    house = House(tmp_path, TRAIN + STUBBORN)
    house.setup()
    house.baseline()
    with house.running("bin/experiment", AGENT=str(house.setting("0.9"))) as process:
        house.wait_for("../home/trains")
        os.killpg(process.pid, number)
        assert process.wait(15) == 128 + number
    assert house.left_running() == []


def test_make_stop_ends_the_loop_after_the_experiment_in_flight(slow: House) -> None:
    assert "no loop is running" in slow.call("bin/stop").err
    with slow.running("bin/loop", AGENT=str(slow.setting("0.9"))) as process:
        slow.wait_for("runs/mar14/flights/*/run.1/pid")
        assert slow.call("make", "stop").status == 0
        slow.seconds.write_text("0")
        assert process.wait(30) == 0
    assert slow.statuses() == ["keep", "keep"]
    slow.check_invariants()
    assert slow.loop(1, slow.setting("0.8")).status == 0, "an old wish to stop is not heard by a new loop"


LOOKS = """\
import os, time, sys
KNOWN = "--check" in sys.argv
open(os.path.expanduser("~/looks"), "w").close()
while os.path.exists(os.path.expanduser("~/wait")):
    time.sleep(0.05)
"""


def test_a_stop_is_heard_by_a_loop_that_is_about_to_begin(house: House) -> None:
    """It looks at the data still."""
    looks, wait = (house.outside / "home" / name for name in ("looks", "wait"))
    (house.tree / "prepare.py").write_text(LOOKS)
    house.commit("a prepare.py that takes a while")
    house.setup()
    looks.unlink()
    wait.touch()
    with house.running("bin/loop", AGENT="/bin/false") as process:
        house.wait_for("../home/looks")
        assert "the loop ends after" in house.call("bin/stop").err
        wait.unlink()
        assert process.wait(20) == 0
    assert house.rows() == []
    assert not (house.run_folder / "wanted").exists()


# --- the proposer fails ----------------------------------------------------------------------------------------------

FAILS = ("exit 0", "exit 75", "sleep 60", "kill -9 $$")  # it says and does nothing; not now; it never ends; it crashes


@pytest.mark.slow
def test_failed_proposals_leave_no_row_and_the_loop_goes_on(based: House) -> None:
    nothing, not_now, hangs, crashes = FAILS
    result = based.loop(2, based.in_turn(nothing, not_now, IMPROVE, hangs, crashes, IMPROVE), AGENT_TIMEOUT="3")
    assert result.status == 0
    assert result.err.count("no proposal from 'proposer'") == 4
    assert based.statuses() == ["keep", "keep", "keep"]
    based.check_invariants()
    for fails in FAILS:
        assert based.once(based.proposer(fails), AGENT_TIMEOUT="3").status == 1
        assert based.statuses() == ["keep", "keep", "keep"]
        based.check_invariants()


@pytest.mark.slow
def test_after_three_failures_the_catalog_proposes_one_and_then_the_agent_is_asked_again(based: House) -> None:
    calls = based.outside / "calls"
    result = based.loop(2, based.proposer(f"echo >>{calls}; [[ $(wc -l <{calls}) -lt 5 ]] || {{ {IMPROVE}; }}"))
    assert result.status == 0
    assert [one["agent"] for one in based.experiments()] == ["baseline", "catalog", "proposer"]
    assert calls.read_text().count("\n") == 5
    based.check_invariants()


def test_waits_double(based: House) -> None:
    calls = based.outside / "calls"
    agent = based.proposer(f"echo >>{calls}; [[ $(wc -l <{calls}) -lt 3 ]] || {{ {IMPROVE}; }}")
    result = based.loop(1, agent, PROPOSAL_WAIT="1")
    waits = [line for line in result.err.splitlines() if line.startswith("asking the proposer again")]
    assert waits == ["asking the proposer again in 1 s", "asking the proposer again in 2 s"]


# --- a step sends the experiment back --------------------------------------------------------------------------------


def test_a_step_may_send_the_experiment_back_and_each_attempt_is_counted(house: House) -> None:
    house.add_step(
        "35-again",
        "# Reads nothing; writes nothing. Twice back to the run, then on.\n"
        'source "${BASH_SOURCE[0]%/*}/../../common.sh"\nread -r _ attempt <"$FLIGHT/done"\n'
        "if ((attempt < 3)); then\n  printf 'some word\\nagain 30\\n'\nfi\n",
    )
    house.setup()
    assert house.once(house.setting("0.9")).status == 0
    assert [one["attempts"] for one in house.experiments()] == [3, 3]
    assert len(list((house.run_folder / "logs").iterdir())) == 6, "every run's log is kept"
    house.check_invariants()


def test_a_step_may_go_on_with_a_later_one_and_what_is_between_is_not_run(house: House) -> None:
    house.add_step("33-ahead", "# Reads and writes nothing.\nprintf 'on 37\\n'\n")
    for name in ("35-between", "37-there"):
        house.add_step(name, "# Reads nothing; writes RUN/done.\necho ${0##*/} >>$RUN/done\n")
    house.setup()
    assert house.loop(1, house.setting("0.9")).status == 0
    assert (house.run_folder / "done").read_text() == "37-there\n" * 2, "the baseline, and one experiment"
    assert house.statuses() == ["keep", "keep"]
    house.check_invariants()


@pytest.mark.slow
def test_a_step_that_breaks_ends_the_loop_with_2_and_is_done_again(house: House) -> None:
    house.add_step("35-broken", "# Reads RUN/broken; writes nothing.\n[[ ! -e $RUN/broken ]]\n")
    house.setup()
    (house.run_folder / "broken").write_text("")
    assert house.loop(1, house.setting("0.9")).status == 2
    assert house.rows() == []
    (house.run_folder / "broken").unlink()
    assert house.loop(1, house.setting("0.9")).status == 0
    assert house.statuses() == ["keep", "keep"]
    house.check_invariants()


# --- files that are not the experiment's -----------------------------------------------------------------------------


@pytest.mark.slow
def test_a_persons_work_is_byte_for_byte_as_it_was_after_a_night(house: House) -> None:
    """Untracked and ignored files, a branch, a stash, hooks, a submodule; keeps, discards, crashes, a rejection."""
    other = house.outside / "library"
    other.mkdir()
    house.git("init", "--quiet", str(other))
    house.git("-C", str(other), "commit", "--quiet", "--allow-empty", "-m", "one")
    house.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(other), "library")
    house.commit("a submodule")
    house.setup()
    house.git("branch", "mine")
    (house.tree / "README.md").write_text("half an idea\n")
    house.git("stash", "--quiet")
    hook = house.tree / ".git/hooks/pre-commit"
    for name in ("pre-commit", "post-commit", "post-checkout", "reference-transaction", "post-index-change"):
        hook.with_name(name).write_text(f"#!/bin/sh\ntouch {house.outside}/hook-{name}\n")
        hook.with_name(name).chmod(0o755)
    (house.tree / "notes").mkdir()
    (house.tree / "notes/idea.txt").write_text("untracked\n")
    (house.tree / "library/mine.txt").write_text("untracked in the submodule\n")
    (house.tree / "runs/mine.log").write_text("ignored\n")

    def mine() -> list[str]:
        files = ("notes/idea.txt", "library/mine.txt", "runs/mine.log", "README.md", ".git/hooks/pre-commit")
        refs = house.git("for-each-ref", "refs/heads/mine", "refs/heads/main", "refs/stash")
        state = house.git("stash", "list"), house.git("submodule", "status"), house.git("config", "--list", "--local")
        return [*((house.tree / name).read_text() for name in files), refs, *state]

    before = mine()
    n = house.outside / "n"
    value = "sed -i 's/^VALUE = [^ ]*/VALUE = {}/' train.py"
    ideas = f"0) {value.format(0.9)} ;; 1) echo 'raise ValueError' >>train.py ;; "
    ideas += f"2) echo '# mine' >>README.md ;; *) {value.format(1.5)} ;; "
    count = f"n=$(cat {n} 2>/dev/null || echo 0); [[ $LAB_MODE == propose ]] || exit; echo $((n + 1)) >{n}"
    agent = house.proposer(f"{count}; case $n in {ideas}esac")
    assert house.loop(4, agent).status == 0
    assert [one["failure"] for one in house.experiments()] == [None, None, "error", "rejected", None]
    assert mine() == before
    assert house.git("status", "--porcelain", "--ignore-submodules=untracked") == "?? notes/"


# --- killed ----------------------------------------------------------------------------------------------------------


def test_kill_9_of_the_loop_alone_ends_the_training(slow: House) -> None:
    with slow.running("bin/loop", AGENT=str(slow.setting("0.9"))) as process:
        slow.wait_for("runs/mar14/flights/*/run.1/pid")
        process.kill()
        process.wait()
        deadline = time.monotonic() + 18
        while slow.left_running():
            assert time.monotonic() < deadline, slow.left_running()
            time.sleep(0.1)


def test_an_orphaned_trainer_is_ended_before_a_new_loop_starts(slow: House) -> None:
    with slow.running("bin/loop", AGENT=str(slow.setting("0.9"))) as process:
        slow.wait_for("runs/mar14/flights/*/run.1/pid")
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    orphan = subprocess.Popen(["sleep", "60"], env={"LAB_TREE": str(slow.tree), "PATH": os.environ["PATH"]})
    slow.seconds.write_text("0")
    assert slow.loop(1, slow.setting("0.5")).status == 0
    assert orphan.wait(10) == -signal.SIGTERM
    slow.check_invariants()


def test_a_power_cut_costs_a_training_run_but_no_proposal(slow: House) -> None:
    """What was not synced is gone, or torn; and the machine has another boot id."""
    with slow.running("bin/loop", AGENT=str(slow.setting("0.9"))) as process:
        slow.wait_for("runs/mar14/flights/*/run.1/pid")
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    flight = slow.flight
    committed = (flight / "commit").read_text().strip()
    (flight / "boot").write_text("another\n")
    (flight / "done").write_text("attempt 1\n10-propose\n20-commit\n30-run\n40-measure\n")
    (flight / "run.1/rc").write_text("")
    (flight / "measure.json").write_text("")
    slow.seconds.write_text("0")
    assert slow.once("/bin/false").status == 0
    assert [one["commit"] for one in slow.experiments()][1:] == [committed]
    slow.check_invariants()


@pytest.mark.first_case
@pytest.mark.parametrize("kept", [0, 20])
def test_a_power_cut_before_the_commit_is_synced_leaves_no_experiment(based: House, kept: int) -> None:
    """Of the name of a commit half may be left, which git takes for the whole."""
    assert based.once(based.setting("0.9")).status == 0
    flight = based.flight
    flight.mkdir()
    for name in ("done", "boot", "parent"):
        (flight / name).write_text("")
    (flight / "commit").write_text(based.git("rev-parse", "HEAD")[:kept])
    assert based.once(based.setting("0.8")).status == 0
    assert based.statuses() == ["keep"] * 3
    based.check_invariants()


def test_a_torn_row_is_set_aside_and_the_loop_goes_on(based: House) -> None:
    assert based.once(based.setting("0.9")).status == 0
    for name in ("results.tsv", "experiments.jsonl"):
        with (based.run_folder / name).open("a") as file:
            file.write("a1b2c3d\t0.9")
    assert based.once(based.setting("0.8")).status == 0
    assert based.statuses() == ["keep"] * 3
    assert (based.run_folder / "results.tsv.torn").read_text() == "a1b2c3d\t0.9\n"
    based.check_invariants()
