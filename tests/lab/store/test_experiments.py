"""`experiments.jsonl` by its schema: the quick check of each line, and what is said where one does not pass."""

import copy
import json
import math
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
    """And it asks jsonschema about no more than NaN, and whole numbers that are written with a fraction."""
    dice, passed = random.Random(1), 0
    for _ in range(6000):
        one = changed(dice)
        is_valid, fits = schemas.problems("experiment", one) == [], schemas.fits("experiment", one)
        values = [*one.values(), *numbers(one.get("runs"))]
        has_odd = any(isinstance(value, float) and (value % 1 == 0 or math.isnan(value)) for value in values)
        assert fits == is_valid or (is_valid and has_odd), one
        passed += fits
    assert 500 < passed < 5500


def numbers(runs: Any) -> Iterator[Any]:
    for run in runs if isinstance(runs, list) else []:
        yield from run.values() if isinstance(run, dict) else []


@pytest.mark.parametrize("name", ["experiment", "rerun", "row"])
def test_it_knows_all_keywords_of(name: str) -> None:
    assert not schemas.fits(name, {})


@pytest.mark.parametrize(
    "schema", [{"format": "date"}, {"properties": {}, "oneOf": []}, {"enum": [1]}, {"required": []}, {"then": {}}]
)
def test_a_keyword_that_nothing_here_checks_is_told(schema: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="nothing here checks it"):
        schemas._compiled(schema, schema)


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
    assert run.once("/bin/false").status == 1
    assert index.read(run.run_folder) == index.rebuilt(run.run_folder)
    assert json.loads(kept.read_text())["count"] == 1
    text = path.read_text()
    path.write_text(text.replace('"attempts": 1', '"attempts": 0'))
    result = run.once("/bin/false")
    assert result.status == 2
    assert "runs/mar14/experiments.jsonl' is damaged:\nline 1: attempts: " in result.err
    path.write_text(text)
