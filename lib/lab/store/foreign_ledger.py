"""A ledger found in the wild, read leniently: any five columns -> rows that fit the schema, and what was mended.

A row that the schema takes is taken as it stands. Numbers are Decimal: val_bpb in bits per byte is rounded to 6
decimals, memory_gb in GiB to 1, both half up. What cannot be mended, such as a keep without a number, is left out.
"""

import re
from collections.abc import Container
from dataclasses import asdict, astuple, dataclass, replace
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from itertools import count
from pathlib import Path

from lab.errors import Fault
from lab.store import durable, ledger, schemas
from lab.store.ledger import COLUMNS, HEADER, NO_MEMORY, NO_VALUE, Row
from lab.verdict.criterion import UPPER_BOUND, is_valid

WORDS = {  # the first word of a status -> what it says
    **dict.fromkeys(("keep", "kept", "accept", "accepted", "baseline"), "keep"),
    **dict.fromkeys(("discard", "discarded", "revert", "reverted", "reject", "rejected", "dropped"), "discard"),
    **dict.fromkeys(("fail", "failed"), "discard"),  # a crash when it has no number, as every discard
    **dict.fromkeys(("crash", "crashed", "error", "oom", "timeout"), "crash"),
}
GIB, MIB = {"", "g", "gb", "gib"}, {"m", "mb", "mib"}
DECORATION = " *_`~≈()[]"  # what Markdown, or a hand, puts around a value
HASH = re.compile(r"([0-9a-z]{7}|[0-9a-f]{4,})(?![0-9a-z])")
NUMBER = re.compile(r"([-+]?(?:\d+[.,]?\d*|[.,]\d+)(?:e[-+]?\d+)?)\s*([a-z]*|%)")
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]+")
LONGEST = 200  # characters of a description


@dataclass(frozen=True)
class Found:
    """The rows; `FILE:LINE: column: ...` for each thing mended or left out; how many rows were left out."""

    rows: list[Row]
    said: list[str]
    left_out: int

    def text(self) -> str:
        """The mended ledger, which `lab validate` takes."""
        return "".join(f"{line}\n" for line in (HEADER, *(row.line() for row in self.rows)))


@dataclass(frozen=True)
class Note:
    """What was mended in a column of a line; or, where `lost`, why there is no row of it."""

    line: int
    column: str
    what: str
    lost: bool = False

    def __str__(self) -> str:
        """As it is told, after the file's name."""
        return f"{self.line}: {self.column}: {self.what}{': the row is left out' if self.lost else ''}"


def convert(path: Path, out: Path | None) -> Found:
    """Read a ledger, and write it, mended, to `out`, which must be new."""
    found = read(path)
    if out is not None:
        if out.exists():
            raise Fault(f"'{out}' exists", "name a new file: no ledger is overwritten")
        durable.write_atomically(out, found.text())
    return found


def read(path: Path) -> Found:
    """All that can be read of a ledger. A Fault when the file cannot be."""
    try:
        data = path.read_bytes()
    except OSError as error:
        problem = (error.strerror or "cannot be read").lower()
        raise Fault(f"{problem}: '{path}'", "name a ledger, such as runs/mar14/results.tsv") from None
    reader = _Reader()
    reader.take_all(data)
    lost = {note.line for note in reader.notes if note.lost}
    return Found(reader.rows, [f"{path}:{note}" for note in reader.notes], len(lost))


class _Reader:
    """Goes through the lines of a file, and gathers rows and notes."""

    def __init__(self) -> None:
        self.line = 1
        self.names = list(COLUMNS)  # as the header has them
        self.has_header = False
        self.rows: list[Row] = []
        self.lines: dict[str, int] = {}  # of each commit
        self.notes: list[Note] = []

    def note(self, column: str, what: str, *, lost: bool = False) -> None:
        """Of the line that is being read."""
        self.notes.append(Note(self.line, column, what, lost))

    def take_all(self, data: bytes) -> None:
        """A whole file."""
        if b"\r" in data and b"\n" not in data:
            self.note("row", "lines ended in CR")
            data = data.replace(b"\r", b"\n")
        *whole, torn = data.split(b"\n")
        for raw in whole:
            self.take(raw)
        if torn:
            self.note("row", "the last line did not end in a newline")
            self.take(torn)
        self._need_header()

    def take(self, raw: bytes) -> None:
        """The next line."""
        text = self._text(raw)
        cells = _cells(text, len(self.names))
        names = [cell.strip(DECORATION).lower().replace(" ", "_") for cell in cells]
        if not re.search(r"\w", text):
            self.note("row", "blank, or the rule of a table: dropped")
        elif set(names[:4]) & set(COLUMNS):
            self._header(text, names)
        else:
            self._row(text, cells)
        self.line += 1

    def _need_header(self) -> None:
        if not self.has_header:
            self.note("header", "missing: added")
            self.has_header = True

    def _text(self, raw: bytes) -> str:
        """The line, without what an editor or another system has put around it."""
        text = raw.decode(errors="replace")
        if text.encode() != raw:
            self.note("row", "not UTF-8: what cannot be read is now '\ufffd'")
        if text.startswith("\ufeff"):
            self.note("row", "began with a byte order mark")
        if text.endswith("\r"):
            self.note("row", "ended in CR LF")
        return text.removeprefix("\ufeff").removesuffix("\r")

    def _header(self, text: str, names: list[str]) -> None:
        """Where it has all five names, it says where they stand; else they are taken in the usual order."""
        if self.has_header:
            self.note("header", "stands here again: dropped")
            return
        if text != HEADER:
            self.note("header", f"{text!r} is now {HEADER!r}")
        self.has_header = True
        if set(names) >= set(COLUMNS):
            self.names = names[: max(place for place, name in enumerate(names, start=1) if name)]

    def _row(self, text: str, cells: list[str]) -> None:
        """Take it as it stands, or mend it, or leave it out."""
        was = self._five(cells)
        row = Row(*was) if _fits(was) else _mended(*was)
        commit = row.commit
        row = replace(row, commit=unused(commit, self.lines, len(self.rows) + 1))
        problems = schemas.problems("row", asdict(row))
        for column, problem in problems:
            self.note(column, problem, lost=True)
        if problems:
            return
        self._need_header()
        self._tell_layout(text, cells)
        if commit in self.lines:
            self.note("commit", f"{commit!r} stands in line {self.lines[commit]} already: is now {row.commit!r}")
            was[0] = row.commit
        self._tell_mends(was, row)
        self.rows.append(row)
        self.lines[row.commit] = self.line

    def _five(self, cells: list[str]) -> list[str]:
        """The five columns, by the names of the header; what goes beyond these was a tab in the last one."""
        width = len(self.names)
        padded = [*cells, *[""] * (width - len(cells))]
        *five, description = (padded[self.names.index(column)] for column in COLUMNS)
        return [*five, " ".join([description, *filter(None, padded[width:])])]

    def _tell_layout(self, text: str, cells: list[str]) -> None:
        if len(cells) != text.count("\t") + 1:
            self.note("row", "columns that no tab separates")
        if len(cells) < len(self.names):
            self.note("row", f"{len(cells)} columns, not {len(self.names)}: the others are taken as empty")
        if len(cells) > len(self.names):
            self.note("row", f"{len(cells)} columns, not {len(self.names)}: those beyond are joined to the description")

    def _tell_mends(self, was: list[str], row: Row) -> None:
        for column, before, now in zip(COLUMNS, was, astuple(row), strict=True):
            if before != now:
                self.note(column, f"{before!r} is now {now!r}")


