"""Fresh pairs of runs of the baseline and the incumbent -> how much of the claimed gain can be reproduced.

The claimed gain is on record. It was selected because it was large, so on average it is too large. Runs with fresh
seeds were not selected. The claimed gain was also selected on the validation text, but nothing was selected on the
holdout, which is text of the same kind. Gains are Decimal, in the unit of the run's metric.
"""

import json
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

from lab.errors import Fault
from lab.runs import conditions
from lab.store import durable, manifest, reruns, schemas
from lab.store.experiments import Experiment
from lab.store.metric import VAL_BPB, Metric
from lab.verdict import criterion, index, noise, replicates
from lab.verdict.criterion import Noise
from lab.verdict.noise import Run, Spread

FILE = "audit.json"
MOST = 99  # pairs
NIGHT = 100  # experiments that change nothing
NIGHTS = 2000  # simulated, for a standard error of 0.04 keeps
MEASURED = Decimal("0.29")  # phantom keeps per night with measured noise: tests/bench/verdicts, docs/noise.md

Interval = tuple[Decimal, Decimal] | None  # None: unknown

FINDINGS = {
    "reproduced": "the gain is reproduced",
    "less": "a gain is reproduced, but less than claimed",
    "lost": "not reproduced: the gain is within the noise and smaller than claimed",
    "worse": "not reproduced: the incumbent is worse than the baseline",
    "unclear": "too few pairs to tell: all of the gain may be real, or none",
    "no-claim": "no gain is claimed",
}


@dataclass(frozen=True)
class Pair:
    """A run of the baseline and a run of the incumbent, on one kind of device, with the same seed where there are."""

    baseline: Run
    incumbent: Run
    metric: Metric = VAL_BPB

    @property
    def gain(self) -> Decimal:
        """How much better the incumbent's value is than the baseline's."""
        return self.metric.gain(*(Decimal(one["val_bpb"]) for one in (self.baseline, self.incumbent)))

    @property
    def holdout_gain(self) -> Decimal | None:
        """The gain on the holdout; None unless both runs have a value there."""
        baseline, incumbent = (run.get("holdout_bpb") for run in (self.baseline, self.incumbent))
        return None if baseline is None or incumbent is None else Decimal(baseline) - Decimal(incumbent)

    @property
    def is_degraded(self) -> bool | None:
        """Whether the machine was disturbed during a run; None: unknown."""
        known = [run["degraded"] for run in (self.baseline, self.incumbent) if run["degraded"] is not None]
        return any(known) if known else None

    def as_json(self) -> dict[str, Any]:
        """The object in `audit.json`."""
        both = {"baseline": self.baseline, "incumbent": self.incumbent}
        return {
            "seed": self.baseline["seed"],
            **{name: run["val_bpb"] for name, run in both.items()},
            "gain": self.gain,
            **{f"{name}_holdout": run.get("holdout_bpb") for name, run in both.items()},
            "holdout_gain": self.holdout_gain,
            "degraded": self.is_degraded,
        }


@dataclass(frozen=True)
class Audit:
    """The two experiments, the number of runs of each, the fresh pairs, and the noise over all runs (None: unknown).

    `wanted` is the number of pairs that were requested; `partial` means that some of them did not run.
    """

    baseline: Experiment
    incumbent: Experiment
    runs: tuple[int, int]
    pairs: Sequence[Pair]
    spread: Spread | None
    baseline_runs: int
    wanted: int
    partial: bool
    claimed: Decimal  # the gain that status and report show
    metric: Metric = VAL_BPB

    @property
    def gain(self) -> Decimal:
        """The reproduced gain: the mean of the pairs."""
        return noise.average([pair.gain for pair in self.pairs])

    @property
    def on_holdout(self) -> list[Decimal]:
        """The gains of the pairs on the holdout."""
        return [gain for pair in self.pairs if (gain := pair.holdout_gain) is not None]

    @property
    def holdout_gain(self) -> Decimal | None:
        """The mean gain on the holdout."""
        return noise.average(self.on_holdout) if self.on_holdout else None

    @property
    def interval(self) -> Interval:
        """The interval of the reproduced gain."""
        return self.around(self.gain, len(self.pairs), len(self.pairs))

    @property
    def claimed_interval(self) -> Interval:
        """The interval of the claimed gain, from the number of runs behind each of the two rows."""
        return self.around(self.claimed, *self.runs)

    @property
    def holdout_interval(self) -> Interval:
        """The interval of the gain on the holdout. Seeds cause the same noise there as on the validation text."""
        return self.around(self.holdout_gain, len(self.on_holdout), len(self.on_holdout))

    def around(self, gain: Decimal | None, runs: int, other_runs: int) -> Interval:
        """The 95 % interval of a gain, from the pooled noise: two pairs alone would make it 13 standard errors wide."""
        if gain is None or self.spread is None:
            return None
        half = Noise(self.spread.sd, self.spread.df, runs, other_runs).bound(0.975)
        return gain - half, gain + half

    def share(self, gain: Decimal | None) -> Decimal | None:
        """The share of the claimed gain; None if no gain is claimed, or if `gain` is None."""
        return None if gain is None or self.claimed <= 0 else gain / self.claimed

    @property
    def finding(self) -> str:
        """A word of FINDINGS."""
        if self.claimed <= 0:
            return "no-claim"
        if self.interval is None:
            return "unclear"
        low, high = self.interval
        if low > 0:
            return "reproduced" if high >= self.claimed else "less"
        return "worse" if high < 0 else "lost" if high < self.claimed else "unclear"

    @property
    def phantoms(self) -> Decimal | None:
        """The expected keeps in 100 experiments that change nothing, with this run's settings; None: unknown."""
        if self.baseline_runs > 1:
            return MEASURED
        if self.spread is None:
            return None
        return phantom_keeps(float(self.spread.sd), criterion.band_of(None, self.metric))


