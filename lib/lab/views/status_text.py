"""A status (lab.views.status) -> a few lines of text for a person."""

import textwrap
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from lab.store.metric import BPB, Metric
from lab.views.status import Status, proposer

SCREEN = 24  # lines
FEW = 2  # rows of the ledger that are shown, and so many experiments in flight, however little room there is
FLYING = "in flight "


@dataclass(frozen=True)
class Line:
    """One line. Of an experiment in flight, its phase, and the training run that is at work for it, if one is."""

    text: str
    phase: str | None = None
    training: Status | None = None


def text(at: Status, columns: int | None = None) -> str:
    """At most SCREEN lines of 80 columns if no more than two things are wrong. Problems come last, where the eye is.

    Lines are cut to `columns`; problems and hints are wrapped instead.
    """
    problems = problem_lines(at, columns)
    problems = ["", *problems] if problems else []
    lines = [line.text for line in body(at, columns, SCREEN - len(problems), flying(at))]
    return "\n".join([*lines, *problems])


def body(at: Status, columns: int | None, height: int, air: Sequence[Line], below: Sequence[int] = ()) -> list[Line]:
    """Everything but the problems, in so many lines, as far as that goes; `air` is what is in flight.

    Where there is little room, fewer rows of the ledger are shown, and then fewer of those in flight. `below`: how many
    lines the caller adds to each of those.
    """
    heights = [1 + more for more in below or [0] * len(air)]
    shown = fitting(air, heights, room(at, height))
    taken = sum(heights[place] for place in shown) + (len(shown) < len(air))
    rows = max(FEW, room(at, height) + FEW - taken)
    hidden = [line for place, line in enumerate(air) if place not in shown]
    in_air = [*(air[place] for place in shown), *([Line(rest_in_words(hidden))] if hidden else [])]
    lines = [*map(Line, head(at)), *in_air, *map(Line, [*results(at), "", *map(row_line, at["last"][-rows:])])]
    return [replace(line, text=fit(printable(line.text), columns)) for line in lines]


def room(at: Status, height: int) -> int:
    """How many lines there are for what is in flight."""
    return height - len(head(at)) - len(results(at)) - 1 - min(FEW, len(at["last"]))


def fitting(air: Sequence[Line], heights: Sequence[int], most: int) -> list[int]:
    """The places of those that are shown: all, or those that train first, with a line to spare for the rest."""
    if sum(heights) <= most:
        return list(range(len(air)))
    found: list[int] = []
    for place in sorted(range(len(air)), key=lambda place: air[place].training is None):
        if len(found) >= FEW and sum(heights[one] for one in [*found, place]) >= most:
            break
        found.append(place)
    return sorted(found)


def problem_lines(at: Status, columns: int | None) -> list[str]:
    """Each problem and its hint, wrapped."""
    found = at["damage"] + at["problems"]
    lines = [line for one in found for line in (f"trouble   {one['problem']}", f"hint      {one['hint']}")]
    return [part for line in lines for part in wrapped(printable(line), columns)]


def printable(line: str) -> str:
    """Without characters that would move the cursor."""
    return "".join(character if character.isprintable() else "?" for character in line)


def fit(line: str, columns: int | None) -> str:
    """Cut to the width of the terminal."""
    return line if columns is None or len(line) <= columns else line[: columns - 3] + "..."


def wrapped(line: str, columns: int | None) -> list[str]:
    """Wrapped to the width of the terminal; continuation lines are indented."""
    return [line] if columns is None else textwrap.wrap(line, max(columns, 20), subsequent_indent=" " * 10)


def head(at: Status) -> list[str]:
    """The run, and its loop."""
    who = ", ".join(f"{role} {name}" for role, name in (("proposer", proposer(at)), ("engine", at["engine"])) if name)
    return [
        f"run       {at['tag']}, from {at['start'][:7]}, set up {at['created']}",
        f"branch    {at['branch'] or 'not known'}",
        f"profile   {at['profile']}, {at['time_budget']:g} s a run" + (f"; {who}" if who else ""),
        f"loop      {loop_state(at['loop'])}",
    ]


def loop_state(loop: Status) -> str:
    """Whether a loop is running, and who restarts it."""
    if loop["alive"]:
        state = f"running, pid {loop['pid'] or 'unknown'}" + (f" since {loop['since']}" if loop["since"] else "")
    else:
        state = "not running" + ("" if loop["wanted"] else ": make loop")
    if loop["wanted"] or loop["alive"]:
        state += f"; {loop['watched_by']} looks after it" if loop["watched_by"] else "; no cron: make cron"
    return state


def flying(at: Status) -> list[Line]:
    """What is in flight, a line each, and the run beside it."""
    budget, is_alone = at["time_budget"], len(at["flights"]) == 1
    found = [
        Line(flight_line(one, budget, at["loop"], is_alone=is_alone), one["phase"], training_of(one))
        for one in at["flights"]
    ]
    if beside := at["beside"]:
        found.append(Line(f"a run beside the experiments, {training_line(beside, budget)}", "training", beside))
    found = found or [Line("nothing")]
    return [replace(line, text=f"{'' if at else FLYING:<{len(FLYING)}}{line.text}") for at, line in enumerate(found)]


