"""Two texts of train.py -> the rules (lab.rules) that what one has more than the other breaks.

Each text is parsed, and what offends is written anew in one form (`ast.unparse`): it is judged only where there is more
of it than before. So nobody's baseline is judged, a line may move, and a changed argument is another offence. Names stand
for what they were imported as, anywhere in the text. A text that is no Python is not judged: it will not run.
"""

import ast
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache

from lab import rules
from lab.complexity import is_string_alone
from lab.rules import RULES

LONGEST = 80  # characters of a subject that are told
UNREADABLE = "unreadable"
Offence = tuple[str, str]  # rule, subject


@dataclass(frozen=True)
class Violation:
    """The name of a rule, the line in the text where it is broken, and by what."""

    rule: str
    line: int
    subject: str

    def __str__(self) -> str:
        subject = " ".join(self.subject.split())
        short = subject if len(subject) <= LONGEST else subject[: LONGEST - 3].rstrip() + "..."
        return f"rule '{self.rule}' at line {self.line}: {short}"
