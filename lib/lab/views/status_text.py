"""A status (lab.views.status) -> a few lines of text for a person."""

import textwrap

from lab.views.status import Status, proposer

FLYING = "in flight"  # how the lines of what is in flight begin


def text(at: Status, columns: int | None = None) -> str:
    """At most 24 lines of 80 columns if no more than two things are wrong. Problems come last, where the eye is.

    Lines are cut to `columns`; problems and hints are wrapped instead.
    """
    problems = problem_lines(at, columns)
    return "\n".join([*body(at, columns), *(["", *problems] if problems else [])])


def body(at: Status, columns: int | None) -> list[str]:
    """Everything but the problems."""
    return [fit(printable(line), columns) for line in (*head(at), *results(at), "", *map(row_line, at["last"]))]


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
    """The run, its loop, and what is in flight."""
    who = ", ".join(f"{role} {name}" for role, name in (("proposer", proposer(at)), ("engine", at["engine"])) if name)
    return [
        f"run       {at['tag']}, from {at['start'][:7]}, set up {at['created']}",
        f"branch    {at['branch'] or 'not known'}",
        f"profile   {at['profile']}, {at['time_budget']:g} s a run" + (f"; {who}" if who else ""),
        f"loop      {loop_state(at['loop'])}",
        *flying(at),
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


def flying(at: Status) -> list[str]:
    """A line for each experiment in flight, and for the run beside them."""
    found = [flight_line(flight, at["time_budget"]) for flight in at["flights"]]
    if at["beside"]:
        found.append(f"a run beside the experiments, {training_line(at['beside'], at['time_budget'])}")
    return [f"{FLYING} {line}" for line in found or ["nothing"]]


def flight_line(flight: Status, budget: float) -> str:
    """The step, the progress of its training, and last the description, which may be long."""
    attempt = [f"attempt {flight['attempt']}"] if (flight["attempt"] or 1) > 1 else []
    how_far = [training_line(trained, budget)] if (trained := training_of(flight)) else []
    return ", ".join([flight["step"] or "over", *attempt, *how_far]) + f": {flight['description'] or 'no proposal yet'}"


def training_line(trains: Status, budget: float) -> str:
    """`34 s of 60 s, loss 2.345678`; if the log has no steps, how long it has been running."""
    if trains["progress"] is None:
        return f"running for {trains['seconds']:.0f} s, budget {budget:g} s"
    return f"{trains['progress'] * budget:.0f} s of {budget:g} s, loss {trains['loss']:.6f}"


def in_training(at: Status) -> Status | None:
    """The training run to watch: of an experiment in flight, or else a replicate."""
    beside: Status | None = at["beside"]
    return next(filter(None, map(training_of, at["flights"])), beside)


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
        gain = f"gain {at['gain']:+.6f}, {at['gain_percent']:.2f} %"
        found.append(f"baseline  {at['baseline']['val_bpb']:.6f}")
        found.append(f"best      {best['val_bpb']:.6f} ({gain}), #{best['n']} {best['description']}")
    if known:
        found.append(f"noise     {known['sd']:.6f} is one standard deviation ({known['df']} degrees of freedom)")
    if cost := cost_in_words(at["spent"]):
        found.append(f"spent     {cost}")
    return [*found, f"disk      {at['run_mb']:.1f} MB in runs/{at['tag']}, {at['free_mb'] / 1000:.1f} GB free"]


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
