"""A status (lab.views.status) -> a few lines of text for a person."""

import textwrap
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from decimal import Decimal

from lab.store.metric import BPB, Metric
from lab.verdict.trust import WITHIN
from lab.views.in_words import clock, duration, local, moment
from lab.views.sparkline import BLOCKS, best_so_far, sparkline
from lab.views.status import Status, proposer

SCREEN = 24  # lines
FEW = 2  # rows of the ledger, and experiments in flight, that are shown even on a small screen
FLYING = "in flight "
CURVE = 60  # columns of the progress curve
ALL = 1.05  # trainings at a time: up to this, the number is shown as a percentage of one slot's time
WORDS = {"drafted": "proposed", "judging": "being judged", "evaluating": "being evaluated"}  # phase -> text
SHORT = {WITHIN: "noise"}  # trust -> text in a narrow column
ROW = "{:>5} {:<6} {:<12} {:<8} {:<9} {}"


@dataclass(frozen=True)
class Line:
    """One line. A line about an experiment in flight also has its phase and its training run, if one is running."""

    text: str
    phase: str | None = None
    training: Status | None = None


def text(at: Status, columns: int | None = None) -> str:
    """At most SCREEN lines of 80 columns if there are at most two problems. Problems come last, where the eye is.

    Lines are cut to `columns`, but problems and hints are wrapped.
    """
    problems = problem_lines(at, columns)
    problems = ["", *problems] if problems else []
    lines = [line.text for line in body(at, columns, SCREEN - len(problems), flying(at))]
    return "\n".join([*lines, *problems])


def body(at: Status, columns: int | None, height: int, air: Sequence[Line], below: Sequence[int] = ()) -> list[Line]:
    """Everything but the problems, in at most `height` lines if possible. `air`: the lines of the flights.

    On a small screen, first fewer rows of the ledger are shown, then fewer flights. `below`: the number of lines that
    the caller adds below each flight.
    """
    heights = [1 + more for more in below or [0] * len(air)]
    shown = fitting(air, heights, room(at, height))
    taken = sum(heights[place] for place in shown) + (len(shown) < len(air))
    rows = max(FEW, room(at, height) + FEW - taken)
    hidden = [line for place, line in enumerate(air) if place not in shown]
    in_air = [*(air[place] for place in shown), *([Line(rest_in_words(hidden))] if hidden else [])]
    below_them = [*results(at), "", *(table(at["last"][-rows:], now(), metric_in(at).name) if at["last"] else [])]
    lines = [*map(Line, head(at)), *in_air, *map(Line, below_them)]
    return [replace(line, text=fit(printable(line.text), columns)) for line in lines]


def room(at: Status, height: int) -> int:
    """The number of lines that the flights may take."""
    return height - len(head(at)) - len(results(at)) - 2 - min(FEW, len(at["last"]))


def fitting(air: Sequence[Line], heights: Sequence[int], most: int) -> list[int]:
    """The indices of the shown flights: all, or those in training first, with one line left for the rest."""
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
    """Replace characters that could move the cursor."""
    return "".join(character if character.isprintable() else "?" for character in line)


def fit(line: str, columns: int | None) -> str:
    """Cut a line to the width of the terminal."""
    return line if columns is None or len(line) <= columns else line[: columns - 3] + "..."


def wrapped(line: str, columns: int | None) -> list[str]:
    """Wrap a line to the width of the terminal, with indented continuation lines."""
    return [line] if columns is None else textwrap.wrap(line, max(columns, 20), subsequent_indent=" " * 10)


def head(at: Status) -> list[str]:
    """The run and its loop."""
    set_up = local(moment(at["created"])) or at["created"]
    return [
        f"run       {at['tag']}, from {at['start'][:7]}, set up {set_up}; "
        f"{at['profile']}, {at['time_budget']:g} s a run",
        f"loop      {loop_state(at)}",
    ]


def loop_state(at: Status) -> str:
    """Whether a loop is running, who proposes, and what restarts the loop."""
    loop, who = at["loop"], proposer(at)
    if loop["alive"]:
        state = (
            "running" + (f" since {loop['since'][:-3]}" if loop["since"] else "") + f" (pid {loop['pid'] or 'unknown'})"
        )
        state += f", proposer {who}" if who else ""
    else:
        state = "not running" + ("" if loop["wanted"] else "; start it: make loop")
    if loop["wanted"] or loop["alive"]:
        state += f"; {loop['watched_by']} restarts it" if loop["watched_by"] else "; no automatic restart: make cron"
    return state


def flying(at: Status) -> list[Line]:
    """A line for each flight, and one for a run of make audit or make noise."""
    found = [Line(flight_line(one, at), one["phase"], training_of(one)) for one in at["flights"]]
    if beside := at["beside"]:
        found.append(
            Line(f"a run for make audit or make noise, {training_line(beside, at['time_budget'])}", "training", beside)
        )
    found = found or [Line("nothing")]
    return [replace(line, text=f"{'' if at else FLYING:<{len(FLYING)}}{line.text}") for at, line in enumerate(found)]


