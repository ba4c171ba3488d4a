"""A ledger of another project, read leniently: columns by name -> rows that fit the schema, and a note on each change.

Valid rows are not changed. Numbers are Decimal. val_bpb (bits per byte) is rounded to 6 decimals and memory_gb (GiB)
to 1, both half up. Missing values get a stand-in: a commit like `row0012`, a memory of 0.0. Without a status, a row is
a keep if it is better than all rows before. val_bpb has no stand-in: a row without one is left out.
"""

import re
from collections.abc import Container, Mapping
from dataclasses import asdict, astuple, dataclass, field, replace
from decimal import ROUND_HALF_UP, Decimal
from itertools import count
from pathlib import Path

from lab import one_line
from lab.errors import Fault
from lab.store import durable, ledger, manifest, schemas
from lab.store.ledger import COLUMNS, HEADER, NO_MEMORY, NO_VALUE, Row
from lab.store.ledger_columns import USUAL, Layout, csv_cells, layout_of
from lab.store.metric import BPB, UPPER_BOUND, VAL_BPB

WORDS = {  # the first word of a status -> the status
    word: verdict
    for verdict, words in {
        "keep": "keep kept accept accepted baseline best win won improved improvement better merged promoted adopted",
        # Without a number, a discard counts as a crash.
        "discard": "discard discarded revert reverted reject rejected dropped fail failed worse loss lost regressed "
        "regression neutral tie noise flat diverged nan unchanged",
        "crash": "crash crashed error oom timeout exception killed aborted",
    }.items()
    for word in words.split()
}
YES, NO = ("yes", "true", "y", "1", "✓", "✔", "✅"), ("no", "false", "n", "0", "✗", "✘", "❌")
BITS = {"": 1, "bpb": 1, "%": 1}
MIB = {"": 1024, "g": 1024, "gb": 1024, "gib": 1024, "m": 1, "mb": 1, "mib": 1}
DECORATION = " *_`~≈()[]"  # characters around a value, from Markdown or a person
VALUE, STATUS = COLUMNS.index("val_bpb"), COLUMNS.index("status")
HASH = re.compile(r"([0-9a-z]{7}|[0-9a-f]{4,})(?![0-9a-z])")
NUMBER = re.compile(r"([-+]?(?:\d+[.,]?\d*|[.,]\d+)(?:e[-+]?\d{1,3})?)\s*([a-z]*|%)", re.ASCII)


@dataclass
class Found:
    """The rows by commit, a note `FILE:LINE: column: ...` on each change, and the number of rows left out."""

    by_commit: dict[str, Row] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)
    left_out: int = 0
    metric: str = BPB  # differs only for a run of this toolkit

    @property
    def rows(self) -> list[Row]:
        """The rows in file order."""
        return list(self.by_commit.values())

    def text(self) -> str:
        """The repaired ledger, which `lab validate` accepts."""
        return "".join(f"{line}\n" for line in (ledger.header(self.metric), *(row.line() for row in self.rows)))


def convert(path: Path, out: Path | None) -> Found:
    """Read a ledger, and write the repaired one to the new file `out`. Raises Fault if `out` exists."""
    found = read(path)
    if out is not None:
        if out.exists():
            raise Fault(f"'{out}' exists", "name a new file, because no ledger is overwritten")
        durable.write_atomically(out, found.text())
    return found


def read(path: Path) -> Found:
    """All readable rows of a ledger. Raises Fault if the file cannot be read."""
    try:
        data = path.read_bytes()
    except OSError as error:
        problem = (error.strerror or "cannot be read").lower()
        raise Fault(f"{problem}: '{path}'", "name a ledger, such as runs/mar14/results.tsv") from None
    own = manifest.metric_of(path.absolute().parent).name
    if own != BPB and ledger.metric_of(path) == own:
        return _of_our_run(data, path, own)
    found, layout = Found(), None
    for number, line in enumerate(_lines(data, found.said), start=1):
        layout = _take(line, layout, found, number)
    missing = ["1: header: added, because it was missing"] if layout is None else []
    return replace(found, said=[f"{path}:{note}" for note in missing + found.said])


