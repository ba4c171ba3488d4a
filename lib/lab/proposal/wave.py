"""The further candidates of a proposer -> drafts of the run: a wave, of which each is an experiment of its own.

A proposer that is asked with `LAB_WANT=k` may leave them as whole files in `candidates/`; they are in FLIGHT/candidates
when they come here. Each goes to `runs/<tag>/candidates/<flight>.<number>/`, with the facts that a proposal has, and
waits there until a flight takes it (lib/experiment/candidates.sh).
"""

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from lab.one_line import clean
from lab.proposal.check_edit import LARGEST
from lab.proposal.describe import CATEGORY, NOTE
from lab.store import durable, jsonl
from lab.store.flight import Flight
from lab.verdict import complexity

SHARED = ("before.py", "parent", "base", "compared", "agent", "started")  # facts that all of a call have
AMOUNTS = ("tokens", "cost_usd")  # of usage.json; each candidate is charged its share


@dataclass(frozen=True)
class Candidate:
    """`said`: what its leading comments say, as a proposer would print it: the category first, the description last."""

    text: str
    said: str


def wave(folder: Path) -> str:
    """Hand the candidates of the flight in `folder` over to its run; return what is to be told, in lines.

    Where the proposer has left train.py as it was, the first of them is the flight's own. All is written aside before
    anything is handed over, so that who is killed here goes on here.
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
    """Make the folder `ready`: `own`, facts of the flight itself; and one for each candidate that goes to the run."""
    before, problems = flight.need("before.py") + "\n", []
    seen = [_code(before)]
    changed = flight.text("changed")
    if changed and (own := flight.text("train.py")):
        seen.append(_code(own))
    found = []
    for path in sorted((flight.folder / "candidates").glob("*.py")):
        try:
            candidate = _candidate(path, before)
        except ValueError as error:
            problems.append(f"left out: 'candidates/{clean(path.name, 60)}' {error}")
            continue
        if (code := _code(candidate.text)) not in seen:
            seen.append(code)
            found.append(candidate)
    new = ready.with_suffix(".new")
    shutil.rmtree(new, ignore_errors=True)
    (new / "own").mkdir(parents=True)
    usage = _shares(flight, len(found) + bool(changed))
    if found and not changed:
        _put(new / "own", found.pop(0), usage)
    elif usage and found:
        Flight(new / "own").write_json("usage.json", next(usage))
    for number, candidate in enumerate(found, 2):
        path = new / f"{flight.folder.name}.{number}"
        path.mkdir()
        for name in SHARED:
            shutil.copyfile(flight.folder / name, path / name)
        _put(path, candidate, usage)
    for path in [*new.rglob("*"), new]:
        durable.sync(path)
    new.replace(ready)
    return "".join(f"{problem}\n" for problem in problems)


def _candidate(path: Path, before: str) -> Candidate:
    """A file of the proposer. Raises ValueError where it is none that could be trained."""
    data = path.read_bytes()
    if len(data) > LARGEST:
        raise ValueError("is over 1 MB")
    try:
        lines = data.decode().split("\n")
    except UnicodeDecodeError:
        raise ValueError("is not UTF-8") from None
    known, said = set(before.split("\n")), []
    while lines and lines[0].startswith("#") and lines[0] not in known:
        said.append(lines.pop(0).lstrip("#").strip())
    said = [line for line in said if line]
    categories = [line for line in said if CATEGORY.fullmatch(line)]
    notes = [line for line in said if NOTE.fullmatch(line)]
    described = [line for line in said if line not in categories and line not in notes]
    return Candidate("\n".join(lines), "\n".join([*notes, *categories[:1], *described[:1]]))


def _code(text: str) -> Sequence[str]:
    """What two candidates are compared by: their code, as it is parsed."""
    return complexity.counted_lines(text)


def _put(folder: Path, candidate: Candidate, usage: Iterator[dict[str, Any]] | None) -> None:
    (folder / "train.py").write_bytes(candidate.text.encode())
    (folder / "said").write_text(candidate.said + "\n")
    (folder / "changed").write_text("M\ttrain.py\n")
    if usage:
        Flight(folder).write_json("usage.json", next(usage))


def _shares(flight: Flight, count: int) -> Iterator[dict[str, Any]] | None:
    """What each of so many candidates has taken of the call; None where the proposer has not told it."""
    path = flight.folder / "usage.json"
    told = jsonl.object_in(path.read_bytes()) if path.is_file() else None
    return None if told is None else _divided(told, max(count, 1))


def _divided(told: dict[str, Any], count: int) -> Iterator[dict[str, Any]]:
    for number in range(count):
        yield {**told, **{name: _share(name, told[name], count, number) for name in AMOUNTS if name in told}}


def _share(name: str, amount: Any, count: int, number: int) -> Any:
    """Whole tokens; what is no amount stays as it is, and is none to `record.total` either."""
    if isinstance(amount, bool) or not isinstance(amount, int | Decimal):
        return amount
    if name == "tokens":
        return amount // count + (number < amount % count) if isinstance(amount, int) else amount
    return Decimal(amount) / count
