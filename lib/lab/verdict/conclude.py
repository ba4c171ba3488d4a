"""The flight after a training run -> another run; or its verdict, recorded and in the memory; or nothing yet.

`conclude` follows each training run. It leaves a crash alone if a later step may resolve it (a check of the machine, or
a mend). `close` then concludes the remaining crashes. Both can be killed at any point and called again: a recorded
experiment is only completed, and `summary`, written last, marks the end. The caller holds the verdict lock, so flights
are judged one after the other.

A flight may have been measured on an incumbent that has since been replaced. If it could not be kept on that one, it is
discarded. Otherwise it is carried over (lib/experiment/steps/15-carry-over) and measured again. `give_up` is for a
flight with a step that fails every time (lib/experiment/dispatch).
"""

from pathlib import Path

from lab.errors import Fault
from lab.runs import failed_baseline, slots
from lab.store import experiments, memory, reruns
from lab.store.experiments import Experiment
from lab.store.flight import Flight
from lab.verdict import index, noise
from lab.verdict.criterion import Decision
from lab.verdict.evidence import Evidence, gather
from lab.verdict.index import Index
from lab.verdict.judge import could_be_kept, decision_on, judge
from lab.verdict.measure import measure
from lab.verdict.more_runs import is_made_again, next_runs
from lab.verdict.record import record, settle, summary
from lab.verdict.remember import remember

CANNOT_MEND = ("baseline", "catalog")  # proposers that cannot mend a crash
MOST_CARRIED = 3  # times that a measured change is carried over to a new incumbent
MOST_IN_VAIN = 2  # failed runs of a person's commit before it counts as broken


def conclude(folder: Path) -> str | None:
    """Measure the runs and go on as far as possible. Returns messages, perhaps with a last line `again NN`."""
    flight = Flight(folder)
    known = index.read(flight.run)
    if recorded := experiments.recorded(flight.run, flight.need("commit")):
        return _finished(flight, known, recorded)
    measure(flight, known)
    known = _with_reruns(flight, known, is_believed=flight.text("suspect") is None)
    evidence = gather(flight, known)
    return None if _is_for_others(flight, evidence) else _decided(flight, known, evidence)


def close(folder: Path) -> str | None:
    """Conclude a flight that is already measured. Does nothing if it is concluded."""
    flight = Flight(folder)
    if flight.text("summary") is not None:
        return None
    known = index.read(flight.run)
    if recorded := experiments.recorded(flight.run, flight.need("commit")):
        return _finished(flight, known, recorded)
    known = _with_reruns(flight, known, is_believed=True)
    return _decided(flight, known, gather(flight, known))


def give_up(folder: Path) -> str | None:
    """Record a crash for a flight with a step that fails every time. `given_up` has the reason."""
    flight = Flight(folder)
    known = index.read(flight.run)
    if recorded := experiments.recorded(flight.run, flight.need("commit")):
        return _finished(flight, known, recorded)
    why = f"crash: {flight.need('given_up')}"
    nothing = dict.fromkeys(("incumbent_bpb", "gain", "lines_added", "lines_removed"))
    flight.write_json("decision.json", {"status": "crash", "rule": "crash", "reason": why, **nothing})
    unknown = dict.fromkeys(("val_bpb", "memory_gb", "wall_seconds"))
    flight.write_json("measure.json", {**unknown, "failure": "error", "why": why, "runs": []})
    return _finished(flight, known, record(flight, with_change=False))  # the change may be unreadable


def _with_reruns(flight: Flight, known: Index, *, is_believed: bool) -> Index:
    """Record the incumbent's runs of this flight at once, because the next flights use them too.

    A run of the last attempt that may be repeated with the same seed is not recorded yet.
    """
    measured = flight.json("measure.json")
    made = [one["seed"] for one in measured["incumbent_runs"]]
    open_seeds = [
        seed
        for code, seed, disturbance in measured["last"]
        if code == "incumbent" and (not is_believed or is_made_again(disturbance, made, seed))
    ]
    runs = [one for one in noise.undisturbed(measured["incumbent_runs"]) if one["seed"] not in open_seeds]
    if not runs:
        return known
    commit = flight.need("compared")
    recorded = {int(one["seed"]) for one in known.runs_of(flight.run, commit)}
    reruns.append(flight.run, commit, runs, recorded)
    return index.updated(flight.run, known)


