"""Structural changes: an idea and the text of train.py -> the text with the whole idea applied, or None.

An idea is data: pairs of a snippet and its replacement. It applies only if each snippet occurs exactly once in the
text, and the added text does not occur yet. Otherwise the code at that place has changed. A pair of equal snippets
changes nothing, but names code that the idea depends on.
"""

import re
from dataclasses import dataclass

from lab.catalog.priors import Category, Promise

Snippets = tuple[tuple[str, str], ...]


@dataclass(frozen=True, kw_only=True)
class Idea(Promise):
    """`without`: hyperparameters that the code no longer uses."""

    name: str
    description: str
    snippets: Snippets
    without: tuple[str, ...] = ()

    def applied(self, source: str) -> str | None:
        """The source with the idea applied, or None if it does not apply."""
        for old, new in self.snippets:
            if source.count(old) != 1 or (old in new != old and new in source):
                return None
            source = source.replace(old, new)
        for name in self.without:
            source, lines = re.subn(rf"^{name} = .*\n", "", source, flags=re.MULTILINE)
            if lines != 1:
                return None
        return source


def idea(
    category: Category,
    name: str,
    description: str,
    chances: tuple[float, float],
    *snippets: tuple[str, str],
    without: tuple[str, ...] = (),
) -> Idea:
    """An idea, with its arguments in reading order."""
    return Idea(category, chances, name=name, description=description, snippets=snippets, without=without)
