"""The further candidates of a proposer (a wave) -> drafts of the run. Each is an experiment of its own.

A proposer that is asked with `LAB_WANT=k` may leave whole files `candidates/NAME.py`. If several files may change, it
leaves folders NAME with the changed files, and NAME.txt with the last lines of an answer. They are in FLIGHT/candidates
when this module reads them. Each goes to `runs/<tag>/candidates/<flight>.<number>/`, with the facts of a proposal, and
waits there until a flight takes it (lib/experiment/candidates.sh).
"""

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from lab.one_line import clean
from lab.proposal.check_edit import unusable
from lab.proposal.describe import CATEGORY, NOTE, parsed
from lab.store import code, durable, jsonl, manifest
from lab.store.code import ONE, Code
from lab.store.flight import Flight

SHARED = ("before", "parent", "base", "compared", "agent", "started")  # facts of the call


@dataclass(frozen=True)
class Candidate:
    """`files`: those that it changes; `said`: the lines that a proposer would print, the description last."""

    files: Code
    said: str


def wave(folder: Path) -> str:
    """Move the candidates of the flight in `folder` to its run; return problems, in lines.

    If the proposer has edited nothing itself, the first candidate is the flight's own. Everything is written to a
    folder beside before it moves, so a killed call can continue.
    """
    flight, ready = Flight(folder), folder / "wave"
    told = "" if ready.exists() else _write(flight, ready)
    for path in sorted(ready.glob("own/*")):
        path.replace(folder / path.name)
    pool = flight.run / "candidates"
    pool.mkdir(exist_ok=True)
    for path in sorted(ready.glob("f*")):
        path.replace(pool / path.name)
    durable.sync(pool)
    return told


def _write(flight: Flight, ready: Path) -> str:
    """Make the folder `ready`: `own` for facts of the flight, and a folder for each candidate that goes to the run."""
    before, is_one, problems = code.before(flight), manifest.editable(flight.run) == ONE, []
    drafts: list[Candidate | None] = [None] if flight.text("changed") else []  # None: the flight's own change
    seen = [parsed(before), parsed(code.after(flight) or {})]
    for path in sorted(flight.folder.glob("candidates/*")):
        try:
            candidate = _candidate(path, before, is_one=is_one)
        except ValueError as error:
            problems.append(f"ignored 'candidates/{clean(path.name, 60)}', which {error}")
            continue
        if candidate and (made := parsed({**before, **candidate.files})) not in seen:
            seen.append(made)
            drafts.append(candidate)
    new = ready.with_suffix(".new")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir()
    usage = jsonl.object_in((flight.text("usage.json") or "").encode())
    for number, draft in enumerate(drafts):
        folder = new / (f"{flight.folder.name}.{number + 1}" if number else "own")
        folder.mkdir()
        for name in SHARED if number else ():
            _copy(flight.folder / name, folder / name)
        if draft:
            _put(folder, draft, before)
        if usage:
            Flight(folder).write_json("usage.json", _share(usage, len(drafts), number))
    for path in [*new.rglob("*"), new]:
        durable.sync(path)
    new.replace(ready)
    return "".join(f"{problem}\n" for problem in problems)


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target)
    elif source.exists():
        shutil.copyfile(source, target)


def _candidate(path: Path, before: Code, *, is_one: bool) -> Candidate | None:
    """The candidate at the path, or None if there is none. Raises ValueError if it cannot be trained."""
    if path.is_dir() and not is_one:
        files = {one.relative_to(path).as_posix(): _text(one) for one in path.rglob("*") if one.is_file()}
        beside = path.with_name(f"{path.name}.txt")
        return Candidate(files, _text(beside).rstrip("\n") if beside.is_file() else "")
    if path.suffix != ".py" or not is_one:
        return None
    lines, known = _text(path).split("\n"), set(before[ONE].split("\n"))
    said = []
    while lines and lines[0].startswith("#") and lines[0] not in known:
        said.append(lines.pop(0).lstrip("#").strip())
    return Candidate({ONE: "\n".join(lines)}, _in_order(said))


def _text(path: Path) -> str:
    if why := unusable(path):
        raise ValueError(why)
    return path.read_bytes().decode()


def _in_order(comments: Iterable[str]) -> str:
    """The order in which a proposer prints: notes, category, description, which is the first other line."""
    said = [line for line in comments if line]
    named = [line for line in said if CATEGORY.fullmatch(line) or NOTE.fullmatch(line)]
    return "\n".join([*named, *[line for line in said if line not in named][:1]])


def _put(folder: Path, candidate: Candidate, before: Code) -> None:
    for path, text in candidate.files.items():
        target = folder / "after" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(text.encode())
    changed = "".join(f"{'M' if path in before else 'A'}\t{path}\n" for path in candidate.files)
    (folder / "said").write_text(candidate.said + "\n")
    for name in ("changed", "editable"):
        (folder / name).write_text(changed)


def _share(usage: dict[str, Any], count: int, number: int) -> dict[str, Any]:
    """The usage of draft `number` of `count`, in whole tokens. A value that is not an amount stays."""
    tokens, cost = usage.get("tokens"), usage.get("cost_usd")
    if isinstance(tokens, int) and not isinstance(tokens, bool):
        tokens = tokens // count + (number < tokens % count)
    if isinstance(cost, int | Decimal) and not isinstance(cost, bool):
        cost = Decimal(cost) / count
    return {**usage, "tokens": tokens, "cost_usd": cost}
