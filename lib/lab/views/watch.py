"""`make watch`: the status of a run, live in the terminal, until Ctrl-C.

It takes under 1 % of a core: a file is read again only after a change, and only the new bytes of a growing log are
read, at most MOST a second.
"""

import os
import select
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from lab.runs import logs
from lab.runs.logs import Curve
from lab.store import experiments
from lab.store.experiments import Experiment
from lab.views import status, status_text
from lab.views.sparkline import ASCII_BLOCKS, BLOCKS, sparkline
from lab.views.status import Facts, Status
from lab.views.status_text import Line

EVERY = 1.0  # seconds
MOST = 256 * 1024  # bytes
RECORDS = ("results.tsv", experiments.FILE, "reruns.jsonl", "manifest.json")
WIDTHS = tuple(width for width in range(80, 7, -1) if logs.PARTS % width == 0)  # columns of a curve
ROWS = 200  # rows of the ledger, enough for a tall screen
STYLES = {"keep": "green", "crash": "red", "trouble": "bold red", "hint": "yellow", "best": "bold"}


def watch(run: Path) -> None:
    """Draw until Ctrl-C. Stdin has blocks of facts, each ended by an empty line."""
    blocks, watched = _FactBlocks(sys.stdin.fileno()), Watched(run)
    with Live(console=Console(), screen=True, auto_refresh=False) as live:
        try:
            while True:
                live.update(View(watched.look(blocks.facts)), refresh=True)
                blocks.wait(EVERY)
        except KeyboardInterrupt:
            return


@dataclass
class _FactBlocks:
    """Reads blocks of facts from lib/run/status_facts.sh. `facts` is the last whole block."""

    descriptor: int
    facts: Facts = field(default_factory=dict)
    _rest: str = ""
    _open: bool = True

    def wait(self, seconds: float) -> None:
        """Wait for new facts, for at most that many seconds."""
        ready, _, _ = select.select([self.descriptor] if self._open else [], [], [], seconds)
        if not ready:
            return
        data = os.read(self.descriptor, 65536)
        self._open = bool(data)
        *blocks, self._rest = (self._rest + data.decode(errors="replace")).split("\n\n")
        if blocks:
            self.facts = status.facts_of(blocks[-1])


# --- Facts to show ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Seen:
    """The status, the curve of the first training run in flight, and the incumbent's curve."""

    status: Status
    curve: Curve
    incumbent: Curve


class Watched:
    """Reads a run again and again, and remembers unchanged parts."""

    def __init__(self, run: Path) -> None:
        """`run`: the folder of the run."""
        self._run = run
        self._stamp: object = None
        self._records: Status = {}
        self._incumbent = Curve()
        self._log: tuple[int, int] | None = None
        self._offset = 0
        self._curve = Curve()

    def look(self, facts: Facts) -> Seen:
        """The current state."""
        stamp = [_stamp(self._run / name) for name in RECORDS]
        if stamp != self._stamp:
            self._stamp, self._records = stamp, status.from_records(self._run, ROWS)
            self._incumbent = incumbent_curve(self._run, self._records["incumbent"])
        at = status.joined(self._records, status.live(self._run, facts))
        if trains := status_text.in_training(at):
            self._follow(self._run / trains["log"])
        return Seen(at, self._curve, self._incumbent)

    def _follow(self, log: Path) -> None:
        """Feed the curve with new bytes. A new curve starts for another log, or one that has become shorter."""
        try:
            with log.open("rb") as file:
                about = os.fstat(file.fileno())
                if (about.st_dev, about.st_ino) != self._log or about.st_size < self._offset:
                    self._log, self._offset, self._curve = (about.st_dev, about.st_ino), 0, Curve()
                self._offset = max(self._offset, about.st_size - MOST)
                file.seek(self._offset)
                data = file.read(MOST)
        except OSError:
            return  # the run has ended and its log was moved
        self._offset += len(data)
        self._curve.feed(data)


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        about = path.stat()
    except OSError:
        return None
    return about.st_mtime_ns, about.st_size


