"""Restores what a training run, or a proposer, must not change, if it has changed it.

One that is not confined can write anywhere. So from its start to its end this process, the core of the loop, which it
cannot reach, remembers a fingerprint of each record, each file of the toolkit that the loop runs, and of what is named
in `watched` (the configuration of git, its hooks, what Python runs by itself), the facts of its flight, and a
fingerprint of the linked folders and of the environment. Only this process writes records meanwhile: before each
request they must be as it left them. Who restores the size and times of a file has still changed its ctime.

A confined run cannot reach these; in its checkout it, too, can write. There it is the code that measures and is
measured that must stay as it was.
"""

import importlib.util
import marshal
import os
import shutil
import stat
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from pathlib import Path

from lab.errors import Fault

RECORDS = (
    "results.tsv", "experiments.jsonl", "changes.jsonl", "reruns.jsonl", "index.json", "manifest.json",
    "audit.json", "start", "incumbent",
)  # fmt: skip
NO_FACTS = ("word", "alive", "brief", "transcript")  # written by the shell during the run, or of no more use
WHOLE = 1 << 20  # bytes; of a larger record that only grows, only the new bytes are copied
REMEMBERED = 1 << 22  # bytes of a record that is kept in memory, too
GROWING = (".tsv", ".jsonl")
TOOLKIT = Path(__file__).parents[3]
PARTS = ("bin", "lib", "schemas")
WATCHED = "watched"  # of the run: the paths, a line each, of files and folders, there or not (lib/experiment/dispatch)
MAY_GO = ("wanted",)  # of those: a person may take it away at any time
MOST_WATCHED = 500  # files of a folder
BYTECODE, HEAD = "__pycache__", 16  # bytes before the code
CALL = "call"  # the RUN_DIR of a proposer
MEASURING = ("train.py", "prepare.py", "pyproject.toml")  # in the checkout
MOST_LINKED = 20_000  # files below the links of a checkout that are looked at
MOST_NAMED = 10  # of those


@dataclass
class Look:
    """What there was before one training run."""

    checkout: dict[Path, str | None]
    is_loose: bool = False  # it is not confined
    links: list[Path] = field(default_factory=list)
    linked: dict[Path, str | None] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    facts: dict[Path, bytes] = field(default_factory=dict)
    records_changed: list[str] = field(default_factory=list)


