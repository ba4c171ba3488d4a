"""Files of JSON lines: path -> all objects, the last ones, or those after an offset; an object -> one more line.

A torn last line, left by a crash, does not count, and neither do blank lines. `last` and `since` read only the bytes
that they need, so the size of the file does not matter. Numbers with a fraction are Decimal. Raises Fault if a line is
not an object, but `salvaged` skips such lines.
"""

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

from lab.errors import Fault
from lab.store import durable

decode = json.JSONDecoder(parse_float=Decimal).decode  # decodes a line; made once for thousands of lines
BLOCK = 1 << 16  # bytes


def append(path: Path, value: dict[str, Any]) -> None:
    """Add an object, durably or not at all."""
    durable.append_line(path, line_of(value), is_object)


def line_of(value: dict[str, Any]) -> str:
    """The object as a line, without the newline; a Decimal becomes a JSON number."""
    return json.dumps(value, default=float, ensure_ascii=False)


def read(path: Path) -> list[dict[str, Any]]:
    """All objects; none if there is no such file."""
    return [parsed(path, number, line) for number, (line, _) in enumerate(since(path, 0), 1) if line.strip()]


def salvaged(path: Path) -> list[dict[str, Any] | None]:
    """The object of each line, a torn last one included; None for a line that is not an object."""
    return [object_in(line) for line in path.read_bytes().splitlines()] if path.is_file() else []


def since(path: Path, place: int) -> Iterator[tuple[bytes, int]]:
    """Each line from the offset `place` on, without its newline, and the offset of the next line."""
    if not path.exists():
        return
    with path.open("rb") as file:
        file.seek(place)
        for line in file:
            if not line.endswith(b"\n"):
                return
            place += len(line)
            yield line[:-1], place


def last(path: Path, count: int) -> list[dict[str, Any]]:
    """The last objects, oldest first."""
    found = [line for line in _last_lines(path, count) if line.strip()]
    try:
        values = decode(f"[{b','.join(found).decode()}]")  # in one call, a third faster; a brief reads thousands
        if len(values) == len(found) and all(isinstance(one, dict) for one in values):
            return list(values)
    except (ValueError, RecursionError):
        pass
    return [parsed(path, None, line) for line in found]  # one of the lines is damaged


def _last_lines(path: Path, count: int) -> list[bytes]:
    if not path.exists():
        return []
    with path.open("rb") as file:
        begin = file.seek(0, 2)
        data, step = b"", BLOCK
        while begin and data.count(b"\n") <= count:
            step = min(step, begin)
            begin = file.seek(begin - step)
            data = file.read(step) + data
            step *= 2
    whole = data.split(b"\n")[:-1]
    return whole[-count:] if begin == 0 or len(whole) > count else whole[1:]


def parsed(path: Path, number: int | None, line: bytes) -> dict[str, Any]:
    """The object in a line. Raises Fault if it is not one; `number` is the line's number, None if it is not known."""
    value = object_in(line)
    if value is None:
        number = number or next(at for at, (one, _) in enumerate(since(path, 0), 1) if one == line)
        hint = f"make mend TAG={path.parent.name}" if path.name == "experiments.jsonl" else "fix or remove that line"
        raise Fault(f"'{path}' is damaged in line {number}", hint)
    return value


def object_in(line: bytes) -> dict[str, Any] | None:
    """The object in a line; None if it is not one."""
    try:
        value = decode(line.decode())
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def is_object(line: str) -> bool:
    """Whether a line is a whole JSON object. Half an object is not."""
    return object_in(line.encode(errors="surrogateescape")) is not None
