"""The memory that outlives runs: learnings.md, issues.md and decisions.md, for people and for the loop.

The files are Markdown, and anybody may edit them. Each bullet, paragraph or heading is an entry. The loop writes
bullets of one line. A tally is a bullet that counts outcomes, for example of a constant on one machine and profile:

    - no gain: MATRIX_LR x2: 0.04 -> 0.02 worse by 0.0031 (mar8 #9 a1b2c3d) | 0.04 -> 0.06 ... ; full 300 s on ...
"""

import fcntl
import heapq
import math
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lab.one_line import clean
from lab.store import durable

# The files, and the headings that the loop writes under.
WON, NO_GAIN, CRASHES, DECIDED = "Wins", "No gain", "Crashes and fixes", "Decisions"
HEADINGS = {"learnings": (WON, NO_GAIN), "issues": (CRASHES,), "decisions": (DECIDED,)}
OLD = {  # headings in memory files of earlier versions, which stay as they are
    WON: "What won",
    NO_GAIN: "What brought no gain",
    CRASHES: "Crashes and their cures",
    DECIDED: "What was decided",
}
MENDED = "mended: "
INTRODUCTION = (
    "The loop writes here after each experiment. You may edit: it reads your own lines, too (make memory Q=...)."
)
OLD_INTRODUCTION = (
    "Written by the loop after each experiment, and yours to edit: it finds your own lines, too (make memory Q=...)."
)
LONGEST = 600  # characters of an entry, shown
LONGEST_CURE = 200
LONGEST_WHY = 160  # characters of the cause of a crash
LONGEST_READ = 6000  # characters of an entry, read
REFERENCE = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*) #\d+ [0-9a-f]{7}\b")  # run, number and commit
LABELS = {"won": "won before", "simplified": "won before", "no gain": "failed before"}
BEGINS = re.compile(r"[-*+] |\d+[.)] |#")  # starts a new entry even without a blank line before it
NEWEST_BYTES = 16 << 20  # bytes at the end of a file that are searched
MOST_WORDS = 40  # words of a query that count
BETWEEN_WORDS = re.compile(r"[\W_]+")
PLURAL = re.compile(r"(?<=[hsx])es$|(?<=[^s])s$")  # removed from a query word, so that it finds the singular too
OUTCOMES = 6  # newest outcomes that a tally lists


@dataclass(frozen=True)
class Entry:
    """An entry. `where` is, for example, `learnings.md:12`."""

    where: str
    text: str

    @property
    def shown(self) -> str:
        """The text as one printable line, without its bullet."""
        return clean(self.text.lstrip("-*+#> "), LONGEST)

    @property
    def label(self) -> str:
        """The kind of the entry, in words for a proposer."""
        kind = self.shown.partition(":")[0]
        return LABELS.get(kind, "note" if not REFERENCE.search(self.text) else "crashed before")

    def fits(self, tag: str, profile: str) -> bool:
        """Whether the run `tag` should see the entry: a person's entry, or one of another run with the same profile."""
        tags = REFERENCE.findall(self.text)
        is_other = any(other != tag for other in tags) and f"; {profile} " in self.text
        return not tags or (is_other and not self.shown.startswith(("began: ", "incumbent: ")))


def folder(run: Path) -> Path:
    """The memory folder: the one in the settings, else the one in the run's tree."""
    return Path(os.environ.get("AUTORESEARCH_MEMORY") or run.parent.parent / "memory").expanduser().absolute()


# --- Reading ----------------------------------------------------------------------------------------------------------


def entries(folder: Path) -> Iterator[Entry]:
    """All entries of all files; in each file the oldest first."""
    ours = {INTRODUCTION, OLD_INTRODUCTION, *(f"# {name.capitalize()}" for name in HEADINGS)}
    ours |= {f"## {heading}" for heading in [*OLD, *OLD.values()]}
    for name in HEADINGS:
        for number, text in _blocks(*_newest(folder / f"{name}.md")):
            if text not in ours:
                yield Entry(f"{name}.md:{number}", text)


def _newest(path: Path) -> tuple[int, str]:
    """The text of a file, or the end of a very long one, and the number of its first line."""
    data = path.read_bytes() if path.is_file() else b""
    begin = len(data) - NEWEST_BYTES
    begin = data.find(b"\n", begin) + 1 if begin > 0 else 0
    return data.count(b"\n", 0, begin) + 1, data[begin:].decode(errors="replace")


def _blocks(first: int, text: str) -> Iterator[tuple[int, str]]:
    """Each bullet, heading or paragraph as one line, with the number of its first line."""
    at, block = first, ""
    for number, line in enumerate(re.split(r"\r\n|\n|\r", text), first):
        line = line.strip()
        if block and (not line or BEGINS.match(line) or block.startswith("#")):
            yield at, block
            block = ""
        if line and not block:
            at = number
        block = f"{block} {line}".strip()[:LONGEST_READ]
    if block:
        yield at, block


def newest(folder: Path, most: int) -> list[Entry]:
    """The last entries of each file, newest first."""
    found = list(entries(folder))[::-1]
    return [one for name in HEADINGS for one in [one for one in found if one.where.startswith(name)][:most]]


