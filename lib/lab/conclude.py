"""The training runs of the experiment in flight -> its verdict and its row, as far as nothing is in doubt."""

from pathlib import Path

from lab import experiments
from lab.flight import Flight
from lab.judge import judge
from lab.measure import measure
from lab.record import record
from lab.remember import remember
from lab.rerun import rerun


def conclude(run: Path) -> str | None:
    """Measure; then ask for one more run (`again 30`), leave it to a later step, or judge and record."""
    flight = Flight(run / "flight")
    if any(one["commit"] == flight.need("commit") for one in experiments.read(run)):
        return _record(run)
    measure(run)
    if _is_open(run, flight):
        return None
    if word := rerun(run):
        code, seed, *why = flight.need("next").split(" ", 2)
        return f"one more run of the {code}, with seed {seed}{': ' + why[0] if why else ''}\n{word}"
    judge(run)
    return _record(run)


def _is_open(run: Path, flight: Flight) -> bool:
    if flight.text("suspect"):
        return True
    if flight.is_baseline:
        return flight.json("measure.json")["failure"] is not None
    is_asked = flight.text("agent") != "catalog" and not (run / "flight/edit").exists()
    return flight.text("mendable") == "yes" and is_asked


def close(run: Path) -> str | None:
    """Judge and record what was left open."""
    flight = Flight(run / "flight")
    judge(run)
    if flight.is_baseline and flight.text("verdict") == "crash":
        return None
    return _record(run)


def _record(run: Path) -> str | None:
    record(run)
    try:
        remember(run)
    except (OSError, ValueError) as error:
        return f"this experiment could not be added to the memory: {error}\n"
    return None
