"""A baseline that failed, the end of its log -> what a person is told: the problem, and the way out.

It may have run to its end all the same: then what it printed, or wrote, is the problem, and not that it does not run.
"""

import re
from pathlib import Path

from lab.one_line import clean
from lab.runs import failures, outcome

PRINTED = "val_bpb: 0.997900"
NEARLY = re.compile(rb"^.*val.?bpb.*$", re.MULTILINE | re.IGNORECASE)  # a line that may have been meant for it
MISSING = re.compile(rb"^(?:\S+: )?ModuleNotFoundError: No module named '([\w.]+)'", re.MULTILINE)
PACKAGES = {  # module -> the package that brings it, where that has another name
    "PIL": "pillow", "bs4": "beautifulsoup4", "cv2": "opencv-python", "dateutil": "python-dateutil",
    "dotenv": "python-dotenv", "skimage": "scikit-image", "sklearn": "scikit-learn", "yaml": "pyyaml",
}  # fmt: skip


def told(word: str, why: str, log: Path) -> tuple[str, str]:
    """The problem, and what to do, by the kind of failure and its reason; '' where the log alone can say more."""
    problem, hint = _told(word, why, log)
    return f"the baseline crashed: '{word}'" + (f": {problem}" if problem else ""), hint


def _told(word: str, why: str, log: Path) -> tuple[str, str]:
    tail = failures.tail(log) if log.exists() else b""
    if word == "no-metric" and not why.startswith("record: "):
        return f"it ran, but {_printed(log, tail)}", f"print a line that begins so: {PRINTED}"
    if word in ("no-metric", "nan"):
        return f"it ran, but {why}", ""
    if word == "rejected":
        return f"it ran, but it may not write there: {why.removeprefix('rejected: ')}", "let it write other files"
    if missing := _missing(tail):
        return f"it needs a module that is not installed: '{missing}'", f"uv add {package_of(missing)}"
    value = outcome.read_metrics(log).get("val_bpb") if tail else None
    if word == "error" and outcome.lacks(value) is None:
        return f"it printed a val_bpb, {value}, but {why}", "let it end with exit status 0"
    return why if word == "error" else "", ""


def _printed(log: Path, tail: bytes) -> str:
    """What is wrong with the metric that it printed."""
    value = outcome.read_metrics(log).get("val_bpb") if log.exists() else None
    if value is not None:
        return f"its val_bpb is '{clean(value, 64)}', and not a number between 0 and 20"
    nearly = list(NEARLY.finditer(tail))
    said = f"; it has '{clean(nearly[-1][0].decode(errors='replace'), 80)}'" if nearly else ""
    return f"no line of its log begins with 'val_bpb: NUMBER'{said}"


def _missing(tail: bytes) -> str | None:
    found = MISSING.findall(tail)
    return found[-1].decode() if found else None


def package_of(module: str) -> str:
    """The name by which a package index knows a module, as far as we know."""
    top = module.split(".")[0]
    return PACKAGES.get(top, top)