def _of_our_run(data: bytes, path: Path, metric: str) -> Found:
    """A ledger of another metric, beside the manifest that names it. Its rows are not repaired."""
    found = Found(metric=metric)
    for number, line in enumerate(data.decode("utf-8", errors="replace").split("\n")[1:], start=2):
        if ledger.fits(line, metric):
            row = ledger.row(line)
            found.by_commit.setdefault(row.commit, row)
        elif line:
            found.said.append(f"{path}:{number}: row: not a row of a ledger of {metric}: the row is left out")
            found.left_out += 1
    return found


def _lines(data: bytes, said: list[str]) -> list[str]:
    """The lines, without a byte order mark, and with LF as line ending."""
    text = data.decode("utf-8-sig", errors="replace")
    text = text.replace("\r\n" if "\n" in text else "\r", "\n").removesuffix("\n")
    if data and f"{text}\n".encode() != data:
        said.append("1: row: the text is now UTF-8 without a byte order mark, and each line ends in LF")
    return text.split("\n") if data else []


def _take(line: str, layout: Layout | None, found: Found, number: int) -> Layout | None:
    """Add a line to `found`. Returns the layout of the next line; None until there is a header."""
    if not re.search(r"\w", line):
        found.said.append(f"{number}: row: blank line or table rule: dropped")
        return layout
    header = layout_of(line.rstrip(), lambda text: _cells(text, len(COLUMNS)))
    if header is None:
        _row(line, layout or USUAL, found, number)
        return layout
    if header == layout:
        found.said.append(f"{number}: header: repeated: dropped")
    elif line != HEADER:
        found.said.append(f"{number}: header: {line!r} is now {HEADER!r}")
        found.said += [f"{number}: header: no column for {name}{STAND_INS[name]}" for name in header.missing()]
    return header


STAND_INS = {
    "commit": ": the rows are numbered",
    "val_bpb": ", and another metric is not read as val_bpb: all rows are left out",
    "memory_gb": ": unknown",
    "status": ": a row is a keep if its val_bpb is better than before, else a discard",
    "description": "",
}


def _row(line: str, layout: Layout, found: Found, number: int) -> None:
    """Take a row unchanged, repair it, or leave it out."""
    cells = _cells_of(line, layout)
    was = _five(cells, layout)
    if layout.places[STATUS] is None:
        was[STATUS] = _status_by_value(was[VALUE], found.rows)
    row = Row(*was) if schemas.fits("row", asdict(Row(*was))) else _mended(*was)
    row = replace(row, commit=unused(row.commit, found.by_commit, len(found.by_commit) + 1))
    no_value = [("val_bpb", "the header has no such column")] if layout.places[VALUE] is None else []
    if problems := no_value or schemas.problems("row", asdict(row)):
        found.said += [f"{number}: {column}: {problem}: the row is left out" for column, problem in problems]
        found.left_out += 1
        return
    if not layout.is_csv and (tabs := line.count("\t")) != layout.width - 1:
        joined = "missing columns are empty, extra ones are joined to the description"
        found.said.append(f"{number}: row: {tabs} tabs, not {layout.width - 1}: {joined}")
    mends = zip(COLUMNS, was, astuple(row), strict=True)
    found.said += [f"{number}: {column}: {old!r} is now {new!r}" for column, old, new in mends if old != new]
    found.by_commit[row.commit] = row


def _status_by_value(text: str, before: list[Row]) -> str:
    """The verdict on a row of a ledger without verdicts."""
    value = _val_bpb(text)
    if value is None:
        return "crash"
    kept = [Decimal(row.val_bpb) for row in before if row.status == "keep"]
    return "keep" if all(Decimal(value) < one for one in kept) else "discard"


