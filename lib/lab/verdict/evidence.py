"""The run and its measured flight -> the evidence for a verdict: runs of incumbent and candidate, and the noise."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Any

from lab.runs import conditions
from lab.store.flight import Flight
from lab.verdict import complexity, noise
from lab.verdict.index import Index
from lab.verdict.noise import Spread


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


@dataclass(frozen=True)
class Trial:
    """The measured flight, and the past that it is held against: read once, for all that decides on it."""

    run: Path
    index: Index
    flight: Flight
    measured: dict[str, Any]

    @classmethod
    def read(cls, run: Path, index: Index) -> "Trial":
        """Of the run whose folder is `run`."""
        flight = Flight(run / "flight")
        return cls(run, index, flight, flight.json("measure.json"))

    @cached_property
    def evidence(self) -> Evidence | None:
        """None of a failure, and before there is an incumbent."""
        return None if self.measured["failure"] else gather(self.index, self.measured)

    @cached_property
    def counts(self) -> tuple[int, int] | None:
        """Code lines added and removed; None where no train.py came back."""
        after = self.flight.text("train.py")
        return None if after is None else complexity.counts(self.flight.need("before.py"), after)

    @property
    def is_failed_baseline(self) -> bool:
        """Nothing can be compared with a baseline that does not run: that is for a person."""
        return self.flight.is_baseline and bool(self.measured["failure"])


def gather(index: Index, measured: dict[str, Any]) -> Evidence | None:
    """The evidence on the candidate in flight, which has a metric; None before there is an incumbent.

    Of the incumbent's runs beside it, those that are on record already, from before a kill, count once.
    """
    incumbent = index.incumbent
    if incumbent is None:
        return None
    groups, there = index.groups, index.rerun_seeds(incumbent["commit"])
    beside = noise.undisturbed(measured["incumbent_runs"])
    groups[incumbent["commit"]] += [one for one in beside if one["seed"] not in there]
    own = noise.undisturbed(measured["runs"])
    known = groups[incumbent["commit"]]
    like = [one for one in known if conditions.are_like(one, conditions.mean_of(own[1:] or own))]
    first, *fresh = noise.values(own)
    spread = noise.pooled([*groups.values(), own[1:]], index.closed).spread()
    return Evidence(noise.values(like or known), first, fresh, spread, is_like=bool(like))
