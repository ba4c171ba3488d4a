"""A night of faults: FAULTS and SEED -> how the loop survived each of them, on stdout. See bin/rehearse."""

import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path

from rehearsal import faults, processes
from rehearsal.stage import Broken, Stage


class Night:
    """A number of faults, drawn with the seed. `when` and `again` describe the current one for an error message."""

    def __init__(self, stage: Stage, number: int, seed: int) -> None:
        """Builds nothing yet."""
        self.stage, self.number, self.seed = stage, number, seed
        self.random = random.Random(seed)
        self.bag: list[faults.Fault] = []
        self.played: Counter[str] = Counter()
        self.when = "before any fault"
        self.again = f"again: make rehearse SEED={seed}"

    def go(self) -> None:
        """Play all faults. Raises Broken if a rule is broken."""
        began = time.monotonic()
        self.stage.build()
        self.stage.check()
        for i in range(1, self.number + 1):
            self.bag = self.bag or self.random.sample(faults.ALL, len(faults.ALL))  # each once, before one is repeated
            fault = self.bag.pop()
            name = fault.__name__.replace("_", "-")
            self.when = f"after fault {i}, '{name}'"
            self.again = f"the same faults again: make rehearse SEED={self.seed} FAULTS={i}"
            print(f"{i:4} {name:24} {self.play(fault)}, {self.stage.rows()} rows", flush=True)
            self.played[name] += 1
        self.sum_up(time.monotonic() - began)

    def play(self, fault: faults.Fault) -> str:
        """Play one fault. Returns how it was survived."""
        self.stage.random = random.Random(self.random.random())  # so that the draws of one fault do not affect others
        self.stage.before = self.stage.rows()
        self.stage.slots = self.random.choice(faults.SLOTS) if fault in faults.ABREAST else 1
        said = fault(self.stage)
        self.stage.heal()
        self.stage.check()
        return said if self.stage.slots == 1 else f"{said}, {self.stage.slots} at a time"

    def sum_up(self, seconds: float) -> None:
        """Print what was survived."""
        names = ", ".join(name if n == 1 else f"{name} ({n})" for name, n in sorted(self.played.items()))
        kept = sum(one["status"] == "keep" for one in self.stage.state().experiments)
        print(f"\nsurvived in {seconds:.0f} s, {len(self.played)} kinds: {names}")
        print(f"{self.number} faults, {self.stage.rows()} rows, {kept} kept; ", end="")
        print(f"the slowest recovery took {max(self.stage.recoveries, default=0):.1f} s; SEED={self.seed}")
        print("every rule holds")

    def status(self) -> int:
        """Play the night and report a broken rule. Returns the exit status."""
        try:
            self.go()
            return 0
        except SystemExit as stopped:
            return int(str(stopped))
        except Broken as error:
            say(f"{error}\nrehearse: a rule is broken {self.when}\nhint: {self.again}")
        except Exception:  # any other error too leaves the tree for inspection
            say(f"{traceback.format_exc()}rehearse: the rehearsal itself failed {self.when}\nhint: {self.again}")
        return 2


def stop(number: int, _: object) -> None:
    """Exit after a signal."""
    sys.exit(128 + number)


def say(text: str) -> None:
    """Print a message for a person."""
    print(text, file=sys.stderr, flush=True)


def main(number: int, seed: int) -> int:
    """Returns the exit status. The tree is kept only if a rule was broken."""
    signals = [one for one in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM) if signal.getsignal(one) != signal.SIG_IGN]
    for one in signals:
        signal.signal(one, stop)
    folder = Path(tempfile.mkdtemp(prefix="rehearsal-"))
    say(f"rehearsing a night with {number} faults, SEED={seed}")
    status = Night(Stage(folder), number, seed).status()
    for one in signals:
        signal.signal(one, signal.SIG_IGN)
    processes.end_strays(folder)
    if status == 2:
        say(f"the tree is kept in '{folder}/tree', the output of its loops in '{folder}/loop.log'")
    else:
        shutil.rmtree(folder)
    return status


if __name__ == "__main__":
    sys.exit(main(int(os.environ["FAULTS"]), int(os.environ["SEED"])))
