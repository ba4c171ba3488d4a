"""The two records of a run, `results.tsv` and `experiments.jsonl`: whether the one says what the other does.

Verdicts rest on the second; the first is for people, who may edit it, or delete it. A row that has no experiment was
written by hand, and stays.
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
    """`line` is that of the row in the ledger; None where it is missing. `n` is the experiment's number."""

    line: int | None
    n: int
    column: str
    problem: str
    recorded: str | None = None  # what stood there


def row_of(experiment: Experiment) -> Row:
    """The row, with the hash of the experiment's own commit."""
    crashed, memory = experiment["status"] == "crash", experiment["memory_gb"]
    return Row(
        commit=experiment["commit"][:7],
        val_bpb=ledger.NO_VALUE if crashed else metric.named(experiment).text(Decimal(experiment["val_bpb"])),
        memory_gb=ledger.NO_MEMORY if crashed or memory is None else f"{memory:.1f}",
        status=experiment["status"],
        description=experiment["description"],
    )


def marked(mark: int, line: str) -> int:
    """The mark of some rows, and one more: two ledgers of the same rows in the same order have the same."""
    text = line.encode(errors="surrogateescape")
    return int.from_bytes(hashlib.blake2b(mark.to_bytes(8, "big") + text, digest_size=8).digest(), "big")


def marked_with(mark: int, experiment: Experiment) -> int:
    """The same with the row of an experiment, if it has a whole one."""
    has_row = {"commit", "status", "val_bpb", "memory_gb", "description"} <= experiment.keys()
    return marked(mark, row_of(experiment).line()) if has_row else mark


def is_same(run: Path, lines: Sequence[str], mark: int) -> bool:
    """Whether the ledger has the rows on record, whose mark this is, and those by hand; quickly.

    Without a word on what is not: that is for `differences`.
    """
    if reduce(marked, lines, 0) == mark:
        return True
    path = run / experiments.FILE
    known = {commit.decode() for commit in COMMIT.findall(path.read_bytes())} if path.exists() else set()
    return reduce(marked, (line for line in lines if line[:7] in known), 0) == mark


def differences(run: Path, lines: Sequence[str]) -> list[Difference]:
    """What the rows say otherwise than the experiments; what an experiment does not tell is not compared."""
    past = experiments.by_commit(run)
    found, seen, last = [], set(), 0
    for number, line in enumerate(lines, start=2):
        row = ledger.row(line)
        if one := past.get(row.commit):
            seen.add(row.commit)
            found += _of_row(row, one, number)
            if one["n"] < last:
                found.append(Difference(number, one["n"], "row", f"that of #{one['n']} stands behind that of #{last}"))
            last = max(last, one["n"])
    written = {one.text("commit") for one in flight.all_of(run)}  # whose row may come in a moment
    lost = [one for commit, one in past.items() if commit not in seen and one["commit"] not in written]
    return found + [Difference(None, one["n"], "row", _missing(one)) for one in lost]


def _of_row(row: Row, one: Experiment, number: int) -> list[Difference]:
    recorded = row_of({"memory_gb": None, **one})
    pairs = zip(COLUMNS, astuple(row), astuple(recorded), strict=True)
    return [
        Difference(number, one["n"], column, f"{now!r} was recorded as {then!r}", then)
        for column, now, then in pairs
        if now != then and (column != "memory_gb" or "memory_gb" in one)
    ]


def _missing(one: Experiment) -> str:
    return f"that of experiment #{one['n']}, '{one['commit'][:7]}', is missing"


def mend_end(run: Path) -> list[str]:
    """Of a last line without a newline: it is ended where it is whole, else set aside, and told."""
    said = []
    for name, is_whole in ((experiments.FILE, is_experiment), (TABLE, lambda line: is_row(run, line))):
        if (torn := durable.set_torn_line_aside(run / name, is_whole)) is not None:
            said.append(f"a torn last line was set aside from '{run / name}': {torn!r}")
    return said


def is_experiment(line: str) -> bool:
    """Whether it is a whole line of experiments.jsonl: half an object is none."""
    return jsonl.object_in(line.encode()) is not None


def is_row(run: Path, line: str) -> bool:
    """Whether it is a whole row: a description that was cut off looks like one, too, but not like what is recorded."""
    if not ledger.fits(line, ledger.metric_of(run / TABLE)):
        return False
    one = experiments.by_commit(run).get(line[:7])
    return one is None or row_of(one).line() == line


def add_row(run: Path, experiment: Experiment) -> None:
    """The row of the last experiment, unless it is there; all rows instead, where somebody has deleted the ledger."""
    if (run / TABLE).exists():
        ledger.append(run / TABLE, row_of(experiment))
    else:
        write_all(run)


def write_all(run: Path) -> None:
    """The ledger of all experiments."""
    durable.write_atomically(run / TABLE, text_of(run, map(row_of, experiments.read(run))))


def text_of(run: Path, rows: Iterable[Row]) -> str:
    """The ledger of the run with these rows."""
    header = ledger.header(manifest.metric_of(run).name)
    return "".join(f"{line}\n" for line in (header, *(row.line() for row in rows)))


def with_rows_by_hand(known: Sequence[Experiment], lines: Sequence[str], metric_name: str = metric.BPB) -> list[Row]:
    """The rows on record, in order, and those of `lines` that were written by hand, each behind the same row as there.

    What is a row on record but for its commit is no row of its own.
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
