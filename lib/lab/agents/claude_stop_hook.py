"""An agent that is about to stop -> its next command, while its run continues unattended.

A person marks such a run with the file `runs/<tag>/unattended`; `make stop` removes it. The file holds the number of
experiments when the agent was last told to continue, and how often it was told so since the last new experiment. While
an experiment of the agent is in flight, it is told to wait. Only the standard library.
"""

import json
import sys
from pathlib import Path

from lab.store import durable

IN_VAIN = 2  # times without a new experiment, after which an agent that wants to stop may

UNATTENDED = "This run continues unattended. Nobody can answer; a person ends it with `make stop`. "
GO_ON = """\
Read the last verdict (bin/wait), make the next change of train.py, and try it:
bin/experiment --from-tree 'what you changed' --detach
bin/wait"""
WAIT = """\
Your experiment {id} has no verdict yet. Wait for it: bin/wait {id}
If its last line is `exit 75`, there is no verdict yet: call it again."""


def before_stop(run: Path) -> str | None:
    """The reason to continue; None: it may stop. Stdin has the input of the hook."""
    marker = run / "unattended"
    try:
        known = [int(word) for word in marker.read_text().split()] or [-1, 0]  # empty: a person has made it
        active = json.load(sys.stdin)["stop_hook_active"] is True
        ledger = run / "experiments.jsonl"
        now = ledger.read_bytes().count(b"\n") if ledger.exists() else 0
    except (OSError, ValueError, KeyError, TypeError):
        return None
    # If it is not active, a person has spoken in between.
    flying = sorted(path.parent.name for path in run.glob("flights/f*/edit"))
    vain = 0 if flying else known[1] + 1 if active and now == known[0] else 0
    if vain > IN_VAIN:
        return None
    durable.write_atomically(marker, f"{now} {vain}\n", durable=False)
    return UNATTENDED + (WAIT.format(id=flying[0]) if flying else GO_ON)
