"""A failed baseline and the end of its log -> a problem and a hint for a person.

The run may have ended normally. Then the problem is its output or its files.
"""

import re
from pathlib import Path

from lab.one_line import clean
from lab.runs import failures, outcome
from lab.store.metric import VAL_BPB, Metric

EXAMPLE = "0.997900"
MISSING = re.compile(rb"^(?:\S+: )?ModuleNotFoundError: No module named '([\w.]+)'", re.MULTILINE)
PACKAGES = {  # module -> the package that contains it, if that has another name
    "PIL": "pillow", "bs4": "beautifulsoup4", "cv2": "opencv-python", "dateutil": "python-dateutil",
    "dotenv": "python-dotenv", "skimage": "scikit-image", "sklearn": "scikit-learn", "yaml": "pyyaml",
}  # fmt: skip


def told(word: str, why: str, log: Path, metric: Metric = VAL_BPB) -> tuple[str, str]:
    """The problem and the hint, from the failure's kind and reason; the hint is '' if only the log can help."""
    problem, hint = _told(word, why, log, metric)
    return f"the baseline crashed: '{word}'" + (f": {problem}" if problem else ""), hint


def _told(word: str, why: str, log: Path, metric: Metric) -> tuple[str, str]:
    tail = failures.tail(log) if log.exists() else b""
    if word == "no-metric" and why.startswith("guard: "):
        return f"it ran, but {why.removeprefix('guard: ')}", "print a line like this: NAME: NUMBER"
    if word == "no-metric" and not why.startswith("record: "):
        return f"it ran, but {_printed(log, metric)}", f"print a line like this: {metric.name}: {EXAMPLE}"
    if word in ("no-metric", "nan"):
        return f"it ran, but {why}", ""
    if word == "rejected":
        return f"it ran, but {why.removeprefix('rejected: ')}", "write to other files"
    if found := MISSING.findall(tail):
        missing = found[-1].decode()
        return (
            f"it needs a module that is not installed: '{missing}'",
            f"uv add {PACKAGES.get(top := missing.split('.')[0], top)}",
        )
    value = outcome.read_metrics(log, metric).get(metric.name) if tail else None
    if word == "error" and outcome.lacks(value, metric) is None:
        return f"it printed {metric.name} {value}, but {why}", "end it with exit status 0"
    return why if word == "error" else "", ""


def _printed(log: Path, metric: Metric) -> str:
    """The problem of the printed metric."""
    name = metric.name
    value, tail = (outcome.read_metrics(log, metric).get(name), failures.printed(log)) if log.exists() else (None, b"")
    if value is not None:
        return f"its {name} is '{clean(value, 64)}', which is not a number {metric.range_told}"
    either = ".?".join(map(re.escape, re.split(r"[^A-Za-z0-9]+", name)))
    nearly = re.findall(f"^.*{either}.*$".encode(), tail, re.MULTILINE | re.IGNORECASE)  # lines like the metric's
    said = f", only '{clean(nearly[-1].decode(errors='replace'), 80)}'" if nearly else ""
    return f"its log has no line that starts with '{name}: NUMBER'{said}"
