"""Flights side by side: each is judged against the incumbent of that moment, and on evidence that is of it."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from lab.errors import Fault
from lab.proposal.mend_brief import mend
from lab.store import experiments, ledger, memory, reruns, schemas
from lab.verdict import index
from lab.verdict.evidence import Evidence
from lab.verdict.judge import could_be_kept
from lab.verdict.noise import Spread
from test_conclude import BASELINE, FIRST, PERSONS, SECOND, Killed, close, fact, fly, kill_at, statuses, step, trained
from test_evaluation_record import FACTS, RECORD

THIRD = "e5" * 20


def set_up(folder: Path, baseline_runs: int, comparable: dict[str, Any] | None = None) -> Path:
    """A run with its baseline, at 1.0."""
    run = folder / "mar14"
    run.mkdir()
    settings = {"PROFILE": "small", "TIME_BUDGET": "60", "BASELINE_RUNS": str(baseline_runs)}
    facts = {"start": "0" * 40, "settings": settings, "comparable": comparable or {}}
    (run / "manifest.json").write_text(json.dumps(facts))
    (run / "results.tsv").write_text(ledger.HEADER + "\n")
    fly(run, BASELINE, "baseline", "0" * 40)
    for attempt, value in zip(range(1, baseline_runs + 1), ("1.000", "1.001", "0.999"), strict=False):
        trained(run, attempt, value)
        recorded(run) if comparable else None
        said = step(run)
    assert said is None
    return run


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """With the fixed thresholds: no noise is known."""
    monkeypatch.setenv("AUTORESEARCH_MEMORY", str(tmp_path / "memory"))
    return set_up(tmp_path, 1)


@pytest.fixture
def noisy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Of a baseline of three runs, with seeds 42 to 44."""
    monkeypatch.setenv("AUTORESEARCH_MEMORY", str(tmp_path / "memory"))
    return set_up(tmp_path, 3)


def recorded(run: Path, **change: object) -> None:
    """The last training run of f1 leaves an evaluation record."""
    folder = max((run / "flights/f1").glob("run.*"), key=lambda path: int(path.name[4:]))
    (folder / "record").mkdir()
    value = float((folder / "run.log").read_text().split()[1])
    (folder / "record/evaluation.json").write_text(json.dumps(RECORD | {"val_bpb": value} | change))
    (folder / "resources").write_text('{"cpu_seconds": 65.0}')


def another_is_kept(run: Path, value: str = "0.95", commit: str = SECOND) -> None:
    """Flight f2, made on the baseline, is judged first."""
    fly(run, commit, "codex", name="f2")
    trained(run, 1, value, flight="f2")
    assert step(run, "f2") is None
    assert experiments.read(run)[-1]["status"] == "keep"
    (run / "flights/f1/tip").write_text(commit + "\n")


def last(run: Path) -> dict[str, Any]:
    one = experiments.read(run)[-1]
    assert schemas.problems("experiment", json.loads(json.dumps(one, default=float))) == []
    return one


def records(run: Path) -> dict[str, str]:
    names = ("results.tsv", experiments.FILE, reruns.FILE, "changes.jsonl", "incumbent")
    return {name: (run / name).read_text() for name in names if (run / name).exists()}


# --- Measured on an incumbent that has been replaced since -----------------------------------------------------------


def test_what_loses_against_its_own_parent_is_a_discard(run: Path) -> None:
    fly(run, FIRST)
    another_is_kept(run)
    trained(run, 1, "1.02")
    assert step(run) is None
    one = last(run)
    assert (one["status"], one["rule"], one["parent"], one["carried_from"]) == ("discard", "worse", BASELINE, [])
    assert (one["incumbent_bpb"], one["gain"]) == (1, Decimal("-0.02")), "not that of today's incumbent"
    assert statuses(run) == ["keep", "keep", "discard"]
    assert (run / "incumbent").read_text() == SECOND + "\n"
    told = (memory.folder(run) / "decisions.md").read_text()
    assert "a person's commit" not in told, "the parent is an earlier keep"


