"""Runs land on unlike devices: what is compared was made on one kind of them, never across."""

import json
from collections.abc import Callable, Iterator
from decimal import Decimal
from itertools import chain, count, repeat
from pathlib import Path
from typing import Any

import pytest
from flights import put_code
from lab.runs import conditions
from lab.store import experiments, ledger, reruns, schemas
from lab.verdict import index, noise, trust
from lab.verdict.criterion import Noise
from test_conclude import BASELINE, BEFORE, FIRST, SECOND, fact, fly, statuses, step, trained
from test_evaluation_record import FACTS, RECORD

FAST, SLOW = "NVIDIA H100", "NVIDIA A100"
LEVEL = {FAST: 0.0, SLOW: 0.1}  # a slower device makes fewer steps: the same code scores worse there
Where = Iterator[str]


def jitter(seed: int) -> float:
    """The noise: a thousandth."""
    return (seed * 37 % 11 - 5) / 5000


def play(run: Path, value: float, where: Where, incumbent: float = 1.0, **record: Any) -> list[str]:
    """The flight f1 to its verdict: its code has this value, and each run lands where it says. Returns what is told."""
    told = list[str]()
    for attempt in count(1):
        asked = (fact(run, "next") or "candidate 42").split()
        kind, code, seed = next(where), asked[0], int(asked[1])
        score = (incumbent if code == "incumbent" else value) + LEVEL[kind] + jitter(seed)
        trained(run, attempt, f"{score:.6f}", seed)
        folder = run / f"flights/f1/run.{attempt}"
        (folder / "record").mkdir()
        said = RECORD | {"val_bpb": round(score, 6), "device": "cuda", "device_name": kind} | record
        said |= {"peak_memory_mb": said["peak_memory_mb"] * (2 if kind == FAST else 1)}
        (folder / "record/evaluation.json").write_text(json.dumps(said))
        (folder / "resources").write_text('{"cpu_seconds": 65.0}')
        said_here = step(run)
        if said_here is None:
            one = experiments.read(run)[-1]
            assert schemas.problems("experiment", json.loads(json.dumps(one, default=float))) == []
            return told
        told += said_here.splitlines()[:-1]
        assert attempt < 40, told
        (run / "flights/f1/next").write_text((fact(run, "next") or "").split("\n")[0] + "\n")
    raise AssertionError


def set_up(folder: Path, where: Where, baseline_runs: int = 3) -> Path:
    run = folder / "mar14"
    run.mkdir()
    settings = {"PROFILE": "small", "TIME_BUDGET": "60", "BASELINE_RUNS": str(baseline_runs)}
    (run / "manifest.json").write_text(
        json.dumps({"start": "0" * 40, "settings": settings, "comparable": FACTS}),
    )
    (run / "results.tsv").write_text(ledger.HEADER + "\n")
    fly(run, BASELINE, "baseline", "0" * 40)
    play(run, 1.0, where)
    return run


