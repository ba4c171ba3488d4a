"""The settings: environment variables -> checked values, as text. schemas/settings.schema.json is their only list."""

import math
import os
from collections.abc import Mapping
from decimal import Decimal

from lab.errors import Fault
from lab.store import metric, schemas

PUBLISHED_BUDGET = "300"  # seconds; the default if neither a person nor prepare.py sets another


def read(environment: Mapping[str, str]) -> dict[str, str]:
    """The settings in `environment`, with defaults. Raises Fault for an invalid one."""
    settings = {}
    for name, schema in schemas.load("settings")["properties"].items():
        value = environment.get(name, schema.get("default"))
        if value is None:
            continue
        if "\n" in value:  # `$` in a pattern accepts a newline at the end
            raise Fault(f"{name}: {value!r} is more than one line", metric.HINT)
        settings[name] = value
    for name, problem in schemas.problems("settings", settings):
        raise Fault(f"{name}: {problem}", metric.HINT)
    for name in ("AUTORESEARCH_CACHE", "AUTORESEARCH_MEMORY"):
        settings[name] = os.path.abspath(os.path.expanduser(settings[name]))
    if "TIME_BUDGET" in settings:
        settings["TIME_BUDGET"] = plain_seconds(settings["TIME_BUDGET"])
    return settings


def of_new_run(environment: Mapping[str, str]) -> dict[str, str]:
    """The settings for a set-up. Raises Fault also for a metric that cannot be judged."""
    chosen = read(environment)
    metric.check(chosen)
    return chosen


def plain_seconds(seconds: object) -> str:
    """A number of seconds in its shortest form (20 for 20.0), so that equal budgets are equal texts."""
    return f"{Decimal(str(seconds)).normalize():f}"


def from_prepare(facts: Mapping[str, object]) -> dict[str, str]:
    """The profile and the budget that prepare.py prints, if they are valid settings."""
    values = {"PROFILE": str(facts.get("profile")), "TIME_BUDGET": str(facts.get("time_budget"))}
    return {name: value for name, value in values.items() if not schemas.problems("settings", {name: value})}


ALWAYS_KEPT = ("PROFILE", "TIME_BUDGET", "RUN_TIMEOUT", "SEED", "BASELINE_RUNS", "LINKS")


def default_of(name: str) -> str:
    """The default of a setting, as text."""
    return str(schemas.load("settings")["properties"][name].get("default", ""))


def kept_names(chosen: Mapping[str, str]) -> list[str]:
    """The names that the manifest keeps: ALWAYS_KEPT, and the other fixed settings that differ from their default."""
    others = (name for name in fixed_names() if name not in ALWAYS_KEPT and name in chosen)
    return [
        *(name for name in ALWAYS_KEPT if name in chosen),
        *(one for one in others if chosen[one] != default_of(one)),
    ]


def fixed_names() -> list[str]:
    """The names of the settings that are fixed at set-up."""
    return [name for name, schema in schemas.load("settings")["properties"].items() if schema.get("fixed")]


def run_timeout(time_budget: str) -> str:
    """The default number of seconds until a run is killed: 600 for the published 300."""
    budget = Decimal(time_budget)
    return str(math.ceil(max(2 * budget, budget + 120)))
