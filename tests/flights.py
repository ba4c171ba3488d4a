"""What tests put into the folder of a flight (lib/experiment/dispatch)."""

from pathlib import Path


def put_code(flight: Path, before: str | bytes, after: str | bytes | None = None, name: str = "train.py") -> None:
    """The editable file before the experiment's change, and after it, if it came back."""
    for folder, code in (("before", before), ("after", after)):
        path = flight / folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        if code is not None:
            path.write_bytes(code if isinstance(code, bytes) else code.encode())
