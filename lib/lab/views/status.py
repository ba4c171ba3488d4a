"""The files of a run -> its status: an object of schemas/status.schema.json, and more facts for the text form.

Some facts only a shell can find (is the tree locked, does cron watch the loop). They come from lib/run/status_facts.sh.
"""

import json
import mmap
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

from lab.errors import EXPECTED, Fault, for_here
from lab.one_line import clean
from lab.runs import logs
from lab.store import experiments, jsonl, ledger, manifest, schemas, two_records
from lab.store.experiments import Experiment
from lab.store.flight import Flight
from lab.store.metric import VAL_BPB, Metric
from lab.store.two_records import Difference
from lab.verdict import index, trust
from lab.verdict.index import SPENT, Index
from lab.verdict.record import WITHOUT_ROW
from lab.verdict.trust import Trust
from lab.views import flight_phase
from lab.views.in_words import moment

LAST = 5  # rows
RECENT = 20  # experiments that the pace is computed from
UNPUBLISHED = ("damage", "last_agent", "incumbent", "recent", "curve", "unfit")  # for the text form and make watch only

Facts = Mapping[str, str]
Status = dict[str, Any]
T = TypeVar("T")


def facts_of(text: str) -> dict[str, str]:
    """Parse NAME=value lines; names without a value are left out."""
    pairs = (line.partition("=")[::2] for line in text.splitlines())
    return {name: value for name, value in pairs if value}


def status(run: Path, facts: Facts) -> Status:
    """The whole status. Raises OSError or ValueError if `run` is not the folder of a run."""
    return joined(from_records(run), live(run, facts))


def joined(records: Status, now: Status) -> Status:
    """Join what the records say with what is running, and add the pace, which depends on both."""
    return {**records, **now, **pace(records["recent"], now["loop"])}


def as_json(at: Status) -> str:
    """The published object, with all problems in one list."""
    rest = {name: value for name, value in at.items() if name not in UNPUBLISHED}
    whole = {**rest, "proposer": proposer(at), "problems": at["damage"] + at["problems"]}
    return json.dumps(whole, indent=2, ensure_ascii=False)


def proposer(at: Status) -> str | None:
    """The proposer of the loop, else of an experiment in flight, else of the last experiment."""
    flying = (flight["agent"] for flight in at["flights"] if flight["agent"] != "baseline")
    found: str | None = at["proposer"] or next(flying, None) or at["last_agent"]
    return found


# --- From the records: changes with each row --------------------------------------------------------------------------


def from_records(run: Path, most: int = LAST) -> Status:
    """The identity of the run, its results so far, and its last `most` rows.

    Nothing is known from a damaged file; `damage` lists the problems.
    """
    facts, metric, damage = manifest.read(run), manifest.metric_of(run), []

    def readable(read: Callable[[], T]) -> T | None:
        try:
            return read()
        except EXPECTED as error:
            damage.append(problem(str(error), error.hint if isinstance(error, Fault) else "make validate"))
            return None

    lines = readable(lambda: ledger.lines(run / "results.tsv"))
    past = readable(lambda: index.read(run))
    known = past or Index()
    is_edited = lines is not None and past is not None and not two_records.is_same(run, lines, past.mark)
    edited = two_records.differences(run, lines or []) if is_edited else []
    damage.extend(told_of_edits(run, edited))
    kept = (past and readable(lambda: experiments.keeps(run))) or []
    sure = trust.of_keeps(run, kept, known.spread_on)
    recent = (past and readable(lambda: experiments.last(run, max(RECENT, most)))) or []
    return {
        **{name: facts[name] for name in ("tag", "start", "created")},
        "profile": facts["settings"]["PROFILE"],
        "time_budget": float(facts["settings"]["TIME_BUDGET"]),
        "metric": {"name": metric.name, "goal": "max" if metric.is_max else "min"},
        "rows": None if lines is None else count_rows(lines, edited, past),
        **progress(known, metric),
        "spent": spent(known, readable(lambda: jsonl.read(run / WITHOUT_ROW)) or []),
        "trust": count_trust(sure),
        "audit": audited(run),
        "last_keep": kept[-1].get("ended") if kept else None,
        "recent": [(one.get("ended"), one.get("wall_seconds")) for one in recent[-RECENT:]],
        "curve": [(one["n"], float(one["val_bpb"])) for one in kept],
        "last": last_rows(
            run, (lines or [])[-most:], len(lines or []), [*kept, *recent], sure, is_known=past is not None
        ),
        "last_agent": None if (agent := (known.last or {}).get("agent")) == "baseline" else agent,
        "incumbent": known.incumbent,
        "run_mb": megabytes(run),
        "damage": damage,
    }


