"""The output and the change of a proposer -> description, category, and the reason for a rejection, if any."""

import hashlib
import re
from pathlib import Path

from lab.one_line import LONGEST_WHY, clean, description
from lab.proposal import ideas, rule_check
from lab.proposal.check_edit import unusable
from lab.store import code, manifest
from lab.store.flight import Flight, in_the_air
from lab.verdict import complexity

OUTPUT = 65536  # bytes of the end of stdout that are read
CATEGORY = re.compile(r"category: *(\S.*)", re.IGNORECASE)
NOTE = re.compile(r"note: *(\S.*)", re.IGNORECASE)
NOTES = 5  # lines, the last
LONGEST_NOTE = 300  # characters
UNUSABLE = "unusable"  # the folder of files that cannot be tried
ASSIGNMENT = re.compile(r"([A-Za-z_][A-Za-z_0-9.]*) *= *(.*?) *(?:#.*)?")


def describe(folder: Path) -> None:
    """Write `description`, `category`, `notes`, which may be empty, and `rejected` or `in_the_air` if not trained."""
    flight = Flight(folder)
    lines = _last_lines(folder / "said")
    category = next((match[1] for line in lines if (match := CATEGORY.fullmatch(line))), "")
    notes = [match[1] for line in lines if (match := NOTE.fullmatch(line))]
    said = [line for line in lines if not any(form.fullmatch(line) for form in (CATEGORY, NOTE, ideas.SPOKEN))]
    (folder / "in_the_air").unlink(missing_ok=True)
    if rejected := rejection(flight):
        derived = f"change {manifest.editable(flight.run)}"
        flight.write("rejected", rejected)
    else:
        derived = derive(*code.difference(code.before(flight), code.after(flight) or {}))
        if other := same_in_the_air(flight):
            flight.write("in_the_air", other)
    flight.write("description", description(said[-1] if said else derived, rejected))
    flight.write("category", clean(category, 40))
    flight.write("notes", "\n".join(clean(note, LONGEST_NOTE) for note in notes[-NOTES:]))


def same_in_the_air(flight: Flight) -> str | None:
    """The id of another flight with the same parsed code. Writes the hash of this one's to `code`."""
    lines = parsed(code.after(flight) or {})
    flight.write("code", hashlib.sha256("\n".join(lines).encode()).hexdigest())
    others = (one for one in in_the_air(flight.run) if one != flight)
    return next((one.folder.name for one in others if one.text("code") == flight.text("code")), None)


def parsed(texts: code.Code) -> list[str]:
    """The parsed code, in lines; equal for texts that do the same."""
    return [line for path in sorted(texts) for line in (path, *complexity.counted_lines(texts[path]))]


def _last_lines(path: Path) -> list[str]:
    """The last lines of a file of any size and any bytes, cleaned, without empty ones."""
    if not path.exists():
        return []
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - OUTPUT))
        lines = re.split(r"[\r\n]", file.read().decode(errors="replace"))
    return [text for line in lines if (text := clean(line, LONGEST_NOTE + 10))]


def rejection(flight: Flight) -> str:
    """The reason for a rejection: another changed file, unusable code, a broken rule; else empty.

    `changed` has git's lines, `M<tab>path`: M changed, A added, D deleted, T no longer a plain file.
    """
    changed, own = [line for line in flight.need("changed").split("\n") if line], code.editable(flight)
    if others := [line.split("\t", 1)[1] for line in changed if line not in own]:
        return clean(f"changed {', '.join(others)}", 80)
    for kind, name in (line.split("\t", 1) for line in changed):
        if kind in ("D", "T"):
            return clean(f"deleted {name}" if kind == "D" else f"{name} is not a plain file", 80)
    _put_unusable_aside(flight)
    for name, path in code.files(flight.folder / UNUSABLE).items():
        return clean(f"{name} {unusable(path)}", 80)
    broken = rule_check.violations_of(code.before(flight), code.after(flight) or {}, manifest.metric_of(flight.run))
    return clean(broken[0], LONGEST_WHY) if broken else ""


def _put_unusable_aside(flight: Flight) -> None:
    """Move the files that cannot be tried, so that no later step reads them."""
    for name, path in code.files(flight.folder / "after").items():
        if unusable(path):
            aside = flight.folder / UNUSABLE / name
            aside.parent.mkdir(parents=True, exist_ok=True)
            path.rename(aside)


def derive(before: str, after: str) -> str:
    """A description from the diff, for a proposer without one: `DEPTH 8 -> 9`, or the first new line."""
    added, removed = complexity.changes(before, after)
    if len(added) == len(removed) == 1:
        old, new = ASSIGNMENT.fullmatch(removed[0]), ASSIGNMENT.fullmatch(added[0])
        if old and new and old[1] == new[1]:
            return f"{old[1]} {old[2]} -> {new[2]}"
    if added:
        return f"{added[0]} (+{len(added)} -{len(removed)} lines)"
    if removed:
        return f"remove {removed[0]} (-{len(removed)} lines)"
    return "change comments or blank lines only"
