"""The evaluation record that prepare.py writes -> whether the run printed what was measured.

train.py, which an agent edits, prints val_bpb; prepare.py, which no agent edits, computes it and writes the record:
value, tokens, bytes, hashes, seconds, and the nonce of the run. The CPU seconds of all processes of the run come from
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
SLACK_SHARE, SLACK_SECONDS = 0.05, 1.5  # share of the budget, or seconds, that a run may spend beside it
OUTSIDE_TIMES = 1.5  # times the baseline's seconds beside it: the same code took 5.8 and 7.8 CPU seconds to start
MOST_SLOWER = 4  # the largest allowance for a slower machine, as a factor
EVALUATION_TIMES = 4  # times the baseline's seconds: the evaluation of a larger model takes longer

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


def mismatch(record: Record, printed: Decimal, nonce: str, comparable: Mapping[str, Any]) -> str | None:
    """Why the record does not confirm the printed value; None if it does. `comparable` is from the manifest."""
    if record.get("nonce") != nonce:
        return "the evaluation record is not of this run"
    measured = measured_bpb(record)
    if abs(measured - printed) > AGREE:
        return f"it printed {printed:.6f}, but prepare.py measured {measured:.6f}"
    if record.get("tokens") != comparable.get("eval_tokens"):
        return f"{record.get('tokens')} tokens were evaluated, not {comparable.get('eval_tokens')}"
    others = (name for key, name in HASHES.items() if record.get(key) != comparable.get(key))
    return next((f"{name} has changed since set-up" for name in others), None)


def outside_seconds(folder: Path, record: Record, time_budget: float) -> float | None:
    """The seconds beside budget and evaluation: CPU seconds of all processes; on a GPU, wall seconds."""
    spent = cpu_seconds(folder) if record.get("device") == "cpu" else wall_seconds(folder)
    return None if spent is None else round(spent - float(record["evaluation_seconds"]) - time_budget, 3)


def cpu_seconds(folder: Path) -> float | None:
    """User and system seconds of all processes of the run, by the runner; None: unknown."""
    spent = resources(folder).get("cpu_seconds")
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


def hidden_work(run: Run, baseline: Sequence[Run], time_budget: float) -> str | None:
    """Why a run has spent more than its budget, if it has: its start and its evaluation, compared with the baseline's.

    Training can hide in them. On a slower machine they may take longer by the same factor as the probe.
    """
    slack = max(SLACK_SECONDS, SLACK_SHARE * time_budget)
    outside, evaluation = largest("outside_seconds", baseline), largest("evaluation_seconds", baseline)
    if outside is None or evaluation is None:
        return None
    if run["outside_seconds"] is None:
        return "its seconds beside training are unknown"
    slower = min(max(1.0, run["probe_seconds"] / (largest("probe_seconds", baseline) or math.inf)), MOST_SLOWER)
    outside, evaluation = slower * max(outside, 0), slower * evaluation
    if run["outside_seconds"] > OUTSIDE_TIMES * outside + slack:
        return (
            f"{run['outside_seconds']:.1f} s beside training and evaluation, where the baseline takes {outside:.1f} s"
        )
    if run["evaluation_seconds"] > EVALUATION_TIMES * evaluation + slack:
        return f"{run['evaluation_seconds']:.1f} s of evaluation, where the baseline takes {evaluation:.1f} s"
    return None


def largest(name: str, runs: Iterable[Run]) -> float | None:
    """The largest known value of that name."""
    return max((float(run[name]) for run in runs if run.get(name) is not None), default=None)
