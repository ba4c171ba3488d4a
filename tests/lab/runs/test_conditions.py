"""The conditions of a run: what is not as usual, and which runs can be compared."""

import json
from pathlib import Path
from typing import Any

import pytest
from lab.runs import conditions
from lab.runs.conditions import Usual
from lab.verdict.noise import Pool
from test_evaluation_record import RECORD, measure

USUAL = Usual(probe=0.05, share=1.0)


def disturbance(record: dict[str, Any], normal: Usual | None) -> str | None:
    return conditions.disturbance(record, conditions.from_record(record, None), normal)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({}, None),
        ({"probes": [0.05] * 9 + [0.2]}, None),
        ({"probes": [0.1, 0.1]}, "the machine was 2.0 times slower than usual"),
        ({"probes": [0.05, 0.05, 0.05, 0.13]}, "the machine was 1.4 times slower than usual"),
        ({"probes": [0.01]}, None),
        ({"training_wall_seconds": 89.0}, None),
        ({"training_wall_seconds": 95.0}, "other processes used the cores"),
        ({"longest_wait": 2.5}, None),
        ({"longest_wait": 9.0}, "it stood still for 9 s"),
        ({"longest_wait": 9.0, "looks": 6}, None),  # steps of ten seconds
    ],
)
def test_what_disturbs_a_run(change: dict[str, Any], what: str | None) -> None:
    assert disturbance(RECORD | change, USUAL) == what


def test_where_nothing_is_known_only_a_standstill_shows() -> None:
    assert disturbance(RECORD | {"probes": [9.0]}, None) is None
    assert disturbance(RECORD | {"longest_wait": 60.0}, None) == "it stood still for 60 s"


def test_usual_is_the_median_of_the_last_runs() -> None:
    runs: list[dict[str, Any]] = [{"probe_seconds": probe, "wall_share": 1.0} for probe in (9, 9, 1, 2, 3, 4, 90)]
    assert conditions.usual([*runs, {"probe_seconds": None}, {}], {}) == Usual(3.0, 1.0)
    assert conditions.usual([{}], {}) is None


def test_a_change_that_lasts_is_the_new_usual_after_one_experiment() -> None:
    slow: dict[str, Any] = {"probe_seconds": 0.1, "wall_share": 1.0}
    normal = conditions.usual([{**slow, "probe_seconds": 0.05}] * 10 + [slow] * 3, {})
    assert disturbance(RECORD | {"probes": [0.1, 0.1]}, normal) is None


def test_only_runs_of_like_conditions_are_held_against_each_other() -> None:
    runs = [
        {"seed": seed, "val_bpb": value, "probe_seconds": probe}
        for seed, (value, probe) in enumerate([(1.0, 0.05), (1.2, 0.055), (3.0, 0.1), (3.2, 0.11)])
    ]
    spread = Pool().plus([runs]).spread()
    assert spread is not None
    assert (float(spread.sd), spread.df) == (pytest.approx(0.02**0.5), 2)
    assert conditions.are_like({}, runs[0]), "what is not known is like everything"


def test_the_record_says_it(tmp_path: Path) -> None:
    measured = measure(tmp_path, RECORD | {"longest_wait": 30.0})
    assert measured["last"][0][2] == "it stood still for 30 s"
    assert measured["runs"][0]["degraded"] is True
    assert json.loads((tmp_path / "flights/f1/measure.json").read_text())["val_bpb"] == "1.912345"


def test_what_is_usual_is_so_on_one_device_shared_by_as_many() -> None:
    alone = {"probe_seconds": 0.05, "wall_share": 1.0, "device_name": "A", "slots": 1.0}
    shared = {**alone, "probe_seconds": 0.09, "slots": 4.0}
    runs = [alone] * 3 + [shared] * 3
    assert conditions.usual(runs, {"device_name": "A", "slots": 1.2}) == Usual(0.05, 1.0)
    assert conditions.usual(runs, {"device_name": "A", "slots": 3.5}) == Usual(0.09, 1.0)
    assert conditions.usual(runs, {"device_name": "B"}) is None
    assert not conditions.are_like(alone, {**alone, "slots": 1.6})
    assert not conditions.are_like(alone, {**alone, "device_name": "B"})
    assert conditions.are_like(alone, {**alone, "device_name": None, "slots": None}), (
        "what is not known is like everything"
    )
