"""kill -9 at a chosen call of a loop on a stage; then the same command again, and what must hold after it.

A shim on PATH stands for each command that the toolkit calls by its name, and another in Python for what happens there
(examples/kills). A point is the n-th call from one place: a script, with its first argument.
"""

import json
import os
import random
import re
import shutil
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from house import ENVIRONMENT, UV
from rehearsal.stage import Stage, halve

SHIMS = Path(__file__).parent / "examples/kills"
# fmt: off
COMMANDS = (  # all but sleep: how often it is called is chance
    "awk", "cat", "cmp", "cp", "date", "df", "env", "find", "flock", "git", "grep", "gzip", "head", "ln", "mkdir",
    "mktemp", "mv", "readlink", "realpath", "rm", "sed", "sort", "stat", "sync", "tail", "timeout", "tr",
    "uv", "xargs",
)
# fmt: on
LONG = bool(os.environ.get("LONG"))
GOES_ON_S = 10  # at most, after any kill, with a training of no length


@dataclass(frozen=True)
class Point:
    """When to kill whom. `when`: before, inside (after `delay` seconds) or after the call; torn: see examples/kills."""

    place: str
    number: int | str  # of the call; or number/pattern, of those whose words begin so; without blanks
    when: str = "before"
    victim: str = "all"
    delay: float = 0.0

    def __str__(self) -> str:
        return f"{self.place}:{self.number}:{self.when}:{self.victim}:{self.delay:.4f}"


@dataclass(frozen=True)
class Site:
    """A call that a loop makes, as Point has it, and its words."""

    place: str
    number: int
    words: str


def find(sites: list[Site], place: str, pattern: str) -> int:
    """The number of the first call from this place whose words begin so."""
    found = [site.number for site in sites if site.place == place and re.match(pattern, site.words)]
    assert found, [site for site in sites if site.place == place]
    return found[0]


@dataclass(frozen=True)
class Struck:
    """What a killed loop has left."""

    fired: str  # the call at which it was killed; empty: it came to its end before
    status: int
    rows: int  # before that loop
    commit: str | None  # of the experiment in flight, where there was one
    goes_to: int  # so many rows more than before that loop, when the next one has ended


