"""Complexity: two texts of train.py -> code lines added and removed. A blank line or a comment is no code line."""

from collections.abc import Iterable
from difflib import SequenceMatcher


def code_lines(text: str) -> list[str]:
    """The lines that count, without what stands around them."""
    stripped = (line.strip() for line in text.splitlines())
    return [line for line in stripped if line and not line.startswith("#")]


def changes(before: str, after: str) -> tuple[list[str], list[str]]:
    """The code lines that `after` has more and those that it has less."""
    old, new = code_lines(before), code_lines(after)
    added: list[str] = []
    removed: list[str] = []
    for tag, i1, i2, j1, j2 in _blocks(old, new):
        if tag != "equal":
            removed += old[i1:i2]
            added += new[j1:j2]
    return added, removed


def _blocks(old: list[str], new: list[str]) -> Iterable[tuple[str, int, int, int, int]]:
    return SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