@pytest.fixture(autouse=True)
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTORESEARCH_MEMORY", str(tmp_path / "memory"))


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A baseline of three runs, on the fast kind."""
    return set_up(tmp_path, repeat(FAST))


def last(run: Path) -> dict[str, Any]:
    return experiments.read(run)[-1]


def known_on(run: Path, kind: str, commit: str = BASELINE) -> list[int]:
    """The seeds that the incumbent was run with there beside candidates."""
    return [one["seed"] for one in reruns.read(run) if (one["commit"], one["device_name"]) == (commit, kind)]


@pytest.mark.parametrize(("value", "status"), [(1.0, "discard"), (0.97, "keep"), (1.05, "discard")])
def test_it_is_judged_against_the_incumbent_on_its_own_kind_of_device(run: Path, value: float, status: str) -> None:
    """Which is measured there first, twice, so that the noise there is known."""
    fly(run, FIRST)
    told = play(run, value, repeat(SLOW))
    one = last(run)
    assert "another run of the incumbent with seed 45: it has not run on '" + SLOW in told[0]
    assert len(known_on(run, SLOW)) >= 2
    assert (one["status"], one["device_name"]) == (status, SLOW)
    assert float(one["incumbent_bpb"]) == pytest.approx(1.1, abs=0.001), "what the incumbent has there"
    assert float(one["gain"]) == pytest.approx(1 - value, abs=0.002)


@pytest.mark.parametrize("value", [1.0, 0.97])
def test_a_faster_device_is_no_win_and_a_slower_one_no_loss(tmp_path: Path, value: float) -> None:
    run = set_up(tmp_path, repeat(SLOW))
    fly(run, FIRST)
    play(run, value, repeat(FAST))
    assert last(run)["status"] == ("keep" if value < 1 else "discard")
    assert float(last(run)["gain"]) == pytest.approx(1 - value, abs=0.002)


def test_the_next_one_there_finds_the_incumbent_known(run: Path) -> None:
    fly(run, FIRST)
    play(run, 1.05, repeat(SLOW))
    fly(run, SECOND)
    assert play(run, 1.05, repeat(SLOW)) == []
    assert len(known_on(run, SLOW)) == 2


def test_with_the_fixed_thresholds_one_run_of_the_incumbent_is_enough(tmp_path: Path) -> None:
    run = set_up(tmp_path, repeat(FAST), 1)
    fly(run, FIRST)
    assert len(play(run, 0.97, repeat(SLOW))) == 1
    assert (last(run)["status"], float(last(run)["gain"])) == ("keep", pytest.approx(0.03, abs=0.002))


@pytest.mark.parametrize("value", [1.0, 0.97])
@pytest.mark.parametrize("kinds", [(FAST, SLOW), (SLOW, FAST), (SLOW, SLOW, FAST), (FAST, FAST, SLOW)])
def test_where_each_run_lands_elsewhere_it_comes_to_an_end_and_nothing_is_mixed(
    run: Path, kinds: tuple[str, ...], value: float
) -> None:
    fly(run, FIRST)
    play(run, value, chain.from_iterable(repeat(kinds)))
    one = last(run)
    assert one["status"] == ("keep" if value < 1 else "discard"), one["reason"]
    assert float(one["gain"]) == pytest.approx(1 - value, abs=0.003)
    decided = noise.deciding(one["runs"], is_baseline=False, kind=one["device_name"])
    assert float(one["val_bpb"]) == pytest.approx(float(noise.average(noise.values(decided))), abs=1e-6)


def test_where_the_incumbent_never_lands_on_the_same_kind_it_is_no_keep(run: Path) -> None:
    """A cluster may have had one such host for an hour. There is no number to hold it against."""

    def where() -> Iterator[str]:
        while True:
            yield SLOW if (fact(run, "next") or "candidate").startswith("candidate") else FAST

    fly(run, FIRST)
    play(run, 0.5, where())
    one = last(run)
    assert (one["status"], one["rule"], one["gain"], one["incumbent_bpb"]) == ("discard", "elsewhere", None, None)
    assert SLOW in one["reason"]
    assert len(one["runs"]) <= 5
    assert statuses(run) == ["keep", "discard"]


def test_a_candidate_may_follow_the_incumbent(run: Path) -> None:
    """It landed on a host that is never had again."""
    fly(run, FIRST)
    play(run, 0.9, chain([SLOW], repeat(FAST)))
    assert (last(run)["status"], last(run)["device_name"]) == ("keep", FAST)
    assert float(last(run)["gain"]) == pytest.approx(0.1, abs=0.002)


def test_a_baseline_on_several_kinds_has_the_value_of_one(tmp_path: Path) -> None:
    run = set_up(tmp_path, iter([SLOW, FAST, FAST]))
    one = last(run)
    assert (one["device_name"], float(one["val_bpb"])) == (FAST, pytest.approx(1.0, abs=0.001))
    spread = index.read(run).spread
    assert spread is not None
    assert spread.sd < Decimal("0.002"), "the difference of the devices is no noise"


def test_the_noise_is_that_of_the_kind(run: Path) -> None:
    known = index.read(run)
    assert known.spread_on(SLOW) is None
    assert known.spread_on(FAST) == known.spread
    fly(run, FIRST)
    play(run, 1.05, repeat(SLOW))
    again = index.read(run)
    on_slow = again.spread_on(SLOW)
    assert on_slow is not None
    assert (on_slow.df, again.spread_on(FAST)) == (1, known.spread)
    assert again == index.rebuilt(run)


def test_more_memory_on_a_larger_device_is_no_cost(tmp_path: Path) -> None:
    """train.py uses as many rows as its GPU holds."""
    run = set_up(tmp_path, repeat(SLOW))
    fly(run, FIRST)
    play(run, 0.997, repeat(FAST), peak_memory_mb=4000.0)
    assert last(run)["rule"] != "memory"
    assert f"memory {8000 / 1024:.1f} -> {8000 / 1024:.1f}" in last(run)["reason"]


def test_the_best_and_its_gain_on_a_slower_device(run: Path) -> None:
    """Its number is worse than the baseline's, and yet it is the best: it has gained on the best, where it ran."""
    fly(run, FIRST)
    play(run, 0.97, repeat(SLOW))
    known = index.read(run)
    assert known.best is not None
    assert (known.best["commit"], known.best["val_bpb"] > 1) == (FIRST, True)
    assert float(known.claimed(known.best)) == pytest.approx(0.03, abs=0.002)
    fly(run, SECOND, parent=FIRST)
    play(run, 0.95, repeat(FAST), incumbent=0.97)
    known = index.read(run)
    assert known.best is not None
    assert known.best["commit"] == SECOND
    assert float(known.claimed(known.best)) == pytest.approx(0.05, abs=0.003)
    assert known == index.rebuilt(run)


