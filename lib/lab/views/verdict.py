"""An experiment of a run -> its verdict for an agent: a few lines, and after a crash the end of its log.

An experiment in flight has an id (`f17`) and no verdict, so its phase is shown. It gets a number with its row.
"""

from pathlib import Path

from lab.errors import Fault
from lab.runs import failures, logs
from lab.store import experiments, flight, manifest, metric
from lab.store.experiments import Experiment
from lab.verdict import index
from lab.verdict.record import summary
from lab.views import flight_phase

NOT_YET, NEVER = 75, 1  # exit statuses
ENDED = {  # the last word of the flight's last step (lib/experiment/dispatch) -> why there is no row
    "end": "train.py equals the incumbent's, or could not be copied, so there was nothing to try",
    "drop": "it conflicts with a later keep, or the incumbent has it already; its code is in runs/{tag}/aside",
    "given-up": "a step failed twice: see runs/{tag}/loop.log; its code is in runs/{tag}/aside",
    "twice": "another experiment in flight has the same code",
}


def verdict(run: Path, which: str | None, *, at_work: bool) -> tuple[int, str]:
    """The exit status and the text. `which`: a number or an id; default: the last. Raises Fault if there is none."""
    flying = {one.folder.name: one for one in flight.all_of(run)}
    if which in flying:
        return NOT_YET, standing(flying[which], at_work=at_work)
    past = experiments.read(run)
    if which is None and not past:
        raise Fault(f"run '{run.name}' has no experiment yet", "bin/experiment --from-tree 'what you changed' --detach")
    found = past[-1] if which is None else _found(past, which)
    if found is None:
        return _without(run, which or "")
    flown = flying.get(found.get("flight", ""))
    return (NOT_YET, standing(flown, at_work=at_work)) if flown and which else (0, text(run, found, past[-1]))


def _found(past: list[Experiment], which: str) -> Experiment | None:
    """The last experiment with that number or id."""
    fits = (one for one in reversed(past) if which in (str(one["n"]), f"#{one['n']}", one.get("flight")))
    return next(fits, None)


def _without(run: Path, which: str) -> tuple[int, str]:
    """The exit status and the text for an experiment without a row."""
    path = run / "flights/ended"
    words = dict(line.split() for line in path.read_text().splitlines()) if path.exists() else {}
    if which in words:
        return NEVER, f"{which} has no row: {ENDED[words[which]].format(tag=run.name)}"
    if which.removeprefix("#").isdecimal() and any(flight.all_of(run)):
        return NOT_YET, f"#{which.removeprefix('#')} has no row yet"
    raise Fault(f"run '{run.name}' has no experiment '{which}'", "to list them: bin/status")


def standing(one: flight.Flight, *, at_work: bool) -> str:
    """`f17 training, 45 %: raise MATRIX_LR 0.04 -> 0.06`"""
    facts = flight_phase.facts_of(one, at_work=at_work) or {}
    share = facts.get("progress")
    what = one.what or "no proposal yet"
    phase = facts.get("phase", "judging")
    return f"{one.folder.name} {phase}{'' if share is None else f', {100 * share:.0f} %'}: {what}"


def text(run: Path, one: Experiment, last: Experiment) -> str:
    """The verdict, in under 6 KB whatever the log contains."""
    incumbent, commit = index.read(run).incumbent, one["commit"][:7]
    if one["rule"] == "baseline":
        return summary(one)
    lines = [summary(one), f"reason     {one['reason']}"]
    if incumbent:
        value = metric.named(incumbent).text(incumbent["val_bpb"])
        lines.append(f"incumbent  #{incumbent['n']} {value}  {incumbent['description']}")
    is_this = incumbent and incumbent["commit"] == one["commit"]
    state = "has this change now" if is_this else "does not have this change"
    lines.append(f"{manifest.editable(run):<9}  {state}; to see it: git show {commit}")
    log = run / "run.log" if one is last else logs.log_of(run, one)
    if one["failure"] not in (None, "rejected") and log and log.exists():
        lines += ["", f"The end of the log. {failures.UNTRUSTED}", "", failures.quoted(log)]
    return "\n".join(lines)