def audit(run: Path, seeds: Sequence[int], *, partial: bool = False) -> str:
    """Write `audit.json` for the pairs of runs in reruns.jsonl with these seeds. Returns the audit as text.

    `partial`: some pairs did not run. Raises Fault if no pair has two values.
    """
    found = gather(run, seeds, partial=partial)
    text = json.dumps(as_json(found, manifest.read(run)["tag"]), indent=2, default=float, ensure_ascii=False)
    schemas.require("audit", json.loads(text))
    durable.write_atomically(run / FILE, text + "\n")
    return text_of(found)


def gather(run: Path, seeds: Sequence[int], *, partial: bool) -> Audit:
    """The audit. Raises Fault if no pair has two values."""
    baseline, incumbent = replicates.baseline_and_incumbent(run)
    valued = {(one["commit"], one["seed"]): one for one in reruns.read(run) if one["val_bpb"] is not None}
    both = [
        [valued[key] for seed in seeds if (key := (one["commit"], seed)) in valued] for one in (baseline, incumbent)
    ]
    metric = manifest.metric_of(run)
    pairs = [Pair(one, other, metric) for one, other in paired(*both)]
    if not pairs:
        raise Fault("no pair of runs produced two values", f"read the logs: ls '{run / 'logs'}'")
    baseline_runs = int(manifest.read(run)["settings"].get("BASELINE_RUNS", "1"))
    runs = _count(baseline, is_baseline=True), _count(incumbent, is_baseline=False)
    known = index.read(run)
    claimed = known.claimed(incumbent)
    return Audit(baseline, incumbent, runs, pairs, known.spread, baseline_runs, len(seeds), partial, claimed, metric)


def paired(baseline: Sequence[Run], incumbent: Sequence[Run]) -> list[tuple[Run, Run]]:
    """The runs of both in pairs with the same seed; on unlike devices, those left over with one on the same kind."""
    found: list[tuple[Run, Run]] = []
    left = list(incumbent)
    for by in ("seed", "device_name") if len(conditions.kinds([*baseline, *incumbent])) > 1 else ("seed",):
        for one in baseline:
            like = (run for run in left if run.get(by) == one.get(by) and len(conditions.kinds((one, run))) < 2)
            if not any(one is taken for taken, _ in found) and (other := next(like, None)) is not None:
                left.remove(other)
                found.append((one, other))
    return found


def _count(one: Experiment, *, is_baseline: bool) -> int:
    """The number of runs whose mean is the experiment's val_bpb."""
    return len(noise.values(noise.deciding(one["runs"], is_baseline=is_baseline))) or 1


def phantom_keeps(sd: float, band: Decimal = criterion.BAND) -> Decimal:
    """Expected keeps per night with a fixed band, from single runs with this noise (mean of seeded simulations)."""
    source, kept = random.Random(0), 0
    for _ in range(NIGHTS if sd else 0):
        incumbent = source.gauss(0, sd)
        for _ in range(NIGHT):
            value = source.gauss(0, sd)
            if incumbent - value >= band:
                incumbent = value
                kept += 1
    return Decimal(kept) / NIGHTS