def _cells(text: str, width: int) -> list[str]:
    """The columns of a line: between tabs, or the pipes of a Markdown table, or, where these are too few, blanks."""
    if "\t" not in text and text.count("|") >= width - 1:
        table = text.strip().removeprefix("|").removesuffix("|")
        return [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", table)]
    cells = text.split("\t")
    return cells if len(cells) >= width else max(cells, text.split(None, width - 1), key=len)


def _fits(cells: list[str]) -> bool:
    return not schemas.problems("row", dict(zip(COLUMNS, cells, strict=True)))


def _mended(commit: str, val_bpb: str, memory_gb: str, status: str, description: str) -> Row:
    """The five columns as they should be; what cannot be mended as it is, for the schema to refuse."""
    value = _val_bpb(val_bpb)
    verdict = _status(status, measured=value is not None)
    if verdict == "crash":
        return Row(_hash(commit), NO_VALUE, NO_MEMORY, verdict, _description(description))
    return Row(_hash(commit), value or val_bpb, _memory_gb(memory_gb), verdict, _description(description))


def _hash(text: str) -> str:
    """Seven characters, of a longer hash the first; a shorter one is filled up with x, which is no digit. Else none."""
    found = HASH.match(text.strip(DECORATION).lower())
    return found[0][:7].ljust(7, "x") if found else ""


def unused(commit: str, taken: Container[str], n: int) -> str:
    """The commit, or where there is none, or another row has it, a stand-in that is no hash: row0012."""
    if commit and commit not in taken:
        return commit
    return next(name for k in count(n) if (name := f"row{k:04d}"[-7:]) not in taken)


def _number(text: str) -> tuple[Decimal, str] | None:
    """A number that is all of the text but for its unit, and the unit in lower case."""
    found = NUMBER.fullmatch(text.strip(DECORATION).lower())
    try:
        return (Decimal(found[1].replace(",", ".")), found[2]) if found else None
    except InvalidOperation:  # an exponent of twenty digits
        return None


def _val_bpb(text: str) -> str | None:
    """With 6 decimals; None where there is no number that can be one. 0.9979% is 0.9979, but 99.79% too."""
    number, unit = _number(text) or (None, "")
    if number is not None and unit == "%" and UPPER_BOUND <= number < 100 * UPPER_BOUND:
        number /= 100
    if number is None or unit not in {"", "%", "bpb"} or not is_valid(number):
        return None
    rounded = number.quantize(Decimal(NO_VALUE), ROUND_HALF_UP)
    return str(rounded) if is_valid(rounded) else None


def _memory_gb(text: str) -> str:
    """With 1 decimal; 0.0, which is not known, for what is not an amount of memory."""
    number, unit = _number(text) or (None, "")
    if number is None or unit not in GIB | MIB:
        return NO_MEMORY
    try:
        return ledger.to_gb(str(number * (1024 if unit in GIB else 1)))
    except (ValueError, ArithmeticError):
        return NO_MEMORY


def _status(text: str, *, measured: bool) -> str:
    """By its first word. What was discarded without a number is a crash."""
    word = re.search(r"[a-z]+", text.lower())
    verdict = WORDS.get(word[0], text) if word else text
    return "crash" if verdict == "discard" and not measured else verdict


def _description(text: str) -> str:
    """Without control characters, and not too long."""
    clean = CONTROL.sub(" ", text).strip() or "(no description)"
    return clean if len(clean) <= LONGEST else clean[: LONGEST - 1] + "…"
