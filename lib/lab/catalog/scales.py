"""Scales: the text of a value <-> its position on a line where steps of equal length have equal meaning.

A learning rate moves by factors, a share by addition, a beta by its distance from 1, a batch by doubling. On the line
all of them have the same moves, such as one step up or half a step down. New values are written as a person would
(0.06, 1e-4), in the style of the old text. Raises ValueError if a text is not such a value.
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction

# Words in names: of shares in [0, 1], of values close to 1, and of whole numbers that are always powers of two.
SHARES = {"RATIO", "FRAC", "FRACTION", "SHARE", "DROPOUT", "PROB", "SMOOTHING"}
BETAS = {"BETA", "BETAS", "MOMENTUM", "EMA"}
DOUBLED = {"BATCH", "WINDOW"}

SMALL_COUNT = 10  # a smaller whole number moves by 1


@dataclass(frozen=True)
class Scale:
    """`step`: the length of a normal move. `write` takes a position, the old text, and a number of digits."""

    read: Callable[[str], float]
    write: Callable[[float, str, int], str]
    step: float = 1.0
    low: float = -math.inf
    high: float = math.inf
    whole: bool = False  # only whole steps give values

    def moved(self, text: str, steps: Fraction) -> str | None:
        """The value `steps` steps up (negative: down), or None if there is none. Finer steps give more digits."""
        position = self.read(text) + self.step * float(steps)
        if not self.low <= position <= self.high:
            return None
        return self.write(position, text, len(str(steps.denominator)) + 1)

    def direction(self, old: str, new: str) -> int:
        """1 if the new value is larger, -1 if smaller; 0 if equal, or if a text is not a value of this scale."""
        try:
            before, after = self.read(old), self.read(new)
        except (ValueError, IndexError):
            return 0
        return (after > before) - (after < before)


def words(name: str) -> set[str]:
    """The words of a name: ADAM and BETAS for ADAM_BETAS[1]."""
    return set(re.findall(r"[A-Z]+", name))


def scale_of(name: str, text: str) -> Scale | None:
    """The scale of a hyperparameter, from its name and the kind of its value; None if it cannot be moved."""
    if text[0] in "\"'":
        return PATTERN if "PATTERN" in words(name) and re.fullmatch(r"S*L", text[1:-1]) else None
    if "**" in text:
        return EXPONENT
    if re.fullmatch(r"[0-9_]+", text):
        count = int(text)
        is_power_of_two = count > 0 and count & (count - 1) == 0
        if is_power_of_two and (count > SMALL_COUNT or words(name) & DOUBLED):
            return POWER
        return COUNT if count < SMALL_COUNT else WHOLE_FACTOR
    if not re.fullmatch(r"[0-9_.]+(e[+-]?[0-9]+)?", text.lower()):
        return None
    number = float(text)
    if words(name) & SHARES and number <= 1:
        return SHARE
    if words(name) & BETAS and 0.5 <= number < 1:
        return BETA
    return FACTOR if number else FROM_ZERO


def as_written(value: float, like: str, digits: int) -> str:
    """The value with `digits` significant digits: 0.06, 1e-4, 1.0; whole, or with underscores, if `like` is."""
    if re.fullmatch(r"[0-9_]+", like):
        whole = int(Decimal(f"{round(value):.{digits}g}"))
        return f"{whole:_}" if "_" in like else str(whole)
    number = Decimal(f"{value:.{digits}g}").normalize()
    if number and ("e" in like.lower() or number < Decimal("0.0001")):
        return f"{number:e}".replace("e+", "e")
    return f"{number:f}" if "." in f"{number:f}" else f"{number:f}.0"


def _with_exponent(position: float, like: str, _: int) -> str:
    return re.sub(r"[0-9_]+$", str(int(position)), like)


def _beta(position: float, like: str, digits: int) -> str:
    return str(1 - Decimal(as_written(math.exp(-position), like, digits)))


def _pattern(position: float, like: str, _: int) -> str:
    return like[0] + "S" * int(position) + "L" + like[0]


def multiple_of(unit: int) -> Scale:
    """The scale of whole multiples of another hyperparameter's value."""
    return Scale(lambda text: int(text) / unit, lambda n, *_: str(int(n) * unit), low=1, whole=True)


FACTOR = Scale(
    read=lambda text: math.log(float(text)),
    write=lambda position, *how: as_written(math.exp(position), *how),
    step=math.log(1.5),
    low=math.log(1e-30),
    high=math.log(1e30),
)
WHOLE_FACTOR = replace(FACTOR, low=0)
FROM_ZERO = Scale(float, as_written, step=0.01, low=0)
SHARE = Scale(float, as_written, step=0.1, low=0, high=1)
BETA = Scale(lambda text: -math.log(1 - float(text)), _beta, step=math.log(2), low=0)
COUNT = Scale(float, lambda n, *_: str(int(n)), low=1, whole=True)
POWER = Scale(lambda text: math.log2(int(text)), lambda n, *_: str(2 ** int(n)), low=0, whole=True)
EXPONENT = Scale(lambda text: float(text.split("**")[1]), _with_exponent, low=0, whole=True)
PATTERN = Scale(lambda text: text.count("S"), _pattern, low=0, whole=True)  # short windows before each long one
