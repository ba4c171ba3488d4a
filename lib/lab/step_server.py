"""`lab-step NAME FOLDER`, for lib/run/claude-hook; `lab-step --serve RUN`, which a loop keeps for lib/experiment/steps.

It calls the function NAME with the folder of a run, a flight, or a training run. It does not use click, whose import
would take a third of a step's time, because no person types these commands.
"""

import os
import signal
import sys
import traceback
from collections.abc import Callable
from contextlib import redirect_stdout, suppress
from importlib import import_module
from pathlib import Path

from lab import one_line
from lab.errors import EXPECTED, Fault, message
from lab.runs import tampering

SERVED = {  # step -> its module
    "check_settings": "verdict.check_run", "check_run": "verdict.check_run", "record_replicate": "verdict.replicates",
    "take_replicate": "verdict.replicates", "catch_up": "verdict.record", "forgo": "verdict.record",
    "begin_budget": "verdict.budget", "budget": "verdict.budget", "wave": "proposal.wave", "ideas": "proposal.ideas",
    "flight_brief": "proposal.brief", "mend": "proposal.mend_brief", "describe": "proposal.describe",
    "look_before": "runs.tampering", "look_after": "runs.tampering", "free_places": "runs.slots",
    "conclude": "verdict.conclude", "close": "verdict.conclude", "give_up": "verdict.conclude",
    "land": "store.flight", "drop": "store.flight",
}  # fmt: skip
NAMES = {
    **SERVED,
    "knows_check": "runs.prepare_options",
    "before_tool": "agents.claude_tool_hook",
    "before_stop": "agents.claude_stop_hook",
}


def main(arguments: list[str] | None = None) -> int:
    """Do one step and print its result, if it has one. Returns 0, or 2 after a fault, which is on stderr."""
    try:
        name, folder = sys.argv[1:] if arguments is None else arguments
        if name == "--serve":
            return serve(Path(folder))
        says = _function(name)(Path(folder))
    except EXPECTED as error:
        print(message(error), file=sys.stderr)
        return 2
    if says is not None:
        print(says, end="")
    return 0


def _function(name: str) -> Callable[[Path], str | None]:
    if name not in NAMES:
        raise ValueError(f"no step is called '{name}'")
    found: Callable[[Path], str | None] = getattr(import_module(f"lab.{NAMES[name]}"), name)
    return found


def serve(run: Path) -> int:
    """Answer requests on stdin, `ANSWERS<tab>ID<tab>NAME<tab>FOLDER<tab>FILE`, until all writers have closed it.

    `ID STATUS` is written to the pipe ANSWERS, and the result to FILE. All modules are imported at the start, and each
    request reads the run again, because no module remembers it. Only tampering.py remembers the runs in flight, to
    restore what they must not change. Ctrl-C is ignored: it is meant for the callers.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for name in SERVED:
        _function(name)
    for line in sys.stdin:
        answers, asker, name, folder, file = line.rstrip("\n").split("\t")
        status = _answer(run, name, Path(folder), Path(file))
        with suppress(OSError), open(os.open(answers, os.O_WRONLY | os.O_NONBLOCK), "w") as pipe:
            pipe.write(f"{asker} {status}\n")  # fails if the caller was killed
    return 0


def _answer(run: Path, name: str, folder: Path, file: Path) -> int:
    """Do one step as `lab-step NAME FOLDER >FILE` does. Returns its exit status."""
    sys.argv[1:] = [name]  # for the list of processes
    try:
        if told := tampering.check_records(run):
            print(told, file=sys.stderr)
        try:
            with file.open("w", errors="surrogateescape") as out, redirect_stdout(out):
                print(_function(name)(folder) or "", end="")
                return 0
        finally:
            tampering.learn_records(run)  # also after a fault, because this process wrote the records
    except EXPECTED as error:
        print(message(error), file=sys.stderr)
        note_fault(folder, error)
        return 2
    except Exception as error:
        traceback.print_exc()
        note_fault(folder, error)
        return 1


def note_fault(folder: Path, error: Exception) -> None:
    """Write a step's fault into its flight, for lib/experiment/dispatch: `for_person` if a person must fix it."""
    flight = next((one for one in (folder, *folder.parents) if one.parent.name == "flights"), None)
    if flight is not None and flight.is_dir():
        said = one_line.clean(f"{type(error).__name__}: {error}", one_line.LONGEST)
        with suppress(OSError):
            (flight / ("for_person" if isinstance(error, Fault) else "fault")).write_text(f"{said}\n")
