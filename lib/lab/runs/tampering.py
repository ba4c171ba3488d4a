"""Restores files that a training run or a proposer has changed but must not change.

A process that is not confined can write anywhere. This process is the loop's core, which the other one cannot reach.
While the other one runs, this one remembers a fingerprint of each record, of each file of the toolkit that the loop
runs, and of the paths in `watched` (git's configuration and hooks); the facts of the flight; a fingerprint of linked
folders; and, for a proposer and an evaluated run, one of the environment. Meanwhile only this process writes records,
so before each request they must be as it left them. Restoring the size and times of a file changes its ctime, so a
fingerprint shows that too.

A confined run cannot reach these files. In its checkout it can write too, but the measuring code must stay unchanged.
"""

import importlib.util
import marshal
import os
import re
import shutil
import stat
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from pathlib import Path

from lab.errors import Fault
from lab.store import flight

RECORDS = (
    "results.tsv", "experiments.jsonl", "changes.jsonl", "reruns.jsonl", "index.json", "manifest.json",
    "audit.json", "start", "editable", "incumbent",
)  # fmt: skip
NO_FACTS = ("word", "alive", "brief", "transcript")  # the shell writes them during the run, or they are not read again
WHOLE = 1 << 20  # bytes; of a larger record that only grows, only the new bytes are copied
REMEMBERED = 1 << 22  # bytes; a smaller record is also kept in memory
GROWING = (".tsv", ".jsonl")
TOOLKIT = Path(__file__).parents[3]
PARTS = ("bin", "lib", "schemas")
WATCHED = "watched"  # a file of the run with a path per line, of files and folders that need not exist (dispatch)
MAY_GO = ("wanted",)  # watched files that a person may delete at any time
MOST_WATCHED = 500  # files of a folder
BYTECODE, HEAD = "__pycache__", 16  # HEAD: bytes before the code
CONFIGURATIONS = ("config", ".gitconfig")
RUN_BY_ITSELF = (".pth", "sitecustomize.py", "usercustomize.py")  # files that Python runs at its start
CALL = "call"  # the RUN_DIR of a proposer
MEASURING = ("train.py", "prepare.py", "pyproject.toml")  # must not change in the checkout; RUN_DIR/held names more
MOST_LINKED = 20_000  # files behind the links of a checkout that are checked
MOST_NAMED = 10  # changed files that are named


Held = dict[Path, tuple[str | None, bytes]]  # the fingerprint and the content; None: no such file


@dataclass
class Look:
    """The state before one training run."""

    checkout: dict[Path, str | None]
    is_unconfined: bool = False  # the run is not confined
    links: list[Path] = field(default_factory=list)
    linked: dict[Path, str | None] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    facts: Held = field(default_factory=dict)
    records_changed: list[str] = field(default_factory=list)


