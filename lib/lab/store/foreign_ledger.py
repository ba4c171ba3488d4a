"""A ledger of another project, read leniently: any five columns -> rows that fit the schema, and notes on each change.

A valid row is not changed. Numbers are Decimal: val_bpb in bits per byte is rounded to 6 decimals, memory_gb in GiB to
1, both half up. A row that cannot be mended, such as a keep without a number, is left out.
"""

import re
from collections.abc import Container, Mapping
from dataclasses import asdict, astuple, dataclass, field, replace
from decimal import ROUND_HALF_UP, Decimal
from itertools import count
from pathlib import Path

from lab import one_line
from lab.errors import Fault
from lab.store import durable, ledger, schemas
from lab.store.ledger import COLUMNS, HEADER, NO_MEMORY, NO_VALUE, UPPER_BOUND, Row, is_valid

WORDS = {  # the first word of a status -> the status
    **dict.fromkeys(("keep", "kept", "accept", "accepted", "baseline"), "keep"),
    **dict.fromkeys(("discard", "discarded", "revert", "reverted", "reject", "rejected", "dropped"), "discard"),
    **dict.fromkeys(("fail", "failed"), "discard"),  # a crash when it has no number, as every discard
    **dict.fromkeys(("crash", "crashed", "error", "oom", "timeout"), "crash"),
}
BITS = {"": 1, "bpb": 1, "%": 1}
MIB = {"": 1024, "g": 1024, "gb": 1024, "gib": 1024, "m": 1, "mb": 1, "mib": 1}
DECORATION = " *_`~≈()[]"  # around a value, by Markdown or by a person
HASH = re.compile(r"([0-9a-z]{7}|[0-9a-f]{4,})(?![0-9a-z])")
NUMBER = re.compile(r"([-+]?(?:\d+[.,]?\d*|[.,]\d+)(?:e[-+]?\d{1,3})?)\s*([a-z]*|%)", re.ASCII)


@dataclass
class Found:
    """The rows by commit; a note `FILE:LINE: column: ...` for each mend or omission; the number of omitted rows."""

    by_commit: dict[str, Row] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)
    left_out: int = 0

    @property
    def rows(self) -> list[Row]:
        """The rows in file order."""
        return list(self.by_commit.values())

    def text(self) -> str:
        """The mended ledger, which `lab validate` accepts."""
        return "".join(f"{line}\n" for line in (HEADER, *(row.line() for row in self.rows)))


def convert(path: Path, out: Path | None) -> Found:
    """Read a ledger, and write the mended one to `out`, which must not exist."""
    found = read(path)
    if out is not None:
        if out.exists():
            raise Fault(f"'{out}' exists", "name a new file: no ledger is overwritten")
        durable.write_atomically(out, found.text())
    return found


def read(path: Path) -> Found:
    """All readable rows of a ledger. Raises Fault if the file cannot be read."""
    try:
        data = path.read_bytes()
    except OSError as error:
        problem = (error.strerror or "cannot be read").lower()
        raise Fault(f"{problem}: '{path}'", "name a ledger, such as runs/mar14/results.tsv") from None
    found, names = Found(), None
    for number, line in enumerate(_lines(data, found.said), start=1):
        names = _take(line, names, found, number)
    missing = ["1: header: missing: added"] if names is None else []
    return replace(found, said=[f"{path}:{note}" for note in missing + found.said])


def _lines(data: bytes, said: list[str]) -> list[str]:
    """The lines, without a byte order mark and other line endings."""
    text = data.decode("utf-8-sig", errors="replace")
    text = text.replace("\r\n" if "\n" in text else "\r", "\n").removesuffix("\n")
    if data and f"{text}\n".encode() != data:
        said.append("1: row: the text is now UTF-8 without a byte order mark, and each line ends in LF")
    return text.split("\n") if data else []


def _take(line: str, names: list[str] | None, found: Found, number: int) -> list[str] | None:
    """Add a line to `found`. Returns the names of the columns; None: no header yet."""
    header = [cell.strip(DECORATION).lower().replace(" ", "_") for cell in _cells(line.rstrip(), len(COLUMNS))]
    if not re.search(r"\w", line):
        found.said.append(f"{number}: row: blank, or the rule of a table: dropped")
    elif not set(header[:4]) & set(COLUMNS):
        _row(line, names or list(COLUMNS), found, number)
    elif names:
        found.said.append(f"{number}: header: repeated: dropped")
    else:
        if line != HEADER:
            found.said.append(f"{number}: header: {line!r} is now {HEADER!r}")
        return header if set(header) >= set(COLUMNS) else list(COLUMNS)  # other words, in the usual order
    return names


