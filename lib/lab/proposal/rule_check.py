"""Two texts of train.py -> the rules (rules.py) that the second breaks where the first does not.

A text is parsed, and each offence in it written anew in one form (`ast.unparse`); it counts where there is more of it
than before. So nobody's baseline is judged, and a line may move, but a changed argument makes another offence. A name
stands for what it is imported as, anywhere in the text. A text that is no Python breaks no rule: it will not run.
"""

import ast
import builtins
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache, lru_cache

from lab.proposal import rules
from lab.proposal.rules import MEMBERS, MODULES, PUBLISHED, RULES, TRACKED

UNREADABLE = "unreadable"  # the rule for a text that is Python, and cannot be read
LONGEST = 100  # characters of a subject that are told
ALLOWED = (*MODULES, *MEMBERS)
REFUSED = {path: rule.name for rule in RULES for path in rule.paths}
STORES = {path: rule.name for rule in RULES for path in rule.stores}
ATTRIBUTES = {attribute: rule.name for rule in RULES for attribute in rule.attributes}
NAMES = {name: rule.name for rule in RULES for name in rule.names}
TEXTS = {text: rule.name for rule in RULES for text in rule.texts}
WORDS = {word: rule.name for rule in RULES for word in rule.words}
EXCEPT_IN = {rule.name: rule.except_in for rule in RULES}
KEPT = {rule.name for rule in RULES if rule.kept}

# What names stand for without an import: those of prepare.py always, builtins unless they are imported from elsewhere.
FIXED = {name: f"prepare.{name}" for name in PUBLISHED} | {rules.METRIC: rules.EVALUATION}
BUILTINS = {name: name for path in (*REFUSED, *MEMBERS) if (name := path.split(".")[0]) in dir(builtins)}

Offence = tuple[str, str]  # the name of a rule, and by what it is broken
Chain = ast.Name | ast.Attribute | ast.Call | ast.Subscript
Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
Loop = ast.For | ast.AsyncFor | ast.While | ast.comprehension


@dataclass(frozen=True)
class Violation:
    """The name of a rule, the line of the text that breaks it, and by what."""

    rule: str
    line: int
    subject: str

    def text(self) -> str:
        """One line, for whoever proposed it."""
        subject = " ".join(self.subject.split())
        return f"rule '{self.rule}' at line {self.line}: {subject[:LONGEST]}{'...' * (len(subject) > LONGEST)}"


def violations(before: str, after: str) -> list[Violation]:
    """What `after` has more of than `before`, or less of what a rule keeps; by the lines of `after`."""
    had, has = offences(before) or [], offences(after)
    if has is None:
        return []
    found = list(_surplus(has, had))
    if UNREADABLE not in (one.rule for one in found):
        line = _first_difference(before, after)
        found += [Violation(one.rule, line, f"no {one.subject}") for one in _surplus(had, has) if one.rule in KEPT]
    return sorted(dict.fromkeys(found), key=lambda violation: violation.line)


@lru_cache(maxsize=2)  # a baseline is read once
def offences(text: str) -> list[Violation] | None:
    """All that breaks a rule, by its line; None for a text that is no Python."""
    try:
        return sorted(Reader(text).violations(), key=lambda violation: violation.line)
    except SyntaxError:
        return None
    except (ValueError, RecursionError, MemoryError) as error:  # a null byte; what is nested too deep
        return [Violation(UNREADABLE, 1, str(error) or type(error).__name__)]


def _surplus(more: Iterable[Violation], fewer: Iterable[Violation]) -> Iterator[Violation]:
    """Those of `more` that have no equal in `fewer`; of equal ones the last."""
    spare = Counter((one.rule, one.subject) for one in fewer)
    for one in more:
        spare[one.rule, one.subject] -= 1
        if spare[one.rule, one.subject] < 0:
            yield one


def _first_difference(before: str, after: str) -> int:
    lines = zip(before.splitlines(), after.splitlines(), strict=False)
    return next((number for number, (old, new) in enumerate(lines, start=1) if old != new), 1)


# ---------------------------------------------------------------------------
# Paths: what names stand for
# ---------------------------------------------------------------------------


@cache
def judge(path: str) -> str | None:
    """The rule that is broken where this is mentioned."""
    allowed, refused = _longest(path, ALLOWED), _longest(path, REFUSED)
    if len(refused) >= len(allowed):
        return REFUSED.get(refused, "imports")
    beyond = path[len(allowed.rstrip("*")) :].split(".()")[0].split(".")
    return "detour" if any(step in rules.DETOURS or _is_private(step) for step in beyond) else None


