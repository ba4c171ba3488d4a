"""Where a run stands, an object of lab.status -> a few lines for a person."""

import textwrap

from lab.views.status import Status, proposer

FLYING = "in flight"  # how the lines of what is in flight begin


def text(at: Status, columns: int | None = None) -> str:
    """At most 24 lines of 80 columns where no more than two things are wrong, the latter at the end, where the eye is.

    Lines are cut to so many columns, if that is given; what is wrong, and the way out, is never cut.
    """
    return "\n".join([*body(at, columns), *(["", *told] if (told := wrong(at, columns)) else [])])


def body(at: Status, columns: int | None) -> list[str]:
    """What a person reads, but for what is wrong."""
    return [fit(printable(line), columns) for line in (*head(at), *results(at), "", *map(row_line, at["last"]))]


def wrong(at: Status, columns: int | None) -> list[str]:
    """What is wrong, and the way out, in as many lines as it takes."""
    found = at["damage"] + at["problems"]
    told = [line for one in found for line in (f"trouble   {one['problem']}", f"hint      {one['hint']}")]
    return [part for line in told for part in wrapped(printable(line), columns)]


def printable(line: str) -> str:
    """Without what would move the cursor."""
    return "".join(character if character.isprintable() else "?" for character in line)


def fit(line: str, columns: int | None) -> str:
    """Cut to what fits."""
    return line if columns is None or len(line) <= columns else line[: columns - 3] + "..."


def wrapped(line: str, columns: int | None) -> list[str]:
    """In as many lines as it takes."""
    return [line] if columns is None else textwrap.wrap(line, max(columns, 20), subsequent_indent=" " * 10)


def head(at: Status) -> list[str]:
    """What is going on."""
    who = ", ".join(
        f"{name} {at_work}" for name, at_work in (("proposer", proposer(at)), ("engine", at["engine"])) if at_work
    )
    return [
        f"run       {at['tag']}, from {at['start'][:7]}, set up {at['created']}",
        f"branch    {at['branch'] or 'not known'}",
        f"profile   {at['profile']}, {at['time_budget']:g} s a run" + (f"; {who}" if who else ""),
        f"loop      {loop(at['loop'])}",
        *flying(at),
    ]


def loop(of: Status) -> str:
    """Whether a loop is at work, and who looks after it."""
    who = [f"pid {of['pid'] or 'unknown'}" + (f" since {of['since']}" if of["since"] else "")]
    state = ", ".join(["running", *who]) if of["alive"] else "not running" + ("" if of["wanted"] else ": make loop")
    if of["wanted"] or of["alive"]:
        state += f"; {of['watched_by']} looks after it" if of["watched_by"] else "; no cron: make cron"
    return state


def flying(at: Status) -> list[str]:
    """A line for each experiment in flight, and for the run beside them."""
    found = [flight_line(flight, at["time_budget"]) for flight in at["flights"]]
    if at["beside"]:
        found.append(f"a run beside the experiments, {training_line(at['beside'], at['time_budget'])}")
    return [f"{FLYING} {line}" for line in found or ["nothing"]]


def flight_line(flight: Status, budget: float) -> str:
    """The step, how far its training is, and last the experiment, which may be long."""
    attempt = [f"attempt {flight['attempt']}"] if (flight["attempt"] or 1) > 1 else []
    how_far = [training_line(trained, budget)] if (trained := of_flight(flight)) else []
    return ", ".join([flight["step"] or "over", *attempt, *how_far]) + f": {flight['description'] or 'no proposal yet'}"


def training_line(trains: Status, budget: float) -> str:
    """`34 s of 60 s, loss 2.345678`; where it does not tell, how long it has been running."""
    if trains["progress"] is None:
        return f"running for {trains['seconds']:.0f} s, budget {budget:g} s"
    return f"{trains['progress'] * budget:.0f} s of {budget:g} s, loss {trains['loss']:.6f}"


def in_training(at: Status) -> Status | None:
    """The training run to look at: of an experiment in flight, or beside them."""
    beside: Status | None = at["beside"]
    return next(filter(None, map(of_flight, at["flights"])), beside)


def of_flight(flight: Status) -> Status | None:
    """Its training run, with how far that is; None where nothing trains."""
    return {**flight["training"], "progress": flight["progress"]} if flight["training"] else None


def results(at: Status) -> list[str]:
    """What there is so far."""
    best, known = at["best"], at["noise"]
    found = [f"rows      {'not known' if at['rows'] is None else in_words(at['rows'])}"]
    if best is None:
        found.append(f"best      {'not known' if at['damage'] else 'no baseline yet: make loop'}")
    else:
        gain = f"gain {at['gain']:+.6f}, {at['gain_percent']:.2f} %"
        found.append(f"baseline  {at['baseline']['val_bpb']:.6f}")
        found.append(f"best      {best['val_bpb']:.6f} ({gain}), #{best['n']} {best['description']}")
    if known:
        found.append(f"noise     {known['sd']:.6f} is one standard deviation ({known['df']} degrees of freedom)")
    if took := spent(at["spent"]):
        found.append(f"spent     {took}")
    return [*found, f"disk      {at['run_mb']:.1f} MB in runs/{at['tag']}, {at['free_mb'] / 1000:.1f} GB free"]


def in_words(rows: dict[str, int]) -> str:
    """`125 after the baseline: 22 keep, 102 discard, 1 crash`"""
    return (
        f"{rows['total']} after the baseline: {rows['kept']} keep, {rows['discarded']} discard, {rows['crashed']} crash"
    )


def spent(of: Status) -> str:
    """What is known of it: `7.9 h of training, 1,514,000 tokens, 5.14 USD`."""
    units = (("hours", "{:.1f} h of training"), ("tokens", "{:,} tokens"), ("cost_usd", "{:.2f} USD"))
    return ", ".join(words.format(of[name]) for name, words in units if of[name] is not None)


def row_line(row: Status) -> str:
    """As it stands in the ledger."""
    mark = "  (foreign: written by hand)" if row["foreign"] else ""
    return f"{row['commit']}  {row['val_bpb']}  {row['memory_gb']:>5}  {row['status']:<7}  {row['description']}{mark}"
