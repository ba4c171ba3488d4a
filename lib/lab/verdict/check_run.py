"""A run before a loop starts on it -> its incumbent and a new index, or the reason why the run cannot continue."""

import os
from pathlib import Path

from lab.errors import Fault
from lab.store import experiments, ledger, manifest, two_records
from lab.verdict import index

PREPARED = "prepared"  # the output of `prepare.py --check`; `prepared.py` is a copy of that prepare.py
MOST_TOLD = 3  # hand edits that are listed


def check_settings(run: Path) -> str:
    """The settings of a loop as NAME=value lines. From now on, they are in this process's environment as well.

    Raises Fault for an invalid setting, or for one that was fixed at set-up and differs.
    """
    chosen = manifest.settings_of(run, os.environ)
    os.environ.update(chosen)
    return "".join(f"{name}={value}\n" for name, value in chosen.items())


def check_run(run: Path) -> str:
    """Returns a line for each repair and each hand edit. `incumbent` gets the incumbent's commit, if there is one.

    Raises Fault if a record is missing or damaged, or if the measurement differs from the run's.
    """
    said, path, hint = two_records.mend_end(run), run / experiments.FILE, f"make mend TAG={run.name}"
    if problems := ledger.problems(run / two_records.TABLE):
        raise Fault("\n".join(["the ledger is damaged:", *problems]), hint)
    if (run / index.INCUMBENT).exists() and not (path.exists() and path.stat().st_size):
        # It would get a second baseline.
        raise Fault(f"the experiments of run '{run.name}' are missing: '{path}'", hint)
    if problems := experiments.problems(run):
        raise Fault("\n".join([f"'{path}' is damaged:", *problems]), hint)
    facts = (run / PREPARED).read_bytes().decode(errors="replace")
    manifest.check(run, facts, run / f"{PREPARED}.py")
    known = index.rebuilt(run)
    ledger.append_missing(run / two_records.TABLE, map(two_records.row_of, experiments.read(run)))
    index.store(run, known)
    index.store_incumbent(run, known)
    return "".join(f"{line}\n" for line in [*said, *edited(run)])


def edited(run: Path) -> list[str]:
    """The hand edits of the ledger. They do not affect verdicts, which use the recorded values."""
    found = two_records.differences(run, ledger.lines(run / two_records.TABLE))
    more = [f"and {len(found) - MOST_TOLD} more differences"] if len(found) > MOST_TOLD else []
    said = [
        f"results.tsv{f', line {one.line}' if one.line else ''}: {one.column}: {one.problem}"
        for one in found[:MOST_TOLD]
    ]
    hint = [f"to restore the recorded rows: make mend TAG={run.name}"] if found else []
    return [*said, *more, *hint]
