"""The noise: the baseline's runs, fresh reruns of what looks like a win, and the verdict that rests on them alone."""

import json
import random
from decimal import Decimal
from itertools import count
from pathlib import Path
from statistics import mean, stdev

import pytest
from house import House, shared
from lab.store import schemas
from lab.verdict import noise
from lab.verdict.evidence import Evidence
from lab.verdict.more_runs import MOST, is_open
from lab.verdict.noise import Pool, Spread

SD = 0.01
# val_bpb is VALUE, and noise that depends on IDEA and on the seed alone.
NOISY = """\
import os, random
VALUE = 1.0
IDEA = "baseline"
print(f"val_bpb: {VALUE + random.Random(IDEA + os.environ['SEED']).gauss(0, 0.01):.6f}")
"""


def luck(idea: str, seed: int) -> float:
    """In standard deviations."""
    return random.Random(f"{idea}{seed}").gauss(0, SD) / SD


BASELINE = [1 + SD * luck("baseline", seed) for seed in range(42, 57)]


def an_idea(first: tuple[float, float], fresh: tuple[float, float]) -> str:
    """One whose luck with the first seed, and then on the mean of the fresh ones, is within these bounds."""
    for number in count():
        idea = f"idea{number}"
        rest = mean(luck(idea, 43 + i) for i in range(MOST))
        if first[0] < luck(idea, 42) < first[1] and fresh[0] < rest < fresh[1]:
            return idea
    raise AssertionError


def noisy_house(folder: Path) -> House:
    house = House(folder, NOISY)
    house.environment["BASELINE_RUNS"] = "3"
    house.setup()
    told = house.once("/bin/false").err
    again = "f1 (baseline): another run of the candidate with seed"
    assert f"{again} 43\n{again} 44\n#1 keep" in told
    return house


@pytest.fixture(scope="module")
def noisy(tmp_path_factory: pytest.TempPathFactory) -> House:
    """A run with a baseline of three runs."""
    return shared(tmp_path_factory, "noisy", noisy_house)


@pytest.fixture
def run(noisy: House, tmp_path: Path) -> House:
    return noisy.copy(tmp_path)


def after_a_lucky_one(house: House) -> House:
    propose(house, an_idea(first=(-1, 1), fresh=(-9, 9)), 1.1)
    assert reruns(house) == []
    propose(house, an_idea(first=(-3.5, -2.5), fresh=(0.3, 1)), 1.0)
    return house


@pytest.fixture(scope="module")
def doubted(noisy: House, tmp_path_factory: pytest.TempPathFactory) -> House:
    """After a clear loss, and one that is better than all of the baseline's runs, but only once."""
    return shared(tmp_path_factory, "doubted", lambda folder: after_a_lucky_one(noisy.copy(folder)))


def propose(house: House, idea: str, value: float) -> dict[str, object]:
    """One experiment, and its record."""
    edit = f"sed -i 's/^VALUE = .*/VALUE = {value}/; s/^IDEA = .*/IDEA = \"{idea}\"/' train.py; echo {idea}"
    assert house.once(house.proposer(edit)).status == 0
    house.check_invariants()
    return house.experiments()[-1]


def runs_of(experiment: dict[str, object]) -> list[float]:
    return [run["val_bpb"] for run in experiment["runs"]]  # type: ignore[attr-defined]


def reruns(house: House) -> list[dict[str, object]]:
    path = house.run_folder / "reruns.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


@pytest.mark.slow
def test_the_baseline_is_the_mean_of_three_runs(run: House) -> None:
    assert run.once(run.proposer("sed -i '1i raise ValueError' train.py")).status == 0
    baseline = run.experiments()[0]
    assert runs_of(baseline) == pytest.approx(BASELINE[:3], abs=1e-6)
    assert [one["seed"] for one in baseline["runs"]] == [42, 43, 44]  # type: ignore[attr-defined]
    assert float(run.rows()[0][1]) == pytest.approx(mean(BASELINE[:3]), abs=1e-6)
    assert run.statuses() == ["keep", "crash"]
    assert len(runs_of(run.experiments()[1])) == 1, "a crash is not run again"
    run.check_invariants()


