"""Which trainings were at work when: `runs/<tag>/slots/uses`, a line for each run that has ended, in any slot.

`SLOT<tab>DEVICES<tab>STARTED<tab>ENDED`, by lib/experiment/training_run.sh; DEVICES as CUDA_VISIBLE_DEVICES names them,
empty for the processor, which all share.
"""

import fcntl
import os
from datetime import datetime
from pathlib import Path

from lab.store import durable

RECENT = 64_000  # bytes of the file that are looked at: some thousand runs


def trainings(run: Path, folder: Path) -> float | None:
    """How many trainings shared the device of the run in `folder`, the mean over its time; itself is one.

    None: not known.
    """
    began, ended = _seconds(folder, "started"), _seconds(folder, "ended")
    devices = _text(folder, "devices")
    if began is None or ended is None or devices is None or ended <= began:
        return None
    others = [*past(run, devices), *_at_work(run, devices, folder)]
    shared = sum(max(0.0, min(ended, until) - max(began, since)) for since, until in others)
    return round(max(1.0, 1 + (shared - _own(others, began, ended)) / (ended - began)), 2)


def _own(others: list[tuple[float, float]], began: float, ended: float) -> float:
    """The run itself, where its line is there already."""
    return ended - began if (began, ended) in others else 0.0


def past(run: Path, devices: str | None = None) -> list[tuple[float, float]]:
    """When the runs on these devices, or on any, began and ended; those that have ended."""
    path = run / "slots/uses"
    if not path.exists():
        return []
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - RECENT))
        lines = [line.decode(errors="replace").split("\t") for line in file.read().split(b"\n")]
    times = [(_time(line[2]), _time(line[3])) for line in lines if len(line) == 4 and devices in (None, line[1])]
    return [(since, until) for since, until in times if since is not None and until is not None]


def _at_work(run: Path, devices: str, own: Path) -> list[tuple[float, float]]:
    """The runs on these devices that have begun, and not ended."""
    found = []
    for folder in (*run.glob("flights/f*/run.*"), *run.glob("replicates/run.*")):
        since = _seconds(folder, "started")
        if folder != own and since is not None and not (folder / "ended").exists():
            found += [(since, float("inf"))] if _text(folder, "devices") == devices else []
    return found


def _text(folder: Path, name: str) -> str | None:
    try:
        return (folder / name).read_text().strip()
    except OSError:
        return None


def _seconds(folder: Path, name: str) -> float | None:
    return _time(_text(folder, name) or "")


def _time(text: str) -> float | None:
    try:
        return datetime.fromisoformat(text.rstrip("Z")).timestamp()
    except ValueError:
        return None


def note_kind(run: Path, slot: str | None, kind: str | None) -> None:
    """In `slots/<k>.kind`: on what kind of device a run in that slot has just been."""
    path = run / f"slots/{slot}.kind"
    if slot is not None and kind and path.parent.is_dir() and not (path.exists() and path.read_text().strip() == kind):
        durable.write_atomically(path, f"{kind}\n", durable=False)


def free(run: Path) -> int:
    """How many slots nobody trains in; at least 1: that of the run which has just ended."""
    slots = [run / f"slots/{slot}.lock" for slot in range(int(os.environ.get("SLOTS") or 1))]
    return max(1, sum(map(_is_free, slots)))


def free_places(folder: Path) -> str:
    """The numbers of the places in it that nobody has, a line each (lib/experiment/places.sh)."""
    numbers = sorted(int(path.stem) for path in folder.glob("*.lock") if path.stem.isdigit())
    return "".join(f"{number}\n" for number in numbers if _is_free(folder / f"{number}.lock"))


def _is_free(path: Path) -> bool:
    """Whether nobody has this lock; one whose GPU is out is not free."""
    if path.with_suffix(".out").exists():
        return False
    try:
        with path.open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
