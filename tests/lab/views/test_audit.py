"""bin/audit: fresh pairs of the baseline and the incumbent, and how much of the claimed gain is there."""

import json
import math
import random
import re
from pathlib import Path
from statistics import mean
from typing import Any

import pytest
from click.testing import CliRunner
from lab.cli import main
from lab.store import schemas
from lab.views import audit
from test_replicates import SD, T, check_left, make, reruns, value


def luck(idea: str, seed: int) -> float:
    """In standard deviations; above 0 is worse."""
    return random.Random(f"{idea}{seed}").gauss(0, SD) / SD


LUCKY = next(idea for idea in map("idea{}".format, range(9999)) if luck(idea, 42) < -2.5)


def gains(seeds: range, idea: str, level: float) -> list[float]:
    return [value(seed) - value(seed, idea, level) for seed in seeds]


def pooled(*groups: list[float]) -> tuple[float, int]:
    """Standard deviation and degrees of freedom."""
    squares = sum((one - mean(group)) ** 2 for group in groups for one in group)
    df = sum(len(group) - 1 for group in groups)
    return math.sqrt(squares / df), df


def expected_keeps(sd: float, threshold: float = 0.001, night: int = 100) -> float:
    """Of a chain that keeps what is lower by the threshold: backwards, on a grid of the incumbent's values."""
    step, threshold = 0.01, threshold / sd
    grid = [-6 + step * i for i in range(1201)]
    mass = [step * math.exp(-x * x / 2) / math.sqrt(2 * math.pi) for x in grid]
    shift = round(threshold / step)
    to_come = [0.0] * len(grid)
    for _ in range(night):
        below, kept, following = 0.0, 0.0, []
        for i, ahead in enumerate(to_come):
            half = mass[i - shift] / 2 if i >= shift else 0.0
            below += half
            kept += half * (1 + to_come[i - shift])
            following.append(kept + (1 - below) * ahead)
            below += half
            kept += half * (1 + to_come[i - shift])
        to_come = following
    return sum(m * v for m, v in zip(mass, to_come, strict=True))


# --- the verb --------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_phantom_is_found_out(tmp_path: Path) -> None:
    """One lucky run that the fixed thresholds kept: VALUE is as it was."""
    house = make(tmp_path / "house", baseline_runs=1, better=LUCKY, level=1.0)
    claimed = value(42) - value(42, LUCKY)
    assert claimed > 2.5 * SD
    seeds = range(43, 46)
    result = house.call("make", "audit", "K=3")
    assert result.status == 0
    there = mean(gains(seeds, LUCKY, 1.0))
    said = json.loads((house.run_folder / "audit.json").read_text())
    assert schemas.problems("audit", said) == []
    assert said["claimed_gain"] == pytest.approx(claimed, abs=1e-6)
    assert [pair["gain"] for pair in said["pairs"]] == pytest.approx(gains(seeds, LUCKY, 1.0), abs=1e-6)
    assert said["reproduced_gain"] == pytest.approx(there, abs=1e-6)
    assert said["share"] == pytest.approx(there / claimed, abs=1e-4)
    assert abs(said["share"]) < 0.5
    sd, df = pooled([value(s) for s in range(42, 46)], [value(s, LUCKY) for s in range(42, 46)])
    half = T[df] * sd * math.sqrt(2 / 3)
    assert (said["sd"], said["df"]) == (pytest.approx(sd, abs=1e-6), 6)
    assert said["share_low"] == pytest.approx((there - half) / claimed, abs=1e-3)
    assert said["share_high"] == pytest.approx((there + half) / claimed, abs=1e-3)
    assert said["phantom_keeps_per_100"] == pytest.approx(expected_keeps(sd), abs=0.15)
    assert said["phantom_keeps_per_100"] > 1
    assert said["finding"] == "lost"
    percent = [f"{100 * said[name]:.0f} %" for name in ("share", "share_low", "share_high")]
    share = f"share     3 pairs: {percent[0]} of the claimed gain, 95 % between {percent[1]} and {percent[2]}\n"
    assert share in result.out
    assert "\nfinding   not reproduced: " in result.out
    assert "keeps per 100 experiments that change nothing, with the fixed thresholds of BASELINE_RUNS=1" in result.out
    told = [line.split(": ")[1] for line in result.err.splitlines() if line.startswith("run ")]
    names = ("baseline", "incumbent")
    assert told == [f"the {name} with seed {seed}" for seed in seeds for name in names]
    assert re.search(r"^6 runs, about \d+ s, 1 at a time; no run starts after \d+ s$", result.err, re.MULTILINE)
    assert (said["wanted"], said["partial"], said["holdout_gain"]) == (3, False, None)
    assert "there is no holdout text: the audit only uses new seeds" in result.err
    head = house.git("rev-parse", "HEAD")
    baseline = house.experiments()[0]["commit"]
    assert [(one["commit"], one["seed"]) for one in reruns(house)] == [(c, s) for s in seeds for c in (baseline, head)]
    assert "(6 degrees of freedom)" in house.call("bin/status").out, "all later verdicts know it"
    check_left(house)


