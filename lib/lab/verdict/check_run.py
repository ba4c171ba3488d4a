"""A run, before a loop starts on it -> its incumbent, with a new index; or why nothing may be added to it."""

from pathlib import Path

from lab.errors import Fault
from lab.store import durable, experiments, ledger, manifest
from lab.verdict import index

PREPARED = "prepared"  # what `prepare.py --check` has printed


def check_run(run: Path) -> str:
    """The commit of the incumbent, if any, in the last line; before it a line for each torn one that was set aside.

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
    manifest.check(run, (run / PREPARED).read_bytes().decode(errors="replace"))
    known = index.rebuilt(run)
    index.store(run, known)
    return "".join(f"{line}\n" for line in [*said, known.incumbent["commit"] if known.incumbent else ""])
