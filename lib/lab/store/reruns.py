"""`reruns.jsonl`: further runs of code whose experiment is on record (schemas/rerun.schema.json), an object for each.

Runs are appended and read back with the commit of their code. Numbers with a fraction are Decimal. Raises Fault if a
line is not an object.
"""

from collections.abc import Container, Iterable
from pathlib import Path
from typing import Any

from lab.store import jsonl

FILE = "reruns.jsonl"


def read(run: Path) -> list[dict[str, Any]]:
    """All reruns of the run. The steps do not use it, because its time grows with the run."""
    return jsonl.read(run / FILE)


def append(run: Path, commit: str, runs: Iterable[dict[str, Any]], recorded: Container[int]) -> None:
    """Add runs of a commit's code, except those whose seed is already recorded."""
    for one in runs:
        if one["seed"] not in recorded:
            jsonl.append(run / FILE, {"commit": commit, **one})