# --- the figures -----------------------------------------------------------------------------------------------------

BASE, LAST = "a" * 40, "b" * 40


def audited(folder: Path, rows: tuple[float, float], fresh: list[tuple[float, float]], **more: Any) -> dict[str, Any]:
    """audit.json of a run with a baseline of three runs and one keep, and what is printed as `text`."""
    runs = [{"seed": seed, "val_bpb": rows[0] + d} for seed, d in enumerate(more.pop("spread", (-0.01, 0, 0.01)))]
    past = [
        {"n": 1, "commit": BASE, "status": "keep", "rule": "baseline", "val_bpb": rows[0], "runs": runs},
        {"n": 2, "commit": LAST, "status": "keep", "rule": "gain", "val_bpb": rows[1], "runs": runs[:1]},
    ]
    lines = [json.dumps({**one, "description": "x"}) + "\n" for one in past]
    (folder / "experiments.jsonl").write_text("".join(lines))
    setting = {"BASELINE_RUNS": str(more.pop("baseline_runs", 3))}
    (folder / "manifest.json").write_text(json.dumps({"tag": "mar14", "settings": setting}))
    apart = more.pop("holdout", [(None, None)] * len(fresh))
    partial = ["--partial"] if more.pop("partial", False) else []
    hosts = more.pop("hosts", (None, None))
    both = [(seed, *pair) for seed, pair in enumerate(zip((BASE, LAST), values, strict=True) for values in fresh)]
    pairs = [
        {"commit": c, "seed": seed + 50, "val_bpb": v, "degraded": None, **more, "holdout_bpb": h, "host": host}
        for (seed, *two), there in zip(both, apart, strict=True)
        for (c, v), h, host in zip(two, there, hosts, strict=True)
    ]
    (folder / "reruns.jsonl").write_text("".join(json.dumps(one) + "\n" for one in pairs))
    seeds = [str(50 + n) for n in range(len(fresh))]
    result = CliRunner().invoke(main, ["audit", str(folder), *seeds, *partial])
    assert result.exit_code == 0, result.output
    said = json.loads((folder / "audit.json").read_text())
    assert schemas.problems("audit", said) == []
    return {**said, "text": result.stdout}


def test_the_interval_rests_on_all_noise_of_the_run(tmp_path: Path) -> None:
    said = audited(tmp_path, (1.0, 0.9), [(1.01, 0.94), (0.99, 0.92)])
    sd, df = pooled([0.99, 1.0, 1.01, 1.01, 0.99], [0.99, 0.94, 0.92])
    assert (said["sd"], said["df"]) == (pytest.approx(sd, abs=1e-6), df)
    assert said["reproduced_gain"] == 0.07
    assert said["reproduced_high"] - said["reproduced_gain"] == pytest.approx(T[df] * sd, rel=1e-3)
    assert said["share"] == 0.7
    assert said["phantom_keeps_per_100"] == 0.29
    assert "phantoms  0.3 keeps per 100 experiments that change nothing, with the measured noise" in said["text"]
    half = (said["claimed_high"] - said["claimed_low"]) / 2
    assert half == pytest.approx(T[df] * sd * math.sqrt(1 / 3 + 1), rel=1e-3), "the row of the baseline is a mean of 3"
    ends = f"95 % between {said['claimed_low']:+.6f} and {said['claimed_high']:+.6f}"
    claimed = f"claimed   +0.100000, {ends}, from 1.000000 to 0.900000, #2 x\n"
    assert f"{claimed}fresh     +0.070000 +0.070000\n" in said["text"]
    assert (said["holdout_gain"], said["holdout_low"], said["pairs"][0]["holdout_gain"]) == (None, None, None)
    assert "\nholdout   unknown: this run has no holdout text\n" in said["text"]


def test_the_gain_on_the_holdout_and_a_part_of_the_pairs(tmp_path: Path) -> None:
    apart = {"holdout": [(1.11, 1.06), (1.09, None)], "partial": True}
    said = audited(tmp_path, (1.0, 0.9), [(1.01, 0.94), (0.99, 0.92)], **apart)
    first, second = said["pairs"]
    assert (first["baseline_holdout"], first["incumbent_holdout"], first["holdout_gain"]) == (1.11, 1.06, 0.05)
    assert (second["baseline_holdout"], second["incumbent_holdout"], second["holdout_gain"]) == (1.09, None, None)
    assert said["holdout_gain"] == 0.05
    half = (said["holdout_high"] - said["holdout_low"]) / 2
    assert half == pytest.approx((said["reproduced_high"] - said["reproduced_gain"]) * math.sqrt(2), rel=1e-3)
    assert (said["wanted"], said["partial"]) == (2, True)
    assert "; stopped after 2 of 2 pairs\n" in said["text"]


