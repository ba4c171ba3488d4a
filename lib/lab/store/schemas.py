"""The JSON Schemas in schemas/: the only list of columns, words and settings."""

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
    """The validator of a schema; built once, because there may be thousands of values."""
    from jsonschema import Draft202012Validator  # imported late: it takes 70 ms, and most steps do not need it

    return Draft202012Validator(load(name))


def problems(name: str, value: Any) -> list[tuple[str, str]]:
    """The problems of `value` by schema `name`: pairs of a property and a sentence."""
    if fits(name, value):
        return []
    found = []
    for error in validator(name).iter_errors(value):
        where = ".".join(str(part) for part in error.absolute_path) or "row"
        wanted = error.schema.get("description") if isinstance(error.schema, dict) else None
        known = wanted and error.absolute_path
        found.append((where, f"{error.instance!r} is not {wanted}" if known else error.message))
    return found


def read_valid(name: str, path: Path) -> dict[str, Any] | None:
    """The object in the file `path`; None if it is missing, damaged, or invalid by schema `name`."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return value if fits(name, value) else None


def require(name: str, value: Any) -> None:
    """Raise ValueError with the first problem of `value`, if there is one. Everything we write must be valid."""
    for where, problem in problems(name, value):
        raise ValueError(f"{name}: {where}: {problem}")


@cache
def _quick(name: str) -> "Callable[[Any], Any]":
    import fastjsonschema  # imported late, for the same reason

    return cast("Callable[[Any], Any]", fastjsonschema.compile(load(name), use_default=False))


def fits(name: str, value: Any) -> bool:
    """Whether `value` is valid by schema `name`. This is a hundred times as fast as `problems`."""
    try:
        _quick(name)(value)
    except ValueError:
        return False
    return True
