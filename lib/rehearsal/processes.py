"""Running processes, from /proc: pid -> command."""

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

IsMeant = Callable[[str, str, str], bool]  # arguments: the command; the environment, NUL around each variable; the cwd


def under_loop(tree: Path) -> dict[int, str]:
    """The processes that a loop of this tree, or one of its runs, has started."""
    return _running(lambda _, variables, __: _is_under_loop(tree, variables))


def strays(folder: Path) -> dict[int, str]:
    """These, and all other processes of the stage in this folder, found by environment, command or cwd."""

    def is_meant(command: str, variables: str, cwd: str) -> bool:
        is_marked = f"\0REHEARSAL={folder}\0" in variables or _is_under_loop(folder / "tree", variables)
        return is_marked or str(folder) in command or f"{cwd}/".startswith(f"{folder}/")

    return _running(is_meant)


def end_strays(folder: Path) -> None:
    """Send KILL to all strays until none is left."""
    for _ in range(20):
        pids = strays(folder)
        if not pids:
            break
        for pid in pids:
            kill(pid)
        time.sleep(0.05)


def kill(pid: int, number: int = signal.SIGKILL) -> None:
    """Send a signal to a process, or to a group if the pid is negative. It may have ended already."""
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def _is_under_loop(tree: Path, variables: str) -> bool:
    return f"\0LAB_TREE={tree}\0" in variables or f"\0LAB_RUN_DIR={tree}/" in variables


def _running(is_meant: IsMeant) -> dict[int, str]:
    found = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        with suppress(OSError):  # it has ended, or belongs to another user
            command = _text(name, "cmdline").replace("\0", " ").strip()  # a zombie has none
            cwd = os.readlink(f"/proc/{name}/cwd")
            if command and int(name) != os.getpid() and is_meant(command, "\0" + _text(name, "environ"), cwd):
                found[int(name)] = command
    return found


def _text(pid: str, name: str) -> str:
    with open(f"/proc/{pid}/{name}", errors="replace") as file:
        return file.read()