@pytest.mark.slow
def test_a_clear_loss_costs_no_rerun(doubted: House) -> None:
    loss = doubted.experiments()[1]
    assert loss["status"] == "discard"
    assert len(runs_of(loss)) == 1


def test_a_lucky_run_is_no_win(doubted: House) -> None:
    last = doubted.experiments()[2]
    assert (last["status"], last["rule"]) == ("discard", "no-gain")
    first, *fresh = runs_of(last)
    assert first < min(BASELINE[:3])
    assert 1 <= len(fresh) <= MOST
    assert last["val_bpb"] == pytest.approx(mean(fresh), abs=1e-6), "the run that made it look good is no evidence"
    assert len(doubted.rows()) == 3, "one row for all of its runs"


@pytest.mark.slow
def test_a_true_gain_is_kept_for_what_its_fresh_runs_say_and_is_the_next_incumbent_by_them(run: House) -> None:
    last = propose(run, an_idea(first=(-1, 1), fresh=(-0.2, 0.2)), 1 - 3.5 * SD)
    assert (last["status"], last["rule"]) == ("keep", "large-gain")
    fresh = runs_of(last)[1:]
    assert 1 <= len(fresh) <= MOST
    assert last["val_bpb"] == pytest.approx(mean(fresh), abs=1e-6)
    seeds = [one["seed"] for one in last["runs"]]  # type: ignore[attr-defined]
    assert seeds == list(range(42, 43 + len(fresh)))
    check_the_incumbent_was_run_again_beside_it(run, last)
    lost = propose(run, "a loss", 1.2)
    assert lost["incumbent_bpb"] == pytest.approx(mean(fresh), abs=1e-6)


def check_the_incumbent_was_run_again_beside_it(run: House, last: dict[str, object]) -> None:
    again = reruns(run)
    assert [one["seed"] for one in again] == list(range(45, 45 + len(again))), "seeds that it was not run with"
    assert 2 <= len(again) <= 2 * MOST
    assert [schemas.problems("rerun", one) for one in again] == [[]] * len(again)
    assert {one["commit"] for one in again} == {run.experiments()[0]["commit"]}
    assert [one["val_bpb"] for one in again] == pytest.approx(BASELINE[3 : 3 + len(again)], abs=1e-6)
    assert last["incumbent_bpb"] == pytest.approx(mean(BASELINE[: 3 + len(again)]), abs=1e-6)
    assert last["gain"] == pytest.approx(last["incumbent_bpb"] - last["val_bpb"], abs=2e-6)  # type: ignore[operator]


@pytest.mark.parametrize(("value", "runs"), [(0.6, 1), (0.2, 2)])
def test_a_win_beyond_all_doubt_costs_no_rerun(doubted: House, tmp_path: Path, value: float, runs: int) -> None:
    """Once the noise is known from a few more runs than the baseline's; of less than half, one run is not believed."""
    last = propose(doubted.copy(tmp_path), an_idea(first=(-1, 1), fresh=(-9, 9)), value)
    assert (last["status"], len(runs_of(last))) == ("keep", runs)


def test_killed_before_a_rerun_it_goes_on_and_keeps_what_was_measured(tmp_path: Path) -> None:
    house = House(tmp_path, NOISY + "print(open(os.path.expanduser('~/count'), 'a').write('x'))\n")
    step = house.tree / "lib/experiment/steps/30-run"
    text = step.read_text()
    killed = '[[ ! -e $FLIGHT/next || -e $TREE/runs/killed ]] || { : >"$TREE/runs/killed" && kill -9 0; }\n'
    step.write_text(text.replace("[[ ! -e $FLIGHT/rejected ]]", f"{killed}[[ ! -e $FLIGHT/rejected ]]", 1))
    house.commit("a step that is killed once")
    house.environment["BASELINE_RUNS"] = "3"
    house.setup()
    assert house.start("bin/experiment", AGENT="/bin/false").wait(60) != 0
    assert (house.flight / "run.1/rc").exists()
    house.baseline()
    assert [one["seed"] for one in house.experiments()[0]["runs"]] == [42, 43, 44]  # type: ignore[attr-defined]
    assert (house.outside / "home/count").read_text() == "xxx", "none is run twice"
    house.check_invariants()


