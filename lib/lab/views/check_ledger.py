"""A ledger -> its problems: `FILE:LINE: column: problem`. In a run's folder, it is also compared with the record."""

from pathlib import Path

from lab.errors import EXPECTED, Fault
from lab.store import experiments, ledger, two_records
from lab.verdict import index


def checked(path: Path) -> str:
    """A sentence that lists what was checked in a ledger without problems."""
    rows, run = len(ledger.lines(path)), path.resolve().parent
    what = f"{path}: valid, rows: {rows}"
    if path.resolve().name == two_records.TABLE and (run / experiments.FILE).exists():
        return f"{what}; each row matches {experiments.FILE} or was written by hand"
    return f"{what}; header, columns, numbers, verdicts and unique commits checked"


def problems(path: Path) -> list[str]:
    """The format problems; without any, the differences from the experiments beside it. Raises OSError, Fault."""
    run = path.resolve().parent
    if not path.exists() and not (run / "manifest.json").exists():
        raise Fault(f"ledger not found: '{path}'", "name one: bin/validate runs/mar14/results.tsv")
    said = ledger.problems(path)
    if said or path.resolve().name != two_records.TABLE or not (run / experiments.FILE).exists():
        return said
    try:
        lines, mark = ledger.lines(path), index.read(run).mark
    except EXPECTED as error:  # another file is damaged
        return [str(error)]
    if two_records.is_same(run, lines, mark):
        return []
    return [
        f"{path}: {one.column}: {one.problem}"
        if one.line is None
        else f"{path}:{one.line}: {one.column}: {one.problem}"
        for one in two_records.differences(run, lines)
    ]
