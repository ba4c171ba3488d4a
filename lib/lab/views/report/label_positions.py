"""Rows -> label positions for keeps in the progress picture, without overlaps. Pixels.

A row's position on the axis is its `x` from lab.views.report.axes, from 0 to 1.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lab.one_line import clean

Box = tuple[float, float, float, float]  # left, top, right, bottom
LETTER, TALL, GAP, STEP = 6.1, 13, 4, 7  # letter width, line height, space beside a leader, step between tries
DOT, TOP = 4, 14  # radius of a dot, room at the top for values beyond the picture
ABOVE, HIGHEST = -9, -60  # vertical range of a label above its dot


@dataclass(frozen=True)
class Size:
    """The area inside the axes, the most labels, and the most letters in a label."""

    width: int
    height: int
    most: int
    longest: int


def is_keep(row: dict[str, Any]) -> bool:
    """Whether the row is a measured keep."""
    return row["status"] == "keep" and row["bpb"] is not None and not row.get("by_hand")


def placed(
    rows: Sequence[dict[str, Any]], ends: Sequence[float] | None, size: Size, axis: str = "n"
) -> list[dict[str, Any]]:
    """The labels of the keeps, largest gains first, placed where the picture is empty.

    A label has the offset of its text from its dot in pixels. The labels do not overlap in a wider picture either.
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
    """A place for a label. `align` is the end of the text at its leader line; `dy` is the distance below its dot."""

    align: str
    dy: float
    text: Box
    leader: Box


@dataclass(frozen=True)
class Place:
    """The geometry of progress.vg.json."""

    size: Size
    axis: str
    ends: Sequence[float]

    def x(self, row: dict[str, Any]) -> float:
        """The horizontal position."""
        return float(row["x"][self.axis] * (self.size.width - 10))

    def y(self, row: dict[str, Any]) -> float:
        """The vertical position of the cost; a smaller cost is lower."""
        low, high = self.ends
        return TOP + (high - float(row["bpb"])) / (high - low) * (self.size.height - TOP)

    def dot(self, row: dict[str, Any]) -> Box:
        """The box of a dot."""
        x, y = self.x(row), self.y(row)
        return x - DOT, y - DOT, x + DOT, y + DOT

    def line(self, rows: Sequence[dict[str, Any]]) -> list[Box]:
        """The steps of each run's best so far, as thin boxes."""
        boxes: list[Box] = []
        best: dict[int, tuple[float, float]] = {}  # run -> the end of its line so far
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
        """The first free place: just below the dot, then above it, then further below."""
        x, y = self.x(row), self.y(row)
        near = [
            box
            for box in taken
            if box[3] >= y + HIGHEST - TALL
            and x - wide - GAP < box[2]
            and box[0] < x + wide + GAP
            and not (box[0] <= x <= box[2] and box[1] <= y <= box[3])  # its own dot, or a line that touches it
        ]
        lower = range(TALL + STEP, int(self.size.height - y - TALL / 2), STEP)
        tries = [(TALL, "right"), (TALL, "left"), *((dy, "left") for dy in range(ABOVE, HIGHEST, -TALL))]
        for dy, align in [*tries, *((dy, side) for dy in lower for side in ("right", "left"))]:
            left = x + GAP if align == "left" else x - GAP - wide
            text = (left, y + dy - TALL / 2, left + wide, y + dy + TALL / 2)
            leader = (x - 1, min(y + dy, y + DOT), x + 1, max(y + dy + TALL / 2, y - DOT))
            fits = left >= 2 and left + wide <= self.size.width and text[1] >= 0 and text[3] <= self.size.height
            if fits and is_free(text, near) and is_free(leader, near):
                return Spot(align, dy, text, leader)
        return None


def is_free(box: Box, taken: Sequence[Box]) -> bool:
    """Whether the box overlaps none of these. One plain loop, because it is called thousands of times."""
    left, top, right, bottom = box
    for x, y, x2, y2 in taken:  # noqa: SIM110, three times as fast as any()
        if x < right and left < x2 and y < bottom and top < y2:
            return False
    return True
