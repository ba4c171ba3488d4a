"""The evaluation record: what a run printed is believed when prepare.py has measured it, in this run, in its budget."""

import json
from pathlib import Path
from typing import Any

import pytest
from lab.runs import evaluation_record
from lab.store.flight import Flight
from lab.verdict import index
from lab.verdict.measure import measure as step

FACTS = {"prepare.py": "p" * 64, "data": "d" * 64, "tokenizer": "t" * 64, "eval_tokens": 32768}
RECORD: dict[str, Any] = {
    "val_bpb": 1.9123454,
    "tokens": 32768,
    "bytes": 86479.0,
    "device": "cpu",
    "evaluation_seconds": 1.0,
    "evaluator_start_seconds": 2.0,
    "training_seconds": 60.1,
    "training_wall_seconds": 60.3,
    "longest_wait": 0.2,
    "looks": 500,
    "probes": [0.05, 0.06],
    "peak_memory_mb": 512.0,
    "prepare.py": "p" * 64,
    "data": "d" * 64,
    "tokenizer": "t" * 64,
}
BASELINE = [{"outside_seconds": 4.0, "evaluation_seconds": 1.0, "evaluator_start_seconds": 2.0, "probe_seconds": 0.05}]


def measure(
    folder: Path,
    record: object,
    *,
    printed: str | None = "1.912345",
    memory: str = "400.0",
    cpu: float | None = 64.0,
    baseline: list[dict[str, Any]] | None = BASELINE,
) -> dict[str, Any]:
    """What 40-judge makes of a run of 60 s that printed and recorded this, after that baseline."""
    run = folder / "flights/f1/run.1"
    (run / "record").mkdir(parents=True)
    (run / "run.log").write_text(("" if printed is None else f"val_bpb: {printed}\n") + f"peak_vram_mb: {memory}\n")
    (run / "rc").write_text("0\n")
    (run / "host").write_text("n7\n")
    (run / "started").write_text("2026-03-14T09:26:00.000Z\n")
    (run / "ended").write_text("2026-03-14T09:27:10.000Z\n")
    (run / "env").write_text("TIME_BUDGET=60\nSEED=43\n")
    if record is not None:
        text = record if isinstance(record, str) else json.dumps(record)
        (run / "record/evaluation.json").write_text(text)
    if cpu is not None:
        (run / "resources").write_text(json.dumps({"cpu_seconds": cpu}))
    (folder / "flights/f1/done").write_text("attempt 1\n")
    (folder / "manifest.json").write_text(json.dumps({"comparable": FACTS}))
    if baseline is not None:
        seeded = [{"seed": 42, "val_bpb": 2.0, **run, "wall_share": 1.0} for run in baseline]
        known = {"commit": "c", "rule": "baseline", "status": "keep", "val_bpb": 2.0, "runs": seeded}
        (folder / "experiments.jsonl").write_text(json.dumps(known) + "\n")
    step(Flight(folder / "flights/f1"), index.read(folder))
    measured: dict[str, Any] = json.loads((folder / "flights/f1/measure.json").read_text())
    return measured


def test_what_was_measured_counts(tmp_path: Path) -> None:
    measured = measure(tmp_path, RECORD)
    assert (measured["failure"], measured["val_bpb"]) == (None, "1.912345")
    assert measured["runs"][0] | {"num_steps": None, "training_seconds": None} == {
        "seed": 43,
        "val_bpb": 1.912345,
        "num_steps": None,
        "training_seconds": None,
        "degraded": False,
        "host": "n7",
        "evaluation_seconds": 1.0,
        "outside_seconds": 4.0,
        "evaluator_start_seconds": 2.0,
        "device": "cpu",
        "probe_seconds": 0.055,
        "device_name": None,
        "memory_gb": 0.5,
        "slots": None,
        "wall_share": 1.003,
    }


def test_fewer_printed_decimals_are_no_lie_and_no_gain(tmp_path: Path) -> None:
    assert measure(tmp_path, RECORD, printed="1.9123")["val_bpb"] == "1.912345"


@pytest.mark.parametrize("printed", ["0.500000", "1.9122", "1.9", "2", "1.912445"])
def test_another_number_than_the_measured_one(tmp_path: Path, printed: str) -> None:
    measured = measure(tmp_path, RECORD, printed=printed)
    assert (measured["failure"], measured["val_bpb"]) == ("no-metric", None)
    assert measured["why"] == f"record: train.py printed {float(printed):.6f}, but the evaluator measured 1.912345"


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"tokens": 256}, "256 tokens were evaluated instead of 32768"),
        ({"prepare.py": "q" * 64}, "prepare.py has changed since set-up"),
        ({"data": "q" * 64}, "the data has changed since set-up"),
        ({"tokenizer": None}, "the tokenizer has changed since set-up"),
    ],
)
def test_a_record_that_vouches_for_nothing(tmp_path: Path, change: dict[str, Any], why: str) -> None:
    measured = measure(tmp_path, RECORD | change)
    assert (measured["failure"], measured["why"]) == ("no-metric", f"record: {why}")


