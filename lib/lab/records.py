"""The records of a run -> as they were before a training run, where that has changed them.

A run that is not confined can write anywhere. So the records, and the facts of the flight, are copied to `kept/` before
it, and a fingerprint of each file is handed to the shell, in whose memory the run cannot change it: whoever writes to a
file, and makes size and times what they were, has still moved its ctime.
"""

import json
import os
import shutil
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from lab.errors import Fault

LOOKED = "looked"  # the fingerprints: written here by `look_before`, and by the shell for `put_back`
NAMES = ("results.tsv", "experiments.jsonl", "changes.jsonl", "reruns.jsonl", "index.json", "manifest.json")
MORE_NAMES = ("audit.json", "start")
FLIGHT = "flight"
FACTS = "kept/flight.json"  # the copies of those: name -> text, a character a byte; in one file, for there are many
OURS = (f"{FLIGHT}/word",)  # written by the shell meanwhile
WHOLE = 1 << 20  # bytes; of a larger record that has grown only its end is copied


def look_before(run: Path) -> str:
    """Copy the records, and say a fingerprint of each, and of each copy: a line each."""
    (run / "kept").mkdir(exist_ok=True)
    records, facts = _records(run), _facts(run)
    for name in records:
        _copy(run / name, run / _kept(name))
    copies = {name: (run / name).read_bytes().decode("latin-1") for name in facts}
    (run / FACTS).write_text(json.dumps(copies))
    names = [*records, *map(_kept, records), *facts, FACTS]
    return "".join(f"{_fingerprint(run / name)} {name}\n" for name in names)


def put_back(run: Path) -> str | None:
    """Put back what is not as `look_before` found it. Says where that is kept aside, and the names, a line each.

    Raises Fault where the copies were changed, too.
    """
    lines = (line.split(" ", 1) for line in (run / LOOKED).read_text().splitlines())
    before = {name: fingerprint for fingerprint, name in lines}

    def changed(names: Iterable[str]) -> list[str]:
        return [name for name in names if before.get(name) != _fingerprint(run / name)]

    names = changed(dict.fromkeys([*before, *_records(run), *_facts(run)]))
    ours = [name for name in names if not name.startswith("kept/")]
    if changed({_kept(name) for name in ours if name in before}):
        hint = f"look at '{run}' before anything else is run"
        raise Fault(f"the records of run '{run.name}' were changed, and so were their copies", hint)
    for name in set(names) - set(ours):
        (run / name).unlink(missing_ok=True)  # it is copied anew, as a whole
    return _restored(run, ours, before) if ours else None


def _restored(run: Path, names: list[str], before: dict[str, str]) -> str:
    aside = run / "aside" / f"{datetime.now():%Y%m%d-%H%M%S}"
    facts: dict[str, str] = json.loads((run / FACTS).read_text()) if (run / FACTS).exists() else {}
    for name in names:
        if os.path.lexists(run / name):
            (aside / name).parent.mkdir(parents=True, exist_ok=True)
            (run / name).rename(aside / name)
        if name in facts:
            (run / name).write_bytes(facts[name].encode("latin-1"))
        elif name in before:
            shutil.copy2(run / _kept(name), run / name)
    return "".join(f"{name}\n" for name in (aside.relative_to(run), *names))


def _kept(name: str) -> str:
    return FACTS if name.startswith(f"{FLIGHT}/") else f"kept/{name}"


def _records(run: Path) -> list[str]:
    return [name for name in (*NAMES, *MORE_NAMES) if os.path.lexists(run / name)]


def _facts(run: Path) -> list[str]:
    """Of the experiment in flight, if there is one: its files, not its folders."""
    folder = run / FLIGHT
    names = [f"{FLIGHT}/{entry.name}" for entry in os.scandir(folder) if not entry.is_dir()] if folder.is_dir() else []
    return [name for name in names if name not in OURS]


def _copy(path: Path, copy: Path) -> None:
    """As it is, unless it is so already; of a large one that has grown since, as records do, what has come."""
    now, then = path.stat(), copy.stat() if copy.exists() else None
    if then and (now.st_size, now.st_mtime_ns) == (then.st_size, then.st_mtime_ns):
        return
    size, known = now.st_size, then.st_size if then else 0
    if size <= WHOLE or not 0 < known <= size:
        shutil.copy2(path, copy)
        return
    with path.open("rb") as source, copy.open("ab") as target:
        source.seek(known)
        shutil.copyfileobj(source, target)
    shutil.copystat(path, copy)


def _fingerprint(path: Path) -> str | None:
    """What changes with any write to the file, or another file in its place."""
    try:
        found = path.lstat()
    except OSError:
        return None
    return f"{found.st_ino}:{found.st_mode}:{found.st_size}:{found.st_mtime_ns}:{found.st_ctime_ns}"
