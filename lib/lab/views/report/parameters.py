"""git's diff of an experiment, or its description -> the numeric constants that it changed.

The report plots val_bpb against each constant.
"""

import ast
import math
import operator
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from lab.proposal import changes

Moves = dict[str, list[float]]  # name -> the values before and after
NAMED = re.compile(r"([A-Za-z][\w ]{0,30}?) (\d+(?:\.\d+)?) (?:to|->) (\d+(?:\.\d+)?)(?![\w.])")
BINARY: dict[type, Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Pow: math.pow,
}


def add(rows: Sequence[dict[str, Any]], diffs: Mapping[str, str]) -> None:
    """Add `moved` to the rows that changed a constant."""
    for row in rows:
        if found := moved(diffs.get(row["commit"], ""), row["description"]):
            row["moved"] = found


def moved(diff: str, description: str) -> Moves:
    """The constants that are different numbers before and after."""
    then, now = (
        changes.constants("\n".join(line[1:] for line in diff.split("\n") if line.startswith(sign))) for sign in "-+"
    )
    pairs = {name: changes.differing(then[name], now[name]) for name in then if name in now}
    pairs = pairs or changes.from_description("", description).constants or dict(_named(description))
    numbers = {name: [number_of(text or "") for text in pair] for name, pair in pairs.items()}
    return {name: [a, b] for name, (a, b) in numbers.items() if a is not None and b is not None and a != b}


def _named(description: str) -> Iterator[tuple[str, list[str | None]]]:
    """The constant in a description such as `embedding LR 0.6 to 0.8`, for a ledger without code."""
    if found := NAMED.match(description):
        yield found[1], [found[2], found[3]]


def number_of(text: str) -> float | None:
    """The value of a number or an arithmetic expression such as `2**15`; None for anything else."""
    try:
        value = _value(ast.parse(text.strip(), mode="eval").body)
    except (SyntaxError, ValueError, ArithmeticError, RecursionError, MemoryError):
        return None
    return value if math.isfinite(value) else None


def _value(node: ast.expr) -> float:
    """Raises ValueError for anything but arithmetic on numbers."""
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float) and not isinstance(node.value, bool):
        return float(node.value)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -_value(node.operand)
    if isinstance(node, ast.BinOp) and type(node.op) in BINARY:
        return float(BINARY[type(node.op)](_value(node.left), _value(node.right)))
    raise ValueError(ast.dump(node))
