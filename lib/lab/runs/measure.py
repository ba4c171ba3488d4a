"""The training runs of the code in flight -> `measure.json`, `mendable`, `suspect`: the metric, or the kind of failure.

What counts is printed at the start of a line, which ends at \\n or \\r; the last match counts. The log may be one line
of 100 MB, or hold any bytes.
"""

import math
import mmap
import re
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from lab.runs import conditions, evaluation_record, failures, logs
from lab.store import ledger, manifest
from lab.store.flight import Flight
from lab.verdict import criterion, noise
from lab.verdict.index import Index, read

METRIC = re.compile(rb"(?:\A|[\r\n])(val_bpb|peak_vram_mb|training_seconds|num_steps):[ \t]*([^\s]{0,64})")


def measure(run: Path, index: Index) -> None:
    """Write `measure.json` for the runs of the code in flight: its own, and those of the incumbent beside them."""
    flight = Flight(run / "flight")
    rejected = flight.text("rejected")
    folders = [] if rejected is not None else _folders(flight)
    past = Past.of(run, index)
    results = [(code_of(folder), _result(folder, past)) for folder in folders]
    own = [result for code, result in results if code == "candidate"]
    failed = next((result for result in own if result["failure"]), None)
    failure = failed["failure"] if failed else None if own else "rejected"
    runs = [result["run"] for result in own]
    deciding = noise.values(noise.deciding(runs, is_baseline=flight.is_baseline))
    code, last = results[-1] if results else ("candidate", None)
    measured = {
        "val_bpb": None if failure else str(_six_decimals(noise.average(deciding))),
        "memory_gb": None if failure else _most(result["memory_gb"] for result in own),
        "failure": failure,
        "why": failed["why"] if failed else rejected and f"rejected: {rejected}",
        "wall_seconds": round(sum(result["wall_seconds"] for _, result in results), 3) if results else None,
        "runs": runs,
        "incumbent_runs": [result["run"] for code, result in results if code == "incumbent"],
        "last": code,
        "last_seed": last["run"]["seed"] if last else None,
        "disturbance": last["disturbance"] if last else None,
    }
    flight.write_json("measure.json", measured)
    flight.write("mendable", "yes" if failed and failed["mendable"] else "no")
    _suspect(flight, last)


def _suspect(flight: Flight, last: dict[str, Any] | None) -> None:
    """Write `suspect` where the last run seems to have died of the machine: of which part of it, and what that has."""
    if last and last["machine"]:
        flight.write("suspect", f"{last['part']} {last['machine']}")
    else:
        (flight.folder / "suspect").unlink(missing_ok=True)


def _folders(flight: Flight) -> list[Path]:
    """The runs since the code was last changed, oldest first: a rerun has the `next` that asked for it."""
    found: list[Path] = []
    for attempt in range(flight.attempt, 0, -1):
        folder = flight.folder / f"run.{attempt}"
        if not folder.is_dir():
            continue  # 50-check-machine has taken it away
        found.insert(0, folder)
        if not (folder / "next").exists():
            break
    return found


def code_of(folder: Path) -> str:
    """What was run there: `candidate` or `incumbent`."""
    path = folder / "next"
    return path.read_text().split()[0] if path.exists() else "candidate"


@dataclass(frozen=True)
class Past:
    """What a run is held against: the manifest's facts, the baseline's runs, and what is usual on this machine."""

    comparable: dict[str, Any]
    baseline: list[dict[str, Any]]
    usual: conditions.Usual | None

    @classmethod
    def of(cls, run: Path, index: Index) -> "Past":
        """Of the run whose folder is `run`."""
        baseline = index.baseline["runs"] if index.baseline else []
        return cls(manifest.read(run)["comparable"], baseline, index.usual)

    @property
    def wants_record(self) -> bool:
        """A baseline without an evaluation record, a stranger's, is taken on trust, and so is all that follows."""
        return any(run.get("evaluation_seconds") is not None for run in self.baseline)

    @property
    def device(self) -> str | None:
        """What the baseline ran on, where its record says so: cuda, mps or cpu."""
        return next((run["device"] for run in self.baseline if run.get("device")), None)


def _result(folder: Path, past: Past) -> dict[str, Any]:
    """One training run: as experiments.jsonl lists it, and what it died of, if it did."""
    status = int((folder / "rc").read_text())
    logs.cut(folder / "run.log")
    printed = read_metrics(folder / "run.log")
    found = failures.of(status, lacks(printed.get("val_bpb")), failures.tail(folder / "run.log"), _oom_kills(folder))
    failure, why = (found.word, found.why) if found else (None, None)
    record = None if failure else evaluation_record.read(folder)
    run = _run(folder, printed, record)
    if record and past.device and record["device"] != past.device:
        found = failures.moved(record["device"], past.device)
        failure, why = found.word, found.why
    if not failure:
        failure, why = _doubt(folder, Decimal(printed["val_bpb"]), record, run, past)
    disturbance = conditions.disturbance(record, past.usual) if record and not failure else None
    if not failure:
        value = evaluation_record.value(record) if record else Decimal(printed["val_bpb"])
        run |= {"val_bpb": _six_decimals(value), "degraded": bool(disturbance) if record else None}
    can_be = found and not (found.is_of_gpu and past.device == "cpu")  # no GPU has been taken from that
    return {
        "failure": failure,
        "why": why,
        "part": found.part if found and can_be else None,
        "machine": found.fault if found and can_be else None,
        "mendable": bool(found and found.is_mendable),
        "memory_gb": None if failure else _memory(printed, record),
        "wall_seconds": evaluation_record.wall_seconds(folder),
        "run": run,
        "disturbance": disturbance,
    }


