"""The code before and after -> the changed lines, and the numbers of code lines added and removed.

The code counts, but not its layout: each text is parsed and formatted in one way (`ast.unparse`). So comments, blank
lines, docstrings, quotes and wrapping do not count, and statements joined by `;` count one by one. A line longer than
WIDTH counts as several lines, so that one long line is not a simplification. A text that is not Python is counted as
it is.
"""

import ast
from collections.abc import Callable, Iterable
from difflib import SequenceMatcher

from lab.store.code import Code

WIDTH = 80  # columns of a counted line without its indentation


def code_lines(text: str) -> list[str]:
    """The lines as written, without indentation, blank lines and comments."""
    stripped = (line.strip() for line in text.splitlines())
    return [line for line in stripped if line and not line.startswith("#")]


def counted_lines(text: str) -> list[str]:
    """The lines in the common format; for a text that is not Python, the lines as written."""
    try:
        tree = Plain().visit(ast.parse(text))
        lines = ast.unparse(tree).splitlines()
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return code_lines(text)
    return [line.strip() for line in lines if line.strip()]


class Plain(ast.NodeTransformer):
    """Removes code without effect, and splits statements that are written as one."""

    def visit_Expr(self, node: ast.Expr) -> ast.stmt:
        """A docstring or another constant by itself counts as a comment."""
        return ast.Pass() if isinstance(node.value, ast.Constant) else node

    def visit_Assign(self, node: ast.Assign) -> ast.stmt | list[ast.stmt]:
        """`a, b = 1, 2` counts as two assignments. (The code does not run, so the order of evaluation is free.)"""
        match node:
            case ast.Assign(targets=[ast.Tuple(elts=names)], value=ast.Tuple(elts=values)) if _are_pairs(names, values):
                pairs = zip(names, values, strict=True)
                return [ast.copy_location(ast.Assign([name], value), node) for name, value in pairs]
        return node


def _are_pairs(names: list[ast.expr], values: list[ast.expr]) -> bool:
    return len(names) == len(values) and not any(isinstance(one, ast.Starred) for one in [*names, *values])


def changes(before: str, after: str) -> tuple[list[str], list[str]]:
    """The code lines that were added and removed, as written, for a person."""
    return _changed(before, after, code_lines)


def counts(before: str, after: str, lines_of: Callable[[str], list[str]] = counted_lines) -> tuple[int, int]:
    """The numbers of code lines added and removed, for the verdict."""
    added, removed = _changed(before, after, lines_of)
    return _size(added), _size(removed)


def counts_of(before: Code, after: Code) -> tuple[int, int]:
    """The numbers for several files. Only files named *.py are parsed as Python."""
    found = [
        counts(before.get(path, ""), after.get(path, ""), counted_lines if path.endswith(".py") else code_lines)
        for path in {**before, **after}
        if before.get(path) != after.get(path)
    ]
    return sum(added for added, _ in found), sum(removed for _, removed in found)


def _size(lines: Iterable[str]) -> int:
    return sum(-(-len(line) // WIDTH) for line in lines if line != "pass")


def _changed(before: str, after: str, lines_of: Callable[[str], list[str]]) -> tuple[list[str], list[str]]:
    old, new = lines_of(before), lines_of(after)
    added: list[str] = []
    removed: list[str] = []
    for tag, i1, i2, j1, j2 in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag != "equal":
            removed += old[i1:i2]
            added += new[j1:j2]
    return added, removed