def search(folder: Path, query: str, most: int) -> list[Entry]:
    """The entries that fit best, best first. Of equally good ones, the newest comes first.

    A query word counts if a word of the entry starts with it. A rare word counts more.
    """
    found = list(entries(folder))
    texts = [_words(one.text) for one in found]
    scores = [0.0] * len(found)
    for word in dict.fromkeys(_words(query).split()[:MOST_WORDS]):
        begin = f" {PLURAL.sub('', word)}"
        hits = [at for at, text in enumerate(texts) if begin in text]
        for at in hits:
            scores[at] += math.log(1 + len(found) / len(hits))
    best = heapq.nlargest(most, ((score, at) for at, score in enumerate(scores) if score))
    return [found[at] for _, at in best]


def _words(text: str) -> str:
    """The words in lower case, each after a blank: `WARMUP_RATIO: 0.1` gives ` warmup ratio 0 1`."""
    return BETWEEN_WORDS.sub(" ", f" {text.casefold()}")


def crash(kind: str, why: str) -> str:
    """The subject of a crash's tally, equal for causes that differ only in numbers."""
    return f"{kind}: {re.sub(r'[0-9][0-9.,]*', 'N', clean(why, LONGEST_WHY))}"


def cures(folder: Path, kind: str, why: str) -> list[str]:
    """The last two edits that fixed the same crash, on any machine."""
    begins = f"- {crash(kind, why)} x"
    outcomes = [said for one in entries(folder) if one.text.startswith(begins) for said in one.text.split(" | ")]
    return [clean(said.partition(MENDED)[2], LONGEST_CURE) for said in outcomes if MENDED in said][-2:]


def text(folder: Path, query: str, most: int = 20) -> str:
    """The output of `make memory`: a line for each entry."""
    found = search(folder, query, most) if query.strip() else newest(folder, most)
    if not found:
        return f"no entry about '{clean(query, 80)}' in '{folder}'" if query.strip() else f"no entry yet in '{folder}'"
    return "\n".join(f"{one.where}  {one.shown}" for one in found)


# --- Writing ----------------------------------------------------------------------------------------------------------


@contextmanager
def _edited(folder: Path, heading: str) -> Iterator[list[str]]:
    """The lines of the file with that heading, to edit; then written atomically. All other lines stay byte for byte.

    A lock is held, because two trees may share a memory.
    """
    name = next(name for name, headings in HEADINGS.items() if heading in headings)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        path = (folder / f"{name}.md").resolve()  # write through a person's symlink
        old = path.read_bytes().decode(errors="surrogateescape") if path.exists() else ""
        end = "\r\n" if "\r\n" in old else "\n"
        lines = old.split(end) if old else [f"# {name.capitalize()}", "", INTRODUCTION, ""]
        yield lines
        if (new := end.join(lines)) != old:
            durable.write_atomically(path, new)


def add(folder: Path, heading: str, kind: str, mark: str, entry: str) -> None:
    """Add `- kind: entry` as the last line under the heading, unless a line of this kind already has the mark."""
    with _edited(folder, heading) as lines:
        if not any(line.startswith(f"- {kind}") and mark in line for line in lines):
            _insert(lines, heading, f"- {kind}: {entry}")


def tally(folder: Path, heading: str, subject: str, outcome: str, mark: str, setting: str) -> None:
    """Add an outcome to the subject's tally, unless one has the mark. Equal outcomes are listed once, the last one."""
    head, tail = f"- {subject} x", f"; {setting}"
    counted = re.compile(re.escape(head) + r"(\d+): (.*)" + re.escape(tail) + r"\s*")
    said = outcome.replace(" | ", " / ")
    with _edited(folder, heading) as lines:
        found = next(((at, match) for at, line in enumerate(lines) if (match := counted.fullmatch(line))), None)
        if not found:
            _insert(lines, heading, f"{head}1: {said} ({mark}){tail}")
            return
        at, match = found
        outcomes = match[2].split(" | ")
        if not any(f"({mark})" in one for one in outcomes):
            others = [one for one in outcomes if not one.startswith(f"{said} (")]
            listed = " | ".join([*others, f"{said} ({mark})"][-OUTCOMES:])
            lines[at] = f"{head}{int(match[1]) + 1}: {listed}{tail}"


def _insert(lines: list[str], heading: str, line: str) -> None:
    """Insert a line at the end of its heading's section, and add the heading if it is missing."""
    known = {f"## {heading}", f"## {OLD[heading]}"}
    at = next((at for at, text in enumerate(lines) if text.strip() in known), None)
    if at is None:
        while lines and not lines[-1].strip():
            lines.pop()
        lines += ["", f"## {heading}", "", line, ""]
        return
    after = (number for number in range(at + 1, len(lines)) if re.match(r"#{1,2} ", lines[number]))
    to = next(after, len(lines))
    while to > at + 1 and not lines[to - 1].strip():
        to -= 1
    lines[to:to] = [line] if to > at + 1 else ["", line]
