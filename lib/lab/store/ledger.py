"""The ledger, `results.tsv`: text <-> rows. The format is in schemas/row.schema.json.

The second column has the name of the metric: val_bpb, in bits per byte with 6 decimals, or another metric with at least
6 significant digits (schemas/other-row.schema.json). memory_gb is in GiB with 1 decimal. Both are kept as text. In a
Row, the value is called `val_bpb` for every metric. The header of a ledger names its metric.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import astuple, dataclass
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from functools import partial
from pathlib import Path

from lab.errors import Fault
from lab.store import durable, schemas
from lab.store.guards import NAME
from lab.store.metric import BPB

COLUMNS: tuple[str, ...] = tuple(schemas.load("row")["properties"])
HEADER = "\t".join(COLUMNS)
OF_METRIC = re.compile(HEADER.replace(BPB, f"({NAME})"))
STATUS = COLUMNS.index("status")
NO_VALUE, NO_MEMORY = "0.000000", "0.0"  # the values of a crash


@dataclass(frozen=True)
class Row:
    """One experiment, in the order of the columns."""

    commit: str
    val_bpb: str
    memory_gb: str
    status: str
    description: str

    def line(self) -> str:
        """The row as a line of the file, without its newline."""
        return "\t".join(astuple(self))


def header(metric: str) -> str:
    """The first line of a ledger of that metric."""
    return HEADER.replace(BPB, metric)


def metric_in(text: str) -> str:
    """The name of the metric in a header; val_bpb if the line is not a header."""
    found = OF_METRIC.fullmatch(text)
    return found[1] if found and found[1] not in COLUMNS else BPB


def metric_of(path: Path) -> str:
    """The name of the metric of a ledger, from its header."""
    try:
        with path.open("rb") as file:
            return metric_in(file.readline(200).decode(errors="replace").rstrip("\n"))
    except FileNotFoundError:
        return BPB


def read(path: Path) -> list[Row]:
    """The rows, without a torn last line. Raises Fault if a line is not a row."""
    return [row(line) for line in lines(path)]


def lines(path: Path) -> list[str]:
    """The rows as text. There may be 100,000, and most callers need only the status."""
    try:
        first, *found = path.read_text(encoding="utf-8").split("\n")
    except FileNotFoundError:
        raise _missing(path) from None
    if found and not fits(found[-1], metric_in(first)):
        found.pop()  # empty or torn; a whole row may lack its newline because of an editor
    tabs = len(COLUMNS) - 1
    if any(line.count("\t") != tabs for line in found):
        raise Fault(f"the ledger is damaged: '{path}'", "to list the damaged lines: make validate")
    return found


def _missing(path: Path) -> Fault:
    """The Fault for a run's ledger; `path` may be the link to it in the tree."""
    return Fault(f"the ledger is missing: '{path}'", f"make mend TAG={path.resolve().parent.name}")


def schema_of(metric: str) -> str:
    """The schema of a row."""
    return "row" if metric == BPB else "other-row"


def fits(line: str, metric: str = BPB) -> bool:
    """Whether a line is a valid row."""
    return line.count("\t") == len(COLUMNS) - 1 and schemas.fits(
        schema_of(metric), dict(zip(COLUMNS, line.split("\t"), strict=True))
    )


def row(line: str) -> Row:
    """The row in a line."""
    return Row(*line.split("\t"))


def status(line: str) -> str:
    """The status in a line, without parsing the rest."""
    return line.split("\t", STATUS + 1)[STATUS]


def in_words(statuses: Iterable[str]) -> str:
    """`126: 23 keep, 102 discard, 1 crash`"""
    counts = Counter(statuses)
    return f"{counts.total()}: {counts['keep']} keep, {counts['discard']} discard, {counts['crash']} crash"


def place(path: Path, commit: str) -> tuple[int, bool]:
    """The row number of a commit (7 digits) and True; without such a row, the next row's number and False."""
    data = path.read_bytes() if path.exists() else b"\n"  # bytes, because parsing 100,000 rows takes a second
    metric = metric_in(data.partition(b"\n")[0].decode(errors="replace"))
    if not data.endswith(b"\n") and fits(data[data.rfind(b"\n") + 1 :].decode(errors="replace"), metric):
        data += b"\n"  # an editor left it out
    end = data.rfind(b"\n") + 1
    at = data.find(f"\n{commit}\t".encode(), 0, end)
    return data.count(b"\n", 0, end if at < 0 else at + 1), at >= 0


def append(path: Path, row: Row) -> None:
    """Add the row, whole and durable or not at all, unless there is a row of its commit."""
    if not place(path, row.commit)[1]:
        durable.append_line(path, row.line(), partial(fits, metric=metric_of(path)))


def append_missing(path: Path, rows: Iterable[Row]) -> None:
    """Add the rows whose commits are not in the ledger."""
    known = {line.split(b"\t")[0].decode(errors="replace") for line in path.read_bytes().split(b"\n")}
    is_whole = partial(fits, metric=metric_of(path))
    for row in rows:
        if row.commit not in known:
            durable.append_line(path, row.line(), is_whole)


def problems(path: Path) -> list[str]:
    """The problems of a ledger, each as `FILE:LINE: column: problem`, in line order. Raises Fault if it is missing."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise _missing(path) from None
    if not data:
        return [f"{path}:1: header: the file is empty"]
    lines = data.split(b"\n")
    torn = lines.pop()
    found = [f"{path}:{number}: {problem}" for number, problem in _line_problems(lines)]
    if torn:
        found.append(f"{path}:{len(lines) + 1}: row: the last line is incomplete: it does not end in a newline")
    return found


def _line_problems(lines: list[bytes]) -> Iterator[tuple[int, str]]:
    first_seen: dict[str, int] = {}
    metric = metric_in(lines[0].decode(errors="replace")) if lines else BPB
    for number, raw in enumerate(lines, start=1):
        try:
            line = raw.decode()
        except UnicodeDecodeError:
            yield number, "row: not UTF-8"
            continue
        if line.endswith("\r"):
            yield number, "row: ends in CR LF instead of LF"
        elif number == 1:
            if line != header(metric):
                yield number, f"header: {line!r} is not {HEADER!r}"
        else:
            for problem in _row_problems(line, metric):
                yield number, problem
            commit = line.split("\t")[0]
            if commit in first_seen:
                yield number, f"commit: {commit!r} is already in line {first_seen[commit]}"
            first_seen.setdefault(commit, number)


def _row_problems(line: str, metric: str) -> Iterator[str]:
    values = line.split("\t")
    if len(values) != len(COLUMNS):
        yield f"row: {len(values)} columns, not {len(COLUMNS)}"
        return
    row = dict(zip(COLUMNS, values, strict=True))
    for column, problem in schemas.problems(schema_of(metric), row):
        yield f"{metric if column == BPB else column}: {problem}"


def to_gb(peak_vram_mb: str) -> str:
    """Convert MiB, as training prints them, to the ledger's GiB: one decimal, half up (45107.2 is 44.05, so 44.1).

    Raises ValueError unless the text is a finite number of at least 0.
    """
    try:
        value = Decimal(peak_vram_mb)
    except InvalidOperation:
        raise ValueError(f"'{peak_vram_mb}' is not a number") from None
    if not value.is_finite() or not 0 <= value < Decimal(2) ** 60:
        raise ValueError(f"'{peak_vram_mb}' is not an amount of memory")
    return str((abs(value) / 1024).quantize(Decimal("0.1"), ROUND_HALF_UP))  # abs: -0 is 0