def _is_for_others(flight: Flight, evidence: Evidence) -> bool:
    """Whether a later step handles it: a check of the machine, a mend, or a message about a failed baseline."""
    can_be_mended = flight.text("mendable") == "yes" and flight.text("agent") not in CANNOT_MEND
    is_mended = can_be_mended and not (flight.folder / "edit").exists()  # the author of such an edit sees the log
    return flight.text("suspect") is not None or is_mended or evidence.is_failed_baseline


def _decided(flight: Flight, known: Index, evidence: Evidence) -> str | None:
    """Another run, or the verdict and its record. A failed baseline gets a verdict but no row."""
    decision = _decision_of_stale(flight, evidence)
    if decision is None and (step := _sent_back(flight, evidence)):
        return step
    judge(flight, evidence, decision or decision_on(evidence))
    if evidence.is_failed_baseline:
        log = flight.folder / f"run.{flight.attempt}/run.log"
        told = failed_baseline.told(evidence.failure or "", evidence.why or "", log, evidence.metric)
        flight.write("problem", "\n".join(told))  # for a person: the problem and a hint
        return None
    return _finished(flight, known, record(flight))


def _sent_back(flight: Flight, evidence: Evidence) -> str | None:
    """Messages and `again NN`, to go back to an earlier step; None if the measurements are enough for a verdict."""
    if evidence.is_stale and evidence.is_baseline:
        return "the branch has moved: measuring the baseline again there\nagain 10\n"
    if evidence.is_stale:
        told = f"carried over to the new incumbent: {flight.need('description')}\nagain 15\n"
        return told if could_be_kept(evidence) else None
    wanted = next_runs(evidence, slots.free(flight.run))
    if not wanted:
        return None
    if evidence.is_unknown and len(set(evidence.seeds["incumbent"])) >= MOST_IN_VAIN:
        log = flight.folder / f"run.{flight.attempt}/run.log"
        raise Fault(  # nothing can be compared with it, so no change is blamed
            f"commit '{flight.need('compared')[:7]}', made on top of the incumbent, does not run",
            f"fix it in another commit, then: make loop; the end of its log: tail -c 2000 '{log}'",
        )
    flight.write("next", "\n".join(one.line() for one in wanted))
    which = f"{flight.folder.name} ({flight.need('description')})"
    return "".join(f"{which}: {one.told()}\n" for one in wanted) + "again 30\n"


def _decision_of_stale(flight: Flight, evidence: Evidence) -> Decision | None:
    """The discard of a change that cannot be carried over; None if its measurements decide."""
    if evidence.failure or not evidence.is_stale:
        return None
    if why := flight.text("not_carried"):  # a rule and its reason
        rule, reason = why.split(" ", 1)
        return Decision("discard", rule, reason)
    if len(flight.lines("carried_from")) >= MOST_CARRIED and could_be_kept(evidence):
        why = f"it could be kept, but the incumbent changed {MOST_CARRIED + 1} times in the meantime"
        return Decision("discard", "outrun", why)
    return None


def _finished(flight: Flight, known: Index, recorded: Experiment) -> str | None:
    """Write everything that follows from the recorded experiment."""
    known = index.updated(flight.run, known)
    settle(flight, known, recorded)
    told = None
    try:
        remember(flight, known, recorded)
    except (OSError, ValueError, RecursionError, MemoryError) as error:  # the experiment itself is recorded
        where = memory.folder(flight.run)
        told = f"this experiment could not be added to the memory '{where}': {error}\n"
    index.store(flight.run, known)
    index.store_incumbent(flight.run, known)
    flight.write("summary", summary(recorded))
    return told
