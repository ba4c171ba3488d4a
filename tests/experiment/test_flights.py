"""Several experiments in the air: side by side, one verdict after the other, and whatever ends in between goes on."""

import glob
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from house import House, shared
from rehearsal import processes

# The metric is VALUE less four gains, each in lines of its own, which merge. A training notes its begin and its end in
# ~/spans; it does not end before ~/together have begun, nor while ~/wait is there.
TRAIN = """\
import os, time
VALUE = 1.0

A = 0.0

B = 0.0

C = 0.0

D = 0.0

def home(name): return os.path.expanduser("~/" + name)
def number(name): return int(open(home(name)).read() or 0)
def note(word): open(home("spans"), "a").write(f"{word} {os.path.basename(os.getcwd())}\\n")

note("begin")
while os.path.exists(home("wait")) or open(home("spans")).read().count("begin") < number("together"):
    time.sleep(0.02)
time.sleep(number("seconds"))
note("end")
print(f"val_bpb: {VALUE - A - B - C - D:.6f}")
"""

# A number that no other call has: calls come side by side.
NTH = "n=1; until mkdir ~/call.$n 2>/dev/null; do n=$((n + 1)); done\n"


def many_house(folder: Path) -> House:
    house = House(folder, TRAIN)
    (house.outside / "home/spans").touch()
    together(house, 0)
    house.setup()
    house.baseline()
    (house.outside / "home/spans").write_text("")
    return house


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> House:
    return shared(tmp_path_factory, "many", many_house)


@pytest.fixture
def many(made: House, tmp_path: Path) -> House:
    """A run with its baseline, whose trainings wait for one another."""
    return made.copy(tmp_path)


def together(house: House, number: int) -> None:
    (house.outside / "home/together").write_text(str(number))


def spans(house: House) -> list[tuple[str, str]]:
    """`begin` or `end`, and in which slot."""
    lines = (house.outside / "home/spans").read_text().splitlines()
    return [(word, slot) for word, slot in (line.split() for line in lines)]


def most_at_once(house: House) -> int:
    most = now = 0
    for word, _ in spans(house):
        now += 1 if word == "begin" else -1
        most = max(most, now)
    return most


def calls(house: House, *scripts: str) -> Path:
    """A proposer whose n-th call does the n-th of these, and the last one from then on."""
    cases = "".join(f"{n}) {script} ;;\n" for n, script in enumerate(scripts[:-1], start=1))
    return house.proposer(f"{NTH}case $n in\n{cases}*) {scripts[-1]} ;;\nesac")


def sets(name: str, value: str) -> str:
    """A proposal; $n is the number of the call."""
    return f'sed -i "s/^{name} = .*/{name} = {value}/" train.py; echo "{name} {value}"'


WORSE = sets("VALUE", "1.$((n + 1))")  # each another one


def by_description(house: House) -> dict[str, dict[str, object]]:
    found = {str(one["description"]): one for one in house.experiments()[1:]}
    assert len(found) == len(house.experiments()) - 1
    return found