@pytest.mark.parametrize(
    ("claimed", "there", "noise", "finding"),
    [
        (0.5, 0.49, 0.01, "reproduced"),
        (0.5, 0.2, 0.01, "less"),
        (0.5, 0.002, 0.01, "lost"),
        (0.5, -0.3, 0.01, "worse"),
        (0.02, 0.01, 0.01, "unclear"),
        (0.0, 0.3, 0.01, "no-claim"),
        (-0.1, -0.1, 0.01, "no-claim"),
        (0.5, 0.5, 0.0, "reproduced"),
        (0.5, 0.0, 0.0, "lost"),
    ],
)
def test_what_is_found(tmp_path: Path, claimed: float, there: float, noise: float, finding: str) -> None:
    values = [(1.0, 1.0 - there)] * 2
    said = audited(tmp_path, (1.0, 1.0 - claimed), values, spread=(-noise, 0, noise))
    # the incumbent's own run, kept for its luck, is in its group: nothing here depends on it
    assert said["finding"] == finding, said["text"]
    assert (said["share"] is None) == (claimed <= 0)
    assert ("share  " in said["text"]) == (claimed > 0)


def test_one_pair_says_so_and_how_many_would_do(tmp_path: Path) -> None:
    said = audited(tmp_path, (1.0, 0.98), [(1.0, 0.99)], degraded=True)
    assert "share     1 pair: 50 % of the claimed gain, 95 % between -" in said["text"]
    assert "fresh     +0.010000; 1 of them while the machine was disturbed\n" in said["text"]
    assert said["pairs"][0]["degraded"] is True
    half = said["reproduced_high"] - said["reproduced_gain"]
    assert said["text"].endswith(f"; more: make audit K={math.ceil((half / 0.02 * 2) ** 2)}\n")


@pytest.mark.parametrize(("hosts", "told"), [(("n1", "n2"), "\nhosts     n1, n2\n"), (("n1", "n1"), "")])
def test_several_hosts_are_told(tmp_path: Path, hosts: tuple[str, str], told: str) -> None:
    text = audited(tmp_path, (1.0, 0.9), [(1.0, 0.9)], hosts=hosts)["text"]
    assert told in text
    assert ("hosts" in text) == bool(told)


def test_half_a_pair_is_none(tmp_path: Path) -> None:
    audited(tmp_path, (1.0, 0.9), [(1.0, 0.9)])
    (tmp_path / "reruns.jsonl").write_text(json.dumps({"commit": BASE, "seed": 77, "val_bpb": 1.0}) + "\n")
    result = CliRunner().invoke(main, ["audit", str(tmp_path), "77"])
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("lab: no pair of runs produced two values\nhint: ")


def test_phantom_keeps_of_the_fixed_thresholds() -> None:
    """The simulation against a sum over all values; without a threshold it would be that of 1/2 ... 1/101."""
    assert expected_keeps(1, 0) == pytest.approx(sum(1 / n for n in range(2, 102)), abs=0.01)
    for sd in (0.001, 0.0002):
        assert float(audit.phantom_keeps(sd)) == pytest.approx(expected_keeps(sd), abs=0.12)
    assert audit.phantom_keeps(0.001) == audit.phantom_keeps(0.001), "the same each time"
    assert audit.phantom_keeps(0.0) == 0


def test_on_unlike_devices_pairs_are_made_within_a_kind() -> None:
    def runs(*kinds: str | None) -> list[dict[str, Any]]:
        return [{"seed": seed, "device_name": kind} for seed, kind in enumerate(kinds)]

    def seeds(baseline: list[dict[str, Any]], incumbent: list[dict[str, Any]]) -> list[tuple[int, int]]:
        return [(one["seed"], other["seed"]) for one, other in audit.paired(baseline, incumbent)]

    assert seeds(runs(None, None), runs(None, None)) == [(0, 0), (1, 1)]
    assert seeds(runs("A", "A")[1:], runs("A")) == [], "half a pair"
    assert seeds(runs("A", "B"), runs("B", "A")) == [(0, 1), (1, 0)]
    assert seeds(runs("A", "B", "B"), runs("A", "A", "B")) == [(0, 0), (2, 2)]
    assert seeds(runs("A"), runs("B")) == []
