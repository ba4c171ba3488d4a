"""kill -9 at a chosen call of a loop in a house; then the same command again, and what must hold after it.

A shim on PATH stands for each command that the toolkit calls by its name, and another in Python for what happens there
(examples/kills). A point is the n-th call from one place: a script, with its first argument.
"""

import gzip
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

from house import UV, House

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

# VALUE by the wish of the test, never the same one twice: a mixture of two is seen. `mended` crashes at first.
PROPOSER = """\
if [[ $LAB_MODE == mend ]]; then
  sed -i '/^LEFT/d' train.py
  exit
fi
old=$(sed -n 's/^VALUE = \\([0-9.e-]*\\).*/\\1/p' train.py)
echo >>~/calls
n=$(wc -l <~/calls)
case $(<~/wish) in
  better | mended) new="$old - 0.01 - $n / 100000" ;;
  worse) new="$old + 0.1 + $n / 1000" ;;
  half) new="$old * (0.45 - $n / 100000)" ;;
esac
new=$(awk "BEGIN{printf \\"%.6f\\", $new}")
sed -i "s/^VALUE = [0-9.]*/VALUE = $new/" train.py
[[ $(<~/wish) != mended ]] || echo 'LEFT = VALUE + NOTHING' >>train.py
echo "VALUE $old -> $new"
"""


@dataclass(frozen=True)
class Point:
    """When to kill whom. `when`: before, inside (after `delay` seconds) or after the call; torn: see sitecustomize."""

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


