"""The logs of past runs -> the curve of each experiment's training loss, thinned.

A curve is POINTS values: the mean loss in each of as many equal parts of the training, None where nothing was printed.
So two curves can be held against each other at the same point of the budget, whatever the number of their steps.
"""

import gzip
import re
import zlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from lab.report.diffs import first

POINTS = 60
SAMPLES = 8  # steps for each point, of many more
LONGEST = 32 * 2**20  # bytes of a log that are read
MOST = 1000  # curves in a page
ENDED = 0.95  # of the budget: a run that came so far has not crashed in training
NAME = re.compile(r"([0-9a-f]{7})-(\d+)\.log\.gz")
STEP = re.compile(rb"\bstep\s+(\d+)(?:\s*\(\s*([\d.]+)\s*%\))?[^\r\n]*?\bloss:\s*([\d.]+)")

Curve = list[float | None]


def add(rows: Sequence[dict[str, Any]], folder: Path, shared: int) -> None:
    """Add a `curve` to the rows that have a log: the keeps first, then the newest. `shared`: runs in the page."""
    logs = logs_in(folder)
    there = [row for row in first(rows) if row["commit"][:7] in logs]
    for row in there[: MOST // shared]:
        curve = best_of(logs[row["commit"][:7]])
        if curve:
            row["curve"] = curve


def logs_in(folder: Path) -> dict[str, list[Path]]:
    """The logs of each commit, by its first 7 digits, in the order of the attempts."""
    found: dict[str, list[tuple[int, Path]]] = defaultdict(list)
    for path in folder.glob("*.log.gz") if folder.is_dir() else ():
        if name := NAME.fullmatch(path.name):
            found[name[1]].append((int(name[2]), path))
    return {commit: [path for _, path in sorted(logs)] for commit, logs in found.items()}


def best_of(logs: Iterable[Path]) -> Curve | None:
    """The first that came to the end of its training (the first run has the seed of all first runs), or the longest."""
    longest: Curve | None = None
    for path in logs:
        curve = read(path)
        if curve and length(curve) >= ENDED:
            return curve
        if curve and (longest is None or length(curve) > length(longest)):
            longest = curve
    return longest


def length(curve: Curve) -> float:
    """The share of the training that it covers."""
    return max(at for at, value in enumerate(curve, start=1) if value is not None) / len(curve)


def read(path: Path) -> Curve | None:
    """The curve of a log; None where it has no step, or cannot be read."""
    try:
        with gzip.open(path) as file:
            data = file.read(LONGEST)
    except (OSError, EOFError, zlib.error):
        return None
    return curve_of(data)


def curve_of(log: bytes) -> Curve | None:
    """The same of the text. A step without a per cent is placed by its number; a loss that is no number is none."""
    lines = log.replace(b"\r", b"\n").split(b"\n")
    every = max(1, len(lines) // (POINTS * SAMPLES))
    steps = [found.groups() for line in lines[::every] if (found := STEP.search(line))]
    if not steps:
        return None
    last = int(steps[-1][0]) or 1
    bins: list[list[float]] = [[] for _ in range(POINTS)]
    for step, percent, loss in steps:
        at = number(percent) / 100 if percent else int(step) / (last + 1)
        bins[min(int(at * POINTS), POINTS - 1)].append(number(loss))
    return [round(sum(one) / len(one), 4) if one else None for one in bins]


def number(digits: bytes) -> float:
    """Of digits and points, which may stand there as 1.2.3."""
    try:
        return float(digits)
    except ValueError:
        return 0.0