def told_of_edits(run: Path, found: list[Difference]) -> list[dict[str, str]]:
    """The problem, with the first difference."""
    if not found:
        return []
    places = len({(one.line, one.n) for one in found})
    first = f"{'row' if found[0].line is None else f'line {found[0].line}, {found[0].column}'}: {found[0].problem}"
    what = f"results.tsv differs from the record in {places} row{'s' if places > 1 else ''}; {first}"
    return [problem(what, f"make mend TAG={run.name}")]


def spent(known: Index, others: Iterable[Mapping[str, Any]]) -> Status:
    """The cost of the experiments and of calls without a row, together; None where nothing is reported."""

    def total(name: str) -> Decimal | None:
        amounts = [Decimal(one[name]) for one in (known.spent, *others) if one.get(name) is not None]
        return sum(amounts, Decimal(0)) if amounts else None

    tokens, dollars, seconds = (total(name) for name in SPENT)
    return {
        "hours": None if seconds is None else float(round(seconds / 3600, 3)),
        "cost_usd": None if dollars is None else float(round(dollars, 6)),
        "tokens": None if tokens is None else int(tokens),
    }


def problem(what: str, hint: str) -> dict[str, str]:
    """A problem and its hint, as shown to a person."""
    return {"problem": clean(what, 300), "hint": for_here(hint)}


def count_rows(lines: list[str], edited: list[Difference], past: Index | None) -> dict[str, int]:
    """The number of rows and of each verdict, as recorded and without the baseline.

    Rows that were written by hand may come before the baseline. If the experiments are unknown, it is the first row.
    """
    then = {one.line: one.recorded for one in edited if one.column == "status" and one.recorded}
    counts = Counter(then.get(number) or ledger.status(line) for number, line in enumerate(lines, start=2))
    commit = past.baseline["commit"][:7] if past and past.baseline else "none yet"
    own = (number for number, line in enumerate(lines, start=2) if past is None or line.startswith(f"{commit}\t"))
    if (at := next(own, None)) is not None:
        counts[then.get(at) or ledger.status(lines[at - 2])] -= 1
    kept, discarded, crashed = (counts[verdict] for verdict in ("keep", "discard", "crash"))
    return {"total": counts.total(), "kept": kept, "discarded": discarded, "crashed": crashed}


def progress(past: Index, metric: Metric = VAL_BPB) -> Status:
    """The noise, and, once there is a baseline, the baseline and the best."""
    noise = {"sd": float(past.spread.sd), "df": past.spread.df} if past.spread else None
    if past.baseline is None or past.best is None:
        return {"noise": noise, **dict.fromkeys(("baseline", "best", "gain", "gain_percent"))}
    gain, level = past.claimed(past.best), past.level or Decimal(past.baseline["val_bpb"])
    return {
        "noise": noise,
        "baseline": headline(past.baseline),
        "best": headline(past.best),
        "gain": float(gain),
        "gain_percent": float(round(100 * gain / abs(level), 2)) if level else None,
    }


def headline(experiment: Experiment) -> Status:
    """The facts that identify an experiment, and its value."""
    known = {name: experiment[name] for name in ("n", "commit", "description")}
    return {**known, "val_bpb": float(experiment["val_bpb"])}


def count_trust(sure: Mapping[str, Trust]) -> dict[str, int]:
    """The number of keeps that are sure, likely, within the noise, and unknown."""
    counts = Counter(one.word for one in sure.values())
    words = {"sure": trust.SURE, "likely": trust.LIKELY, "within": trust.WITHIN, "unknown": None}
    return {name: counts[word] for name, word in words.items()}


def audited(run: Path) -> Status | None:
    """The gains that make audit measured; None if it has not run."""
    found = schemas.read_valid("audit", run / "audit.json")
    if found is None:
        return None
    names = [f"{name}_{what}" for name in ("claimed", "reproduced", "holdout") for what in ("gain", "low", "high")]
    pairs = {"n": found["incumbent"]["n"], "pairs": len(found["pairs"]), "partial": found["partial"]}
    return {**pairs, **{name: found[name] for name in names}}


def last_rows(
    run: Path, lines: list[str], total: int, known: list[Experiment], sure: Mapping[str, Trust], *, is_known: bool
) -> list[Status]:
    """The last rows of `total`, with their records. A row that was written by hand is foreign (None: unknown)."""
    found = [ledger.row(line) for line in lines]
    ours = commits_on_record(run, [row.commit for row in found])
    by_commit = {one["commit"][:7]: one for one in known}
    places = range(total - len(found) + 1, total + 1)
    return [
        {
            "n": n,
            **vars(row),
            "foreign": row.commit not in ours if is_known else None,
            **on_record(by_commit.get(row.commit), sure),
        }
        for n, row in zip(places, found, strict=True)
    ]


