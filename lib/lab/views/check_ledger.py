"""A ledger -> each problem of it: `FILE:LINE: column: what`; in the folder of a run, also what was not recorded so."""

from pathlib import Path

from lab.errors import EXPECTED
from lab.store import experiments, ledger, two_records
from lab.verdict import index


def problems(path: Path) -> list[str]:
    """Those of its form; where it has none, how it differs from the experiments beside it. Raises OSError."""
    said = ledger.problems(path)
    run = path.resolve().parent
    if said or path.resolve().name != two_records.TABLE or not (run / experiments.FILE).exists():
        return said
    try:
        lines, marks = ledger.lines(path), index.read(run).marks
    except EXPECTED as error:  # of another file
        return [str(error)]
    if two_records.is_same(run, lines, marks):
        return []
    return [
        f"{path}: {one.column}: {one.problem}"
        if one.line is None
        else f"{path}:{one.line}: {one.column}: {one.problem}"
        for one in two_records.differences(run, lines)
    ]