def _row(line: str, names: list[str], found: Found, number: int) -> None:
    """Take a row unchanged, or mend it, or leave it out."""
    was = _five(_cells(line, len(names)), names)
    row = Row(*was) if _fits(Row(*was)) else _mended(*was)
    row = replace(row, commit=unused(row.commit, found.by_commit, len(found.by_commit) + 1))
    if problems := schemas.problems("row", asdict(row)):
        found.said += [f"{number}: {column}: {problem}: the row is left out" for column, problem in problems]
        found.left_out += 1
        return
    if (tabs := line.count("\t")) != len(names) - 1:
        joined = "missing columns are empty, further ones are joined to the description"
        found.said.append(f"{number}: row: {tabs} tabs, not {len(names) - 1}: {joined}")
    mends = zip(COLUMNS, was, astuple(row), strict=True)
    found.said += [f"{number}: {column}: {old!r} is now {new!r}" for column, old, new in mends if old != new]
    found.by_commit[row.commit] = row


def _fits(row: Row) -> bool:
    return schemas.fits("row", asdict(row))


def _cells(line: str, width: int) -> list[str]:
    """The columns of a line: between tabs, or the pipes of a Markdown table, or, where these are too few, blanks."""
    if "\t" not in line and line.count("|") >= width - 1:
        table = line.strip().removeprefix("|").removesuffix("|")
        return [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", table)]
    cells = line.split("\t")
    return cells if len(cells) >= width else max(cells, line.split(None, width - 1), key=len)


def _five(cells: list[str], names: list[str]) -> list[str]:
    """The five columns, by the names of the header; what goes beyond these was a tab in the last one."""
    padded = [*cells, *[""] * (len(names) - len(cells))]
    *five, description = (padded[names.index(column)] for column in COLUMNS)
    return [*five, " ".join([description, *filter(None, padded[len(names) :])])]


def _mended(commit: str, val_bpb: str, memory_gb: str, status: str, description: str) -> Row:
    """The five columns, mended; a value that cannot be mended stays, for the schema to refuse."""
    value, said = _val_bpb(val_bpb), one_line.description(description) or "(no description)"
    word = re.search(r"[a-z]+", status.lower())
    verdict = WORDS.get(word[0], status) if word else status
    if verdict == "crash" or (verdict == "discard" and value is None):
        return Row(_hash(commit), NO_VALUE, NO_MEMORY, "crash", said)
    return Row(_hash(commit), value or val_bpb, _memory_gb(memory_gb), verdict, said)


def _hash(text: str) -> str:
    """The first seven characters of a hash; a shorter one is filled with x, which is no hex digit. Empty: no hash."""
    found = HASH.match(text.strip(DECORATION).lower())
    return found[0][:7].ljust(7, "x") if found else ""


def unused(commit: str, taken: Container[str], n: int) -> str:
    """The commit; if it is empty or taken by another row, a stand-in that is no hash: row0012."""
    if commit and commit not in taken:
        return commit
    return next(name for k in count(n) if (name := f"row{k:04d}"[-7:]) not in taken)


def _number(text: str, units: Mapping[str, int]) -> Decimal | None:
    """The number in a text of a number and a unit, times the factor of the unit."""
    found = NUMBER.fullmatch(text.strip(DECORATION).lower())
    return Decimal(found[1].replace(",", ".")) * units[found[2]] if found and found[2] in units else None


def _val_bpb(text: str) -> str | None:
    """With 6 decimals; None without a possible value. 0.9979% and 99.79% are both 0.9979."""
    number = _number(text, BITS)
    if number is not None and "%" in text and number >= UPPER_BOUND:
        number /= 100
    return str(number.quantize(Decimal(NO_VALUE), ROUND_HALF_UP)) if number and is_valid(number) else None


def _memory_gb(text: str) -> str:
    """With 1 decimal; 0.0, unknown, if it is not an amount of memory."""
    try:
        return ledger.to_gb(str(_number(text, MIB)))
    except ValueError:
        return NO_MEMORY
