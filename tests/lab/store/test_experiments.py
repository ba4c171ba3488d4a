"""`experiments.jsonl` by its schema: the quick check of each line, and what is said where one does not pass."""

import copy
import json
import random
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from house import House
from lab.store import experiments, schemas
from lab.verdict import index

RUN = {"seed": 42, "val_bpb": 0.9979, "num_steps": 953, "training_seconds": 300.1, "degraded": None, "device": "cpu"}
ONE: dict[str, Any] = {
    "n": 1, "commit": "a1" * 20, "parent": "0" * 40, "status": "keep", "rule": "baseline", "reason": "baseline: it",
    "failure": None, "category": None, "val_bpb": 0.9979, "incumbent_bpb": None, "gain": None, "lines_added": 0,
    "lines_removed": 0, "memory_gb": 44.0, "wall_seconds": 325.9, "runs": [RUN, RUN], "attempts": 1,
    "agent": "baseline", "tokens": None, "cost_usd": None, "started": "2026-03-14T09:26:53Z",
    "ended": None, "description": "baseline",
}  # fmt: skip
ANY: list[Any] = [
    None,
    True,
    False,
    0,
    1,
    -1,
    20,
    0.0,
    1.0,
    1.5,
    float("nan"),
    float("inf"),
    "",
    "x",
    "é" * 201,
    [],
    {},
]
ANY += ["a1" * 20, "a1" * 20 + "\n", "keep", "baseline", "2026-03-14T09:26:53Z", [RUN], [1], [{}], {"seed": 1}]


def changed(dice: random.Random) -> dict[str, Any]:
    """The object with one thing in it, or in one of its runs, another one, gone or new."""
    one = copy.deepcopy(ONE)
    inner = dice.choice([one, one, one["runs"][1]])
    name = dice.choice([*inner, "new"])
    if dice.random() < 0.1:
        inner.pop(name, None)
    else:
        inner[name] = dice.choice(ANY)
    return one


def test_the_quick_check_lets_nothing_pass_that_has_a_problem() -> None:
    """A `$` of a pattern is the very end to it, and lets no line end through, as Python's does."""
    dice, passed = random.Random(1), 0
    for _ in range(6000):
        one = changed(dice)
        fits = schemas.fits("experiment", one)
        is_valid = not any(schemas.validator("experiment").iter_errors(one))
        has_line_end = any(isinstance(value, str) and value.endswith("\n") for value in one.values())
        assert fits == is_valid or (is_valid and has_line_end), one
        passed += fits
    assert 500 < passed < 5500


def numbers(runs: Any) -> Iterator[Any]:
    for run in runs if isinstance(runs, list) else []:
        yield from run.values() if isinstance(run, dict) else []


# What fastjsonschema, which knows draft 7, and draft 2020-12 understand alike; `fixed` is ours.
SHARED = set(
    """$defs $ref $schema additionalProperties const default description else enum exclusiveMaximum
    exclusiveMinimum fixed if items maxItems maxLength maxProperties maximum minItems minLength minimum
    not pattern properties propertyNames required then title type""".split()  # noqa: SIM905, a list of them would be 30 lines
)


def keywords(schema: Any) -> Iterator[str]:
    for word, value in schema.items() if isinstance(schema, dict) else []:
        yield word
        inner = value.values() if word in ("properties", "$defs") else [value]
        for one in [] if word in ("default", "const", "enum", "required") else inner:
            yield from keywords(one)


@pytest.mark.parametrize("path", sorted(schemas.FOLDER.iterdir()), ids=lambda path: path.stem)
def test_both_checks_know_all_keywords_of(path: Path) -> None:
    assert set(keywords(json.loads(path.read_text()))) <= SHARED


def test_each_line_is_looked_at(tmp_path: Path) -> None:
    lines = [ONE] * 50
    lines[7] = ONE | {"gain": "0.1"}
    lines[30] = {name: value for name, value in ONE.items() if name != "runs"}
    (tmp_path / "experiments.jsonl").write_text("".join(json.dumps(one) + "\n" for one in lines))
    assert [problem.split(":")[0] for problem in experiments.problems(tmp_path)] == ["line 8", "line 31"]
    assert experiments.problems(tmp_path)[0].startswith("line 8: gain: ")
    (tmp_path / "experiments.jsonl").write_text((json.dumps(ONE | {"n": 0}) + "\n") * 50)
    assert len(experiments.problems(tmp_path)) == 10


def test_to_add_one_takes_no_jsonschema(tmp_path: Path) -> None:
    code = "import json, sys\nfrom pathlib import Path\n"
    code += "from lab.proposal import brief\nfrom lab.store import experiments\nfrom lab.verdict import conclude\n"
    code += f"experiments.append(Path({str(tmp_path)!r}), json.loads(sys.argv[1]))\nprint('jsonschema' in sys.modules)"
    command = [sys.executable, "-c", code, json.dumps(ONE)]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "False\n"
    assert experiments.read(tmp_path)[0]["val_bpb"] == Decimal("0.9979")
    with pytest.raises(ValueError, match="commit"):
        experiments.append(tmp_path, ONE | {"commit": "x"})
    assert len(experiments.read(tmp_path)) == 1


def test_a_loop_begins_with_all_of_it_checked_and_a_new_index(run: House) -> None:
    path, kept = run.run_folder / "experiments.jsonl", run.run_folder / "index.json"
    kept.write_text("not one\n")
    run.baseline()
    assert index.read(run.run_folder) == index.rebuilt(run.run_folder)
    assert json.loads(kept.read_text())["count"] == 1
    text = path.read_text()
    path.write_text(text.replace('"attempts": 1', '"attempts": 0'))
    result = run.once("/bin/false")
    assert result.status == 2
    assert "runs/mar14/experiments.jsonl' is damaged:\nline 1: attempts: " in result.err
    path.write_text(text)
