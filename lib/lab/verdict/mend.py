"""The records of a run and their copies in git -> the records as they were before somebody edited or deleted them.

The copies in git count most, then `experiments.jsonl`. `results.tsv` is written from these, and rows that were written
by hand stay. An experiment that is in neither is lost.
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
    """Repair the records. `records` are the objects in git, one per line, oldest first. Returns messages."""
    kept = [one for line in records.split("\n") if (one := jsonl.object_in(line.encode())) is not None]
    said = _manifest(run, kept)
    known, more = _experiments(run, [one for one in kept if schemas.fits("experiment", one)])
    said += more + _ledger(run, known)
    past = index.rebuilt(run)
    index.store(run, past)
    index.store_incumbent(run, past)
    return said or [f"nothing to repair: the ledger of run '{run.name}' matches its {len(known)} experiments"]


def _manifest(run: Path, kept: Sequence[dict[str, Any]]) -> list[str]:
    path = run / "manifest.json"
    now = jsonl.object_in(path.read_bytes()) if path.exists() else None
    if now is None or not schemas.fits("manifest", now):
        found = next((one for one in kept if schemas.fits("manifest", one)), None)
        if found is None:
            raise Fault(f"run '{run.name}' has no manifest, and git has no copy of it", "start a new run: make setup")
        _replace(path, json.dumps(found, indent=2, default=float) + "\n")
        durable.write_atomically(run / "start", f"{found['start']}\n")
        if "EDITABLE" in found["settings"]:
            durable.write_atomically(run / "editable", f"{found['settings']['EDITABLE']}\n")
        return ["restored manifest.json from git"]
    return []


def _experiments(run: Path, kept: Sequence[Experiment]) -> tuple[list[Experiment], list[str]]:
    """The experiments in git, and those that only the file has, in the order of their numbers."""
    path = run / experiments.FILE
    there, _ = experiments.salvaged(run)
    by_commit = {one["commit"]: one for one in [*there, *kept]}
    known = sorted(by_commit.values(), key=lambda one: int(one["n"]))
    text = "".join(f"{jsonl.line_of(one)}\n" for one in known)
    was = path.read_bytes() if path.exists() else b""
    if _objects(was) == _objects(text.encode()) and (was.endswith(b"\n") or not was):
        return known, []
    _replace(path, text)
    return known, [f"rewrote {experiments.FILE}: {len(known)} experiments, before {len(there)}{_aside(run)}"]


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
    return [f"rewrote results.tsv: {len(rows)} rows, {by_hand} of them written by hand{_aside(run)}"]


def _aside(run: Path) -> str:
    return f"; the old file is in 'runs/{run.name}/aside'"


def _replace(path: Path, text: str) -> None:
    """Replace the file and keep the old one in `aside`."""
    if path.exists():
        aside = path.parent / "aside"
        aside.mkdir(exist_ok=True)
        path.replace(aside / f"{datetime.now():%Y%m%d-%H%M%S-%f}-{path.name}")
    durable.write_atomically(path, text)
