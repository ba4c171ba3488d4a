"""`reruns.jsonl`: more runs of code whose experiment is on record (schemas/rerun.schema.json), an object each.

Runs are appended and read back with the commit of their code; numbers with a fraction are Decimal. Raises Fault where a
line is no object.
"""

from collections.abc import Container, Iterable
from pathlib import Path
from typing import Any

from lab.store import jsonl

FILE = "reruns.jsonl"


def read(run: Path) -> list[dict[str, Any]]:
    """All reruns of the run, of any code. Not for the steps of an experiment: their time must not grow with it."""
    return jsonl.read(run / FILE)


def append(run: Path, commit: str, runs: Iterable[dict[str, Any]], recorded: Container[int]) -> None:
    """Add runs of the code of a commit, each unless its seed is among the recorded ones."""
    for one in runs:
        if one["seed"] not in recorded:
            jsonl.append(run / FILE, {"commit": commit, **one})
