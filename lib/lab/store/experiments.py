"""`experiments.jsonl`: one JSON object for each row of the ledger (schemas/experiment.schema.json), in the same order.

Experiments are appended, and read back whole or in part. Numbers with a fraction are Decimal. Raises Fault if a line
is not an object.
"""

import json
import mmap
from pathlib import Path
from typing import Any

from lab.store import jsonl, metric, schemas

Experiment = dict[str, Any]
FILE = "experiments.jsonl"
NEAR_MISSES = ("no-gain", "complexity", "memory", "guard", "conflict", "outrun")  # rules that may discard a gain
WINDOW = 1000  # experiments that a proposal reads; a limit, so that a long run does not slow it down
FEWER = 2  # decimals that a short text leaves out
MOST_KEEPS = 1000  # keeps that a view reads
NEAR = 1 << 20  # bytes at the end of the file that are searched for an experiment in flight


def read(run: Path) -> list[Experiment]:
    """All experiments of the run. The steps do not use it, because its time grows with the run; see index, `last`."""
    return jsonl.read(run / FILE)


def by_commit(run: Path) -> dict[str, Experiment]:
    """All experiments by the first 7 digits of their commit."""
    return {experiment["commit"][:7]: experiment for experiment in read(run)}


def last(run: Path, count: int) -> list[Experiment]:
    """The last experiments of the run, oldest first."""
    return jsonl.last(run / FILE, count)


def keeps(run: Path, most: int = MOST_KEEPS) -> list[Experiment]:
    """The last keeps of the run with the baseline, oldest first; found without parsing the lines in between."""
    path = run / FILE
    if not path.exists() or path.stat().st_size == 0:
        return []
    found: list[Experiment] = []
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        end = data.rfind(b"\n") + 1  # the rest is a torn line
        while len(found) < most and (at := data.rfind(b'"status": "keep"', 0, end)) >= 0:
            begin = data.rfind(b"\n", 0, at) + 1
            one = jsonl.parsed(path, None, data[begin : data.find(b"\n", at)])
            end = begin
            if one["status"] == "keep":
                found.append(one)
    return found[::-1]


def recorded(run: Path, commit: str) -> Experiment | None:
    """The experiment with that commit, if it is among the last on record; for an experiment in flight."""
    path = run / FILE
    if not path.exists():
        return None
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - NEAR))
        lines = file.read().split(b"\n")[:-1]
    mark = f'"commit": "{commit}"'.encode()
    return next((jsonl.parsed(path, None, line) for line in reversed(lines) if mark in line), None)


def salvaged(run: Path) -> tuple[list[Experiment], int]:
    """The valid experiments, and the number of invalid lines."""
    lines = jsonl.salvaged(run / FILE)
    found = [one for one in lines if one is not None and schemas.fits("experiment", one)]
    return found, len(lines) - len(found)


def append(run: Path, experiment: Experiment) -> None:
    """Add an experiment. Raises ValueError if it does not fit the schema."""
    if problems := _problems(json.loads(jsonl.line_of(experiment))):
        raise ValueError("; ".join(problems))
    jsonl.append(run / FILE, experiment)


def problems(run: Path, most: int = 10) -> list[str]:
    """The first schema problems of the experiments: `line 3: gain: ...`."""
    found: list[str] = []
    for number, (line, _) in enumerate(jsonl.since(run / FILE, 0), start=1):
        if line.strip():
            found += (f"line {number}: {problem}" for problem in _problems(jsonl.parsed(run / FILE, number, line)))
        if len(found) >= most:
            break
    return found[:most]


def _problems(experiment: Experiment) -> list[str]:
    return [f"{where}: {problem}" for where, problem in schemas.problems("experiment", experiment)]


def outcome(experiment: Experiment) -> str:
    """The outcome in a few words: `kept +0.0047`, `no gain`, `worse by 0.0031`, `oom`."""
    gain, rule = experiment["gain"], experiment["rule"]
    if experiment["failure"] or gain is None:
        return str(experiment["failure"] or rule)
    measures, level = metric.named(experiment), experiment["val_bpb"]
    gained = measures.gain_text(gain, level, fewer=FEWER)
    if experiment["status"] == "keep":
        return f"kept {gained}"
    words = {
        "complexity": f"{gained}, too many lines",
        "memory": f"{gained}, too much memory",
        "guard": f"{gained}, but a guard failed",
        "conflict": f"{gained}, but it conflicts with a keep",
        "included": f"{gained}, but a keep already includes it",
        "outrun": f"{gained}, but overtaken by other keeps",
        "worse": f"worse by {measures.amount(-gain, level, fewer=FEWER)}",
    }
    return words.get(rule) or f"no gain ({gained})"
