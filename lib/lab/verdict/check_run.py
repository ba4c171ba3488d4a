"""A run, before a loop starts on it -> its incumbent, with a new index; or why nothing may be added to it."""

from pathlib import Path

from lab.errors import Fault
from lab.store import durable, experiments, ledger, manifest
from lab.verdict import index
from lab.verdict.record import row_of

PREPARED = "prepared"  # what `prepare.py --check` has printed; beside it, in `prepared.py`, that file


def check_run(run: Path) -> str:
    """A line for each torn one that was set aside; `incumbent` has the commit of the incumbent then, if there is one.

    Raises Fault where the ledger or the experiments are damaged, or another measurement than the run's is set up.
    """
    said = []
    for name in ("results.tsv", experiments.FILE):
        if (torn := durable.set_torn_line_aside(run / name)) is not None:
            said.append(f"a torn last line was set aside from '{run / name}': {torn!r}")
    if problems := ledger.problems(run / "results.tsv"):
        raise Fault("\n".join(["the ledger is damaged:", *problems]), "fix these lines by hand")
    if problems := experiments.problems(run):
        raise Fault("\n".join([f"'{run / experiments.FILE}' is damaged:", *problems]), "fix these lines by hand")
    facts = (run / PREPARED).read_bytes().decode(errors="replace")
    manifest.check(run, facts, run / f"{PREPARED}.py")
    known = index.rebuilt(run)
    ledger.append_missing(run / "results.tsv", map(row_of, experiments.read(run)))
    index.store(run, known)
    index.store_incumbent(run, known)
    return "".join(f"{line}\n" for line in said)
