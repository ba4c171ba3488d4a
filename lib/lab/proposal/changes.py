"""What an experiment changed: two texts of train.py -> constants, places and a diff; a line each of `changes.jsonl`.

So that the past can be read by meaning and not by wording: two proposers who call it "bump the matrix LR" and "0.04 is
too low" have moved the same constant. A place is a constant's name, or the line of the code before that was touched.
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
    """`constants`: name -> old and new text, one of them None where it is new or gone. `diff`: of a near miss."""

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
    """What the commit of `after` changed."""
    then, now = constants(before), constants(after)
    names = [name for name in {**then, **now} if then.get(name) != now.get(name)][:MOST]
    return Change(
        commit,
        {name: _differing(then.get(name), now.get(name)) for name in names},
        _places(before, after),
        diff(before, after) if with_diff else None,
    )


def constants(text: str) -> dict[str, str]:
    """The UPPERCASE names that are assigned at the start of a line, and what."""
    found = (CONSTANT.fullmatch(line.rstrip()) for line in text.splitlines())
    return {match[1]: clean(match[2], LONGEST_VALUE) for match in found if match}


def _differing(old: str | None, new: str | None) -> list[str | None]:
    """Of `2 if SMALL else 9`, where only one of the two has moved, that one."""
    pair = [BY_PROFILE.fullmatch(text or "") for text in (old, new)]
    if pair[0] and pair[1]:
        for here, other in ((1, 2), (2, 1)):
            if pair[0][other] == pair[1][other]:
                return [pair[0][here], pair[1][here]]
    return [old, new]


def _places(before: str, after: str) -> list[str]:
    """Of each edit: its constants, or the longest line that it took away; or, after those, what it stands behind."""
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
    """As `diff -U1`, without heads, and around constants without context; cut, with a note of it, where it is long."""
    old, new = before.splitlines(), after.splitlines()
    is_plain = all(CONSTANT.fullmatch(line) for lines in complexity.changes(before, after) for line in lines)
    text: list[str] = []
    left = DIFF
    for line in islice(unified_diff(old, new, lineterm="", n=0 if is_plain else 1), 3, None):
        shown = "..." if line.startswith("@@ ") else line[:1] + clean_code(line[1:])
        left -= len(shown) + 1
        if left < 0:
            return "\n".join([*text, "... (cut)"])
        text.append(shown)
    return "\n".join(text)


def clean_code(line: str) -> str:
    """One line of code, its indentation kept."""
    indentation = line[: len(line) - len(line.lstrip(" "))][:24]
    return indentation + clean(line, 2 * LONGEST_LINE)


def append(run: Path, change: Change) -> None:
    """Add a change, unless one of its commit is there."""
    if all(one["commit"] != change.commit for one in jsonl.last(run / FILE, NEAR)):
        jsonl.append(run / FILE, asdict(change))


def of_experiments(run: Path, past: Sequence[Experiment]) -> Iterator[Change]:
    """The change of each of the last experiments; of one that has none on record, what its description says."""
    known = {one["commit"]: one for one in jsonl.last(run / FILE, max(len(past), NEAR))}
    for one in past:
        found = known.get(one["commit"])
        yield Change(**found) if found else told_by(one["commit"], one["description"])


def told_by(commit: str, description: str) -> Change:
    """What a description says of constants."""
    moves: dict[str, list[str | None]] = {name: [old, new] for name, old, new in MOVED.findall(description)}
    return Change(commit, moves, list(moves))
