"""bin/noise: more runs of the incumbent, beside the experiments; what they refine, and what they leave alone."""

import json
import os
import random
import signal
import time
from decimal import Decimal
from pathlib import Path
from statistics import mean, stdev

import pytest
from house import House, shared
from lab.store import schemas
from lab.verdict import replicates
from lab.verdict.noise import Spread

SD = 0.01
# val_bpb is VALUE, and noise that depends on IDEA and on the seed alone; it takes as long as the test says.
NOISY = """\
import os, random, time
VALUE = 1.0
IDEA = "baseline"
time.sleep(float(open(os.path.expanduser('~/seconds')).read()))
print(f"val_bpb: {VALUE + random.Random(IDEA + os.environ['SEED']).gauss(0, 0.01):.6f}")
"""
T = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306, 9: 2.262}  # of a table: 0.975


def value(seed: int, idea: str = "baseline", level: float = 1.0) -> float:
    return round(level + random.Random(f"{idea}{seed}").gauss(0, SD), 6)


def make(folder: Path, train: str = NOISY, *, baseline_runs: int = 3, better: str = "", level: float = 0.6) -> House:
    """A run with its baseline, and, where it is wanted, a keep of the idea `better` at this level."""
    folder.mkdir(exist_ok=True)
    house = House(folder, train)
    house.environment["BASELINE_RUNS"] = str(baseline_runs)
    house.setup()
    edit = f"sed -i 's/^VALUE = .*/VALUE = {level}/; s/^IDEA = .*/IDEA = \"{better}\"/' train.py; echo {better}"
    assert house.once(house.proposer(edit) if better else "/bin/false").status == (0 if better else 1)
    assert house.statuses() == (["keep", "keep"] if better else ["keep"])
    return house


@pytest.fixture(scope="module")
def noisy(tmp_path_factory: pytest.TempPathFactory) -> House:
    return shared(tmp_path_factory, "noisy-3", make)


@pytest.fixture
def run(noisy: House, tmp_path: Path) -> House:
    """A run with a baseline of three runs."""
    return noisy.copy(tmp_path)


def reruns(house: House) -> list[dict[str, object]]:
    path = house.run_folder / "reruns.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def seeds(house: House) -> list[object]:
    return [one["seed"] for one in reruns(house)]


def check_left(house: House) -> None:
    """Nothing is left, and the records are whole."""
    house.check_invariants()
    assert not (house.run_folder / "replicates").exists()
    assert house.git("diff", "HEAD", "--", "train.py") == ""
    assert [schemas.problems("rerun", one) for one in reruns(house)] == [[]] * len(reruns(house))


@pytest.mark.slow
def test_runs_of_the_incumbent_refine_the_noise(run: House) -> None:
    result = run.call("make", "noise", "N=2")
    assert result.status == 0
    assert seeds(run) == [45, 46], "it was run with 42 to 44"
    assert {one["commit"] for one in reruns(run)} == {run.experiments()[0]["commit"]}
    values = [value(seed) for seed in range(42, 47)]
    assert [one["val_bpb"] for one in reruns(run)] == values[3:]
    noise, incumbent, single = result.out.splitlines()
    assert noise == f"noise     {stdev(values):.6f} is one standard deviation (4 degrees of freedom)"
    assert incumbent == f"incumbent {mean(values):.6f}, the mean of 5 runs: #1 baseline"
    band = T[4] * stdev(values) * (1 + 1 / 5) ** 0.5
    assert float(single.split()[1].rstrip(":")) == pytest.approx(band, rel=1e-3)
    assert f"\n{values[4]:.6f} with seed 46\n" in result.err
    assert len(run.rows()) == 1, "no row is added"
    assert len(list((run.run_folder / "logs").glob("*-seed4[56].log.gz"))) == 2
    assert f"val_bpb: {values[4]:.6f}" in (run.tree / "run.log").read_text()
    check_left(run)
    assert "(4 degrees of freedom)" in run.call("bin/status").out