def test_how_sure_a_keep_is_rests_on_runs_on_its_own_kind(run: Path) -> None:
    fly(run, FIRST)
    play(run, 0.97, repeat(SLOW))
    known, keep = index.read(run), last(run)
    sure = trust.of_keeps(run, experiments.keeps(run), known.spread_on)[FIRST]
    spread = known.spread_on(SLOW)
    assert spread is not None
    runs = len(noise.deciding(keep["runs"], is_baseline=False)), len(known_on(run, SLOW))
    half = Noise(spread.sd, spread.df, *runs).bound(0.975)
    assert (sure.low, sure.high) == (keep["gain"] - half, keep["gain"] + half)


def test_less_code_is_held_against_the_best_of_its_own_kind(run: Path) -> None:
    """On a slower device all is a band worse than the best on a faster one."""
    fly(run, FIRST)
    put_code(run / "flights/f1", BEFORE, "LR = 0.04\n")
    play(run, 1.0, repeat(SLOW))
    assert (last(run)["status"], last(run)["rule"]) == ("keep", "simplification")


def test_fresh_runs_that_always_land_where_nothing_can_be_compared_come_to_an_end(run: Path) -> None:
    def where() -> Iterator[str]:
        yield FAST
        while True:
            yield SLOW if (fact(run, "next") or "").startswith("candidate") else FAST

    fly(run, FIRST)
    play(run, 0.9995, where())
    assert last(run)["device_name"] == FAST
    assert len(last(run)["runs"]) <= 10


def test_how_the_kind_is_chosen() -> None:
    def runs(*kinds: str | None) -> list[dict[str, Any]]:
        return [{"seed": seed, "val_bpb": 1, "device_name": kind} for seed, kind in enumerate(kinds)]

    chosen: Callable[..., str | None] = noise.kind_judged_on
    assert chosen(runs(None), [], is_baseline=False) is None
    assert chosen(runs("A"), runs("B"), is_baseline=False) == "A", "there is nothing to choose from"
    assert chosen(runs("A", "B"), runs("A"), is_baseline=False) == "A"
    assert chosen(runs("A", "B"), runs("A", "B"), is_baseline=False) == "B", "the first run is no evidence"
    assert chosen(runs("A", "B", "A"), runs("A", "B", "B"), is_baseline=False) == "B", "the incumbent is known better"
    assert chosen(runs("A", "B", "B"), [], is_baseline=True) == "B"
    assert conditions.kinds(runs("A", None, "B", "A")) == ["A", "B"]
