"""The logs of training runs: a plain file that grows during the run, and is compressed later.

Every read of a log is bounded, because a log can be a single line of 64 MB. A line ends at \\n or \\r.
"""

import gzip
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from lab.store import metric
from lab.store.experiments import Experiment

CHUNK = 1 << 20  # bytes
LONGEST = 64 << 20  # bytes of a log; a longer one loses its middle
PARTS = 240  # equal parts of the budget; a curve has one value for each
STEP = re.compile(rb"^step (\d{1,12}) \((\d{1,3}\.?\d{0,6})%\) \| loss: (\d{1,9}\.\d{1,9})\b", re.MULTILINE)


@dataclass(frozen=True)
class Step:
    """A progress line of train.py: the number of the step, the used share of the budget in [0, 1], and the loss."""

    number: int
    progress: float
    loss: float


def _steps_in(data: bytes) -> list[tuple[bytes, bytes, bytes]]:
    """Number, percent and loss of each progress line in `data`, which starts with a whole line."""
    return STEP.findall(data.replace(b"\r", b"\n"))


def _step(number: bytes, percent: bytes, loss: bytes) -> Step:
    return Step(int(number), min(float(percent) / 100, 1.0), float(loss))


def last_step(log: Path) -> Step | None:
    """The last step near the end of a log; None without one."""
    found = _steps_in(last_bytes(log, 4096))
    return _step(*found[-1]) if found else None


def last_bytes(log: Path, most: int) -> bytes:
    """At most `most` bytes from the end of a log."""
    if log.suffix != ".gz":
        with log.open("rb") as file:
            file.seek(max(0, file.seek(0, 2) - most))
            return file.read(most)
    kept = b""
    for chunk in _chunks(log):
        kept = (kept + chunk)[-most:]
    return kept


def _chunks(log: Path) -> Iterator[bytes]:
    with cast("IO[bytes]", gzip.open(log) if log.suffix == ".gz" else log.open("rb")) as file:
        while chunk := file.read(CHUNK):
            yield chunk


def drop_middle(log: Path) -> None:
    """Cut the middle out of a log that is longer than LONGEST bytes. In place, because the disk may be full."""
    with log.open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        if size <= LONGEST:
            return
        for at in range(LONGEST // 2, LONGEST, CHUNK):
            file.seek(size - LONGEST + at)
            data = file.read(CHUNK)
            file.seek(at)
            file.write(data)
        file.truncate(LONGEST)


class Curve:
    """The mean loss in each of PARTS equal parts of the budget, computed from a log piece by piece."""

    def __init__(self) -> None:
        """An empty curve."""
        self._sums = [0.0] * PARTS
        self._counts = [0] * PARTS
        self._rest = b""
        self.last: Step | None = None

    def feed(self, data: bytes) -> None:
        """Read the next bytes of the log. An unfinished line waits for the rest."""
        data = self._rest + data
        whole = max(data.rfind(b"\n"), data.rfind(b"\r")) + 1
        self._rest = data[whole:][-1024:]  # a longer line is not a progress line
        found = _steps_in(data[:whole])
        for _, percent, loss in found:  # creating a Step for each would be slow: a report reads millions
            part = min(int(float(percent) * PARTS / 100), PARTS - 1)
            self._sums[part] += float(loss)
            self._counts[part] += 1
        if found:
            self.last = _step(*found[-1])

    def values(self, parts: int) -> list[float | None]:
        """The mean loss in each of `parts` equal parts (a divisor of PARTS); None for a part without a loss."""
        size = PARTS // parts
        slices = [slice(first, first + size) for first in range(0, PARTS, size)]
        counts = [sum(self._counts[one]) for one in slices]
        return [sum(self._sums[one]) / count if count else None for one, count in zip(slices, counts, strict=True)]


def curve(log: Path) -> Curve:
    """The curve of a whole log."""
    found = Curve()
    for chunk in _chunks(log):
        found.feed(chunk)
    found.feed(b"\n")
    return found


def kept_logs(run: Path, commit: str) -> list[Path]:
    """The kept logs of an experiment, by attempt. The oldest logs of a run may have been deleted."""
    found = {
        int(path.name.removesuffix(".log.gz")[8:]): path
        for path in (run / "logs").glob(f"{commit[:7]}-*.log.gz")
        if path.name.removesuffix(".log.gz")[8:].isdecimal()
    }
    return [found[attempt] for attempt in sorted(found)]


def log_of(run: Path, experiment: Experiment) -> Path | None:
    """The log of the experiment's own first run with a metric; for a crash, its last log. None if no log is kept.

    Earlier attempts crashed and were mended, and later logs may be of the incumbent.
    """
    logs = kept_logs(run, experiment["commit"])
    if experiment.get("failure") is None and len(logs) > 1:
        told = f"\n{metric.named(experiment).name}:".encode()
        logs = [log for log in logs if told in b"\n" + last_bytes(log, 65536).replace(b"\r", b"\n")][:1] or logs
    return logs[-1] if logs else None