class Killer:
    """A house whose loops are killed, and gone on with by the same command."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.folder = house.outside / "kills"
        self.agent = house.proposer(PROPOSER)
        self.slowest = 0.0  # seconds until a killed loop had gone on, and ended
        self.fired: list[str] = []  # the points at which there was a kill
        self.failed: set[object] = set()  # commits of experiments whose training was killed
        self.wish("better")
        for name in ("shims", "real", "python"):
            (self.folder / name).mkdir(parents=True)
        shutil.copy(SHIMS / "sitecustomize.py", self.folder / "python")
        (self.folder / "strike").symlink_to(SHIMS / "strike")
        (self.folder / "real/sleep").symlink_to(str(shutil.which("sleep")))
        for name in COMMANDS:
            self.shim(name, UV if name == "uv" else name, self.folder / "shims")

    def shim(self, name: str, real: str, folder: Path) -> None:
        """Make calls of `folder/name`, which stands for the command `real`, points."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).symlink_to(SHIMS / "shim")
        (self.folder / "real" / name).symlink_to(str(shutil.which(real, path=self.house.environment["PATH"])))

    def wish(self, wish: str) -> None:
        """What the next proposals are: better, worse, half (which is measured twice), or mended."""
        (self.house.outside / "home/wish").write_text(wish)

    @property
    def flight(self) -> Path:
        return self.house.run_folder / "flight"

    def loop_under_watch(self, armed: str, **settings: str) -> int:
        """The status of a loop of one more row, whose calls are counted."""
        for name in ("calls", "fired", "synced", "loop"):
            (self.folder / name).unlink(missing_ok=True)
        (self.folder / "armed").write_text(armed + "\n")
        watched = {
            "PATH": f"{self.folder / 'shims'}:{self.house.environment['PATH']}",
            "PYTHONPATH": str(self.folder / "python"),
            "KILLS": str(self.folder),
            "MAX_EXPERIMENTS": "1",
            "AGENT": str(self.agent),
        }
        begin = ("/bin/bash", "-c", 'echo $$ >"$KILLS/loop"; exec bin/loop')
        process = self.house.start(*begin, **{**watched, **settings})
        status = process.wait(timeout=60)
        (self.folder / "armed").unlink(missing_ok=True)
        return status

    def sites(self, wish: str, **settings: str) -> list[Site]:
        """Each call of one whole loop of one experiment that nobody kills, in their order."""
        self.wish(wish)
        assert self.loop_under_watch("everywhere 0 before self 0", **settings) == 0, self.said()
        self.check()
        found: list[Site] = []
        for line in (self.folder / "calls").read_text().splitlines():
            place, words = line.split(" ", 1)
            number = 1 + sum(site.place == place for site in found)
            found.append(Site(place, number, re.sub(r"^git( -c \S+)+", "git", words)))
        # A killed look at whether the environment is synced would have it synced, for the house: all tests share it.
        return [site for site in found if "synced-pyproject" not in site.words]

    def said(self) -> str:
        """What the killed loops have said, for a test that fails."""
        return (self.house.outside / "started.log").read_text(errors="replace")[-3000:]

    def strike(self, point: Point, wish: str = "better", **settings: str) -> Struck:
        """Run a loop, and kill at the point."""
        self.wish(wish)
        rows = self.settled_rows()
        status = self.loop_under_watch(
            f"{point.place} {point.number} {point.when} {point.victim} {point.delay}", **settings
        )
        fired = self.folder / "fired"
        words = fired.read_text().split("\n", 1)[1].strip() if fired.exists() else ""
        print(f"--- {point} [{words[:100]}] -> {status}")
        if words:
            self.fired.append(f"{point} {words[:80]}")
        commit = self.flight / "commit"
        text = commit.read_text().strip() if commit.exists() else None
        was_settled = not self.flight.exists() and self.settled_rows() > rows
        return Struck(words, status, rows, text or None, 2 if was_settled else 1)

    def settled_rows(self) -> int:
        """The row of an experiment that is in flight still is not counted."""
        commit = self.flight / "commit"
        own = commit.read_text()[:7] if commit.exists() else "none"
        return sum(row[0] != own for row in self.house.rows())

    def go_on(self, struck: Struck, *, exact: bool = True) -> None:
        """The same command again, and what must hold then. Not exact: the killed loop's children may have gone on."""
        began = time.monotonic()
        result = self.house.loop(1, self.agent, KILLS=str(self.folder))  # for a hook of the test's
        seconds = time.monotonic() - began
        self.slowest = max(self.slowest, seconds)
        assert result.status == 0, (result, self.said())
        assert seconds < GOES_ON_S
        new = [str(one["commit"]) for one in self.house.experiments()[struck.rows :]]
        if struck.commit and not self.is_mended(struck.commit):
            assert new[:1] == [struck.commit], "a proposal that was committed is measured"
        assert len(new) == struck.goes_to or (not exact and len(new) in (1, 2)), new

    def kill_again_and_again(self, points: list[Point], wish: str = "better") -> None:
        """Each loop goes on with what the one before has left, and is killed later. The last one comes to an end."""
        first, commit = None, None
        for point in points:
            began = time.monotonic()
            struck = self.strike(point, wish)
            self.slowest = max(self.slowest, time.monotonic() - began)
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
        return "LEFT" in self.house.git("show", f"{commit}:train.py")

    def kill(self, point: Point, wish: str = "better", **settings: str) -> Struck:
        """Kill at the point, go on, and check all that must hold."""
        struck = self.strike(point, wish, **settings)
        ended = struck.status == 0 and len(self.house.rows()) > struck.rows
        if not ended:
            self.go_on(struck, exact=point.victim == "all")
        self.check(may_fail=point.victim in ("self", "parent"))
        return struck

    def report(self, at_least: float = 1) -> None:
        """For a person (-s, or a failure). The points must have been there."""
        print(f"KILLS {len(self.fired)}, slowest recovery {self.slowest:.1f} s", *self.fired, sep="\n")
        assert len(self.fired) >= at_least

    def tear(self, how: str) -> None:
        """What a command that was killed while it wrote train.py leaves: half of it, nothing in it, or no file."""
        path = self.house.tree / "train.py"
        path.unlink() if how == "gone" else os.truncate(path, path.stat().st_size // 2 if how == "half" else 0)

    def check(self, *, may_fail: bool = False) -> None:
        """What holds after any verb has ended, however the one before it ended."""
        left = strays(self.house.outside)
        assert not left, left
        self.house.check_invariants()
        ours = {f"refs/experiments/mar14/{one['commit']}" for one in self.house.experiments()}
        refs = self.house.git("for-each-ref", "--format=%(refname)", "refs/experiments").split()
        assert {ref for ref in refs if "/aside/" not in ref} == ours
        self.check_values(may_fail=may_fail)
        assert not self.litter(), self.litter()

    def check_values(self, *, may_fail: bool) -> None:
        """Each row has the value of its own commit's train.py, and what was kept was better."""
        ours = self.house.experiments()
        commits = [str(one["commit"]) for one in ours]
        lines = self.house.git("grep", "-h", "^VALUE", *commits, "--", "train.py").splitlines()
        assert len(lines) == len(commits)
        incumbent = None
        for one, line in zip(ours, lines, strict=True):
            value = line.split()[2]
            if one["failure"]:
                assert may_fail or one["commit"] in self.failed, one
                self.failed.add(one["commit"])
                continue
            assert one["val_bpb"] == float(value)
            assert (one["status"] == "keep") == (incumbent is None or float(value) < incumbent - 0.001), one
            assert may_fail or one["description"] == "baseline" or str(one["description"]).endswith(f"-> {value}")
            runs = one["runs"]
            assert isinstance(runs, list)
            assert len(runs) == (2 if incumbent and float(value) < incumbent / 2 else 1), one
            if one["status"] == "keep":
                incumbent = float(value)
            self.check_log(str(one["commit"]), value)
        assert (
            f"val_bpb:          {float(lines[-1].split()[2]):.6f}" in (self.house.tree / "run.log").read_text()
            or may_fail
        )

    def check_log(self, commit: str, value: str) -> None:
        """The log of a run stays, whole, under its commit."""
        logs = list((self.house.run_folder / "logs").glob(f"{commit[:7]}-*.log.gz"))
        texts = [gzip.decompress(path.read_bytes()).decode() for path in logs]
        assert any(f"val_bpb:          {float(value):.6f}" in text for text in texts), (commit, logs)

    def litter(self) -> list[str]:
        """What a killed command leaves: half-written files, locks, scratch folders."""
        folders = (self.house.run_folder, self.house.tree / ".git")
        pattern = re.compile(r".*\.(new|old|lock|index)")
        paths = [path for folder in folders for path in folder.rglob("*") if pattern.fullmatch(path.name)]
        paths += (self.house.outside / "tmp").glob("autoresearch-*")
        return [str(path) for path in paths if "kept" not in path.parts]


def tagged(tree: Path) -> list[tuple[int, str]]:
    """Pid and command of what was started under a loop of this tree, and is alive."""
    mark, found = f"LAB_TREE={tree}".encode(), []
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if mark in (path / "environ").read_bytes().split(b"\0"):
                found.append((int(path.name), command_of(path)))
    return sorted(found)


def command_of(process: Path) -> str:
    return (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")


def strays(folder: Path) -> list[str]:
    """Processes of a loop in the folder, and any that work there, or have it in their command."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            command = command_of(path)
            mine = f"LAB_TREE={folder / 'tree'}".encode() in (path / "environ").read_bytes().split(b"\0")
            if command and (mine or str(folder) in command or os.readlink(path / "cwd").startswith(str(folder))):
                found.append(command)
    return found


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
        self.tree = killer.house.tree
        self.trace = killer.folder / "trace"
        self.before = killer.folder / "before"
        self.settings = {"GIT_TRACE2_EVENT": str(self.trace)}
        self.safe = killer.folder / "safe"
        self.trace.mkdir()
        self.safe.mkdir()
        self.stats = {path: path.lstat() for path in self.files()}
        shutil.copytree(self.tree, self.before, symlinks=True)

    def files(self) -> list[Path]:
        """What a loop writes: the records, the repository, and train.py; but no logs."""
        folders = (self.killer.house.run_folder, self.tree / ".git")
        found = [path for folder in folders for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
        return [self.tree / "train.py", *(path for path in found if not path.name.endswith((".log", ".gz")))]

    def git_calls(self) -> list[GitCall]:
        return [git_call(path) for path in self.trace.iterdir()]

    def synced(self) -> dict[int, int]:
        """Inode -> when it was synced for the last time."""
        path = self.killer.folder / "synced"
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
            kept = (
                min(old.st_size, now.st_size) if old and old.st_ino == now.st_ino else 0
            )  # of what grows, the beginning is safe
            if how != "lost":
                os.truncate(path, kept if how == "empty" else kept + (now.st_size - kept) // 2)
            elif (self.safe / path.relative_to("/")).exists():
                shutil.copy2(self.safe / path.relative_to("/"), path)
            elif old:
                shutil.copy2(self.before / path.relative_to(self.tree), path)
            else:
                path.unlink()
        for path in (self.killer.house.outside / "tmp").iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        boot = self.killer.flight / "boot"
        if boot.exists():
            boot.write_text("another\n")

    def what_is_left_of(self, struck: Struck) -> Struck:
        """What the next loop may be expected to go on with."""
        path = self.killer.flight / "commit"
        was_lost = struck.commit and not (path.exists() and path.read_text().strip() == struck.commit)
        return replace(struck, commit=None) if was_lost else struck
