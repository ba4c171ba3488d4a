"""`experiments.jsonl`: one JSON object for each row of the ledger (schemas/experiment.schema.json), in that order."""

import json
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any

from lab import files, schemas
from lab.errors import Fault

Experiment = dict[str, Any]
FILE = "experiments.jsonl"
NEAR_MISSES = ("no-gain", "complexity", "memory")  # rules by which what may have gained is discarded
parse = json.JSONDecoder(parse_float=Decimal).decode  # of one line; made once, for there may be thousands


def read(run: Path) -> list[Experiment]:
    """All experiments of the run; numbers with a fraction are Decimal. A torn last line is left out.

    Raises Fault where another line is no object.
    """
    path = run / FILE
    if not path.exists():
        return []
    found: list[Experiment] = []
    for number, line in enumerate(path.read_text(encoding="utf-8").split("\n")[:-1], start=1):
        if line and not isinstance(one := _parsed(line), dict):
            raise Fault(f"'{path}' is damaged in line {number}", "mend that line by hand, or take it away")
        if line:
            found.append(one)
    return found


def _parsed(line: str) -> Any:
    try:
        return parse(line)
    except ValueError:
        return None


def append(run: Path, experiment: Experiment) -> None:
    """Add an experiment. Raises ValueError when it does not fit the schema."""
    text = json.dumps(experiment, default=float, ensure_ascii=False)
    problems = schemas.problems("experiment", json.loads(text))
    if problems:
        raise ValueError("; ".join(f"{where}: {problem}" for where, problem in problems))
    files.append_line(run / FILE, text)


def outcome(experiment: Experiment) -> str:
    """What came of it, in a few words: `kept +0.0047`, `no gain`, `worse by 0.0031`, `oom`."""
    gain, rule = experiment["gain"], experiment["rule"]
    if experiment["failure"] or gain is None:
        return str(experiment["failure"] or rule)
    if experiment["status"] == "keep":
        return f"kept {gain:+.4f}"
    words = {"complexity": f"{gain:+.4f}, too many lines", "memory": f"{gain:+.4f}, too much memory"}
    return words.get(rule) or (f"worse by {-gain:.4f}" if rule == "worse" else f"no gain ({gain:+.4f})")


def incumbent(experiments: Iterable[Experiment]) -> Experiment | None:
    """The last keep, or None before the baseline."""
    keeps = _keeps(experiments)
    return keeps[-1] if keeps else None


def best(experiments: Iterable[Experiment]) -> Experiment | None:
    """The keep with the lowest val_bpb. A crash has none, and so never wins."""
    return min(_keeps(experiments), key=lambda experiment: experiment["val_bpb"], default=None)


def _keeps(experiments: Iterable[Experiment]) -> list[Experiment]:
    return [experiment for experiment in experiments if experiment["status"] == "keep"]
