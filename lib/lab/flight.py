"""The experiment in flight: `runs/<tag>/flight/`, one small file a fact, written by one step and read by later ones."""

import json
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from lab import files


@dataclass(frozen=True)
class Flight:
    """Reads and writes the facts by their names, which are the names of the files."""

    folder: Path

    def text(self, name: str) -> str | None:
        """The fact as text, without the newline at its end; None where there is no such file."""
        path = self.folder / name
        return path.read_text(encoding="utf-8", errors="replace").rstrip("\n") if path.is_file() else None

    def need(self, name: str) -> str:
        """The fact that an earlier step must have written. Raises ValueError when it has not."""
        text = self.text(name)
        if text is None:
            raise ValueError(f"'{self.folder / name}' is not there: an earlier step should have written it")
        return text

    def json(self, name: str) -> dict[str, Any]:
        """The fact as an object; numbers with a fraction are Decimal."""
        value: dict[str, Any] = json.loads(self.need(name), parse_float=Decimal)
        return value

    def write(self, name: str, text: str) -> None:
        """Write one line, or none."""
        files.write_atomically(self.folder / name, text + "\n", durable=False)  # lib/dispatch knows of power cuts

    def write_json(self, name: str, value: dict[str, Any]) -> None:
        """Write an object; a Decimal becomes a number."""
        self.write(name, json.dumps(value, default=float, ensure_ascii=False))

    @property
    def attempt(self) -> int:
        """Which attempt this is, from 1 on: the first line of the list of finished steps."""
        return int(self.need("done").split("\n")[0].split()[1])

    @property
    def is_baseline(self) -> bool:
        """Whether this is the unmodified start of a run, which is compared with nothing."""
        return self.text("agent") == "baseline"
