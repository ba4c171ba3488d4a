"""The shim's part in Python: loaded into the core, and by PYTHONPATH into each Python that a loop under test starts.

What is counted: the start, each os.fsync, each os.replace, and the end. `torn` instead of before, inside or after: a
file loses half of its last line in the moment before it is synced, as a power cut would have it.
"""

import atexit
import os
import re
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

KILLS = Path(os.environ.get("KILLS", "/nowhere"))
Call = Callable[..., Any]


def place() -> str:
    """`lab.conclude`, `train.py`: the first two words of the command."""
    return ".".join(os.path.basename(word) for word in sys.argv[:2])[:60]


def armed_here(event: str) -> list[str] | None:
    """Note the event; what $KILLS/armed says, where it means this one."""
    try:
        wanted = (KILLS / "armed").read_text().split()
    except OSError:
        return None
    with (KILLS / "calls").open("a") as file:
        file.write(f"{place()} {event}\n")
    if wanted[0] != place():
        return None
    number, _, pattern = wanted[1].partition("/")
    calls = [line.split(" ", 1) for line in (KILLS / "calls").read_text().splitlines()]
    alike = [words for caller, words in calls if caller == place() and re.match(pattern, words)]
    if len(alike) < int(number) or not re.match(pattern, event):
        return None
    try:
        os.rename(KILLS / "armed", KILLS / "fired")
    except OSError:
        return None
    with (KILLS / "fired").open("a") as file:
        file.write(f"{event}\n")
    return wanted


def strike(victim: str) -> None:
    """As the shim does it."""
    from rehearsal import processes

    loop, tree = int((KILLS / "loop").read_text()), Path(os.environ.get("LAB_TREE", "none"))
    pids = {"all": [*processes.under_loop(tree), -loop, os.getpid()], "loop": [loop], "parent": [os.getppid()]}
    for pid in pids.get(victim, [os.getpid()]):
        processes.kill(pid)


def tear(descriptor: int) -> None:
    """Half of the last line is what reached the disk."""
    size = os.fstat(descriptor).st_size
    text = Path(f"/proc/self/fd/{descriptor}").read_bytes()
    os.ftruncate(descriptor, size - (size - text.rstrip(b"\n").rfind(b"\n") - 1) // 2)


def note_sync(descriptor: int, now: int) -> None:
    """That what it holds now is safe from a power cut, as `strike` notes it: its inode, the time, and a copy."""
    with (KILLS / "synced").open("a") as file:
        file.write(f"{os.fstat(descriptor).st_ino} {now}\n")
    path = os.readlink(f"/proc/self/fd/{descriptor}")
    if (KILLS / "safe").is_dir() and os.path.isfile(path):
        copy = KILLS / "safe" / path.lstrip("/")
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, copy)


def wrapped(name: str, real: Call) -> Call:
    """The function of `os`, with a kill point around it."""

    def call(*arguments: Any, **more: Any) -> Any:
        subject = arguments[0]
        if name == "fsync":
            subject = os.path.basename(os.readlink(f"/proc/self/fd/{subject}"))
        wanted = armed_here(f"{name} {subject}")
        if wanted and wanted[2] == "torn" and name == "fsync" and os.path.isfile(f"/proc/self/fd/{arguments[0]}"):
            tear(arguments[0])
        if wanted and wanted[2] != "after":
            strike(wanted[3])
        now = time.time_ns() // 1000
        result = real(*arguments, **more)
        if name == "fsync":
            note_sync(arguments[0], now)
        if wanted and wanted[2] == "after":
            strike(wanted[3])
        return result

    return call


def at(event: str) -> None:
    """The start or the end of this Python."""
    wanted = armed_here(event)
    if wanted:
        strike(wanted[3])


if KILLS.is_dir():
    os.fsync = wrapped("fsync", os.fsync)
    os.replace = wrapped("replace", os.replace)
    at("start")
    atexit.register(at, "end")
