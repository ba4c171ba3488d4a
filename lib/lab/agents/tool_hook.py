"""What an agent is about to do with a tool -> what to do instead, where the protocol forbids it during a run.

A reminder for an agent that has forgotten a law, not a wall: the steps of an experiment hold whatever this lets
through. So a command that cannot be read is let through. Only the standard library: this is asked before each use of
a tool.
"""

import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.agents.shell_line import Command, commands
from lab.agents.tree_lock import is_held

LEDGER = ("results.tsv", "experiments.jsonl")
FIXED = ("prepare.py", "pyproject.toml", "bin", "lib", "schemas")
LOG = "run.log"
FEW_BYTES = 4096  # of a log, cut off by bytes

VERDICT = "bin/experiment --from-tree 'what you changed'"
NOT_TRACKED = "results.tsv is never tracked by git: leave it as it is, bin/experiment writes its rows"
WRITES_FIXED = "'{}' is fixed during a run: edit train.py, and nothing else"
READS_LOG = (
    "a log is never read: {} prints the verdict, and after a crash the end of the log; bin/status shows the rest"
)
MOVES = f"the branch is only ever moved by {VERDICT}, which keeps or undoes the change by itself"
UNDOES = "a discarded change is undone already; to drop one that was not tried: git show HEAD:train.py >train.py"
CLEANS = "files that git does not know may be somebody's work, or the run's own: leave them where they are"
COMMITS = f"leave train.py uncommitted: {VERDICT} commits it"
INSTALLS = "nothing is installed during a run: use what is there (torch, numpy, the standard library)"
TRAINS = f"training is not started by hand: {VERDICT} runs it, within its budget, and measures it"
IN_FLIGHT = "an experiment is being measured in this tree: leave train.py alone until its verdict (bin/status)"


@dataclass(frozen=True)
class Place:
    """The tree, and whether a run is checked out in it."""

    root: Path
    in_run: bool

    def name(self, path: str, folder: str) -> str:
        """The path from the root of what is called so in `folder`; empty where it is outside of the tree."""
        full = os.path.normpath(os.path.join(folder, os.path.expanduser(path)))
        inside = os.path.relpath(full, self.root)
        return "" if inside.startswith("..") else inside


def before_tool(run: Path) -> str | None:
    """What is against the use of a tool that stdin describes, in one line; None: nothing."""
    place = Place(run.parents[1], (run / "manifest.json").exists())
    try:
        asked = json.load(sys.stdin)
        return against(place, asked["tool_name"], asked["tool_input"], asked.get("cwd") or str(place.root))
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def against(place: Place, tool: str, given: dict[str, Any], folder: str) -> str | None:
    """The same for one use of a tool, that is called in `folder`."""
    if tool == "Bash":
        return next(_against_commands(place, given["command"], folder), None)
    path = place.name(given.get("file_path") or given.get("notebook_path") or "", folder)
    if not place.in_run or not path:
        return None
    if tool == "Read":
        return READS_LOG.format(VERDICT) if _is_log(path) else None
    return _against_writing(place, path)


def _against_commands(place: Place, text: str, folder: str) -> Iterator[str]:
    for command in commands(text, folder):
        if not place.name(".", command.folder):
            continue  # done in another tree
        if says := _against(place, command):
            yield says


def _against(place: Place, command: Command) -> str | None:
    """What is against one command of a line."""
    paths = [place.name(word, command.folder) for word in command.arguments]
    if command.program == "git":
        return _against_git(place, command, paths)
    if not place.in_run:
        return None
    written = [place.name(word, command.folder) for word in command.written]
    says = next((says for path in written if path and (says := _against_writing(place, path))), None)
    if says:
        return says
    if command.installs:
        return INSTALLS
    if command.runs == "train.py":
        return TRAINS
    if command.shows and any(map(_is_log, paths)) and not command.shows_at_most(FEW_BYTES):
        return READS_LOG.format(VERDICT)
    return None


def _against_git(place: Place, command: Command, paths: list[str]) -> str | None:
    verb, options = command.verb, command.options
    of_train = any(path in ("train.py", ".") for path in paths[1:])
    if verb in ("add", "stage", "commit") and any(os.path.basename(path) in LEDGER for path in paths):
        return NOT_TRACKED
    if not place.in_run:
        return None
    if verb in ("add", "stage") and options & {"-f", "--force"}:
        return NOT_TRACKED
    if (verb in ("add", "stage", "commit") and "train.py" in paths) or (verb == "commit" and options & {"-a", "--all"}):
        return COMMITS
    if verb in ("reset", "revert", "rebase", "merge", "cherry-pick", "pull", "am", "update-ref"):
        return MOVES
    if verb == "clean":
        return CLEANS
    if (verb == "checkout" and (of_train or options & {"-f", "--force"})) or (
        verb == "restore" and of_train and not options & {"-S", "--staged"}
    ):
        return UNDOES
    if verb in ("rm", "mv", "checkout", "restore"):
        return next((says for path in paths[1:] if path and (says := _against_writing(place, path))), None)
    return None


def _against_writing(place: Place, path: str) -> str | None:
    """What is against a change of the file at this path from the root."""
    if path.split(os.sep)[0] in FIXED:
        return WRITES_FIXED.format(path)
    if os.path.basename(path) in LEDGER:
        return NOT_TRACKED
    if path == "train.py" and is_held(place.root):
        return IN_FLIGHT
    return None


def _is_log(path: str) -> bool:
    return os.path.basename(path) == LOG or path.endswith(".log.gz")
