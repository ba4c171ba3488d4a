"""The flight after a training run -> one more run; or its verdict, on record and in the memory; or neither yet.

`conclude` follows each training run. It leaves a crash that a later step may undo, by a look at the machine or by a
mend, as it is; `close` then concludes on what stayed one. Both may be killed anywhere and called again: what is on
record is only finished, and `summary`, written last, says that all is. Whoever calls them holds the verdict lock, so
one flight is judged after the other.

What was measured on an incumbent that has been replaced since is only screened: what could not be kept there is
discarded. What could is carried over (lib/experiment/steps/15-carry-over), and measured anew. `give_up` is for a
flight whose steps fail (lib/experiment/dispatch).
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

CANNOT_MEND = ("baseline", "catalog")  # as proposers
MOST_CARRIED = 3  # times that a change is carried over to a new incumbent after it was measured
MOST_IN_VAIN = 2  # runs of a person's commit that fail, until it is taken for broken


def conclude(folder: Path) -> str | None:
    """Measure what was run, and go on as far as that allows. Returns what is told, and `again NN` as the last line."""
    flight = Flight(folder)
    known = index.read(flight.run)
    if recorded := experiments.recorded(flight.run, flight.need("commit")):
        return _finished(flight, known, recorded)
    measure(flight, known)
    known = _with_reruns(flight, known, is_believed=flight.text("suspect") is None)
    evidence = gather(flight, known)
    return None if _is_for_others(flight, evidence) else _decided(flight, known, evidence)


def close(folder: Path) -> str | None:
    """The same without a measurement, of what was left to others; nothing where all is concluded."""
    flight = Flight(folder)
    if flight.text("summary") is not None:
        return None
    known = index.read(flight.run)
    if recorded := experiments.recorded(flight.run, flight.need("commit")):
        return _finished(flight, known, recorded)
    known = _with_reruns(flight, known, is_believed=True)
    return _decided(flight, known, gather(flight, known))


def give_up(folder: Path) -> str | None:
    """A crash row for a flight that comes to no verdict, since a step of it fails each time: `given_up` says how."""
    flight = Flight(folder)
    known = index.read(flight.run)
    if recorded := experiments.recorded(flight.run, flight.need("commit")):
        return _finished(flight, known, recorded)
    why = f"crash: {flight.need('given_up')}"
    nothing = dict.fromkeys(("incumbent_bpb", "gain", "lines_added", "lines_removed"))
    flight.write_json("decision.json", {"status": "crash", "rule": "crash", "reason": why, **nothing})
    unknown = dict.fromkeys(("val_bpb", "memory_gb", "wall_seconds"))
    flight.write_json("measure.json", {**unknown, "failure": "error", "why": why, "runs": []})
    return _finished(flight, known, record(flight, with_change=False))  # the change may be what cannot be read


def _with_reruns(flight: Flight, known: Index, *, is_believed: bool) -> Index:
    """The incumbent's runs in this flight are recorded at once: the flights that are judged next know them, too.

    But not those of the last attempt, as long as they may be made again with their seed.
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
    """Whether the machine is looked at, its proposer mends it, or a person is told of a baseline that does not run."""
    can_be_mended = flight.text("mendable") == "yes" and flight.text("agent") not in CANNOT_MEND
    is_mended = can_be_mended and not (flight.folder / "edit").exists()  # who made that edit sees the log
    return flight.text("suspect") is not None or is_mended or evidence.is_failed_baseline


def _decided(flight: Flight, known: Index, evidence: Evidence) -> str | None:
    """One more run; or the verdict, and its record. Of a baseline that failed, the verdict alone: it leaves no row."""
    decision = _decision_of_stale(flight, evidence)
    if decision is None and (told := _sent_back(flight, evidence)):
        return told
    judge(flight, evidence, decision or decision_on(evidence))
    if evidence.is_failed_baseline:
        _tell_of_baseline(flight, evidence)
        return None
    return _finished(flight, known, record(flight))


def _tell_of_baseline(flight: Flight, evidence: Evidence) -> None:
    """In `problem`, for a person: what is wrong with it, and what to do about it, a line each."""
    word = evidence.failure or ""
    log = flight.folder / f"run.{flight.attempt}/run.log"
    flight.write("problem", "\n".join(failed_baseline.told(word, evidence.why or "", log, evidence.metric)))


def _sent_back(flight: Flight, evidence: Evidence) -> str | None:
    """To an earlier step, in words for a person, and `again NN`; None: what was measured is enough for a verdict."""
    if evidence.is_stale and evidence.is_baseline:
        return "the branch has moved: the baseline is measured there\nagain 10\n"
    if evidence.is_stale:
        told = f"measured on an earlier incumbent, and carried over: {flight.need('description')}\nagain 15\n"
        return told if could_be_kept(evidence) else None
    wanted = next_runs(evidence, slots.free(flight.run))
    if not wanted:
        return None
    if evidence.is_unknown and len(set(evidence.seeds["incumbent"])) >= MOST_IN_VAIN:
        raise _broken_commit(flight)
    flight.write("next", "\n".join(one.line() for one in wanted))
    which = f"{flight.folder.name} ({flight.need('description')})"
    return "".join(f"{which}: {one.told()}\n" for one in wanted) + "again 30\n"


def _broken_commit(flight: Flight) -> Fault:
    """Nothing can be compared with it, and what crashed on it may not be to blame."""
    log = flight.folder / f"run.{flight.attempt}/run.log"
    return Fault(
        f"commit '{flight.need('compared')[:7]}', made on top of the incumbent, does not run",
        f"mend it by another commit, then: make loop; the end of its log: tail -c 2000 '{log}'",
    )


def _decision_of_stale(flight: Flight, evidence: Evidence) -> Decision | None:
    """That on a change which could be kept, but not on today's incumbent; None: it is decided by what was measured."""
    if evidence.failure or not evidence.is_stale:
        return None
    if why := flight.text("not_carried"):  # a rule and its reason
        rule, reason = why.split(" ", 1)
        return Decision("discard", rule, reason)
    if len(flight.lines("carried_from")) >= MOST_CARRIED and could_be_kept(evidence):
        why = f"it could be kept, but the incumbent changed {MOST_CARRIED + 1} times meanwhile"
        return Decision("discard", "outrun", why)
    return None


def _finished(flight: Flight, known: Index, recorded: Experiment) -> str | None:
    """All that follows from the line on record."""
    known = index.updated(flight.run, known)
    settle(flight, known, recorded)
    told = None
    try:
        remember(flight, known, recorded)
    except (OSError, ValueError, RecursionError, MemoryError) as error:  # the experiment is on record all the same
        where = memory.folder(flight.run)
        told = f"this experiment could not be added to the memory, '{where}': {error}\n"
    index.store(flight.run, known)
    index.store_incumbent(flight.run, known)
    flight.write("summary", summary(recorded))
    return told
