"""The two records of a run, `results.tsv` and `experiments.jsonl`, compared.

Verdicts use only experiments.jsonl. results.tsv is for people, who may edit or delete it. A row without an experiment
was written by hand, and is kept.
"""

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass
from decimal import Decimal
from functools import reduce
from pathlib import Path

from lab.store import durable, experiments, flight, jsonl, ledger, manifest, metric
from lab.store.experiments import Experiment
from lab.store.ledger import COLUMNS, Row

TABLE = "results.tsv"
COMMIT = re.compile(rb'"commit": "([0-9a-f]{7})')


@dataclass(frozen=True)
class Difference:
    """`line` is the row's line in the ledger (None: missing), `n` the experiment's number."""

    line: int | None
    n: int
    column: str
    problem: str
    recorded: str | None = None  # the recorded text


def row_of(experiment: Experiment) -> Row:
    """The row of an experiment, with the hash of its own commit."""
    crashed, memory = experiment["status"] == "crash", experiment["memory_gb"]
    return Row(
        commit=experiment["commit"][:7],
        val_bpb=ledger.NO_VALUE if crashed else metric.named(experiment).text(Decimal(experiment["val_bpb"])),
        memory_gb=ledger.NO_MEMORY if crashed or memory is None else f"{memory:.1f}",
        status=experiment["status"],
        description=experiment["description"],
    )


def marked(mark: int, line: str) -> int:
    """A hash of rows, with one more row. Ledgers with the same rows in the same order have the same mark."""
    text = line.encode(errors="surrogateescape")
    return int.from_bytes(hashlib.blake2b(mark.to_bytes(8, "big") + text, digest_size=8).digest(), "big")


def marked_with(mark: int, experiment: Experiment) -> int:
    """The mark with the row of an experiment, if the experiment has all columns."""
    has_row = {"commit", "status", "val_bpb", "memory_gb", "description"} <= experiment.keys()
    return marked(mark, row_of(experiment).line()) if has_row else mark


def is_same(run: Path, lines: Sequence[str], mark: int) -> bool:
    """Whether the ledger has exactly the recorded rows (whose mark is `mark`), and perhaps rows written by hand.

    This is fast, but does not say what differs; `differences` does.
    """
    if reduce(marked, lines, 0) == mark:
        return True
    path = run / experiments.FILE
    known = {commit.decode() for commit in COMMIT.findall(path.read_bytes())} if path.exists() else set()
    return reduce(marked, (line for line in lines if line[:7] in known), 0) == mark


def differences(run: Path, lines: Sequence[str]) -> list[Difference]:
    """Where the rows differ from the experiments. A fact that an experiment does not have is not compared."""
    past = experiments.by_commit(run)
    found, seen, last = [], set(), 0
    for number, line in enumerate(lines, start=2):
        row = ledger.row(line)
        if one := past.get(row.commit):
            seen.add(row.commit)
            found += _of_row(row, one, number)
            if one["n"] < last:
                found.append(Difference(number, one["n"], "row", f"#{one['n']} comes after #{last}"))
            last = max(last, one["n"])
    written = {one.text("commit") for one in flight.all_of(run)}  # flights that may be about to write their row
    lost = [one for commit, one in past.items() if commit not in seen and one["commit"] not in written]
    return found + [
        Difference(None, one["n"], "row", f"the row of experiment #{one['n']}, '{one['commit'][:7]}', is missing")
        for one in lost
    ]


def _of_row(row: Row, one: Experiment, number: int) -> list[Difference]:
    recorded = row_of({"memory_gb": None, **one})
    pairs = zip(COLUMNS, astuple(row), astuple(recorded), strict=True)
    return [
        Difference(number, one["n"], column, f"{now!r} was recorded as {then!r}", then)
        for column, now, then in pairs
        if now != then and (column != "memory_gb" or "memory_gb" in one)
    ]


def mend_end(run: Path) -> list[str]:
    """Repair a last line without a newline: end a whole line, move a torn one away. Returns messages."""
    said = []
    for name, is_whole in ((experiments.FILE, jsonl.is_object), (TABLE, lambda line: is_row(run, line))):
        if (torn := durable.set_torn_line_aside(run / name, is_whole)) is not None:
            said.append(f"'{run / name}': moved a torn last line to '{name}.torn': {torn!r}")
    return said


def is_row(run: Path, line: str) -> bool:
    """Whether a line is a whole row. A row with a cut description looks whole, but differs from the record."""
    if not ledger.fits(line, ledger.metric_of(run / TABLE)):
        return False
    one = experiments.by_commit(run).get(line[:7])
    return one is None or row_of(one).line() == line


def add_row(run: Path, experiment: Experiment) -> None:
    """Add the last experiment's row unless it is there. If the ledger was deleted, write all rows."""
    if (run / TABLE).exists():
        ledger.append(run / TABLE, row_of(experiment))
    else:
        durable.write_atomically(run / TABLE, text_of(run, map(row_of, experiments.read(run))))


def text_of(run: Path, rows: Iterable[Row]) -> str:
    """The ledger of the run as text, with these rows."""
    header = ledger.header(manifest.metric_of(run).name)
    return "".join(f"{line}\n" for line in (header, *(row.line() for row in rows)))


def with_rows_by_hand(known: Sequence[Experiment], lines: Sequence[str], metric_name: str = metric.BPB) -> list[Row]:
    """The recorded rows in order, and the rows of `lines` that were written by hand, each after the same row as before.

    A row that equals a recorded one except for its commit is left out.
    """
    rows = {one["commit"][:7]: row_of(one) for one in known}
    texts = {astuple(row)[1:] for row in rows.values()}
    behind: dict[str, list[Row]] = {}
    last, taken = "", set(rows)
    for line in (one for one in lines if ledger.fits(one, metric_name)):
        row = ledger.row(line)
        if row.commit in rows:
            last = row.commit
        elif row.commit not in taken and astuple(row)[1:] not in texts:
            taken.add(row.commit)
            behind.setdefault(last, []).append(row)
    return [one for commit in ("", *rows) for one in (*([rows[commit]] if commit else []), *behind.get(commit, []))]
