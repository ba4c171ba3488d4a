"""The flight after a training run -> one more run; or its verdict, on record and in the memory; or neither yet.

`conclude` follows each training run. It leaves a crash that a later step may undo, by a look at the machine or by a
mend, as it is; `close` then concludes on what stayed one. Both may be killed anywhere and called again: what is on
record is only finished, and `summary`, written last, says that all is.
"""

from pathlib import Path

from lab.store import experiments, memory
from lab.store.experiments import Experiment
from lab.store.flight import Flight
from lab.verdict import index
from lab.verdict.evidence import Evidence, gather
from lab.verdict.index import Index
from lab.verdict.judge import judge
from lab.verdict.measure import measure
from lab.verdict.more_runs import next_run
from lab.verdict.record import record, settle, summary
from lab.verdict.remember import remember

CANNOT_MEND = ("baseline", "catalog")  # as proposers


def conclude(run: Path) -> str | None:
    """Measure what was run, and go on as far as that allows. Returns what is told, and `again 30` as the last line."""
    known, flight = index.read(run), Flight(run / "flight")
    if recorded := experiments.recorded(run, flight.need("commit")):
        return _finished(run, known, recorded)
    measure(run, known)
    evidence = gather(run, known)
    return None if _is_for_others(flight, evidence) else _decided(run, known, evidence)


def close(run: Path) -> str | None:
    """The same without a measurement, of what was left to others; nothing where all is concluded."""
    flight = Flight(run / "flight")
    if flight.text("summary") is not None:
        return None
    known = index.read(run)
    if recorded := experiments.recorded(run, flight.need("commit")):
        return _finished(run, known, recorded)
    return _decided(run, known, gather(run, known))


def _is_for_others(flight: Flight, evidence: Evidence) -> bool:
    """Whether the machine is looked at, its proposer mends it, or a person is told of a baseline that does not run."""
    can_be_mended = flight.text("mendable") == "yes" and flight.text("agent") not in CANNOT_MEND
    is_mended = can_be_mended and not (flight.folder / "edit").exists()  # who made that edit sees the log
    return flight.text("suspect") is not None or is_mended or evidence.is_failed_baseline


def _decided(run: Path, known: Index, evidence: Evidence) -> str | None:
    """One more run; or the verdict, and its record. Of a baseline that failed, the verdict alone: it leaves no row."""
    flight = Flight(run / "flight")
    if wanted := next_run(evidence):
        flight.write("next", wanted.line())
        return wanted.told()
    judge(flight, evidence)
    return None if evidence.is_failed_baseline else _finished(run, known, record(run, known))


def _finished(run: Path, known: Index, recorded: Experiment) -> str | None:
    """All that follows from the line on record."""
    known = index.updated(run, known)
    settle(run, known, recorded)
    told = None
    try:
        remember(run, known, recorded)
    except (OSError, ValueError) as error:  # the experiment is on record all the same
        told = f"this experiment could not be added to the memory, '{memory.folder(run)}': {error}\n"
    index.store(run, known)
    Flight(run / "flight").write("summary", summary(recorded))
    return told