def _cells(line: str, width: int) -> list[str]:
    """The columns of a line, split at tabs, at the pipes of a Markdown table, or, if these are too few, at blanks."""
    if "\t" not in line and line.count("|") >= width - 1:
        table = line.strip().removeprefix("|").removesuffix("|")
        return [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", table)]
    cells = line.split("\t")
    return cells if len(cells) >= width else max(cells, line.split(None, width - 1), key=len)


def _cells_of(line: str, layout: Layout) -> list[str]:
    """The columns of a row. With a foreign header and tabs, blanks do not separate columns."""
    if layout.is_csv:
        return csv_cells(line)
    return _cells(line, layout.width) if layout.is_usual or "\t" not in line else line.split("\t")


def _five(cells: list[str], layout: Layout) -> list[str]:
    """The five columns, by the names in the header. Extra columns come from tabs in the last one."""
    padded = [*cells, *[""] * (layout.width - len(cells))]
    commit, value, memory, status, description = ("" if at is None else padded[at] for at in layout.places)
    if layout.unit == "mb" and re.fullmatch(r"[\d.,\s]*\d[\d.,\s]*", memory):
        memory = f"{memory.strip()} MB"
    if layout.is_flag and (flag := status.strip(DECORATION).lower()) in (*YES, *NO):
        status = "keep" if flag in YES else "discard"
    return [commit, value, memory, status, " ".join([description, *filter(None, padded[layout.width :])])]


def _mended(commit: str, val_bpb: str, memory_gb: str, status: str, description: str) -> Row:
    """The five columns, repaired. A value that cannot be repaired stays, and the schema refuses it."""
    value, said = _val_bpb(val_bpb), one_line.description(description) or "(no description)"
    word = re.search(r"[a-z]+", status.lower())
    verdict = WORDS.get(word[0], status) if word else status
    if verdict == "crash" or (verdict == "discard" and value is None and not _is_measured(val_bpb)):
        return Row(_hash(commit), NO_VALUE, NO_MEMORY, "crash", said)
    return Row(_hash(commit), value or val_bpb, _memory_gb(memory_gb), verdict, said)


def _hash(text: str) -> str:
    """The first seven characters of a hash, padded with x (not a hex digit) if it is shorter. Empty: no hash."""
    found = HASH.match(text.strip(DECORATION).lower())
    return found[0][:7].ljust(7, "x") if found else ""


def unused(commit: str, taken: Container[str], n: int) -> str:
    """The commit, or, if it is empty or taken by another row, a stand-in that is not a hash: row0012."""
    if commit and commit not in taken:
        return commit
    return next(name for k in count(n) if (name := f"row{k:04d}"[-7:]) not in taken)


def _number(text: str, units: Mapping[str, int]) -> Decimal | None:
    """The number in a text of a number and a unit, multiplied by the unit's factor."""
    found = NUMBER.fullmatch(text.strip(DECORATION).lower())
    return Decimal(found[1].replace(",", ".")) * units[found[2]] if found and found[2] in units else None


def _val_bpb(text: str) -> str | None:
    """The value with 6 decimals; None if it is impossible. 0.9979% and 99.79% are both read as 0.9979."""
    number = _number(text, BITS)
    if number is not None and "%" in text and number >= UPPER_BOUND:
        number /= 100
    return str(number.quantize(Decimal(NO_VALUE), ROUND_HALF_UP)) if number and VAL_BPB.is_valid(number) else None


def _is_measured(text: str) -> bool:
    """Whether the text is a number but not a val_bpb. A measured row is not a crash."""
    number = _number(text, BITS)
    return number is not None and (number >= UPPER_BOUND or number < 0)


def _memory_gb(text: str) -> str:
    """The memory with 1 decimal; 0.0 (unknown) if the text is not an amount of memory."""
    try:
        return ledger.to_gb(str(_number(text, MIB)))
    except ValueError:
        return NO_MEMORY