def test_a_noise_of_none_is_doubted() -> None:
    assert replicates.spread_told(None) == "noise     unknown: no code was run twice"
    alike = replicates.spread_told(Spread(Decimal("0.000000"), 1))
    assert alike == "noise     0.000000 is one standard deviation (1 degree of freedom); does train.py read SEED?"


# --- what is refused -------------------------------------------------------------------------------------------------


def test_it_is_refused_without_a_run_or_a_baseline_or_on_top_of_a_persons_work(house: House) -> None:
    for verb in ("noise", "audit"):
        result = house.call(f"bin/{verb}")
        assert (result.status, "no run is checked out" in result.err) == (2, True)
    house.setup()
    for verb in ("noise", "audit"):
        result = house.call(f"bin/{verb}")
        said = [f"{verb}: run 'mar14' has no baseline yet", "hint: measure it: make once"]
        assert (result.status, result.err.splitlines()) == (2, said)
    assert house.rows() == []
    (house.tree / "train.py").write_text("# mine\n")
    assert house.call("bin/noise").status == 2
    assert (house.tree / "train.py").read_text() == "# mine\n"


def test_a_number_that_is_none_is_refused(house: House) -> None:
    for verb, name in (("noise", "N"), ("audit", "K")):
        for number in ("0", "-1", "100", "1.5", "many", "", "1; touch x", "3\n4"):
            result = house.call(f"bin/{verb}", **{name: number})
            problem, hint = result.err.splitlines()
            shown = number.replace("\n", "?")
            assert (result.status, problem) == (2, f"{verb}: {name} '{shown}' is not a whole number from 1 to 99")
            assert hint.startswith("hint: ")


@pytest.mark.slow
def test_a_loop_that_holds_the_tree_is_named(run: House) -> None:
    with run.running("bin/loop", AGENT=str(run.proposer("sleep 20"))) as loop:
        run.wait_for("runs/mar14/flights/*/call/pid")
        for verb in ("bin/noise", "bin/audit"):
            result = run.call(verb)
            assert (result.status, f"holds this tree: 'pid {loop.pid} " in result.err) == (75, True)


def test_without_a_keep_there_is_nothing_to_audit(run: House) -> None:
    result = run.call("make", "audit")
    told = "nothing to audit: run 'mar14' has kept nothing after its baseline\n"
    assert (result.status, result.out) == (0, told)
    assert reruns(run) == []
    assert not (run.run_folder / "audit.json").exists()
    check_left(run)


# --- runs that do not count ------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_runs_that_fail_are_told_and_do_not_count(tmp_path: Path) -> None:
    """With seed 43 it crashes; with 44 it writes a row of its own."""
    ill = "if os.environ['SEED'] == '43': raise SystemExit(1)\n"
    ill += "if os.environ['SEED'] == '44': open('../../results.tsv', 'a').write('mine')\n"
    house = make(tmp_path / "house", NOISY + ill, baseline_runs=1)
    result = house.call("bin/noise", N="1")
    assert (result.status, result.out) == (2, "")
    assert result.err.splitlines()[-2] == "noise: no run produced a value"
    check_left(house)
    result = house.call("bin/noise", N="3")
    assert result.status == 0
    assert seeds(house) == [45]
    assert "the run with seed 43 does not count: it ended with an error" in result.err
    assert "the run with seed 44 does not count: it changed 'runs/mar14/results.tsv'" in result.err
    assert "the mean of 2 runs" in result.out, "with BASELINE_RUNS=1 the noise is known from now on"
    assert "(1 degree of freedom)" in result.out
    check_left(house)


