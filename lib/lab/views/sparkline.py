"""Values -> a line of blocks of matching height."""

from collections.abc import Sequence

BLOCKS = "▁▂▃▄▅▆▇█"
ASCII_BLOCKS = "_.-=+*%#"


def sparkline(values: Sequence[float | None], scale: tuple[float, float], blocks: str = BLOCKS) -> str:
    """A character for each value; a space for None."""
    low, high = scale
    span = (high - low) or 1.0
    places = [None if value is None else min(max((value - low) / span, 0.0), 1.0) for value in values]
    return "".join(" " if place is None else blocks[round(place * (len(blocks) - 1))] for place in places)


def best_so_far(
    keeps: Sequence[tuple[int, float]], rows: int, width: int, *, is_max: bool = False
) -> list[float | None]:
    """The best value (lowest, or highest if `is_max`) after each of at most `width` equal parts of the rows.

    `keeps`: number and value. A part has at least one row.
    """
    parts = min(width, rows)
    ends = [rows * (part + 1) / parts for part in range(parts)]
    best = max if is_max else min
    return [best((value for n, value in keeps if n <= end), default=None) for end in ends]
