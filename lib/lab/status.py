"""Where a run stands -> an object (schemas/status.schema.json), and that as a few lines for a person.

What is in the files of the run is read here; what only a shell can know (is the tree held, does cron look after it)
comes as facts, from lib/facts.sh.
"""

import json
import os
import shutil
import textwrap
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

from lab import experiments, ledger, logs, manifest, noise
from lab.errors import KINDS, Fault
from lab.experiments import Experiment
from lab.flight import Flight
from lab.ledger import Row
from lab.wording import clean

LAST = 5  # rows
STEPS = Path(__file__).parents[1] / "steps"

Facts = Mapping[str, str]
Status = dict[str, Any]
T = TypeVar("T")


def facts_of(text: str) -> dict[str, str]:
    """NAME=value lines -> facts; what has no value is not known, and left out."""
    pairs = (line.partition("=")[::2] for line in text.splitlines())
    return {name: value for name, value in pairs if value}


def status(run: Path, facts: Facts) -> Status:
    """All of it. Raises OSError or ValueError where `run` is not the folder of a run."""
    return {**records(run), **now(run, facts)}


# ---------------------------------------------------------------------------
# What changes with a row
# ---------------------------------------------------------------------------


def records(run: Path) -> Status:
    """What the run is and what it has yielded. Of a damaged file nothing is known, and it is told."""
    facts, problems = manifest.read(run), []

    def readable(read: Callable[[], list[T]]) -> list[T] | None:
        try:
            return read()
        except KINDS as error:
            problems.append(problem(str(error), error.hint if isinstance(error, Fault) else "make validate"))
            return None

    rows = readable(lambda: ledger.read(run / "results.tsv"))
    past = readable(lambda: experiments.read(run))
    reruns = readable(lambda: noise.read(run))
    return {
        "tag": facts["tag"],
        "start": facts["start"],
        "created": facts["created"],
        "profile": facts["settings"]["PROFILE"],
        "time_budget": float(facts["settings"]["TIME_BUDGET"]),
        "counts": None if rows is None else counts(rows),
        **progress(past or []),
        "noise": spread(past or [], reruns or []),
        "last": last_rows(rows or [], past),
        "last_agent": next((one.get("agent") for one in reversed(past or []) if one.get("agent") != "baseline"), None),
        "run_mb": megabytes(run),
        "damage": problems,
    }


def problem(what: str, hint: str) -> dict[str, str]:
    """What is wrong, and what to do."""
    return {"problem": clean(what, 300), "hint": hint}


def counts(rows: list[Row]) -> dict[str, int]:
    """How many there are, and of each verdict."""
    of = Counter(row.status for row in rows)
    return {"rows": len(rows), **{word: of[word] for word in ("keep", "discard", "crash")}}


def in_words(counts: dict[str, int]) -> str:
    """`126: 23 keep, 102 discard, 1 crash`"""
    return f"{counts['rows']}: {counts['keep']} keep, {counts['discard']} discard, {counts['crash']} crash"


def progress(past: list[Experiment]) -> Status:
    """Baseline and best, once there is a baseline."""
    best = experiments.best(past)
    if best is None:
        return dict.fromkeys(("baseline", "best", "gain", "gain_percent"))
    gain: Decimal = past[0]["val_bpb"] - best["val_bpb"]
    return {
        "baseline": brief(past[0]),
        "best": brief(best),
        "gain": float(gain),
        "gain_percent": float(round(100 * gain / past[0]["val_bpb"], 2)),
    }


def brief(experiment: Experiment) -> Status:
    """What tells an experiment from others."""
    known = {name: experiment[name] for name in ("n", "commit", "description")}
    return {**known, "val_bpb": float(experiment["val_bpb"])}


def spread(past: list[Experiment], reruns: list[noise.Run]) -> Status | None:
    """The noise, where it is known."""
    found = noise.spread_of(noise.by_commit(past, reruns).values())
    return {"sd": float(found.sd), "df": found.df} if found else None


