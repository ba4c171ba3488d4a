"""The JSON Schemas of schemas/: the only list of columns, words and settings."""

import json
import re
from collections.abc import Callable
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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


# ---------------------------------------------------------------------------
# The same without words, and a hundred times as fast
# ---------------------------------------------------------------------------

Check = Callable[[Any], bool]
WORDS = {"$schema", "$defs", "title", "description", "fixed", "default"}  # they ask nothing of a value
TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "boolean": (bool,),
    "null": (type(None),),
    "number": (int, float, Decimal),
    "integer": (int,),
}
BOUNDS: dict[str, Callable[[Any, Any], bool]] = {
    "minimum": lambda value, bound: value >= bound,
    "exclusiveMinimum": lambda value, bound: value > bound,
    "exclusiveMaximum": lambda value, bound: value < bound,
}


@cache
def _check(name: str) -> Check:
    return _compiled(load(name), load(name))


def fits(name: str, value: Any) -> bool:
    """Whether `value` surely has no problem by schema `name`, for the keywords of JSON Schema that rows and runs use.

    Where it says no, `problems` has the last word. Raises ValueError where the schema has a keyword that is not known
    here: a check that passes over what it does not know is none.
    """
    return _check(name)(value)


def _compiled(schema: dict[str, Any], root: dict[str, Any]) -> Check:
    """What the schema asks of a value, all of it."""
    checks = [one for word in schema if word not in WORDS if (one := _keyword(word, schema, root))]
    if len(checks) == 1:
        return checks[0]

    def check(value: Any) -> bool:
        for one in checks:  # noqa: SIM110, a generator for each value would take as long again
            if not one(value):
                return False
        return True

    return check


def _keyword(keyword: str, schema: dict[str, Any], root: dict[str, Any]) -> Check | None:
    """What one keyword asks; nothing of a value of another type than its own."""
    asked = schema[keyword]
    match keyword:
        case "type":
            return _typed([asked] if isinstance(asked, str) else asked)
        case "enum" if all(one is None or isinstance(one, str) for one in asked):
            return lambda value: value in asked
        case "const" if isinstance(asked, str):
            return lambda value: bool(value == asked)
        case "not":
            refused = _compiled(asked, root)
            return lambda value: not refused(value)
        case "if":
            return _branch(*(_compiled(schema.get(word, {}), root) for word in ("if", "then", "else")))
        case "pattern":
            found = re.compile(asked).search
            return lambda value: type(value) is not str or found(value) is not None
        case "minLength":
            return lambda value: type(value) is not str or len(value) >= asked
        case "maxLength":
            return lambda value: type(value) is not str or len(value) <= asked
        case "minimum" | "exclusiveMinimum" | "exclusiveMaximum":
            is_within, numbers = BOUNDS[keyword], TYPES["number"]
            return lambda value: type(value) not in numbers or is_within(value, asked)
        case "$ref":
            return _compiled(root["$defs"][asked.removeprefix("#/$defs/")], root)
        case "items":
            each = _compiled(asked, root)
            return lambda value: type(value) is not list or all(map(each, value))
        case "properties":
            return _properties(schema, root)
        case "required" | "additionalProperties" if "properties" in schema:
            return None  # looked at with the properties
        case "then" | "else" if "if" in schema:
            return None
    raise ValueError(f"'{keyword}' in a schema: nothing here checks it")


def _typed(names: list[str]) -> Check:
    """1.0 is an integer to JSON Schema, but none of ours: then jsonschema is asked."""
    kinds = {kind for name in names for kind in TYPES[name]}
    return lambda value: type(value) in kinds


def _branch(holds: Check, then: Check, otherwise: Check) -> Check:
    return lambda value: then(value) if holds(value) else otherwise(value)


def _properties(schema: dict[str, Any], root: dict[str, Any]) -> Check:
    """Of an object: each of its own kind, those that must be there, and no other."""
    checks = {name: _compiled(one, root) for name, one in schema["properties"].items()}
    required = set(schema.get("required", ()))
    is_open = schema.get("additionalProperties", True)

    def check(value: Any) -> bool:
        if type(value) is not dict:
            return True
        for name, one in value.items():
            known = checks.get(name)
            if not (known(one) if known else is_open):
                return False
        return required <= value.keys()

    return check
