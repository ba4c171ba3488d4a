"""The flight -> a line of `changes.jsonl` and of `experiments.jsonl`, a row of `results.tsv`, `summary`, and `best`.

Each is written unless it is there, so that an interrupted step is simply done again. The line comes first, and the row
is made of it: what was recorded once is not recorded differently, even if a power cut had it measured again.
"""

from datetime import datetime, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

from lab import changes, experiments, files, ledger, noise
from lab.flight import Flight
from lab.ledger import Row
from lab.wording import description


def record(run: Path) -> None:
    """Record the flight of the run whose folder is `run`. Raises OSError with nothing half-written."""
    flight = Flight(run / "flight")
    table = run / "results.tsv"
    commits = [row.commit for row in ledger.read(table)]
    commit = flight.need("commit")
    n = commits.index(commit[:7]) + 1 if commit[:7] in commits else len(commits) + 1
    past = experiments.read(run)
    known = next((one for one in past if one["commit"] == commit), None)
    others = [one for one in past if one is not known]
    if incumbent := experiments.incumbent(others):
        noise.append(run, incumbent["commit"], flight.json("measure.json")["incumbent_runs"])
    experiment = known or experiment_of(flight, n)
    if (change := change_of(flight, experiment)) is not None:
        changes.append(run, change)
    if known is None:
        experiments.append(run, experiment)
    if commit[:7] not in commits:
        files.append_line(table, row_of(experiment).line())
    flight.write("verdict", experiment["status"])
    flight.write("summary", summary(experiment))
    if is_new_best(experiment, others):
        flight.write_json("best", experiment)


def is_new_best(experiment: experiments.Experiment, others: list[experiments.Experiment]) -> bool:
    """Whether it is kept, and better than all before; the first of a run is the baseline, and no news."""
    best = experiments.best(others)
    return experiment["status"] == "keep" and best is not None and experiment["val_bpb"] < best["val_bpb"]


def change_of(flight: Flight, experiment: experiments.Experiment) -> changes.Change | None:
    """What it changed, with the diff, if it may be worth another look; None where no train.py came back."""
    after = flight.text("train.py")
    if after is None:
        return None
    is_near = experiment["rule"] in experiments.NEAR_MISSES
    return changes.of(experiment["commit"], flight.need("before.py"), after, with_diff=is_near)


def row_of(experiment: experiments.Experiment) -> Row:
    """The row, with the hash of the experiment's own commit."""
    crashed, memory = experiment["status"] == "crash", experiment["memory_gb"]
    return Row(
        commit=experiment["commit"][:7],
        val_bpb=ledger.NO_VALUE if crashed else f"{experiment['val_bpb']:.6f}",
        memory_gb=ledger.NO_MEMORY if crashed or memory is None else f"{memory:.1f}",
        status=experiment["status"],
        description=experiment["description"],
    )


def experiment_of(flight: Flight, n: int) -> experiments.Experiment:
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
        **spent(flight),
        "started": flight.text("started"),
        "ended": datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "description": description_of(flight, measured),
    }


def description_of(flight: Flight, measured: dict[str, Any]) -> str:
    """The commit's; of what was rejected after it was made, with the reason: the row has no other place for it."""
    text = flight.need("description")
    if measured["failure"] != "rejected" or " (rejected: " in text:
        return text
    return description(text, (measured["why"] or "").removeprefix("rejected: "))


def spent(flight: Flight) -> dict[str, Any]:
    """Tokens and dollars of the proposal and its mends, from the usage.json of each; null where one has not told it."""
    reports = [usage(folder / "usage.json") for folder in (flight.folder, *flight.folder.glob("mend.*"))]
    return {
        "tokens": total([report.get("tokens") for report in reports], int),
        "cost_usd": total([report.get("cost_usd") for report in reports], int | Decimal),
    }


def usage(path: Path) -> dict[str, Any]:
    """What a proposer has written; nothing where that is no JSON object."""
    try:
        value = experiments.parse(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def total(amounts: list[Any], kind: Any) -> Any:
    """Their sum; None where one is no amount of that kind: a proposer may have written anything."""
    fits = (isinstance(one, kind) and not isinstance(one, bool) and 0 <= one < 10**12 for one in amounts)
    return sum(amounts) if all(fits) else None


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
