"""The experiments of the run -> the outcomes of each idea, and from these the chance of a keep if it is tried now.

The description identifies an experiment, because it names the exact change. So an experiment of another proposer with
the same description (`MATRIX_LR 0.04 -> 0.06`) counts too.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from lab.store.experiments import Experiment
from lab.verdict.criterion import LARGE

MOVE = re.compile(r"(?:[a-z]+ )?([A-Z][A-Z0-9_]*(?:\[\d+\])?) (\S+) -> (\S+)")
WEIGHT = 4  # the weight of a belief about a category, in experiments


@dataclass(frozen=True)
class Outcome:
    """One experiment. `subject` is the hyperparameter that it changed from `old` to `new`, or its description."""

    description: str
    category: str | None
    won: bool
    gain: Decimal | None
    subject: str
    old: str = ""
    new: str = ""

    @property
    def is_move(self) -> bool:
        """Whether it changed one hyperparameter."""
        return bool(self.new)

    @property
    def is_near_miss(self) -> bool:
        """Whether it was discarded, but lost almost nothing or even gained."""
        return not self.won and self.gain is not None and self.gain > -LARGE


def outcomes(experiments: Iterable[Experiment]) -> list[Outcome]:
    """The outcomes of the experiments, oldest first, without the baseline."""
    found = []
    for one in experiments:
        if one["rule"] != "baseline":
            text, move = one["description"], MOVE.fullmatch(one["description"])
            subject = move.groups() if move else (text,)
            found.append(Outcome(text, one["category"], one["status"] == "keep", one["gain"], *subject))
    return found


def chance(belief: float, category: str, subject: str, past: Sequence[Outcome]) -> float:
    """The chance of a keep: the belief, corrected by the outcomes of the category, and then by the subject's own.

    Only the subject's last win and the losses since then count, so that an old win does not count forever.
    """
    of_category = _mean(belief, WEIGHT, [outcome.won for outcome in past if outcome.category == category])
    own = [outcome.won for outcome in past if outcome.subject == subject]
    losses = own[::-1].index(True) if True in own else len(own)
    return _mean(of_category, 1, own[-losses - 1 :])


def _mean(belief: float, weight: int, wins: Sequence[bool]) -> float:
    """The mean of a Beta distribution after these tries; the belief has the weight of `weight` tries."""
    return (weight * belief + sum(wins)) / (weight + len(wins))