def on_record(one: Experiment | None, sure: Mapping[str, Trust]) -> Status:
    """The recorded facts of a row: number, gain, trust, failure and end; None for a row without a record."""
    if one is None:
        return dict.fromkeys(("gain", "trust", "failure", "ended"))
    gain, known = one.get("gain"), sure.get(one["commit"])
    return {
        "n": one["n"],
        "gain": None if gain is None else float(gain),
        "trust": known.word if known else None,
        "failure": one.get("failure"),
        "ended": one.get("ended"),
    }


def pace(recent: Sequence[tuple[str | None, Any]], loop: Status) -> Status:
    """Experiments per hour, and the average number of trainings at a time, in the last RECENT experiments.

    While a loop runs, only its own experiments count, because a pause between two loops is not slowness.
    """
    known = [(when, float(wall or 0)) for ended, wall in recent if (when := moment(ended))]
    since = moment_of_local(loop["since"]) if loop["alive"] else None
    ours = [(when, wall) for when, wall in known if since is None or when > since]
    if since is None or len(ours) == len(known) > 1:
        since, ours = (ours[0][0], ours[1:]) if ours else (None, [])
    if since is None or not ours or (span := (ours[-1][0] - since).total_seconds()) <= 0:
        return {"per_hour": None, "trainings_at_a_time": None}
    share = sum(wall for _, wall in ours) / span
    return {"per_hour": round(3600 * len(ours) / span, 2), "trainings_at_a_time": round(share, 3)}


def moment_of_local(said: str | None) -> datetime | None:
    """A local time in the format of lib/run/tree.sh; None if it is unreadable."""
    try:
        return datetime.strptime(said or "", "%Y-%m-%d %H:%M:%S").astimezone()
    except ValueError:
        return None


def commits_on_record(run: Path, commits: list[str]) -> set[str]:
    """The given commits (7 digits) that have an experiment; searched from the end, where the last ones are."""
    path = run / experiments.FILE
    if not path.exists() or path.stat().st_size == 0:
        return set()
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return {one for one in commits if len(one) == 7 and data.rfind(f'"commit": "{one}'.encode()) >= 0}


def megabytes(folder: Path) -> float:
    """The disk space of a folder, in MB."""
    total = 0
    for path, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(path, name)).st_blocks * 512
            except OSError:
                continue  # the loop has just removed the file
    return round(total / 1e6, 1)


# --- Live: changes all the time ---------------------------------------------------------------------------------------


def live(run: Path, facts: Facts) -> Status:
    """The loop, the flights, the machine, and the current problems."""
    alive = facts.get("alive") == "yes"
    return {
        "branch": facts.get("branch"),
        "loop": loop_state(facts),
        "proposer": facts.get("agent"),
        "engine": facts.get("engine"),
        "flights": flight_phase.flights(run, alive=alive),
        "beside": flight_phase.beside(run, alive=alive),
        "free_mb": shutil.disk_usage(run).free // 1_000_000,
        "unfit": (run / "trouble.machine").exists(),
        "problems": troubles(run) + dead_loop(run, facts),
    }


def loop_state(facts: Facts) -> Status:
    """Whether a loop is running, and what restarts it."""
    pid = facts.get("pid", "")
    return {
        "alive": facts.get("alive") == "yes",
        "pid": int(pid) if pid.isdecimal() else None,
        "since": facts.get("since"),
        "wanted": facts.get("wanted") == "yes",
        "watched_by": facts.get("watcher"),
    }


def troubles(run: Path) -> list[dict[str, str]]:
    """The problems that the loop or keepalive reported (lib/run/notify.sh)."""
    hints = {
        "machine": "wait: the loop checks again; to check now: make doctor",
        "loop": f"read runs/{run.name}/loop.log; if no loop is running: make loop",
        "proposer": "to see its error: make once; meanwhile the catalog proposes some experiments",
    }
    found = []
    for path in sorted(run.glob("trouble.*")):
        text = Flight(run).text(path.name)
        if text and path.suffix != ".new":
            found.append(problem(text, hints.get(path.suffix[1:], "to see the error: make loop")))
    return found


def dead_loop(run: Path, facts: Facts) -> list[dict[str, str]]:
    """The problem that a loop should be running but is not, if that is so."""
    if facts.get("alive") == "yes" or facts.get("wanted") != "yes":
        return []
    restarts = (Flight(run).text("restarts") or "").split()
    if not restarts:
        hint = "wait for cron, or start it: make loop" if facts.get("watcher") == "cron" else "start it: make loop"
        return [problem("the loop is not running, but it should be", hint)]
    last = datetime.fromtimestamp(int(restarts[1])).strftime("%F %T")
    what = f"the loop is not running, but it should be: started {restarts[0]} times without a row, last at {last}"
    log = run / "keepalive.log"
    text = logs.last_bytes(log, 1000).decode(errors="replace") if log.exists() else ""
    said = [line for line in text.splitlines() if line.strip() and not line.startswith("hint: ")]
    return [problem(what + (f"; its last message: {said[-1]}" if said else ""), "to see the error: make loop")]
