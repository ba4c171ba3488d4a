"""Rows -> the axes that the progress can be drawn over: numbers, keeps, time, hours of training, cost.

Each row gets its place on each axis as a share of it, so that one drawing serves all; an axis says what its ends are.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timezone
from typing import Any

from lab.views.report.label_positions import is_keep

Row = dict[str, Any]
Axis = dict[str, Any]  # name, title, the values at its ends; times in seconds since the epoch
FEW = 10  # experiments: a run that has just begun gets room, too


def add(rows: Sequence[Row]) -> list[Axis]:
    """Add `x` to each row: its place on each axis that has one for it. Returns the axes, the one by number first."""
    for row in rows:
        row["x"] = {}
    last = max([FEW, *(row["n"] for row in rows)])
    axes = [_scaled("n", "experiment", rows, [row["n"] for row in rows], (0, last))]
    kept = {id(row): at for at, row in enumerate((row for row in rows if is_keep(row)), start=1)}
    if len(kept) > 1:
        axes.append(_scaled("keep", "kept change", rows, [kept.get(id(row)) for row in rows], (0, len(kept) + 1)))
    for name, title, values in (
        ("time", "time of day", [_seconds(row.get("ended")) for row in rows]),
        ("hours", "hours of training", _summed(rows, "wall_seconds", 3600)),
        ("cost", "USD of the proposer", _summed(rows, "cost_usd", 1)),
    ):
        known = [value for value in values if value is not None]
        if len(known) > len(rows) / 2 and max(known) > min(known):
            begin = min(known) if name == "time" else 0
            axes.append(_scaled(name, title, rows, values, (begin, max(known))))
    return axes


def _scaled(
    name: str, title: str, rows: Sequence[Row], values: Iterable[float | None], ends: tuple[float, float]
) -> Axis:
    for row, value in zip(rows, values, strict=True):
        if value is not None:
            row["x"][name] = round((value - ends[0]) / (ends[1] - ends[0]), 5)
    return {"name": name, "title": title, "first": ends[0], "last": ends[1]}


def _summed(rows: Sequence[Row], name: str, unit: float) -> list[float | None]:
    """The sum so far, of each run for itself; None before the first that is known."""
    sums: dict[int, float] = {}
    found: list[float | None] = []
    for row in rows:
        if row.get(name) is not None:
            sums[row["run"]] = sums.get(row["run"], 0.0) + float(row[name]) / unit
        found.append(sums.get(row["run"]))
    return found


def _seconds(said: str | None) -> float | None:
    try:
        return datetime.fromisoformat((said or "").removesuffix("Z")).replace(tzinfo=timezone.utc).timestamp()
    except ValueError:
        return None
