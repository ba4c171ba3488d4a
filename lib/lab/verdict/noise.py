"""The noise: runs of the same code with other seeds -> their mean, and the standard deviation of val_bpb.

What is a value of a commit: the runs that decided on its own experiment, and its reruns as an incumbent, which
`reruns.jsonl` has (schemas/rerun.schema.json). The run that made a candidate look good is no evidence, and never among
them. All in bits per byte, Decimal.
"""

import json
from collections import defaultdict
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from decimal import Context, Decimal, localcontext
from pathlib import Path
from typing import Any

from lab.runs import conditions
from lab.store import durable, experiments, jsonl
from lab.store.experiments import Experiment

FILE = "reruns.jsonl"
DIGITS = 60  # of a sum of squares
Run = dict[str, Any]


@dataclass(frozen=True)
class Spread:
    """The standard deviation of one run, and its degrees of freedom."""

    sd: Decimal
    df: int


def undisturbed(runs: Iterable[Run]) -> list[Run]:
    """Without those that were run again with the same seed, since the conditions were not as usual."""
    return list({run["seed"]: run for run in runs}.values())


def deciding(runs: Sequence[Run], *, is_baseline: bool) -> list[Run]:
    """The runs that decide on an experiment: the fresh ones where there are any; all of a baseline."""
    valid = undisturbed(runs)
    return valid if is_baseline or len(valid) < 2 else valid[1:]


def values(runs: Iterable[Run]) -> list[Decimal]:
    """Their val_bpb; a run that failed has none."""
    return [Decimal(run["val_bpb"]) for run in runs if run["val_bpb"] is not None]


def by_commit(past: Iterable[Experiment], reruns: Iterable[Run]) -> dict[str, list[Run]]:
    """All runs that are evidence, by the commit of the code that they ran."""
    found: dict[str, list[Run]] = defaultdict(list)
    for one in past:
        found[one["commit"]] += deciding(one["runs"], is_baseline=one["rule"] == "baseline")
    for run in reruns:
        found[run["commit"]].append(run)
    return found


def seeds(past: Iterable[Experiment], reruns: Iterable[Run], commits: Container[str]) -> list[int]:
    """All that the code of these commits was run with, whatever came of it."""
    runs = [run for one in past if one["commit"] in commits for run in one["runs"]]
    return [int(run["seed"]) for run in (*runs, *(run for run in reruns if run["commit"] in commits))]


@dataclass(frozen=True)
class Pool:
    """What groups of runs of the same code say of the noise: the squares of what each run is off its group's mean.

    The sum is taken with so many digits that it is the same in any order: runs that are looked at now and those that
    were pooled long ago (index.py) come to the same spread.
    """

    squares: Decimal = Decimal(0)
    df: int = 0

    def plus(self, groups: Iterable[Sequence[Decimal]]) -> "Pool":
        """With these groups; one of a single run says nothing."""
        squares, df = self.squares, self.df
        with localcontext(Context(prec=DIGITS)):
            for group in groups:
                if len(group) > 1:
                    mean = average(group)
                    squares += sum(((value - mean) ** 2 for value in group), Decimal(0))
                    df += len(group) - 1
        return Pool(squares, df)

    def spread(self) -> Spread | None:
        """None where no group had two runs."""
        return Spread((self.squares / self.df).sqrt(), self.df) if self.df else None


def spread(groups: Iterable[Sequence[Decimal]]) -> Spread | None:
    """Pooled over groups of runs of the same code; None where no group has two."""
    return Pool().plus(groups).spread()


def pooled(groups: Iterable[Iterable[Run]], pool: Pool = Pool()) -> Pool:
    """Groups of runs of the same code, added to the pool: only those of like conditions are held against each other."""
    return pool.plus(values(like) for group in groups for like in conditions.groups(group))


def of(run: Path) -> Spread | None:
    """The spread over all that the run whose folder is `run` has measured; None where nothing was run twice."""
    return spread_of(by_commit(experiments.read(run), read(run)).values())


def spread_of(groups: Iterable[Iterable[Run]]) -> Spread | None:
    """The spread over groups of runs of the same code."""
    return pooled(groups).spread()


def average(group: Sequence[Decimal]) -> Decimal:
    """The mean of one value or more."""
    return sum(group, Decimal(0)) / len(group)


def read(run: Path) -> list[Run]:
    """The reruns of incumbents."""
    return jsonl.read(run / FILE)


def append(run: Path, commit: str, reruns: Iterable[Run], there: Container[int]) -> None:
    """Add reruns of a commit, each unless one of its seed is `there`."""
    for one in undisturbed(reruns):
        if one["seed"] not in there:
            durable.append_line(run / FILE, json.dumps({"commit": commit, **one}, default=float))