def last_rows(rows: list[Row], past: list[Experiment] | None) -> list[Status]:
    """The last ones; foreign are those that were written by hand, which no experiment has (null: not known)."""
    ours = None if past is None else {experiment["commit"][:7] for experiment in past}
    first = max(0, len(rows) - LAST)
    return [
        {"n": n, **vars(row), "foreign": None if ours is None else row.commit not in ours}
        for n, row in enumerate(rows[first:], start=first + 1)
    ]


def megabytes(folder: Path) -> float:
    """What a folder takes on the disk, in MB."""
    total = 0
    for path, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(path, name)).st_blocks * 512
            except OSError:
                continue  # the loop has taken it away meanwhile
    return round(total / 1e6, 1)


# ---------------------------------------------------------------------------
# What changes all the time
# ---------------------------------------------------------------------------


def now(run: Path, facts: Facts) -> Status:
    """The loop, the experiment in flight, the training in flight, the machine, and what is wrong."""
    wanted = facts.get("wanted") == "yes"
    return {
        "branch": facts.get("branch"),
        "loop": {"holder": facts.get("holder"), "wanted": wanted, "watched_by": facts.get("watcher")},
        "proposer": facts.get("agent"),
        "engine": facts.get("engine"),
        "in_flight": in_flight(Flight(run / "flight")),
        "training": training(run) if "holder" in facts else None,
        "free_mb": shutil.disk_usage(run).free // 1_000_000,
        "problems": troubles(run) + dead_loop(run, facts),
    }


def in_flight(flight: Flight) -> Status | None:
    """The experiment in flight, and the step that it is in."""
    done = flight.text("done")
    if done is None:
        return None
    finished = set(done.split("\n")[1:])
    steps = sorted(path.name for path in STEPS.iterdir())
    return {
        "description": flight.text("description"),
        "agent": flight.text("agent"),
        "step": next((step for step in steps if step not in finished), None),
        "attempt": flight.attempt if done.startswith("attempt ") else None,
        "started": flight.text("started"),
    }


def training(run: Path) -> Status | None:
    """The training run in flight, of an experiment or beside them; null once it is over."""
    link = run / "run.log"  # lib/train points it there
    folder = run / link.readlink().parent if link.is_symlink() else run
    started = Flight(folder).text("started")
    if started is None or (folder / "ended").exists() or not link.exists() or folder == run:
        return None
    step = logs.last_step(link)
    began = datetime.fromisoformat(started.removesuffix("Z")).replace(tzinfo=timezone.utc)
    return {
        "log": str(link.readlink()),
        "wall_seconds": round((datetime.now(timezone.utc) - began).total_seconds(), 1),
        "progress": step and step.progress,
        "num_steps": step and step.number,
        "loss": step and step.loss,
    }


def troubles(run: Path) -> list[dict[str, str]]:
    """What the loop, or keepalive, says that it suffers from (lib/hooks.sh)."""
    hints = {
        "machine": "the loop looks again by itself; make doctor",
        "loop": f"runs/{run.name}/loop.log has what it said; if it does not run: make loop",
        "proposer": "see what it says: make once; meanwhile the catalog proposes now and then",
    }
    found = []
    for path in sorted(run.glob("trouble.*")):
        text = Flight(run).text(path.name)
        if text and path.suffix != ".new":
            found.append(problem(text, hints.get(path.suffix[1:], "see what it says: make loop")))
    return found


def dead_loop(run: Path, facts: Facts) -> list[dict[str, str]]:
    """A loop that is wanted, and is not there."""
    if "holder" in facts or facts.get("wanted") != "yes":
        return []
    restarts = (Flight(run).text("restarts") or "").split()
    if not restarts:
        hint = "cron starts it again, or you: make loop" if facts.get("watcher") == "cron" else "make loop, make cron"
        return [problem("no loop is running, though one is wanted", hint)]
    last = datetime.fromtimestamp(int(restarts[1])).strftime("%F %T")
    what = f"no loop is running, though one is wanted: started {restarts[0]} times without a row, last at {last}"
    said = [line for line in last_words(run / "keepalive.log") if not line.startswith("hint: ")]
    return [problem(what + (f"; it said: {said[-1]}" if said else ""), "see what it says: make loop")]


