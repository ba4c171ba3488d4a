"""The flight -> one row of `results.tsv`, one line of `experiments.jsonl`, and `summary`, a line for a person.

Each is written unless it is there, so that an interrupted step is simply done again.
"""

from datetime import datetime, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

from lab import experiments, files, ledger
from lab.flight import Flight
from lab.ledger import Row


def record(run: Path) -> None:
    """Record the flight of the run whose folder is `run`. Raises OSError with nothing half-written."""
    flight = Flight(run / "flight")
    table = run / "results.tsv"
    files.set_torn_line_aside(table)
    rows = ledger.read(table)
    row = row_of(flight)
    known = [number for number, other in enumerate(rows, start=1) if other.commit == row.commit]
    experiment = experiment_of(flight, row, known[0] if known else len(rows) + 1)
    if not known:
        files.append_line(table, row.line())
    experiments.append(run, experiment)
    flight.write("summary", summary(experiment))


def row_of(flight: Flight) -> Row:
    """The row, with the hash of the experiment's own commit."""
    measured = flight.json("measure.json")
    crashed = flight.need("verdict") == "crash"
    return Row(
        commit=flight.need("commit")[:7],
        val_bpb=ledger.NO_VALUE if crashed else measured["val_bpb"],
        memory_gb=ledger.NO_MEMORY if crashed else measured["memory_gb"] or ledger.NO_MEMORY,
        status=flight.need("verdict"),
        description=flight.need("description"),
    )


def experiment_of(flight: Flight, row: Row, n: int) -> experiments.Experiment:
    """All that is known, null for what is not."""
    measured = flight.json("measure.json")
    return {
        "n": n,
        "commit": flight.need("commit"),
        "parent": flight.need("parent"),
        **flight.json("decision.json"),
        "failure": measured["failure"],
        "category": flight.text("category") or None,
        "val_bpb": _decimal(measured["val_bpb"]),
        "memory_gb": _decimal(measured["memory_gb"]),
        "wall_seconds": measured["wall_seconds"],
        "runs": measured["runs"],
        "attempts": flight.attempt,
        "agent": flight.text("agent"),
        "tokens": None,
        "cost_usd": None,
        "started": flight.text("started"),
        "ended": datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "description": row.description,
    }


def _decimal(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


def summary(experiment: dict[str, Any]) -> str:
    """`#4 keep 1.963210 (gain +0.012300)  raise MATRIX_LR 0.04 -> 0.06`"""
    value = "" if experiment["val_bpb"] is None else f" {experiment['val_bpb']:.6f}"
    if experiment["failure"]:
        value += f" ({experiment['failure']})"
    elif experiment["gain"] is not None:
        value += f" (gain {experiment['gain']:+.6f})"
    return f"#{experiment['n']} {experiment['status']}{value}  {experiment['description']}"