class Guard:
    """Guards the records, the toolkit and the watched files while a process runs that is not confined."""

    def __init__(self, run: Path) -> None:
        """Copies of the records are in `kept/`. Their fingerprints and the whole toolkit are in memory."""
        self.run, self.kept = run, run / "kept"
        self.records: dict[str, str | None] = dict.fromkeys(RECORDS)
        self.copies: dict[str, str | None] = dict.fromkeys(RECORDS)
        self.contents: dict[str, bytes] = {}  # small records, kept in memory where nobody can change them
        self.toolkit = _held(_toolkit())
        self.watched: Held = {}
        self.bytecode: dict[Path, str | None] = {}

    def watch(self) -> None:
        """Take the watched files as correct: no loose process ran that could have changed them."""
        self.watched = _held(_watched(self.run))

    def learn(self) -> None:
        """Take the records as correct."""
        self.kept.mkdir(exist_ok=True)
        for name in RECORDS:
            now, copy = _fingerprint(self.run / name), self.kept / name
            if _fingerprint(copy) != self.copies[name]:
                _remove(copy)  # somebody changed the copy, so it must not be continued
            elif now == self.records[name]:
                continue
            self.contents.pop(name, None)
            if now is not None:
                _copy(self.run / name, copy)
                if (self.run / name).stat().st_size <= REMEMBERED:
                    self.contents[name] = (self.run / name).read_bytes()
            self.records[name], self.copies[name] = now, _fingerprint(copy)

    def check(self) -> list[str]:
        """Restore changed files and return their names. Raises Fault if the copies were changed too."""
        changed = [name for name in RECORDS if _fingerprint(self.run / name) != self.records[name]]
        if changed:
            self.restore(changed)
        changed += (str(path.relative_to(TOOLKIT)) for path in self.put_back(self.toolkit, _toolkit()))
        changed += map(str, self.put_back(self.watched, _watched(self.run) if self.watched else []))
        return [*changed, *self.check_bytecode()]

    def put_back(self, held: Held, there: Iterable[Path]) -> Iterator[Path]:
        """Restore changed files, and remove new ones. The changed versions go to `aside`: they may be a person's."""
        for path in {**held, **dict.fromkeys(there)}:
            known, content = held.get(path, (None, b""))
            if (now := _fingerprint(path)) == known or (now is None and path.name in MAY_GO):
                continue
            is_of_one_kind = now and known and now.split(":")[1] == known.split(":")[1]
            if is_of_one_kind and _guarded_part(path) == _guarded_part(path, content):
                held[path] = (now, _content(path))  # the same content, or a new branch or remote of a person
                continue
            if now is not None:
                self.put_aside(path, Path(path.name))
            if known is not None:
                _write(path, content, int(known.split(":")[1]))
                held[path] = (_fingerprint(path), content)
            yield path

    def check_bytecode(self) -> list[str]:
        """Remove bytecode that Python would run in place of its source, unless it is compiled from that source."""
        now = _bytecode()
        other = [path for path, found in now.items() if self.bytecode.get(path) != found and not _is_of_source(path)]
        for path in other:
            _remove(path)
        self.bytecode = {path: found for path, found in now.items() if path not in other}
        return [str(path) for path in other]

    def restore(self, names: list[str]) -> None:
        """Restore records from the copies. The changed versions go to `aside`."""
        lost = (name for name in names if name not in self.contents)
        if any(_fingerprint(self.kept / name) != self.copies[name] for name in lost):
            hint = f"inspect '{self.run}' before you run anything else"
            raise Fault(f"the records of run '{self.run.name}' and their copies were changed", hint)
        for name in names:
            if os.path.lexists(self.run / name):
                self.put_aside(self.run / name, Path(name))
            if name in self.contents:
                (self.run / name).write_bytes(self.contents[name])
            elif self.records[name] is not None:
                shutil.copy2(self.kept / name, self.run / name)
            self.records[name] = _fingerprint(self.run / name)

    def put_aside(self, path: Path, name: Path) -> None:
        """Move a file to `aside`, where a person can inspect it."""
        aside = self.run / "aside" / f"{datetime.now():%Y%m%d-%H%M%S-%f}" / name
        aside.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(path, aside)


looks: dict[Path, Look] = {}  # RUN_DIR of a run in flight -> its Look
guards: dict[Path, Guard] = {}  # folder of a run -> its Guard


def look_before(run_dir: Path) -> None:
    """Remember the state before the training run, or the call of a proposer, in `run_dir`. It works in `cwd`."""
    checkout, run = Path((run_dir / "cwd").read_text()), _run_of(run_dir)
    held = (run_dir / "held").read_text().split("\n")[:-1] if (run_dir / "held").exists() else []
    is_call = run_dir.name == CALL
    keeps_environment = is_call or (run_dir / "beside").exists()  # a script without our evaluation may write anywhere
    named = (*MEASURING, *held)
    look = Look({} if is_call else {checkout / name: _fingerprint(checkout / name) for name in named})
    if not (run_dir / "confine").exists():
        look.is_unconfined = True
        look.facts = _held(_facts(run_dir))
        look.links = [] if is_call else _links(checkout)
        look.linked = _linked(look.links)
        if keeps_environment:
            look.environment = _environment()
        guards[run] = guards.get(run) or Guard(run)
        guards[run].learn()  # if another loose process runs, check_records has just checked them
        if not is_any_unconfined():
            guards[run].watched, guards[run].bytecode = {}, _bytecode()
        if keeps_environment and not guards[run].watched:
            guards[run].watch()
    looks[run_dir] = look


