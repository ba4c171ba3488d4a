"""An ended training run -> its outcome: the metric, or why it failed.

A value is read at the start of a line, which ends at \\n or \\r, and the last one counts. The log may be one line of
100 MB, and may contain any bytes.
"""

import math
import mmap
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from pathlib import Path
from typing import Any

from lab.one_line import clean
from lab.runs import conditions, evaluation_record, failures, logs, slots
from lab.runs.evaluation_record import Record
from lab.runs.failures import DOUBT, Failure
from lab.store import ledger
from lab.store.metric import LARGEST, VAL_BPB, Metric

Run = dict[str, Any]

NOTED = (  # values that are read besides the metric and the guarded ones
    "peak_vram_mb", "training_seconds", "num_steps", "total_tokens_M", "num_params_M",
)  # fmt: skip
LAST = 3  # tenths at the end of the training whose loss is recorded


@dataclass(frozen=True)
class Past:
    """Facts that a run is compared with: the manifest's, the baseline's runs, and the conditions of the last runs."""

    comparable: dict[str, Any]
    baseline: list[Run]
    recent: Sequence[Run]
    folder: Path  # of the whole run
    metric: Metric = VAL_BPB

    @property
    def wants_record(self) -> bool:
        """Whether a run needs an evaluation record. Without one in the baseline, all printed values are trusted."""
        return any(run.get("evaluation_seconds") is not None for run in self.baseline)

    @property
    def device(self) -> str | None:
        """The kind of the baseline's device, from its record: cuda, mps or cpu; None: unknown."""
        return next((run["device"] for run in self.baseline if run.get("device")), None)


@dataclass(frozen=True)
class Outcome:
    """A training run: its entry for experiments.jsonl (`run`), and its failure, if it failed."""

    code: str  # `candidate` or `incumbent`
    run: Run
    wall_seconds: float
    failure: Failure | None
    memory_gb: Decimal | None
    disturbance: str | None
    slot: str | None = None


def outcome_of(folder: Path, past: Past) -> Outcome:
    """The outcome of the ended training run in `folder`."""
    status, log, asked = int((folder / "rc").read_text()), folder / "run.log", folder / "next"
    logs.drop_middle(log)
    metric, name = past.metric, past.metric.name
    printed = read_metrics(log, metric)
    record = evaluation_record.read(folder) if metric.is_bpb else None  # our evaluator measures no other metric
    if record and name not in printed:  # on a GPU for one process only, the training ends before the evaluation
        printed[name] = f"{evaluation_record.measured_bpb(record):f}"
    oom_kills = max(0, int(evaluation_record.resource(folder, "oom_kills") or 0))
    tail = failures.tail(log) if status else b""
    failure = failures.cause(status, lacks(printed.get(name), metric), tail, oom_kills)
    timed_out = failure is not None and failure.word == "timeout" and past.device == "cpu"
    if failure and timed_out and evaluation_record.was_starved(folder, _budget(folder)):  # its clock counts CPU seconds
        why = "other processes used the cores"
        failure = Failure(failure.word, f"{failure.why}: {why}", "starved", "load", why)
    failure = failure or _lacks_guarded(printed, past)
    record = None if failure else record
    run = _run(folder, printed, record, past)
    failure = failure or _doubt(folder, Decimal(printed[name]), record, run, past)
    normal = conditions.usual(past.recent, run)
    disturbance = conditions.disturbance(record, run, normal) if record and not failure else None
    if not failure:
        value = evaluation_record.measured_bpb(record) if record else Decimal(printed[name])
        run |= {"val_bpb": metric.rounded(value), "degraded": bool(disturbance) if record else None}
    memory = None if failure else _memory(folder, printed, record)
    if record:
        run |= {"memory_gb": memory}
    return Outcome(
        code=asked.read_text().split()[0] if asked.exists() else "candidate",
        run=run,
        wall_seconds=evaluation_record.wall_seconds(folder),
        failure=failure,
        memory_gb=memory,
        disturbance=disturbance,
        slot=(folder / "slot").read_text().strip() if (folder / "slot").exists() else None,
    )


def _run(folder: Path, printed: dict[str, str], record: Record | None, past: Past) -> Run:
    """The recorded facts of a run; the value is added later."""
    steps = _number(printed.get("num_steps"))
    listed: Run = {
        "seed": seed_of(folder),
        "val_bpb": None,
        "num_steps": None if steps is None else int(steps),
        "training_seconds": _number(printed.get("training_seconds")),
        "degraded": None,
        **_host(folder),
        **_learned(folder / "run.log", printed),
    }
    if past.metric.guards:
        listed["guards"] = {one.name: _finite(printed.get(one.name)) for one in past.metric.guards}
    if record is None:
        return listed
    outside = evaluation_record.outside_seconds(folder, record, _budget(folder))
    seconds = round(record["evaluation_seconds"], 3)
    started = _number(str(record.get("evaluator_start_seconds")))
    measured = {"evaluation_seconds": seconds, "outside_seconds": outside, "evaluator_start_seconds": started}
    return {
        **listed,
        **measured,
        "device": record["device"],
        **conditions.from_record(record, slots.trainings(past.folder, folder)),
    }


