"""The experiments of the run -> the outcomes of each idea, and so the chance of a keep if it is tried now.

The description identifies an experiment: it names the exact change. So an experiment of another proposer with the same
words (`MATRIX_LR 0.04 -> 0.06`) counts, too.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from lab.store.experiments import Experiment
from lab.verdict.criterion import LARGE

MOVE = re.compile(r"(?:[a-z]+ )?([A-Z][A-Z0-9_]*(?:\[\d+\])?) (\S+) -> (\S+)")
WEIGHT = 4  # experiments that a belief about a category is worth


@dataclass(frozen=True)
class Outcome:
    """One experiment. `subject`: the hyperparameter that it moved from `old` to `new`; else its whole description."""

    description: str
    category: str | None
    won: bool
    gain: Decimal | None
    subject: str
    old: str = ""
    new: str = ""

    @property
    def is_move(self) -> bool:
        """Whether it moved one hyperparameter."""
        return bool(self.new)

    @property
    def is_near_miss(self) -> bool:
        """Whether it was discarded although it lost almost nothing, or even gained."""
        return not self.won and self.gain is not None and self.gain > -LARGE


def outcomes(experiments: Iterable[Experiment]) -> list[Outcome]:
    """The outcomes of the experiments, oldest first, without the baseline."""
    return [_outcome(experiment) for experiment in experiments if experiment["rule"] != "baseline"]


def _outcome(experiment: Experiment) -> Outcome:
    text, gain = experiment["description"], experiment["gain"]
    move = MOVE.fullmatch(text)
    return Outcome(
        text,
        experiment["category"],
        experiment["status"] == "keep",
        None if gain is None else Decimal(gain),
        *(move.groups() if move else (text,)),
    )


def chance(belief: float, category: str, subject: str, past: Sequence[Outcome]) -> float:
    """The chance of a keep: the belief, corrected by the outcomes of its category, and then by its own outcomes.

    Its own outcomes before its last win are forgotten, or a win long ago would count for ever.
    """
    of_category = _mean(belief, WEIGHT, [outcome.won for outcome in past if outcome.category == category])
    own = [outcome.won for outcome in past if outcome.subject == subject]
    losses = own[::-1].index(True) if True in own else len(own)
    return _mean(of_category, 1, own[-losses - 1 :])


def _mean(belief: float, weight: int, wins: Sequence[bool]) -> float:
    """The mean of a Beta distribution: a belief, worth `weight` tries, and the tries."""
    return (weight * belief + sum(wins)) / (weight + len(wins))
