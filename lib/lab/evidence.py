"""The run and its measured flight -> the evidence for a verdict: runs of incumbent and candidate, and the noise."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from lab import conditions, experiments, noise
from lab.experiments import Experiment
from lab.noise import Spread


@dataclass(frozen=True)
class Evidence:
    """val_bpb of the incumbent's runs, and of the candidate's: its first run, and those with fresh seeds.

    `spread` is None where nothing has been run twice yet. The incumbent's runs are those that the machine was as fast
    for as for the candidate's that decide; if there are none, `is_like` is off, and they are all of them.
    """

    incumbent: Sequence[Decimal]
    first: Decimal
    fresh: Sequence[Decimal]
    spread: Spread | None
    is_like: bool = True

    @property
    def deciding(self) -> Sequence[Decimal]:
        """The candidate's runs that count: the one that made it look good is no evidence."""
        return self.fresh or [self.first]

    @property
    def gain(self) -> Decimal:
        """The incumbent's mean less the candidate's."""
        return noise.average(self.incumbent) - noise.average(self.deciding)

    @property
    def error(self) -> Decimal:
        """The standard error of the gain; 0 where the noise is not known."""
        runs = Decimal(1) / len(self.deciding) + Decimal(1) / len(self.incumbent)
        return self.spread.sd * runs.sqrt() if self.spread else Decimal(0)


def gather(run: Path, past: list[Experiment], measured: dict[str, Any]) -> Evidence | None:
    """The evidence on the candidate in flight, which has a metric; None before there is an incumbent."""
    incumbent = experiments.incumbent(past)
    if incumbent is None:
        return None
    groups = noise.by_commit(past, noise.read(run))
    groups[incumbent["commit"]] += noise.undisturbed(measured["incumbent_runs"])
    own = noise.undisturbed(measured["runs"])
    known = groups[incumbent["commit"]]
    like = [one for one in known if conditions.are_like(one, conditions.mean_of(own[1:] or own))]
    first, *fresh = noise.values(own)
    spread = noise.spread_of([*groups.values(), own[1:]])
    return Evidence(noise.values(like or known), first, fresh, spread, is_like=bool(like))