@pytest.mark.parametrize(("value", "is_lost"), [("0.9995", True), ("0.999", False), ("0.6", False)])
def test_only_the_screen_is_applied_there(noisy: Path, value: str, is_lost: bool) -> None:
    """Where the noise is known, what looks like a win needs more runs; but not there."""
    fly(noisy, FIRST)
    another_is_kept(noisy, "0.55")
    before = records(noisy)
    trained(noisy, 1, value)
    assert ("carried over" in str(step(noisy))) is not is_lost
    assert fact(noisy, "next") is None
    assert (records(noisy) == before) is not is_lost
    assert statuses(noisy) == ["keep", "keep", *["discard"] * is_lost]


def carry_over(run: Path, commit: str, parent: str, attempt: int) -> None:
    """As 15-carry-over and 20-commit do."""
    was = [*(fact(run, "carried_from") or "").split(), fact(run, "commit") or ""]
    facts = {"carried_from": "\n".join(was), "parent": parent, "base": parent, "compared": parent, "commit": commit}
    for name, text in facts.items():
        (run / "flights/f1" / name).write_text(text + "\n")
    (run / "flights/f1/done").write_text(f"attempt {attempt}\n10-propose\n15-carry-over\n20-commit\n")


def test_what_could_be_kept_is_carried_over_and_leaves_no_row(run: Path) -> None:
    """Of its first commit nothing is evidence for the second; the row has the second, and names the first."""
    fly(run, FIRST)
    another_is_kept(run, "0.95")
    before = records(run)
    trained(run, 1, "0.9")
    for _ in range(2):
        assert step(run) == "carried over to the new incumbent: claude\nagain 15\n"
        assert [fact(run, name) for name in ("verdict", "decision.json", "summary", "next")] == [None] * 4
        assert records(run) == before
    carry_over(run, THIRD, SECOND, 2)
    trained(run, 2, "0.94")
    assert step(run) is None
    one = last(run)
    assert (one["status"], one["commit"], one["parent"], one["carried_from"]) == ("keep", THIRD, SECOND, [FIRST])
    assert (one["val_bpb"], one["incumbent_bpb"], one["attempts"]) == (Decimal("0.94"), Decimal("0.95"), 2)
    assert statuses(run) == ["keep", "keep", "keep"]
    assert (run / "incumbent").read_text() == THIRD + "\n"


@pytest.mark.parametrize("rule", ["conflict", "included"])
def test_what_cannot_be_carried_over_is_a_discard_that_says_so(run: Path, rule: str) -> None:
    fly(run, FIRST, not_carried=f"{rule} both change the learning rate")
    another_is_kept(run)
    trained(run, 1, "0.9")
    assert step(run) is None
    one = last(run)
    assert (one["status"], one["rule"], one["reason"]) == ("discard", rule, "both change the learning rate")
    assert (one["val_bpb"], one["incumbent_bpb"], one["parent"]) == (Decimal("0.9"), 1, BASELINE)
    assert statuses(run) == ["keep", "keep", "discard"]
    assert experiments.outcome(one).startswith("+0.1000, ")
    changed = json.loads((run / "changes.jsonl").read_text().splitlines()[-1])
    assert (changed["diff"] is not None) == (rule == "conflict"), "worth another look"


@pytest.mark.parametrize(
    ("times", "value", "rule"), [(2, "0.9", None), (3, "0.9", "outrun"), (4, "0.9", "outrun"), (3, "1.1", "worse")]
)
def test_after_three_times_it_is_outrun(run: Path, times: int, value: str, rule: str | None) -> None:
    earlier = [f"{n:040x}" for n in range(times)]
    fly(run, FIRST, carried_from="\n".join(earlier))
    another_is_kept(run)
    trained(run, 1, value)
    assert (step(run) is None) == (rule is not None)
    if rule:
        one = last(run)
        assert (one["status"], one["rule"], one["carried_from"]) == ("discard", rule, earlier)
        assert ("the incumbent changed 4 times" in one["reason"]) == (rule == "outrun")
    assert statuses(run) == ["keep", "keep", *["discard"] * bool(rule)]