def _run(folder: Path, printed: dict[str, str], record: evaluation_record.Record | None) -> dict[str, Any]:
    """What is listed of every run, with the value still to come."""
    steps = _number(printed.get("num_steps"))
    listed = {
        "seed": seed_of(folder),
        "val_bpb": None,
        "num_steps": None if steps is None else int(steps),
        "training_seconds": _number(printed.get("training_seconds")),
        "degraded": None,
    }
    if record is None:
        return listed
    outside = evaluation_record.outside_seconds(folder, record, float(_setting(folder, "TIME_BUDGET") or 0))
    seconds = round(record["evaluation_seconds"], 3)
    measured = {"evaluation_seconds": seconds, "outside_seconds": outside, "device": record["device"]}
    return {**listed, **measured, **conditions.of(record)}


def _doubt(
    folder: Path, printed: Decimal, record: evaluation_record.Record | None, run: dict[str, Any], past: Past
) -> tuple[str | None, str | None]:
    """The failure of a run that printed a metric which nothing vouches for, and why; or None twice."""
    if record is None:
        why = "it printed a val_bpb, but prepare.py has measured none"
        return ("no-metric", f"record: {why}") if past.wants_record else (None, None)
    problem = evaluation_record.problem(record, printed, _setting(folder, "LAB_NONCE") or "", past.comparable)
    if problem:
        return "no-metric", f"record: {problem}"
    problem = evaluation_record.hidden_work(run, past.baseline, float(_setting(folder, "TIME_BUDGET") or 0))
    return ("rejected", f"budget: {problem}") if problem else (None, None)


def _memory(printed: dict[str, str], record: evaluation_record.Record | None) -> str | None:
    """What was printed, or measured, whichever is more."""
    known = [_memory_gb(printed.get("peak_vram_mb")), _memory_gb(str(record["peak_memory_mb"])) if record else None]
    return _most(known)


def _most(memories: Iterable[str | None]) -> str | None:
    known = [Decimal(memory) for memory in memories if memory is not None]
    return str(max(known)) if known else None


def read_metrics(log: Path) -> dict[str, str]:
    """What the log says of the metric, by name, as text: the last of each."""
    if log.stat().st_size == 0:
        return {}
    with log.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return {match[1].decode(): match[2].decode(errors="replace") for match in METRIC.finditer(data)}


def lacks(val_bpb: str | None) -> str | None:
    """What keeps what was printed from being a metric: `nan`, `no-metric`, or nothing."""
    value = _decimal(val_bpb)
    if value is None:
        return "no-metric"
    if not value.is_finite():
        return "nan"
    return None if criterion.is_valid(value) and criterion.is_valid(_six_decimals(value)) else "no-metric"


def _six_decimals(value: Decimal) -> Decimal:
    """As the ledger has it."""
    return value.quantize(Decimal("0.000001"), ROUND_HALF_EVEN)


def _decimal(text: str | None) -> Decimal | None:
    try:
        return None if text is None else Decimal(text)
    except InvalidOperation:
        return None


def _number(text: str | None) -> float | None:
    """A number that is only noted, or None when it is none."""
    value = _decimal(text)
    return float(value) if value is not None and value.is_finite() and math.isfinite(float(value)) else None


def _memory_gb(text: str | None) -> str | None:
    """None: not known, and no memory rule."""
    try:
        return None if text is None else ledger.to_gb(text)
    except ValueError:
        return None


def _oom_kills(folder: Path) -> int:
    """How many processes the kernel's OOM killer ended while the run lasted; an engine need not say it."""
    kills = evaluation_record.resources(folder).get("oom_kills")
    return kills if isinstance(kills, int) and kills > 0 else 0


def seed_of(folder: Path) -> int | None:
    """The seed that was run with there."""
    text = _setting(folder, "SEED")
    return int(text) if text and text.isdigit() else None


def _setting(folder: Path, name: str) -> str | None:
    """What the run was given in its environment."""
    match = re.search(rf"^{name}=(.*)$", (folder / "env").read_text(), re.MULTILINE)
    return match[1] if match else None


def one(run: Path, folder: Path) -> dict[str, Any]:
    """A single training run in `folder`, beside the experiments of `run`."""
    return _result(folder, Past.of(run, read(run)))
