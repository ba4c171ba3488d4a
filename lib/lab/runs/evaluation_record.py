"""The evaluation record that the evaluator writes -> whether it is of this run's measurement, and in its budget.

train.py, which an agent edits, prints val_bpb; `prepare.py --evaluate`, a process that train.py cannot reach, computes
it and writes the record: value, tokens, bytes, hashes, seconds. What the record has of the training (its seconds, the
probes, the memory of a GPU) is what train.py's process claims. The CPU seconds of all processes of the run come from
outside of it (lib/child/runner.py). Seconds, bits per byte.
"""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

Record = dict[str, Any]
Run = Mapping[str, Any]

AGREE = Decimal("0.00005")  # a script may print fewer decimals
SLACK = {"cpu": 2.0}  # seconds that a run may spend beside its budget more than any run of the baseline did
SLACK_GPU = 30.0  # of the wall, since code is compiled
IDLE = 0.5  # cores, on average: with fewer there was no core for a process more
MOST_SLOWER = 2  # the largest allowance for a slower machine, as a factor

NUMBERS = (
    "val_bpb", "tokens", "evaluation_seconds", "training_seconds", "training_wall_seconds", "longest_wait", "looks",
    "peak_memory_mb",
)  # fmt: skip
HASHES = {"prepare.py": "prepare.py", "data": "the data", "tokenizer": "the tokenizer"}


def read(folder: Path) -> Record | None:
    """The record in a RUN_DIR; None if it is missing or unreadable."""
    try:
        record = json.loads((folder / "record/evaluation.json").read_text())
    except (OSError, ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) and _is_whole(record) else None


def _is_whole(record: Record) -> bool:
    probes = record.get("probes")
    numbers = [*(record.get(name) for name in NUMBERS), *(probes if isinstance(probes, list) and probes else [None])]
    return all(isinstance(number, float | int) and 0 <= number < math.inf for number in numbers)


def measured_bpb(record: Record) -> Decimal:
    """The measured val_bpb."""
    return Decimal(repr(record["val_bpb"]))


def mismatch(record: Record, printed: Decimal, comparable: Mapping[str, Any]) -> str | None:
    """Why the record does not confirm the printed value; None if it does. `comparable` is from the manifest."""
    measured = measured_bpb(record)
    if abs(measured - printed) > AGREE:
        return f"it printed {printed:.6f}, but the evaluator measured {measured:.6f}"
    if record.get("tokens") != comparable.get("eval_tokens"):
        return f"{record.get('tokens')} tokens were evaluated, not {comparable.get('eval_tokens')}"
    others = (name for key, name in HASHES.items() if record.get(key) != comparable.get(key))
    return next((f"{name} has changed since set-up" for name in others), None)


def outside_seconds(folder: Path, record: Record, time_budget: float) -> float | None:
    """The seconds beside the budget: CPU seconds of all processes of the training; on a GPU, wall seconds.

    The evaluator is none of them, and the training only waits for it.
    """
    if record.get("device") == "cpu":
        spent = cpu_seconds(folder)
        return None if spent is None else round(spent - time_budget, 3)
    return round(wall_seconds(folder) - float(record["evaluation_seconds"]) - time_budget, 3)


def cpu_seconds(folder: Path) -> float | None:
    """User and system seconds of all processes of the run, by the runner; None: unknown."""
    return _resource(folder, "cpu_seconds")


def was_starved(folder: Path, time_budget: float) -> bool:
    """Whether it had not even the CPU seconds of its budget while no core was idle: others had them. Unknown: no."""
    spent, idle = cpu_seconds(folder), _resource(folder, "idle_cores")
    return spent is not None and idle is not None and spent < time_budget and idle < IDLE


def peak_memory_mb(folder: Path) -> float | None:
    """MiB that the largest process of the run had resident, by the runner; None: unknown."""
    return _resource(folder, "peak_memory_mb")


def _resource(folder: Path, name: str) -> float | None:
    spent = resources(folder).get(name)
    return float(spent) if isinstance(spent, float | int) else None


def resources(folder: Path) -> dict[str, Any]:
    """The resources of a run by lib/child/runner.py; empty if the engine does not measure them."""
    try:
        said = json.loads((folder / "resources").read_text())
    except (OSError, ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}


def wall_seconds(folder: Path) -> float:
    """From the start to the end of the run, by the runner; of an engine that does not say, by the time of day."""
    spent = resources(folder).get("wall_seconds")
    if isinstance(spent, float | int) and 0 <= spent < math.inf:
        return float(spent)
    times = [datetime.fromisoformat((folder / name).read_text().strip().rstrip("Z")) for name in ("started", "ended")]
    return max(0.0, round((times[1] - times[0]).total_seconds(), 3))


def long_start(run: Run, baseline: Sequence[Run]) -> str | None:
    """Why a run has spent too much beside its budget, if it has: its start, compared with the baseline's.

    Training could hide there. On a slower machine it may take longer, by the factor by which the evaluator's own start
    did, which no training reaches but by seconds of its own.
    """
    usual = largest("outside_seconds", baseline)
    if usual is None:
        return None
    if run["outside_seconds"] is None:
        return "its seconds beside training are unknown"
    starts = [largest("evaluator_start_seconds", runs) or 1.0 for runs in (baseline, [run])]
    slower = min(max(1.0, starts[1] / starts[0]), MOST_SLOWER)
    most = slower * max(usual, 0) + SLACK.get(run["device"], SLACK_GPU)
    if run["outside_seconds"] <= most:
        return None
    return (
        f"{run['outside_seconds']:.1f} s beside training, where the baseline takes {usual:.1f} s: {most:.1f} s at most"
    )


def largest(name: str, runs: Iterable[Run]) -> float | None:
    """The largest known value of that name."""
    return max((float(run[name]) for run in runs if run.get(name) is not None), default=None)
