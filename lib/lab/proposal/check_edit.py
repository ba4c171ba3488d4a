"""A change in the working tree -> whether it can be proposed, checked before anything runs."""

from collections.abc import Iterable
from pathlib import Path

from lab.errors import Fault
from lab.store import schemas

LARGEST = 1048576  # bytes of a file; lib/experiment/bring_back.sh cuts a larger one after one byte more
HINTS = {
    "is not a plain file": "replace it by a plain file: git status",
    "is over 1 MB": "move data out of the code",
    "is not UTF-8": "save it as UTF-8",
}


def check(files: Iterable[Path], description: str) -> None:
    """Raises Fault if the description does not fit into the ledger, or a file cannot be committed."""
    row = {"description": description if description.strip() else ""}
    for column, problem in schemas.problems("row", row):
        if column == "description":
            raise Fault(f"the description {problem}", "say in one line what you changed")
    for file in files:
        if why := unusable(file):
            raise Fault(f"'{file}' {why}", HINTS[why])


def unusable(file: Path) -> str | None:
    """The reason, of HINTS, why an experiment cannot have this file; None if it can."""
    if file.is_symlink() or not file.is_file():
        return "is not a plain file"
    if file.stat().st_size > LARGEST:
        return "is over 1 MB"
    try:
        file.read_bytes().decode()
    except UnicodeDecodeError:
        return "is not UTF-8"
    return None
