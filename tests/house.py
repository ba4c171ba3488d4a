"""A repository of its own for each test, with a trainer that ends at once and proposers made of one line of shell.

The environment is built from nothing: another HOME, no global git configuration, nothing of whoever runs the tests.
"""

import atexit
import compileall
import copy
import glob
import io
import json
import os
import pickle
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
from filelock import FileLock
from lab import step_server
from lab.store import flight as flight_store
from rehearsal import invariants, processes

ROOT = Path(__file__).parents[1]
ENVIRONMENT = Path(os.environ.get("UV_PROJECT_ENVIRONMENT", ROOT / ".venv"))
UV = shutil.which("uv") or str(ROOT / ".uv/bin/uv")
IGNORED = shutil.ignore_patterns(
    ".git", ".venv", ".uv", ".agents-cli", "uv.lock", "__pycache__", ".*_cache", "*.log", "results.tsv"
)
OF_A_FLIGHT = ("conclude", "close", "describe", "mend", "land", "drop", "flight_brief")  # steps of the core
LEFT = {"runs", "memory"}  # what runs leave in the root
UNUSED = {"tests", "docs", ".ci"}  # by any verb

# A stranger's training script: no torch, no data of ours. VALUE is the idea; what stands behind it is for the cheats.
TRAIN = """\
VALUE = 1.0  # the metric
MEMORY = 45060.2  # MB
print("---")
print(f"val_bpb:          {VALUE:.6f}")
print(f"peak_vram_mb:     {MEMORY}")
"""

# The same, for as many seconds as the test says in `House.seconds`: while it waits, too.
SLOW = (
    TRAIN
    + """\
import os, time
began = time.monotonic()
while time.monotonic() - began < float(open(os.path.expanduser("~/seconds")).read() or 20):
    time.sleep(0.05)
"""
)

# A proposer's script: each proposal is a little better than the incumbent.
IMPROVE = "old=$(sed -n 's/^VALUE = \\([0-9.]*\\).*/\\1/p' train.py); new=$(awk \"BEGIN{print $old - 0.01}\"); "
IMPROVE += 'sed -i "s/^VALUE = [0-9.]*/VALUE = $new/" train.py; echo "VALUE $old -> $new"'


@dataclass(frozen=True)
class Result:
    """How a command ended; printed whole when a test fails on it."""

    status: int
    out: str
    err: str


@dataclass(frozen=True)
class Stepped:
    """How a step of the Python core ended."""

    exit_code: int
    stdout: str
    stderr: str

    @property
    def output(self) -> str:
        return self.stdout + self.stderr

    @property
    def stdout_bytes(self) -> bytes:
        return self.stdout.encode()


def lab_step(name: str, folder: Path) -> Stepped:
    """`lab-step NAME FOLDER` in this process; for a flight, FOLDER may be the run whose one flight is meant."""
    if name in OF_A_FLIGHT and folder.parent.name != "flights":
        folder /= "flights/f1"
    with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err:
        status = step_server.main([name, str(folder)])
    return Stepped(status, out.getvalue(), err.getvalue())


def not_copied(folder: str, names: list[str]) -> set[str]:
    """What a clone of this tree is made without."""
    return IGNORED(folder, names) | (LEFT | UNUSED if Path(folder) == ROOT else set())


def copy_all(source: Path, target: Path) -> None:
    """All that is in a folder, into another, new or not: in a fifth of the time that shutil takes."""
    subprocess.run(["cp", "--archive", f"{source}/.", target], check=True)


def shared_folder(factory: pytest.TempPathFactory) -> Path:
    """The same for all workers of xdist."""
    return factory.getbasetemp().parent if "PYTEST_XDIST_WORKER" in os.environ else factory.getbasetemp()


def shared(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], "House"]) -> "House":
    """A house that is made once for all workers: to be copied from, or read only."""
    folder = shared_folder(factory) / name
    known = folder / "house.pickle"
    with FileLock(f"{folder}.lock"):
        if not known.exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            known.write_bytes(pickle.dumps(make(folder)))
    one: House = pickle.loads(known.read_bytes())
    return one


