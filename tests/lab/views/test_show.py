"""One experiment, two side by side, an old one again: `make show`, `make compare`, `make retry`."""

import json
import os
import time
from pathlib import Path

import pytest
from house import House, shared

# VALUE and OTHER are far enough apart to be merged; OTHER helps once VALUE is below 1.
TRAIN = """\
VALUE = 1.0
A = 1


B = 1  # \x1b[2J

OTHER = 5
for step in range(1, 21):
    print(f"\\rstep {step:05d} ({5 * step:.1f}%) | loss: {9 + VALUE - step / 4:.6f} | lrm: 1.00", end="")
print(chr(27) + "[2J")
print("---")
print(f"val_bpb:          {VALUE - (0.1 if OTHER == 6 and VALUE < 1 else 0):.6f}")
print("peak_vram_mb:     45060.2")
"""
OTHER = "sed -i 's/^OTHER = 5/OTHER = 6/' train.py; echo 'category: radical'; echo 'other 6'"
ESCAPE = "\x1b"


def a_night(folder: Path) -> House:
    house = House(folder, TRAIN)
    house.setup()
    for agent in (
        house.proposer(OTHER, "other"),
        house.setting("0.9", "value"),
        house.proposer("echo >>prepare.py; echo cheat", "cheat"),
    ):
        assert house.once(agent).status == 0
    with (house.run_folder / "results.tsv").open("a") as ledger:
        ledger.write("e5f6071\t0.500000\t44.0\tkeep\tby hand\n")
    assert house.statuses() == ["keep", "discard", "keep", "crash", "keep"]
    return house


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> House:
    """#1 the baseline, #2 a discard that would help later, #3 a keep, #4 rejected, #5 written by hand. Read only."""
    return shared(tmp_path_factory, "shown", a_night)


def parts(house: House, *command: str) -> list[str]:
    """What it prints, by its blocks."""
    result = house.call(*command)
    assert (result.status, result.err) == (0, ""), result
    assert ESCAPE not in result.out
    return result.out.split("\n\n")


def test_show(night: House) -> None:
    facts, *diff, log = parts(night, "bin/show", "2")
    lines = dict(line.split(None, 1) for line in facts.splitlines()[1:])
    known = night.experiments()[1]
    assert facts.startswith("#2 discard 1.000000  other 6\n")
    assert lines["commit"] == f"{known['commit']}, on top of {str(known['parent'])[:7]}"
    assert lines["reason"] == known["reason"]
    assert lines["lines"] == "+1 -1"
    assert lines["proposer"] == "other, attempts: 1, category: radical"
    assert lines["run"] == f"seed 42, val_bpb 1.0, - steps, - s, on '{os.uname().nodename}'"
    assert "\n-OTHER = 5\n+OTHER = 6\n" in "\n\n".join(diff)
    assert "B = 1  # ?[2J" in "\n\n".join(diff), "code may hold what moves a cursor"
    assert log.splitlines() == [
        f"The end of the log, runs/mar14/logs/{str(known['commit'])[:7]}-1.log.gz:",
        "| step 00020 (100.0%) | loss: 5.000000 | lrm: 1.00",
        "| ---",
        "| val_bpb:          1.000000",
        "| peak_vram_mb:     45060.2",
    ]


@pytest.mark.slow
def test_by_whatever_name(night: House) -> None:
    commit = str(night.experiments()[2]["commit"])
    expected = parts(night, "bin/show", "3")
    for name in (commit, commit[:7], commit[:4], "#3"):
        assert parts(night, "bin/show", name) == expected
    assert night.call("make", "show", "N=3").out == "\n\n".join(expected)


@pytest.mark.slow
def test_what_has_no_log_or_no_commit(night: House) -> None:
    rejected = parts(night, "bin/show", "4")
    assert "train.py is the same as in the parent commit" in rejected
    assert rejected[-1] == "No log is kept for this experiment.\n"
    assert parts(night, "bin/show", "5") == [
        "#5 keep 0.500000  by hand",
        "This row was written by hand. It has no commit, no reason and no log.\n",
    ]
    by_hand = night.call("bin/retry", "5")
    assert (by_hand.status, by_hand.out) == (2, "")
    assert "experiment #5 has no commit: its row was written by hand" in by_hand.err


@pytest.mark.parametrize(
    ("which", "said"),
    [("6", "has no experiment '6'"), ("zz", "'zz'"), ("0", "'0'"), ("abc", "'abc'"), ("", "N is missing")],
)
@pytest.mark.parametrize("verb", ["show", "retry"])
def test_an_unknown_one(night: House, verb: str, which: str, said: str) -> None:
    result = night.call(f"bin/{verb}", N=which)
    assert (result.status, result.out) == (2, "")
    problem, hint = result.err.splitlines()
    assert said in problem
    assert hint.startswith("hint: ")


def test_compare(night: House) -> None:
    facts, loss, *diff = parts(night, "bin/compare", "2", "3")
    table = {line[:10].strip(): line[10:].split() for line in facts.splitlines()}
    assert table["verdict"] == ["discard", "keep"]
    assert table["val_bpb"] == ["1.000000", "0.900000"]
    assert table["gain"] == ["+0.000000", "+0.100000"]
    assert table["proposer"] == ["other", "value"]
    assert loss.splitlines()[1] == "0 to 10 %   9.750000    9.650000    +0.100000"
    assert len(loss.splitlines()) == 11
    assert "\n-VALUE = 1.0\n+VALUE = 0.9\n" in "\n\n".join(diff)
    assert "\n-OTHER = 6\n+OTHER = 5\n" in "\n\n".join(diff)