@cache
def judge_import(path: str, from_: bool) -> str | None:
    """The rule that `import a.b` breaks, or `from a import b`."""
    origin, _, name = path.rpartition(".")
    if path in MODULES or (origin == "prepare" and name in PUBLISHED):
        return None
    listed = path in MEMBERS or (from_ and name != "*" and origin in MODULES)
    return judge(path) or ATTRIBUTES.get(name) or (None if listed else "imports")


def _longest(path: str, patterns: Iterable[str]) -> str:
    """The longest of the patterns that cover a path, or nothing."""
    return max((pattern for pattern in patterns if _covers(pattern, path)), key=len, default="")


def _covers(pattern: str, path: str) -> bool:
    return path == pattern or path.startswith(pattern[:-1] if pattern.endswith("*") else f"{pattern}.")


def _is_private(name: str) -> bool:
    return name.startswith("_") and name not in rules.DUNDERS


def _is_internal(name: str) -> bool:
    return _is_private(name) and name.startswith("__") and name.endswith("__")


# ---------------------------------------------------------------------------
# Nodes
# ---------------------------------------------------------------------------


def bound(node: ast.AST) -> str | None:
    """The name that a node gives to something, or takes away."""
    match node:
        case ast.Name(id=name, ctx=ast.Store() | ast.Del()) | ast.arg(arg=name) | ast.MatchMapping(rest=name):
            return name
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return name
        case ast.ExceptHandler(name=name) | ast.MatchAs(name=name) | ast.MatchStar(name=name):
            return name
        case ast.alias():
            return node.asname or node.name.split(".")[0]
    return None


def folded(node: ast.AST | None) -> str | None:
    """The text that an expression makes, with `{}` for what is not known of it; None: it is no text."""
    match node:
        case ast.Constant(value=str() as text):
            return text
        case ast.Constant(value=bytes() as data):
            return data.decode("latin-1")
        case ast.FormattedValue(value=value):
            return folded(value)
        case ast.JoinedStr(values=parts):
            return _joined("", parts)
        case ast.BinOp(left=left, right=right):
            return _joined("", [left, right])
        case ast.Call(
            func=ast.Attribute(value=ast.Constant(value=str() as glue), attr="join"),
            args=[ast.List(elts=parts) | ast.Tuple(elts=parts)],
        ):
            return _joined(glue, parts)
    return None


def _joined(glue: str, parts: list[ast.expr]) -> str | None:
    texts = [folded(part) for part in parts]
    return None if set(texts) <= {None} else glue.join("{}" if text is None else text for text in texts)


def size(node: ast.AST) -> int:
    """How much a literal holds: characters of a text, bits of a number, entries of a collection."""
    match node:
        case ast.Constant(value=int() as number):
            return number.bit_length()
        case ast.List(elts=entries) | ast.Tuple(elts=entries) | ast.Set(elts=entries) | ast.Dict(values=entries):
            return len(entries)
    return len(folded(node) or "")


def argument(call: ast.Call, index: int, name: str = "") -> ast.expr | None:
    """What a call gives to a parameter, by name or by place."""
    named = (keyword.value for keyword in call.keywords if keyword.arg == name)
    return next(named, None) or next(iter(call.args[index:]), None)


