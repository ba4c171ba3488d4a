"""The environment and a run -> each setting, its value and the source of the value, for a person."""

from collections.abc import Mapping
from pathlib import Path

from lab.store import manifest, schemas, settings

OTHERS = {"AGENT": "catalog", "ENGINE": "local"}  # settings that no schema checks, with their defaults
WIDEST = 44  # columns of a value


def text(run: Path | None, environment: Mapping[str, str]) -> str:
    """A line for each setting. Raises Fault if one is invalid or differs from the run's."""
    chosen = manifest.settings_of(run, environment) if run else settings.of_new_run(environment)
    kept = manifest.read(run)["settings"] if run else {}
    of_file = environment.get("LAB_FROM_FILE", "").split()
    rows = []
    for name in [*OTHERS, *schemas.load("settings")["properties"]]:
        value = environment.get(name, OTHERS[name]) if name in OTHERS else chosen.get(name, "")
        if name in environment:
            source = "file" if name in of_file else "environment"
        else:
            source = f"run {run.name}" if run and name in kept else "default"
        rows.append(f"{name:<20} {value or '-':<{WIDEST}} {source}")
    return "\n".join(rows)
