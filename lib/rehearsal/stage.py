"""What faults play with: a tree of its own, its loop, and what must come of it.

The tree is the toolkit as it is around this file, with a trainer that ends at once and a proposer; in it are a person's
branch, stash and file, and a run. Its environment is made of nothing: no setting of the caller's plays a part.
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
PARTS = ("bin", "lib", "schemas", "pyproject.toml", "program.md", ".gitignore")  # of the toolkit
TAG = "rehearsal"
PERSON = ("-c", "user.name=person", "-c", "user.email=person@localhost")  # to whom the tree belongs, for git
LIMIT_S = 60  # what takes longer, hangs
RECOVERY_S, STOP_S = 10, 5

# A training that goes on until `heal`; and one that does not end, nor hear TERM.
WAITING = 'import time; print("waiting", flush=True)\nwhile fault.exists(): time.sleep(0.01)'
DEAF = 'import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print("deaf", flush=True); time.sleep(600)'


class Broken(Exception):  # noqa: N818, of the toolkit, not of this code
    """Something that must hold does not."""


class Stage:
    """A folder with the tree, HOME and TMPDIR. `build` makes them; later ones find them there."""

    def __init__(self, folder: Path) -> None:
        """Of one that is built already, nothing is changed."""
        self.folder = folder.resolve()
        self.tree, self.home = self.folder / "tree", self.folder / "home"
        self.run = self.tree / "runs" / TAG
        self.log = self.folder / "loop.log"  # what the loops say
        self.random = random.Random(1)
        self.before = 0  # rows, when the fault began
        self.slots = 1  # experiments in the air at a time, and how many a loop is to make
        self.recoveries: list[float] = []  # seconds
        self.known: set[str] = set()  # commits of experiments that have been looked at, or may be crashes
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "TMPDIR": str(self.folder / "tmp"),
            "UV_PROJECT_ENVIRONMENT": os.environ.get("UV_PROJECT_ENVIRONMENT", str(ROOT / ".venv")),
            "REHEARSAL": str(self.folder),
            "AGENT": str(HERE / "proposer"),
            "PROPOSAL_WAIT": "0",
            "DRAFTS": "0",
            "LAB_MINUTE": "1",  # seconds: what is waited for in a night by the minute
        }

    @property
    def flights(self) -> list[Path]:
        """The folders of the experiments in flight, the oldest first."""
        return [flight.folder for flight in flight_store.all_of(self.run)]

    @property
    def flight(self) -> Path:
        """The oldest; where there is none, a folder that is not there."""
        return next(iter(self.flights), self.run / "flights/none")

    # --- The scene ---------------------------------------------------------------------------------------------------

    def set_up(self) -> None:
        """The tree with a person's things and a run that has no baseline yet."""
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
        """As it is here."""
        for path in (ROOT / name for name in PARTS):
            (shutil.copytree if path.is_dir() else shutil.copy)(path, self.tree / path.name)

    def build(self) -> None:
        """That, with its baseline and an experiment; how long a loop of one takes is noted."""
        self.set_up()
        began = time.monotonic()
        self.loop()
        (self.folder / "span").write_text(str((time.monotonic() - began) * 2 / 3))  # of one with the baseline

    def copy(self, folder: Path) -> None:
        """The same for another stage, in its folder."""
        shutil.copytree(self.folder, folder, symlinks=True, dirs_exist_ok=True)

    # --- Commands ----------------------------------------------------------------------------------------------------

    def call(self, *command: str, **settings: str) -> str:
        """What a command in the tree says; it must end well."""
        env = {**self.environment, **settings}
        done = subprocess.run(command, cwd=self.tree, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if done.returncode:
            raise Broken(f"'{' '.join(command)}' ends with {done.returncode}: '{done.stderr.strip()}'")
        return done.stdout.strip()

    def git(self, *words: str) -> str:
        """What git says to the person."""
        return self.call("git", *PERSON, *words)

    def _commit(self, message: str) -> None:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", message)

    def start(self, *command: str, **settings: str) -> subprocess.Popen[bytes]:
        """Start a command in a process group of its own, as a terminal would."""
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
        """The last lines of what the loops have said."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    # --- Loops -------------------------------------------------------------------------------------------------------

    def start_loop(self, **settings: str) -> None:
        """Start a loop of an experiment a slot, or MAX_EXPERIMENTS (0: till stopped), and of a missing baseline."""
        self.goal = self.rows() + (int(settings.get("MAX_EXPERIMENTS", self.slots)) or 1) + (self.rows() == 0)
        self.process = self.start("bin/loop", **settings)

    def start_training(self, python: str, **settings: str) -> None:
        """Start a loop whose trainer does this, and wait until that has printed something."""
        self.trainer(python)
        self.start_loop(**settings)
        self.until(lambda: any(map(os.path.getsize, self._in_flight("run.1/run.log"))), "training")
        if self.has_ended():
            raise Broken(f"bin/loop ended before it trained: '{self.said()}'")

    def start_until_a_moment(self) -> None:
        """Start a loop, and wait for some part of the time that one takes here."""
        self.start_loop()
        self.moment()

    def moment(self) -> None:
        """Some part of that time; as many as there are slots take longer, for they share the cores."""
        time.sleep(self.random.random() * float((self.folder / "span").read_text()) * (1 if self.slots == 1 else 2))

    def loop(self, **settings: str) -> None:
        """A loop that ends well, with as many rows as it should have."""
        self.start_loop(**settings)
        self.ended_well()

    def ended_well(self) -> None:
        """Wait for the loop's end: so it is."""
        self.ended(0)
        if self.rows() != self.goal:
            raise Broken(f"there are {self.rows()} rows, not {self.goal}")

    def ended(self, *statuses: int) -> None:
        """Wait for the loop's end, with one of these statuses."""
        self.until(self.has_ended, "end of the loop")
        status = self.process.wait()
        if (status if status >= 0 else 128 - status) not in statuses:
            raise Broken(f"bin/loop ended with {status}, not with {' or '.join(map(str, statuses))}: '{self.said()}'")

    def has_ended(self) -> bool:
        """Whether the loop has."""
        return self.process.poll() is not None

    def until(self, holds: Callable[[], object], what: str) -> None:
        """Wait until it holds, or the loop has ended."""
        deadline = time.monotonic() + LIMIT_S
        while not holds() and not self.has_ended():
            if time.monotonic() > deadline:
                raise Broken(f"no {what} within {LIMIT_S} s: '{self.said()}'")
            time.sleep(0.01)

    def kill(self, *, alone: bool = False) -> None:
        """kill -9 of the loop and all that it has started, or of the loop alone; it may have ended already."""
        for pid in [] if alone else [*processes.under_loop(self.tree), -self.process.pid]:
            processes.kill(pid)
        processes.kill(self.process.pid)
        self.process.wait()

    def stop(self, number: int, *, alone: bool = False) -> None:
        """The loop, or its whole group, gets a signal that stops it: all that runs is ended soon."""
        began = time.monotonic()
        processes.kill(self.process.pid if alone else -self.process.pid, number)
        self.ended(0, 128 + number)
        if time.monotonic() - began > STOP_S:
            raise Broken(f"it took {time.monotonic() - began:.1f} s to end")
        for _ in range(100):  # what is ending is given a second
            left = processes.under_loop(self.tree)
            if not left:
                return
            time.sleep(0.01)
        raise Broken(f"left running: {'; '.join(left.values())}")

    def recover(self, **settings: str) -> str:
        """The same command again, with nothing that goes wrong: it goes on by itself, and soon. Says so."""
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
            raise Broken("no row has come of it")
        if took > RECOVERY_S:
            raise Broken(f"the recovery took {took:.1f} s, more than {RECOVERY_S}")
        return f"recovered in {took:.1f} s"

    def _is_under_way(self, since: int) -> bool:
        """The training of an experiment in flight has begun, or its row is there."""
        for path in (f"{self.run}/results.tsv", *self._in_flight("run.*/started")):
            with suppress(OSError):
                if os.stat(path).st_mtime_ns > since:
                    return True
        return False

    def _in_flight(self, pattern: str) -> list[str]:
        """Such files of all flights; a folder may vanish meanwhile, which pathlib does not like."""
        return glob.glob(f"{glob.escape(str(self.run))}/flights/*/{pattern}")

    def pids(self, pattern: str = "") -> list[int]:
        """What was started under the loop, and has this, at the beginning of a word, in its command."""
        left = processes.under_loop(self.tree).items()
        return [pid for pid, command in sorted(left) if re.search(rf"(^|\s){pattern}", command)]

    # --- What goes wrong ---------------------------------------------------------------------------------------------

    def trainer(self, python: str) -> None:
        """What goes wrong in every training from now on."""
        (self.home / "fault.py").write_text(python + "\n")

    def proposer(self, bash: str) -> None:
        """What goes wrong in the next proposal."""
        (self.home / "fault.sh").write_text(bash + "\n")

    def heal(self) -> None:
        """Nothing goes wrong any more."""
        for path in self.home.glob("fault.*"):
            path.unlink()

    def wish(self, wish: str) -> None:
        """What the next proposals are (see proposer)."""
        (self.home / "wish").write_text(wish)

    def reboot(self) -> None:
        """What a machine forgets that is started anew."""
        shutil.rmtree(self.folder / "tmp")
        (self.folder / "tmp").mkdir()
        for flight in self.flights:
            (flight / "boot").write_text("another\n")

    # --- What must hold ----------------------------------------------------------------------------------------------

    def rows(self) -> int:
        """How many rows there are; a torn one has no end, and is none."""
        path = self.run / "results.tsv"
        return path.read_bytes().count(b"\n") - 1 if path.exists() else 0

    def commit(self) -> str:
        """Of the oldest experiment in flight; empty where it has none."""
        path = self.flight / "commit"
        return path.read_text().strip() if path.exists() else ""

    def last(self) -> Any:
        """The last experiment."""
        return json.loads((self.run / "experiments.jsonl").read_text().splitlines()[-1])

    def crash(self, failure: str, python: str, **settings: str) -> str:
        """A loop whose trainer does this: a crash row of this kind."""
        self.trainer(python)
        self.loop(**settings)
        return self.crashed(failure)

    def crashed(self, failure: str) -> str:
        """The last experiment is a crash of this kind, as it should be. Says so."""
        last = self.last()
        if last["failure"] != failure:
            raise Broken(f"the last experiment is no crash of kind '{failure}': {last['status']}, {last['reason']}")
        self.known.add(last["commit"])
        return f"a crash row: {failure}"

    def ask_again(self, bash: str, **settings: str) -> str:
        """A loop whose proposer does this at first: no row of it."""
        self.proposer(bash)
        self.loop(**settings)
        return "asked again"

    def forgive(self) -> None:
        """What has come of this fault may be a crash, or have another's description."""
        self.known.update(self.state().commits)

    def state(self) -> invariants.State:
        """As it is now."""
        return invariants.State(self.folder, TAG, frozenset(self.known), self.slots)

    def check(self) -> None:
        """All that must hold whenever nothing is in flight does."""
        state = self.state()
        problems = invariants.broken(state, invariants.OF_A_STAGE)
        if problems:
            raise Broken("\n".join(problems))
        self.known.update(state.commits)


def halve(path: Path, kept: int = 0) -> None:
    """Half of what the file has after `kept` bytes is lost."""
    os.truncate(path, kept + (path.stat().st_size - kept) // 2)


def _hear_interrupts() -> None:
    """For a child: in the background SIGINT is ignored, and a shell cannot undo that."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