def flight_line(flight: Status, budget: float, loop: Status, *, is_alone: bool) -> str:
    """`f7 training, slot 1, attempt 2, 34 s of 60 s, loss 2.3457: raise LR`; what may be long is last."""
    slot = [] if is_alone or flight["slot"] is None else [f"slot {flight['slot']}"]
    attempt = [f"attempt {flight['attempt']}"] if (flight["attempt"] or 1) > 1 else []
    how_far = [training_line(trained, budget)] if (trained := training_of(flight)) else []
    said = ", ".join([phase_in_words(flight, loop), *slot, *attempt, *how_far])
    return f"{flight['id']} {said}" + (f": {flight['description']}" if flight["description"] else "")


def phase_in_words(flight: Status, loop: Status) -> str:
    """The phase; where it waits for a person, or is asked once more, with that."""
    if flight["phase"] == "proposing" and (flight["step"] or "").endswith("-mend"):
        return "proposing a mend"
    return (
        f"{flight['phase']} for a loop" if flight["phase"] == "waiting" and not loop["alive"] else str(flight["phase"])
    )


def rest_in_words(hidden: Sequence[Line]) -> str:
    """`and 3 more: 2 waiting, 1 proposing`"""
    phases = Counter(line.phase for line in hidden)
    return f"{'':<{len(FLYING)}}and {len(hidden)} more: " + ", ".join(
        f"{count} {phase}" for phase, count in phases.items()
    )


def training_line(trains: Status, budget: float) -> str:
    """`34 s of 60 s, loss 2.3457`; if the log has no steps, how long it has been running."""
    if trains["progress"] is None:
        return f"running for {trains['seconds']:.0f} s, budget {budget:g} s"
    return f"{trains['progress'] * budget:.0f} s of {budget:g} s, loss {trains['loss']:.4f}"


def in_training(at: Status) -> Status | None:
    """The training run to watch: the first that tells how far it is; of an experiment in flight, or else beside it."""
    found = [one for one in (*map(training_of, at["flights"]), at["beside"]) if one]
    return next((one for one in found if one["progress"] is not None), None)


def training_of(flight: Status) -> Status | None:
    """The training run of a flight, with its progress; None if nothing trains."""
    return {**flight["training"], "progress": flight["progress"]} if flight["training"] else None


def results(at: Status) -> list[str]:
    """Rows, best, noise, cost and disk."""
    best, known = at["best"], at["noise"]
    found = [f"rows      {'not known' if at['rows'] is None else rows_in_words(at['rows'])}"]
    if best is None:
        found.append(f"best      {'not known' if at['damage'] else 'no baseline yet: make loop'}")
    else:
        metric, (level, value, gained) = metric_in(at), values_of(at)
        percent = "" if at["gain_percent"] is None else f", {at['gain_percent']:.2f} %"
        gain = f"gain {metric.gain_text(gained, level)}{percent}"
        what = "" if metric.is_bpb else f", {metric.name}, {metric.direction}"
        found.append(f"baseline  {metric.text(level)}{what}")
        found.append(f"best      {metric.text(value)} ({gain}), #{best['n']} {best['description']}")
    if known:
        sd = metric_in(at).amount(Decimal(str(known["sd"])), values_of(at)[0] if best else None)
        found.append(f"noise     {sd} is one standard deviation ({known['df']} degrees of freedom)")
    if cost := cost_in_words(at["spent"]):
        found.append(f"spent     {cost}")
    return [*found, f"disk      {at['run_mb']:.1f} MB in runs/{at['tag']}, {at['free_mb'] / 1000:.1f} GB free"]


def metric_in(at: Status) -> Metric:
    """The metric, as far as a value of it is written."""
    named = at.get("metric") or {}
    return Metric(name=named.get("name") or BPB, is_max=named.get("goal") == "max")


def values_of(at: Status) -> tuple[Decimal, Decimal, Decimal]:
    """The baseline's, the best one, and the gain."""
    level, value = (Decimal(repr(at[name]["val_bpb"])) for name in ("baseline", "best"))
    return level, value, Decimal(repr(at["gain"]))


def rows_in_words(rows: dict[str, int]) -> str:
    """`125 after the baseline: 22 keep, 102 discard, 1 crash`"""
    return "{total} after the baseline: {kept} keep, {discarded} discard, {crashed} crash".format_map(rows)


def cost_in_words(spent: Status) -> str:
    """As far as it is known: `7.9 h of training, 1,514,000 tokens, 5.14 USD`."""
    units = (("hours", "{:.1f} h of training"), ("tokens", "{:,} tokens"), ("cost_usd", "{:.2f} USD"))
    return ", ".join(words.format(spent[name]) for name, words in units if spent[name] is not None)


def row_line(row: Status) -> str:
    """A row of the ledger, aligned."""
    mark = "  (foreign: written by hand)" if row["foreign"] else ""
    return f"{row['commit']}  {row['val_bpb']}  {row['memory_gb']:>5}  {row['status']:<7}  {row['description']}{mark}"