def incumbent_curve(run: Path, incumbent: Experiment | None) -> Curve:
    """The incumbent's curve, from its kept log; empty without a log."""
    try:
        log = logs.log_of(run, incumbent) if incumbent else None
        return logs.curve(log) if log else Curve()
    except (OSError, ValueError, EOFError):
        return Curve()  # the log is damaged, or was just deleted


# --- Drawing ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class View:
    """The screen. It fits any width, because the layout is computed for each drawing."""

    seen: Seen

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the lines of the status, with bars and curves below the flights in training."""
        at, columns = self.seen.status, options.max_width
        blocks = BLOCKS if console.encoding.startswith("utf") else ASCII_BLOCKS
        problems = status_text.problem_lines(at, columns)
        yield from map(styled, problems)  # first, because a small terminal shows only the top
        air, height = status_text.flying(at), console.size.height - len(problems)
        below = self._below(air, status_text.room(at, height), columns, blocks)
        for line in status_text.body(at, columns, height, air, [len(drawn) for drawn in below]):
            yield styled(line.text)
            yield from next((drawn for one, drawn in zip(air, below, strict=True) if one.training is line.training), [])

    def _below(self, air: Sequence[Line], room: int, columns: int, blocks: str) -> list[list[Table | Text]]:
        """The lines below each flight: a bar, and for the first one also the curve if there is room."""
        bars = [progress_bar(line.training, columns) for line in air]
        first = next((place for place, bar in enumerate(bars) if bar), None)
        if first is None:
            return bars
        whole = [*bars[:first], [*bars[first], *curves(self.seen, columns, blocks)], *bars[first + 1 :]]
        return whole if sum(1 + len(drawn) for drawn in whole) <= room else bars


def styled(line: str) -> Text:
    """One line of the status, cut to the width."""
    words = line.split(None, 4)
    word = words[3] if len(words) > 3 and words[3] in STYLES else words[0] if words else ""
    return Text(line, style=STYLES.get(word, ""), no_wrap=True, overflow="ellipsis")


def width_of(columns: int) -> int:
    """The width of a bar and of a curve."""
    return next((width for width in WIDTHS if width <= columns - 10), WIDTHS[-1])


def progress_bar(trains: Status | None, columns: int) -> list[Table | Text]:
    """A progress bar; nothing if the log does not tell the progress."""
    if trains is None or trains["progress"] is None:
        return []
    grid = Table.grid(padding=0)
    grid.add_row("          ", ProgressBar(total=1.0, completed=trains["progress"], width=width_of(columns)))
    return [grid]


def curves(seen: Seen, columns: int, blocks: str) -> Iterator[Text]:
    """The loss, and below it the incumbent's loss on the same scale."""
    width = width_of(columns)
    here, there = seen.curve.values(width), seen.incumbent.values(width)
    scale = scale_of(here, there)
    yield Text("loss      " + sparkline(here, scale, blocks), style="cyan", no_wrap=True)
    if any(value is not None for value in there):
        yield Text("incumbent " + sparkline(there, scale, blocks), style="dim", no_wrap=True)
        yield Text(difference(here, there), no_wrap=True, overflow="ellipsis")


def scale_of(*curves: list[float | None]) -> tuple[float, float]:
    """The lowest and the highest loss after the first tenth. (In the first tenth all models fall from one height.)"""
    values = [value for curve in curves for value in curve[len(curve) // 10 :] if value is not None]
    values = values or [value for curve in curves for value in curve if value is not None] or [0.0]
    return min(values), max(values)


def difference(here: list[float | None], there: list[float | None]) -> str:
    """How far this run is ahead of the incumbent at the last point where both have a loss."""
    passed = [place for place, value in enumerate(here) if value is not None][:-1]  # the last interval is incomplete
    both = [(place, a, b) for place in passed if (a := here[place]) is not None and (b := there[place]) is not None]
    if not both:
        return ""
    place, ours, incumbents = both[-1]
    word = "ahead of" if ours <= incumbents else "behind"
    share = 100 * (place + 1) // len(here)
    return f"          {word} the incumbent by {abs(ours - incumbents):.4f} at {share} % of the training"
