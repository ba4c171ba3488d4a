"""One experiment, or two side by side -> text: the facts, the diff that git made, and the log or the loss curves."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lab.runs import failures, logs
from lab.store import experiments, manifest, metric
from lab.store.experiments import Experiment
from lab.verdict import index, trust
from lab.verdict.trust import Trust
from lab.views.find_experiment import Found, find
from lab.views.in_words import local, moment

COLOUR = re.compile(r"\x1b\[[0-9;]*m")  # git's colours; no other escape sequence reaches the terminal
TENTHS = 10


def show(run: Path, which: str, diff: str) -> str:
    """An experiment: its row, reason, runs and diff, and at most 4 KB from the end of its log."""
    found = find(run, which)
    head = f"#{found.n} {found.row.status} {found.row.val_bpb}  {found.row.description}"
    if found.known is None:
        return f"{head}\n\n{FOREIGN}\n"
    kept = experiments.keeps(run) if found.known["status"] == "keep" else []
    sure = trust.of_keeps(run, kept, index.read(run).spread_on).get(found.known["commit"])
    parts = [
        "\n".join([head, *fact_lines(found.known, sure)]),
        printable(diff).strip("\n") or f"{manifest.editable(run)} is the same as in the parent commit",
        log_end(run, found.known),
    ]
    return "\n\n".join(parts) + "\n"


FOREIGN = "This row was written by hand. It has no commit, no reason and no log."


def fact_lines(known: Experiment, sure: Trust | None) -> Iterator[str]:
    """A line for each fact."""
    yield f"commit    {known['commit']}, on top of {known['parent'][:7]}"
    for earlier in known.get("carried_from", []):
        yield f"carried   from {earlier[:7]}: the same change, tried on an earlier incumbent"
    yield f"reason    {known['reason']}"
    if known["gain"] is not None:
        measures, level = metric.named(known), known["incumbent_bpb"]
        yield f"gain      {measures.gain_text(known['gain'], level)}, over {measures.text(level)}"
    for name, value in (known.get("guards") or {}).items():
        yield f"guard     {name} {with_unit(value)}"
    if sure:
        yield f"trust     {sure.word or 'noise not measured'}, {trust.interval(sure, known)}"
    yield f"lines     {line_changes(known)}"
    yield f"memory    {with_unit(known['memory_gb'], ' GB')}"
    yield f"proposer  {proposer_of(known)}"
    began, ended = (local(moment(known[name])) or "-" for name in ("started", "ended"))
    yield f"time      {began} to {ended}"
    yield f"training  {with_unit(known['wall_seconds'], ' s')} of wall clock"
    for run in known["runs"]:
        yield f"run       {run_line(run, metric.named(known).name)}"


def with_unit(value: Any, unit: str = "") -> str:
    """`44.0 GB`; a dash for None."""
    return "-" if value is None else f"{value}{unit}"


def line_changes(known: Experiment) -> str:
    """`+3 -1`: code lines, counted as for the verdict."""
    return f"+{with_unit(known['lines_added'])} -{with_unit(known['lines_removed'])}"


def proposer_of(known: Experiment) -> str:
    """The proposer, the number of attempts, and, where known, the cost and the category."""
    units = {"tokens": "{} tokens", "cost_usd": "{} USD", "category": "category: {}"}
    more = [text.format(known[name]) for name, text in units.items() if known[name] not in (None, "")]
    return ", ".join([with_unit(known["agent"]), f"attempts: {known['attempts']}", *more])


def run_line(run: dict[str, Any], name: str) -> str:
    """One training run."""
    parts = [
        f"seed {with_unit(run['seed'])}",
        f"{name} {with_unit(run['val_bpb'])}",
        f"{with_unit(run['num_steps'])} steps",
    ]
    parts.append(f"{with_unit(run['training_seconds'])} s")
    parts += [f"on '{run['host']}'"] if run.get("host") else []
    return ", ".join([*parts, *(["disturbed, so run again"] if run["degraded"] else [])])


def printable(diff: str) -> str:
    """The diff with git's colours but without other control characters, which code may contain."""
    kept = COLOUR.findall(diff)
    texts = ["".join(c if c.isprintable() or c in "\n\t" else "?" for c in text) for text in COLOUR.split(diff)]
    return "".join(text + colour for text, colour in zip(texts, [*kept, ""], strict=True))


def log_end(run: Path, known: Experiment) -> str:
    """The end of the experiment's log."""
    log = logs.log_of(run, known)
    if log is None:
        return "No log is kept for this experiment."
    return f"The end of the log, runs/{run.name}/logs/{log.name}:\n{failures.quoted(log)}"


# --- Two experiments --------------------------------------------------------------------------------------------------


def compare(run: Path, a: str, b: str, diff: str) -> str:
    """Two experiments: their facts, the loss in each tenth of the budget, and the diff from A to B."""
    both = [find(run, which) for which in (a, b)]
    same = f"Both have the same {manifest.editable(run)}."
    code = printable(diff).strip("\n") or (same if all(one.known for one in both) else FOREIGN)
    name = manifest.metric_of(run).name
    return "\n\n".join(["\n".join(side_by_side(both, name)), "\n".join(curves(run, both)), code]) + "\n"


def side_by_side(both: list[Found], metric_name: str) -> Iterator[str]:
    """A line for each fact, a column for each experiment."""
    table = [column(one, metric_name) for one in both]
    for name in table[0]:
        yield f"{name:<{max(10, len(metric_name) + 1)}}" + "".join(f"{values[name]:<24}" for values in table).rstrip()
    for one in both:
        yield f"#{one.n:<8} {one.row.description}"


def column(one: Found, metric_name: str) -> dict[str, str]:
    """The facts by name. A row that was written by hand has only the ledger's columns."""
    row, known = one.row, one.known
    values = {"": f"#{one.n}", "commit": row.commit, "verdict": row.status, metric_name: row.val_bpb}
    values["memory_gb"] = row.memory_gb
    if known is None:
        return values | dict.fromkeys(("gain", "rule", "lines", "runs", "steps", "proposer"), "-")
    steps = [with_unit(run["num_steps"]) for run in known["runs"]]
    return values | {
        "gain": "-" if known["gain"] is None else metric.named(known).gain_text(known["gain"], known["incumbent_bpb"]),
        "rule": known["rule"],
        "lines": line_changes(known),
        "runs": str(len(known["runs"])),
        "steps": steps[0] if steps else "-",
        "proposer": with_unit(known["agent"]),
    }


def curves(run: Path, both: list[Found]) -> Iterator[str]:
    """The mean training loss in each tenth of the budget, and the lead of the second experiment; lower is better."""
    found = [logs.log_of(run, one.known) if one.known else None for one in both]
    values = [logs.curve(log).values(TENTHS) if log else [None] * TENTHS for log in found]
    missing = [f"#{one.n}" for one, curve in zip(both, values, strict=True) if not any(curve)]
    if missing:
        yield f"No training loss to compare: no log with losses is kept for {' and '.join(missing)}."
        return
    yield f"{'loss':<12}{f'#{both[0].n}':<12}{f'#{both[1].n}':<12}lead of #{both[1].n}"
    for tenth, (first, second) in enumerate(zip(*values, strict=True)):
        share = f"{100 * tenth // TENTHS} to {100 * (tenth + 1) // TENTHS} %"
        difference = "" if first is None or second is None else f"{first - second:+.6f}"
        a, b = ("-" if loss is None else f"{loss:.6f}" for loss in (first, second))
        yield f"{share:<12}{a:<12}{b:<12}{difference}".rstrip()
