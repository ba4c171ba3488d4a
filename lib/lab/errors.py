"""Errors that a person can fix: a problem and a hint."""

import os
import re
from pathlib import Path

VERBS = Path(__file__).parents[2] / "bin"


class Fault(ValueError):  # noqa: N818, wrong usage or a broken machine, so not an Error of ours
    """`problem` is one line with its subject in quotes; `hint` is the way out."""

    def __init__(self, problem: str, hint: str) -> None:
        """Both are in lower case, without a full stop."""
        super().__init__(problem)
        self.hint = hint


EXPECTED = (ValueError, OSError, ArithmeticError)  # shown as one line; any other exception is a bug


def message(error: Exception) -> str:
    """The text that a person sees."""
    return f"lab: {error}\nhint: {for_here(error.hint)}" if isinstance(error, Fault) else f"lab: {error}"


def for_here(hint: str) -> str:
    """The hint with the right command for `make`, if the toolkit works on another repository (lib/common.sh)."""
    ours = os.environ.get("LAB_MAKE")
    if not ours:
        return hint

    def called(found: re.Match[str]) -> str:
        is_verb = (VERBS / ("experiment" if found[1] == "once" else found[1])).exists()
        return f"{ours} {found[1]}" if is_verb else found[0]

    return re.sub(r"(?<![\w-])make ([a-z-]+)", called, hint)
