"""The noise: runs of the same code with different seeds -> their mean, and the standard deviation of the metric.

Only runs on one kind of device are held against each other: another GPU makes more steps in the same time.

What is a value of a commit: the runs that decided on its own experiment, and its reruns as an incumbent. The run that
made a candidate look good is no evidence, and never among them. All in bits per byte, Decimal.
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


def deciding(runs: Sequence[Run], *, is_baseline: bool, kind: str | None = None) -> list[Run]:
    """The runs that decide on an experiment: the fresh ones where there are any; all of a baseline.

    With `kind`, only those on that kind of device.
    """
    valid = undisturbed(runs)
    fresh = [run for run in valid[1:] if conditions.is_on(run, kind)]
    return fresh if fresh and not is_baseline else [run for run in valid if conditions.is_on(run, kind)]


def kind_judged_on(runs: Sequence[Run], level: Iterable[Run], *, is_baseline: bool) -> str | None:
    """The kind of device that a candidate with these runs is judged on; `level` are the runs of its incumbent.

    One where the incumbent has run, too; of several, that with the most runs that decide; of equals, that of its first
    run. The values have no say. None: not known.
    """
    valid, known = undisturbed(runs), [one for one in level if one["val_bpb"] is not None]
    fresh = deciding(valid, is_baseline=is_baseline)

    def weight(kind: str) -> tuple[bool, int, int]:
        compared = sum(conditions.is_on(one, kind) for one in known)
        return compared > 0, sum(conditions.is_on(one, kind) for one in fresh), compared

    return max(conditions.kinds(valid), key=weight, default=None)


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

    @staticmethod
    def of(pools: Sequence["Pool"]) -> "Pool":
        """All of them together."""
        with localcontext(Context(prec=DIGITS)):
            return Pool(sum((one.squares for one in pools), Decimal(0)), sum(one.df for one in pools))

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