class Killer(Stage):
    """A stage whose loops are killed, and gone on with by the same command."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.environment |= {
            "PATH": f"{Path(UV).parent}:/usr/local/bin:/usr/bin:/bin",
            "UV_PROJECT_ENVIRONMENT": str(ENVIRONMENT),
            "LAB_MINUTE": "60",  # what a loop looks at each minute would be calls that chance counts
        }
        self.shims = self.folder / "kills"
        self.strikes = 0
        self.fired: list[str] = []  # the points at which there was a kill

    def bring_toolkit(self) -> None:
        """With the shim's part in Python, for the core does not look at PYTHONPATH."""
        super().bring_toolkit()
        with (self.tree / "lib/lab/__init__.py").open("a") as code:
            code.write(f"\nimport runpy\n\nrunpy.run_path({str(SHIMS / 'sitecustomize.py')!r})\n")

    def arm(self) -> "Killer":
        """Make the shims."""
        for name in ("shims", "real", "python"):
            (self.shims / name).mkdir(parents=True)
        shutil.copy(SHIMS / "sitecustomize.py", self.shims / "python")
        (self.shims / "strike").symlink_to(SHIMS / "strike")
        (self.shims / "real/sleep").symlink_to(str(shutil.which("sleep")))
        for name in COMMANDS:
            self.shim(name, UV if name == "uv" else name, self.shims / "shims")
        self.wish("better")
        return self

    def shim(self, name: str, real: str, folder: Path) -> None:
        """Make calls of `folder/name`, which stands for the command `real`, points."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).symlink_to(SHIMS / "shim")
        (self.shims / "real" / name).symlink_to(str(shutil.which(real, path=self.environment["PATH"])))

    def loop_under_watch(self, armed: str, **settings: str) -> int:
        """The status of a loop of one more row, whose calls are counted."""
        for name in ("calls", "fired", "synced", "loop"):
            (self.shims / name).unlink(missing_ok=True)
        (self.shims / "armed").write_text(armed + "\n")
        watched = {
            "PATH": f"{self.shims / 'shims'}:{self.environment['PATH']}",
            "PYTHONPATH": str(self.shims / "python"),
            "KILLS": str(self.shims),
        }
        begin = ("/bin/bash", "-c", 'echo $$ >"$KILLS/loop"; exec bin/loop')
        status = self.start(*begin, **{**watched, **settings}).wait(timeout=60)
        (self.shims / "armed").unlink(missing_ok=True)
        return status

    def sites(self, wish: str, **settings: str) -> list[Site]:
        """Each call of one whole loop of one experiment that nobody kills, in their order."""
        self.wish(wish)
        assert self.loop_under_watch("everywhere 0 before self 0", **settings) == 0, self.said(50)
        self.check()
        found: list[Site] = []
        for line in (self.shims / "calls").read_text().splitlines():
            place, words = line.split(" ", 1)
            number = 1 + sum(site.place == place for site in found)
            found.append(Site(place, number, re.sub(r"^git( -c \S+)+", "git", words)))
        # A killed look at whether the environment is synced would have it synced, for the stage: all tests share it.
        return [site for site in found if "synced-pyproject" not in site.words]

    def strike(self, point: Point, wish: str = "better", **settings: str) -> Struck:
        """Run a loop, and kill at the point."""
        self.wish(wish)
        self.strikes += 1
        self.before = self.settled_rows()
        status = self.loop_under_watch(
            f"{point.place} {point.number} {point.when} {point.victim} {point.delay}", **settings
        )
        fired = self.shims / "fired"
        words = fired.read_text().split("\n", 1)[1].strip() if fired.exists() else ""
        print(f"--- {point} [{words[:100]}] -> {status}")
        if words:
            self.fired.append(f"{point} {words[:80]}")
        was_settled = not self.flight.exists() and self.settled_rows() > self.before
        return Struck(words, status, self.before, self.commit() or None, 2 if was_settled else 1)

    def settled_rows(self) -> int:
        """The row of an experiment that is in flight still is not counted."""
        rows = (self.run / "results.tsv").read_text().splitlines()[1:]
        flying = {commit[:7] for commit in self.committed()}
        return sum(row[:7] not in flying for row in rows)

    def go_on(self, struck: Struck, *, exact: bool = True) -> None:
        """The same command again, and what must hold then. Not exact: the killed loop's children may have gone on."""
        began = time.monotonic()
        self.recover(KILLS=str(self.shims))  # for a hook of the test's
        assert time.monotonic() - began < GOES_ON_S
        new = self.state().commits[struck.rows :]
        if struck.commit and not self.is_mended(struck.commit):
            assert struck.commit in new, "a proposal that was committed is measured"
        assert len(new) == struck.goes_to or (not exact and len(new) in (1, 2, 3)), new

    def committed(self) -> set[str]:
        """The commits of all that is in flight."""
        found = set()
        for flight in self.flights:
            with suppress(OSError):  # of a loop that was killed alone, a dispatcher ends a moment later
                found.add((flight / "commit").read_text().strip())
        return found

    def go_on_to_the_end(self) -> None:
        """The same command, until nothing is in flight any more."""
        self.before = self.settled_rows()
        self.recover(KILLS=str(self.shims))
        while self.flights:
            self.before = self.settled_rows()
            self.recover(KILLS=str(self.shims))

    def kill_again_and_again(self, points: list[Point], wish: str = "better") -> None:
        """Each loop goes on with what the one before has left, and is killed later. The last one comes to an end."""
        first, commit = None, None
        for point in points:
            began = time.monotonic()
            struck = self.strike(point, wish)
            assert struck.fired, "the killed loop was gone on with, up to the next point"
            assert time.monotonic() - began < GOES_ON_S
            first = first or struck
            assert commit in (None, struck.commit) or self.is_mended(str(commit)), (
                "what was committed is in flight still"
            )
            commit = struck.commit
            assert struck.rows == first.rows
        assert first
        self.go_on(struck)
        self.check()

    def is_mended(self, commit: str) -> bool:
        """Whether the commit's train.py crashes: another one takes its place then."""
        return "LEFT" in self.git("show", f"{commit}:train.py")

    def strike_and_go_on(self, point: Point, wish: str = "better", **settings: str) -> None:
        """Kill at the point, go on, and check all that must hold."""
        struck = self.strike(point, wish, **settings)
        if struck.status != 0 or self.rows() <= struck.rows:
            self.go_on(struck, exact=point.victim == "all")
        if point.victim in ("self", "parent"):
            self.forgive()
        self.check()


