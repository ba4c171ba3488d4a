"""An agent that is about to stop -> what it should do instead, while its run is to go on unattended.

Only where a person has said so: by the file `runs/<tag>/unattended`, which `make stop` takes away. It holds what was
known when the agent was last sent back: how many experiments there were, and how often it was sent back since the last
new one. Only the standard library.
"""

import json
import sys
from pathlib import Path

from lab.store import durable

IN_VAIN = 2  # times without a new experiment, after which an agent that wants to stop may

GO_ON = """\
This run goes on unattended: nobody is there to answer, and a person stops it with `make stop`. Read the verdicts,
make the next change of train.py, and try it: bin/experiment --from-tree 'what you changed'. If an experiment is still
running (bin/status), wait for its verdict first: sleep 240; bin/status"""


def before_stop(run: Path) -> str | None:
    """Why the agent should go on; None: it may stop. Stdin is what the hook was given."""
    marker = run / "unattended"
    try:
        known = [int(word) for word in marker.read_text().split()] or [-1, 0]  # empty: a person has made it
        active = json.load(sys.stdin)["stop_hook_active"] is True
        now = _experiments(run)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    # Where it is not active, a person has spoken in between.
    vain = known[1] + 1 if active and now == known[0] else 0
    if vain > IN_VAIN:
        return None
    durable.write_atomically(marker, f"{now} {vain}\n", durable=False)
    return GO_ON


def _experiments(run: Path) -> int:
    path = run / "experiments.jsonl"
    return path.read_bytes().count(b"\n") if path.exists() else 0
