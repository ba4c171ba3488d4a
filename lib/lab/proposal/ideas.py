"""`ideas.md`: ideas that proposers leave for later, one a line; it outlives their calls as `runs/<tag>/ideas.md`.

A proposer edits it in its copy of the tree. One without tools prints lines: `idea: TEXT` adds TEXT, `tried: TEXT`
removes the idea that begins with it. Several proposers may do so at once: an idea that another has added stays.
"""

import re
from pathlib import Path

from lab.one_line import clean
from lab.store import durable
from lab.store.flight import Flight

FILE, GIVEN, BACK = "ideas.md", "ideas.given", "ideas.back"
HEAD = "# Ideas for later: one a line; remove those that were tried"
MOST, LONGEST = 60, 300  # lines, the newest; characters of one
SPOKEN = re.compile(r"(idea|tried): *(\S.*)", re.IGNORECASE)
SHORTEST = 10  # characters of the beginning of an idea that name it


def ideas(folder: Path) -> None:
    """Take the list back as the proposer of the flight in `folder` has changed it."""
    flight = Flight(folder)
    known = read(flight.run)
    given, back = (_lines(flight.text(name)) for name in (GIVEN, BACK))
    kept = known if flight.text(BACK) is None or back == given else [*back, *(one for one in known if one not in given)]
    for match in filter(None, map(SPOKEN.fullmatch, _lines(flight.text("said")))):
        word, text = match.groups()
        if word.lower() == "idea":
            kept = [*kept, text]
        elif len(text) < SHORTEST:
            kept = [one for one in kept if one != text]
        else:
            kept = [one for one in kept if not one.startswith(text)]
    kept = list(dict.fromkeys(kept))[-MOST:]
    if kept != known:
        text = "".join(f"{line}\n" for line in [HEAD, *kept])
        durable.write_atomically(flight.run / FILE, text, durable=False)


def read(run: Path) -> list[str]:
    """The ideas, the oldest first."""
    path = run / FILE
    return _lines(path.read_text(encoding="utf-8", errors="replace") if path.is_file() else None)


def _lines(text: str | None) -> list[str]:
    """Its lines without headings and blanks."""
    lines = (clean(line, LONGEST) for line in (text or "").splitlines())
    return [line for line in lines if line and not line.startswith("#")]
