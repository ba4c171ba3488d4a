"""A measured flight -> its verdict, one row, one object, one line for a person."""

import json
from pathlib import Path
from typing import Any

import pytest
from flights import put_code
from lab.store import ledger, schemas
from lab.store.flight import Flight
from lab.verdict import conclude, index
from lab.verdict.evidence import gather
from lab.verdict.judge import decision_on, judge

BASELINE, FIRST, SECOND = "a1" * 20, "b2" * 20, "c3" * 20
BEFORE = "LR = 0.04\nDEPTH = 8\n"
RUN = {"seed": 42, "val_bpb": 0.9979, "num_steps": 953, "training_seconds": 300.1, "degraded": None}
MEASURED = {"val_bpb": "0.997900", "memory_gb": "44.0", "failure": None, "wall_seconds": 325.9, "runs": [RUN]}
NOTHING_MORE = {"incumbent_runs": [], "last": [["candidate", 42, None]], "why": None}
MEASURED |= NOTHING_MORE
CRASHED = {"val_bpb": None, "memory_gb": None, "failure": "oom", "wall_seconds": 4.2, "runs": [RUN | {"val_bpb": None}]}
CRASHED |= NOTHING_MORE
REJECTED = {"val_bpb": None, "memory_gb": None, "failure": "rejected", "wall_seconds": None, "runs": []}
REJECTED |= NOTHING_MORE | {"why": "rejected: changed prepare.py"}


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run that has just been set up."""
    monkeypatch.setenv("AUTORESEARCH_MEMORY", str(tmp_path / "memory"))
    settings = {"PROFILE": "small", "TIME_BUDGET": "60", "BASELINE_RUNS": "1"}
    (tmp_path / "manifest.json").write_text(json.dumps({"start": "0" * 40, "settings": settings}))
    (tmp_path / "results.tsv").write_text(ledger.HEADER + "\n")
    return tmp_path


def incumbent(run: Path) -> str | None:
    """Of the run, as the steps read it."""
    path = run / "incumbent"
    return path.read_text().rstrip("\n") if path.exists() else None


def fly(
    run: Path,
    commit: str,
    measured: dict[str, Any],
    *,
    parent: str | None = None,
    after: str | None = BEFORE,
    description: str = "raise LR 0.04 -> 0.06",
    attempt: int = 1,
) -> None:
    """A flight that has been measured, by one run; made on today's incumbent, unless another parent is said."""
    parent = parent or incumbent(run) or BASELINE
    if measured["val_bpb"] and not measured["last"][-1][-1]:
        measured = measured | {"runs": [RUN | {"val_bpb": float(measured["val_bpb"])}]}
    flight = run / "flights/f1"
    flight.mkdir(parents=True, exist_ok=True)
    facts = {
        "done": f"attempt {attempt}\n10-propose\n15-carry-over\n20-commit\n30-run",
        "commit": commit,
        "parent": parent,
        "base": parent,
        "compared": parent,
        "started": "2026-03-14T09:26:53Z",
        "agent": "baseline" if description == "baseline" else "catalog",
        "description": description,
        "category": "" if description == "baseline" else "schedule",
        "measure.json": json.dumps(measured),
    }
    for name, text in facts.items():
        (flight / name).write_text(text + "\n")
    put_code(flight, BEFORE, after)
    for name in ("verdict", "decision.json", "summary", "best"):
        (flight / name).unlink(missing_ok=True)


def record(run: Path) -> dict[str, Any]:
    """The object of the last row, once it is recorded."""
    assert conclude.close(run / "flights/f1") is None
    assert ledger.problems(run / "results.tsv") == []
    experiment = objects(run)[-1]
    assert schemas.problems("experiment", experiment) == []
    return experiment


def rows(run: Path) -> list[str]:
    return (run / "results.tsv").read_text().split("\n")[1:-1]


def objects(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "experiments.jsonl").read_text().split("\n")[:-1]]


def fact(run: Path, name: str) -> str:
    return (run / "flights/f1" / name).read_text().rstrip("\n")


def baseline(run: Path) -> dict[str, Any]:
    fly(run, BASELINE, MEASURED, parent="0" * 40, description="baseline")
    return record(run)


# --- What is recorded -----------------------------------------------------------------------------------------------