def look_after(run_dir: Path) -> str:
    """Restore the files that the process changed. Returns their names, a line for each."""
    look, run = looks.pop(run_dir), _run_of(run_dir)
    checkout = Path((run_dir / "cwd").read_text())
    changed = (path for path, known in look.checkout.items() if _fingerprint(path) != known)
    found = [str(path.relative_to(checkout)) for path in changed][:MOST_NAMED]
    if look.is_unconfined:
        now = _linked(look.links)  # without links that the run itself made
        other = (path for path in {*now, *look.linked} if now.get(path) != look.linked.get(path))
        found += sorted(str(path.relative_to(checkout)) for path in other)[:MOST_NAMED]
        _put_links_aside(look.facts, run_dir.parent, guards[run])
        changed_facts = guards[run].put_back(look.facts, _facts(run_dir))
        found += (f"runs/{run.name}/{path.relative_to(run)}" for path in changed_facts)
        found += _changed_in_environment(look.environment, guards[run])
    found += look.records_changed
    return "".join(f"{name}\n" for name in found)


def _changed_in_environment(known: dict[str, str], guard: Guard) -> list[str]:
    """The changed files of the environment. Files that Python runs at its start go; others may be a person's."""
    now = _environment() if known else {}
    found = [name for name in {**known, **now} if known.get(name) != now.get(name)]
    found = [name for name in found if not (name.endswith(".pyc") and (name not in now or _is_of_source(Path(name))))]
    for name in found:
        if name.endswith(".pyc"):
            Path(name).unlink()
        elif name in now and Path(name).name.endswith(RUN_BY_ITSELF):
            guard.put_aside(Path(name), Path(name).relative_to(sys.prefix))
    return sorted(found)[:MOST_NAMED]