# --- The rule -------------------------------------------------------------------------------------------------------


def evidence(gain: float, fresh: int, *, simpler: bool = False, df: int = 1000, sd: str = "0.01") -> Evidence:
    """A candidate that is better by `gain` standard errors."""
    runs, error = 12, float(sd) * (1 / max(1, fresh) + 1 / 12) ** 0.5
    candidate, incumbent = [Decimal(repr(1 - gain * error))] * (1 + fresh), [Decimal(1)] * runs
    return Evidence(candidate=candidate, incumbent=incumbent, spread=Spread(Decimal(sd), df), lines=(0, int(simpler)))


@pytest.mark.parametrize(
    ("gain", "fresh", "simpler", "expected"),
    [
        (0.59, 0, False, False),  # no win
        (0.61, 0, False, True),  # looks like one
        (4.2, 0, False, True),
        (4.35, 0, False, False),  # one, beyond all doubt
        (-1.9, 0, True, True),  # about 0, and simpler
        (-2.0, 0, True, False),  # worse
        (-5.0, 0, False, False),
        (0.49, 1, False, False),
        (0.51, 1, False, True),
        (0.99, 2, False, False),
        (1.01, 2, False, True),
        (1.39, 3, False, False),
        (1.41, 3, False, True),
        (4.1, 1, False, False),
        (3.9, 1, False, True),
        (3.6, 2, False, False),
        (3.1, 3, False, False),
        (2.9, 3, False, True),
        (2.0, 4, False, False),  # never more
        (0.0, 1, True, True),  # of what is simpler, two
        (0.0, 2, True, False),
    ],
)
def test_when_one_more_run_is_needed(gain: float, fresh: int, simpler: bool, expected: bool) -> None:
    assert is_open(evidence(gain, fresh, simpler=simpler)) is expected


def test_of_a_noise_that_is_hardly_known_nothing_is_beyond_doubt() -> None:
    assert is_open(evidence(20, 0, df=2))
    assert not is_open(evidence(20, 0, df=50))


def test_without_noise_no_run_is_repeated() -> None:
    assert not is_open(evidence(1, 0, simpler=True, sd="0.00"))
    assert not is_open(Evidence(candidate=[Decimal("0.9")], incumbent=[Decimal(1)], lines=(0, 1)))


def test_the_spread_is_pooled_over_the_runs_of_the_same_code() -> None:
    groups = [["1.01", "0.99", "1.02"], ["0.5"], ["0.70", "0.71"], []]
    spread = Pool().plus([{"val_bpb": value} for value in group] for group in groups).spread()
    assert spread is not None
    squares = 2 * stdev([1.01, 0.99, 1.02]) ** 2 + stdev([0.70, 0.71]) ** 2
    assert (float(spread.sd), spread.df) == (pytest.approx((squares / 3) ** 0.5), 3)
    assert Pool().plus([[{"val_bpb": "1"}], []]).spread() is None


def test_only_the_first_of_several_runs_is_no_evidence() -> None:
    runs = [{"seed": value, "val_bpb": Decimal(value)} for value in (1, 2, 3)]
    assert noise.values(noise.deciding(runs, is_baseline=False)) == [2, 3]
    assert noise.values(noise.deciding(runs, is_baseline=True)) == [1, 2, 3]
    assert noise.values(noise.deciding(runs[:1], is_baseline=False)) == [1]
    assert noise.values([{"val_bpb": None}]) == []


def test_a_run_that_was_made_again_with_its_seed_is_no_evidence() -> None:
    runs = [{"seed": seed, "val_bpb": Decimal(value)} for seed, value in ((1, 1), (2, 9), (2, 8), (2, 2), (3, 3))]
    assert noise.values(noise.deciding(runs, is_baseline=True)) == [1, 2, 3]
    assert noise.values(noise.deciding(runs[:4], is_baseline=False)) == [2]
    assert noise.values(noise.deciding(runs[1:4], is_baseline=False)) == [2]