# An evaluator, such as our prepare.py is, and what is measured by it; with seed 43 the machine stood still.
MEASURED = """\
import os, time
print(f"val_bpb: {1 + int(os.environ['SEED']) / 1000:.6f}")
while not os.path.exists(os.environ["LAB_EVALUATION"] + "/reply/done"):
    time.sleep(0.01)
"""
EVALUATOR = """\
import hashlib, json, os, sys
if sys.argv[1] == "--check":
    print('{"eval_tokens": 1, "evaluator": true}')
    sys.exit()
seed = int(os.environ["SEED"])
record = {"val_bpb": 1 + seed / 1000, "tokens": 1, "evaluation_seconds": 0.0, "training_seconds": 1.0, "looks": 100}
record |= {"training_wall_seconds": 1.0, "longest_wait": 60.0 if seed == 43 else 0.0, "peak_memory_mb": 1.0}
record |= {"probes": [0.05, 0.05], "device": "cuda"}
record["prepare.py"] = hashlib.sha256(open(__file__, "rb").read()).hexdigest()
json.dump(record, open(f"{sys.argv[2]}/record/evaluation.json", "w"))
open(f"{sys.argv[2]}/reply/done", "w")
"""


@pytest.mark.slow
def test_a_disturbed_run_is_made_again_but_half_of_all_at_most_and_then_taken_as_it_is(tmp_path: Path) -> None:
    house = House(tmp_path, MEASURED)
    (house.tree / "prepare.py").write_text(EVALUATOR)
    house.commit("a record")
    house.setup(TIME_BUDGET="1")
    house.baseline()
    result = house.call("bin/noise", N="2")
    assert result.status == 0
    assert result.err.splitlines()[1:] == [
        "run 1 of 2: the incumbent with seed 43",
        "run 1 of 2: the incumbent with seed 43, repeated: it stood still for 60 s",
        "1.043000 with seed 43 (disturbed: it stood still for 60 s)",
        "run 2 of 2: the incumbent with seed 44",
        "1.044000 with seed 44",
    ]
    assert [(one["seed"], one["degraded"]) for one in reruns(house)] == [(43, True), (44, False)]
    check_left(house)


# --- stopping --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "status"), [("INT", 130), ("TERM", 143)])
def test_a_signal_ends_it_at_once(run: House, name: str, status: int) -> None:
    run.seconds.write_text("20")
    with run.running("bin/noise") as process:
        run.wait_for("runs/mar14/replicates/run.1/pid")
        assert run.call("bin/loop").status == 75
        began = time.monotonic()
        os.killpg(process.pid, getattr(signal, f"SIG{name}"))
        assert process.wait(10) == status
        assert time.monotonic() - began < 5
    assert reruns(run) == []
    check_left(run)


def test_make_stop_ends_it_after_the_run_in_flight(run: House) -> None:
    run.seconds.write_text("1")
    with run.running("bin/noise", N="9") as process:
        run.wait_for("runs/mar14/replicates/run.1/pid")
        assert run.call("bin/stop").status == 0
        assert process.wait(30) == 0
    assert seeds(run) == [45]
    check_left(run)


@pytest.mark.slow
def test_an_audit_that_is_stopped_tells_what_it_has(tmp_path: Path) -> None:
    """By a signal, or by make stop: the pairs that are whole; the rest is said to be missing."""
    run = make(tmp_path / "house", better="true")
    run.seconds.write_text("0.5")
    for name, status in (("INT", 130), ("stop", 0)):
        with run.running("bin/audit", K="9") as process:
            run.wait_for("runs/mar14/audit.json")
            os.killpg(process.pid, signal.SIGINT) if name == "INT" else run.call("bin/stop")
            assert process.wait(30) == status
        said = json.loads((run.run_folder / "audit.json").read_text())
        assert (said["wanted"], said["partial"]) == (9, True)
        assert 1 <= len(said["pairs"]) < 9
        check_left(run)
        (run.run_folder / "audit.json").unlink()


@pytest.mark.slow
def test_an_audit_that_takes_too_long_ends_with_what_it_has(tmp_path: Path) -> None:
    run = make(tmp_path / "house", better="true")  # whose runs took no time
    run.seconds.write_text("5")
    result = run.call("bin/audit", K="2")
    assert result.status == 0
    assert "taking too long: " in result.err
    assert "; stopped after " in result.out
    assert json.loads((run.run_folder / "audit.json").read_text())["partial"] is True


