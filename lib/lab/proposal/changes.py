"""Two texts of train.py -> the change of an experiment: constants, places and a diff; a line of `changes.jsonl`.

It compares experiments by their changes, not by their wording: "bump the matrix LR" and "0.04 is too low" may
move the same constant. A place is the name of a constant, or the line of the old code that was changed.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from difflib import SequenceMatcher, unified_diff
from itertools import islice
from pathlib import Path

from lab.one_line import clean
from lab.store import jsonl
from lab.store.experiments import NEAR, Experiment
from lab.verdict import complexity

FILE = "changes.jsonl"
CONSTANT = re.compile(r"([A-Z][A-Z0-9_]*) *= *(.*?) *(?:#.*)?")
BY_PROFILE = re.compile(r"(.*) if SMALL else (.*)")
MOVED = re.compile(r"\b([A-Z][A-Z0-9_]+(?:\[\d+\])?):? (\S+) -> (\S+)")  # in a description
BEHIND = "after "  # a place where lines were only added
MOST = 6  # constants, and places, of one experiment
LONGEST_VALUE, LONGEST_LINE = 40, 100  # characters
DIFF = 1200  # characters


@dataclass(frozen=True)
class Change:
    """`constants`: name -> old and new text; None for a new or removed constant. `diff`: only for a near miss."""

    commit: str
    constants: dict[str, list[str | None]] = field(default_factory=dict)
    places: list[str] = field(default_factory=list)
    diff: str | None = None

    def moves(self) -> list[str]:
        """`MATRIX_LR 0.04 -> 0.06` for each constant that has moved."""
        return [f"{name} {move(*values)}" for name, values in self.constants.items()]


def move(old: str | None, new: str | None) -> str:
    """`0.04 -> 0.06`"""
    return f"{'new' if old is None else old} -> {'gone' if new is None else new}"


def made_by(commit: str, before: str, after: str, *, with_diff: bool) -> Change:
    """The change that the commit of `after` made."""
    then, now = constants(before), constants(after)
    names = [name for name in {**then, **now} if then.get(name) != now.get(name)][:MOST]
    return Change(
        commit,
        {name: differing(then.get(name), now.get(name)) for name in names},
        _places(before, after),
        diff(before, after) if with_diff else None,
    )


def constants(text: str) -> dict[str, str]:
    """The UPPERCASE names that are assigned at the start of a line, and their values as text."""
    found = (CONSTANT.fullmatch(line.rstrip()) for line in text.splitlines())
    return {match[1]: clean(match[2], LONGEST_VALUE) for match in found if match}


def differing(old: str | None, new: str | None) -> list[str | None]:
    """The old and the new text; of `2 if SMALL else 9` only the value that moved, if only one did."""
    pair = [BY_PROFILE.fullmatch(text or "") for text in (old, new)]
    if pair[0] and pair[1]:
        moved = [[then, now] for then, now in zip(pair[0].groups(), pair[1].groups(), strict=True) if then != now]
        if len(moved) == 1:
            return moved[0]
    return [old, new]


def _places(before: str, after: str) -> list[str]:
    """The constants of each edit, or its longest removed line; last, the lines after which code was only added."""
    old, new = complexity.code_lines(before), complexity.code_lines(after)
    found: dict[str, None] = {}
    for tag, i1, i2, j1, j2 in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag != "equal":
            known = [match[1] for line in old[i1:i2] or new[j1:j2] if (match := CONSTANT.fullmatch(line))]
            anchor = old[i1 - 1] if i1 else "the start of the file"
            line = max(old[i1:i2], key=len) if i1 < i2 else BEHIND + anchor
            found |= dict.fromkeys(known or [clean(line, LONGEST_LINE)])
    return sorted(found, key=lambda place: place.startswith(BEHIND))[:MOST]


def diff(before: str, after: str) -> str:
    """Like `diff -U1` without headers, and without context for constants; a long diff is cut, with a note."""
    old, new = before.splitlines(), after.splitlines()
    is_plain = all(CONSTANT.fullmatch(line) for lines in complexity.changes(before, after) for line in lines)
    lines = islice(unified_diff(old, new, lineterm="", n=0 if is_plain else 1), 3, None)
    text = "\n".join("..." if line.startswith("@@ ") else line[:1] + clean_code(line[1:]) for line in lines)
    return text if len(text) < DIFF else text[: text.rindex("\n", 0, DIFF)] + "\n... (cut)"


def clean_code(line: str) -> str:
    """One clean line of code with its indentation."""
    indentation = line[: len(line) - len(line.lstrip(" "))][:24]
    return indentation + clean(line, 2 * LONGEST_LINE)


def append(run: Path, change: Change) -> None:
    """Add a change, unless its commit is on record."""
    if all(one["commit"] != change.commit for one in jsonl.last(run / FILE, NEAR)):
        jsonl.append(run / FILE, asdict(change))


def of_experiments(run: Path, past: Sequence[Experiment]) -> Iterator[Change]:
    """The change of each of the last experiments; without a record, from its description."""
    known = {one["commit"]: one for one in jsonl.last(run / FILE, max(len(past), NEAR))}
    for one in past:
        found = known.get(one["commit"])
        yield Change(**found) if found else from_description(one["commit"], one["description"])


def from_description(commit: str, description: str) -> Change:
    """The moves of constants that a description names."""
    moves: dict[str, list[str | None]] = {name: [old, new] for name, old, new in MOVED.findall(description)}
    return Change(commit, moves, list(moves))
