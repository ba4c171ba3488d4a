"""The training runs of the code in flight -> `measure.json`, `mendable` and `suspect`: the value or the failure."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lab.runs import conditions, slots
from lab.runs.failures import Failure
from lab.runs.outcome import Outcome, Past, most, outcome_of
from lab.store import manifest
from lab.store.flight import Flight
from lab.store.metric import Metric
from lab.verdict import noise
from lab.verdict.index import Index

LOST = "lost_variables"  # a file of the run: variables that are missing since a restart (lib/run/restart.sh)
UNSEEN = ("network", "shared-memory", "variables")  # parts that no check can see, so the run's own words are shown


def measure(flight: Flight, index: Index) -> None:
    """Write `measure.json` for the candidate's runs since its last change, and the incumbent's runs beside them."""
    rejected, past = flight.text("rejected"), past_of(flight.run, index)
    outcomes = [] if rejected is not None else [outcome_of(folder, past) for folder in _folders(flight)]
    last = outcomes[len(outcomes) - len(of_attempt(flight, flight.attempt)) :] if outcomes else []
    for one in last:
        slots.note_kind(flight.run, one.slot, one.run.get("device_name"))
    failed = next((one.failure for one in outcomes if one.code == "candidate" and one.failure), None)
    kind = _kind(flight, index, outcomes)
    facts = _facts(flight, outcomes, failed, kind, past.metric)
    facts["last"] = [(one.code, one.run["seed"], one.disturbance) for one in last]
    flight.write_json("measure.json", facts)
    flight.write("mendable", "yes" if failed and failed.is_mendable else "no")
    # `kind` is where its next runs are to be made (lib/experiment/slots.sh).
    for name, fact in {"kind": kind, "suspect": _suspect(flight, last, past)}.items():
        if fact:
            flight.write(name, fact)
        else:
            (flight.folder / name).unlink(missing_ok=True)
    if any(one.failure is None for one in last):
        (flight.run / LOST).unlink(missing_ok=True)


def _kind(flight: Flight, index: Index, outcomes: Sequence[Outcome]) -> str | None:
    """The kind of device that it is judged on."""
    own, beside = ([one.run for one in outcomes if one.code == code] for code in ("candidate", "incumbent"))
    compared = None if flight.is_baseline else flight.text("compared")
    level = [*(index.runs_of(flight.run, compared) if compared else ()), *noise.undisturbed(beside)]
    return noise.kind_judged_on(own, level, is_baseline=flight.is_baseline)


def _suspect(flight: Flight, last: Sequence[Outcome], past: Past) -> str | None:
    """The part of the machine that may be at fault for the first failure of the last runs, the slot, and why.

    After a restart without some of the shell's variables, any error may be due to these until a run succeeds.
    """
    failed = next((one for one in last if one.failure), None)
    if failed is None or failed.failure is None:
        return None
    part, fault = failed.failure.part, failed.failure.fault
    if part is None and failed.failure.word == "error" and (lost := Flight(flight.run).text(LOST)):
        part, fault = "variables", f"not set since the loop was restarted: {lost}"
    if part is None or (part.startswith("gpu") and past.device == "cpu"):  # the run never had a GPU
        return None
    said = f": {failed.failure.said}" if part in UNSEEN and failed.failure.said else ""
    return f"{part} {failed.slot or 0} {fault}{said}"


def past_of(run: Path, index: Index) -> Past:
    """The facts that the runs of this run are compared with."""
    baseline = index.baseline["runs"] if index.baseline else []
    return Past(manifest.read(run)["comparable"], baseline, index.last_runs, run, manifest.metric_of(run))


def _folders(flight: Flight) -> list[Path]:
    """The runs since the code last changed, oldest first. (A rerun has a file `next`, which asked for it.)"""
    found: list[Path] = []
    for attempt in range(flight.attempt, 0, -1):
        folders = of_attempt(flight, attempt)
        found = [*folders, *found]
        if folders and not (folders[0] / "next").exists():
            break
    return found


def of_attempt(flight: Flight, attempt: int) -> list[Path]:
    """`run.3` and the runs beside it (`run.3.2`, ...); none if 50-check-machine removed them."""
    own = flight.folder / f"run.{attempt}"
    beside = sorted(flight.folder.glob(f"run.{attempt}.*"), key=lambda path: int(path.suffix[1:]))
    return [*([own] if own.is_dir() else []), *beside]


def guarded(runs: Sequence[dict[str, Any]], metric: Metric) -> dict[str, Any]:
    """The mean of what each guard looks at, where there are guards; None where a run has not told it."""
    if not metric.guards:
        return {}
    told = {one.name: [run.get("guards", {}).get(one.name) for run in runs] for one in metric.guards}
    means = {name: None if not own or None in own else noise.average(own) for name, own in told.items()}
    return {"guards": {name: None if mean is None else round(mean, 6) for name, mean in means.items()}}


def _facts(
    flight: Flight, outcomes: Sequence[Outcome], failed: Failure | None, kind: str | None, metric: Metric
) -> dict[str, Any]:
    """All runs together; the values are those on the kind of device that it is judged on. `failed`: the first one."""
    own = [one for one in outcomes if one.code == "candidate"]
    failure = failed.word if failed else None if own else "rejected"
    runs, rejected = [one.run for one in own], flight.text("rejected")
    deciding = noise.deciding(runs, is_baseline=flight.is_baseline, kind=kind)
    memory = most(one.memory_gb for one in own if conditions.is_on(one.run, kind))
    return {
        "val_bpb": None if failure else str(metric.rounded(noise.average(noise.values(deciding)))),
        **guarded(deciding, metric),
        "memory_gb": None if failure or memory is None else str(memory),
        "failure": failure,
        "why": failed.why if failed else rejected and f"rejected: {rejected}",
        **({"device_name": kind} if kind else {}),
        "wall_seconds": round(sum(one.wall_seconds for one in outcomes), 3) if outcomes else None,
        "runs": runs,
        "incumbent_runs": [one.run for one in outcomes if one.code == "incumbent"],
    }
