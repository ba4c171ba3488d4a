"""The settings: environment variables -> checked values, as text. schemas/settings.schema.json is their only list."""

import math
import os
from collections.abc import Mapping
from decimal import Decimal

from lab import schemas

PUBLISHED_BUDGET = "300"  # seconds; where neither a person nor prepare.py says otherwise


class SettingError(ValueError):
    """A setting that cannot be; the text names it, its value and what it should be."""


def read(environment: Mapping[str, str]) -> dict[str, str]:
    """The settings that `environment` says, or that have a default. Raises SettingError."""
    settings = {}
    for name, schema in schemas.load("settings")["properties"].items():
        value = environment.get(name, schema.get("default"))
        if value is None:
            continue
        settings[name] = os.path.abspath(os.path.expanduser(value)) if name == "AUTORESEARCH_CACHE" else value
    for name, problem in schemas.problems("settings", settings):
        raise SettingError(f"{name}: {problem}")
    if "TIME_BUDGET" in settings:
        settings["TIME_BUDGET"] = plain(settings["TIME_BUDGET"])
    return settings


def plain(seconds: object) -> str:
    """A number of seconds as a person writes it: 20 for 20.0, so that equal budgets are equal texts."""
    return f"{Decimal(str(seconds)).normalize():f}"


def fixed() -> list[str]:
    """The names of those that a run decides at its set-up."""
    return [name for name, schema in schemas.load("settings")["properties"].items() if schema.get("fixed")]


def run_timeout(time_budget: str) -> str:
    """Seconds of wall clock after which a run is killed, when nobody says otherwise: 600 for the published 300."""
    budget = Decimal(time_budget)
    return str(math.ceil(max(2 * budget, budget + 120)))