def flight_line(flight: Status, at: Status) -> str:
    """`f7 training in slot 1, attempt 2, 34 s of 60 s, loss 2.3457: raise LR`; the part without a limit comes last."""
    is_alone = len(at["flights"]) == 1
    slot = "" if is_alone or flight["slot"] is None else f" in slot {flight['slot']}"
    attempt = [f"attempt {flight['attempt']}"] if (flight["attempt"] or 1) > 1 else []
    how_far = [training_line(trained, at["time_budget"])] if (trained := training_of(flight)) else []
    said = ", ".join([phase_in_words(flight, at) + slot, *attempt, *how_far])
    return f"{flight['id']} {said}" + (f": {flight['description']}" if flight["description"] else "")


def phase_in_words(flight: Status, at: Status) -> str:
    """The phase of the flight in words, or the reason why it waits."""
    phase, who = flight["phase"], flight["agent"] or proposer(at) or "the proposer"
    if phase == "proposing" and who == "baseline":
        return "starting"
    if phase == "proposing":
        return f"asking {who}" + (" to fix it" if (flight["step"] or "").endswith("-mend") else "")
    if phase != "waiting":
        return WORDS.get(phase, str(phase))
    if not at["loop"]["alive"]:
        return "waiting for a loop"
    if at["beside"]:
        return "waiting for make audit or make noise to end"
    return "waiting for the machine to recover" if at["unfit"] else "waiting for a slot"


def rest_in_words(hidden: Sequence[Line]) -> str:
    """`and 3 more: 2 waiting, 1 proposing`"""
    phases = Counter(line.phase for line in hidden)
    return f"{'':<{len(FLYING)}}and {len(hidden)} more: " + ", ".join(
        f"{count} {phase}" for phase, count in phases.items()
    )


def training_line(trains: Status, budget: float) -> str:
    """`34 s of 60 s, loss 2.3457`; if the log has no steps, the seconds since the start."""
    if trains["progress"] is None:
        return f"running for {trains['seconds']:.0f} s, budget {budget:g} s"
    return f"{trains['progress'] * budget:.0f} s of {budget:g} s, loss {trains['loss']:.4f}"


def in_training(at: Status) -> Status | None:
    """The training run to watch: the first whose progress is known, in a flight or else in make audit or make noise."""
    found = [one for one in (*map(training_of, at["flights"]), at["beside"]) if one]
    return next((one for one in found if one["progress"] is not None), None)


def training_of(flight: Status) -> Status | None:
    """The training run of a flight, with its progress; None if it is not in training."""
    return {**flight["training"], "progress": flight["progress"]} if flight["training"] else None


def results(at: Status) -> list[str]:
    """The rows and the pace, the best, the gain, the trust, and the cost."""
    best = at["best"]
    found = [f"rows      {'unknown' if at['rows'] is None else rows_in_words(at)}"]
    if best is None:
        found.append(f"best      {'unknown' if at['damage'] else 'no baseline yet: make loop'}")
    else:
        metric = metric_in(at)
        what = "" if metric.is_bpb else f" {metric.name}, {metric.direction}"
        found.append(f"best      {metric.text(decimal(best['val_bpb']))}{what}  #{best['n']} {best['description']}")
        found.append(f"gain      {gain_in_words(at)}")
        found += [*trust_lines(at), *progress_line(at)]
    return [
        *found,
        *spent_lines(at["spent"], at["trainings_at_a_time"]),
        f"disk      {at['run_mb']:.1f} MB in runs/{at['tag']}, {at['free_mb'] / 1000:.1f} GB free",
    ]


def gain_in_words(at: Status) -> str:
    """`+0.004700 (0.47 %) over the baseline's 0.997900`"""
    if at["best"]["n"] == at["baseline"]["n"]:
        return "none yet"
    metric, gain = metric_in(at), decimal(at["gain"])
    level = decimal(at["best"]["val_bpb"]) + (-gain if metric.is_max else gain)
    percent = "" if at["gain_percent"] is None else f" ({at['gain_percent']:.2f} %)"
    return f"{metric.gain_text(gain, level)}{percent} over the baseline's {metric.text(level)}"


def metric_in(at: Status) -> Metric:
    """The run's metric, with enough facts to format a value."""
    named = at.get("metric") or {}
    return Metric(name=named.get("name") or BPB, is_max=named.get("goal") == "max")


def decimal(number: float) -> Decimal:
    """The number with the digits that a file has."""
    return Decimal(repr(number))


def level_of(at: Status) -> Decimal | None:
    """The value of the baseline, which sets the number of decimals; None without one."""
    return decimal(at["baseline"]["val_bpb"]) if at["baseline"] else None


def gain_in(at: Status, gain: float, fewer: int = 0) -> str:
    """A gain of the run, with the decimals of its values, or some fewer."""
    return metric_in(at).gain_text(decimal(gain), level_of(at) or Decimal(0), fewer)


