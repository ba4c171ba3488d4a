"""Restores what a training run must not change, if it has changed it.

An unconfined run can write anywhere. So from its start to its end this process, the core of the loop, which the run
cannot reach, remembers a fingerprint of each record and of each file of the toolkit that the loop runs, the facts of
its flight, and a fingerprint of the linked folders. Only this process writes records meanwhile: before each request
they must be as it left them. A run that restores the size and times of a file has still changed its ctime.

A confined run cannot reach these; in its checkout it, too, can write. There it is the code that measures and is
measured that must stay as it was.
"""

import os
import shutil
from collections.abc import Callable, Iterator
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
WHOLE = 1 << 20  # bytes; of a larger record, which only grows, only the new bytes are copied
TOOLKIT = Path(__file__).parents[3]
PARTS = ("bin", "lib", "schemas")
MEASURING = ("train.py", "prepare.py", "pyproject.toml")  # in the checkout
MOST_LINKED = 20_000  # files below the links of a checkout that are looked at


@dataclass
class Look:
    """What there was before one training run."""

    checkout: dict[Path, str | None]
    linked: dict[Path, str | None] = field(default_factory=dict)
    facts: dict[Path, bytes] = field(default_factory=dict)
    records_changed: list[str] = field(default_factory=list)


class Guard:
    """Of the records and the toolkit, while unconfined runs are in the air."""

    def __init__(self, run: Path) -> None:
        """Copies of the records are in `kept/`, their fingerprints in here, and the toolkit as a whole."""
        self.run, self.kept = run, run / "kept"
        self.records: dict[str, str | None] = dict.fromkeys(RECORDS)
        self.copies: dict[str, str | None] = dict.fromkeys(RECORDS)
        self.toolkit = {path: (_fingerprint(path), path.read_bytes()) for path in _toolkit()}

    def learn(self) -> None:
        """The records are right as they are."""
        self.kept.mkdir(exist_ok=True)
        for name in RECORDS:
            now = _fingerprint(self.run / name)
            if now != self.records[name]:
                self.records[name] = now
                if now is not None:
                    _copy(self.run / name, self.kept / name)
                self.copies[name] = _fingerprint(self.kept / name)

    def check(self) -> list[str]:
        """Restore what somebody has changed. Returns the names. Raises Fault if the copies were changed, too."""
        changed = [name for name in RECORDS if _fingerprint(self.run / name) != self.records[name]]
        if changed:
            self.restore(changed)
        for path, (known, content) in self.toolkit.items():
            if _fingerprint(path) != known:
                _replace(path, content)
                self.toolkit[path] = (_fingerprint(path), content)
                changed.append(str(path.relative_to(TOOLKIT)))
        for path in {*_toolkit()} - {*self.toolkit}:  # a step more, say
            name = path.relative_to(TOOLKIT)
            self.put_aside(path, name)
            changed.append(str(name))
        return changed

    def restore(self, names: list[str]) -> None:
        """From the copies; what was made of them stays in `aside`."""
        if any(_fingerprint(self.kept / name) != self.copies[name] for name in names):
            hint = f"look at '{self.run}' before anything else is run"
            raise Fault(f"the records of run '{self.run.name}' were changed, and so were their copies", hint)
        for name in names:
            if os.path.lexists(self.run / name):
                self.put_aside(self.run / name, Path(name))
            if self.records[name] is not None:
                shutil.copy2(self.kept / name, self.run / name)
            self.records[name] = _fingerprint(self.run / name)

    def put_aside(self, path: Path, name: Path) -> None:
        """For a person to look at."""
        aside = self.run / "aside" / f"{datetime.now():%Y%m%d-%H%M%S}" / name
        aside.parent.mkdir(parents=True, exist_ok=True)
        path.rename(aside)


looks: dict[Path, Look] = {}  # by the RUN_DIR of the runs that are in the air
guards: dict[Path, Guard] = {}  # by the folder of the run


def look_before(run_dir: Path) -> None:
    """Remember what there is before the training run in `run_dir`, whose checkout is `cwd` there."""
    checkout, run = Path((run_dir / "cwd").read_text()), _run_of(run_dir)
    look = Look({checkout / name: _fingerprint(checkout / name) for name in MEASURING})
    if not (run_dir / "confine").exists():
        look.facts = {path: path.read_bytes() for path in _facts(run_dir)}
        look.linked = {path: _fingerprint(path, os.stat) for path in _linked(checkout)}
        if not is_anything_loose():
            guards[run] = guards.get(run) or Guard(run)
            guards[run].learn()
    looks[run_dir] = look


