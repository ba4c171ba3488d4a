"""A baseline that failed, the end of its log -> what a person is told: the problem, and the way out.

It may have run to its end all the same: then what it printed, or wrote, is the problem, and not that it does not run.
"""

import re
from pathlib import Path

from lab.one_line import clean
from lab.runs import failures, outcome
from lab.store.metric import VAL_BPB, Metric

EXAMPLE = "0.997900"
MISSING = re.compile(rb"^(?:\S+: )?ModuleNotFoundError: No module named '([\w.]+)'", re.MULTILINE)
PACKAGES = {  # module -> the package that brings it, where that has another name
    "PIL": "pillow", "bs4": "beautifulsoup4", "cv2": "opencv-python", "dateutil": "python-dateutil",
    "dotenv": "python-dotenv", "skimage": "scikit-image", "sklearn": "scikit-learn", "yaml": "pyyaml",
}  # fmt: skip


def told(word: str, why: str, log: Path, metric: Metric = VAL_BPB) -> tuple[str, str]:
    """The problem, and what to do, by the kind of failure and its reason; '' where the log alone can say more."""
    problem, hint = _told(word, why, log, metric)
    return f"the baseline crashed: '{word}'" + (f": {problem}" if problem else ""), hint


def _told(word: str, why: str, log: Path, metric: Metric) -> tuple[str, str]:
    tail = failures.tail(log) if log.exists() else b""
    if word == "no-metric" and why.startswith("guard: "):
        return f"it ran, but {why.removeprefix('guard: ')}", "print a line of that name: NAME: NUMBER"
    if word == "no-metric" and not why.startswith("record: "):
        return f"it ran, but {_printed(log, metric)}", f"print a line that begins so: {metric.name}: {EXAMPLE}"
    if word in ("no-metric", "nan"):
        return f"it ran, but {why}", ""
    if word == "rejected":
        return f"it ran, but it may not write there: {why.removeprefix('rejected: ')}", "let it write other files"
    if missing := _missing(tail):
        return f"it needs a module that is not installed: '{missing}'", f"uv add {package_of(missing)}"
    value = outcome.read_metrics(log, metric).get(metric.name) if tail else None
    if word == "error" and outcome.lacks(value, metric) is None:
        return f"it printed a {metric.name}, {value}, but {why}", "let it end with exit status 0"
    return why if word == "error" else "", ""


def _printed(log: Path, metric: Metric) -> str:
    """What is wrong with the metric that it printed; a prefix of its line is."""
    name = metric.name
    value, tail = (outcome.read_metrics(log, metric).get(name), failures.printed(log)) if log.exists() else (None, b"")
    if value is not None:
        return f"its {name} is '{clean(value, 64)}', and not a number {metric.range_told}"
    nearly = list(_nearly(name).finditer(tail))
    said = f"; it has '{clean(nearly[-1][0].decode(errors='replace'), 80)}'" if nearly else ""
    return f"no line of its log begins with '{name}: NUMBER'{said}"


def _nearly(name: str) -> re.Pattern[bytes]:
    """A line that may have been meant for it."""
    either = ".?".join(map(re.escape, re.split(r"[^A-Za-z0-9]+", name)))
    return re.compile(f"^.*{either}.*$".encode(), re.MULTILINE | re.IGNORECASE)


def _missing(tail: bytes) -> str | None:
    found = MISSING.findall(tail)
    return found[-1].decode() if found else None


def package_of(module: str) -> str:
    """The name by which a package index knows a module, as far as we know."""
    top = module.split(".")[0]
    return PACKAGES.get(top, top)
