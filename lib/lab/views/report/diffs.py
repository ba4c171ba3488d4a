"""git's output -> the diff of each experiment.

bin/report gets all diffs from one call of git. For each commit it writes NUL, the hash, a newline and the diff against
the parent. For each run it writes NUL, `run TAG`, a newline and the diff from the start to the incumbent. No diff
contains a NUL, because git treats a file with a NUL as binary.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Any

ALL = 1_000_000  # characters of diffs in a page
LONGEST = 20_000  # characters of one diff
LEFT_OUT = "left out, to keep this page small"
HEAD = re.compile(r"\A(?:(?!@@ |Binary ).*\n)*")  # diff --git, index, ---, +++


def parse(stream: str) -> tuple[dict[str, str], dict[str, str]]:
    """The diffs by commit, and the diffs by the tag of the run."""
    by_commit: dict[str, str] = {}
    by_run: dict[str, str] = {}
    for part in stream.split("\0")[1:]:
        name, _, diff = part.partition("\n")
        text = HEAD.sub("", diff.lstrip("\n")).rstrip("\n")
        if name.startswith("run "):
            by_run[name.removeprefix("run ")] = text
        else:
            by_commit[name] = text
    return by_commit, by_run


def most_important_first(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows in the order in which they get room in the page: keeps first, then the newest."""
    return sorted(rows, key=lambda row: (row["status"] != "keep", -row["n"]))


def add(rows: Sequence[dict[str, Any]], diffs: dict[str, str]) -> None:
    """Add a `diff` to the rows that have one, or a reason in `no_diff` if the page has no room for it."""
    room = ALL
    for row in most_important_first(rows):
        diff = diffs.get(row["commit"])
        if not diff:
            continue
        if len(diff) > min(LONGEST, room):
            row["no_diff"] = LEFT_OUT
        else:
            row["diff"] = diff
            room -= len(diff)