def test_baseline(run: Path) -> None:
    """It is compared with nothing."""
    experiment = baseline(run)
    ended = experiment.pop("ended")
    assert len(ended) == len("2026-03-14T09:26:53Z")
    assert ended.endswith("Z")
    assert experiment == {
        "n": 1,
        "commit": BASELINE,
        "parent": "0" * 40,
        "status": "keep",
        "rule": "baseline",
        "reason": experiment["reason"],
        "failure": None,
        "category": None,
        "val_bpb": 0.9979,
        "incumbent_bpb": None,
        "gain": None,
        "lines_added": 0,
        "lines_removed": 0,
        "memory_gb": 44.0,
        "wall_seconds": 325.9,
        "runs": [RUN],
        "attempts": 1,
        "agent": "baseline",
        "tokens": None,
        "cost_usd": None,
        "started": "2026-03-14T09:26:53Z",
        "carried_from": [],
        "flight": "f1",
        "notes": [],
        "description": "baseline",
    }
    assert rows(run) == [f"{BASELINE[:7]}\t0.997900\t44.0\tkeep\tbaseline"]
    assert fact(run, "summary") == "#1 keep 0.997900  baseline"


def test_keep(run: Path) -> None:
    baseline(run)
    fly(
        run,
        FIRST,
        MEASURED | {"val_bpb": "0.993200", "memory_gb": "44.2"},
        after="LR = 0.06\nX = 1\nDEPTH = 8\n\n# x\n",
    )
    experiment = record(run)
    expected = {
        "n": 2,
        "parent": BASELINE,
        "rule": "gain",
        "incumbent_bpb": 0.9979,
        "val_bpb": 0.9932,
        "gain": 0.0047,
        "lines_added": 2,
        "lines_removed": 1,
        "category": "schedule",
        "agent": "catalog",
    }
    assert experiment.items() >= expected.items()
    assert rows(run)[1] == f"{FIRST[:7]}\t0.993200\t44.2\tkeep\traise LR 0.04 -> 0.06"
    assert (fact(run, "verdict"), fact(run, "failure")) == ("keep", "none")
    assert fact(run, "summary") == "#2 keep 0.993200 (gain +0.004700)  raise LR 0.04 -> 0.06"


def test_discard(run: Path) -> None:
    baseline(run)
    fly(run, FIRST, MEASURED | {"val_bpb": "1.005000"}, attempt=2)
    experiment = record(run)
    expected = {"status": "discard", "rule": "worse", "gain": -0.0071, "failure": None, "attempts": 2}
    assert experiment.items() >= expected.items()
    assert rows(run)[1] == f"{FIRST[:7]}\t1.005000\t44.0\tdiscard\traise LR 0.04 -> 0.06"
    assert fact(run, "summary") == "#2 discard 1.005000 (gain -0.007100)  raise LR 0.04 -> 0.06"


@pytest.mark.parametrize("measured", [CRASHED, REJECTED, MEASURED | CRASHED])
def test_crash(run: Path, measured: dict[str, Any]) -> None:
    """Zeros in the row; in the object, what is not known is null."""
    baseline(run)
    fly(run, FIRST, measured)
    experiment = record(run)
    expected = {
        "status": "crash",
        "rule": "crash",
        "failure": measured["failure"],
        "val_bpb": None,
        "memory_gb": None,
        "gain": None,
        "incumbent_bpb": 0.9979,
        "runs": measured["runs"],
    }
    assert experiment.items() >= expected.items()
    why = " (rejected: changed prepare.py)" if measured is REJECTED else ""
    assert rows(run)[1] == f"{FIRST[:7]}\t0.000000\t0.0\tcrash\traise LR 0.04 -> 0.06{why}"
    assert fact(run, "failure") == measured["failure"]
    assert fact(run, "summary") == f"#2 crash ({measured['failure']})  raise LR 0.04 -> 0.06{why}"


@pytest.mark.parametrize("failure", ["timeout", "oom", "nan", "error", "killed", "no-metric", "rejected"])
def test_every_failure_has_words(run: Path, failure: str) -> None:
    baseline(run)
    fly(run, FIRST, CRASHED | {"failure": failure, "why": "rejected: a rule" if failure == "rejected" else None})
    assert record(run)["reason"]


def test_why_is_the_reason_where_it_is_known(run: Path) -> None:
    baseline(run)
    fly(run, FIRST, REJECTED)
    assert record(run)["reason"] == "crash: rejected: changed prepare.py"