def _host(folder: Path) -> dict[str, str]:
    """The host that trained, as the engine wrote it; empty if it did not."""
    try:
        name = clean((folder / "host").read_text(errors="replace"), 80)
    except OSError:
        return {}
    return {"host": name} if name else {}


def _lacks_guarded(printed: dict[str, str], past: Past) -> Failure | None:
    """The failure of a baseline that does not print a guarded value, because then nothing could ever be kept."""
    missing = [one.name for one in past.metric.guards if _finite(printed.get(one.name)) is None]
    if past.baseline or not missing:
        return None
    return Failure("no-metric", f"guard: it printed no number for '{missing[0]}', which METRIC_GUARD needs", DOUBT)


def _learned(log: Path, printed: dict[str, str]) -> dict[str, Any]:
    """The amount of data, the size of the model and the last losses, as far as they were printed."""
    sizes = {"tokens_m": _number(printed.get("total_tokens_M")), "params_m": _number(printed.get("num_params_M"))}
    losses = [None if loss is None else round(loss, 4) for loss in logs.curve(log).values(10)[-LAST:]]
    return {name: size for name, size in sizes.items() if size} | ({"losses": losses} if any(losses) else {})


def _doubt(folder: Path, printed: Decimal, record: Record | None, run: Run, past: Past) -> Failure | None:
    """Why a run with a printed metric is not trusted; None if it is."""
    if record is None:
        why = "train.py printed a val_bpb, but the evaluator measured none"
        return Failure("no-metric", f"record: {why}", DOUBT) if past.wants_record else None
    if past.device and record["device"] != past.device:  # torch continues without its GPU
        why = f"it ran on '{record['device']}', but the baseline ran on '{past.device}'"
        return Failure("error", why, "moved", "gpu", why)
    if problem := evaluation_record.mismatch(record, printed, past.comparable):
        return Failure("no-metric", f"record: {problem}", DOUBT)
    problem = evaluation_record.long_start(run, past.baseline)
    return Failure("start-up", f"start-up: {problem}", "start-up") if problem else None


def _memory(folder: Path, printed: dict[str, str], record: Record | None) -> Decimal | None:
    """The largest of the printed, the recorded and, on a CPU, the measured memory. None (unknown): no memory rule."""
    peaks = [printed.get("peak_vram_mb"), str(record["peak_memory_mb"]) if record else None]
    resident = evaluation_record.resource(folder, "peak_memory_mb") if record and record["device"] == "cpu" else None
    return most(map(_in_gb, [*peaks, None if resident is None else str(resident)]))


def most(memories: Iterable[Decimal | None]) -> Decimal | None:
    """The largest of the known values."""
    return max((memory for memory in memories if memory is not None), default=None)


def _in_gb(peak_mb: str | None) -> Decimal | None:
    try:
        return None if peak_mb is None else Decimal(ledger.to_gb(peak_mb))
    except ValueError:
        return None


@lru_cache(maxsize=4)
def _lines_of(metric: Metric) -> re.Pattern[bytes]:
    """Matches the printed lines that are read: `name: number`, with the number up to the next blank."""
    names = {metric.name, *NOTED, *(one.name for one in metric.guards)}
    either = "|".join(sorted(map(re.escape, names)))
    return re.compile(rf"(?:\A|[\r\n])({either}):[ \t]*([^\s]{{0,64}})".encode())


def read_metrics(log: Path, metric: Metric = VAL_BPB) -> dict[str, str]:
    """The printed values by name, as text; the last one of each."""
    if log.stat().st_size == 0:
        return {}
    with log.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        lines = _lines_of(metric).finditer(data)
        return {match[1].decode(): match[2].decode(errors="replace") for match in lines}


def lacks(printed: str | None, metric: Metric = VAL_BPB) -> str | None:
    """Why the printed text is not a value of the metric: `nan` or `no-metric`; None if it is one."""
    value = _decimal(printed)
    if value is None:
        return "no-metric"
    if not value.is_finite():
        return "nan"
    return None if metric.is_valid(value) and metric.is_valid(metric.rounded(value)) else "no-metric"


def _decimal(text: str | None) -> Decimal | None:
    try:
        return None if text is None else Decimal(text)
    except InvalidOperation:
        return None


def _finite(text: str | None) -> Decimal | None:
    """A guarded value with 6 decimals; None if the text is not a finite number."""
    value = _decimal(text)
    return round(value, 6) if value is not None and value.is_finite() and abs(value) < LARGEST else None


def _number(text: str | None) -> float | None:
    """A number for the record; None if the text is not a finite number."""
    value = _decimal(text)
    return float(value) if value is not None and value.is_finite() and math.isfinite(float(value)) else None


def seed_of(folder: Path) -> int | None:
    """The seed of the run."""
    text = _setting(folder, "SEED")
    return int(text) if text and text.isdigit() else None


def _budget(folder: Path) -> float:
    """The time budget in seconds."""
    return float(_setting(folder, "TIME_BUDGET") or 0)


def _setting(folder: Path, name: str) -> str | None:
    """The value of a variable in the run's environment. The last line counts, as it does for the runner."""
    values = re.findall(rf"^{name}=(.*)$", (folder / "env").read_text(), re.MULTILINE)
    return values[-1] if values else None
