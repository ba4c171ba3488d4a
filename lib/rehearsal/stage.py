"""The stage of a rehearsal: a separate tree, its loop, and the checks of the results.

The tree is the toolkit around this file, with a trainer that ends at once and a proposer. It has a person's branch,
stash and file, and a run. Its environment is built from nothing, so the caller's settings do not matter.
"""

import glob
import json
import os
import random
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from lab.store import flight as flight_store

from rehearsal import invariants, processes

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PARTS = ("bin", "lib", "schemas", "pyproject.toml", "program.md", ".gitignore")  # files of the toolkit
TAG = "rehearsal"
PERSON = ("-c", "user.name=person", "-c", "user.email=person@localhost")  # git's options for the owner of the tree
LIMIT_S = 60  # a longer wait counts as a hang
RECOVERY_S, STOP_S = 10, 5

# A training that runs until `heal`, and one that ignores TERM and does not end.
WAITING = 'import time; print("waiting", flush=True)\nwhile fault.exists(): time.sleep(0.01)'
DEAF = 'import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print("deaf", flush=True); time.sleep(600)'


class Broken(Exception):  # noqa: N818, the toolkit is broken, not this code
    """A rule is broken."""


class Stage:
    """A folder with the tree, HOME and TMPDIR. `build` makes them."""

    def __init__(self, folder: Path) -> None:
        """Changes nothing in a folder that is built already."""
        self.folder = folder.resolve()
        self.tree, self.home = self.folder / "tree", self.folder / "home"
        self.run = self.tree / "runs" / TAG
        self.log = self.folder / "loop.log"  # the output of the loops
        self.random = random.Random(1)
        self.before = 0  # rows before the current fault
        self.slots = 1  # experiments in flight, and experiments per loop
        self.recoveries: list[float] = []  # seconds
        self.known: set[str] = set()  # commits of experiments that were checked, or that may be crashes
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "TMPDIR": str(self.folder / "tmp"),
            "UV_PROJECT_ENVIRONMENT": os.environ.get("UV_PROJECT_ENVIRONMENT", str(ROOT / ".venv")),
            "REHEARSAL": str(self.folder),
            "AGENT": str(HERE / "proposer"),
            "PROPOSAL_WAIT": "0",
            "DRAFTS": "0",
            "LAB_MINUTE": "1",  # seconds; a real loop waits for minutes
        }

    @property
    def flights(self) -> list[Path]:
        """The folders of the flights, oldest first."""
        return [flight.folder for flight in flight_store.all_of(self.run)]

    @property
    def flight(self) -> Path:
        """The oldest flight; if there is none, a path that does not exist."""
        return next(iter(self.flights), self.run / "flights/none")

    # --- The scene ---------------------------------------------------------------------------------------------------

    def set_up(self) -> None:
        """Make the tree, with a person's files and a run without a baseline."""
        for folder in (self.tree, self.home, self.folder / "tmp"):
            folder.mkdir()
        self.bring_toolkit()
        shutil.copy(HERE / "train.py", self.tree)
        (self.tree / "prepare.py").touch()
        self.git("init", "--quiet", "--initial-branch=main")
        self._commit("start")
        self.git("checkout", "--quiet", "-b", "idea")
        (self.tree / "idea.txt").write_text("an idea\n")
        self._commit("idea")
        self.git("checkout", "--quiet", "main")
        (self.tree / "program.md").write_text("half an idea\n")
        self.git("stash", "--quiet")
        (self.tree / invariants.NOTES).write_text("not for git\n")
        (self.folder / "belongings").write_text("\n".join(invariants.belongings(self.state())))
        self.call("bin/setup", TAG=TAG, BASELINE_RUNS="1", RUN_TIMEOUT="30")

    def bring_toolkit(self) -> None:
        """Copy the toolkit into the tree."""
        for path in (ROOT / name for name in PARTS):
            (shutil.copytree if path.is_dir() else shutil.copy)(path, self.tree / path.name)

    def build(self) -> None:
        """Set up, run a baseline and an experiment, and record the duration of a loop."""
        self.set_up()
        began = time.monotonic()
        self.loop()
        (self.folder / "span").write_text(str((time.monotonic() - began) * 2 / 3))  # that loop had a baseline too

    def copy(self, folder: Path) -> None:
        """Copy this stage into the folder of another one."""
        shutil.copytree(self.folder, folder, symlinks=True, dirs_exist_ok=True)

    # --- Commands ----------------------------------------------------------------------------------------------------

    def call(self, *command: str, **settings: str) -> str:
        """Run a command in the tree and return its stdout. Raises Broken if it fails."""
        env = {**self.environment, **settings}
        done = subprocess.run(command, cwd=self.tree, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if done.returncode:
            raise Broken(f"'{' '.join(command)}' ends with {done.returncode}: '{done.stderr.strip()}'")
        return done.stdout.strip()

    def git(self, *words: str) -> str:
        """Run git as the person."""
        return self.call("git", *PERSON, *words)

    def _commit(self, message: str) -> None:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", message)

    def start(self, *command: str, **settings: str) -> subprocess.Popen[bytes]:
        """Start a command in its own process group, as a terminal does."""
        with self.log.open("ab") as log:
            return subprocess.Popen(
                command,
                cwd=self.tree,
                env={**self.environment, **self._abreast(), **settings},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=_hear_interrupts,
            )

    def _abreast(self) -> dict[str, str]:
        return {"SLOTS": str(self.slots), "MAX_EXPERIMENTS": str(self.slots)}

    def said(self, lines: int = 2) -> str:
        """The last lines of the loops' output."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    # --- Loops -------------------------------------------------------------------------------------------------------

    def start_loop(self, **settings: str) -> None:
        """Start a loop of one experiment per slot, or of MAX_EXPERIMENTS (0: until stopped), and a missing baseline."""
        self.goal = self.rows() + (int(settings.get("MAX_EXPERIMENTS", self.slots)) or 1) + (self.rows() == 0)
        self.process = self.start("bin/loop", **settings)

    def start_training(self, python: str, **settings: str) -> None:
        """Start a loop whose trainer runs this code, and wait until it has printed something."""
        self.trainer(python)
        self.start_loop(**settings)
        self.until(lambda: any(map(os.path.getsize, self._in_flight("run.1/run.log"))), "training")
        if self.has_ended():
            raise Broken(f"bin/loop ended before it trained: '{self.said()}'")

    def start_until_a_moment(self) -> None:
        """Start a loop, and wait for a random part of its duration."""
        self.start_loop()
        self.moment()

    def moment(self) -> None:
        """Wait for a random part of a loop's duration. Several slots take longer: they share cores."""
        time.sleep(self.random.random() * float((self.folder / "span").read_text()) * (1 if self.slots == 1 else 2))

    def loop(self, **settings: str) -> None:
        """Run a loop. Raises Broken unless it ends well, with the right number of rows."""
        self.start_loop(**settings)
        self.ended_well()

    def ended_well(self) -> None:
        """Wait for the loop's end. Raises Broken unless it ended well."""
        self.ended(0)
        if self.rows() != self.goal:
            raise Broken(f"{self.rows()} rows instead of {self.goal}")

    def ended(self, *statuses: int) -> None:
        """Wait for the loop's end. Raises Broken unless it ends with one of these statuses."""
        self.until(self.has_ended, "end of the loop")
        status = self.process.wait()
        if (status if status >= 0 else 128 - status) not in statuses:
            raise Broken(f"bin/loop ended with {status} instead of {' or '.join(map(str, statuses))}: '{self.said()}'")

    def has_ended(self) -> bool:
        """Whether the loop has ended."""
        return self.process.poll() is not None

    def until(self, holds: Callable[[], object], what: str) -> None:
        """Wait until a condition holds or the loop has ended."""
        deadline = time.monotonic() + LIMIT_S
        while not holds() and not self.has_ended():
            if time.monotonic() > deadline:
                raise Broken(f"no {what} within {LIMIT_S} s: '{self.said()}'")
            time.sleep(0.01)

    def kill(self, *, alone: bool = False) -> None:
        """Send KILL to the loop and all its processes, or to the loop alone. It may have ended already."""
        for pid in [] if alone else [*processes.under_loop(self.tree), -self.process.pid]:
            processes.kill(pid)
        processes.kill(self.process.pid)
        self.process.wait()

    def stop(self, number: int, *, alone: bool = False) -> None:
        """Stop the loop, or its whole group, with a signal. Raises Broken unless all processes end soon."""
        began = time.monotonic()
        processes.kill(self.process.pid if alone else -self.process.pid, number)
        self.ended(0, 128 + number)
        if time.monotonic() - began > STOP_S:
            raise Broken(f"it took {time.monotonic() - began:.1f} s to end")
        for _ in range(100):  # processes that are ending get a second
            left = processes.under_loop(self.tree)
            if not left:
                return
            time.sleep(0.01)
        raise Broken(f"left running: {'; '.join(left.values())}")

    def recover(self, **settings: str) -> str:
        """Run the same command again without the fault. Raises Broken unless it recovers by itself, and soon."""
        self.heal()
        again = self.folder / "again"
        again.touch()
        began = time.monotonic()
        self.start_loop(**settings)
        self.until(lambda: self._is_under_way(again.stat().st_mtime_ns), "training or row")
        took = time.monotonic() - began
        self.recoveries.append(took)
        self.ended(0)
        if self.rows() <= self.before:
            raise Broken("the recovery gave no row")
        if took > RECOVERY_S:
            raise Broken(f"the recovery took {took:.1f} s, the limit is {RECOVERY_S} s")
        return f"recovered in {took:.1f} s"

    def _is_under_way(self, since: int) -> bool:
        """Whether a training has started or a row was written since then."""
        for path in (f"{self.run}/results.tsv", *self._in_flight("run.*/started")):
            with suppress(OSError):
                if os.stat(path).st_mtime_ns > since:
                    return True
        return False

    def _in_flight(self, pattern: str) -> list[str]:
        """Matching files of all flights. (A folder may vanish meanwhile, which pathlib does not tolerate.)"""
        return glob.glob(f"{glob.escape(str(self.run))}/flights/*/{pattern}")

    def pids(self, pattern: str = "") -> list[int]:
        """The processes of the loop whose command has a word that starts with the pattern."""
        left = processes.under_loop(self.tree).items()
        return [pid for pid, command in sorted(left) if re.search(rf"(^|\s){pattern}", command)]

    # --- What goes wrong ---------------------------------------------------------------------------------------------

    def trainer(self, python: str) -> None:
        """Let this go wrong in every training from now on."""
        (self.home / "fault.py").write_text(python + "\n")

    def proposer(self, bash: str) -> None:
        """Let this go wrong in the next proposal."""
        (self.home / "fault.sh").write_text(bash + "\n")

    def heal(self) -> None:
        """Let nothing go wrong any more."""
        for path in self.home.glob("fault.*"):
            path.unlink()

    def wish(self, wish: str) -> None:
        """Choose the kind of the next proposals (see `proposer`)."""
        (self.home / "wish").write_text(wish)

    def reboot(self) -> None:
        """Lose what a machine loses in a restart."""
        shutil.rmtree(self.folder / "tmp")
        (self.folder / "tmp").mkdir()
        for flight in self.flights:
            (flight / "boot").write_text("another\n")

    # --- What must hold ----------------------------------------------------------------------------------------------

    def rows(self) -> int:
        """The number of whole rows."""
        path = self.run / "results.tsv"
        return path.read_bytes().count(b"\n") - 1 if path.exists() else 0

    def commit(self) -> str:
        """The commit of the oldest flight; empty if it has none."""
        path = self.flight / "commit"
        return path.read_text().strip() if path.exists() else ""

    def last(self) -> Any:
        """The last experiment."""
        return json.loads((self.run / "experiments.jsonl").read_text().splitlines()[-1])

    def crash(self, failure: str, python: str, **settings: str) -> str:
        """Run a loop whose trainer runs this code. Raises Broken unless it gives a crash row of this kind."""
        self.trainer(python)
        self.loop(**settings)
        return self.crashed(failure)

    def crashed(self, failure: str) -> str:
        """Raises Broken unless the last experiment is a crash of this kind."""
        last = self.last()
        if last["failure"] != failure:
            raise Broken(f"the last experiment is not a '{failure}' crash: {last['status']}, {last['reason']}")
        self.known.add(last["commit"])
        return f"a crash row: {failure}"

    def ask_again(self, bash: str, **settings: str) -> str:
        """Run a loop whose proposer first runs this code, which gives no row."""
        self.proposer(bash)
        self.loop(**settings)
        return "asked again"

    def forgive(self) -> None:
        """Accept that experiments since this fault are crashes, or have another's description."""
        self.known.update(self.state().commits)

    def state(self) -> invariants.State:
        """The current state."""
        return invariants.State(self.folder, TAG, frozenset(self.known), self.slots)

    def check(self) -> None:
        """Raise Broken if a rule for a run at rest is broken."""
        state = self.state()
        problems = invariants.broken(state, invariants.OF_A_STAGE)
        if problems:
            raise Broken("\n".join(problems))
        self.known.update(state.commits)


def halve(path: Path, kept: int = 0) -> None:
    """Lose half of the file after its first `kept` bytes."""
    os.truncate(path, kept + (path.stat().st_size - kept) // 2)


def _hear_interrupts() -> None:
    """Handle SIGINT in a child. In the background it would be ignored, and a shell cannot change that."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