def test_a_run_that_stayed_disturbed_has_a_note(run: Path) -> None:
    baseline(run)
    runs = [RUN, RUN, RUN]
    fly(
        run,
        FIRST,
        MEASURED | {"runs": runs, "last": [["candidate", 42, "it stood still for 9 s"]]},
    )
    assert record(run)["reason"].endswith("; disturbed: it stood still for 9 s")


def test_no_train_py_came_back(run: Path) -> None:
    baseline(run)
    fly(run, FIRST, REJECTED, after=None)
    experiment = record(run)
    assert experiment["lines_added"] is experiment["lines_removed"] is None


def test_memory_that_is_not_known(run: Path) -> None:
    """0.0 in the row, null in the object, and no memory rule, neither for it nor for what comes after."""
    baseline(run)
    fly(run, FIRST, MEASURED | {"val_bpb": "0.996900", "memory_gb": None})
    experiment = record(run)
    assert (experiment["status"], experiment["memory_gb"]) == ("keep", None)
    assert rows(run)[1].split("\t")[2] == "0.0"
    fly(run, SECOND, MEASURED | {"val_bpb": "0.995900", "memory_gb": "99.9"}, parent=FIRST)
    assert record(run)["status"] == "keep"


def test_much_memory_for_a_small_gain(run: Path) -> None:
    baseline(run)
    fly(run, FIRST, MEASURED | {"val_bpb": "0.996900", "memory_gb": "49.0"})
    assert record(run).items() >= {"status": "discard", "rule": "memory"}.items()


def test_the_incumbent_is_the_last_keep_and_the_best_the_lowest(run: Path) -> None:
    """Not the last row, and not the crash, whose 0.000000 would win a naive minimum."""
    baseline(run)
    shorter = "LR = 0.04\n"
    drift = [("0.998500", "keep", 0.9979), ("0.999500", "discard", 0.9985), ("0.998800", "keep", 0.9985)]
    for number, (val_bpb, status, incumbent) in enumerate(drift, start=2):
        fly(run, f"{number:040x}", CRASHED)
        record(run)
        fly(run, f"{number + 100:040x}", MEASURED | {"val_bpb": val_bpb}, after=shorter)
        experiment = record(run)
        assert (experiment["status"], experiment["incumbent_bpb"]) == (status, incumbent), experiment["reason"]
    assert objects(run)[-1]["rule"] == "simplification"
    fly(run, SECOND, MEASURED | {"val_bpb": "0.998900"}, after=shorter)
    assert record(run)["rule"] == "no-gain", "0.001 behind the best, 0.997900"


def test_a_failed_run_of_the_incumbent_is_not_held_against_a_slower_machine(run: Path) -> None:
    """Of what failed, the conditions are not known, and so are like those of any run."""
    ran = {"seed": 42, "val_bpb": 1.0, "probe_seconds": 0.05, "wall_share": 1.0}
    known = {"commit": BASELINE, "status": "keep", "rule": "baseline", "val_bpb": 1.0, "memory_gb": None, "runs": [ran]}
    (run / "experiments.jsonl").write_text(json.dumps(known) + "\n")
    (run / "reruns.jsonl").write_text(json.dumps({"commit": BASELINE, "seed": 43, "val_bpb": None}) + "\n")
    fly(run, FIRST, MEASURED)
    slow = MEASURED | {"runs": [ran | {"probe_seconds": 0.1}]}
    (run / "flights/f1/measure.json").write_text(json.dumps(slow))
    evidence = gather(Flight(run / "flights/f1"), index.read(run))
    assert (evidence.incumbent, evidence.is_like) == ([1], False)


@pytest.mark.parametrize("told", ["[" * 100_000, "[1]", "no JSON", "\udcff", '{"tokens": true}', '{"tokens": -1}'])
def test_a_proposer_may_have_written_anything_of_what_it_took(run: Path, told: str) -> None:
    baseline(run)
    fly(run, FIRST, MEASURED)
    (run / "flights/f1/usage.json").write_bytes(told.encode(errors="surrogateescape"))
    assert record(run).items() >= {"tokens": None, "cost_usd": None}.items()


# --- Once, however often --------------------------------------------------------------------------------------------


def test_recording_again_adds_nothing(run: Path) -> None:
    baseline(run)
    fly(run, FIRST, MEASURED | {"val_bpb": "0.993200"})
    record(run)
    before = (rows(run), objects(run), fact(run, "summary"))
    for _ in range(3):
        record(run)
        (run / "flights/f1" / "summary").unlink()
        record(run)
    assert (rows(run), objects(run), fact(run, "summary")) == before


