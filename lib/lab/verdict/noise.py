"""The noise: runs of the same code with different seeds -> their mean, and the standard deviation of the metric.

The values of a commit are those of the runs that decided on its experiment, and of its reruns as an incumbent. The run
that made a candidate look good is not among them, because it was selected. Values are Decimal, in the metric's unit.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Context, Decimal, localcontext
from typing import Any

from lab.runs import conditions

DIGITS = 60  # precision of a sum of squares
Run = dict[str, Any]


def undisturbed(runs: Iterable[Run]) -> list[Run]:
    """The runs, without disturbed ones that were repeated with the same seed."""
    return list({run["seed"]: run for run in runs}.values())


def deciding(runs: Sequence[Run], *, is_baseline: bool) -> list[Run]:
    """The runs that decide on an experiment: those with fresh seeds if there are any; for a baseline, all."""
    valid = undisturbed(runs)
    return valid if is_baseline or len(valid) < 2 else valid[1:]


def values(runs: Iterable[Run]) -> list[Decimal]:
    """The values of the runs; a failed run has none."""
    return [Decimal(run["val_bpb"]) for run in runs if run["val_bpb"] is not None]


def average(group: Sequence[Decimal]) -> Decimal:
    """The mean of at least one value."""
    return sum(group, Decimal(0)) / len(group)


@dataclass(frozen=True)
class Spread:
    """The standard deviation of one run, and its degrees of freedom."""

    sd: Decimal
    df: int


@dataclass(frozen=True)
class Pool:
    """The noise in groups of runs of the same code: squared deviations from the mean of the group, and their df.

    The sum is taken with enough digits to be the same in any order. So runs that are added now and runs that were
    pooled long ago (index.py) give the same spread.
    """

    squares: Decimal = Decimal(0)
    df: int = 0

    def plus(self, groups: Iterable[Iterable[Run]]) -> "Pool":
        """The pool with these groups added. Only runs of like conditions are compared with each other."""
        squares, df = self.squares, self.df
        with localcontext(Context(prec=DIGITS)):
            for like in (values(like) for group in groups for like in conditions.like_groups(group)):
                if len(like) > 1:  # one run has no deviation
                    mean = average(like)
                    squares += sum(((value - mean) ** 2 for value in like), Decimal(0))
                    df += len(like) - 1
        return Pool(squares, df)

    def spread(self) -> Spread | None:
        """The spread; None if no group has two runs."""
        return Spread((self.squares / self.df).sqrt(), self.df) if self.df else None
