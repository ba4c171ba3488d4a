"""The run and its measured flight -> the evidence for a verdict: runs of incumbent and candidate, and the noise."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from lab import experiments, noise
from lab.noise import Spread


@dataclass(frozen=True)
class Evidence:
    """val_bpb of the incumbent's runs, and of the candidate's: its first run, and those with fresh seeds.

    `spread` is None where nothing has been run twice yet.
    """

    incumbent: Sequence[Decimal]
    first: Decimal
    fresh: Sequence[Decimal]
    spread: Spread | None

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


def gather(run: Path, measured: dict[str, Any]) -> Evidence | None:
    """The evidence on the candidate in flight, which has a metric; None before there is an incumbent."""
    past = experiments.read(run)
    incumbent = experiments.incumbent(past)
    if incumbent is None:
        return None
    groups = noise.by_commit(past, noise.read(run))
    groups[incumbent["commit"]] += measured["incumbent_runs"]
    known = noise.values(groups[incumbent["commit"]])
    first, *fresh = noise.values(measured["runs"])
    spread = noise.spread([*map(noise.values, groups.values()), fresh])
    return Evidence(known, first, fresh, spread)
