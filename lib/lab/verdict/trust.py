"""The keeps of a run -> how sure the gain of each is, from the noise over all runs.

A gain is the recorded one: the mean of the incumbent's runs against the mean of the runs that decided on the keep. Its
interval uses all runs of the incumbent so far. Gains are Decimal, in the unit of the run's metric.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

from lab.runs import conditions
from lab.store import metric, reruns
from lab.store.experiments import Experiment
from lab.verdict import noise
from lab.verdict.criterion import LEAST_BAND, Noise
from lab.verdict.noise import Run, Spread

SURE, LIKELY = "sure", "likely"
WITHIN = "within the noise"
WORDS = (SURE, LIKELY, WITHIN)
QUANTILES = ((SURE, 0.99865), (LIKELY, 0.975))  # of Student's t: 3 and 2 standard errors if the noise is well known


@dataclass(frozen=True)
class Trust:
    """`word` is one of WORDS; the interval is a 95 % interval. None: the noise was not measured."""

    word: str | None
    low: Decimal | None = None
    high: Decimal | None = None


def of(keep: Experiment, level: Sequence[Run], spread: Spread | None) -> Trust | None:
    """The trust in one keep. `level`: the runs of its incumbent. None for a keep without a gain, such as a baseline."""
    gain = keep.get("gain")
    if gain is None:
        return None
    if spread is None:
        return Trust(None)
    runs = len(noise.values(noise.deciding(keep["runs"], is_baseline=False, kind=keep.get("device_name"))))
    known = Noise(spread.sd, spread.df, max(1, runs), max(1, len(noise.values(level))))
    least = LEAST_BAND if metric.named(keep).is_bpb else Decimal(0)
    half = max(least, known.bound(0.975))
    word = next((word for word, p in QUANTILES if gain > max(least, known.bound(p))), WITHIN)
    return Trust(word, gain - half, gain + half)


def of_keeps(
    run: Path, keeps: Sequence[Experiment], spread_on: Callable[[str | None], Spread | None]
) -> dict[str, Trust]:
    """The trust of all keeps of a run, by commit. `keeps` are in order and begin with the baseline.

    `spread_on` returns the noise on a kind of device.
    """
    again = reruns.read(run) if spread_on(None) else []
    found = {}
    for before, one in pairwise(keeps):
        own = noise.deciding(before["runs"], is_baseline=before["rule"] == "baseline")
        level = [*own, *(other for other in again if other["commit"] == before["commit"])]
        kind = one.get("device_name")
        if trust := of(one, [other for other in level if conditions.is_on(other, kind)], spread_on(kind)):
            found[one["commit"]] = trust
    return found


def interval(trust: Trust, keep: Experiment) -> str:
    """`95 %: +0.001100 to +0.003400`, with the decimals of the keep's value; or `confidence interval unknown`."""
    if trust.low is None or trust.high is None:
        return "confidence interval unknown"
    low, high = (metric.named(keep).gain_text(end, keep["val_bpb"]) for end in (trust.low, trust.high))
    return f"95 %: {low} to {high}"
