"""Files that are whole at every moment: atomic replacement and durable appending.

Errors: `OSError` from the file system passes through, with the file as it was before.
"""

import fcntl
import os
from collections.abc import Callable
from pathlib import Path

IsWhole = Callable[[str], bool]  # of a last line that ends in no newline


def write_atomically(path: Path, content: str | bytes, *, durable: bool = True) -> None:
    """Replace `path` by `content`: it is the old file or the new one after a crash, and if durable, after a power cut.

    Text is written as UTF-8; bytes that were read as surrogates, since they are none, as they were.
    """
    new = path.with_name(path.name + ".new")
    with new.open("wb") as file:
        file.write(content if isinstance(content, bytes) else content.encode(errors="surrogateescape"))
        file.flush()
        if durable:
            os.fsync(file.fileno())
    new.replace(path)
    if durable:
        sync(path.parent)


def sync(path: Path) -> None:
    """Make a file durable, or the names in a folder: a rename is in the folder, not in the file."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def append_line(path: Path, line: str, is_whole: IsWhole | None = None) -> None:
    """Append `line` (without its newline) to `path`, whole and durable or not at all.

    A torn last line, left by a crash, is set aside first: a row glued to it would be lost with it.
    """
    with path.open("ab", buffering=0) as file:  # a buffer would be written again when the file is closed
        fcntl.flock(file, fcntl.LOCK_EX)
        set_torn_line_aside(path, is_whole)
        size = file.seek(0, os.SEEK_END)
        rest = line.encode() + b"\n"
        try:
            while rest:
                rest = rest[file.write(rest) :]
            os.fsync(file.fileno())
        except OSError:  # the disk is full, most likely: half a row is worse than none
            os.ftruncate(file.fileno(), size)
            raise
    sync(path.parent)


def set_torn_line_aside(path: Path, is_whole: IsWhole | None = None) -> str | None:
    """Move what follows the last newline of `path`, if anything, to `<path>.torn`; return it.

    It is written there first and cut off here second, so that nothing is lost in between. But what `is_whole` says to
    be a whole line, which an editor has left without a newline, gets one.
    """
    if not path.exists() or _ends_in_newline(path):
        return None
    data = path.read_bytes()
    whole = data.rfind(b"\n") + 1
    torn = data[whole:]
    if is_whole and is_whole(torn.decode(errors="surrogateescape")):
        with path.open("ab") as file:
            file.write(b"\n")
            file.flush()
            os.fsync(file.fileno())
        return None
    with path.with_name(path.name + ".torn").open("ab") as aside:
        aside.write(torn + b"\n")
        aside.flush()
        os.fsync(aside.fileno())
    with path.open("r+b") as file:
        file.truncate(whole)
        os.fsync(file.fileno())
    return torn.decode(errors="replace")


def _ends_in_newline(path: Path) -> bool:
    """Whether nothing follows the last newline, which almost always is so: then the rest need not be read."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - 1))
        return size == 0 or file.read(1) == b"\n"