def test_killed_in_the_middle_it_loses_the_run_in_flight_alone(run: House) -> None:
    run.seconds.write_text("0.3")
    with run.running("bin/noise", N="9") as process:
        run.wait_for("runs/mar14/replicates/run.2/pid")
        os.killpg(process.pid, signal.SIGKILL)
    assert seeds(run) == [45]
    run.seconds.write_text("0")
    assert run.loop(1, run.proposer("sed -i 's/^VALUE = .*/VALUE = 1.5/' train.py")).status == 0
    assert run.statuses() == ["keep", "discard"]
    check_left(run)


# --- an experiment in flight -----------------------------------------------------------------------------------------


@pytest.mark.slow
def test_an_experiment_in_flight_is_left_as_it_is(tmp_path: Path) -> None:
    """By runs that come to their end, and by one of the baseline's code that is killed."""
    run = make(tmp_path / "house", baseline_runs=1, better="true")
    run.seconds.write_text("20")
    worse = run.proposer("sed -i 's/^VALUE = .*/VALUE = 1.5/' train.py; echo worse")
    with run.running("bin/loop", MAX_EXPERIMENTS="1", AGENT=str(worse)) as process:
        run.wait_for("runs/mar14/flights/*/run.1/pid")
        process.kill()
        process.wait()
    head, commit = run.git("rev-parse", "HEAD"), (run.flight / "commit").read_text()
    with run.running("bin/audit") as process:
        run.wait_for("runs/mar14/replicates/run.1/pid")
        os.killpg(process.pid, signal.SIGKILL)
    assert "VALUE = 1.0" in (run.run_folder / "slots/0/train.py").read_text(), "nothing trains in the person's tree"
    assert run.git("status", "--porcelain") == ""
    run.seconds.write_text("0")
    assert run.call("bin/noise", N="1").status == 0
    audit = run.call("bin/audit", K="1")
    assert (audit.status, "\nfinding   the gain is reproduced\n" in audit.out) == (0, True)
    ours = [(one["commit"], one["seed"], one["val_bpb"]) for one in reruns(run)]
    better = [(head, seed, value(seed, "true", 0.6)) for seed in (43, 44)]
    baseline = run.experiments()[0]["commit"]
    assert ours == [better[0], (baseline, 44, value(44)), better[1]]
    assert run.git("status", "--porcelain") == ""
    assert (run.flight / "commit").read_text() == commit
    assert run.loop(1, run.proposer("exit 1")).status == 0
    assert [row[4] for row in run.rows()] == ["baseline", "true", "worse"]
    assert run.statuses() == ["keep", "keep", "discard"]
    assert run.experiments()[2]["commit"] == commit.strip()
    assert run.git("rev-parse", "HEAD") == head
    check_left(run)


def test_seeds_of_an_experiment_in_flight_are_not_used_again(tmp_path: Path) -> None:
    """Its runs of the incumbent are recorded only with it: the same seed twice would be counted as two."""
    runs = [{"seed": seed, "val_bpb": 1.0} for seed in (42, 43)]
    known = {"commit": "c", "status": "keep", "rule": "baseline", "val_bpb": 1.0, "runs": runs}
    (tmp_path / "experiments.jsonl").write_text(json.dumps(known) + "\n")
    assert replicates.fresh_seed(tmp_path, ["c"]) == 44
    (tmp_path / "flights/f1/run.2").mkdir(parents=True)
    (tmp_path / "flights/f1/run.2/env").write_text("PROFILE=small\nSEED=44\n")
    assert replicates.fresh_seed(tmp_path, ["c"]) == 45
    (tmp_path / "flights/f1/next").write_text("incumbent 45\n")
    assert replicates.fresh_seed(tmp_path, ["c"]) == 46
    (tmp_path / "reruns.jsonl").write_text('{"commit": "d", "seed": 50}\n')
    assert replicates.fresh_seed(tmp_path, ["c"]) == 46
    assert replicates.fresh_seed(tmp_path, ["c", "d"]) == 51
