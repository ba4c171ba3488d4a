"""All runs of a tree, with facts from the shell -> a table for a person, or the old runs without a taken keep.

The facts are lines. `taken HASH` is a keep that another branch of the person contains, as itself or as a copy.
`run TAG STATE LEFT` is a run. STATE is `running`, `dead` (it should be running) or `stopped`. LEFT lists the existing
parts of the run, joined by commas: `folder`, `branch`, `git` (its records).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from lab.errors import EXPECTED
from lab.one_line import clean
from lab.store import experiments
from lab.verdict import index
from lab.views import status, status_text, take
from lab.views.in_words import local, moment
from lab.views.status import Status

TITLES = ("run", "rows", "kept", "best", "gain", "hours", "loop", "audit", "taken", "size", "last row")
NUMBERS = {"rows", "kept", "hours", "size"}


@dataclass(frozen=True)
class Known:
    """The shell's facts about a run."""

    tag: str
    state: str
    left: Sequence[str]


def parse(facts: str) -> tuple[set[str], list[Known]]:
    """The commits that were taken, and the runs in their order."""
    lines = [line.split() for line in facts.splitlines()]
    runs = [Known(line[1], line[2], line[3].split(",")) for line in lines if line[0] == "run"]
    return {line[1] for line in lines if line[0] == "taken"}, runs


def runs(tree: Path, facts: str, old: int | None) -> list[str]:
    """The table, or the tags of the runs that are `old` days old."""
    return table(tree, facts) if old is None else old_tags(tree, facts, old)


def table(tree: Path, facts: str) -> list[str]:
    """A line for each run, below a title line."""
    taken, runs = parse(facts)
    rows = [line_of(tree / "runs" / one.tag, one, taken) for one in runs]
    shown = [name for name in TITLES if name in ("run", "loop") or any(row.get(name) for row in rows)]
    cells = [shown, *([row.get(name, "") for name in shown] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    aligned = [f"{'>' if name in NUMBERS else '<'}{width}" for name, width in zip(shown, widths, strict=True)]
    return ["  ".join(map(format, row, aligned)).rstrip() for row in cells]


def line_of(run: Path, known: Known, taken: set[str]) -> dict[str, str]:
    """The cells by title. A run without a folder, or with a damaged one, has only its state."""
    if "folder" not in known.left:
        left = f"only in git: make mend TAG={known.tag}" if "git" in known.left else "only the branch is left"
        return {"run": known.tag, "loop": left}
    try:
        at, past = status.from_records(run), index.read(run)
    except EXPECTED as error:
        return {"run": known.tag, "loop": clean(str(error), 60)}
    counts, best = at["rows"] or {"total": "?", "kept": "?"}, at["best"]
    metric = status_text.metric_in(at)
    name = "" if metric.is_bpb else f" {metric.name}"
    return {
        "run": known.tag,
        "rows": str(counts["total"]),
        "kept": str(counts["kept"]),
        "best": metric.text(status_text.decimal(best["val_bpb"])) + name if best else "",
        "gain": gain_in_words(at) if best else "",
        "hours": "" if at["spent"]["hours"] is None else f"{at['spent']['hours']:.1f}",
        "loop": known.state,
        "audit": audited(run, at),
        "taken": taken_in_words(run, taken),
        "size": f"{at['run_mb']:.0f} MB",
        "last row": local(last_change(past.last, at["created"])),
    }


def gain_in_words(at: Status) -> str:
    """The gain over the baseline."""
    share = "" if at["gain_percent"] is None else f" ({at['gain_percent']:.1f} %)"
    return status_text.gain_in(at, at["gain"]) + share


def audited(run: Path, at: Status) -> str:
    """The gain that an audit reproduced."""
    found = take.audit_of(run)
    if found is None:
        return "not yet"
    return status_text.gain_in(at, found["reproduced_gain"]) + (" so far" if found["partial"] else "")


def taken_in_words(run: Path, taken: set[str]) -> str:
    """How many of the run's keeps are on another branch of the person."""
    kept = [one["commit"] for one in experiments.keeps(run)[1:]]
    mine = sum(commit in taken for commit in kept)
    return f"{mine} of {len(kept)}" if mine else ""


def last_change(last: dict[str, Any] | None, created: str) -> datetime:
    """The end of the run's last experiment; the time of set-up before there is one."""
    return moment((last or {}).get("ended")) or moment(created) or datetime.now(timezone.utc)


def old_tags(tree: Path, facts: str, days: int) -> list[str]:
    """The tags of stopped runs without a row for `days` days and without a taken keep.

    A run that cannot be read is not among them, because nothing is known about it.
    """
    taken, runs = parse(facts)
    limit = datetime.now(timezone.utc) - timedelta(days=days)
    return [one.tag for one in runs if one.state == "stopped" and _is_old(tree / "runs" / one.tag, taken, limit)]


def _is_old(run: Path, taken: set[str], limit: datetime) -> bool:
    try:
        created = status.from_records(run)["created"]
        return last_change(index.read(run).last, created) < limit and not taken_in_words(run, taken)
    except EXPECTED:
        return False