def test_compare_with_what_has_no_log(night: House) -> None:
    facts, loss, code = parts(night, "make", "compare", "A=1", "B=5")
    assert "keep" in facts
    assert loss == "No training loss to compare: no log with losses is kept for #5."
    assert code.startswith("This row was written by hand")
    assert night.call("bin/compare", "1").status == 2


def test_on_a_terminal_the_diff_has_colours(night: House) -> None:
    """And nothing else that a terminal obeys."""
    result = night.call("script", "-qec", "bin/show 2", "/dev/null", TERM="xterm")
    assert f"{ESCAPE}[32m+" in result.out
    assert f"{ESCAPE}[2J" not in result.out
    assert ESCAPE not in night.call("script", "-qec", "bin/show 2", "/dev/null", TERM="xterm", NO_COLOR="1").out


@pytest.mark.slow
def test_retry(night: House, tmp_path: Path) -> None:
    house = night.copy(tmp_path)
    before = house.git("rev-parse", "HEAD")
    unfit = house.call("bin/retry", "1")
    assert (unfit.status, unfit.out) == (1, "")
    assert unfit.err.startswith(
        "retry: experiment #1 changes nothing: it has no change, or the incumbent has it already\nhint: "
    )
    assert house.git("rev-parse", "HEAD") == before
    assert house.call("make", "retry", "N=2").status == 0
    last = house.experiments()[-1]
    assert (last["n"], last["status"], last["val_bpb"]) == (6, "keep", 0.8), "what did nothing then helps now"
    assert (last["description"], last["agent"], last["category"]) == ("retry #2: other 6", "retry", "radical")
    assert "already" in house.call("bin/retry", "6").err
    assert house.scratch_copies() == []
    assert house.git("status", "--porcelain") == ""
    house.setting("0.7", "lower")
    assert house.once(house.outside / "lower").status == 0
    clash = house.call("bin/retry", "3")
    assert clash.status == 1
    assert clash.err.startswith("retry: experiment #3 no longer fits: the incumbent has changed the same lines")
    assert len(house.rows()) == 7


@pytest.mark.slow
def test_an_experiment_in_flight_rests_while_another_is_retried(night: House, tmp_path: Path) -> None:
    house = night.copy(tmp_path)
    with house.running("bin/loop", AGENT=str(house.proposer("sleep 60", "sleeper"))) as loop:
        house.wait_for("runs/mar14/flights/f*/call/pid")
        loop.kill()
        loop.wait()
    while house.left_running():
        time.sleep(0.05)
    flight = house.flight
    left = {path.name for path in flight.iterdir()}
    assert house.call("bin/retry", "2").status == 0
    assert (house.experiments()[-1]["description"], house.flight) == ("retry #2: other 6", flight)
    assert {path.name for path in flight.iterdir()} == left
    assert house.once(house.setting("0.5", "half")).status == 0
    assert [row[4] for row in house.rows()[-2:]] == ["retry #2: other 6", "VALUE 0.5"]
    assert (list(house.run_folder.glob("flights/f*")), house.scratch_copies()) == ([], [])


def test_retry_beside_a_loop(night: House, tmp_path: Path) -> None:
    house = night.copy(tmp_path)
    with house.running("bin/loop", AGENT=str(house.proposer("sleep 60", "sleeper"))):
        house.wait_for("runs/mar14/flights/f*/call/pid")
        result = house.call("bin/retry", "2")
    assert result.status == 75
    assert "another loop holds this tree" in result.err


@pytest.mark.parametrize("verb", ["show", "compare", "retry"])
def test_an_empty_run_and_a_damaged_one(run: House, verb: str) -> None:
    empty = run.call(f"bin/{verb}", N="1", A="1", B="1")
    assert (empty.status, empty.out) == (2, "")
    assert empty.err == "lab: run 'mar14' has no experiment '1'\nhint: run the first one: make once\n"
    path = run.run_folder / "experiments.jsonl"
    path.write_text("torn\n")
    assert run.call(f"bin/{verb}", N="1", A="1").err.startswith(f"lab: '{path}' is damaged in line 1\nhint: ")
    (run.run_folder / "results.tsv").write_text("no header\nno row\n")
    damaged = run.call(f"bin/{verb}", N="1", A="1", B="1")
    assert (damaged.status, damaged.out) == (2, "")
    assert damaged.err.startswith("lab: the ledger is damaged: ")


def test_a_commit_that_is_not_here(night: House, tmp_path: Path) -> None:
    house = night.copy(tmp_path)
    path = house.run_folder / "experiments.jsonl"
    known = house.experiments()
    other = str(known[1]["commit"])[:7].ljust(40, "0")
    path.write_text(
        "".join(json.dumps({**one, "commit": other if one["n"] == 2 else one["commit"]}) + "\n" for one in known)
    )
    result = house.call("bin/show", "2")
    assert result.status == 2
    assert f"the commit of experiment #2 is not in this repository: '{other}'" in result.err
