"""Restores files that a training run must not change, if it has changed them.

An unconfined run can write anywhere. So before the run we take a fingerprint of each record, of the facts of the
flight, and of each file that we or the next run execute or import. The shell holds the fingerprints in its memory,
where the run cannot change them. A run that restores the size and times of a file has still changed its ctime. Records
and facts are copied to `kept/`, since no commit has them.
"""

import json
import os
import shutil
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path

from lab.errors import Fault

LOOKED = "looked"  # the fingerprints: written here by `look_before`, and by the shell for `look_after`
RECORDS = (
    "results.tsv", "experiments.jsonl", "changes.jsonl", "reruns.jsonl", "index.json", "manifest.json",
    "audit.json", "start",
)  # fmt: skip
FLIGHT, NO_FACTS = "flight", ("word", "index", "brief", "transcript")  # written by the shell during the run, or unused
FACTS = "kept/flight.json"  # copies of the facts: name -> text, a character a byte; in one file, for there are many
WHOLE = 1 << 20  # bytes; of a larger record, which only grows, only the new bytes are copied
FOLDERS, FILES = ("bin", "lib", "schemas"), ("train.py", "pyproject.toml")
CODE = (".py", ".pyc", ".so")
TREE = "../../"  # from the folder of the run to the root


def look_before(run: Path) -> str:
    """Copy records and facts; return a fingerprint of everything, and of the copies, each with a NUL at its end."""
    (run / "kept").mkdir(exist_ok=True)
    records, facts = _records(run), _facts(run)
    for name in records:
        _copy(run / name, run / _kept(name))
    copies = {name: (run / name).read_bytes().decode("latin-1") for name in facts}
    (run / FACTS).write_text(json.dumps(copies, ensure_ascii=False), encoding="utf-8")
    names = [*records, *map(_kept, records), *facts, FACTS, *_tree(run)]
    return "".join(f"{_fingerprint(run, name)} {name}\0" for name in names)


def look_after(run: Path) -> str:
    """Restore records and facts; return a line for each difference from `look_before`, each with a NUL at its end.

    `aside FOLDER` holds the changed records; `record NAME` was restored; `new NAME` and `changed NAME` are files of the
    tree. Raises Fault if the copies were changed, too.
    """
    looked = (run / LOOKED).read_bytes().decode(errors="surrogateescape").split("\0")[:-1]
    before = {name: fingerprint for fingerprint, name in (line.split(" ", 1) for line in looked)}

    def changed(names: Iterable[str]) -> list[str]:
        return [name for name in names if before.get(name) != _fingerprint(run, name)]

    found = changed(dict.fromkeys([*before, *_records(run), *_facts(run), *_tree(run)]))
    copies = {name for name in found if name.startswith("kept/")}
    ours = [name for name in found if not name.startswith(TREE) and name not in copies]
    if copies & {_kept(name) for name in ours}:
        hint = f"look at '{run}' before anything else is run"
        raise Fault(f"the records of run '{run.name}' were changed, and so were their copies", hint)
    for name in copies:
        (run / name).unlink(missing_ok=True)  # it is copied again as a whole
    lines = list(_restored(run, ours, before)) if ours else []
    lines += [
        f"{'changed' if name in before else 'new'} {name[len(TREE) :]}" for name in found if name.startswith(TREE)
    ]
    return "".join(f"{line}\0" for line in lines)


def _restored(run: Path, names: list[str], before: dict[str, str]) -> Iterator[str]:
    aside = run / "aside" / f"{datetime.now():%Y%m%d-%H%M%S}"
    yield f"aside {aside.relative_to(run)}"
    facts: dict[str, str] = json.loads((run / FACTS).read_text(encoding="utf-8")) if (run / FACTS).exists() else {}
    for name in names:
        if os.path.lexists(run / name):
            (aside / name).parent.mkdir(parents=True, exist_ok=True)
            (run / name).rename(aside / name)
        if name in facts:
            (run / name).write_bytes(facts[name].encode("latin-1"))
        elif name in before:
            shutil.copy2(run / _kept(name), run / name)
        yield f"record {name}"


def _kept(name: str) -> str:
    return FACTS if name.startswith(f"{FLIGHT}/") else f"kept/{name}"


def _records(run: Path) -> list[str]:
    return [name for name in RECORDS if os.path.lexists(run / name)]


def _facts(run: Path) -> list[str]:
    """The files, not the folders, of the experiment in flight, if there is one."""
    folder = run / FLIGHT
    entries = os.scandir(folder) if folder.is_dir() else ()
    return [f"{FLIGHT}/{entry.name}" for entry in entries if not entry.is_dir() and entry.name not in NO_FACTS]


def _tree(run: Path) -> Iterator[str]:
    """Files that are run or imported, and those that define the measurement; no bytecode in __pycache__."""
    yield from (TREE + name for name in FILES if os.path.lexists(run / TREE / name))
    for entry in os.scandir(run / TREE):
        if entry.is_dir(follow_symlinks=False):
            if entry.name in FOLDERS:
                yield from _below(f"{entry.path}", f"{TREE}{entry.name}")
            elif not entry.name.startswith("."):
                names = (f"{TREE}{entry.name}/__init__{end}" for end in CODE)
                yield from (name for name in names if os.path.lexists(run / name))
        elif entry.name.endswith(CODE) and entry.name not in FILES:
            yield TREE + entry.name


def _below(folder: str, name: str) -> Iterator[str]:
    for entry in os.scandir(folder):
        if not entry.is_dir(follow_symlinks=False):
            yield f"{name}/{entry.name}"
        elif entry.name != "__pycache__":
            yield from _below(entry.path, f"{name}/{entry.name}")


def _copy(path: Path, copy: Path) -> None:
    """Update the copy."""
    now, then = path.stat(), copy.stat() if copy.exists() else None
    if then and (now.st_size, now.st_mtime_ns) == (then.st_size, then.st_mtime_ns):
        return
    known = then.st_size if then else 0
    if now.st_size <= WHOLE or not 0 < known <= now.st_size:
        shutil.copy2(path, copy)
        return
    with path.open("rb") as source, copy.open("ab") as target:
        source.seek(known)
        shutil.copyfileobj(source, target)
    shutil.copystat(path, copy)


def _fingerprint(run: Path, name: str) -> str | None:
    """It changes with any write to the file, and if another file takes its place."""
    try:
        found = os.lstat(f"{run}/{name}")
    except OSError:
        return None
    return f"{found.st_ino}:{found.st_mode}:{found.st_size}:{found.st_mtime_ns}:{found.st_ctime_ns}"
