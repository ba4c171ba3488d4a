"""A flight, which is an experiment in flight: `runs/<tag>/flights/f7/` has one small file per fact, shared by steps."""

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

ID = re.compile(r"f[1-9][0-9]*\.[1-9][0-9]*")  # the name of a candidate
CODE = ("before", "after", "edit")  # folders of a flight that have code


@dataclass(frozen=True)
class Flight:
    """Reads and writes facts by name. The name of a fact is the name of its file."""

    folder: Path

    @property
    def run(self) -> Path:
        """The folder of its run."""
        return self.folder.parents[1]

    def text(self, name: str) -> str | None:
        """The fact as text, without the newline at its end; None if there is no such file."""
        try:
            return (self.folder / name).read_text(encoding="utf-8", errors="replace").rstrip("\n")
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):  # the flight may just have ended
            return None

    def lines(self, name: str) -> list[str]:
        """The words of the fact; none if there is no such file."""
        return (self.text(name) or "").split()

    def need(self, name: str) -> str:
        """The fact, which an earlier step must have written. Raises ValueError if it is missing."""
        text = self.text(name)
        if text is None:
            raise ValueError(f"'{self.folder / name}' is missing: an earlier step should have written it")
        return text

    def json(self, name: str) -> dict[str, Any]:
        """The fact as an object; numbers with a fraction are Decimal."""
        value: dict[str, Any] = json.loads(self.need(name), parse_float=Decimal)
        return value

    def write(self, name: str, text: str) -> None:
        """Write a text and a newline."""
        path = self.folder / name
        durable.write_atomically(path, text + "\n", durable=False)  # lib/experiment/dispatch syncs each finished step

    def write_json(self, name: str, value: dict[str, Any]) -> None:
        """Write an object; a Decimal becomes a JSON number."""
        self.write(name, json.dumps(value, default=float, ensure_ascii=False))

    @property
    def attempt(self) -> int:
        """The number of the attempt, from 1 on. It is in the first line of the list of finished steps."""
        return int(self.need("done").split("\n")[0].split()[1])

    @property
    def said(self) -> str | None:
        """The last line that the proposer printed; None if it has printed nothing yet."""
        lines = [line for line in (self.text("said") or "").splitlines() if line.strip()]
        return clean(lines[-1], LONGEST) if lines else None

    @property
    def what(self) -> str | None:
        """The description of the experiment, or of a change in the person's tree that has no commit yet."""
        return self.text("description") or self.text("edit/description")

    @property
    def is_baseline(self) -> bool:
        """Whether this is the unmodified start of a run. It is compared with nothing."""
        return self.text("agent") == "baseline"


def all_of(run: Path) -> list[Flight]:
    """All flights of the run, oldest first."""
    found = [path for path in (run / "flights").glob("f*") if path.name[1:].isdigit()]
    return [Flight(path) for path in sorted(found, key=lambda path: int(path.name[1:]))]


def in_the_air(run: Path) -> list[Flight]:
    """The flights without a verdict, oldest first, without the baseline."""
    return [one for one in all_of(run) if not one.is_baseline and one.text("summary") is None]


def candidates(run: Path) -> list[Flight]:
    """The extra candidates of a proposer that no flight has taken yet, oldest first. Each has a flight's facts."""
    found = (path for path in (run / "candidates").glob("f*.*") if ID.fullmatch(path.name))
    return [Flight(path) for path in sorted(found, key=lambda path: [*map(int, path.name[1:].split("."))])]


def facts(folder: Path) -> list[Path]:
    """The files and links of a flight, also those in its folders of code; not those of its runs and calls."""
    found = [Path(entry.path) for entry in os.scandir(folder) if not entry.is_dir(follow_symlinks=False)]
    for top in [folder / name for name in CODE if not (folder / name).is_symlink()]:
        for within, folders, files in os.walk(top):
            paths = [Path(within, name) for name in (*files, *folders)]
            found += [path for path in paths if path.is_symlink() or not path.is_dir()]
    return found


def land(folder: Path) -> None:
    """Sync the files of a flight, and then rename `commit.new` to `commit`: a power cut cannot separate them.

    `object` has the path of a git object that git has not synced. (The object may be in a pack by now.)
    """
    own = [path for path in facts(folder) if path.is_file() and not path.is_symlink()]
    folders = {above for path in own for above in path.parents if folder in above.parents}
    unsafe = Path((folder / "object").read_text().rstrip("\n"))
    for path in [*own, *folders, *([unsafe, unsafe.parent] if unsafe.exists() else []), folder]:
        durable.sync(path)
    (folder / "commit.new").replace(folder / "commit")
    durable.sync(folder)


def drop(folder: Path) -> None:
    """Remove the folder of an ended flight. It is renamed first, so that a half-removed folder is never read."""
    old = folder.with_suffix(".old")
    shutil.rmtree(old, ignore_errors=True)
    folder.replace(old)
    shutil.rmtree(old)