class Reader:
    """One text: what its names stand for, and all that breaks a rule in it."""

    def __init__(self, text: str) -> None:
        """SyntaxError, and what `offences` lists, for a text that cannot be read."""
        tree = ast.parse(text.encode())  # bytes, as Python reads it: a comment may name another encoding
        self.parents = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
        self.texts: dict[ast.AST, str] = {}
        self.names = dict(FIXED)
        for node in self.parents:
            if isinstance(node, ast.alias):
                self.names.setdefault(bound(node) or "", self._source(node))
        self.names = BUILTINS | self.names
        targets = (node for node in self.parents if isinstance(node, ast.Name) and bound(node))
        for target in sorted(targets, key=lambda target: target.lineno):
            if (path := self._given(target)) in TRACKED:
                self.names.setdefault(target.id, path)
        self.loops = {node for node in self.parents if isinstance(node, ast.While) and self._asks_the_clock(node)}

    def violations(self) -> Iterator[Violation]:
        """In no order."""
        for node in self.parents:
            for rule, subject in self._offences(node):
                yield Violation(rule, getattr(node, "lineno", 1), subject)

    # --- What a node stands for ---

    def path(self, node: ast.AST | None) -> str | None:
        """What a chain of attributes, calls and indexes stands for that begins with a known name."""
        match node:
            case ast.Name():
                return self.names.get(node.id)
            case ast.Attribute(value=base, attr=step):
                path = self.path(base)
                if path is None and step in rules.FIELDS and getattr(base, "id", "") != "self":
                    return rules.FIELDS[step]
            case ast.Call(func=base):
                path, step = self.path(base), "()"
            case ast.Subscript(value=base):
                path, step = self.path(base), "[]"
            case _:
                return None
        return path and f"{path}.{step}"

    def _source(self, node: ast.alias) -> str:
        """What the name that an import binds stands for."""
        statement = self.parents[node]
        if isinstance(statement, ast.ImportFrom):
            return f"{'.' * statement.level}{statement.module or ''}.{node.name}"
        return node.name if node.asname else node.name.split(".")[0]

    def _given(self, node: ast.AST) -> str | None:
        """What the name that a node binds is to stand for, as far as it is told there."""
        if isinstance(node, ast.alias):
            return self._source(node)
        match self.parents[node]:
            case ast.Assign(value=value) | ast.AnnAssign(value=value) | ast.NamedExpr(value=value):
                return self.path(value)
        return None

    def _asks_the_clock(self, loop: ast.While) -> bool:
        return any(self.path(node) == f"{rules.CLOCK}.progress.()" for node in ast.walk(loop.test))

    # --- Where a node stands ---

    def _above(self, node: ast.AST) -> Iterator[ast.AST]:
        while node in self.parents:
            node = self.parents[node]
            yield node

    def _goes_on(self, node: ast.AST) -> bool:
        """Whether a chain of attributes, calls and indexes does, after the node."""
        match self.parents[node]:
            case ast.Attribute(value=base) | ast.Subscript(value=base) | ast.Call(func=base):
                return base is node
        return False

    def _is_harmless(self, node: ast.AST, path: str) -> bool:
        """Whether what is held is only looked at, or is followed, under a name of its own."""
        match self.parents[node]:
            case ast.Assign(targets=[ast.Name()]) | ast.NamedExpr() if path in TRACKED:
                return True
        while isinstance(self.parents[node], ast.Tuple | ast.List | ast.BinOp | ast.Subscript):
            node = self.parents[node]
        match self.parents[node]:
            case ast.Call(func=ast.Name(id="isinstance" | "issubclass" | "hasattr" | "print")):
                return True
            case ast.Compare() | ast.FormattedValue() | ast.Expr() | ast.Assert() | ast.arg():
                return path not in MODULES
            case ast.FunctionDef(returns=kind) | ast.AsyncFunctionDef(returns=kind) | ast.AnnAssign(annotation=kind):
                return path not in MODULES and kind is node
        return False

    def _is_in(self, node: ast.AST, names: tuple[str, ...]) -> bool:
        return any(isinstance(one, Function) and bound(one) in names for one in self._above(node))

    def _in_a_loop(self, node: ast.AST) -> str:
        return " in a loop" * any(isinstance(one, Loop) for one in self._above(node))

    def _is_outside(self, node: ast.AST) -> bool:
        """Whether there is a loop that asks the clock, and the node is run elsewhere."""
        within = (one for one in self._above(node) if one in self.loops or isinstance(one, Function))
        return bool(self.loops) and not any(within)

    # --- How an offence is told ---

    def _text(self, node: ast.AST) -> str:
        if node not in self.texts:
            self.texts[node] = ast.unparse(node)
        return self.texts[node]

    def _chain(self, node: ast.AST) -> str:
        while self._goes_on(node):
            node = self.parents[node]
        return self._text(node)

    def _statement(self, node: ast.AST) -> str:
        """The simple statement; in the head of another one, the node alone."""
        statement = next(one for one in (node, *self._above(node)) if isinstance(one, ast.stmt))
        if hasattr(statement, "body") or hasattr(statement, "cases"):
            return bound(node) or self._text(node)
        return self._text(statement)

    # --- What offends ---

    def _offences(self, node: ast.AST) -> Iterator[Offence]:
        if name := bound(node):
            yield from self._bound(node, name)
        match node:
            case ast.alias():
                yield from self._imported(node)
            case ast.Name() if _is_internal(node.id):
                yield "internals", self._chain(node)
            case ast.Attribute():
                yield from self._attribute(node)
            case ast.Call():
                yield from self._called(node)
            case ast.While() if node in self.loops:
                yield "budget", self._text(node.test)
        if isinstance(node, Chain) and not self._goes_on(node) and (path := self.path(node)):
            yield from self._mentioned(node, path)
        if isinstance(node, ast.expr) and not isinstance(self.parents[node], ast.Expr):
            yield from self._literal(node)

    def _imported(self, node: ast.alias) -> Iterator[Offence]:
        from_ = isinstance(self.parents[node], ast.ImportFrom)
        path = self._source(node) if from_ else node.name
        if rule := judge_import(path, from_):
            yield rule, f"import {path}"
        elif self.names[bound(node) or ""] != self._source(node):
            yield "imports", f"import {path}, and another thing of its name"

    def _bound(self, node: ast.AST, name: str) -> Iterator[Offence]:
        """What is prepare.py's keeps its name; but a parameter may be called like what is tracked."""
        meant = self.names.get(name, "")
        if meant.startswith("prepare."):
            if self._given(node) != meant and not (isinstance(node, ast.arg) and meant in TRACKED):
                yield STORES[_longest(meant, STORES)], self._statement(node)
        elif name in NAMES:
            yield NAMES[name], self._statement(node)
        elif _is_internal(name):
            yield "internals", self._statement(node)

    def _mentioned(self, node: Chain, path: str) -> Iterator[Offence]:
        """A chain of attributes, calls and indexes, whole."""
        if isinstance(node, ast.Name) and bound(node):
            return
        store = isinstance(getattr(node, "ctx", None), ast.Store | ast.Del)
        if store and (rule := self._stored(node, path)):
            yield rule, self._statement(node)
        elif path in rules.HELD:
            if not self._is_harmless(node, path):
                yield rules.HELD[path], self._statement(node)
        elif (rule := judge(path)) and not self._is_in(node, EXCEPT_IN[rule]):
            yield rule, self._text(node)

    def _stored(self, node: ast.expr, path: str) -> str | None:
        """The rule that an assignment breaks. What a call has returned may be changed, but not type(x)."""
        rule = STORES[_longest(path, STORES)]
        own = ".()" in path and not path.startswith("type.")
        return None if rule == "patch" and (own or self._is_knob(node, path)) else rule

    def _is_knob(self, node: ast.expr, path: str) -> bool:
        """A setting that gets a constant."""
        match self.parents[node]:
            case ast.Assign(value=value) if _longest(path, rules.KNOBS):
                return not any(isinstance(one, ast.Name | ast.Call | Function) for one in ast.walk(value))
        return False

    def _attribute(self, node: ast.Attribute) -> Iterator[Offence]:
        if node.attr in ATTRIBUTES:
            yield ATTRIBUTES[node.attr], self._chain(node)
        elif node.attr == "backward" and self._is_outside(node):
            yield "budget", self._chain(node)
        elif _is_internal(node.attr) and not self._chain(node).endswith(".__class__.__name__"):
            yield "internals", self._chain(node)

    def _called(self, node: ast.Call) -> Iterator[Offence]:
        match self.path(node):
            case "getattr.()" | "setattr.()" | "delattr.()" if self.path(argument(node, 0)):
                yield "builtins", self._text(node)
            case rules.LOADER if folded(argument(node, 3, "split")) != "train":
                yield "validation", self._text(node)
            case rules.CLOCK:
                yield "clock", f"Clock(){self._in_a_loop(node)}"
            case rules.EVALUATION:
                yield "metric", f"evaluate_bpb(){self._in_a_loop(node)}"
                if self.path(argument(node, 1, "tokenizer")) != rules.TOKENIZER:
                    yield "metric", self._statement(node)
            case path if path in rules.BARE and (node.args or node.keywords):
                yield rules.BARE[path], self._text(node)

    def _literal(self, node: ast.expr) -> Iterator[Offence]:
        """A string, put together as far as it is known; and whatever holds too much."""
        if size(node) > rules.MOST:
            yield "bulk", self._text(node)
        if isinstance(self.parents[node], ast.JoinedStr | ast.FormattedValue | ast.BinOp):
            return
        if text := folded(node):
            yield from ((rule, self._statement(node)) for part, rule in TEXTS.items() if part in text)
            if text in WORDS:
                yield WORDS[text], self._text(node)
            if any(_is_internal(name) for name in re.findall(r"\b__\w+__\b", text)):
                yield "internals", self._text(node)
