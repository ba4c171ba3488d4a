"""`experiments.jsonl`: one JSON object for each row of the ledger (schemas/experiment.schema.json), in that order.

Experiments are appended and read back, all of them or the last; numbers with a fraction are Decimal. Raises Fault where
a line is no object.
"""

import json
import mmap
from pathlib import Path
from typing import Any

from lab.store import jsonl, schemas

Experiment = dict[str, Any]
FILE = "experiments.jsonl"
NEAR_MISSES = ("no-gain", "complexity", "memory", "conflict", "outrun")  # rules that discard what may have gained
WINDOW = 1000  # experiments that a proposal looks at, so that its time does not grow in a long run
MOST_KEEPS = 1000  # that a view looks at
NEAR = 1 << 20  # bytes of the end; an experiment in flight is there, if it is on record


def read(run: Path) -> list[Experiment]:
    """All experiments of the run. Not for the steps of an experiment (see index.py, and `last`): it grows."""
    return jsonl.read(run / FILE)


def by_commit(run: Path) -> dict[str, Experiment]:
    """All experiments by the 7 digits of their commit in the ledger."""
    return {experiment["commit"][:7]: experiment for experiment in read(run)}


def last(run: Path, count: int) -> list[Experiment]:
    """The last experiments of the run, oldest first."""
    return jsonl.last(run / FILE, count)


def keeps(run: Path, most: int = MOST_KEEPS) -> list[Experiment]:
    """The last keeps of the run, oldest first, the baseline among them; found without reading the lines between."""
    path = run / FILE
    if not path.exists() or path.stat().st_size == 0:
        return []
    found: list[Experiment] = []
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        end = data.rfind(b"\n") + 1  # what follows is torn
        while len(found) < most and (at := data.rfind(b'"status": "keep"', 0, end)) >= 0:
            begin = data.rfind(b"\n", 0, at) + 1
            one = jsonl.parsed(path, None, data[begin : data.find(b"\n", at)])
            end = begin
            if one["status"] == "keep":
                found.append(one)
    return found[::-1]


def recorded(run: Path, commit: str) -> Experiment | None:
    """The experiment of that commit, which is in flight, if it is on record: then it is one of the last."""
    path = run / FILE
    if not path.exists():
        return None
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - NEAR))
        lines = file.read().split(b"\n")[:-1]
    mark = f'"commit": "{commit}"'.encode()
    return next((jsonl.parsed(path, None, line) for line in reversed(lines) if mark in line), None)


def salvaged(run: Path) -> tuple[list[Experiment], int]:
    """The valid experiments, and the number of other lines."""
    lines = jsonl.salvaged(run / FILE)
    found = [one for one in lines if one is not None and schemas.fits("experiment", one)]
    return found, len(lines) - len(found)


def append(run: Path, experiment: Experiment) -> None:
    """Add an experiment. Raises ValueError when it does not fit the schema."""
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
    if experiment["status"] == "keep":
        return f"kept {gain:+.4f}"
    words = {
        "complexity": f"{gain:+.4f}, too many lines",
        "memory": f"{gain:+.4f}, too much memory",
        "conflict": f"{gain:+.4f}, but in conflict with a keep",
        "included": f"{gain:+.4f}, and in a keep already",
        "outrun": f"{gain:+.4f}, but outrun by keeps",
    }
    return words.get(rule) or (f"worse by {-gain:.4f}" if rule == "worse" else f"no gain ({gain:+.4f})")
