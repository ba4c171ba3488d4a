"""Structural edits: an idea and the text of a train.py -> the text with the idea in it, whole, or None.

An idea is data: pairs of a snippet and what takes its place. Each snippet must stand in the text exactly once, or the
idea does not apply (any more): the code was changed where it would act, or has the idea already.
"""

import re
from dataclasses import dataclass

from lab.catalog.beliefs import Category


@dataclass(frozen=True)
class Idea:
    """`chance` that it is kept, before any experiment; `without`: hyperparameters that nothing uses any more."""

    name: str
    category: Category
    chance: float
    description: str
    snippets: tuple[tuple[str, str], ...]
    without: tuple[str, ...] = ()

    def applied(self, source: str) -> str | None:
        """The source with the idea, or None when it does not apply."""
        for old, new in self.snippets:
            if source.count(old) != 1:
                return None
            source = source.replace(old, new)
        for name in self.without:
            source, lines = re.subn(rf"^{name} = .*\n", "", source, flags=re.MULTILINE)
            if lines != 1:
                return None
        return source
