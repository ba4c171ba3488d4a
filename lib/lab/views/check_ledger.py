"""A ledger -> each problem of it: `FILE:LINE: column: what`; in the folder of a run, also what was not recorded so."""

from pathlib import Path

from lab.errors import EXPECTED, Fault
from lab.store import experiments, ledger, two_records
from lab.verdict import index


def checked(path: Path) -> str:
    """What was looked at, of a ledger without a problem."""
    rows, run = len(ledger.lines(path)), path.resolve().parent
    what = f"{path}: valid, rows: {rows}"
    if path.resolve().name == two_records.TABLE and (run / experiments.FILE).exists():
        return f"{what}; each is as it was recorded in {experiments.FILE}, or written by hand"
    return f"{what}; header, columns, numbers, verdicts, no commit twice"


def problems(path: Path) -> list[str]:
    """Those of its form; where it has none, how it differs from the experiments beside it. Raises OSError, Fault."""
    run = path.resolve().parent
    if not path.exists() and (run / "manifest.json").exists():
        raise Fault(f"the ledger is gone: '{path}'", f"make mend TAG={run.name}")
    if not path.exists():
        raise Fault(f"there is no such ledger: '{path}'", "name one: bin/validate runs/mar14/results.tsv")
    said = ledger.problems(path)
    if said or path.resolve().name != two_records.TABLE or not (run / experiments.FILE).exists():
        return said
    try:
        lines, mark = ledger.lines(path), index.read(run).mark
    except EXPECTED as error:  # of another file
        return [str(error)]
    if two_records.is_same(run, lines, mark):
        return []
    return [
        f"{path}: {one.column}: {one.problem}"
        if one.line is None
        else f"{path}:{one.line}: {one.column}: {one.problem}"
        for one in two_records.differences(run, lines)
    ]
