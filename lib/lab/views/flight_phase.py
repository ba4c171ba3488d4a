"""The files of the experiments in flight -> their phases and the progress of their training; the same for a replicate.

The list of finished steps names the current step; the RUN_DIR shows whether it trains. Files outlive the process that
wrote them: as long as no process works on the tree, an experiment in flight is waiting.
"""

import re
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from lab.runs import logs
from lab.store import flight as flight_store
from lab.store.flight import Flight

STEPS = Path(__file__).parents[3] / "lib/experiment/steps"
# The phase by step name, without its number. A mend proposes again; every step after the run judges it.
PHASES = {"propose": "proposing", "mend": "proposing", "carry-over": "drafted", "commit": "drafted", "run": "waiting"}
DEVICE = re.compile(rb"^(cuda|mps|cpu): \d+ x \d+ rows\b", re.MULTILINE)  # as train.py begins its log
HEAD = 65536  # bytes of a log, in which it says so

Found = dict[str, Any]


def flights(run: Path, *, alive: bool) -> list[Found]:
    """The experiments in flight, as schemas/status.schema.json has them, the oldest first.

    `alive`: a process works on the tree.
    """
    at_work = alive and not is_beside(run)
    found = [facts_of(flight, at_work=at_work) for flight in flight_store.all_of(run)]
    return [one for one in found if one] + [candidate(one) for one in flight_store.candidates(run)]


def candidate(draft: Flight) -> Found:
    """A further candidate of a proposer, which no flight has taken yet."""
    return {
        "id": draft.folder.name,
        "phase": "drafted",
        "description": draft.said,
        "agent": draft.text("agent"),
        "started": draft.text("started"),
        "seconds": seconds_since(draft.text("started")),
        **dict.fromkeys(("step", "attempt", "slot", "device", "progress", "training")),
    }


def facts_of(flight: Flight, *, at_work: bool) -> Found | None:
    """None where it is over meanwhile."""
    done = flight.text("done")
    if done is None or not done.startswith("attempt "):
        return None
    attempt = int(done.split("\n")[0].split()[1])
    trains = training(flight.run, flight.folder / f"run.{attempt}") if at_work else None
    now = phase(done, trains, at_work=at_work)
    is_left = (
        now == "proposing" and flight.text("edit/description") is not None
    )  # a change of the tree is no draft to be made
    return {
        "id": flight.folder.name,
        "phase": "drafted" if is_left else now,
        "description": flight.what,
        "agent": flight.text("agent"),
        "step": current_step(done),
        "attempt": attempt,
        "started": flight.text("started"),
        "seconds": seconds_since(flight.text("started")),
        **training_facts(flight.run, flight.folder / f"run.{attempt}", trains),
    }


def training_facts(run: Path, folder: Path, trains: Found | None) -> Found:
    """Where it trains, and its progress. Only a training takes a slot."""
    if trains is None:
        return dict.fromkeys(("slot", "device", "progress", "training"))
    slot = Flight(folder).text("slot") or ""
    log = {name: trains[name] for name in ("log", "seconds", "num_steps", "loss")}
    where = {"slot": int(slot) if slot.isdecimal() else None, "device": device(run / trains["log"])}
    return {**where, "progress": trains["progress"], "training": log}


def beside(run: Path, *, alive: bool) -> Found | None:
    """The training run of make noise or make audit: the last one that was begun."""
    link = run / "run.log"
    is_one = alive and is_beside(run) and link.is_symlink()
    return training(run, run / link.readlink().parent) if is_one else None


def is_beside(run: Path) -> bool:
    """Whether `make noise` or `make audit` trains; experiments in flight wait meanwhile."""
    return (run / "replicates").exists()


def current_step(done: str) -> str | None:
    """The first of lib/experiment/steps that is not in the list of finished steps; None if all are."""
    finished = set(done.split("\n")[1:])
    return next((step for step in sorted(path.name for path in STEPS.iterdir()) if step not in finished), None)


def phase(done: str, trains: Found | None, *, at_work: bool) -> str:
    """A word of the schema. A training that has printed 100 % is being evaluated."""
    if not at_work:
        return "waiting"
    if trains:
        return "evaluating" if trains["progress"] == 1 else "training"
    return PHASES.get((current_step(done) or "").partition("-")[2], "judging")


def training(run: Path, folder: Path) -> Found | None:
    """The training run whose RUN_DIR is `folder`, unless it has not begun, or is over."""
    seconds, log = seconds_since(Flight(folder).text("started")), folder / "run.log"
    if seconds is None or (folder / "ended").exists():
        return None
    try:
        step = logs.last_step(log)
    except OSError:
        return None  # it has not begun; or it is over, and the log was moved
    return {
        "log": str(log.relative_to(run)),
        "seconds": seconds,
        "progress": step and step.progress,
        "num_steps": step and step.number,
        "loss": step and step.loss,
    }


def seconds_since(started: str | None) -> float | None:
    """Seconds since a time in UTC (ISO 8601); None for an unknown or unreadable time."""
    try:
        began = datetime.fromisoformat((started or "").removesuffix("Z")).replace(tzinfo=timezone.utc)
    except ValueError:
        return None
    return round(max((datetime.now(timezone.utc) - began).total_seconds(), 0), 1)


def device(log: Path) -> str | None:
    """The kind of device that a log names; None if it names none."""
    try:
        with log.open("rb") as file:
            said = DEVICE.search(file.read(HEAD))
    except OSError:
        return None  # the run is over, and its log was moved
    return said[1].decode() if said else None