MALFORMED = [
    None,
    "",
    "{",
    "[]",
    "1",
    "[" * 100_000,
    {},
    {key: value for key, value in RECORD.items() if key != "val_bpb"},
    RECORD | {"val_bpb": "1.912345"},
    RECORD | {"val_bpb": float("nan")},
    RECORD | {"val_bpb": float("inf")},
    RECORD | {"val_bpb": -1.0},
    RECORD | {"probes": []},
    RECORD | {"probes": ["a"]},
    RECORD | {"probes": 1},
    RECORD | {"looks": None},
    RECORD | {"evaluation_seconds": -5.0},
]


@pytest.mark.parametrize("record", MALFORMED, ids=[str(number) for number in range(len(MALFORMED))])
def test_no_record_or_a_malformed_one_is_no_metric(tmp_path: Path, record: object) -> None:
    measured = measure(tmp_path, record)
    assert (measured["failure"], measured["val_bpb"]) == ("no-metric", None)
    assert measured["why"] == "record: train.py printed a val_bpb, but the evaluator measured none"


@pytest.mark.parametrize("baseline", [None, [{}], [{"evaluation_seconds": None}]])
def test_a_strangers_pair_is_taken_on_trust(tmp_path: Path, baseline: list[dict[str, Any]] | None) -> None:
    measured = measure(tmp_path, None, cpu=None, baseline=baseline)
    assert (measured["failure"], measured["val_bpb"]) == (None, "1.912345")
    assert measured["runs"][0]["degraded"] is None


def test_memory_cannot_be_hidden(tmp_path: Path) -> None:
    assert measure(tmp_path, RECORD, memory="1.0")["memory_gb"] == "0.5"


def test_nor_is_it_taken_for_less_than_was_printed(tmp_path: Path) -> None:
    assert measure(tmp_path, RECORD, memory="1024")["memory_gb"] == "1.0"


# --- The budget -----------------------------------------------------------------------------------------------------


def long_start(outside: float | None, start: float = 2.0, device: str = "cpu") -> str | None:
    run = {"outside_seconds": outside, "evaluator_start_seconds": start, "device": device}
    return evaluation_record.long_start(run, BASELINE)


def test_a_start_as_long_as_the_baselines_and_a_little_more() -> None:
    assert long_start(4.0) is long_start(-3.0) is long_start(6.0) is None
    assert long_start(34.0, device="cuda") is None, "compiled code takes a while"


def test_seconds_beside_the_budget() -> None:
    assert long_start(6.1) == "it took 6.1 s outside the budget, the limit is 6.0 s (the baseline took 4.0 s)"
    assert long_start(34.1, device="cuda")


def test_seconds_that_nobody_counted() -> None:
    assert long_start(None) == "its seconds outside of the budget are unknown"


def test_a_slower_machine_takes_longer_to_start() -> None:
    """By the evaluator's own start, which train.py does not make longer but by seconds that are counted."""
    assert long_start(8.0, start=3.0) is None
    assert long_start(8.1, start=3.0)
    assert long_start(10.0, start=20.0) is None
    assert long_start(10.1, start=20.0), "nothing is allowed for beyond twice"


def test_it_is_a_crash_that_can_be_mended(tmp_path: Path) -> None:
    measured = measure(tmp_path, RECORD, cpu=120.0)
    assert (measured["failure"], measured["val_bpb"]) == ("start-up", None)
    why = "start-up: it took 60.0 s outside the budget, the limit is 6.0 s (the baseline took 4.0 s)"
    assert measured["why"] == why


def test_where_the_training_ends_before_the_evaluation_the_record_has_the_number(tmp_path: Path) -> None:
    assert measure(tmp_path, RECORD, printed=None)["val_bpb"] == "1.912345"


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ('{"cpu_seconds": 783.75}', 783.75),
        ('{"cpu_seconds": "7"}', None),
        ("[]", None),
        ("{", None),
        ("[" * 10**5, None),
    ],
)
def test_what_the_runner_says_of_cpu_seconds(tmp_path: Path, said: str, seconds: float | None) -> None:
    (tmp_path / "resources").write_text(said)
    assert evaluation_record.resource(tmp_path, "cpu_seconds") == seconds


@pytest.mark.parametrize(
    ("said", "seconds"),
    [('{"wall_seconds": 61.5}', 61.5), ('{"wall_seconds": -1}', 7200), ('{"wall_seconds": "x"}', 7200), ("{}", 7200)],
)
def test_a_clock_that_is_set_during_a_run_does_not_count(tmp_path: Path, said: str, seconds: float) -> None:
    """Where the engine says how long the run was."""
    (tmp_path / "resources").write_text(said)
    (tmp_path / "started").write_text("2026-03-14T10:00:00.000Z\n")
    (tmp_path / "ended").write_text("2026-03-14T12:00:00.000Z\n")
    assert evaluation_record.wall_seconds(tmp_path) == seconds


def test_a_script_that_ends_early_may_take_its_budget() -> None:
    early = [{"outside_seconds": -50.0}]
    run = {"outside_seconds": -50.0, "device": "cpu"}
    assert evaluation_record.long_start(run, early) is None
    assert evaluation_record.long_start(run | {"outside_seconds": 2.1}, early)
