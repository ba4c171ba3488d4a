"""A run, before a loop starts on it -> its incumbent, with a new index; or why nothing may be added to it."""

from pathlib import Path

from lab.errors import Fault
from lab.store import experiments, ledger, manifest, two_records
from lab.verdict import index

PREPARED = "prepared"  # what `prepare.py --check` has printed; beside it, in `prepared.py`, that file
MOST_TOLD = 3  # of the rows that were edited by hand


def check_run(run: Path) -> str:
    """A line for each thing that was mended, or was edited; `incumbent` has that commit, if there is one.

    Raises Fault where the ledger or the experiments are damaged, or another measurement than the run's is set up.
    """
    check_whether_there(run)
    said = two_records.mend_end(run)
    if problems := ledger.problems(run / two_records.TABLE):
        raise Fault("\n".join(["the ledger is damaged:", *problems]), f"make mend TAG={run.name}")
    if problems := experiments.problems(run):
        raise Fault("\n".join([f"'{run / experiments.FILE}' is damaged:", *problems]), f"make mend TAG={run.name}")
    facts = (run / PREPARED).read_bytes().decode(errors="replace")
    manifest.check(run, facts, run / f"{PREPARED}.py")
    known = index.rebuilt(run)
    ledger.append_missing(run / two_records.TABLE, map(two_records.row_of, experiments.read(run)))
    index.store(run, known)
    index.store_incumbent(run, known)
    return "".join(f"{line}\n" for line in [*said, *edited(run)])


def check_whether_there(run: Path) -> None:
    """Raise Fault where somebody has deleted a record: without its experiments, a run would get a second baseline."""
    if not (run / two_records.TABLE).exists():
        raise Fault(f"the ledger is gone: '{run / two_records.TABLE}'", f"make mend TAG={run.name}")
    path = run / experiments.FILE
    if (run / index.INCUMBENT).exists() and not (path.exists() and path.stat().st_size):
        raise Fault(f"the experiments of run '{run.name}' are gone: '{path}'", f"make mend TAG={run.name}")


def edited(run: Path) -> list[str]:
    """What somebody has changed in the ledger; verdicts rest on what was recorded."""
    found = two_records.differences(run, ledger.lines(run / two_records.TABLE))
    more = [f"and so in {len(found) - MOST_TOLD} more places"] if len(found) > MOST_TOLD else []
    said = [f"line {one.line} of results.tsv was edited: {one.column} {one.problem}" for one in found[:MOST_TOLD]]
    return [*said, *more, *([f"to put back what was recorded: make mend TAG={run.name}"] if found else [])]
