"""Hints of a person for the proposer: lines of `runs/<tag>/hints`, `2026-03-14 09:26 try less weight decay`."""

from datetime import datetime
from pathlib import Path

from lab.one_line import clean
from lab.store import durable

FILE = "hints"
MOST = 20  # the newest
LONGEST = 500  # characters


def read(run: Path) -> list[str]:
    """The hints of the run, oldest first."""
    path = run / FILE
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else []
    return [text for line in lines if (text := clean(line, LONGEST + 20))]


def add(run: Path, text: str) -> None:
    """Add a hint; beyond MOST hints, the oldest is dropped."""
    hint = f"{datetime.now():%Y-%m-%d %H:%M} {clean(text, LONGEST)}"
    durable.write_atomically(run / FILE, "".join(f"{line}\n" for line in [*read(run), hint][-MOST:]))
