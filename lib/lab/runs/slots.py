"""Which trainings ran when: `runs/<tag>/slots/uses` has a line for each ended run, in any slot.

lib/experiment/training_run.sh writes `SLOT<tab>DEVICES<tab>STARTED<tab>ENDED`. DEVICES is as in CUDA_VISIBLE_DEVICES,
or empty for the processor, which all runs share.
"""

import fcntl
from datetime import datetime
from pathlib import Path

from lab.store import durable

RECENT = 64_000  # bytes of the file that are looked at: some thousand runs


def trainings(run: Path, folder: Path) -> float | None:
    """The mean number of trainings, itself included, that shared the device of the run in `folder` during its time.

    None: unknown.
    """
    began, ended = _seconds(folder, "started"), _seconds(folder, "ended")
    devices = _text(folder, "devices")
    if began is None or ended is None or devices is None or ended <= began:
        return None
    others = [*past(run, devices), *_at_work(run, devices, folder)]
    shared = sum(max(0.0, min(ended, until) - max(began, since)) for since, until in others)
    own = (began, ended) in others  # its line is in the file already
    return round(max(1.0, shared / (ended - began) + (not own)), 2)


def past(run: Path, devices: str | None = None) -> list[tuple[float, float]]:
    """The start and end times of the ended runs on these devices (None: on any)."""
    path = run / "slots/uses"
    if not path.exists():
        return []
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - RECENT))
        lines = [line.decode(errors="replace").split("\t") for line in file.read().split(b"\n")]
    times = [(_time(line[2]), _time(line[3])) for line in lines if len(line) == 4 and devices in (None, line[1])]
    return [(since, until) for since, until in times if since is not None and until is not None]


def _at_work(run: Path, devices: str, own: Path) -> list[tuple[float, float]]:
    """The start times of the runs on these devices that have not ended."""
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
    """The number of slots without a training; at least 1, which is the slot of the run that has just ended."""
    slots = [run / f"slots/{slot}.lock" for slot in range(int(_text(run / "slots", "count") or 1))]
    return max(1, sum(map(_is_free, slots)))


def free_places(folder: Path) -> str:
    """The numbers of the free places in a folder, one per line (lib/experiment/places.sh)."""
    numbers = sorted(int(path.stem) for path in folder.glob("*.lock") if path.stem.isdigit())
    return "".join(f"{number}\n" for number in numbers if _is_free(folder / f"{number}.lock"))


def _is_free(path: Path) -> bool:
    """Whether nobody holds this lock. A slot whose GPU is out of service is not free."""
    if path.with_suffix(".out").exists():
        return False
    try:
        with path.open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
