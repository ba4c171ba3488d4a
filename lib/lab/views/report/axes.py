"""Rows -> the possible x axes of the progress picture: number, keeps, time, hours of training, cost.

Each row gets its position on each axis, from 0 to 1, so that one drawing serves all axes. An axis has its end values.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from lab.views.in_words import moment
from lab.views.report.label_positions import is_keep

Row = dict[str, Any]
Axis = dict[str, Any]  # name, title, first and last value; times in seconds since the epoch
FEW = 10  # experiments that an axis has room for at least, so that a new run is not stretched


def add(rows: Sequence[Row]) -> list[Axis]:
    """Add `x` to each row, its position on each axis that it has one on. Returns the axes, by number first."""
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
    """The running sum of each run; None before its first known value."""
    sums: dict[int, float] = {}
    found: list[float | None] = []
    for row in rows:
        if row.get(name) is not None:
            sums[row["run"]] = sums.get(row["run"], 0.0) + float(row[name]) / unit
        found.append(sums.get(row["run"]))
    return found


def _seconds(said: str | None) -> float | None:
    when = moment(said)
    return when.timestamp() if when else None