def rows_in_words(at: Status) -> str:
    """`22 kept of 125, 102 discarded, 1 crashed; 6.2 an hour, last keep 40 min ago`"""
    rows = at["rows"]
    words = f"{rows['kept']} kept of {rows['total']}" if rows["total"] else "none after the baseline yet"
    words += "".join(f", {rows[name]} {name}" for name in ("discarded", "crashed") if rows[name])
    more = [] if at["per_hour"] is None else [f"{at['per_hour']:.3g} an hour"]
    if at["last_keep"] and rows["kept"] and (when := moment(at["last_keep"])):
        more.append(f"last keep {duration((now() - when).total_seconds())} ago")
    return words + (f"; {', '.join(more)}" if more else "")


def now() -> datetime:
    """The current time in UTC."""
    return datetime.now(timezone.utc)


def trust_lines(at: Status) -> list[str]:
    """How sure the keeps are, and what an audit reproduced."""
    counts, noise = at["trust"], at["noise"]
    if not any(counts.values()):
        return [] if noise is None else [f"noise     {noise_in_words(at)}"]
    kinds = ((counts["sure"], "sure"), (counts["likely"], "likely"), (counts["within"], "within the noise"))
    words = "confidence unknown, because the noise was not measured: make noise"
    if noise is not None:
        words = f"{', '.join(f'{count} {kind}' for count, kind in kinds if count)}; {noise_in_words(at)}"
    return [f"keeps     {words}", f"audit     {audit_in_words(at)}"]


def noise_in_words(at: Status) -> str:
    """`noise 0.000700 (one standard deviation of a run, 4 degrees of freedom)`"""
    noise, level = at["noise"], level_of(at)
    sd = metric_in(at).amount(decimal(noise["sd"]), level)
    return f"one run varies by {sd} ({noise['df']} degree{'' if noise['df'] == 1 else 's'} of freedom)"


def audit_in_words(at: Status) -> str:
    """`+0.004400 reproduced (95 %: +0.0031 to +0.0057), holdout +0.004100`"""
    found = at["audit"]
    if found is None:
        return "not audited yet: make audit"
    low, high, holdout = found["reproduced_low"], found["reproduced_high"], found["holdout_gain"]
    words = f"{gain_in(at, found['reproduced_gain'])} reproduced"
    words += "" if None in (low, high) else f" (95 %: {gain_in(at, low, 2)} to {gain_in(at, high, 2)})"
    words += "" if holdout is None else f", holdout {gain_in(at, holdout)}"
    words += " so far" if found["partial"] else ""
    kept = at["incumbent"]["n"] if at["incumbent"] else found["n"]
    return words if kept == found["n"] else f"{words}; for #{found['n']}, but #{kept} was kept since: make audit"


def progress_line(at: Status, width: int = CURVE, blocks: str = BLOCKS) -> list[str]:
    """The best value so far, from the baseline to now, as a curve."""
    rows = (at["rows"] or {"total": 0})["total"] + 1
    values = best_so_far(at["curve"], rows, width, is_max=metric_in(at).is_max)
    known = [value for value in values if value is not None]
    if len(known) < FEW or min(known) == max(known):
        return []
    return [f"progress  {sparkline(values, (min(known), max(known)), blocks)}"]


def spent_lines(spent: Status, at_a_time: float | None) -> list[str]:
    """`7.9 h of training (83 % of the time), 1,514,000 tokens, 5.14 USD`, as far as it is known; else no line."""
    units = (("hours", "{:.1f} h of training"), ("tokens", "{:,} tokens"), ("cost_usd", "{:.2f} USD"))
    words = [text.format(spent[name]) for name, text in units if spent[name] is not None]
    if words and spent["hours"] is not None and at_a_time is not None:
        share = f"{100 * at_a_time:.0f} % of the time" if at_a_time <= ALL else f"{at_a_time:.1f} at a time"
        words[0] += f" ({share})"
    return [f"spent     {', '.join(words)}"] if words else []


def table(rows: Sequence[Status], time: datetime, name: str = BPB) -> list[str]:
    """The rows of the ledger below a title line."""
    return [
        ROW.format("#", "ended", "verdict", name, "gain", "description").rstrip(),
        *(row_line(row, time) for row in rows),
    ]


def row_line(row: Status, time: datetime) -> str:
    """`#17 07:12 keep, sure 0.993200 +0.004700 raise LR`, aligned."""
    verdict = row["status"] + (f", {SHORT.get(row['trust'], row['trust'])}" if row["trust"] else "")
    gain = row["failure"] or ""
    if not gain and row["gain"] is not None:
        gain = f"{row['gain']:+.{len(row['val_bpb'].partition('.')[2])}f}"  # with the decimals of the value
    value = "" if row["status"] == "crash" else row["val_bpb"]
    mark = "(written by hand) " if row["foreign"] else ""
    return ROW.format(
        f"#{row['n']}", clock(moment(row["ended"]), time), verdict, value, gain, mark + row["description"]
    )
