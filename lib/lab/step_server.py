"""`lab-step NAME RUN`, for lib/run/claude-hook; `lab-step --serve RUN`, which a loop keeps for lib/experiment/steps.

The function called NAME, on the folder of the run.

Not click: its import would be a third of the time of a step, and nobody types these.
"""

import os
import signal
import sys
import traceback
from collections.abc import Callable
from contextlib import redirect_stdout
from importlib import import_module
from pathlib import Path

from lab.errors import EXPECTED, message

SERVED = {  # step -> the module that it is in
    "check_run": "verdict.check_run",
    "brief": "proposal.brief", "mend": "proposal.mend_brief", "describe": "proposal.describe",
    "look_before": "runs.tampering", "look_after": "runs.tampering",
    "conclude": "verdict.conclude", "close": "verdict.conclude", "land": "store.flight", "drop": "store.flight",
}  # fmt: skip
NAMES = {**SERVED, "before_tool": "agents.claude_tool_hook", "before_stop": "agents.claude_stop_hook"}


def main(arguments: list[str] | None = None) -> int:
    """Do one step and print what it says, if anything. Returns the exit status: 0, or 2 for a fault told on stderr."""
    try:
        name, run = sys.argv[1:] if arguments is None else arguments
        if name == "--serve":
            return serve(Path(run))
        if name not in NAMES:
            raise ValueError(f"no step is called '{name}'")
        says = _function(name)(Path(run))
    except EXPECTED as error:
        print(message(error), file=sys.stderr)
        return 2
    if says is not None:
        print(says, end="")
    return 0


def _function(name: str) -> Callable[[Path], str | None]:
    found: Callable[[Path], str | None] = getattr(import_module(f"lab.{NAMES[name]}"), name)
    return found


def serve(run: Path) -> int:
    """Answer requests `ID NAME [FILE]` on stdin by `ID STATUS`, until there is nobody left who could ask.

    What is said is written to FILE, a path in the folder of the run. All modules are there from the beginning, and none
    keeps anything of the run: each request reads what it needs anew. Ctrl-C is for those who ask.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for name in SERVED:
        _function(name)
    for line in sys.stdin:
        asker, name, *file = line.split(maxsplit=2)
        status = _answer(name, run, run / file[0].strip() if file else Path(os.devnull))
        print(asker, status, flush=True)
    return 0


def _answer(name: str, run: Path, file: Path) -> int:
    """One step, as `lab-step NAME RUN >FILE`."""
    sys.argv[1:] = [name]  # for whoever looks at this process
    try:
        with file.open("w", errors="surrogateescape") as out, redirect_stdout(out):
            return main([name, str(run)])
    except Exception:
        traceback.print_exc()
        return 1
