"""Fresh pairs of runs of the baseline and the incumbent -> how much of the claimed gain can be reproduced.

The claimed gain is the difference of two rows of the ledger. It was selected for being large, so on average it is too
large, by luck; runs with fresh seeds, side by side, were not selected. Decimal, in the unit of the run's metric.
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
from lab.store import durable, manifest, reruns, schemas
from lab.store.experiments import Experiment
from lab.store.metric import VAL_BPB, Metric
from lab.verdict import criterion, index, noise, replicates
from lab.verdict.criterion import Noise
from lab.verdict.noise import Run, Spread

FILE = "audit.json"
MOST = 99  # pairs
NIGHT = 100  # experiments that do nothing
NIGHTS = 2000  # simulated, for a standard error of 0.04 keeps
MEASURED = Decimal("0.29")  # phantom keeps a night where the noise is measured: tests/bench/verdicts, docs/noise.md

FINDINGS = {
    "reproduced": "the gain is reproduced",
    "less": "a gain is reproduced, but less than claimed",
    "lost": "not reproduced: the gain is within the noise, and less than claimed",
    "worse": "not reproduced: the incumbent is worse than the baseline",
    "unclear": "too few pairs to tell: all of the gain may be real, or none of it",
    "no-claim": "no gain is claimed",
}


@dataclass(frozen=True)
class Pair:
    """A run of the baseline and a run of the incumbent with the same seed."""

    baseline: Run
    incumbent: Run
    metric: Metric = VAL_BPB

    @property
    def gain(self) -> Decimal:
        """What the incumbent's value is better by than the baseline's."""
        return self.metric.gain(*(Decimal(one["val_bpb"]) for one in (self.baseline, self.incumbent)))

    @property
    def is_degraded(self) -> bool | None:
        """Whether the machine was disturbed; None: unknown."""
        known = [run["degraded"] for run in (self.baseline, self.incumbent) if run["degraded"] is not None]
        return any(known) if known else None

    def as_json(self) -> dict[str, Any]:
        """The object in `audit.json`."""
        values = {"baseline": self.baseline["val_bpb"], "incumbent": self.incumbent["val_bpb"]}
        return {"seed": self.baseline["seed"], **values, "gain": self.gain, "degraded": self.is_degraded}


@dataclass(frozen=True)
class Audit:
    """The two experiments, the fresh pairs, the noise over all runs (None: unknown), and a setting of the run."""

    baseline: Experiment
    incumbent: Experiment
    pairs: Sequence[Pair]
    spread: Spread | None
    baseline_runs: int
    metric: Metric = VAL_BPB

    @property
    def claimed(self) -> Decimal:
        """The gain by the ledger."""
        return self.metric.gain(*(Decimal(one["val_bpb"]) for one in (self.baseline, self.incumbent)))

    @property
    def gain(self) -> Decimal:
        """The reproduced gain: the mean of the pairs."""
        return noise.average([pair.gain for pair in self.pairs])

    @property
    def interval(self) -> tuple[Decimal, Decimal] | None:
        """The 95 % interval of the gain, by the pooled noise: two pairs alone make it 13 standard errors wide."""
        if self.spread is None:
            return None
        half = Noise(self.spread.sd, self.spread.df, len(self.pairs), len(self.pairs)).bound(0.975)
        return self.gain - half, self.gain + half

    def share(self, gain: Decimal | None) -> Decimal | None:
        """The share of the claimed gain; None if no gain is claimed, or for None."""
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
        """Keeps in a hundred experiments that do nothing, with the settings of the run; None: unknown."""
        if self.baseline_runs > 1:
            return MEASURED
        if self.spread is None:
            return None
        return phantom_keeps(float(self.spread.sd), criterion.band_of(None, self.metric))


def audit(run: Path, seeds: Sequence[int]) -> str:
    """Write `audit.json` for the pairs of runs with these seeds in reruns.jsonl. Returns it as text for a person."""
    found = gather(run, seeds)
    text = json.dumps(as_json(found, manifest.read(run)["tag"]), indent=2, default=float, ensure_ascii=False)
    schemas.require("audit", json.loads(text))
    durable.write_atomically(run / FILE, text + "\n")
    return text_of(found)


def gather(run: Path, seeds: Sequence[int]) -> Audit:
    """The audit. Raises Fault if no pair has two values."""
    baseline, incumbent = replicates.baseline_and_incumbent(run)
    valued = {(one["commit"], one["seed"]): one for one in reruns.read(run) if one["val_bpb"] is not None}
    both = [[valued.get((one["commit"], seed)) for one in (baseline, incumbent)] for seed in seeds]
    metric = manifest.metric_of(run)
    pairs = [Pair(one, other, metric) for one, other in both if one and other]
    if not pairs:
        raise Fault("no pair of runs gave two values", f"the logs are in '{run / 'logs'}'")
    wanted = int(manifest.read(run)["settings"].get("BASELINE_RUNS", "1"))
    return Audit(baseline, incumbent, pairs, index.read(run).spread, wanted, metric)


def phantom_keeps(sd: float, band: Decimal = criterion.BAND) -> Decimal:
    """Keeps a night by the fixed thresholds, from single runs with this noise: the mean of seeded simulations."""
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
    gain, (low, high), spread = found.gain, found.interval or (None, None), found.spread
    return {
        "tag": tag,
        "audited": datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "baseline": {name: found.baseline[name] for name in ("n", "commit", "val_bpb")},
        "incumbent": {name: found.incumbent[name] for name in ("n", "commit", "val_bpb")},
        "pairs": [pair.as_json() for pair in found.pairs],
        **_rounded(6, claimed_gain=found.claimed, reproduced_gain=gain, reproduced_low=low, reproduced_high=high),
        **_rounded(4, share=found.share(gain), share_low=found.share(low), share_high=found.share(high)),
        **_rounded(6, sd=spread.sd if spread else None),
        "df": spread.df if spread else None,
        "baseline_runs": found.baseline_runs,
        **_rounded(2, phantom_keeps_per_100=found.phantoms),
        "finding": found.finding,
    }


def _rounded(digits: int, **numbers: Decimal | None) -> dict[str, Decimal | None]:
    """None stays None."""
    return {name: None if number is None else round(number, digits) for name, number in numbers.items()}


def text_of(found: Audit) -> str:
    """A few lines for a person."""
    first, last = found.baseline, found.incumbent
    metric, level = found.metric, Decimal(first["val_bpb"])
    gains = " ".join(metric.gain_text(pair.gain, level) for pair in found.pairs)
    degraded = sum(bool(pair.is_degraded) for pair in found.pairs)
    doubt = f"; {degraded} of them while the machine was not as usual" if degraded else ""
    ends = " and ".join(metric.gain_text(end, level) for end in found.interval or ())
    between = f", 95 % between {ends}" if found.interval else ""
    return "\n".join(
        [
            f"claimed   {metric.gain_text(found.claimed, level)}, "
            f"from {metric.text(level)} to {metric.text(last['val_bpb'])}, "
            f"#{last['n']} {last['description']}",
            f"fresh     {gains}{doubt}",
            f"there     {metric.gain_text(found.gain, level)}{between}",
            *_shares(found),
            replicates.spread_told(found.spread, metric, level),
            _phantoms(found),
            f"finding   {FINDINGS[found.finding]}{_more(found)}",
        ]
    )


def _shares(found: Audit) -> list[str]:
    """`2 pairs: 81 % of what is claimed, 95 % between 41 % and 120 %`"""
    shares = [share for gain in (found.gain, *(found.interval or ())) if (share := found.share(gain)) is not None]
    if not shares:
        return []
    middle, *ends = (f"{100 * share:.0f} %" for share in shares)
    between = f"95 % between {' and '.join(ends)}" if ends else "confidence interval unknown"
    count = "1 pair" if len(found.pairs) == 1 else f"{len(found.pairs)} pairs"
    return [f"share     {count}: {middle} of what is claimed, {between}"]


def _phantoms(found: Audit) -> str:
    """How many keeps the settings of the run give to experiments that do nothing."""
    if found.phantoms is None:
        return "phantoms  not known"
    rule = "the measured noise" if found.baseline_runs > 1 else "the fixed thresholds of BASELINE_RUNS=1"
    return f"phantoms  {found.phantoms:.1f} keeps of each {NIGHT} experiments that do nothing, with {rule} (simulated)"


def _more(found: Audit) -> str:
    """How many pairs make an unclear finding clear: the half interval is then half of the claimed gain."""
    if found.finding != "unclear":
        return ""
    if found.interval is None:
        return "; more: make audit K=2"
    wide = (found.interval[1] - found.gain) / found.claimed * 2
    return f"; more: make audit K={min(MOST, math.ceil(len(found.pairs) * wide**2))}"
