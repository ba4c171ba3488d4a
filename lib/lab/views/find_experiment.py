"""A number (17 or #17) or the first digits of a commit, as a person types it -> the experiment."""

from dataclasses import dataclass
from pathlib import Path

from lab.errors import Fault
from lab.store import experiments, ledger
from lab.store.experiments import Experiment
from lab.store.ledger import Row

SHORTEST = 4  # digits of a commit


@dataclass(frozen=True)
class Found:
    """`known` is None for a row that was written by hand; no commit belongs to such a row."""

    n: int
    row: Row
    known: Experiment | None


def facts(run: Path, which: str) -> list[str]:
    """Number, commit, parent, category and description, for a shell; unknown ones are empty."""
    found = find(run, which)
    known = [(found.known or {}).get(name) or "" for name in ("commit", "parent", "category")]
    return [str(found.n), *known, found.row.description]


def find(run: Path, which: str) -> Found:
    """The experiment that `which` names. Raises Fault if it names none, or more than one."""
    rows = ledger.read(run / "results.tsv")
    known = experiments.by_commit(run)
    found = [_found(n, row, known.get(row.commit)) for n, row in enumerate(rows, start=1)]
    wanted = which.strip().removeprefix("#").lower()
    if wanted.isdecimal() and len(wanted) < 7:
        numbered = [one for one in found if one.n == int(wanted)]
        if numbered:
            return max(numbered, key=lambda one: one.known is not None)
    fits = [one for one in found if len(wanted) >= SHORTEST and _commit(one).startswith(wanted)]
    if len(fits) > 1:
        raise Fault(f"'{which}' matches {len(fits)} commits of run '{run.name}'", "give more digits")
    if not fits:
        last = max((one.n for one in found), default=0)
        hint = f"choose a number up to {last}: cat results.tsv" if last else "run the first one: make once"
        raise Fault(f"run '{run.name}' has no experiment '{which}'", hint)
    return fits[0]


def _found(n: int, row: Row, known: Experiment | None) -> Found:
    """The number is the one on record; a row that was written by hand gets the number of its line."""
    return Found(known.get("n", n) if known else n, row, known)


def _commit(one: Found) -> str:
    return str(one.known["commit"]) if one.known else one.row.commit
