"""A change in the working tree -> whether it can be proposed, checked before anything runs."""

from collections.abc import Iterable
from pathlib import Path

from lab.errors import Fault
from lab.store import schemas

LARGEST = 1048576  # bytes of a file; lib/experiment/bring_back.sh cuts a larger one after one byte more


def check(files: Iterable[Path], description: str) -> None:
    """Raises Fault if the description does not fit into the ledger, or a file cannot be committed."""
    for column, problem in schemas.problems("row", {"description": description}):
        if column == "description":
            raise Fault(f"the description {problem}", "say in one line what you changed")
    if not description.strip():
        raise Fault("the description is empty", "say in one line what you changed")
    for file in files:
        _check_file(file)


def _check_file(file: Path) -> None:
    if file.is_symlink() or not file.is_file():
        raise Fault(f"'{file}' is not a plain file", f"replace it by a plain file: ls -l '{file}'")
    if file.stat().st_size > LARGEST:
        raise Fault(f"'{file}' is over 1 MB", "move data out of the code")
    try:
        file.read_bytes().decode()
    except UnicodeDecodeError as error:
        raise Fault(f"'{file}' is not UTF-8: {error}", "save it as UTF-8") from error
