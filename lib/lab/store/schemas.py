"""The JSON Schemas of schemas/: the only list of columns, words and settings."""

import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Callable

    from jsonschema import Draft202012Validator

FOLDER = Path(__file__).parents[3] / "schemas"


@cache
def load(name: str) -> dict[str, Any]:
    """The schema `schemas/<name>.schema.json`."""
    schema: dict[str, Any] = json.loads((FOLDER / f"{name}.schema.json").read_text())
    return schema


@cache
def validator(name: str) -> "Draft202012Validator":
    """Of that schema; made once, for there may be thousands of values."""
    from jsonschema import Draft202012Validator  # 70 ms, which only the steps that need it should pay

    return Draft202012Validator(load(name))


def problems(name: str, value: Any) -> list[tuple[str, str]]:
    """What is wrong with `value` by schema `name`: pairs of the property and of a sentence about it."""
    found = []
    for error in validator(name).iter_errors(value):
        where = ".".join(str(part) for part in error.absolute_path) or "row"
        wanted = error.schema.get("description") if isinstance(error.schema, dict) else None
        known = wanted and error.absolute_path
        found.append((where, f"{error.instance!r} is not {wanted}" if known else error.message))
    return found


@cache
def _quick(name: str) -> "Callable[[Any], Any]":
    import fastjsonschema  # as late

    return cast("Callable[[Any], Any]", fastjsonschema.compile(load(name), use_default=False))


def fits(name: str, value: Any) -> bool:
    """Whether `value` has no problem by schema `name`: a hundred times as fast as `problems`, which has the words."""
    try:
        _quick(name)(value)
    except ValueError:
        return False
    return True
