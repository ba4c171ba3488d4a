"""An agent that is about to stop -> what it should do instead, while its run is to go on unattended.

Only where a person has said so: by the file `runs/<tag>/unattended`, which `make stop` takes away. It holds what was
known when the agent was last sent back: how many experiments there were, how often it was sent back since the last new
one, and how often in all. Only the standard library.
"""

import json
import sys
from pathlib import Path

from lab.store import durable

IN_VAIN = 2  # times without a new experiment, after which an agent that wants to stop may
MOST = 500  # times in all

GO_ON = """\
This run goes on unattended: nobody is there to answer, and a person stops it with `make stop`. Look at the verdicts,
make the next change of train.py, and try it: bin/experiment --from-tree 'what you changed'. If an experiment is in
flight (bin/status), wait for its verdict first: sleep 240; bin/status"""


def before_stop(run: Path) -> str | None:
    """Why the agent should go on; None: it may stop. Stdin is what the hook was given."""
    marker = run / "unattended"
    if not marker.exists():
        return None
    try:
        active = json.load(sys.stdin).get("stop_hook_active") is True
    except (ValueError, AttributeError):
        return None
    rows, vain, times = _known(marker)
    now = _rows(run)
    vain = vain + 1 if active and now == rows else 0  # where it is not active, a person has spoken in between
    if vain > IN_VAIN or times >= MOST:
        return None
    durable.write_atomically(marker, f"{now} {vain} {times + 1}\n", durable=False)
    return GO_ON


def _known(marker: Path) -> tuple[int, int, int]:
    try:
        rows, vain, times = map(int, marker.read_text().split())
    except ValueError:  # as a person has made it: empty
        return -1, 0, 0
    return rows, vain, times


def _rows(run: Path) -> int:
    try:
        return (run / "experiments.jsonl").read_bytes().count(b"\n")
    except OSError:
        return 0