class Guard:
    """Of the records, the toolkit and what is watched, while somebody is at work who is not confined."""

    def __init__(self, run: Path) -> None:
        """Copies of the records are in `kept/`, their fingerprints in here, and the toolkit as a whole."""
        self.run, self.kept = run, run / "kept"
        self.records: dict[str, str | None] = dict.fromkeys(RECORDS)
        self.copies: dict[str, str | None] = dict.fromkeys(RECORDS)
        self.contents: dict[str, bytes] = {}  # of records that are small: no copy can be changed there
        self.toolkit = {path: (_fingerprint(path), path.read_bytes()) for path in _toolkit()}
        self.watched: dict[Path, tuple[str | None, bytes]] = {}
        self.bytecode: dict[Path, str | None] = {}

    def watch(self) -> None:
        """What is watched is right as it is: nobody is at work who could have changed it."""
        now = {path: _fingerprint(path) for path in _watched(self.run)}
        known = self.watched
        self.watched = {
            path: known[path] if path in known and known[path][0] == found else (found, _content(path))
            for path, found in now.items()
        }
        self.bytecode = _bytecode()

    def learn(self) -> None:
        """The records are right as they are."""
        self.kept.mkdir(exist_ok=True)
        for name in RECORDS:
            now, copy = _fingerprint(self.run / name), self.kept / name
            if _fingerprint(copy) != self.copies[name]:
                _remove(copy)  # what somebody has made of it is not gone on with
            elif now == self.records[name]:
                continue
            self.contents.pop(name, None)
            if now is not None:
                _copy(self.run / name, copy)
                if (self.run / name).stat().st_size <= REMEMBERED:
                    self.contents[name] = (self.run / name).read_bytes()
            self.records[name], self.copies[name] = now, _fingerprint(copy)

    def check(self) -> list[str]:
        """Restore what somebody has changed. Returns the names. Raises Fault if the copies were changed, too."""
        changed = [name for name in RECORDS if _fingerprint(self.run / name) != self.records[name]]
        if changed:
            self.restore(changed)
        for path, (known, content) in self.toolkit.items():
            if _fingerprint(path) != known:
                _remove(path)
                _write(path, content, int(str(known).split(":")[1]))
                self.toolkit[path] = (_fingerprint(path), content)
                changed.append(str(path.relative_to(TOOLKIT)))
        for path in {*_toolkit()} - {*self.toolkit}:  # a step more, say
            name = path.relative_to(TOOLKIT)
            self.put_aside(path, name)
            changed.append(str(name))
        return [*changed, *self.check_watched(), *self.check_bytecode()]

    def check_watched(self) -> list[str]:
        """Restore them; what was made of them stays in `aside`, for it may be a person's."""
        changed = []
        for path in {**self.watched, **dict.fromkeys(_watched(self.run))}:
            known, content = self.watched.get(path, (None, b""))
            if (now := _fingerprint(path)) == known or (now is None and path.name in MAY_GO):
                continue
            if now is not None:
                self.put_aside(path, Path(path.name))
            if known is not None:
                _write(path, content, int(known.split(":")[1]))
                self.watched[path] = (_fingerprint(path), content)
            changed.append(str(path))
        return changed

    def check_bytecode(self) -> list[str]:
        """Remove what Python would run in place of a source, where it is not what that source is compiled to."""
        now = _bytecode()
        other = [path for path, found in now.items() if self.bytecode.get(path) != found and not _is_of_source(path)]
        for path in other:
            _remove(path)
        self.bytecode = {path: found for path, found in now.items() if path not in other}
        return [str(path) for path in other]

    def restore(self, names: list[str]) -> None:
        """From the copies; what was made of them stays in `aside`."""
        lost = (name for name in names if name not in self.contents)
        if any(_fingerprint(self.kept / name) != self.copies[name] for name in lost):
            hint = f"look at '{self.run}' before anything else is run"
            raise Fault(f"the records of run '{self.run.name}' were changed, and so were their copies", hint)
        for name in names:
            if os.path.lexists(self.run / name):
                self.put_aside(self.run / name, Path(name))
            if name in self.contents:
                (self.run / name).write_bytes(self.contents[name])
            elif self.records[name] is not None:
                shutil.copy2(self.kept / name, self.run / name)
            self.records[name] = _fingerprint(self.run / name)

    def put_aside(self, path: Path, name: Path) -> None:
        """For a person to look at."""
        aside = self.run / "aside" / f"{datetime.now():%Y%m%d-%H%M%S-%f}" / name
        aside.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(path, aside)


looks: dict[Path, Look] = {}  # by the RUN_DIR of the runs that are in the air
guards: dict[Path, Guard] = {}  # by the folder of the run


def look_before(run_dir: Path) -> None:
    """Remember what there is before the training run, or the call of a proposer, in `run_dir`; it works in `cwd`."""
    checkout, run = Path((run_dir / "cwd").read_text()), _run_of(run_dir)
    is_call = run_dir.name == CALL
    look = Look({} if is_call else {checkout / name: _fingerprint(checkout / name) for name in MEASURING})
    if not (run_dir / "confine").exists():
        look.is_loose = True
        look.facts = {path: path.read_bytes() for path in _facts(run_dir)}
        look.links = [] if is_call else _links(checkout)
        look.linked = _linked(look.links)
        if is_call or (run_dir / "beside").exists():  # a stranger's script writes where it likes
            look.environment = _environment()
        guards[run] = guards.get(run) or Guard(run)
        guards[run].learn()  # where another one is loose, check_records has just looked at them
        if not is_anything_loose():
            guards[run].watch()
    looks[run_dir] = look


