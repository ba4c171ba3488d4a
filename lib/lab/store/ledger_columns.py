"""The header of a foreign ledger -> which of its columns are which of ours, by name.

A name is split into words. Only a name with `bpb` or "bits per byte" is read as val_bpb; no other metric is. If several
columns match, the one with the best matching name is taken.
"""

import csv
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lab.store.ledger import COLUMNS

NAMES = {  # column -> names that it may have, the best first
    "commit": "commit commit_hash commit_sha commit_id git_commit git_hash git_sha hash sha short_hash short_sha "
    "revision rev exp_id experiment_id run_id exp run trial id experiment n no num number idx index iteration iter "
    "step #",
    "status": "status verdict decision outcome kept keep accepted accept keep_discard result judgement judgment state "
    "action",
    "description": "description desc idea hypothesis change changes what summary title message modification mutation "
    "tweak experiment_description experiment_name name notes note comment comments details experiment",
}
FLAGS = ("kept", "keep", "accepted", "accept")  # status columns whose values may be yes and no
NO_LEVEL = {  # words of a bpb column that is not the row's own validation value
    *("train", "training", "test", "delta", "gain", "diff", "difference", "change", "improvement", "d", "rel", "vs"),
    *("incumbent", "baseline", "base", "best", "parent", "prev", "previous", "before", "old", "target", "threshold"),
    *("std", "sd", "se", "sem", "stderr", "sigma", "err", "error", "ci", "low", "high", "min", "max"),
}
MEMORY = {"mem", "memory", "vram", "rss"}
UNITS = {"mb": "mb", "mib": "mb", "gb": "gb", "gib": "gb"}


@dataclass(frozen=True)
class Layout:
    """Where our columns are in a line of `width` columns (None: missing). `unit` is the memory's, from its name."""

    width: int
    places: tuple[int | None, ...]  # in the order of COLUMNS
    unit: str = ""
    is_flag: bool = False  # the status is yes or no
    is_csv: bool = False

    @property
    def is_usual(self) -> bool:
        """Whether these are our five columns in their order."""
        return self.places == tuple(range(len(COLUMNS))) and not self.is_csv

    def missing(self) -> list[str]:
        """Our columns that the header lacks."""
        return [name for name, place in zip(COLUMNS, self.places, strict=True) if place is None]


USUAL = Layout(len(COLUMNS), tuple(range(len(COLUMNS))))


def layout_of(line: str, lenient: Callable[[str], list[str]]) -> Layout | None:
    """The layout of a header, split in the way that finds most columns; None if the line is not a header.

    `lenient` splits a line without tabs.
    """
    parted = ((line.split("\t"), False), (lenient(line), False), (csv_cells(line), True))
    found = [layout for cells, is_csv in parted if (layout := _layout(cells, is_csv=is_csv))]
    return max(found, key=lambda layout: -len(layout.missing()), default=None)


def _layout(cells: Sequence[str], *, is_csv: bool) -> Layout | None:
    words = [_words(cell) for cell in cells]
    value, memory = (_best(words, rank) for rank in (_bpb_rank, _memory_rank))
    taken = {value, memory}
    by_name: dict[str, int | None] = {}
    for column in ("description", "status", "commit"):
        by_name[column] = _named(words, NAMES[column].split(), taken)
        taken |= {by_name[column]}
    places = (by_name["commit"], value, memory, by_name["status"], by_name["description"])
    if not _is_header(cells, words, places):
        return None
    status = by_name["status"]
    return Layout(
        len(cells),
        places,
        unit="" if memory is None else next((UNITS[word] for word in words[memory] if word in UNITS), ""),
        is_flag=status is not None and "_".join(words[status]) in FLAGS,
        is_csv=is_csv,
    )


def csv_cells(line: str) -> list[str]:
    """The columns of a CSV line with quotes; separated by semicolons if it has more of these than commas."""
    delimiter = ";" if line.count(";") > line.count(",") else ","
    try:
        return next(csv.reader([line], delimiter=delimiter), [])
    except csv.Error:
        return line.split(delimiter)


def _words(cell: str) -> list[str]:
    found = re.findall(r"[a-z]+|#", cell.lower())
    return ["val", "bpb"] if found == ["valbpb"] else found


def _is_header(cells: Sequence[str], words: Sequence[list[str]], places: Sequence[int | None]) -> bool:
    """Whether the cells are a header: two columns found, or one with our own name, and no number."""
    own = {"_".join(one) for one in words[:4]} & set(COLUMNS)
    known = sum(place is not None for place in places)
    is_number = any(re.fullmatch(r"[-+]?[\d.,]*\d[\d.,]*", cell.strip()) for cell in cells)
    return len(cells) > 1 and bool(own or known > 1) and not is_number


def _best(words: Sequence[list[str]], rank: Callable[[list[str]], int | None]) -> int | None:
    """The index of the name with the best rank."""
    ranks = [(one, place) for place, name in enumerate(words) if (one := rank(name)) is not None]
    return min(ranks)[1] if ranks else None


def _bpb_rank(words: list[str]) -> int | None:
    says = "bpb" in words or "valbpb" in words or {"bits", "per", "byte"} <= {*words}
    if not says or NO_LEVEL & {*words}:
        return None
    if words in (["val", "bpb"], ["bpb"]):
        return len(words) % 2
    return 2 if {"val", "validation", "valid"} & {*words} else 3


def _memory_rank(words: list[str]) -> int | None:
    if not MEMORY & {*words} or {"delta", "limit", "diff", "free"} & {*words}:
        return None
    return 0 if words == ["memory", "gb"] else 1 if {*UNITS} & {*words} else 2


def _named(words: Sequence[list[str]], names: Sequence[str], taken: set[int | None]) -> int | None:
    here = {"_".join(name): place for place, name in reversed(list(enumerate(words))) if place not in taken}
    return next((here[name] for name in names if name in here), None)
