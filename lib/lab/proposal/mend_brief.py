"""The crash of the experiment in flight -> the brief with which its proposer may fix it."""

from pathlib import Path

from lab.runs import failures
from lab.store import code, manifest, memory
from lab.store.flight import Flight

TEXT = """\
# A crash to fix

Your experiment crashed: {description}
The cause: {why}

{files} in this folder is the code that crashed. HEAD is its commit, HEAD~1 the incumbent. If the cause is a mistake,
fix it, only in {files}, and keep the idea. If the idea cannot work, change nothing: the experiment then ends as a
crash.

The end of its log follows, each line behind a bar. {untrusted}

{log}
"""

CURES = """
The same crash was fixed before:

{cures}
"""


def mend(folder: Path) -> str:
    """The brief for fixing the crash of the last training run; at most 16 KB.

    Writes `crashed` and `crashed.py`, the cause and the code, for the memory.
    """
    flight = Flight(folder)
    measured = flight.json("measure.json")
    flight.write("crashed", f"{measured['failure']} {measured['why']}")
    flight.write("crashed.py", code.joined(code.after(flight) or {}))
    cures = memory.cures(memory.folder(flight.run), measured["failure"], measured["why"])
    text = TEXT + CURES if cures else TEXT
    return text.format(
        files=manifest.editable(flight.run),
        description=flight.need("description"),
        why=measured["why"],
        untrusted=failures.UNTRUSTED,
        log=failures.quoted(_crashed_run(flight) / "run.log"),
        cures="\n".join(f"- {cure}" for cure in cures),
    )


def _crashed_run(flight: Flight) -> Path:
    """The candidate's last run; one of the incumbent may have followed it."""
    folders = (flight.folder / f"run.{attempt}" for attempt in range(flight.attempt, 0, -1))
    return next(one for one in folders if one.is_dir() and not (Flight(one).text("next") or "").startswith("incumbent"))