def as_json(found: Audit, tag: str) -> dict[str, Any]:
    """`audit.json` (schemas/audit.schema.json): val_bpb and gains with six decimals, shares with four."""
    spread, none = found.spread, (None, None)
    low, high = found.interval or none
    claimed_low, claimed_high = found.claimed_interval or none
    holdout_low, holdout_high = found.holdout_interval or none
    return {
        "tag": tag,
        "audited": datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "wanted": found.wanted,
        "partial": found.partial,
        "baseline": {name: found.baseline[name] for name in ("n", "commit", "val_bpb")},
        "incumbent": {name: found.incumbent[name] for name in ("n", "commit", "val_bpb")},
        "pairs": [pair.as_json() for pair in found.pairs],
        **_rounded(6, claimed_gain=found.claimed, claimed_low=claimed_low, claimed_high=claimed_high),
        **_rounded(6, reproduced_gain=found.gain, reproduced_low=low, reproduced_high=high),
        **_rounded(6, holdout_gain=found.holdout_gain, holdout_low=holdout_low, holdout_high=holdout_high),
        **_rounded(4, share=found.share(found.gain), share_low=found.share(low), share_high=found.share(high)),
        **_rounded(6, sd=spread.sd if spread else None),
        "df": spread.df if spread else None,
        "baseline_runs": found.baseline_runs,
        **_rounded(2, phantom_keeps_per_100=found.phantoms),
        "finding": found.finding,
    }


def _rounded(digits: int, **numbers: Decimal | None) -> dict[str, Decimal | None]:
    """Round each number, and leave None as it is."""
    return {name: None if number is None else round(number, digits) for name, number in numbers.items()}


def text_of(found: Audit) -> str:
    """The audit in a few lines of text."""
    first, last = found.baseline, found.incumbent
    metric, level = found.metric, Decimal(first["val_bpb"])
    gains = " ".join(metric.gain_text(pair.gain, level) for pair in found.pairs)
    degraded = sum(bool(pair.is_degraded) for pair in found.pairs)
    doubt = f"; {degraded} of them while the machine was disturbed" if degraded else ""
    some = f"; stopped after {len(found.pairs)} of {found.wanted} pairs" if found.partial else ""
    return "\n".join(
        [
            f"claimed   {_gain(found, found.claimed, found.claimed_interval)}, from {metric.text(level)} to "
            f"{metric.text(Decimal(last['val_bpb']))}, #{last['n']} {last['description']}",
            f"fresh     {gains}{doubt}{some}",
            *_hosts(found),
            f"mean      {_gain(found, found.gain, found.interval)}",
            f"holdout   {_gain(found, found.holdout_gain, found.holdout_interval)}",
            *_shares(found),
            replicates.spread_told(found.spread, metric, level),
            _phantoms(found),
            f"finding   {FINDINGS[found.finding]}{_more(found)}",
        ]
    )


def _gain(found: Audit, gain: Decimal | None, interval: Interval) -> str:
    """`+0.070000, 95 % between +0.050000 and +0.090000`"""
    if gain is None:
        return "unknown: this run has no holdout text"
    level = Decimal(found.baseline["val_bpb"])
    told, *ends = (found.metric.gain_text(one, level) for one in (gain, *(interval or ())))
    return told + (f", 95 % between {' and '.join(ends)}" if ends else "")


def _hosts(found: Audit) -> list[str]:
    """The hosts of the pairs, if there are several. Hosts with one kind of device are compared as one."""
    names = conditions.hosts(run for pair in found.pairs for run in (pair.baseline, pair.incumbent))
    return [f"hosts     {', '.join(names)}"] if len(names) > 1 else []


def _shares(found: Audit) -> list[str]:
    """`2 pairs: 81 % of what is claimed, 95 % between 41 % and 120 %`"""
    shares = [share for gain in (found.gain, *(found.interval or ())) if (share := found.share(gain)) is not None]
    if not shares:
        return []
    middle, *ends = (f"{100 * share:.0f} %" for share in shares)
    between = f"95 % between {' and '.join(ends)}" if ends else "confidence interval unknown"
    count = "1 pair" if len(found.pairs) == 1 else f"{len(found.pairs)} pairs"
    return [f"share     {count}: {middle} of the claimed gain, {between}"]


def _phantoms(found: Audit) -> str:
    """The number of keeps that the run's settings give to experiments that change nothing."""
    if found.phantoms is None:
        return "phantoms  unknown"
    rule = "the measured noise" if found.baseline_runs > 1 else "the fixed thresholds of BASELINE_RUNS=1"
    return f"phantoms  {found.phantoms:.1f} keeps per {NIGHT} experiments that change nothing, with {rule} (simulated)"


def _more(found: Audit) -> str:
    """The number of pairs that makes an unclear finding clear: half the interval is then half the claimed gain."""
    if found.finding != "unclear":
        return ""
    if found.interval is None:
        return "; more: make audit K=2"
    wide = (found.interval[1] - found.gain) / found.claimed * 2
    return f"; more: make audit K={min(MOST, math.ceil(len(found.pairs) * wide**2))}"
