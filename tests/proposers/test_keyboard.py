"""Real agents at the keyboard: a scripted model works as the skill says, in the sandbox and permissions of each.

Each call that waits is killed before its time, as tools do: after 60 s with LONG=1, when an experiment takes 70.
"""

import json
import os
import re
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from agents import equip, needs
from house import SLOW, House
from standin import StandIn
from standin.answers import Asked, Reply, Text, shell_call

pytestmark = pytest.mark.slow

COUNT, TRAINING_S, CALL_S = (10, 70, 60) if os.environ.get("LONG") else (2, 4, 3)
# These allow the plain command alone, so it is killed from outside; after that, others wait for their own limit.
KILLED_FROM_OUTSIDE = ("claude", "codex")
COMMANDS = {  # as a person would start it, who has trusted the project
    "claude": ["claude", "--print", "--permission-mode", "acceptEdits", "go"],
    "codex": ["codex", "exec", "--sandbox", "workspace-write", "go"],
    "gemini": ["gemini", "--model", "gemini-2.5-flash", "--skip-trust", "--approval-mode", "yolo", "--prompt", "go"],
    "opencode": ["opencode", "run", "go"],
    "pi": ["pi", "--print", "--provider", "standin", "--model", "stand-in", "go"],
}
MARKS = {"claude": "claude-code", "gemini": "gemini-cli"}


@dataclass
class Researcher:
    """Edits, leaves the change, and waits until the last line says that there is a verdict; so often."""

    wait: str
    asked: list[str] = field(default_factory=list)  # its commands: one for each turn of the conversation
    done: int = 0

    def reply(self, asked: Asked) -> Reply:
        """The next command, by the result of the last one. A request that comes again gets the same command."""
        if not shell_call(asked, ""):
            return Text("a title")  # some ask for that beside
        said = asked.results[-1] if asked.results else "exit 0"
        if asked.turn > len(self.asked):
            if self.is_stuck(said) or len(self.asked) > 30 * COUNT:
                return Text(f"{self.asked[-3:]} ended with: {asked.results[-3:]}")
            if "exit 0" in said and self.done == COUNT:
                return Text("Done.")
            self.asked.append(self.next_command("exit 0" in said))
        return shell_call(asked, self.asked[asked.turn - 1]) or Text("no shell")

    def is_stuck(self, said: str) -> bool:
        """Whether the last command failed, or left a change without the id of an experiment."""
        has_left = bool(self.asked) and "--detach" in self.asked[-1]
        failed = re.search(r"exit (code )?[12]\b", said, re.IGNORECASE)
        return bool(failed) or (has_left and not re.search(r"\bf\d+\b", said))

    def next_command(self, has_verdict: bool) -> str:
        if has_verdict:
            self.done += 1
            return f"sed -i 's/^VALUE = [0-9.]*/VALUE = {1 - self.done / 100:.2f}/' train.py"
        if self.asked[-1].startswith("sed"):
            return f"bin/experiment --from-tree 'idea {self.done}' --detach"
        return self.wait


def waiting(tree: Path) -> dict[int, float]:
    """The processes that are `bin/wait` in this tree, and how many seconds each has run."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
            if words[1:2] == [b"bin/wait"] and (folder / "cwd").readlink() == tree:
                found[int(folder.name)] = time.time() - folder.stat().st_mtime
        except OSError:
            continue
    return found


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """A path of a socket has at most 107 bytes, and Claude's sandbox makes some in TMPDIR."""
    with TemporaryDirectory() as folder:
        yield Path(folder)


@contextmanager
def killing_calls(tree: Path) -> Iterator[None]:
    """Kill each wait after CALL_S seconds, as long as the block runs."""
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.2):
            for pid, seconds in waiting(tree).items():
                if seconds > CALL_S:
                    with suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@pytest.mark.parametrize("name", [pytest.param(name, marks=needs(name)) for name in COMMANDS])
def test_each_experiment_that_an_agent_makes_is_a_row_and_none_is_twice(
    house: House, name: str, short_folder: Path
) -> None:
    run = house
    run.environment["TMPDIR"] = str(short_folder)
    (run.tree / "train.py").write_text(SLOW)
    run.commit("a trainer that takes a while")
    run.setup()
    run.seconds.write_text(str(TRAINING_S))
    is_outside = name in KILLED_FROM_OUTSIDE
    model_of_it = Researcher("bin/wait" if is_outside else f"timeout --foreground --signal=KILL {CALL_S} bin/wait")
    with StandIn([model_of_it]) as model, killing_calls(run.tree) if is_outside else nullcontext():
        equip(run, name, model)
        if name == "codex":
            with (run.outside / "home/.codex/config.toml").open("a") as file:
                file.write(f'[projects."{run.tree}"]\ntrust_level = "trusted"\n')
        if name == "claude":
            if shutil.which("bwrap") and shutil.which("socat"):  # then its own sandbox works
                sandboxed = {"sandbox": {"enabled": True, "failIfUnavailable": True}}
                (run.outside / "home/.claude").mkdir()
                (run.outside / "home/.claude/settings.json").write_text(json.dumps(sandboxed))
            trusted = {"projects": {str(run.tree): {"hasTrustDialogAccepted": True}}}
            (run.outside / "home/.claude.json").write_text(json.dumps(trusted))
        done = run.call(*COMMANDS[name], timeout=150 + (60 + TRAINING_S) * COUNT)
    assert done.status == 0, done
    assert model_of_it.done == COUNT, done
    assert model_of_it.asked.count(model_of_it.wait) >= 2 * COUNT, "each experiment outlives a call"
    assert [row[4] for row in run.rows()] == ["baseline", *(f"idea {number}" for number in range(1, COUNT + 1))]
    assert {one["agent"] for one in run.experiments()[1:]} == {MARKS.get(name, name)}
    run.check_invariants()
