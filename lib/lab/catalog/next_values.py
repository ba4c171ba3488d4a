"""A hyperparameter and the outcomes of its moves -> the values to try next, best first, without end.

After a win the direction stays. After a loss it is reversed. After losses in both directions the size changes: a half,
a quarter, then larger sizes, then sizes in between. A win makes the size larger again.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain, count, islice

from lab.catalog.hyperparameters import Hyperparameter
from lab.catalog.keep_probability import Outcome
from lab.catalog.priors import Belief

LADDER = (Fraction(1), Fraction(1, 2), Fraction(1, 4), Fraction(2), Fraction(4))  # sizes relative to the first move
FINE = 3  # rungs of the ladder with decreasing sizes
MOST_WHOLE = 32  # the largest move of a whole number, in steps


@dataclass(frozen=True)
class State:
    """The next move: direction (1 or -1), rung on the ladder, and whether the other direction has lost on this rung."""

    direction: int
    rung: int = 0
    turned: bool = False

    def after(self, direction: int, won: bool) -> "State":
        """The state after a move in this direction won or lost."""
        if won:
            larger = self.rung - 1 if 0 < self.rung < FINE else 0
            return State(direction, larger, turned=True)  # the other direction leads back
        return State(-direction, self.rung + self.turned, turned=not self.turned)

    def moves(self, whole: bool) -> Iterator[Fraction]:
        """All moves from this state on, in units of the first move; negative moves go down."""
        for rung, size in enumerate(islice(sizes(whole), self.rung, None)):
            yield self.direction * size
            if rung or not self.turned:
                yield -self.direction * size


def values(hyperparameter: Hyperparameter, belief: Belief, past: Sequence[Outcome]) -> Iterator[str]:
    """The next values of the hyperparameter."""
    scale, text = hyperparameter.scale, hyperparameter.text
    state = State(belief.first)
    for outcome in past:
        if outcome.subject == hyperparameter.name and (to := scale.direction(outcome.old, outcome.new)):
            state = state.after(to, outcome.won)
    moved = (scale.moved(text, move * belief.stride) for move in state.moves(scale.whole))
    return (value for value in moved if value and value != text)


def sizes(whole: bool) -> Iterator[Fraction]:
    """The sizes of moves in the order of the tries."""
    if whole:
        return (Fraction(size) for size in range(1, MOST_WHOLE + 1))
    return chain(LADDER, _between())


def _between() -> Iterator[Fraction]:
    """All sizes that are not on the ladder, in finer and finer steps: 1/2, 3/2, ..., 1/4, 3/4, ..."""
    for halvings in count(1):
        yield from (Fraction(odd, 2**halvings) for odd in range(1, (halvings + 3) * 2**halvings, 2))


def description(hyperparameter: Hyperparameter, value: str) -> str:
    """`raise MATRIX_LR 0.04 -> 0.06`"""
    verb = "raise" if hyperparameter.scale.direction(hyperparameter.text, value) > 0 else "lower"
    if isinstance(hyperparameter.value, str):
        verb = "change"
    return f"{verb} {hyperparameter.name} {hyperparameter.text} -> {value}"