def look_after(run_dir: Path) -> str:
    """Restore what it has changed, and name it: a line each, in words for a person."""
    look, run = looks.pop(run_dir), _run_of(run_dir)
    checkout = Path((run_dir / "cwd").read_text())
    found = [path.name for path, known in look.checkout.items() if _fingerprint(path) != known]
    if look.is_loose:
        now = _linked(look.links)  # a link that the run has made is its own
        other = (path for path in {*now, *look.linked} if now.get(path) != look.linked.get(path))
        found += sorted(str(path.relative_to(checkout)) for path in other)[:MOST_NAMED]
        found += (f"runs/{run.name}/{path.relative_to(run)}" for path in _with_facts_restored(run_dir, look))
        found += _changed_in_environment(look.environment)
    found += look.records_changed
    return "".join(f"{name}\n" for name in found)


def _with_facts_restored(run_dir: Path, look: Look) -> Iterator[Path]:
    """Those of its flight that the run has changed."""
    for path in {**look.facts, **dict.fromkeys(_facts(run_dir))}:
        content = look.facts.get(path)
        if content is not None and path.is_file() and not path.is_symlink() and path.read_bytes() == content:
            continue
        _remove(path)
        if content is not None:
            _write(path, content, stat.S_IFREG | 0o644)
        yield path


def _changed_in_environment(known: dict[str, str]) -> list[str]:
    """What was changed in it. Bytecode that is not its source's goes; all else stays: it may be a person's."""
    now = _environment() if known else {}
    found = [name for name in {**known, **now} if known.get(name) != now.get(name)]
    found = [name for name in found if not (name.endswith(".pyc") and (name not in now or _is_of_source(Path(name))))]
    for name in found:
        if name.endswith(".pyc"):
            Path(name).unlink()
    return sorted(found)[:MOST_NAMED]


