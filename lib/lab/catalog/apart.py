"""Proposals, and what is in the air -> the first that changes none of the same lines, so that both can be kept.

A keep is carried over to by a three-way merge, which has a conflict where two changes touch, or are next to each other.
Lines are compared by their text: what is in the air may be made on another text of train.py.
"""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from difflib import SequenceMatcher
from itertools import islice
from pathlib import Path

from lab.catalog.choose import Proposal
from lab.store import code, flight

LOOKED_AT = 50  # proposals


def first_apart(source: str, found: Iterable[Proposal], run: Path) -> Proposal | None:
    """The first of `found` that is apart from what is in the air; the very first, where none is."""
    taken = {line for before, after in _in_the_air(run) for line in _changed(before, after, around=1)}
    best = list(islice(found, LOOKED_AT if taken else 1))
    apart = (one for one in best if taken.isdisjoint(_changed(source, one.source, around=0)))
    return next(apart, best[0] if best else None)


def _in_the_air(run: Path) -> Iterator[tuple[str, str]]:
    """The texts before and after each change that has no verdict yet."""
    for one in flight.in_the_air(run):
        with suppress(ValueError):  # it has no code yet
            if after := code.after(one):
                yield code.difference(code.before(one), after)


def _changed(before: str, after: str, around: int) -> Iterator[str]:
    """The old lines that change, and so many around them; of lines that are only added, those beside them."""
    old, new = before.splitlines(), after.splitlines()
    for tag, begin, end, *_ in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag != "equal":
            wider = max(around, begin == end)
            yield from (line for line in old[max(0, begin - wider) : end + wider] if line.strip())
