"""A slowed machine is not a bad idea: a run that was disturbed is made again, and like is compared with like."""

from pathlib import Path

import pytest
from house import House, shared

# Says of the machine what the home has: in `waits` how long each run stood still; in `probe` how slow it is.
TRAIN = """\
import json, os, random, time
VALUE = 1.0
home = os.path.expanduser("~")
waits = open(home + "/waits").read().split()
open(home + "/waits", "w").write(" ".join(waits[1:]))
wait, probe = float(waits[0]) if waits else 0.1, float(open(home + "/probe").read())
value = VALUE + random.Random(os.environ["SEED"]).gauss(0, 0.001) + (wait + probe) / 100
record = {
    "val_bpb": value, "tokens": 1, "device": "cpu", "probes": [probe, probe],
    "evaluation_seconds": 0.1, "training_seconds": 1.0, "training_wall_seconds": 1.0, "longest_wait": wait, "looks": 10,
    "peak_memory_mb": 1.0,
}
print(f"val_bpb: {value:.6f}")
folder = os.environ["LAB_EVALUATION"]
open(folder + "/handover/new", "w").write(json.dumps(record))
os.rename(folder + "/handover/new", folder + "/handover/record")
while not os.path.exists(folder + "/record/evaluation.json"):
    time.sleep(0.01)
"""
# An evaluator that believes all that it is told.
EVALUATOR = """\
import hashlib, json, os, sys, time
if sys.argv[1] == "--check":
    print('{"eval_tokens": 1, "evaluator": true}')
    sys.exit()
folder = sys.argv[2]
while not os.path.exists(folder + "/handover/record"):
    time.sleep(0.01)
record = json.load(open(folder + "/handover/record"))
record["prepare.py"] = hashlib.sha256(open(__file__, "rb").read()).hexdigest()
open(folder + "/record/new", "w").write(json.dumps(record))
os.rename(folder + "/record/new", folder + "/record/evaluation.json")
"""


def usual_house(folder: Path) -> House:
    house = House(folder, TRAIN)
    (house.tree / "prepare.py").write_text(EVALUATOR)
    house.commit("a pair that leaves records")
    house.environment |= {"BASELINE_RUNS": "3", "CONFINE": "no"}  # it writes in the home
    house.setup()
    conditions(house)
    house.baseline()
    assert [one["degraded"] for one in runs(house)] == [False] * 3
    return house


@pytest.fixture(scope="module")
def usual(tmp_path_factory: pytest.TempPathFactory) -> House:
    """A run with a baseline of three runs, none of them disturbed."""
    return shared(tmp_path_factory, "usual", usual_house)


@pytest.fixture
def run(usual: House, tmp_path: Path) -> House:
    return usual.copy(tmp_path)


def conditions(house: House, *waits: float, probe: float = 0.05) -> None:
    """How long each of the next runs stands still, and how slow the machine is."""
    (house.outside / "home/waits").write_text(" ".join(map(str, waits)))
    (house.outside / "home/probe").write_text(str(probe))


def runs(house: House) -> list[dict[str, object]]:
    """Of the last experiment."""
    return house.experiments()[-1]["runs"]  # type: ignore[return-value]


def propose(house: House, value: float | str) -> dict[str, object]:
    assert house.once(house.setting(str(value))).status == 0
    house.check_invariants()
    return house.experiments()[-1]


@pytest.mark.slow
def test_a_standstill_is_made_again_with_its_seed(run: House) -> None:
    conditions(run, 30)
    last = propose(run, 1.2)
    assert [(one["seed"], one["degraded"]) for one in runs(run)] == [(42, True), (42, False)]
    assert last["val_bpb"] == runs(run)[1]["val_bpb"], "what was disturbed is no evidence"
    assert "disturbed" not in str(last["reason"])


@pytest.mark.slow
@pytest.mark.parametrize(("value", "status"), [(0.9, "keep"), (1.2, "discard"), ("1.00", "discard")])
def test_the_verdict_is_the_same_with_and_without(run: House, value: float | str, status: str) -> None:
    conditions(run, 30)
    assert propose(run, value)["status"] == status


@pytest.mark.slow
def test_twice_and_then_it_is_judged_with_a_note(run: House) -> None:
    conditions(run, 30, 40, 50)
    last = propose(run, 1.2)
    assert [one["degraded"] for one in runs(run)] == [True] * 3
    assert str(last["reason"]).endswith("; disturbed: it stood still for 50 s")
    assert last["status"] == "discard"


@pytest.mark.slow
def test_a_person_is_told_why(run: House) -> None:
    conditions(run, 30)
    assert "another run of the candidate with seed 42: it stood still for 30 s" in run.once(run.setting("1.2")).err


@pytest.mark.slow
def test_on_another_machine_the_incumbent_is_run_again_first(run: House) -> None:
    """A slower one for good: the same code has another value there, which is no loss, and no gain when it is over."""
    conditions(run, probe=0.2)
    last = propose(run, "1.00")
    assert [one["seed"] for one in runs(run)][:3] == [42, 42, 42]
    assert last["incumbent_bpb"] == pytest.approx(1.003, abs=0.0015), "that of the slow machine: 1 + 0.3 / 100"
    assert (last["status"], last["rule"]) == ("discard", "no-gain")
    assert [one["degraded"] for one in runs_of_next(run)] == [False] * len(runs(run)), "the new usual"


def runs_of_next(house: House) -> list[dict[str, object]]:
    propose(house, 1.2)
    return runs(house)


@pytest.mark.slow
def test_a_gain_on_another_machine_is_measured_there(run: House) -> None:
    conditions(run, probe=0.2)
    assert propose(run, 0.98)["status"] == "keep"


@pytest.mark.slow
def test_nor_is_a_faster_machine_a_win(run: House) -> None:
    conditions(run, probe=0.01)
    last = propose(run, "1.00")
    assert last["status"] == "discard"
    assert last["incumbent_bpb"] == pytest.approx(1.0011, abs=0.0015)