@cache
def outset(train: str) -> "House":
    """A house that nobody lives in, for others to be copied from: made once in a process for each trainer."""
    folder = Path(tempfile.mkdtemp(prefix="house-"))
    atexit.register(shutil.rmtree, folder)
    one = House.__new__(House)
    one.move_to(folder)
    shutil.copytree(ROOT, one.tree, ignore=not_copied, symlinks=True)
    for part in ("child", "lab"):
        compileall.compile_dir(one.tree / "lib" / part, quiet=1)  # so that no copy need do it
    (one.tree / "train.py").write_text(train)
    (one.tree / "prepare.py").write_text("")
    (folder / "home").mkdir()
    one.seconds.write_text("0")
    (folder / "tmp").mkdir()
    one.git("init", "--quiet", "--initial-branch=main", "--template=")
    for name in ("hooks", "info"):
        (one.tree / ".git" / name).mkdir()
    one.commit("start")
    one.git("repack", "-adq")
    return one


def hear_interrupts() -> None:
    """For a child: tests that run in the background have SIGINT ignored, and a shell cannot undo that."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class House:
    """A clone of this tree in `folder`, with a stranger's prepare.py and train.py."""

    def __init__(self, folder: Path, train: str = TRAIN) -> None:
        copy_all(outset(train).outside, folder)
        self.move_to(folder)

    def move_to(self, folder: Path, **more: str) -> None:
        """The tree and the environment, with what this house has `more` than others, of a folder."""
        self.outside = folder
        self.tree = folder / "tree"
        self.seconds = folder / "home/seconds"
        self.environment = {
            "PATH": f"{Path(UV).parent}:/usr/local/bin:/usr/bin:/bin",
            "UV_PROJECT_ENVIRONMENT": str(ENVIRONMENT),
            "OMP_NUM_THREADS": "1",
            "PROPOSAL_WAIT": "0",
            "DRAFTS": "0",  # one proposal after the other; the tests of drafts say otherwise
            "BASELINE_RUNS": "1",  # the fixed thresholds; the tests of the noise say otherwise
            **more,
            "HOME": str(folder / "home"),
            "TMPDIR": str(folder / "tmp"),
        }

    def copy(self, folder: Path) -> "House":
        """One of its own for a test, where a set-up and a baseline take a while."""
        copy_all(self.outside, folder)
        other = copy.copy(self)
        there = {name: value.replace(str(self.outside), str(folder)) for name, value in self.environment.items()}
        other.move_to(folder, **there)
        return other

    @property
    def run_folder(self) -> Path:
        return self.tree / "runs/mar14"

    @property
    def flight(self) -> Path:
        """The folder of the oldest experiment in flight; where there is none, it is not there."""
        return next((one.folder for one in flight_store.all_of(self.run_folder)), self.run_folder / "flights/none")

    def call(self, *command: str, timeout: float = 60, **settings: str) -> Result:
        """Run a command in the tree to its end."""
        return self.call_in(self.tree, *command, timeout=timeout, **settings)

    def call_in(self, folder: Path, *command: str, timeout: float = 60, **settings: str) -> Result:
        """The same in another folder."""
        done = subprocess.run(
            command,
            cwd=folder,
            env={**self.environment, **settings},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            check=False,
        )
        result = Result(done.returncode, done.stdout, done.stderr)
        print(f"$ {' '.join(command)}\n{result.out}{result.err}[{result.status}]")
        return result

    def start(self, *command: str, **settings: str) -> subprocess.Popen[bytes]:
        """Start a command in a process group of its own, and do not wait for it."""
        log = (self.outside / "started.log").open("ab")
        environment = {**self.environment, **settings}
        return subprocess.Popen(
            command,
            cwd=self.tree,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            preexec_fn=hear_interrupts,
        )

    def git(self, *arguments: str) -> str:
        identity = ("-c", "user.name=person", "-c", "user.email=person@localhost")
        result = self.call("git", *identity, *arguments)
        assert result.status == 0, result
        return result.out.strip()

    def commit(self, message: str) -> str:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", message)
        return self.git("rev-parse", "HEAD")

    def add_step(self, name: str, script: str) -> None:
        """A step of an experiment more, committed."""
        path = self.tree / "lib/experiment/steps" / name
        path.write_text(f"#!/usr/bin/env bash\n{script}")
        path.chmod(0o755)
        self.commit(f"a step more: {name}")

    def setup(self, **settings: str) -> None:
        result = self.call("bin/setup", **{"TAG": "mar14", **settings})
        assert result.status == 0, result

    def loop(self, rows: int, agent: str | Path = "catalog", **settings: str) -> Result:
        return self.call("bin/loop", MAX_EXPERIMENTS=str(rows), AGENT=str(agent), **settings)

    def once(self, agent: str | Path = "catalog", **settings: str) -> Result:
        return self.call("bin/experiment", AGENT=str(agent), **settings)

    def baseline(self) -> "House":
        """Measure the baseline, and nothing else: the proposer has nothing to propose."""
        assert self.once("/bin/false").status == 1
        return self

    def proposer(self, script: str, name: str = "proposer") -> Path:
        """An executable outside of the tree; `script` is bash."""
        path = self.outside / name
        path.write_text(f"#!/usr/bin/env bash\n{script}\n")
        path.chmod(0o755)
        return path

    def setting(self, value: str, name: str = "proposer") -> Path:
        """A proposer that sets VALUE."""
        return self.proposer(f"sed -i 's/^VALUE = [^ ]*/VALUE = {value}/' train.py; echo 'VALUE {value}'", name)

    def in_turn(self, *scripts: str) -> Path:
        """A proposer that does one of these after the other; where it is to mend, what it has done last."""
        (self.outside / "home/turns").write_text("0\n")  # one that Landlock holds can make no file there
        turns = "n=$(cat ~/turns)\n[[ $LAB_MODE == mend ]] || echo $((++n)) >~/turns\n"
        cases = "".join(f"{n})\n{script}\n;;\n" for n, script in enumerate(scripts, start=1))
        return self.proposer(f"{turns}case $n in\n{cases}esac")

    def rows(self) -> list[list[str]]:
        lines = (self.run_folder / "results.tsv").read_text().splitlines()
        return [line.split("\t") for line in lines[1:]]

    def statuses(self) -> list[str]:
        return [row[3] for row in self.rows()]

    def experiments(self) -> list[dict[str, object]]:
        path = self.run_folder / "experiments.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def check_invariants(self) -> None:
        """What holds after any verb has ended, however it ended before."""
        problems = invariants.broken(invariants.State(self.outside, "mar14"))
        assert not problems, problems

    def scratch_copies(self) -> list[Path]:
        return invariants.scratch_copies(self.outside)

    def is_held(self) -> bool:
        """Whether a loop, or another verb that takes the tree, has its lock."""
        return self.call("flock", "--nonblock", "runs/.lock", "true").status == 1

    def left_running(self) -> list[str]:
        """Processes that were started under a loop of this tree, and are alive."""
        return list(processes.under_loop(self.tree).values())

    def wait_for(self, path: str, seconds: float = 20) -> None:
        """Wait until there is a file of the tree whose path fits a pattern."""
        deadline = time.monotonic() + seconds
        while not glob.glob(path, root_dir=self.tree):  # of pathlib, a folder must not vanish meanwhile
            assert time.monotonic() < deadline, f"{path} does not come: {(self.outside / 'started.log').read_text()}"
            time.sleep(0.02)

    @contextmanager
    def running(self, *command: str, **settings: str) -> Iterator[subprocess.Popen[bytes]]:
        """A started command that is ended, with all that it started, whatever the test does."""
        process = self.start(*command, **settings)
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