@pytest.mark.parametrize("lost", ["results.tsv", "experiments.jsonl"])
@pytest.mark.parametrize("torn", [False, True])
def test_what_is_missing_is_added(run: Path, lost: str, torn: bool) -> None:
    """A kill came between the two, or in the middle of the one."""
    baseline(run)
    fly(run, FIRST, MEASURED | {"val_bpb": "0.993200"})
    record(run)
    before = (rows(run), [one | {"ended": ""} for one in objects(run)], fact(run, "summary"))
    lines = (run / lost).read_text().splitlines(keepends=True)
    (run / lost).write_text("".join(lines[:-1]) + (lines[-1][:20] if torn else ""))
    (run / "flights/f1" / "summary").unlink()
    record(run)
    assert (rows(run), [one | {"ended": ""} for one in objects(run)], fact(run, "summary")) == before
    assert (run / f"{lost}.torn").exists() == torn


@pytest.mark.parametrize("lost", ["results.tsv", None])
def test_what_was_recorded_once_is_not_recorded_differently(run: Path, lost: str | None) -> None:
    """A power cut had it measured again: the first verdict stays, and it is the one that is settled."""
    baseline(run)
    fly(run, FIRST, MEASURED | {"val_bpb": "0.993200"})
    record(run)
    before = (rows(run), objects(run), fact(run, "summary"))
    if lost:
        (run / lost).write_text(ledger.HEADER + "\n" + before[0][0] + "\n")
    fly(run, FIRST, CRASHED)
    record(run)
    assert (rows(run), objects(run), fact(run, "summary")) == before
    assert fact(run, "verdict") == "keep"


def test_judging_again_changes_nothing(run: Path) -> None:
    baseline(run)
    fly(run, FIRST, MEASURED | {"val_bpb": "0.993200"})
    said = []
    for _ in range(2):
        flight = Flight(run / "flights/f1")
        evidence = gather(flight, index.read(run))
        judge(flight, evidence, decision_on(evidence))
        said.append((fact(run, "decision.json"), fact(run, "verdict"), fact(run, "failure")))
    assert said[0] == said[1]
    assert said[0][1:] == ("keep", "none")


def test_a_row_written_by_hand_counts(run: Path) -> None:
    baseline(run)
    with (run / "results.tsv").open("a") as file:
        file.write("f0f0f0f\t0.990000\t44.0\tkeep\tby hand\n")
    fly(run, FIRST, MEASURED | {"val_bpb": "0.993200"})
    assert record(run).items() >= {"n": 3, "incumbent_bpb": 0.9979, "status": "keep"}.items()
    assert [row.split("\t")[0] for row in rows(run)] == [BASELINE[:7], "f0f0f0f", FIRST[:7]]


@pytest.mark.parametrize("description", ["ü" * 200, "x\u2028y", '- "q" \\t $(x) \'', "学习率 → 0.06"])
def test_any_description_of_the_ledger(run: Path, description: str) -> None:
    baseline(run)
    fly(run, FIRST, MEASURED | {"val_bpb": "0.993200"}, description=description)
    assert record(run)["description"] == description
    assert rows(run)[1] == f"{FIRST[:7]}\t0.993200\t44.0\tkeep\t{description}"
    assert ledger.read(run / "results.tsv")[1].description == description


def test_an_object_that_does_not_fit_the_schema_is_a_fault(run: Path) -> None:
    baseline(run)
    fly(run, "no hash", MEASURED)
    with pytest.raises(ValueError, match="commit"):
        conclude.close(run / "flights/f1")
    assert len(objects(run)) == 1
    assert len(rows(run)) == 1


@pytest.mark.parametrize("name", ["measure.json", "commit", "description", "done"])
def test_a_missing_fact_is_a_fault(run: Path, name: str) -> None:
    fly(run, BASELINE, MEASURED, description="baseline")
    (run / "flights/f1" / name).unlink()
    with pytest.raises(ValueError, match=name):
        conclude.close(run / "flights/f1")
    assert rows(run) == []


@pytest.mark.parametrize("name", ["parent", "base", "compared", "before"])
def test_so_is_one_of_what_it_was_made_on(run: Path, name: str) -> None:
    baseline(run)
    fly(run, FIRST, MEASURED)
    (run / "flights/f1" / name).rename(run / "flights/f1/gone")
    with pytest.raises(ValueError, match=name):
        conclude.close(run / "flights/f1")
    assert len(rows(run)) == 1
