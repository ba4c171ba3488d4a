"""The environment and a run -> each setting and its value, for a shell, or with the source of the value."""

from collections.abc import Mapping
from pathlib import Path

from lab.store import manifest, schemas, settings

OTHERS = {"AGENT": "catalog", "ENGINE": "local"}  # settings that no schema checks, with their defaults
WIDEST = 44  # columns of a value


def lines(run: Path | None, environment: Mapping[str, str]) -> list[str]:
    """A NAME=value line for each setting that has a value, for a shell. Raises Fault as `_chosen` does."""
    return [f"{name}={value}" for name, value in _chosen(run, environment).items()]


def _chosen(run: Path | None, environment: Mapping[str, str]) -> dict[str, str]:
    """The settings. Raises Fault if one is invalid or differs from the run's."""
    return manifest.settings_of(run, environment) if run else settings.of_new_run(environment)


def table(run: Path | None, environment: Mapping[str, str]) -> list[str]:
    """A line for each setting, for a person."""
    chosen = _chosen(run, environment)
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
    return rows
