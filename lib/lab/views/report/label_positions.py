"""Rows -> the positions of the labels of keeps in the progress picture, so that nothing overlaps. In pixels.

A row's place on the axis is its `x` of lab.views.report.axes: a share of the axis, from 0 to 1.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lab.one_line import clean

Box = tuple[float, float, float, float]  # left, top, right, bottom
LETTER, TALL, GAP, STEP = 6.1, 13, 4, 7  # of a letter, of a line, beside a leader, between two tries
DOT, TOP = 4, 14  # half of a dot, the room for what is off the picture
ABOVE, HIGHEST = -9, -60  # where a label above a dot may be


@dataclass(frozen=True)
class Size:
    """The area inside the axes; the largest number of labels, and of letters in a label."""

    width: int
    height: int
    most: int
    longest: int


def is_keep(row: dict[str, Any]) -> bool:
    """Whether it is a keep that was measured."""
    return row["status"] == "keep" and row["bpb"] is not None and not row.get("by_hand")


def placed(
    rows: Sequence[dict[str, Any]], ends: Sequence[float] | None, size: Size, axis: str = "n"
) -> list[dict[str, Any]]:
    """The labels of the keeps, the largest gains first, placed where the picture is empty.

    Each has the offset of its text from its dot in pixels, and overlaps no other label in a wider picture either.
    """
    rows = [row for row in rows if axis in row["x"]]
    wins = [row for row in rows if is_keep(row)] if ends else []
    wins.sort(key=lambda row: -float("inf" if row["gain"] is None else row["gain"]))
    place = Place(size, axis, ends or (0, 1))
    taken = [place.dot(row) for row in rows if row["bpb"] is not None] + place.line(rows)
    found = []
    for row in wins[: size.most]:
        text = clean(row["description"], size.longest)
        spot = place.spot(row, LETTER * len(text), taken)
        if spot:
            taken += [spot.text, spot.leader]
            side = {"align": spot.align, "dx": GAP if spot.align == "left" else -GAP, "dy": spot.dy}
            found.append({"run": row["run"], "x": row["x"][axis], "bpb": float(row["bpb"]), "text": text, **side})
    return found


@dataclass(frozen=True)
class Spot:
    """A place for a label: `align` is the end at its leader line, `dy` the distance below its dot."""

    align: str
    dy: float
    text: Box
    leader: Box


@dataclass(frozen=True)
class Place:
    """The geometry of the picture, as in progress.vg.json."""

    size: Size
    axis: str
    ends: Sequence[float]

    def x(self, row: dict[str, Any]) -> float:
        """The horizontal position."""
        return float(row["x"][self.axis] * (self.size.width - 10))

    def y(self, row: dict[str, Any]) -> float:
        """The vertical position, by val_bpb; a smaller value is lower."""
        low, high = self.ends
        return TOP + (high - float(row["bpb"])) / (high - low) * (self.size.height - TOP)

    def dot(self, row: dict[str, Any]) -> Box:
        """The box of a dot."""
        x, y = self.x(row), self.y(row)
        return x - DOT, y - DOT, x + DOT, y + DOT

    def line(self, rows: Sequence[dict[str, Any]]) -> list[Box]:
        """The steps of the best of each run, as thin boxes."""
        boxes: list[Box] = []
        best: dict[int, tuple[float, float]] = {}  # by run: the end of its line so far
        for row in rows:
            is_win = is_keep(row)
            if row["run"] in best:
                x, (x1, y1) = self.x(row), best[row["run"]]
                y = max(self.y(row), y1) if is_win else y1
                boxes += [(x1, y1 - 1, x, y1 + 1), (x - 1, y1, x + 1, y)]
                best[row["run"]] = x, y
            elif is_win:
                best[row["run"]] = self.x(row), self.y(row)
        return boxes

    def spot(self, row: dict[str, Any], wide: float, taken: Sequence[Box]) -> Spot | None:
        """The first free place: below the dot on its left or right, above it on its right, further below."""
        x, y = self.x(row), self.y(row)
        near = [
            box
            for box in taken
            if box[3] >= y + HIGHEST - TALL
            and x - wide - GAP < box[2]
            and box[0] < x + wide + GAP
            and not is_own(box, x, y)
        ]
        lower = range(TALL + STEP, int(self.size.height - y - TALL / 2), STEP)
        tries = [(TALL, "right"), (TALL, "left"), *((dy, "left") for dy in range(ABOVE, HIGHEST, -TALL))]
        for dy, align in [*tries, *((dy, side) for dy in lower for side in ("right", "left"))]:
            left = x + GAP if align == "left" else x - GAP - wide
            text = (left, y + dy - TALL / 2, left + wide, y + dy + TALL / 2)
            leader = (x - 1, min(y + dy, y + DOT), x + 1, max(y + dy + TALL / 2, y - DOT))
            fits = left >= 2 and left + wide <= self.size.width and text[1] >= 0 and text[3] <= self.size.height
            if fits and not any(overlap(text, box) or overlap(leader, box) for box in near):
                return Spot(align, dy, text, leader)
        return None


def is_own(box: Box, x: float, y: float) -> bool:
    """Whether the box is the dot at x, y, or a line that touches it."""
    return box[0] <= x <= box[2] and box[1] <= y <= box[3]


def overlap(one: Box, other: Box) -> bool:
    """Whether two boxes overlap."""
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