def test_three_times_are_no_harm_where_the_incumbent_stays(run: Path) -> None:
    fly(run, FIRST, carried_from="\n".join(f"{n:040x}" for n in range(3)))
    trained(run, 1, "0.9")
    assert step(run) is None
    assert statuses(run) == ["keep", "keep"]


@pytest.mark.parametrize("more", [{}, {"not_carried": "conflict x"}, {"carried_from": "\n".join(["f0" * 20] * 3)}])
def test_a_crash_stays_one(run: Path, more: dict[str, str]) -> None:
    fly(run, FIRST, **more)
    another_is_kept(run)
    trained(run, 1, "nothing", rc=124)
    assert step(run) is None
    one = last(run)
    assert (one["status"], one["rule"], one["failure"]) == ("crash", "crash", "timeout")
    assert statuses(run) == ["keep", "keep", "crash"]


def test_what_is_not_known_there_could_be_kept() -> None:
    lost = {"candidate": [Decimal(2)], "incumbent": [Decimal(1)], "val_bpb": Decimal(2), "incumbent_bpb": Decimal(1)}
    known: dict[str, Any] = {**lost, "lines": (1, 0), "spread": Spread(Decimal("0.01"), 9)}
    assert not could_be_kept(Evidence(**known))
    assert could_be_kept(Evidence(**known | {"disturbed": [("candidate", 42, "the machine stood still")]}))
    assert could_be_kept(Evidence(**known | {"is_like": False})), "the machine was another one for the incumbent"
    assert not could_be_kept(Evidence(**known | {"is_like": False, "spread": None})), "nothing is held against it then"
    assert could_be_kept(Evidence(candidate=[Decimal(2)], is_unknown=True))
    assert could_be_kept(Evidence(candidate=[Decimal(2)], is_elsewhere=True)), "the incumbent has not run there"
    assert not could_be_kept(Evidence(failure="oom"))


