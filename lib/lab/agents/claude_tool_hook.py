"""The tool call that an agent is about to make -> an alternative, if the run forbids it.

This reminds an agent that has forgotten a rule; it enforces nothing. The steps of an experiment catch what it lets
through. So a few patterns look at a shell line, without its quoted parts. What is forbidden on every branch is a
permission rule in .claude/settings.json. Only the standard library: this runs before each tool call.
"""

import json
import os
import re
import sys
from pathlib import Path

VERDICT = "bin/experiment --from-tree 'what you changed'"
FIXED = "do not change '{}' during a run: edit train.py only"
MOVES = f"do not move the branch: {VERDICT} commits the change, then keeps or discards it"
COMMITS = f"do not commit train.py: {VERDICT} commits it"
UNDOES = "a discarded change is already undone; to drop an untested change: git show HEAD:train.py >train.py"
CLEANS = "do not delete untracked files: they may belong to a person or to the run"
INSTALLS = "do not install packages during a run: use torch, numpy and the standard library"
TRAINS = f"do not start train.py by hand: {VERDICT} trains within the budget, and measures the result"

# Text, not commands: here-documents, quotes, comments; to the end if not closed.
QUOTED = re.compile(
    r"""<<-?\s*(['"]?)(\w+)\1.*?(?:\n\s*\2(?=\n|$)|\Z)|'[^']*'?|"(?:\\.|[^"\\])*"?|\\.|(?<!\S)\#[^\n]*""", re.DOTALL
)
ELSEWHERE = re.compile(r"\b(?:cd|git\s+-C)\s+(?:[/~]|\.\.)")
FIXED_PATH = r"(?:\./)?(prepare\.py|pyproject\.toml|(?:bin|lib|schemas)(?:/[^\s;&|)]*)?)(?=[\s;&|)]|$)"
# Text before a command: the end of another one, variables, `sudo`, `timeout 600`.
BEGIN = r"(?:^|[\n;&|(`])[ \t]*(?:(?:\w+=\S*|then|do|else|!|sudo|env|exec|nohup|time|timeout|-k|\d+\w?)\s+)*"
GIT = rf"{BEGIN}git(?:\s+-[cC]\s+\S+|\s+-\S+)*\s+"
REST = r"[^;&|\n]*"  # of the command
COMMANDS = {
    rf"{GIT}(?:reset|revert|rebase|merge|cherry-pick|pull|am|update-ref)\b": MOVES,
    rf"{GIT}(?:add|stage|commit)\b{REST}\strain\.py\b|{GIT}commit\b{REST}\s(?:-\w*a|--all\b)": COMMITS,
    rf"{GIT}(?:checkout|restore)\b(?!{REST}--staged){REST}\s(?:train\.py|\.|-f|--force)(?!\S)": UNDOES,
    rf"{GIT}clean\b": CLEANS,
    rf"{BEGIN}(?:uv\s+|\S*python[\d.]*\s+-m\s+)?(?:\S*/)?pip[\d.]*\s+(?:un)?install\b": INSTALLS,
    rf"{BEGIN}uv\s+(?:add|remove|sync|lock|tool\s+install|run\b{REST}--with)\b": INSTALLS,
    rf"{BEGIN}(?:conda|mamba|apt|apt-get|npm)\s+(?:-\S+\s+)*(?:install|remove)\b": INSTALLS,
    rf"{BEGIN}(?:(?:uv\s+run|\S*python[\d.]*|torchrun)(?:\s+-[^mc\s]\S*)*\s+|\./)+(?:\./)?train\.py\b": TRAINS,
    rf"{BEGIN}(?:git\s+rm|git\s+mv|rm|mv|tee|truncate|sed\s+-i|perl\s+-\w*i){REST}?\s{FIXED_PATH}": FIXED,
    rf"{BEGIN}(?:cp|ln)\s{REST}\s{FIXED_PATH}\s*(?:$|[\n;&|])|>\s*{FIXED_PATH}": FIXED,
}


def before_tool(run: Path) -> str | None:
    """The reason to forbid the tool call on stdin, in one line; None: it is allowed."""
    if not (run / "manifest.json").exists():
        return None
    try:
        asked = json.load(sys.stdin)
        return against(run.parents[1], asked["tool_name"], asked["tool_input"], asked.get("cwd") or "")
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def against(root: Path, tool: str, given: dict[str, str], folder: str) -> str | None:
    """The same for one use of a tool in the tree `root`, called in `folder`, while a run is checked out.

    The first pattern that fits a command has the message. A command in another tree is allowed.
    """
    if tool != "Bash":
        path = os.path.relpath(os.path.join(root, folder, given["file_path"]), root)
        return FIXED.format(path) if re.fullmatch(FIXED_PATH, path) else None
    plain = QUOTED.sub("_", given["command"].replace("\\\n", " ")).replace(f"{root}/", "").replace(str(root), ".")
    if ELSEWHERE.search(plain):
        return None
    for pattern, says in COMMANDS.items():
        if found := re.search(pattern, plain):
            return says.format(next(filter(None, found.groups()), ""))
    return None