def look_after(run_dir: Path) -> str:
    """Restore what the run has changed, and name it: a line each, in words for a person."""
    look, run = looks.pop(run_dir), _run_of(run_dir)
    checkout = Path((run_dir / "cwd").read_text())
    found = [path.name for path, known in look.checkout.items() if _fingerprint(path) != known]
    now = {path: _fingerprint(path, os.stat) for path in _linked(checkout)} if look.linked else {}
    found += sorted(
        str(path.relative_to(checkout)) for path in {*now, *look.linked} if now.get(path) != look.linked.get(path)
    )[:10]
    for path, content in look.facts.items():
        if not path.is_file() or path.read_bytes() != content:
            _replace(path, content)
            found.append(f"runs/{run.name}/{path.relative_to(run)}")
    new = [path for path in _facts(run_dir) if path not in look.facts] if look.facts else []
    for path in new:
        path.unlink()
        found.append(f"runs/{run.name}/{path.relative_to(run)}")
    found += look.records_changed
    return "".join(f"{name}\n" for name in found)


def is_anything_loose() -> bool:
    """Whether a run is in the air that is not confined."""
    return any(not (run_dir / "confine").exists() for run_dir in looks)


def check_records(run: Path) -> str | None:
    """Before a request: records that are not as this process left them are restored. Returns what is told."""
    if not is_anything_loose() or not (changed := guards[run].check()):
        return None
    for run_dir, look in looks.items():
        if not (run_dir / "confine").exists():
            look.records_changed += (f"runs/{run.name}/{name}" if name in RECORDS else name for name in changed)
    return f"put back what a training run has changed: '{', '.join(changed)}'; what it made of records is in 'aside'"


def learn_records(run: Path) -> None:
    """After a request, which may have written records."""
    if is_anything_loose():
        guards[run].learn()


def _run_of(run_dir: Path) -> Path:
    """Of `runs/<tag>/flights/f1/run.1`, or `runs/<tag>/replicates/run.1`."""
    return next(one for one in run_dir.parents if one.parent.name == "runs")


def _facts(run_dir: Path) -> list[Path]:
    """The files, not the folders, of its flight; none of a replicate."""
    folder = run_dir.parent
    if folder.parent.name != "flights":
        return []
    return [Path(entry.path) for entry in os.scandir(folder) if not entry.is_dir() and entry.name not in NO_FACTS]


def _toolkit() -> Iterator[Path]:
    for part in PARTS:
        for folder, names, files in os.walk(TOOLKIT / part):
            names[:] = [name for name in names if name != "__pycache__"]
            yield from (Path(folder, name) for name in files)


def _linked(checkout: Path) -> Iterator[Path]:
    """The files that links lead out to, the first of many; but no bytecode, which Python writes by itself."""
    return islice((path for link in _links_out(checkout) for path in _files_below(link)), MOST_LINKED)


def _links_out(checkout: Path) -> Iterator[Path]:
    """The links in it that lead somewhere else."""
    for folder, names, files in os.walk(checkout):
        for path in (Path(folder, name) for name in (*names, *files)):
            if path.is_symlink() and not path.resolve().is_relative_to(checkout.resolve()):
                yield path


def _files_below(link: Path) -> Iterator[Path]:
    if link.is_file():
        yield link
    for folder, names, files in os.walk(link):
        names[:] = [name for name in names if name != "__pycache__"]
        yield from (Path(folder, name) for name in files)


def _copy(path: Path, copy: Path) -> None:
    """Update the copy."""
    now, then = path.stat(), copy.stat() if copy.exists() else None
    known = then.st_size if then else 0
    if now.st_size <= WHOLE or not 0 < known <= now.st_size:
        shutil.copy2(path, copy)
        return
    with path.open("rb") as source, copy.open("ab") as target:
        source.seek(known)
        shutil.copyfileobj(source, target)
    shutil.copystat(path, copy)


def _replace(path: Path, content: bytes) -> None:
    """With the mode of what is there."""
    mode = path.stat().st_mode & 0o777 if path.is_file() else 0o755
    if path.is_dir():
        shutil.rmtree(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.write_bytes(content)
    path.chmod(mode)


def _fingerprint(path: Path, stat: Callable[[Path], os.stat_result] = os.lstat) -> str | None:
    """It changes with any write to the file, and if another file takes its place."""
    try:
        found = stat(path)
    except OSError:
        return None
    return f"{found.st_ino}:{found.st_mode}:{found.st_size}:{found.st_mtime_ns}:{found.st_ctime_ns}"
