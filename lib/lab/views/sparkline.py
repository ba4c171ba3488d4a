"""Values -> a line of blocks, as high as they are."""

from collections.abc import Sequence

BLOCKS = "▁▂▃▄▅▆▇█"
ASCII_BLOCKS = "_.-=+*%#"


def sparkline(values: Sequence[float | None], scale: tuple[float, float], blocks: str = BLOCKS) -> str:
    """A character for each value; a blank where there is none."""
    low, high = scale
    span = (high - low) or 1.0
    places = [None if value is None else min(max((value - low) / span, 0.0), 1.0) for value in values]
    return "".join(" " if place is None else blocks[round(place * (len(blocks) - 1))] for place in places)


def best_so_far(keeps: Sequence[tuple[int, float]], rows: int, width: int) -> list[float | None]:
    """The lowest value after each of `width` equal parts of the rows, one a row at least; `keeps`: number and value."""
    parts = min(width, rows)
    ends = [rows * (part + 1) / parts for part in range(parts)]
    return [min((value for n, value in keeps if n <= end), default=None) for end in ends]