def test_a_baseline_is_measured_where_the_branch_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A person has committed while it ran."""
    monkeypatch.setenv("AUTORESEARCH_MEMORY", str(tmp_path / "memory"))
    run = set_up(tmp_path, 1)
    for name in ("results.tsv", experiments.FILE, index.FILE, "incumbent"):
        (run / name).unlink()
    (run / "results.tsv").write_text(ledger.HEADER + "\n")
    fly(run, BASELINE, "baseline", "0" * 40, tip=PERSONS)
    trained(run, 1, "1.0")
    assert step(run) == "the branch has moved: measuring the baseline again there\nagain 10\n"
    assert statuses(run) == []
    fly(run, BASELINE, "baseline", PERSONS)
    trained(run, 2, "1.0")
    assert step(run) is None
    assert (statuses(run), last(run)["parent"]) == (["keep"], PERSONS)


# --- The incumbent's runs --------------------------------------------------------------------------------------------


def seeds_of(run: Path, commit: str = BASELINE) -> list[int]:
    return [one["seed"] for one in reruns.read(run) if one["commit"] == commit]


def test_the_incumbents_runs_are_known_before_the_verdict(noisy: Path) -> None:
    """To the flight that is judged next, too: for its level, and so that it does not take the same seed."""
    fly(noisy, FIRST)
    fly(noisy, SECOND, "codex", name="f2")
    trained(noisy, 1, "0.99")
    assert step(noisy) == "another run of the incumbent with seed 45\nagain 30\n"
    assert seeds_of(noisy) == []
    trained(noisy, 2, "1.002")
    for _ in range(2):
        assert "with seed 46" in str(step(noisy))
        assert seeds_of(noisy) == [45]
    assert fact(noisy, "summary") is None
    trained(noisy, 1, "1.5", flight="f2")
    assert step(noisy, "f2") is None
    assert (last(noisy)["commit"], last(noisy)["incumbent_bpb"]) == (SECOND, Decimal("1.0005"))


@pytest.mark.parametrize("number", range(1, 5))
def test_a_kill_in_between_records_none_twice(noisy: Path, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    fly(noisy, FIRST)
    trained(noisy, 1, "0.99")
    step(noisy)
    trained(noisy, 2, "1.002")
    with monkeypatch.context() as killing:
        kill_at(number, killing)
        try:
            step(noisy)
            is_killed = False
        except Killed:
            is_killed = True
    assert is_killed, "there is no such write any more"
    assert "with seed 46" in str(step(noisy))
    assert seeds_of(noisy) == [45]


def test_seeds_that_other_flights_have_asked_for_are_not_used_again(noisy: Path) -> None:
    """They run at the same time, in other slots."""
    fly(noisy, FIRST)
    fly(noisy, SECOND, name="f2", next="incumbent 45")
    fly(noisy, THIRD, name="f3", next="candidate 90")
    trained(noisy, 1, "0.99")
    assert step(noisy) == "another run of the incumbent with seed 46\nagain 30\n"
    trained(noisy, 1, "0.99", seed=42, flight="f3")
    (noisy / "flights/f3/run.1/next").unlink()
    assert step(noisy, "f3") == "another run of the incumbent with seed 47\nagain 30\n"


def test_a_disturbed_run_of_the_incumbent_is_not_on_record_until_it_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUTORESEARCH_MEMORY", str(tmp_path / "memory"))
    run = set_up(tmp_path, 3, FACTS)
    fly(run, FIRST)
    trained(run, 1, "0.99")
    recorded(run)
    assert step(run) == "another run of the incumbent with seed 45\nagain 30\n"
    for attempt in (2, 3):
        trained(run, attempt, "3.0")
        recorded(run, longest_wait=30.0)
        assert step(run) == "another run of the incumbent with seed 45: it stood still for 30 s\nagain 30\n"
        assert seeds_of(run) == []
    trained(run, 4, "1.002")
    recorded(run)
    assert "with seed 46" in str(step(run))
    assert [(one["seed"], float(one["val_bpb"]), one["degraded"]) for one in reruns.read(run)] == [(45, 1.002, False)]


def test_one_that_the_machine_may_have_failed_is_not_on_record_until_that_is_believed(noisy: Path) -> None:
    fly(noisy, FIRST)
    trained(noisy, 1, "0.99")
    step(noisy)
    trained(noisy, 2, "nothing", rc=127)
    assert step(noisy) is None
    assert (fact(noisy, "suspect") is not None, seeds_of(noisy)) == (True, [])
    for path in (noisy / "flights/f1/run.2").iterdir():  # 50-check-machine has it measured again
        path.unlink()
    (noisy / "flights/f1/run.2").rmdir()
    trained(noisy, 3, "nothing", rc=127)
    assert step(noisy) is None
    assert "with seed 46" in str(close(noisy)), "and then believes it"
    assert [(one["seed"], one["val_bpb"]) for one in reruns.read(noisy)] == [(45, None)]


# --- A person's commit on top of the incumbent -----------------------------------------------------------------------


def on_a_persons(run: Path, commit: str = FIRST, name: str = "f1", **more: str) -> None:
    """A flight that was made on it; it has changed more than words."""
    fly(run, commit, **{"parent": PERSONS, "name": name, "base": BASELINE, **more})


def test_it_is_measured_before_any_verdict_and_its_runs_alone_are_the_level(run: Path) -> None:
    on_a_persons(run)
    trained(run, 1, "1.1")
    assert step(run) == "another run of the incumbent with seed 43\nagain 30\n"
    trained(run, 2, "1.2")
    assert step(run) is None
    one = last(run)
    assert (one["status"], one["incumbent_bpb"], one["parent"]) == ("keep", Decimal("1.2"), PERSONS), one["reason"]
    assert seeds_of(run, PERSONS) == [43]
    assert statuses(run) == ["keep", "keep"], "it has no row of its own"
    assert f"a person's commit {PERSONS[:7]} on top of #1" in (memory.folder(run) / "decisions.md").read_text()


def test_it_is_measured_once_for_all(run: Path) -> None:
    """Also where the noise is known from then on."""
    on_a_persons(run)
    on_a_persons(run, SECOND, "f2")
    trained(run, 1, "1.3")
    step(run)
    trained(run, 2, "1.2")
    assert step(run) is None
    trained(run, 1, "1.25", flight="f2")
    assert step(run, "f2") is None
    assert [(one["status"], one["incumbent_bpb"]) for one in experiments.read(run)[1:]] == [
        ("discard", Decimal("1.2"))
    ] * 2


def test_a_commit_of_words_alone_is_measured_no_more(run: Path) -> None:
    on_a_persons(run, compared=BASELINE)
    trained(run, 1, "0.9")
    assert step(run) is None
    assert (last(run)["status"], last(run)["incumbent_bpb"], last(run)["parent"]) == ("keep", 1, PERSONS)
    assert reruns.read(run) == []


def test_a_crash_waits_for_it_too(run: Path) -> None:
    """It may be to blame; a mend is shown the log of the crash all the same."""
    on_a_persons(run)
    trained(run, 1, "nothing", rc=1)
    (run / "flights/f1/run.1/run.log").write_text("its own log\nValueError: x\n")
    assert step(run) is None
    assert (fact(run, "mendable"), statuses(run)) == ("yes", ["keep"])
    assert close(run) == "another run of the incumbent with seed 43\nagain 30\n"
    trained(run, 2, "1.2")
    assert step(run) is None
    assert (fact(run, "mendable"), statuses(run), seeds_of(run, PERSONS)) == ("yes", ["keep"], [43])
    assert "| its own log" in mend(run / "flights/f1")
    assert close(run) is None
    assert statuses(run) == ["keep", "crash"]


def test_what_was_rejected_waits_for_nothing(run: Path) -> None:
    on_a_persons(run, rejected="changed prepare.py")
    (run / "flights/f1/done").write_text("attempt 1\n10-propose\n15-carry-over\n20-commit\n30-run\n")
    assert step(run) is None
    assert (statuses(run), last(run)["failure"]) == (["keep", "crash"], "rejected")


@pytest.mark.parametrize("is_crash", [False, True])
def test_one_that_does_not_run_is_for_the_person(run: Path, is_crash: bool) -> None:
    """What was made on it gets no row, and is carried over to the commit that mends it."""
    on_a_persons(run, agent="catalog")
    trained(run, 1, "nothing" if is_crash else "0.9", rc=int(is_crash))
    for attempt in (2, 3):
        assert step(run) == f"another run of the incumbent with seed {41 + attempt}\nagain 30\n"
        trained(run, attempt, "nothing", rc=1)
    for _ in range(2):
        with pytest.raises(Fault, match=f"commit '{PERSONS[:7]}', made on top of the incumbent, does not run") as told:
            step(run)
        assert "flights/f1/run.3/run.log'" in told.value.hint
    assert statuses(run) == ["keep"]
    (run / "flights/f1/tip").write_text(THIRD + "\n")
    assert "carried over" in str(step(run))
    assert statuses(run) == ["keep"]


def test_another_one_on_top_of_it_before_it_was_measured(run: Path) -> None:
    on_a_persons(run, tip=THIRD)
    trained(run, 1, "1.5")
    assert "carried over" in str(step(run))
    assert statuses(run) == ["keep"]
