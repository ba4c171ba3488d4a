"""The files of the experiments in flight -> the phase of each, and the progress of its training; also for replicates.

The list of finished steps gives the current step, and the RUN_DIR shows whether training is running. The files outlive
the process that wrote them, so an experiment is `waiting` whenever no process works on the tree.
"""

import re
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from lab.runs import logs
from lab.store import flight as flight_store
from lab.store.flight import Flight
from lab.views.in_words import moment

STEPS = Path(__file__).parents[3] / "lib/experiment/steps"
# The phase for each step name, without its number. A mend asks a proposer again. Steps after the run judge it.
PHASES = {"propose": "proposing", "mend": "proposing", "carry-over": "drafted", "commit": "drafted", "run": "waiting"}
DEVICE = re.compile(rb"^(cuda|mps|cpu): \d+ x \d+ rows\b", re.MULTILINE)  # the first line of train.py's log
HEAD = 65536  # bytes of the log that are searched for the device

Found = dict[str, Any]


def flights(run: Path, *, alive: bool) -> list[Found]:
    """The experiments in flight in the form of schemas/status.schema.json, oldest first.

    `alive`: a process works on the tree.
    """
    at_work = alive and not is_beside(run)
    found = [facts_of(flight, at_work=at_work) for flight in flight_store.all_of(run)]
    return [one for one in found if one] + [candidate(one) for one in flight_store.candidates(run)]


def candidate(draft: Flight) -> Found:
    """An extra candidate of a proposer that no flight has taken yet."""
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
    """The status of one flight; None if it has just ended."""
    done = flight.text("done")
    if done is None or not done.startswith("attempt "):
        return None
    attempt = int(done.split("\n")[0].split()[1])
    trains = training(flight.run, flight.folder / f"run.{attempt}") if at_work else None
    now = phase(done, trains, at_work=at_work)
    from_tree = flight.text("edit/description") is not None  # a change in the person's tree needs no proposer
    return {
        "id": flight.folder.name,
        "phase": "drafted" if from_tree and now == "proposing" else now,
        "description": flight.what,
        "agent": flight.text("agent"),
        "step": current_step(done),
        "attempt": attempt,
        "started": flight.text("started"),
        "seconds": seconds_since(flight.text("started")),
        **training_facts(flight.run, flight.folder / f"run.{attempt}", trains),
    }


def training_facts(run: Path, folder: Path, trains: Found | None) -> Found:
    """Where the flight trains, and its progress. Only a training run takes a slot."""
    if trains is None:
        return dict.fromkeys(("slot", "device", "progress", "training"))
    slot = Flight(folder).text("slot") or ""
    log = {name: trains[name] for name in ("log", "seconds", "num_steps", "loss")}
    where = {"slot": int(slot) if slot.isdecimal() else None, "device": device(run / trains["log"])}
    return {**where, "progress": trains["progress"], "training": log}


def beside(run: Path, *, alive: bool) -> Found | None:
    """The training run of make noise or make audit that started last."""
    link = run / "run.log"
    is_one = alive and is_beside(run) and link.is_symlink()
    return training(run, run / link.readlink().parent) if is_one else None


def is_beside(run: Path) -> bool:
    """Whether `make noise` or `make audit` trains. The experiments in flight wait meanwhile."""
    return (run / "replicates").exists()


def current_step(done: str) -> str | None:
    """The first step in lib/experiment/steps that is not in the list of finished steps; None if all are."""
    finished = set(done.split("\n")[1:])
    return next((step for step in sorted(path.name for path in STEPS.iterdir()) if step not in finished), None)


def phase(done: str, trains: Found | None, *, at_work: bool) -> str:
    """A phase of the schema. At 100 % the training has ended and the evaluation runs."""
    if not at_work:
        return "waiting"
    if trains:
        return "evaluating" if trains["progress"] == 1 else "training"
    return PHASES.get((current_step(done) or "").partition("-")[2], "judging")


def training(run: Path, folder: Path) -> Found | None:
    """The training run in the RUN_DIR `folder`; None if it has not started or has ended."""
    seconds, log = seconds_since(Flight(folder).text("started")), folder / "run.log"
    if seconds is None or (folder / "ended").exists():
        return None
    try:
        step = logs.last_step(log)
    except OSError:
        return None  # it has not started yet, or it has ended and its log was moved
    return {
        "log": str(log.relative_to(run)),
        "seconds": seconds,
        "progress": step and step.progress,
        "num_steps": step and step.number,
        "loss": step and step.loss,
    }


def seconds_since(started: str | None) -> float | None:
    """Seconds since a UTC time (ISO 8601); None for an unknown or unreadable time."""
    began = moment(started)
    return None if began is None else round(max((datetime.now(timezone.utc) - began).total_seconds(), 0), 1)


def device(log: Path) -> str | None:
    """The kind of device that a log names; None if it names none."""
    try:
        with log.open("rb") as file:
            said = DEVICE.search(file.read(HEAD))
    except OSError:
        return None  # the run has ended and its log was moved
    return said[1].decode() if said else None
