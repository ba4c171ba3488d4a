"""METRIC_GUARD -> guards: bounds on other printed numbers. A candidate must satisfy them to be kept.

`peak_vram_mb<=24000, accuracy>=0.91, step_ms<=1.05x`: a name as it is printed, a comparison, and a number. An `x` makes
the number a factor of the incumbent's value. Values are Decimal, in the unit that is printed.
"""

import operator
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from lab.errors import Fault

EXAMPLE = "an example: METRIC_GUARD='peak_vram_mb<=24000, step_ms<=1.05x'"
NAME = r"[A-Za-z_][A-Za-z0-9_.@/+-]{0,63}"
GUARD = re.compile(rf"({NAME})\s*(<=|>=|<|>)\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d{{1,3}})?)(x?)", re.IGNORECASE)
HOLDS: dict[str, Callable[[Decimal, Decimal], bool]] = {
    "<=": operator.le, ">=": operator.ge, "<": operator.lt, ">": operator.gt,
}  # fmt: skip


@dataclass(frozen=True)
class Guard:
    """`is_relative`: the bound is a factor of the incumbent's value."""

    name: str
    comparison: str
    bound: Decimal
    is_relative: bool = False

    def __str__(self) -> str:
        """The guard as a person writes it: `step_ms<=1.05x`."""
        return f"{self.name}{self.comparison}{self.bound}{'x' * self.is_relative}"

    def broken(self, value: Decimal | None, incumbent: Decimal | None) -> str | None:
        """Why the guard fails; None if it holds. It fails for an unknown value."""
        if value is None:
            return f"{self}: the run printed no {self.name}"
        if not self.is_relative:
            return None if HOLDS[self.comparison](value, self.bound) else f"{self}: the value is {plain(value)}"
        if incumbent is None:
            return f"{self}: the incumbent's value is unknown"
        holds = HOLDS[self.comparison](value, self.bound * incumbent)
        return None if holds else f"{self}: the value is {plain(value)}, the incumbent's {plain(incumbent)}"


def parsed(text: str) -> tuple[Guard, ...]:
    """The guards in the setting. Raises Fault if a part is not a guard."""
    found = []
    for part in filter(None, (one.strip() for one in text.split(","))):
        match = GUARD.fullmatch(part)
        if not match:
            raise Fault(f"METRIC_GUARD: '{part}' is not a condition on a printed number", EXAMPLE)
        found.append(Guard(match[1], match[2], Decimal(match[3]), bool(match[4])))
    return tuple(found)


def first_broken(
    wanted: Iterable[Guard], values: Mapping[str, Decimal | None], incumbent: Mapping[str, Decimal | None]
) -> str | None:
    """Why the first guard fails, of those that fail; None if all hold."""
    told = (one.broken(values.get(one.name), incumbent.get(one.name)) for one in wanted)
    return next((why for why in told if why), None)


def plain(value: Decimal) -> str:
    """The value without trailing zeros or an exponent: 24000, not 2.4E+4."""
    return f"{round(value, 6).normalize():f}"
