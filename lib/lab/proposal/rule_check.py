"""Two texts of train.py -> the rules (rules.py) that the second breaks where the first does not.

Both texts are parsed, and each offence is written in one form (`ast.unparse`). It counts if the new text has more of it
than the old one. So the baseline is not judged, and a line may move, but a changed argument is a new offence. A text
that is not Python breaks no rule: it will not run.
"""

import ast
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from lab.proposal import rules
from lab.store.code import ONE, Code, joined, python
from lab.store.metric import BPB, VAL_BPB, Metric

UNREADABLE = "unreadable"  # the rule for Python that cannot be parsed here
LONGEST = 100  # characters shown of a subject

Offence = tuple[str, str]  # the name of a rule, and the code that breaks it


@dataclass(frozen=True)
class Violation:
    """The name of a rule, the line that breaks it, and the code there."""

    rule: str
    line: int
    subject: str

    def text(self, place: str | None = None) -> str:
        """One line for the proposer; `place`: the line and the file, if the text joins several files."""
        subject = " ".join(self.subject.split())
        cut = "..." if len(subject) > LONGEST else ""
        return f"rule '{self.rule}' at {place or f'line {self.line}'}: {subject[:LONGEST]}{cut}"


def violations_of(before: Code, after: Code, metric: Metric = VAL_BPB) -> list[str]:
    """The violations in all Python files, as text. Code that moves from file to file is no violation."""
    old, new = python(before), python(after)
    found = violations(joined(old), joined(new), metric)
    if set(new) == {ONE}:
        return [one.text() for one in found]
    places = [f"line {line} of {path}" for path in sorted(new) for line in range(new[path].count("\n") + 2)]
    return [one.text(places[min(one.line, len(places)) - 1]) for one in found]


def violations(before: str, after: str, metric: Metric = VAL_BPB) -> list[Violation]:
    """Offences that `after` has more of than `before`, and code that a `kept` rule misses; by the lines of `after`."""
    had, has = offences(before, metric.name) or [], offences(after, metric.name)
    if has is None:
        return []
    found = list(_surplus(has, had))
    if UNREADABLE not in (one.rule for one in found):
        line = _first_difference(before, after)
        lost = (one for one in _surplus(had, has) if one.rule in rules.KEPT)
        found += [Violation(one.rule, line, f"no {one.subject}") for one in lost]
    return sorted(dict.fromkeys(found), key=lambda violation: violation.line)


@lru_cache(maxsize=2)  # a baseline is read once
def offences(text: str, metric: str = BPB) -> list[Violation] | None:
    """All violations in a text, by line; None if it is not Python."""
    try:
        tree = ast.parse(text.encode())  # bytes, as Python reads it: a comment may name another encoding
        return sorted(_read(tree, metric), key=lambda violation: violation.line)
    except SyntaxError:
        return None
    except (ValueError, RecursionError, MemoryError) as error:  # a null byte; nested too deep
        return [Violation(UNREADABLE, 1, str(error) or type(error).__name__)]


def _surplus(more: Iterable[Violation], fewer: Iterable[Violation]) -> Iterator[Violation]:
    """The violations in `more` without an equal in `fewer`; among equal ones, the last."""
    spare = Counter((one.rule, one.subject) for one in fewer)
    for one in more:
        spare[one.rule, one.subject] -= 1
        if spare[one.rule, one.subject] < 0:
            yield one


def _first_difference(before: str, after: str) -> int:
    lines = zip(before.splitlines(), after.splitlines(), strict=False)
    return next((number for number, (old, new) in enumerate(lines, start=1) if old != new), 1)


# ---------------------------------------------------------------------------
# Offences
# ---------------------------------------------------------------------------


def _read(tree: ast.Module, metric: str) -> Iterator[Violation]:
    nodes = list(ast.walk(tree))
    alone = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}  # docstrings are free
    for node in nodes:
        for rule, subject in _offences(node, metric, may_be_large=id(node) in alone):
            yield Violation(rule, getattr(node, "lineno", 1), subject)
    if any(_asks_the_clock(node) for node in nodes):
        yield Violation("budget", 1, f"loop that asks {rules.CLOCK}()")


def _asks_the_clock(node: ast.AST) -> bool:
    is_loop = isinstance(node, ast.For | ast.While)
    return is_loop and any(isinstance(one, ast.Call) and _last(one.func) == rules.CLOCK for one in ast.walk(node))


def _offences(node: ast.AST, metric: str, *, may_be_large: bool) -> Iterator[Offence]:
    if isinstance(node, ast.Import | ast.ImportFrom):
        yield from _imported(node)
    if isinstance(node, ast.Call):
        yield from _called(node)
    if isinstance(node, ast.Attribute | ast.alias) and (name := _last(node)).startswith(rules.MEMORY):
        yield "memory", name
    if isinstance(node, ast.stmt) and not hasattr(node, "body"):
        yield from _stated(node, metric)
    if isinstance(node, ast.expr) and _size(node) > rules.MOST and not may_be_large:
        yield "bulk", ast.unparse(node)


def _imported(node: ast.Import | ast.ImportFrom) -> Iterator[Offence]:
    origin = node.module or "." if isinstance(node, ast.ImportFrom) else ""
    for path in (f"{origin}.{one.name}".lstrip(".") for one in node.names):
        if path.split(".")[0] in rules.MODULES or path in rules.CALLS:
            yield "system", f"import {path}"


def _called(node: ast.Call) -> Iterator[Offence]:
    name, text = _last(node.func), ast.unparse(node)
    if ast.unparse(node.func) in rules.CALLS:
        yield "system", text
    if name == rules.EVALUATION:
        yield "metric", f"{name}()"
    if name == rules.LOADER:
        split = [*(one.value for one in node.keywords if one.arg == "split"), *node.args[3:]]
        if not (split and isinstance(split[0], ast.Constant) and split[0].value == "train"):
            yield "validation", text
    # The 42 in `manual_seed(int(os.environ.get("SEED") or 42))` counts, too: changing it is another seed.
    numbers = (one for one in ast.walk(node) if isinstance(one, ast.Constant) and type(one.value) is int)
    if name in rules.SEEDERS and (rules.SEED not in text or any(numbers)):
        yield "seed", text


def _stated(node: ast.stmt, metric: str) -> Iterator[Offence]:
    """Statements that print the metric or assign it."""
    text = ast.unparse(node)
    printed = rules.PRINTED if metric == BPB else (f"{metric}:", *rules.PRINTED)  # `loss` alone is in many lines
    is_docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    strings = [] if is_docstring else [str(one.value) for one in ast.walk(node) if isinstance(one, ast.Constant)]
    if any(word in string for string in strings for word in printed):
        yield "metric", text
    stored = {one.id for one in ast.walk(node) if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store)}
    value = getattr(node, "value", None)
    is_evaluation = isinstance(value, ast.Call) and _last(value.func) == rules.EVALUATION
    if rules.METRIC in stored and not is_evaluation:
        yield "metric", text


def _last(node: ast.AST) -> str:
    """`c` of `a.b.c`."""
    name = getattr(node, "attr", None) or getattr(node, "id", None) or getattr(node, "name", None)
    return str(name or "").rpartition(".")[2]


def _size(node: ast.expr) -> int:
    """The size of a literal: characters of a text, bits of a number, entries of a collection."""
    match node:
        case ast.Constant(value=int() as number):
            return number.bit_length()
        case ast.Constant(value=str() | bytes() as text):
            return len(text)
        case ast.List(elts=entries) | ast.Tuple(elts=entries) | ast.Set(elts=entries) | ast.Dict(values=entries):
            return len(entries)
    return 0
