"""The further candidates of a proposer (a wave) -> drafts of the run. Each is an experiment of its own.

A proposer that is asked with `LAB_WANT=k` may leave whole files `candidates/NAME.py`. If several files may change, it
leaves folders NAME with the changed files, and NAME.txt with the last lines of an answer. They are in FLIGHT/candidates
when this module reads them. Each goes to `runs/<tag>/candidates/<flight>.<number>/`, with the facts of a proposal, and
waits there until a flight takes it (lib/experiment/candidates.sh).
"""

import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from lab.one_line import clean
from lab.proposal.check_edit import LARGEST
from lab.proposal.describe import CATEGORY, NOTE
from lab.store import code, durable, jsonl
from lab.store.code import ONE, Code
from lab.store.flight import Flight
from lab.verdict import complexity

SHARED = ("before.py", "before", "parent", "base", "compared", "agent", "started")  # facts of the call
AMOUNTS = ("tokens", "cost_usd")  # of usage.json; each candidate is charged its share


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
    told = ""
    if not ready.exists():
        told = _write(flight, ready)
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
    before, is_one, problems = code.before(flight), code.is_one(flight), []
    seen = [_code(before)]
    changed = flight.text("changed")
    if changed and (own := code.after(flight)):
        seen.append(_code(own))
    found = []
    for path in sorted(flight.folder.glob("candidates/*")):
        try:
            candidate = _candidate(path, before, is_one=is_one)
        except ValueError as error:
            problems.append(f"ignored 'candidates/{clean(path.name, 60)}', which {error}")
            continue
        if candidate and (made := _code({**before, **candidate.files})) not in seen:
            seen.append(made)
            found.append(candidate)
    new = ready.with_suffix(".new")
    shutil.rmtree(new, ignore_errors=True)
    (new / "own").mkdir(parents=True)
    usage = _shares(flight, len(found) + bool(changed))
    if found and not changed:
        _put(new / "own", found.pop(0), before, usage, is_one=is_one)
    elif usage and found:
        Flight(new / "own").write_json("usage.json", next(usage))
    for number, candidate in enumerate(found, 2):
        path = new / f"{flight.folder.name}.{number}"
        path.mkdir()
        for name in SHARED:
            _copy(flight.folder / name, path / name)
        _put(path, candidate, before, usage, is_one=is_one)
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
    data = path.read_bytes()
    if len(data) > LARGEST:
        raise ValueError("is over 1 MB")
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise ValueError("is not UTF-8") from None


def _in_order(comments: Iterable[str]) -> str:
    """The order in which a proposer prints: notes, category, description. The description is the first other line."""
    said = [line for line in comments if line]
    categories = [line for line in said if CATEGORY.fullmatch(line)]
    notes = [line for line in said if NOTE.fullmatch(line)]
    described = [line for line in said if line not in categories and line not in notes]
    return "\n".join([*notes, *categories[:1], *described[:1]])


def _code(texts: Code) -> Sequence[str]:
    """The parsed code; equal candidates have the same."""
    return [line for path in sorted(texts) for line in (path, *complexity.counted_lines(texts[path]))]


def _put(
    folder: Path, candidate: Candidate, before: Code, usage: Iterator[dict[str, Any]] | None, *, is_one: bool
) -> None:
    for path, text in candidate.files.items():
        target = folder / ("" if is_one else "after") / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(text.encode())
    changed = "".join(f"{'M' if path in before else 'A'}\t{path}\n" for path in candidate.files)
    (folder / "said").write_text(candidate.said + "\n")
    (folder / "changed").write_text(changed)
    if not is_one:
        (folder / "editable").write_text(changed)
    if usage:
        Flight(folder).write_json("usage.json", next(usage))


def _shares(flight: Flight, count: int) -> Iterator[dict[str, Any]] | None:
    """The usage of each of so many candidates; None if the proposer has not reported any."""
    path = flight.folder / "usage.json"
    told = jsonl.object_in(path.read_bytes()) if path.is_file() else None
    return None if told is None else _divided(told, max(count, 1))


def _divided(told: dict[str, Any], count: int) -> Iterator[dict[str, Any]]:
    for number in range(count):
        yield {**told, **{name: _share(name, told[name], count, number) for name in AMOUNTS if name in told}}


def _share(name: str, amount: Any, count: int, number: int) -> Any:
    """A share, in whole tokens. A value that is not an amount stays; `record.total` ignores it."""
    if isinstance(amount, bool) or not isinstance(amount, int | Decimal):
        return amount
    if name == "tokens":
        return amount // count + (number < amount % count) if isinstance(amount, int) else amount
    return Decimal(amount) / count
