"""A flight, an experiment in the air, `runs/<tag>/flights/f7/`: a small file a fact, by which the steps hand over."""

import json
import os
import re
import shutil
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from lab.one_line import LONGEST, clean
from lab.store import durable

ID = re.compile(r"f[1-9][0-9]*\.[1-9][0-9]*")  # of a candidate


@dataclass(frozen=True)
class Flight:
    """Reads and writes the facts by their names, which are the names of the files."""

    folder: Path

    @property
    def run(self) -> Path:
        """The folder of its run."""
        return self.folder.parents[1]

    def text(self, name: str) -> str | None:
        """The fact as text, without the newline at its end; None where there is no such file."""
        try:
            return (self.folder / name).read_text(encoding="utf-8", errors="replace").rstrip("\n")
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):  # the flight may be over by now
            return None

    def lines(self, name: str) -> list[str]:
        """The lines of the fact; none where there is no such file."""
        return (self.text(name) or "").split()

    def need(self, name: str) -> str:
        """The fact that an earlier step must have written. Raises ValueError when it has not."""
        text = self.text(name)
        if text is None:
            raise ValueError(f"'{self.folder / name}' is not there: an earlier step should have written it")
        return text

    def json(self, name: str) -> dict[str, Any]:
        """The fact as an object; numbers with a fraction are Decimal."""
        value: dict[str, Any] = json.loads(self.need(name), parse_float=Decimal)
        return value

    def write(self, name: str, text: str) -> None:
        """Write one line, or none."""
        durable.write_atomically(
            self.folder / name, text + "\n", durable=False
        )  # lib/experiment/dispatch knows of power cuts

    def write_json(self, name: str, value: dict[str, Any]) -> None:
        """Write an object; a Decimal becomes a number."""
        self.write(name, json.dumps(value, default=float, ensure_ascii=False))

    @property
    def attempt(self) -> int:
        """Which attempt this is, from 1 on: the first line of the list of finished steps."""
        return int(self.need("done").split("\n")[0].split()[1])

    @property
    def said(self) -> str | None:
        """The last line that its proposer has printed; None where it has printed nothing, or not yet."""
        lines = [line for line in (self.text("said") or "").splitlines() if line.strip()]
        return clean(lines[-1], LONGEST) if lines else None

    @property
    def what(self) -> str | None:
        """What it tries: its description, or that of a change of the tree which nobody has looked at yet."""
        return self.text("description") or self.text("edit/description")

    @property
    def is_baseline(self) -> bool:
        """Whether this is the unmodified start of a run, which is compared with nothing."""
        return self.text("agent") == "baseline"


def all_of(run: Path) -> list[Flight]:
    """The flights of the run whose folder is `run`, the oldest first."""
    found = [path for path in (run / "flights").glob("f*") if path.name[1:].isdigit()]
    return [Flight(path) for path in sorted(found, key=lambda path: int(path.name[1:]))]


def in_the_air(run: Path) -> list[Flight]:
    """The flights that have no verdict yet, the oldest first; not the baseline's."""
    return [one for one in all_of(run) if not one.is_baseline and one.text("summary") is None]


def candidates(run: Path) -> list[Flight]:
    """Those of a wave that no flight has taken yet, the oldest first; the folder of each has facts of a flight."""
    found = (path for path in (run / "candidates").glob("f*.*") if ID.fullmatch(path.name))
    return [Flight(path) for path in sorted(found, key=lambda path: [*map(int, path.name[1:].split("."))])]


def land(folder: Path) -> None:
    """Make what the flight is safe from a power cut, and then, in `commit`, that it has a commit.

    `commit.new` has that, and `object` the path of an object that git has not synced, unless it is in a pack.
    """
    own = [Path(entry.path) for entry in os.scandir(folder) if entry.is_file(follow_symlinks=False)]
    unsafe = Path((folder / "object").read_text().rstrip("\n"))
    for path in [*own, *([unsafe, unsafe.parent] if unsafe.exists() else []), folder]:
        durable.sync(path)
    (folder / "commit.new").replace(folder / "commit")
    durable.sync(folder)


def drop(folder: Path) -> None:
    """The flight is over. By rename first, so that no half of it is ever taken for one."""
    old = folder.with_suffix(".old")
    shutil.rmtree(old, ignore_errors=True)
    folder.replace(old)
    shutil.rmtree(old)
