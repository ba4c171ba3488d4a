"""The logs of past runs (lab.runs.logs) -> the training loss curve of each experiment.

A curve has POINTS values: the mean loss in each of POINTS equal parts of the budget, or None if no loss was printed.
Curves of runs with different numbers of steps can so be compared at the same point.
"""

import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from lab.runs import logs
from lab.views.report.diffs import most_important_first

POINTS = 60
MOST = 1000  # curves in a page


def add(rows: Sequence[dict[str, Any]], run: Path, shared: int, tell: Callable[[str], None]) -> None:
    """Add a `curve` to rows with a log, first to keeps, then to the newest. `shared`: the number of runs in the page.

    `tell` is called with a progress message for each.
    """
    logged = [(row, log) for row in most_important_first(rows) if (log := logs.log_of(run, row))]
    for at, (row, log) in enumerate(logged[: MOST // shared], start=1):
        tell(f"reading the log of #{row['n']}, {at} of {min(len(logged), MOST // shared)}")
        if curve := curve_of(log):
            row["curve"] = curve


def curve_of(log: Path) -> list[float | None] | None:
    """The curve of a log; None if the log has no step or cannot be read."""
    try:
        values = logs.curve(log).values(POINTS)
    except (OSError, EOFError, zlib.error):
        return None
    return [value and round(value, 4) for value in values] if any(value is not None for value in values) else None
