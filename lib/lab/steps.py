"""`lab-step NAME RUN`: what lib/steps and lib/agent-hook call.

The function of the module, both called NAME, on the folder of the run.

Not click: its import would be a third of the time of a step, and nobody types these.
"""

import sys
from importlib import import_module
from pathlib import Path

from lab.errors import KINDS, told

NAMES = ("brief", "describe", "measure", "mend", "rerun", "judge", "record", "remember", "before_tool", "before_stop")


def main(arguments: list[str] | None = None) -> int:
    """Do one step and print what it says, if anything. Returns the exit status: 0, or 2 for a fault told on stderr."""
    try:
        name, run = sys.argv[1:] if arguments is None else arguments
        if name not in NAMES:
            raise ValueError(f"no step is called '{name}'")
        says = getattr(import_module(f"lab.{name}"), name)(Path(run))
    except KINDS as error:
        print(told(error), file=sys.stderr)
        return 2
    if says is not None:
        print(says, end="")
    return 0