def _environment() -> dict[str, str]:
    """All files of the environment that this Python is of, by their paths: 20,000 take 0.15 s."""
    found, folders = {}, [sys.prefix]
    while folders:
        with os.scandir(folders.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
                else:
                    # Without the time of the inode: it changes with each link that uv makes to a file of its cache.
                    found[entry.path] = _marks(entry.stat(follow_symlinks=False)).rpartition(":")[0]
    return found


def is_anything_loose() -> bool:
    """Whether a run is in the air that is not confined."""
    return any(look.is_loose for look in looks.values())


def check_records(run: Path) -> str | None:
    """Before a request: records that are not as this process left them are restored. Returns what is told."""
    if not is_anything_loose() or not (changed := guards[run].check()):
        return None
    for look in looks.values():
        if look.is_loose:
            look.records_changed += (f"runs/{run.name}/{name}" if name in RECORDS else name for name in changed)
    names = ", ".join(changed)
    return f"put back what a run, or a proposer, has changed: '{names}'; what it made of records is in 'aside'"


def learn_records(run: Path) -> None:
    """After a request, which may have written records. Runs whose dispatcher was killed are in the air no more."""
    if is_anything_loose():
        guards[run].learn()
    for gone in [run_dir for run_dir in looks if not run_dir.exists()]:
        del looks[gone]


def _run_of(run_dir: Path) -> Path:
    """Of `runs/<tag>/flights/f1/run.1`, or `runs/<tag>/replicates/run.1`."""
    return next(one for one in run_dir.parents if one.parent.name == "runs")


def _facts(run_dir: Path) -> list[Path]:
    """The files, not the folders, of its flight; none of a replicate."""
    folder = run_dir.parent
    if folder.parent.name != "flights":
        return []
    entries = (one for one in os.scandir(folder) if not one.is_dir(follow_symlinks=False))
    return [Path(one.path) for one in entries if one.name not in NO_FACTS]


def _watched(run: Path) -> Iterator[Path]:
    """The paths that `watched` names, and the files of those that are folders."""
    try:
        names = (run / WATCHED).read_text().splitlines()
    except OSError:
        return
    for path in map(Path, names):
        if path.is_dir() and not path.is_symlink():
            yield from islice((one for one in path.iterdir() if not one.is_dir() or one.is_symlink()), MOST_WATCHED)
        else:
            yield path


def _content(path: Path) -> bytes:
    """Of a file; where a link leads to."""
    try:
        return os.fsencode(path.readlink()) if path.is_symlink() else path.read_bytes()
    except OSError:
        return b""


def _bytecode() -> dict[Path, str | None]:
    """All of the toolkit's."""
    folders = (Path(top) for part in PARTS for top, _, _ in os.walk(TOOLKIT / part) if Path(top).name == BYTECODE)
    return {path: _fingerprint(path) for folder in folders for path in folder.iterdir()}


def _is_of_source(path: Path) -> bool:
    """Whether bytecode is what its source is compiled to by this Python; what cannot be said is no."""
    try:
        source = Path(importlib.util.source_from_cache(str(path)))
        code = compile(source.read_bytes(), str(source), "exec", dont_inherit=True, optimize=sys.flags.optimize)
        return bool(marshal.loads(path.read_bytes()[HEAD:]) == code)
    except (OSError, ValueError, TypeError, EOFError, SyntaxError, RecursionError, MemoryError):
        return False


def _toolkit() -> Iterator[Path]:
    for part in PARTS:
        yield from _files(TOOLKIT / part)


def _links(checkout: Path) -> list[Path]:
    """The links in it that lead out of it."""
    paths = (Path(folder, name) for folder, folders, files in os.walk(checkout) for name in (*folders, *files))
    links = (path for path in paths if path.is_symlink())
    return [link for link in links if not link.resolve().is_relative_to(checkout.resolve())]


def _linked(links: list[Path]) -> dict[Path, str | None]:
    """The files that they lead to, the first of many, by their paths through the link."""
    paths = (path for link in links for path in (_files(link) if link.is_dir() else [link]))
    return {path: _fingerprint(path, follow_symlinks=True) for path in islice(paths, MOST_LINKED)}


def _files(top: Path) -> Iterator[Path]:
    """All below a folder, and what links there are; no bytecode in __pycache__."""
    for folder, names, files in os.walk(top):
        names[:] = [name for name in names if name != BYTECODE]
        links = (name for name in names if os.path.islink(os.path.join(folder, name)))
        yield from (Path(folder, name) for name in (*files, *links))


def _copy(path: Path, copy: Path) -> None:
    """Update the copy."""
    now, then = path.stat(), copy.stat() if copy.exists() else None
    known = then.st_size if then and path.suffix in GROWING else 0
    if now.st_size <= WHOLE or not 0 < known <= now.st_size:
        shutil.copy2(path, copy)
        return
    with path.open("rb") as source, copy.open("ab") as target:
        source.seek(known)
        shutil.copyfileobj(source, target)
    shutil.copystat(path, copy)


def _remove(path: Path) -> None:
    """Whatever is there, if anything is."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _write(path: Path, content: bytes, mode: int) -> None:
    """Of a link, the content is what it leads to."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if stat.S_ISLNK(mode):
        path.symlink_to(os.fsdecode(content))
        return
    path.write_bytes(content)
    path.chmod(mode & 0o777)


def _fingerprint(path: Path, *, follow_symlinks: bool = False) -> str | None:
    """It changes with any write to the file, and if another file takes its place."""
    try:
        found = os.stat(path, follow_symlinks=follow_symlinks)
    except OSError:
        return None
    return _marks(found)


def _marks(found: os.stat_result) -> str:
    return f"{found.st_ino}:{found.st_mode}:{found.st_size}:{found.st_mtime_ns}:{found.st_ctime_ns}"
