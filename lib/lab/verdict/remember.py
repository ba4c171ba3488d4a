"""A recorded experiment -> the notes about it that outlive the run (store/memory.py).

A keep goes to the learnings, and a simplification to the decisions. A discard goes into a tally of its constant, or of
the line that it changed, so that a night of discards is a few lines. A crash goes into a tally of its cause. Each note
has the run, number and commit of its experiment, so that it is written once even after an interruption.
"""

from pathlib import Path

from lab import hardware
from lab.one_line import clean
from lab.proposal import changes
from lab.proposal.changes import Change
from lab.store import code, experiments, manifest, memory, metric
from lab.store.experiments import Experiment
from lab.store.flight import Flight
from lab.verdict import complexity
from lab.verdict.index import Index

LONGEST = 160  # characters of a cause, a place or a description


def remember(flight: Flight, index: Index, one: Experiment) -> None:
    """Write the notes about the experiment in flight, the last of the index. On OSError the memory is unchanged."""
    run = flight.run
    folder = memory.folder(run)
    mark = f"{run.name} #{one['n']} {one['commit'][:7]}"
    chosen = manifest.read(run)["settings"]
    setting = f"{chosen['PROFILE']} {chosen['TIME_BUDGET']} s on {hardware.name(index.device)}"
    _remember_incumbent(folder, flight, index, one, mark)
    if one["rule"] == "baseline":
        measures = metric.named(one)
        value = f"{measures.name} {measures.text(one['val_bpb'])}"
        began = f"run {run.name} at commit {manifest.read(run)['start'][:7]}, {value}"
        memory.add(folder, memory.DECIDED, "began", mark, f"{began}; {_dated(one, mark, setting)}")
    elif one["status"] == "keep":
        _remember_keep(folder, one, mark, setting)
    elif one["status"] == "discard":
        _remember_failure(folder, one, next(changes.of_experiments(run, [one])), mark, setting)
    _remember_crash(folder, flight, one, mark, setting)


def _remember_keep(folder: Path, one: Experiment, mark: str, setting: str) -> None:
    """Note a win and its gain; a simplification is a decision."""
    measures, level = metric.named(one), one["incumbent_bpb"]
    values = f"{measures.text(level)} -> {measures.text(one['val_bpb'])}"
    value = f"{measures.name} {values} ({measures.gain_text(one['gain'], level)})"
    lines = f"lines +{one['lines_added']} -{one['lines_removed']}"
    text = "; ".join(filter(None, [one["description"], value, lines, one["category"], _dated(one, mark, setting)]))
    if one["rule"] == "simplification":
        memory.add(folder, memory.DECIDED, "simplified", mark, text)
    else:
        memory.add(folder, memory.WON, "won", mark, text)


def _remember_failure(folder: Path, one: Experiment, change: Change, mark: str, setting: str) -> None:
    """Note a change without a gain, in the tally of the place that it changed."""
    place = next(iter(change.places), one["description"])
    values = change.constants.get(place)
    what = changes.move(*values) if values else clean(one["description"], LONGEST)
    outcome = f"{what} {experiments.outcome(one)}"
    memory.tally(folder, memory.NO_GAIN, f"no gain: {clean(place, LONGEST)}", outcome, mark, setting)


def _remember_crash(folder: Path, flight: Flight, one: Experiment, mark: str, setting: str) -> None:
    """Note the cause of a crash, and the mend, if it was mended."""
    crashed = flight.text("crashed")
    if crashed is None and one["status"] != "crash":
        return
    if one["status"] == "crash":
        kind, cause = one["failure"], one["reason"].removeprefix("crash: ")
        outcome = clean(one["description"], LONGEST) + (", and no fix helped" if crashed else "")
    else:
        kind, cause = (crashed or "").split(" ", 1)
        outcome = f"{memory.MENDED}{_mend(flight)}"
    memory.tally(folder, memory.CRASHES, memory.crash(kind, cause), outcome, mark, setting)


def _mend(flight: Flight) -> str:
    """The first line that the mend changed: `x.relu() -> F.relu(x)`."""
    after = code.after(flight)
    added, removed = complexity.changes(flight.text("crashed.py") or "", code.joined(after) if after else "")
    return f"{clean((removed or ['nothing'])[0], 80)} -> {clean((added or ['nothing'])[0], 80)}"


def _remember_incumbent(folder: Path, flight: Flight, index: Index, one: Experiment, mark: str) -> None:
    """Note that a person committed on top of a keep, so that this commit is now the incumbent."""
    if not flight.is_baseline and one["parent"] != flight.need("base"):
        incumbent = index.keep(flight.run, flight.need("base"))
        parent = f"commit {one['parent'][:7]} on top of #{incumbent['n']}"
        said = f"a person's {parent} is the incumbent since {mark}"
        memory.add(folder, memory.DECIDED, "incumbent", parent, said)


def _dated(one: Experiment, mark: str, setting: str) -> str:
    return f"{mark}; {setting}; {(one['ended'] or '')[:10]}"