def last_words(log: Path) -> list[str]:
    """The last lines of a log that may not be there."""
    text = logs.end(log, 1000).decode(errors="replace") if log.exists() else ""
    return [line for line in text.splitlines() if line.strip()]


# ---------------------------------------------------------------------------
# For a person
# ---------------------------------------------------------------------------


def text(at: Status, columns: int | None = None) -> str:
    """At most 24 lines of 80 columns where no more than two things are wrong, the latter at the end, where the eye is.

    Lines are cut to so many columns, if that is given; what is wrong, and the way out, is never cut.
    """
    return "\n".join([*body(at, columns), *(["", *told] if (told := wrong(at, columns)) else [])])


def as_json(at: Status) -> str:
    """The object, for machines."""
    return json.dumps(public(at), indent=2, ensure_ascii=False)


def public(at: Status) -> Status:
    """As the schema has it: what is wrong in one list."""
    rest = {name: value for name, value in at.items() if name not in ("damage", "last_agent")}
    return {**rest, "proposer": proposer(at), "problems": at["damage"] + at["problems"]}


def proposer(at: Status) -> str | None:
    """Of the loop that is wanted, of the experiment in flight, or of the last one."""
    flying = (at["in_flight"] or {}).get("agent")
    found: str | None = at["proposer"] or (flying if flying != "baseline" else None) or at["last_agent"]
    return found


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
        f"in flight {flight_line(at)}",
    ]


def loop(of: Status) -> str:
    """Whether a loop is at work, and who looks after it."""
    state = f"running, {of['holder']}" if of["holder"] else "not running" + ("" if of["wanted"] else ": make loop")
    if of["wanted"] or of["holder"]:
        state += f"; {of['watched_by']} looks after it" if of["watched_by"] else "; no cron: make cron"
    return state


def flight_line(at: Status) -> str:
    """The step, how far its training is, and last the experiment, which may be long."""
    flying, trains = at["in_flight"], at["training"]
    how_far = [training_line(at)] if trains else []
    if flying is None:
        return ", ".join(["a run beside the experiments", *how_far]) if trains else "nothing"
    attempt = [f"attempt {flying['attempt']}"] if (flying["attempt"] or 1) > 1 else []
    return ", ".join([flying["step"] or "over", *attempt, *how_far]) + f": {flying['description'] or 'no proposal yet'}"


def training_line(at: Status) -> str:
    """`34 s of 60 s, loss 2.345678`; where it does not tell, how long it has been running."""
    trains, budget = at["training"], at["time_budget"]
    if trains["progress"] is None:
        return f"running for {trains['wall_seconds']:.0f} s, budget {budget:g} s"
    return f"{trains['progress'] * budget:.0f} s of {budget:g} s, loss {trains['loss']:.6f}"


def results(at: Status) -> list[str]:
    """What there is so far."""
    of, best, known = at["counts"], at["best"], at["noise"]
    found = [f"rows      {'not known' if of is None else in_words(of)}"]
    if best is None:
        found.append("best      no baseline yet: make loop")
    else:
        gain = f"gain {at['gain']:+.6f}, {at['gain_percent']:.2f} %"
        found.append(f"baseline  {at['baseline']['val_bpb']:.6f}")
        found.append(f"best      {best['val_bpb']:.6f} ({gain}), #{best['n']} {best['description']}")
    if known:
        found.append(f"noise     {known['sd']:.6f} is one standard deviation ({known['df']} degrees of freedom)")
    return [*found, f"disk      {at['run_mb']:.1f} MB in runs/{at['tag']}, {at['free_mb'] / 1000:.1f} GB free"]


def row_line(row: Status) -> str:
    """As it stands in the ledger."""
    mark = "  (foreign: written by hand)" if row["foreign"] else ""
    return f"{row['commit']}  {row['val_bpb']}  {row['memory_gb']:>5}  {row['status']:<7}  {row['description']}{mark}"
