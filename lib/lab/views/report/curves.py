"""The logs of past runs (lab.logs) -> the curve of each experiment's training loss, as the page has it.

A curve is POINTS values: the mean loss in each of as many equal parts of the budget, None where nothing was printed. So
two curves can be held against each other at the same point, whatever the number of their steps.
"""

import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lab.runs import logs
from lab.views.report.diffs import first

POINTS = 60
MOST = 1000  # curves in a page


def add(rows: Sequence[dict[str, Any]], run: Path, shared: int) -> None:
    """Add a `curve` to the rows that have a log: the keeps first, then the newest. `shared`: runs in the page."""
    there = [(row, log) for row in first(rows) if (log := logs.own(run, row))]
    for row, log in there[: MOST // shared]:
        if curve := curve_of(log):
            row["curve"] = curve


def curve_of(log: Path) -> list[float | None] | None:
    """The curve of a log; None where it has no step, or cannot be read."""
    try:
        values = logs.curve(log).values(POINTS)
    except (OSError, EOFError, zlib.error):
        return None
    return [value and round(value, 4) for value in values] if any(value is not None for value in values) else None
