"""One experiment, or two side by side -> text: what is known, the diff (which git has made), the log or the curves."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lab.runs import failures, logs
from lab.store.experiments import Experiment
from lab.views.find_experiment import Found, find

COLOUR = re.compile(r"\x1b\[[0-9;]*m")  # of git's, and the only thing but text that a terminal gets
TENTHS = 10


def show(run: Path, which: str, diff: str) -> str:
    """An experiment: the row, the reason, the runs, the diff, and the end of its log, at most 4 KB of it."""
    found = find(run, which)
    head = f"#{found.n} {found.row.status} {found.row.val_bpb}  {found.row.description}"
    if found.known is None:
        return f"{head}\n\n{FOREIGN}\n"
    parts = [
        "\n".join([head, *facts(found.known)]),
        printable(diff).strip("\n") or "train.py is its parent's",
        end(run, found),
    ]
    return "\n\n".join(parts) + "\n"


FOREIGN = "The row was written by hand: there is no commit of it, no reason and no log."


def facts(known: Experiment) -> Iterator[str]:
    """A line for each thing that is known."""
    yield f"commit    {known['commit']}, on top of {known['parent'][:7]}"
    yield f"reason    {known['reason']}"
    if known["gain"] is not None:
        yield f"gain      {known['gain']:+.6f}, over {known['incumbent_bpb']:.6f}"
    yield f"lines     {lines_of(known)}"
    yield f"memory    {said(known['memory_gb'], ' GB')}"
    yield f"proposer  {proposer_of(known)}"
    yield f"time      {said(known['started'])} to {said(known['ended'])}"
    yield f"training  {said(known['wall_seconds'], ' s')} of wall clock"
    for run in known["runs"]:
        yield f"run       {run_line(run)}"


def said(value: Any, unit: str = "") -> str:
    """A value with its unit; what is not known is a dash."""
    return "-" if value is None else f"{value}{unit}"


def lines_of(known: Experiment) -> str:
    """`+3 -1`: code lines, as the verdict counts them."""
    return f"+{said(known['lines_added'])} -{said(known['lines_removed'])}"


def proposer_of(known: Experiment) -> str:
    """Who, and at what cost, where that is known."""
    cost = [
        said(known[name], unit)
        for name, unit in (("tokens", " tokens"), ("cost_usd", " USD"))
        if known[name] is not None
    ]
    category = [f"category: {known['category']}"] if known["category"] else []
    return ", ".join([said(known["agent"]), f"attempts: {known['attempts']}", *cost, *category])


def run_line(run: dict[str, Any]) -> str:
    """One training run."""
    parts = [f"seed {said(run['seed'])}", f"val_bpb {said(run['val_bpb'])}", f"{said(run['num_steps'])} steps"]
    parts.append(f"{said(run['training_seconds'])} s")
    return ", ".join([*parts, *(["disturbed, and made again"] if run["degraded"] else [])])


def printable(diff: str) -> str:
    """The diff with git's colours, and without what else would move the cursor: code may hold anything."""
    kept = COLOUR.findall(diff)
    texts = ["".join(c if c.isprintable() or c in "\n\t" else "?" for c in text) for text in COLOUR.split(diff)]
    return "".join(text + colour for text, colour in zip(texts, [*kept, ""], strict=True))


def end(run: Path, found: Found) -> str:
    """The end of the log that is kept of it."""
    log = logs.own(run, found.known) if found.known else None
    if log is None:
        return "No log of it is kept."
    return f"The end of its log, runs/{run.name}/logs/{log.name}:\n{failures.quoted(log)}"


# ---------------------------------------------------------------------------
# Two of them
# ---------------------------------------------------------------------------


def compare(run: Path, a: str, b: str, diff: str) -> str:
    """Two experiments: what is known, the loss at the same part of the budget, and the diff from A to B."""
    both = [find(run, which) for which in (a, b)]
    code = printable(diff).strip("\n") or ("Their train.py is the same." if all(one.known for one in both) else FOREIGN)
    return "\n\n".join(["\n".join(side_by_side(both)), "\n".join(curves(run, both)), code]) + "\n"


def side_by_side(both: list[Found]) -> Iterator[str]:
    """A line for each thing, a column for each experiment."""
    table = [column(one) for one in both]
    for name in table[0]:
        yield f"{name:<10}" + "".join(f"{values[name]:<24}" for values in table).rstrip()
    for one in both:
        yield f"#{one.n:<8} {one.row.description}"


def column(one: Found) -> dict[str, str]:
    """What is known of one; a row written by hand has its columns alone."""
    row, known = one.row, one.known
    values = {"": f"#{one.n}", "commit": row.commit, "verdict": row.status, "val_bpb": row.val_bpb}
    values["memory_gb"] = row.memory_gb
    if known is None:
        return values | dict.fromkeys(("gain", "rule", "lines", "runs", "steps", "proposer"), "-")
    steps = [said(run["num_steps"]) for run in known["runs"]]
    return values | {
        "gain": "-" if known["gain"] is None else f"{known['gain']:+.6f}",
        "rule": known["rule"],
        "lines": lines_of(known),
        "runs": str(len(known["runs"])),
        "steps": steps[0] if steps else "-",
        "proposer": said(known["agent"]),
    }


def curves(run: Path, both: list[Found]) -> Iterator[str]:
    """The mean training loss in each tenth of the budget, and what the second has more."""
    found = [logs.own(run, one.known) if one.known else None for one in both]
    values = [logs.curve(log).values(TENTHS) if log else [None] * TENTHS for log in found]
    missing = [f"#{one.n}" for one, curve in zip(both, values, strict=True) if not any(curve)]
    if missing:
        yield f"No training loss to compare: no log that tells of one is kept of {' and '.join(missing)}."
        return
    yield f"{'loss':<12}{f'#{both[0].n}':<12}{f'#{both[1].n}':<12}difference"
    for tenth, (first, second) in enumerate(zip(*values, strict=True)):
        share = f"{100 * tenth // TENTHS} to {100 * (tenth + 1) // TENTHS} %"
        difference = "" if first is None or second is None else f"{second - first:+.6f}"
        yield f"{share:<12}{number(first):<12}{number(second):<12}{difference}".rstrip()


def number(value: float | None) -> str:
    """With 6 decimals; a dash where it is not known."""
    return "-" if value is None else f"{value:.6f}"
