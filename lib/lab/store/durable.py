"""Files that are never half-written: atomic replacement and durable appending.

Errors: an `OSError` of the file system passes through, and the file is unchanged.
"""

import fcntl
import os
from collections.abc import Callable
from pathlib import Path

IsWhole = Callable[[str], bool]  # whether a last line without a newline is complete


def write_atomically(path: Path, content: str | bytes, *, durable: bool = True) -> None:
    """Replace `path` by `content`. After a crash it is the old or the new file; if `durable`, also after a power cut.

    Text is written as UTF-8. Surrogates stand for bytes that are not UTF-8, and are written as those bytes.
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
    """Sync a file, or a folder. (A rename is durable only when the folder is synced.)"""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def append_line(path: Path, line: str, is_whole: IsWhole | None = None) -> None:
    """Append `line` (without a newline) to `path`, either whole and durable or not at all.

    A torn last line, left by a crash, is moved away first, or the new line would be glued to it.
    """
    with path.open("ab", buffering=0) as file:  # unbuffered: after an error, close() would write the buffer again
        fcntl.flock(file, fcntl.LOCK_EX)
        set_torn_line_aside(path, is_whole)
        size = file.seek(0, os.SEEK_END)
        rest = line.encode() + b"\n"
        try:
            while rest:
                rest = rest[file.write(rest) :]
            os.fsync(file.fileno())
        except OSError:  # most likely the disk is full; half a row is worse than none
            os.ftruncate(file.fileno(), size)
            raise
    sync(path.parent)


def set_torn_line_aside(path: Path, is_whole: IsWhole | None = None) -> str | None:
    """Move the bytes after the last newline of `path`, if there are any, to `<path>.torn`. Returns them.

    They are first written to the new file and then cut off, so that nothing is lost in between. A whole line (see
    `is_whole`) only lacks a newline, perhaps because of an editor. It gets one, and stays.
    """
    if not path.exists() or _ends_in_newline(path):
        return None
    data = path.read_bytes()
    whole = data.rfind(b"\n") + 1
    torn = data[whole:]
    if is_whole and is_whole(torn.decode(errors="surrogateescape")):
        _write_durably(path, "ab", b"\n")
        return None
    _write_durably(path.with_name(path.name + ".torn"), "ab", torn + b"\n")
    os.truncate(path, whole)
    sync(path)
    return torn.decode(errors="replace")


def _write_durably(path: Path, mode: str, data: bytes) -> None:
    with path.open(mode) as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _ends_in_newline(path: Path) -> bool:
    """Whether the file ends in a newline. This is usual and cheap to check, so the rest is not read."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - 1))
        return size == 0 or file.read(1) == b"\n"