def delay_for(words: str, rng: random.Random) -> float:
    """Seconds into a command that are likely to be in the middle of it."""
    return rng.uniform(0.001, 0.3 if words.startswith(("uv ", "env ")) else 0.02)


# --- Power cuts ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class GitCall:
    """One git, as its own trace tells it: microseconds since 1970, and whether it has synced what it wrote."""

    words: list[str]
    began: int
    ended: int
    has_synced: bool


def git_call(trace: Path) -> GitCall:
    events = [json.loads(line) for line in trace.read_text().splitlines()]
    times = [
        int(datetime.fromisoformat(one["time"].replace("Z", "+00:00")).timestamp() * 1e6)
        for one in events
        if "time" in one
    ]
    words = next(one["argv"] for one in events if one["event"] == "start")
    return GitCall(words, times[0], times[-1], any("hardware-flush" in json.dumps(one) for one in events))


class PowerCut:
    """A loop's tree before a strike; then what a disk has of it after a power cut: what was synced, and some more.

    A file is safe when it was synced after its last change: by fsync or `sync`, as the shims have noted, or by a git
    that syncs what it writes.
    """

    def __init__(self, killer: Killer) -> None:
        self.killer = killer
        self.tree = killer.tree
        self.trace = killer.shims / "trace"
        self.before = killer.shims / "before"
        self.settings = {"GIT_TRACE2_EVENT": str(self.trace)}
        self.safe = killer.shims / "safe"
        self.trace.mkdir()
        self.safe.mkdir()
        self.stats = {path: path.lstat() for path in self.files()}
        shutil.copytree(self.tree, self.before, symlinks=True)

    def files(self) -> list[Path]:
        """What a loop writes: the records, the repository, and train.py; but no logs."""
        folders = (self.killer.run, self.tree / ".git")
        found = [path for folder in folders for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
        return [self.tree / "train.py", *(path for path in found if not path.name.endswith((".log", ".gz")))]

    def git_calls(self) -> list[GitCall]:
        return [git_call(path) for path in self.trace.iterdir()]

    def synced(self) -> dict[int, int]:
        """Inode -> when it was synced for the last time."""
        path = self.killer.shims / "synced"
        lines = [line.split() for line in path.read_text().splitlines()] if path.exists() else []
        return {int(inode): int(time) for inode, time in lines}

    def unsafe(self) -> list[Path]:
        """The files that were changed since, and not synced after that."""
        synced = self.synced()
        spans = [(call.began - 10_000, call.ended) for call in self.git_calls() if call.has_synced]
        found = []
        for path in self.files():
            now, old = path.lstat(), self.stats.get(path)
            changed = now.st_mtime_ns // 1000
            if old and (old.st_ino, old.st_mtime_ns) == (now.st_ino, now.st_mtime_ns):
                continue
            by_git = ".git" in path.parts and any(begin <= changed <= end for begin, end in spans)
            if not by_git and synced.get(now.st_ino, 0) < changed:
                found.append(path)
        return found

    def happens(self, how: str) -> None:
        """What is not safe is empty, half there, or lost: as it was before, or not there. /tmp is empty again."""
        for path in self.unsafe():
            print("not synced:", path.relative_to(self.tree))
            now, old = path.lstat(), self.stats.get(path)
            # Of what grows, the beginning is safe.
            kept = min(old.st_size, now.st_size) if old and old.st_ino == now.st_ino else 0
            if how == "half":
                halve(path, kept)
            elif how == "empty":
                os.truncate(path, kept)
            elif (self.safe / path.relative_to("/")).exists():
                shutil.copy2(self.safe / path.relative_to("/"), path)
            elif old:
                shutil.copy2(self.before / path.relative_to(self.tree), path)
            else:
                path.unlink()
        self.killer.reboot()

    def what_is_left_of(self, struck: Struck) -> Struck:
        """What the next loop may be expected to go on with."""
        return struck if self.killer.commit() == struck.commit else replace(struck, commit=None)
