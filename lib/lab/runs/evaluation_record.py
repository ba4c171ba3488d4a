"""The evaluation record that prepare.py leaves of a run -> whether what the run printed is what was measured.

train.py, which an agent edits, prints val_bpb; prepare.py, which it does not, has computed it, and writes the record:
value, tokens, bytes, hashes, seconds, and the nonce that the run was given. The CPU seconds of all that the run started
come from outside of it (lib/child/runner.py). Seconds, bits per byte.
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
SLACK_SHARE, SLACK_SECONDS = 0.05, 1.5  # of the budget, or seconds: what may be spent beside it,
OUTSIDE_TIMES = 1.5  # over so many times the baseline's: the same code took 5.8 and 7.8 CPU seconds to start
MOST_SLOWER = 4  # times; beyond, nothing is allowed for
EVALUATION_TIMES = 4  # a larger model is evaluated for longer than the baseline's

NUMBERS = (
    "val_bpb", "tokens", "evaluation_seconds", "training_seconds", "training_wall_seconds", "longest_wait", "looks",
    "peak_memory_mb",
)  # fmt: skip
HASHES = {"prepare.py": "prepare.py", "data": "the data", "tokenizer": "the tokenizer"}


def read(folder: Path) -> Record | None:
    """The record in a RUN_DIR; None where there is none that can be read."""
    try:
        record = json.loads((folder / "record/evaluation.json").read_text())
    except (OSError, ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) and _is_whole(record) else None


def _is_whole(record: Record) -> bool:
    probes = record.get("probes")
    numbers = [*(record.get(name) for name in NUMBERS), *(probes if isinstance(probes, list) and probes else [None])]
    return all(isinstance(number, float | int) and 0 <= number < math.inf for number in numbers)


def value(record: Record) -> Decimal:
    """The val_bpb that was measured."""
    return Decimal(repr(record["val_bpb"]))


def problem(record: Record, printed: Decimal, nonce: str, comparable: Mapping[str, Any]) -> str | None:
    """Why the record does not vouch for what was printed. `comparable` is the manifest's."""
    if record.get("nonce") != nonce:
        return "the evaluation record is not of this run"
    measured = value(record)
    if abs(measured - printed) > AGREE:
        return f"it printed {printed:.6f}, but prepare.py measured {measured:.6f}"
    if record.get("tokens") != comparable.get("eval_tokens"):
        return f"{record.get('tokens')} tokens were evaluated, not {comparable.get('eval_tokens')}"
    others = (name for key, name in HASHES.items() if record.get(key) != comparable.get(key))
    return next((f"{name} is another one than at set-up" for name in others), None)


def outside_seconds(folder: Path, record: Record, time_budget: float) -> float | None:
    """What the run spent beside the budget and the evaluation: CPU seconds, of all processes; wall seconds on a GPU."""
    spent = cpu_seconds(folder) if record.get("device") == "cpu" else wall_seconds(folder)
    return None if spent is None else round(spent - float(record["evaluation_seconds"]) - time_budget, 3)


def cpu_seconds(folder: Path) -> float | None:
    """Of all that the run started: user and system, as the runner has counted them; None: not known."""
    spent = resources(folder).get("cpu_seconds")
    return float(spent) if isinstance(spent, float | int) else None


def resources(folder: Path) -> dict[str, Any]:
    """What lib/child/runner.py says of a run; an engine need not have it."""
    try:
        said = json.loads((folder / "resources").read_text())
    except (OSError, ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}


def wall_seconds(folder: Path) -> float:
    """From the start of the run to its end, as the engine says; a clock may be set back."""
    times = [datetime.fromisoformat((folder / name).read_text().strip().rstrip("Z")) for name in ("started", "ended")]
    return max(0.0, round((times[1] - times[0]).total_seconds(), 3))


def hidden_work(run: Run, baseline: Sequence[Run], time_budget: float) -> str | None:
    """Why a run has spent more than its budget, if it has: start and evaluation against the baseline's.

    Training can hide in them. What they take on a slower machine is as much more as the probe takes there.
    """
    slack = max(SLACK_SECONDS, SLACK_SHARE * time_budget)
    outside, evaluation = most("outside_seconds", baseline), most("evaluation_seconds", baseline)
    if outside is None or evaluation is None:
        return None
    if run["outside_seconds"] is None:
        return "nobody knows how many seconds it took"
    slower = min(max(1.0, run["probe_seconds"] / (most("probe_seconds", baseline) or math.inf)), MOST_SLOWER)
    outside, evaluation = slower * max(outside, 0), slower * evaluation
    if run["outside_seconds"] > OUTSIDE_TIMES * outside + slack:
        return (
            f"{run['outside_seconds']:.1f} s beside training and evaluation, where the baseline takes {outside:.1f} s"
        )
    if run["evaluation_seconds"] > EVALUATION_TIMES * evaluation + slack:
        return f"{run['evaluation_seconds']:.1f} s of evaluation, where the baseline takes {evaluation:.1f} s"
    return None


def most(name: str, runs: Iterable[Run]) -> float | None:
    """The largest value of that name, where one is known."""
    return max((float(run[name]) for run in runs if run.get(name) is not None), default=None)
