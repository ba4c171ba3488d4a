"""The JSON Schemas of schemas/: the only list of columns, words and settings."""

import json
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator

Schema = dict[str, Any]
Texts = dict[str, str]

FOLDER = Path(__file__).parents[2] / "schemas"


@cache
def load(name: str) -> Schema:
    """The schema `schemas/<name>.schema.json`."""
    schema: Schema = json.loads((FOLDER / f"{name}.schema.json").read_text())
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
# The same verdict, without the sentence, 50 times as fast
# ---------------------------------------------------------------------------


class _Unknown(Exception):  # noqa: N818, nobody outside sees it
    """A schema says something that `quick` has no test for."""


@cache
def quick(name: str) -> Callable[[Texts], bool]:
    """Whether an object of texts, with every property of schema `name`, fits it; of a schema that says more than is
    known here, always no. So a no is no verdict: `problems` has the last word.

    A ledger has 100,000 rows, and jsonschema takes 70 us for each.
    """
    try:
        return _object(load(name))
    except _Unknown:
        return lambda _: False


def _object(schema: Schema) -> Callable[[Texts], bool]:
    """Its properties, and `then` or `else` by what `if` says."""
    if not schema.keys() <= {"$schema", "title", "description", "type", "properties", "required", "if", "then", "else"}:
        raise _Unknown
    tests = [(name, _text(one)) for name, one in schema.get("properties", {}).items()]
    if "if" not in schema:
        return lambda value: all(test(value[name]) for name, test in tests)
    holds, then, otherwise = (_object(schema.get(word, {})) for word in ("if", "then", "else"))
    return lambda value: (
        all(test(value[name]) for name, test in tests) and (then(value) if holds(value) else otherwise(value))
    )


def _text(schema: Schema) -> Callable[[str], bool]:
    """All that is said of one property."""
    tests = [_keyword(word, wanted) for word, wanted in schema.items() if word != "description"]
    return tests[0] if len(tests) == 1 else lambda text: all(test(text) for test in tests)


def _keyword(word: str, wanted: Any) -> Callable[[str], bool]:
    if word == "pattern":
        search = re.compile(wanted).search
        return lambda text: search(text) is not None
    if word == "not":
        test = _text(wanted)
        return lambda text: not test(text)
    if word in ("enum", "const"):
        words = frozenset(wanted if word == "enum" else [wanted])
        return lambda text: text in words
    raise _Unknown
