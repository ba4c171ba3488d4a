"""Ledgers, the files beside them, and git's diffs -> one self-contained page, and a picture of the progress."""

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from lab.store import durable
from lab.views.report import axes, curves, diffs, gather, label_positions, page, parameters, progress_png

LONGEST = 24  # characters of a fact (a fact may be a hash)
Tell = Callable[[str], None]


def silent(_: str) -> None:
    """Ignore the progress messages."""


def report(
    ledgers: Sequence[Path], stream: str, out: Path, *, refresh: int | None = None, tell: Tell = silent
) -> list[Path]:
    """Write `report.html` and `progress.png` for these ledgers into the folder `out`. Returns the two paths.

    `stream` is git's output (lab.views.report.diffs). The page reloads every `refresh` seconds. `tell` is called with
    progress messages. Raises Fault if a ledger cannot be read.
    """
    tell("reading the ledgers")
    runs = [gather.run_data(path) for path in ledgers]
    rows = [{"run": at, **row} for at, one in enumerate(runs) for row in one.pop("rows")]
    by_commit, changed = diffs.parse(stream)
    diffs.add(rows, by_commit)
    parameters.add(rows, by_commit)
    for path, one in zip(ledgers, runs, strict=True):
        one["changed"] = changed.get(one["name"])
        curves.add([row for row in rows if runs[row["run"]] is one], path.parent, len(runs), tell)
    tell("drawing")
    lines = axes.add(rows)
    drawn = progress_png.costs(rows, runs[0]["metric"]["sign"])
    ends = progress_png.bounds(drawn)

    def labels_of(axis: str) -> list[dict[str, Any]]:  # for each width of the page
        placed = label_positions.placed
        return [{"width": size.width, "labels": placed(drawn, ends, size, axis)} for size in progress_png.PAGE]

    data = {
        "made": f"{datetime.now():%Y-%m-%d %H:%M}",
        "refresh": refresh,
        "runs": runs,
        "rows": rows,
        "notes": [note for one in runs for note in one.pop("notes")] + differences(runs),
        "bounds": ends,
        "axis": progress_png.axis_title(runs),
        "axes": [{**axis, "labels": labels_of(axis["name"])} for axis in lines],
    }
    out.mkdir(parents=True, exist_ok=True)
    html, picture = out / "report.html", out / "progress.png"
    durable.write_atomically(html, page.text(data), durable=False)
    durable.write_atomically(picture, progress_png.png(data), durable=False)
    return [html, picture]


def differences(runs: Sequence[dict[str, Any]]) -> list[str]:
    """Facts that differ between the runs, one per line, each with what the difference means for the comparison."""
    lines = []
    for name, values in facts_by_name(runs).items():
        if len(set(values)) > 1 and (name != "device" or None not in values):
            each = ", ".join(f"{one['name']}: {shortened(value)}" for one, value in zip(runs, values, strict=True))
            why = "another machine" if name == "device" else "not comparable"
            lines.append(f"{why}: {name} differs ({each})")
    return lines


def facts_by_name(runs: Sequence[dict[str, Any]]) -> dict[str, list[str | None]]:
    """The facts that should be equal: name -> the value in each run (None: unknown)."""
    facts = [
        {
            "metric": one["metric"]["name"],
            "profile": one["profile"],
            "TIME_BUDGET": one["budget"],
            "device": one["device"],
            **one["facts"],
        }
        for one in runs
    ]
    names = dict.fromkeys(name for one in facts for name in one)
    return {name: [None if one.get(name) is None else str(one[name]) for one in facts] for name in names}


def shortened(fact: str | None) -> str:
    """Cut a fact to LONGEST characters."""
    text = "unknown" if fact is None else fact
    return text if len(text) <= LONGEST else text[:LONGEST] + "…"