def until(holds: Callable[[], object], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def in_training(house: House, number: int) -> None:
    """Wait until so many train."""
    until(lambda: sum(1 if word == "begin" else -1 for word, _ in spans(house)) == number)


def committed(house: House) -> set[str]:
    return {Path(path).read_text().strip() for path in glob.glob(f"{house.run_folder}/flights/f*/commit")}


def kill_all(house: House, process: subprocess.Popen[bytes]) -> None:
    """kill -9 of a loop and of all that it has started."""
    for pid in (process.pid, *processes.under_loop(house.tree)):
        processes.kill(pid)
    until(lambda: not house.left_running())


def told(house: House) -> str:
    return (house.run_folder / "loop.log").read_text()


# --- side by side ----------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_as_many_train_at_once_as_there_are_slots_and_each_is_one_row(many: House) -> None:
    """Also where there are more rows to come than slots; and never more than that."""
    together(many, 4)
    assert many.loop(6, calls(many, WORSE), SLOTS="4").status == 0
    assert most_at_once(many) == 4
    assert {slot for _, slot in spans(many)} == {"0", "1", "2", "3"}
    assert many.statuses() == ["keep", *["discard"] * 6]
    assert len(spans(many)) == 2 * 6, "no training too many"
    assert len(by_description(many)) == 6
    assert "4 at a time" in told(many)
    many.check_invariants()


@pytest.mark.slow
def test_no_more_begin_than_rows_are_missing(many: House) -> None:
    together(many, 2)
    agent = calls(many, WORSE)
    assert many.loop(2, agent, SLOTS="4").status == 0
    assert len(list((many.outside / "home").glob("call.*"))) == 2
    assert many.loop(1, agent, SLOTS="4").status == 0
    assert len(many.rows()) == 4
    many.check_invariants()


@pytest.mark.slow
def test_before_there_is_a_baseline_nothing_else_is_in_the_air(tmp_path: Path) -> None:
    house = House(tmp_path, TRAIN)
    (house.outside / "home/spans").touch()
    together(house, 0)
    house.setup()
    assert house.loop(3, calls(house, WORSE), SLOTS="4").status == 0
    assert spans(house)[:2] == [("begin", "0"), ("end", "0")]
    assert house.rows()[0][4] == "baseline"
    assert len(house.rows()) == 4
    house.check_invariants()


@pytest.mark.slow
def test_the_catalog_has_no_idea_twice_in_the_air(many: House) -> None:
    together(many, 4)
    assert many.loop(4, "catalog", SLOTS="4").status == 0
    assert len(by_description(many)) == 4
    many.check_invariants()


@pytest.mark.slow
def test_failures_of_a_proposer_are_counted_for_the_whole_run_and_one_asks_alone_after_them(many: House) -> None:
    """Two calls fail side by side; from then on there is one at a time, until one works."""
    alone = "mkdir ~/asks || touch ~/not-alone; sleep 0.3; rmdir ~/asks;"
    agent = calls(many, *["sleep 1; exit 1"] * 2, *[f"{alone} exit 1"] * 2, *[f"{alone} {WORSE}"], WORSE)
    assert many.loop(3, agent, SLOTS="2").status == 0
    assert not (many.outside / "home/not-alone").exists()
    assert told(many).count("no proposal from 'proposer': it changed nothing") == 4
    assert [one["agent"] for one in many.experiments()].count("catalog") == 1, "after three in a row, once"
    assert len(many.rows()) == 4
    many.check_invariants()


# --- one incumbent after the other -----------------------------------------------------------------------------------


def test_of_two_that_are_better_the_second_is_measured_again_on_top_of_the_first(many: House) -> None:
    together(many, 2)
    assert many.loop(2, calls(many, sets("A", "0.05"), sets("C", "0.07")), SLOTS="2").status == 0
    baseline, first, second = many.experiments()
    assert [one["status"] for one in (first, second)] == ["keep", "keep"]
    assert (first["parent"], first.get("carried_from", [])) == (baseline["commit"], [])
    assert (second["parent"], second["incumbent_bpb"]) == (first["commit"], first["val_bpb"])
    assert second["val_bpb"] == pytest.approx(1 - 0.05 - 0.07)
    assert (second["lines_added"], second["lines_removed"]) == (1, 1), "against its new parent"
    (before,) = second["carried_from"]  # type: ignore[misc]
    assert many.git("rev-parse", f"{before}^") == baseline["commit"]
    assert len(spans(many)) == 2 * 3
    assert len(second["runs"]) == 1, "what was measured on the earlier incumbent is no evidence"  # type: ignore[arg-type]
    text = (many.tree / "train.py").read_text()
    assert "A = 0.05" in text
    assert "C = 0.07" in text
    assert "carried over to the new incumbent" in told(many)
    many.check_invariants()


@pytest.mark.slow
def test_what_gains_nothing_more_on_top_of_the_first_is_not_kept(many: House) -> None:
    """As a second way to the same gain: here the metric is VALUE, for two lines that say the same."""
    text = TRAIN.replace("VALUE - A - B - C - D", "VALUE - max(A, C)")
    (many.tree / "train.py").write_text(text)
    many.commit("an overlap")
    many.setup(TAG="mar15", FROM="HEAD")
    many.environment["TAG"] = "mar15"
    together(many, 0)
    assert many.once("/bin/false").status == 1
    (many.outside / "home/spans").write_text("")
    together(many, 2)
    assert many.loop(2, calls(many, sets("A", "0.05"), sets("C", "0.05")), SLOTS="2").status == 0
    lines = (many.tree / "runs/mar15/results.tsv").read_text().splitlines()
    assert [line.split("\t")[3] for line in lines[1:]] == ["keep", "keep", "discard"]
    assert "carried_from" in (many.tree / "runs/mar15/experiments.jsonl").read_text().splitlines()[-1]


def test_of_two_that_change_the_same_line_the_second_conflicts(many: House) -> None:
    """It was better than what it was made on; it is a discard that says why, and its commit stays."""
    together(many, 2)
    assert many.loop(2, calls(many, sets("VALUE", "0.9"), sets("VALUE", "0.8")), SLOTS="2").status == 0
    baseline, first, second = many.experiments()
    assert (first["status"], second["status"], second["rule"]) == ("keep", "discard", "conflict")
    assert f"it changes the same lines as a later keep, {str(first['commit'])[:7]}" in str(second["reason"])
    assert (second["parent"], second["incumbent_bpb"]) == (baseline["commit"], 1.0), "what it was measured against"
    assert len(spans(many)) == 2 * 2
    many.check_invariants()


def test_what_is_in_the_air_is_not_tried_twice(many: House) -> None:
    """However it is written: what counts is the code."""
    together(many, 2)
    again = "sleep 1; sed -i 's/^VALUE = .*/VALUE = (0.9)  # again/' train.py; echo again"
    assert many.loop(2, calls(many, sets("VALUE", "0.9"), again, sets("A", "0.05")), SLOTS="2").status == 0
    assert sorted(str(one["description"]) for one in many.experiments()[1:]) == ["A 0.05", "VALUE 0.9"]
    assert re.search(r"skipped: experiment 'f\d' in flight has the same code: 'again'", told(many))
    many.check_invariants()


def test_what_could_not_be_kept_on_its_own_parent_is_not_measured_again(many: House) -> None:
    together(many, 2)
    assert many.loop(2, calls(many, sets("A", "0.05"), sets("C", "-0.07")), SLOTS="2").status == 0
    worse = by_description(many)["C -0.07"]
    assert (worse["status"], worse["rule"], worse["val_bpb"]) == ("discard", "worse", pytest.approx(1.07))
    assert not worse.get("carried_from")
    assert len(spans(many)) == 2 * 2
    many.check_invariants()


def test_a_change_that_is_not_trained_yet_is_carried_over_before_it_is(many: House) -> None:
    """While its proposer thinks, another one is kept: it is made on that, without a word, and trains once."""
    together(many, 0)
    slow = f"until grep -q 'A 0.05' {many.run_folder}/results.tsv; do sleep 0.1; done; {sets('C', '0.07')}"
    agent = calls(many, f"sleep 1; {sets('A', '0.05')}", slow)
    assert many.loop(2, agent, SLOTS="2", CONFINE="no").status == 0  # it waits for a row
    first, second = many.experiments()[1:]
    assert (first["description"], second["description"]) == ("A 0.05", "C 0.07")
    assert (second["status"], second["parent"], second.get("carried_from", [])) == ("keep", first["commit"], [])
    assert len(spans(many)) == 2 * 2
    many.check_invariants()


def test_a_proposal_that_conflicts_before_it_trains_is_dropped_and_replaced(many: House) -> None:
    """Without a row, and without a training: the rows that were asked for come all the same."""
    together(many, 0)
    slow = f"until grep -q 'VALUE 0.9' {many.run_folder}/results.tsv; do sleep 0.1; done; {sets('VALUE', '0.8')}"
    agent = calls(many, f"sleep 1; {sets('VALUE', '0.9')}", slow, sets("A", "-0.5"))
    assert many.loop(2, agent, SLOTS="2", CONFINE="no").status == 0  # it waits for a row
    assert many.statuses() == ["keep", "keep", "discard"]
    assert "dropped: it changes the same lines as a later keep" in told(many)
    assert "VALUE 0.8" in told(many)
    assert len(spans(many)) == 2 * 2
    many.check_invariants()


# --- stopped and killed ----------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_make_stop_ends_the_loop_after_all_that_are_in_the_air(many: House) -> None:
    (many.outside / "home/wait").touch()
    with many.running("bin/loop", AGENT=str(calls(many, WORSE)), SLOTS="4") as process:
        in_training(many, 4)
        assert many.call("bin/stop").status == 0
        time.sleep(1)
        assert process.poll() is None
        (many.outside / "home/wait").unlink()
        assert process.wait(30) == 0
    assert many.statuses() == ["keep", *["discard"] * 4]
    assert len(list((many.outside / "home").glob("call.*"))) == 4, "nobody is asked any more"
    many.check_invariants()


@pytest.mark.first_case
@pytest.mark.parametrize("name", ["INT", "TERM"])
def test_a_signal_ends_all_that_are_in_the_air_at_once(many: House, name: str) -> None:
    (many.outside / "home/wait").touch()
    with many.running("bin/loop", AGENT=str(calls(many, WORSE)), SLOTS="4") as process:
        in_training(many, 4)
        began = time.monotonic()
        number = getattr(signal, f"SIG{name}")
        os.killpg(process.pid, number) if name == "INT" else process.send_signal(number)
        assert process.wait(10) == 128 + number
        assert time.monotonic() - began < 5
    assert many.left_running() == []
    assert len(many.rows()) == 1


@pytest.mark.slow
@pytest.mark.parametrize(("slots", "later"), [("4", "1"), ("1", "4"), ("4", "2")])
def test_what_a_killed_loop_has_left_is_gone_on_with_by_any_number_of_slots(
    many: House, slots: str, later: str
) -> None:
    (many.outside / "home/wait").touch()
    agent = calls(many, WORSE)
    with many.running("bin/loop", AGENT=str(agent), SLOTS=slots) as process:
        in_training(many, int(slots))
        kill_all(many, process)
    known = committed(many)
    assert len(known) == int(slots)
    (many.outside / "home/wait").unlink()
    (many.outside / "home/spans").write_text("")
    together(many, min(int(slots), int(later)))
    assert many.loop(5, agent, SLOTS=later).status == 0
    assert most_at_once(many) <= int(later)
    measured = [one["commit"] for one in many.experiments()]
    assert known <= set(measured), "a proposal that was committed is measured"
    assert len(set(measured)) == len(measured) == 6
    many.check_invariants()


@pytest.mark.slow
def test_of_more_flights_than_rows_that_are_wanted_the_others_rest(many: House) -> None:
    (many.outside / "home/wait").touch()
    agent = calls(many, WORSE)
    with many.running("bin/loop", AGENT=str(agent), SLOTS="3") as process:
        in_training(many, 3)
        kill_all(many, process)
    known = committed(many)
    (many.outside / "home/wait").unlink()
    assert many.loop(1, agent, SLOTS="3").status == 0
    assert len(many.rows()) == 2
    assert len(committed(many)) == 2
    assert many.loop(2, agent, SLOTS="3").status == 0
    assert {one["commit"] for one in many.experiments()[1:]} == known
    many.check_invariants()


@pytest.mark.first_case
@pytest.mark.parametrize(
    ("proposals", "is_dropped"),
    [([sets("A", "0.05"), sets("C", "0.07")], False), ([sets("VALUE", "0.95"), sets("VALUE", "0.93")], True)],
    ids=["carried over", "dropped"],
)
def test_what_has_rested_untrained_is_made_on_the_incumbent_of_now(
    many: House, proposals: list[str], is_dropped: bool
) -> None:
    """Or dropped: a training on an incumbent that is none any more would be spent for nothing."""
    (many.outside / "home/wait").touch()
    with many.running("bin/loop", AGENT=str(calls(many, *proposals)), SLOTS="2") as process:
        in_training(many, 2)
        kill_all(many, process)
    (many.outside / "home/wait").unlink()
    (many.outside / "home/spans").write_text("")
    assert many.loop(1, "/bin/false", SLOTS="1").status == 0
    assert many.once("/bin/false").status == is_dropped
    assert len(spans(many)) == 2 * (1 if is_dropped else 2), "each trains once"
    assert many.statuses() == ["keep"] * (2 if is_dropped else 3)
    assert ("dropped: it changes the same lines" in told(many)) == is_dropped
    many.check_invariants()


def pid_of(house: House, pattern: str) -> int:
    found = [pid for pid, command in sorted(processes.under_loop(house.tree).items()) if re.search(pattern, command)]
    assert found, processes.under_loop(house.tree)
    return found[0]


def test_one_dispatcher_that_is_killed_ends_no_loop_and_its_flight_goes_on(many: House) -> None:
    (many.outside / "home/wait").touch()
    with many.running("bin/loop", MAX_EXPERIMENTS="2", AGENT=str(calls(many, WORSE)), SLOTS="2") as process:
        in_training(many, 2)
        known = committed(many)
        processes.kill(pid_of(many, "/dispatch f[0-9]"))
        until(lambda: "was killed; continuing it" in told(many))
        until(lambda: len(spans(many)) == 3, 30)  # another begin
        (many.outside / "home/wait").unlink()
        assert process.wait(30) == 0
    assert {one["commit"] for one in many.experiments()[1:]} == known
    assert many.statuses() == ["keep", "discard", "discard"]
    many.check_invariants()


def test_a_step_that_is_killed_is_done_again(many: House) -> None:
    """As by the kernel when memory is short."""
    (many.outside / "home/wait").touch()
    with many.running("bin/loop", MAX_EXPERIMENTS="2", AGENT=str(calls(many, WORSE)), SLOTS="2") as process:
        in_training(many, 2)
        known = committed(many)
        processes.kill(pid_of(many, "/steps/30-run"))
        until(lambda: len(spans(many)) == 3, 30)
        (many.outside / "home/wait").unlink()
        assert process.wait(30) == 0
    assert {one["commit"] for one in many.experiments()[1:]} == known
    many.check_invariants()


def test_a_dispatcher_that_is_killed_when_its_flight_is_over_makes_no_row_more(many: House) -> None:
    dispatch = many.tree / "lib/experiment/dispatch"
    over = 'core drop "$FLIGHT"\n[[ $agent != baseline ]] || exit 4\n'
    assert dispatch.read_text().endswith(over)
    dispatch.write_text(dispatch.read_text() + "mkdir ~/once 2>/dev/null && kill -KILL $$\nexit 0\n")
    assert many.loop(2, calls(many, WORSE)).status == 0
    assert many.statuses() == ["keep", "discard", "discard"]
    many.git("checkout", "--quiet", "lib")
    many.check_invariants()


def test_a_flight_that_is_killed_again_and_again_is_given_up(many: House) -> None:
    step = many.tree / "lib/experiment/steps/25-kills"
    step.write_text(
        "# Reads FLIGHT; writes ~/kills.\n[[ $FLIGHT == */f3 ]] || exit 0\necho >>~/kills\nkill -KILL $PPID\n"
    )
    assert many.loop(2, calls(many, WORSE)).status == 0
    assert (many.outside / "home/kills").read_text().count("\n") == 4, "it went on three times"
    assert many.statuses() == ["keep", "crash", "discard"]
    last = many.experiments()[1]
    assert (last["failure"], last["reason"]) == ("error", "crash: its processes were killed 4 times")
    step.unlink()
    many.check_invariants()


def test_a_step_that_fails_twice_in_the_same_way_gives_its_flight_up(many: House) -> None:
    """Before there is a commit it is dropped; what fails once, or each time in another way, goes on."""
    step = many.tree / "lib/experiment/steps/{}-fails"
    fails = {
        "17": "[[ $FLIGHT != */f3 ]] || exit 3\n",
        "25": "[[ $FLIGHT != */f4 ]] || exit 4\n",
        "26": "[[ $FLIGHT != */f5 || -e ~/once ]] || { echo >~/once && exit 5; }\n",
    }
    for name, line in fails.items():
        Path(str(step).format(name)).write_text(f"# Reads FLIGHT; writes ~/once.\n{line}")
    assert many.loop(2, calls(many, WORSE)).status == 0
    assert many.statuses() == ["keep", "crash", "discard"]
    assert many.experiments()[1]["reason"] == "crash: step 25-fails failed twice, with exit status 4"
    assert "gave up experiment 'f3': step 17-fails failed twice, with exit status 3" in told(many)
    assert told(many).count("trying it once more") == 3
    for name in fails:
        Path(str(step).format(name)).unlink()
    many.check_invariants()


@pytest.mark.slow
def test_what_is_deleted_from_git_is_written_again_or_the_flight_goes_on_without_it(many: House) -> None:
    """The incumbent's commit, tree and train.py; then the commit of a flight, before it is trained."""
    step = many.tree / "lib/experiment/steps/25-deletes"
    remove = 'gone() { rm -f "$COMMON_DIR/objects/${1:0:2}/${1:2}"; }\n'
    step.write_text(
        "# Reads FLIGHT; writes ~/once.\n" + remove + '[[ ! -e ~/once ]] || exit 0\necho >~/once\ncd "$TREE"\n'
        'for one in $(git rev-parse "$(<"$RUN/incumbent")"{,^{tree},:train.py} "$(<"$FLIGHT/commit")"); do\n'
        'gone "$one"\ndone\n'
    )
    assert many.loop(2, calls(many, WORSE)).status == 0
    assert many.statuses() == ["keep", "discard", "discard"]
    assert "restored deleted git objects of the incumbent" in told(many)
    assert "was deleted from git: making it again" in told(many)
    step.unlink()
    many.check_invariants()


@pytest.mark.slow
def test_a_flight_that_hangs_is_ended_alone_and_goes_on(many: House) -> None:
    """Minutes are seconds here. The others go on meanwhile."""
    step = many.tree / "lib/experiment/steps/25-hangs"
    step.write_text('# Reads FLIGHT; writes ~/hung.\nmkdir ~/hung || exit 0\ncp "$FLIGHT/commit" ~/hung\nsleep 600\n')
    settings = {"SLOTS": "2", "LAB_MINUTE": "1", "AGENT_TIMEOUT": "5", "RUN_TIMEOUT": "5"}
    assert many.loop(4, calls(many, WORSE), **settings).status == 0
    assert len(re.findall("experiment 'f[0-9]+' hangs: ending and resuming it", told(many))) == 1
    assert many.statuses() == ["keep", *["discard"] * 4]
    assert many.experiments()[-1]["commit"] == (many.outside / "home/hung/commit").read_text().strip()
    step.unlink()
    many.check_invariants()


@pytest.mark.first_case
@pytest.mark.parametrize("number", [signal.SIGSTOP, signal.SIGKILL])
def test_a_dispatcher_that_does_not_answer_is_ended_and_its_flight_goes_on(many: House, number: int) -> None:
    (many.outside / "home/wait").touch()
    settings = {"LAB_MINUTE": "1", "AGENT_TIMEOUT": "5", "RUN_TIMEOUT": "9"}
    with many.running("bin/loop", MAX_EXPERIMENTS="1", AGENT=str(calls(many, WORSE)), **settings) as process:
        in_training(many, 1)
        known = committed(many)
        processes.kill(pid_of(many, "/dispatch f[0-9]"), number)
        (many.outside / "home/wait").unlink()
        assert process.wait(40) == 0
    assert {one["commit"] for one in many.experiments()[1:]} == known
    many.check_invariants()


@pytest.mark.slow
def test_numbers_are_those_of_the_verdicts_not_of_the_flights(many: House) -> None:
    """The flight that began first ends last."""
    agent = calls(many, f"until grep -q 'VALUE' {many.run_folder}/results.tsv; do sleep 0.1; done; {WORSE}", WORSE)
    assert many.loop(2, agent, SLOTS="2", CONFINE="no").status == 0  # it waits for a row
    assert [one["n"] for one in many.experiments()] == [1, 2, 3]
    assert all(str(a["ended"]) <= str(b["ended"]) for a, b in pairwise(many.experiments()))
    many.check_invariants()
