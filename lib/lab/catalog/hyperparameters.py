"""Hyperparameters: the text of train.py -> its values that an experiment may change, and the text with one changed.

A hyperparameter is a module-level `NAME = value` in capitals: a number, a power `2**11`, an entry of a tuple, or a
pattern "SSL". In `a if SMALL else b` it is the value for the current profile. Other conditions are skipped, because the
current value would be unknown. Errors: SyntaxError if the text is not Python.
"""

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from itertools import accumulate
from typing import Any

from lab.catalog.scales import PATTERN, Scale, multiple_of, scale_of, words

Literal = tuple[ast.expr, Any]  # the code, and its value

# Words in names that no experiment may change: the seed, the budget, the evaluation, and values that are only printed.
FIXED = {"SEED", "BUDGET", "TIMEOUT", "EVAL", "VAL", "VALIDATION", "TEST", "VOCAB", "LOG", "FLOPS", "VERSION"}

# Rules between values; the code fails if one is broken.
RULES: tuple[tuple[tuple[str, ...], Callable[..., bool]], ...] = (
    (("WIDTH", "HEAD_DIM"), lambda width, head_dim: width % head_dim == 0),
    (("HEAD_DIM",), lambda head_dim: head_dim % 2 == 0),  # rotary embeddings rotate pairs
)


@dataclass(frozen=True)
class Hyperparameter:
    """`name` is ADAM_BETAS[1] for the second entry of a tuple. `text` is the code from `start` to `end`."""

    name: str
    text: str
    value: Any
    start: int  # in bytes, as in ast
    end: int
    scale: Scale


@cache
def find(source: str, small: bool) -> tuple[Hyperparameter, ...]:
    """All hyperparameters in the order of the code. `small`: the current profile is the first of two."""
    data = source.encode()
    line_starts = [0, *accumulate(len(line) for line in data.splitlines(keepends=True))]
    literals = dict(_literals(ast.parse(data), small))
    values = {name: value for name, (_, value) in literals.items()}
    found = []
    for name, (node, value) in literals.items():
        start = line_starts[node.lineno - 1] + node.col_offset
        end = line_starts[(node.end_lineno or node.lineno) - 1] + (node.end_col_offset or 0)
        text = data[start:end].decode()
        if scale := _scale(name, text, values):
            found.append(Hyperparameter(name, text, value, start, end, scale))
    return tuple(found)


def fits(after: str, before: str, small: bool) -> bool:
    """Whether the new text is Python and breaks no rule that the old text keeps."""
    try:
        return _broken(after, small) <= _broken(before, small)
    except SyntaxError:
        return False


def _broken(source: str, small: bool) -> set[tuple[str, ...]]:
    values = {found.name: found.value for found in find(source, small)}
    return {names for names, rule in RULES if values.keys() >= set(names) and not rule(*map(values.get, names))}


def replaced(source: str, hyperparameter: Hyperparameter, text: str) -> str:
    """The source with another value of the hyperparameter. The rest stays byte for byte."""
    data = source.encode()
    return (data[: hyperparameter.start] + text.encode() + data[hyperparameter.end :]).decode()


def _scale(name: str, text: str, values: dict[str, Any]) -> Scale | None:
    scale = scale_of(name, text)
    head_dim, depth = values.get("HEAD_DIM"), values.get("DEPTH")
    if name == "WIDTH" and text.isdigit() and isinstance(head_dim, int) and head_dim:
        return multiple_of(head_dim)
    if scale is PATTERN and isinstance(depth, int):
        return replace(PATTERN, high=depth - 1)  # blocks see no more of the pattern
    return scale


def _literals(module: ast.Module, small: bool) -> Iterator[tuple[str, Literal]]:
    for statement in module.body:
        match statement:
            case (
                ast.Assign(targets=[ast.Name(id=name)], value=ast.expr() as value)
                | ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value)
            ) if name.isupper() and not words(name) & FIXED:
                yield from _values(name, value, small)


def _values(name: str, node: ast.expr, small: bool) -> Iterator[tuple[str, Literal]]:
    match node:
        case ast.IfExp(test=ast.Name(id="SMALL")):
            yield from _values(name, node.body if small else node.orelse, small)
        case ast.Tuple(elts=entries):
            for index, entry in enumerate(entries):
                yield from _values(f"{name}[{index}]", entry, small)
        case ast.BinOp(left=ast.Constant(value=int() as base), op=ast.Pow(), right=ast.Constant(value=int() as power)):
            yield name, (node, base ** min(power, 99))  # a larger power is not a batch size, and takes forever
        case ast.Constant(value=int() | float() | str() as value):
            yield name, (node, value)
