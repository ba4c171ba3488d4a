"""The tree -> whether somebody works on it."""

import fcntl
from pathlib import Path


def is_held(root: Path) -> bool:
    """Whether a loop, or another verb that takes the tree, has its lock. It is held for an instant to know."""
    try:
        with (root / "runs/.lock").open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False
