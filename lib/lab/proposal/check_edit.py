"""A change of train.py in the working tree -> whether it can be proposed, checked before anything runs."""

from pathlib import Path

from lab.errors import Fault
from lab.store import schemas

LARGEST = 1048576  # bytes of a train.py; of a larger one lib/experiment/ask_proposer.sh brings one byte more back


def check(train: Path, description: str) -> None:
    """Raises Fault if the description does not fit into the ledger, or the file `train` cannot be committed."""
    for column, problem in schemas.problems("row", {"description": description}):
        if column == "description":
            raise Fault(f"the description {problem}", "say in one line what you changed")
    if not description.strip():
        raise Fault("the description is empty", "say in one line what you changed")
    if train.is_symlink() or not train.is_file():
        raise Fault("train.py is not a plain file", "it is the one file that an experiment edits")
    if train.stat().st_size > LARGEST:
        raise Fault("train.py is over 1 MB", "a proposal is a change of code")
    try:
        train.read_bytes().decode()
    except UnicodeDecodeError as error:
        raise Fault(f"train.py is not UTF-8: {error}", "save it as UTF-8") from error