def _environment() -> dict[str, str]:
    """A fingerprint of each file in this Python's environment, by path. (20,000 files take 0.15 s.)"""
    found, folders = {}, [sys.prefix]
    while folders:
        with os.scandir(folders.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
                else:
                    # Without the ctime, which changes with each link that uv makes to a file of its cache.
                    found[entry.path] = _marks(entry.stat(follow_symlinks=False)).rpartition(":")[0]
    return found


def is_any_unconfined() -> bool:
    """Whether a process is running that is not confined."""
    return any(look.is_unconfined for look in looks.values())


def check_records(run: Path) -> str | None:
    """Before a request: restore records that others changed. Returns a message."""
    if not is_any_unconfined() or not (changed := guards[run].check()):
        return None
    for look in looks.values():
        if look.is_unconfined:
            look.records_changed += (f"runs/{run.name}/{name}" if name in RECORDS else name for name in changed)
    names = ", ".join(changed)
    return f"restored files that a run or a proposer changed: '{names}'; the changed versions are in 'aside'"


def learn_records(run: Path) -> None:
    """After a request, which may have written records: learn them. Forget runs whose dispatcher was killed."""
    if is_any_unconfined():
        guards[run].learn()
    for gone in [run_dir for run_dir in looks if not run_dir.exists()]:
        del looks[gone]


def _run_of(run_dir: Path) -> Path:
    """The folder of the run of `runs/<tag>/flights/f1/run.1` or `runs/<tag>/replicates/run.1`."""
    return next(one for one in run_dir.parents if one.parent.name == "runs")


def _facts(run_dir: Path) -> list[Path]:
    """The facts of its flight that the shell does not write meanwhile; none for a replicate."""
    folder = run_dir.parent
    found = flight.facts(folder) if folder.parent.name == "flights" else []
    return [path for path in found if path.parent != folder or path.name not in NO_FACTS]


def _put_links_aside(facts: Iterable[Path], top: Path, guard: Guard) -> None:
    """Nothing is restored through a link that replaced a folder of the flight `top`."""
    folders = {folder for path in facts for folder in path.parents if top in folder.parents}
    for folder in sorted(folders):
        if folder.is_symlink():
            guard.put_aside(folder, Path(folder.name))


def _watched(run: Path) -> Iterator[Path]:
    """The paths in `watched`; for a folder, its files."""
    try:
        names = (run / WATCHED).read_text().splitlines()
    except OSError:
        return
    for path in map(Path, names):
        if path.is_dir() and not path.is_symlink():
            yield from islice((one for one in path.iterdir() if not one.is_dir() or one.is_symlink()), MOST_WATCHED)
        else:
            yield path


def _held(paths: Iterable[Path]) -> Held:
    """The fingerprint of each path, and its content."""
    return {path: (_fingerprint(path), _content(path)) for path in paths}


def _guarded_part(path: Path, content: bytes | None = None) -> bytes:
    """The part of a file that must not change. In git's configuration, branches and remotes may change."""
    content = _content(path) if content is None else content
    if path.name not in CONFIGURATIONS:
        return content
    sections = re.split(rb"(?m)^(?=\s*\[)", content)
    return b"".join(one for one in sections if not re.match(rb'\s*\[(branch|remote) "', one))


def _content(path: Path) -> bytes:
    """The content of a file, or the target of a link."""
    try:
        return os.fsencode(path.readlink()) if path.is_symlink() else path.read_bytes()
    except OSError:
        return b""


def _bytecode() -> dict[Path, str | None]:
    """The fingerprints of all bytecode of the toolkit."""
    folders = (Path(top) for part in PARTS for top, _, _ in os.walk(TOOLKIT / part) if Path(top).name == BYTECODE)
    return {path: _fingerprint(path) for folder in folders for path in folder.iterdir()}


def _is_of_source(path: Path) -> bool:
    """Whether bytecode is what this Python compiles its source to. If that cannot be decided: no."""
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
    """The links in a checkout that lead out of it."""
    paths = (Path(folder, name) for folder, folders, files in os.walk(checkout) for name in (*folders, *files))
    links = (path for path in paths if path.is_symlink())
    return [link for link in links if not link.resolve().is_relative_to(checkout.resolve())]


def _linked(links: list[Path]) -> dict[Path, str | None]:
    """The fingerprints of the files behind the links, by their paths through the link, at most MOST_LINKED."""
    paths = (path for link in links for path in (_files(link) if link.is_dir() else [link]))
    return {path: _fingerprint(path, follow_symlinks=True) for path in islice(paths, MOST_LINKED)}


def _files(top: Path) -> Iterator[Path]:
    """All files and links below a folder, without __pycache__."""
    for folder, names, files in os.walk(top):
        names[:] = [name for name in names if name != BYTECODE]
        links = (name for name in names if os.path.islink(os.path.join(folder, name)))
        yield from (Path(folder, name) for name in (*files, *links))


def _copy(path: Path, copy: Path) -> None:
    """Update the copy of a record."""
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
    """Remove a file, a link or a folder, if it exists."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _write(path: Path, content: bytes, mode: int) -> None:
    """Write a file, or a link (whose content is its target)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if stat.S_ISLNK(mode):
        path.symlink_to(os.fsdecode(content))
        return
    path.write_bytes(content)
    path.chmod(mode & 0o777)


def _fingerprint(path: Path, *, follow_symlinks: bool = False) -> str | None:
    """A text that changes with any write to the file, and if another file replaces it."""
    try:
        found = os.stat(path, follow_symlinks=follow_symlinks)
    except OSError:
        return None
    return _marks(found)


def _marks(found: os.stat_result) -> str:
    return f"{found.st_ino}:{found.st_mode}:{found.st_size}:{found.st_mtime_ns}:{found.st_ctime_ns}"
