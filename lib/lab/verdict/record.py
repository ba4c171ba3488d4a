"""The judged flight -> a line of `changes.jsonl` and one of `experiments.jsonl`; the row, `verdict`, `note`, `best`.

Each is written unless it exists, so an interrupted call can simply be repeated. The line of `experiments.jsonl` comes
first, and everything else is made from it. So a recorded experiment never changes, even if a power cut makes it run
again.
"""

from datetime import datetime, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

from lab.one_line import description
from lab.proposal import changes
from lab.store import code, experiments, jsonl, ledger, manifest, metric, two_records
from lab.store.experiments import NEAR, Experiment
from lab.store.flight import Flight, drop
from lab.verdict import index, trailers
from lab.verdict.index import Index

WITHOUT_ROW = "without-row.jsonl"  # the cost of calls and flights that gave no row


def record(flight: Flight, *, with_change: bool = True) -> Experiment:
    """Record the judged flight. What an interrupted call wrote stays. Raises OSError with nothing half-written."""
    run, measured = flight.run, flight.json("measure.json")
    experiment = experiment_of(flight, next_number(run, flight.need("commit")), measured)
    if with_change and (after := code.after(flight)) is not None:
        is_near_miss = experiment["rule"] in experiments.NEAR_MISSES  # keep the diff, it may be worth another look
        texts = code.difference(code.before(flight), after)
        change = changes.made_by(experiment["commit"], *texts, with_diff=is_near_miss)
        changes.append(run, change)
    experiments.append(run, experiment)
    return experiment


def next_number(run: Path, commit: str) -> int:
    """The number of the next row; never a number that an experiment already has, even if rows were deleted."""
    n, _ = ledger.place(run / "results.tsv", commit[:7])
    last = experiments.last(run, 1)
    return max(n, last[0]["n"] + 1) if last else n


def catch_up(run: Path) -> None:
    """Complete the record of a flight that was killed while recording: its row and `incumbent`.

    The next flight is judged against that incumbent, and its row comes after that row.
    """
    known = index.read(run)
    if known.last:
        two_records.add_row(run, known.last)
    index.store_incumbent(run, known)


def settle(flight: Flight, known: Index, experiment: Experiment) -> None:
    """Write what follows from the recorded experiment: the row, `record`, `note`, `verdict` and `best`."""
    two_records.add_row(flight.run, experiment)
    flight.write("record", f"{summary(experiment)}\n\n{jsonl.line_of(experiment)}")
    if experiment["status"] == "keep":
        numbers = trailers.of_keep(flight.run.name, experiment, None)
        flight.write("note", "\n".join([*numbers, f"reason: {experiment['reason']}"]))
    flight.write("verdict", experiment["status"])
    if is_new_best(experiment, known):
        flight.write_json("best", experiment)
    else:
        (flight.folder / "best").unlink(missing_ok=True)


def is_new_best(experiment: Experiment, known: Index) -> bool:
    """Whether the run's last experiment is a new best. The baseline is not, because it is the first."""
    best = known.best
    return best is not None and best["commit"] == experiment["commit"] and known.replaced is not None


def experiment_of(flight: Flight, n: int, measured: dict[str, Any]) -> Experiment:
    """The object of the experiment; unknown facts are null."""
    value, memory = (None if text is None else Decimal(text) for text in (measured["val_bpb"], measured["memory_gb"]))
    return {
        "n": n,
        "commit": flight.need("commit"),
        "parent": flight.need("parent"),
        **flight.json("decision.json"),
        "failure": measured["failure"],
        "category": flight.text("category") or None,
        **({} if (name := manifest.metric_of(flight.run).name) == metric.BPB else {"metric": name}),
        **({"guards": measured["guards"]} if "guards" in measured else {}),
        "val_bpb": value,
        "memory_gb": memory,
        **({"device_name": measured["device_name"]} if "device_name" in measured else {}),
        "wall_seconds": measured["wall_seconds"],
        "runs": measured["runs"],
        "attempts": flight.attempt,
        "agent": flight.text("agent"),
        **spent(flight),
        "started": flight.text("started"),
        "ended": datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "notes": [line for line in (flight.text("notes") or "").split("\n") if line],
        "carried_from": flight.lines("carried_from"),
        "flight": flight.folder.name,
        "description": description_of(flight, measured),
    }


def description_of(flight: Flight, measured: dict[str, Any]) -> str:
    """The description, with the reason if the experiment was rejected later, because the row has no other place."""
    text = flight.need("description")
    if measured["failure"] != "rejected" or " (rejected: " in text:
        return text
    return description(text, (measured["why"] or "").removeprefix("rejected: "))


def spent(flight: Flight) -> dict[str, Any]:
    """The tokens and dollars of the proposal and its mends, from their usage.json; null if one of them is unknown."""
    paths = [folder / "usage.json" for folder in (flight.folder, *flight.folder.glob("mend.*"))]
    reports = [(path.is_file() and jsonl.object_in(path.read_bytes())) or {} for path in paths]
    return {
        "tokens": total([report.get("tokens") for report in reports], int),
        "cost_usd": total([report.get("cost_usd") for report in reports], int | Decimal),
    }


def forgo(folder: Path) -> None:
    """Drop a flight that gets no row, and add its cost to WITHOUT_ROW, once."""
    flight = Flight(folder)
    used = spent(flight)
    known = {line["flight"] for line in jsonl.last(flight.run / WITHOUT_ROW, NEAR)}
    if any(amount for amount in used.values()) and folder.name not in known:
        when = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        own = {"flight": folder.name, "agent": flight.text("agent"), "ended": when}
        jsonl.append(flight.run / WITHOUT_ROW, {**own, **used})
    drop(folder)


def total(amounts: list[Any], kind: Any) -> Any:
    """The sum; None if an amount is not a valid number, because a proposer may write anything."""
    fits = (isinstance(one, kind) and not isinstance(one, bool) and 0 <= one < 10**12 for one in amounts)
    return sum(amounts) if all(fits) else None


def summary(experiment: dict[str, Any]) -> str:
    """`#4 keep 1.963210 (gain +0.012300)  raise MATRIX_LR 0.04 -> 0.06`"""
    known, measures = experiment["val_bpb"], metric.named(experiment)
    value = "" if known is None else f" {measures.text(known)}"
    if experiment["failure"]:
        value += f" ({experiment['failure']})"
    elif experiment["gain"] is not None:
        value += f" (gain {measures.gain_text(experiment['gain'], known)})"
    return f"#{experiment['n']} {experiment['status']}{value}  {experiment['description']}"
