"""Proposals and the changes in flight -> the first proposal with no line in common, so that both can be kept.

After a keep, changes are carried over by a three-way merge, which conflicts if two changes touch or are adjacent. Lines
are compared by their text, because a change in flight may be based on another version of train.py.
"""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from difflib import SequenceMatcher
from itertools import islice
from pathlib import Path

from lab.catalog.choose import Proposal
from lab.store import code, flight

LOOKED_AT = 50  # proposals that are compared


def first_apart(source: str, found: Iterable[Proposal], run: Path) -> Proposal | None:
    """The first of `found` that is apart from the changes in flight; the very first if there is none."""
    taken: set[str] = set()
    for one in flight.in_the_air(run):
        with suppress(ValueError):  # the flight has no code yet
            if after := code.after(one):
                taken |= {*_changed(*code.difference(code.before(one), after), around=1)}
    best = list(islice(found, LOOKED_AT if taken else 1))
    apart = (one for one in best if taken.isdisjoint(_changed(source, one.source, around=0)))
    return next(apart, best[0] if best else None)


def _changed(before: str, after: str, around: int) -> Iterator[str]:
    """The old lines that change, with `around` lines on each side; if lines are only added, their neighbours."""
    old, new = before.splitlines(), after.splitlines()
    for tag, begin, end, *_ in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag != "equal":
            wider = max(around, begin == end)
            yield from (line for line in old[max(0, begin - wider) : end + wider] if line.strip())
