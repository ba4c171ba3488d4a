"""The records of a run, and what git keeps of them -> the records as they were before somebody edited or deleted them.

What git keeps counts most, then `experiments.jsonl`; `results.tsv` follows from these, but for rows that were written
by hand, which stay. Nothing is made up: an experiment that neither has is not made again.
"""

import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from lab.errors import Fault
from lab.store import durable, experiments, jsonl, manifest, schemas, two_records
from lab.store.experiments import Experiment
from lab.verdict import index


def mend(run: Path, records: str) -> list[str]:
    """Put them right; `records` has an object a line, the oldest first. Returns what was done, for a person."""
    kept = [one for line in records.split("\n") if (one := jsonl.object_in(line.encode())) is not None]
    said = _manifest(run, kept)
    known, more = _experiments(run, [one for one in kept if schemas.fits("experiment", one)])
    said += more + _ledger(run, known)
    past = index.rebuilt(run)
    index.store(run, past)
    index.store_incumbent(run, past)
    return said or [f"nothing to mend: the ledger of run '{run.name}' is as it was recorded, experiments: {len(known)}"]


def _manifest(run: Path, kept: Sequence[dict[str, Any]]) -> list[str]:
    path = run / "manifest.json"
    now = jsonl.object_in(path.read_bytes()) if path.exists() else None
    if now is None or not schemas.fits("manifest", now):
        found = next((one for one in kept if schemas.fits("manifest", one)), None)
        if found is None:
            raise Fault(f"run '{run.name}' has no manifest, and git has no record of it", "begin a new run: make setup")
        _replace(path, json.dumps(found, indent=2, default=float) + "\n")
        durable.write_atomically(run / "start", f"{found['start']}\n")
        if "EDITABLE" in found["settings"]:
            durable.write_atomically(run / "editable", f"{found['settings']['EDITABLE']}\n")
        return ["manifest.json is that of the set-up again"]
    return []


def _experiments(run: Path, kept: Sequence[Experiment]) -> tuple[list[Experiment], list[str]]:
    """Those of the file, where git has no other word; those that only git has; in the order of their numbers."""
    path = run / experiments.FILE
    there, _ = experiments.salvaged(run)
    by_commit = {one["commit"]: one for one in [*there, *kept]}
    known = sorted(by_commit.values(), key=lambda one: int(one["n"]))
    text = "".join(f"{jsonl.line_of(one)}\n" for one in known)
    was = path.read_bytes() if path.exists() else b""
    if _objects(was) == _objects(text.encode()) and (was.endswith(b"\n") or not was):
        return known, []
    _replace(path, text)
    return known, [f"{experiments.FILE} is made again: experiments: {len(known)}, there were {len(there)}{_aside(run)}"]


def _objects(data: bytes) -> list[Any]:
    return [jsonl.object_in(line) for line in data.split(b"\n")]


def _ledger(run: Path, known: Sequence[Experiment]) -> list[str]:
    path = run / two_records.TABLE
    was = path.read_bytes().decode(errors="surrogateescape") if path.exists() else None
    lines = (was or "").replace("\r", "").split("\n")
    rows = two_records.with_rows_by_hand(known, lines, manifest.metric_of(run).name)
    text = two_records.text_of(run, rows)
    if was == text:
        return []
    _replace(path, text)
    by_hand = len(rows) - len(known)
    return [f"results.tsv is made again: rows: {len(rows)}, by hand of these: {by_hand}{_aside(run)}"]


def _aside(run: Path) -> str:
    return f"; what was there is in 'runs/{run.name}/aside'"


def _replace(path: Path, text: str) -> None:
    """The file anew; what it was is kept."""
    if path.exists():
        aside = path.parent / "aside"
        aside.mkdir(exist_ok=True)
        path.replace(aside / f"{datetime.now():%Y%m%d-%H%M%S-%f}-{path.name}")
    durable.write_atomically(path, text)
