"""The evaluation record -> whether it confirms this run's printed value, and whether the run kept to its budget.

train.py, which an agent edits, prints val_bpb. `prepare.py --evaluate`, a process that train.py cannot reach, computes
it and writes the record: value, tokens, bytes, hashes, seconds. The record's facts about the training (seconds, probes,
memory of a GPU) are claims of train.py's process. The CPU seconds of all processes of the run come from
lib/child/runner.py, outside of it. Times are in seconds, values in bits per byte.
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
SLACK = {"cpu": 2.0}  # seconds outside the budget that a run may spend more than the baseline did
SLACK_GPU = 30.0  # the same in wall seconds, which include compilation
IDLE = 0.5  # mean idle cores below which another process found no free core
MOST_SLOWER = 2  # the largest factor that is allowed for a slower machine

NUMBERS = (
    "val_bpb", "tokens", "evaluation_seconds", "training_seconds", "training_wall_seconds", "longest_wait", "looks",
    "peak_memory_mb",
)  # fmt: skip
HASHES = {"prepare.py": "prepare.py", "data": "the data", "tokenizer": "the tokenizer"}


def read(folder: Path) -> Record | None:
    """The record in a RUN_DIR; None if it is missing or unreadable."""
    record = object_in(folder / "record/evaluation.json")
    return record if _is_whole(record) else None


def object_in(path: Path) -> dict[str, Any]:
    """The object in a JSON file; empty if it is missing or unreadable."""
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


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
        return f"train.py printed {printed:.6f}, but the evaluator measured {measured:.6f}"
    if record.get("tokens") != comparable.get("eval_tokens"):
        return f"{record.get('tokens')} tokens were evaluated instead of {comparable.get('eval_tokens')}"
    others = (name for key, name in HASHES.items() if record.get(key) != comparable.get(key))
    return next((f"{name} has changed since set-up" for name in others), None)


def outside_seconds(folder: Path, record: Record, time_budget: float) -> float | None:
    """The seconds outside the budget: CPU seconds of all training processes; on a GPU, wall seconds.

    The evaluator does not count, because the training only waits for it.
    """
    if record.get("device") == "cpu":
        spent = resource(folder, "cpu_seconds")
        return None if spent is None else round(spent - time_budget, 3)
    return round(wall_seconds(folder) - float(record["evaluation_seconds"]) - time_budget, 3)


def was_starved(folder: Path, time_budget: float) -> bool:
    """Whether the run got less CPU time than its budget and no core was idle, so that others used them. Unknown: no."""
    spent, idle = (resource(folder, name) for name in ("cpu_seconds", "idle_cores"))
    return spent is not None and idle is not None and spent < time_budget and idle < IDLE


def resource(folder: Path, name: str) -> float | None:
    """A number of lib/child/runner.py, or None: cpu_seconds of all processes, peak_memory_mb of the largest."""
    spent = object_in(folder / "resources").get(name)
    return float(spent) if isinstance(spent, float | int) else None


def wall_seconds(folder: Path) -> float:
    """The wall seconds of the run, from the runner; if the engine does not measure them, from its timestamps."""
    spent = resource(folder, "wall_seconds")
    if spent is not None and 0 <= spent < math.inf:
        return spent
    times = [datetime.fromisoformat((folder / name).read_text().strip().rstrip("Z")) for name in ("started", "ended")]
    return max(0.0, round((times[1] - times[0]).total_seconds(), 3))


def long_start(run: Run, baseline: Sequence[Run]) -> str | None:
    """Why a run spent too much time outside its budget, compared with the baseline; None if it did not.

    Training could hide there. A slower machine allows more time, by the factor by which the evaluator's own start was
    slower. A training process can slow the evaluator's start only by using up seconds itself.
    """
    usual = largest("outside_seconds", baseline)
    if usual is None:
        return None
    if run["outside_seconds"] is None:
        return "its seconds outside of the budget are unknown"
    starts = [largest("evaluator_start_seconds", runs) or 1.0 for runs in (baseline, [run])]
    slower = min(max(1.0, starts[1] / starts[0]), MOST_SLOWER)
    most = slower * max(usual, 0) + SLACK.get(run["device"], SLACK_GPU)
    if run["outside_seconds"] <= most:
        return None
    return (
        f"it took {run['outside_seconds']:.1f} s outside the budget, "
        f"the limit is {most:.1f} s (the baseline took {usual:.1f} s)"
    )


def largest(name: str, runs: Iterable[Run]) -> float | None:
    """The largest known value of a field."""
    return max((float(run[name]) for run in runs if run.get(name) is not None), default=None)
