"""`ideas.md`: what proposers want to try later, a line each; it outlives their calls, `runs/<tag>/ideas.md`.

A proposer finds it in its copy of the tree, and may edit it there. Several may at once: what others have added
meanwhile stays.
"""

from pathlib import Path

from lab.one_line import clean
from lab.store import durable
from lab.store.flight import Flight

FILE, GIVEN, BACK = "ideas.md", "ideas.given", "ideas.back"
HEAD = "# Ideas for later: one a line; take out what was tried"
MOST, LONGEST = 60, 300  # lines, the newest; characters of one


def ideas(folder: Path) -> None:
    """Take back what the proposer of the flight in `folder` has made of the list."""
    flight = Flight(folder)
    given, back = (_lines(flight.text(name)) for name in (GIVEN, BACK))
    if flight.text(BACK) is None or back == given:
        return
    path = flight.run / FILE
    since = [line for line in read(flight.run) if line not in given]
    kept = list(dict.fromkeys([*back, *since]))[-MOST:]
    durable.write_atomically(path, "".join(f"{line}\n" for line in [HEAD, *kept]), durable=False)


def read(run: Path) -> list[str]:
    """The ideas, the oldest first."""
    path = run / FILE
    return _lines(path.read_text(encoding="utf-8", errors="replace") if path.is_file() else None)


def _lines(text: str | None) -> list[str]:
    """Those that are no heading."""
    lines = (clean(line, LONGEST) for line in (text or "").splitlines())
    return [line for line in lines if line and not line.startswith("#")]
