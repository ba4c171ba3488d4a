"""After a training run: one more run, or the verdict with all that follows; in one call that may be killed anywhere."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flights import put_code
from lab.proposal import changes
from lab.store import durable, experiments, ledger, memory, reruns
from lab.verdict import conclude, index

BASELINE, FIRST, SECOND, PERSONS = "a1" * 20, "b2" * 20, "c3" * 20, "d4" * 20
BEFORE, AFTER = "LR = 0.04\nDEPTH = 8\n", "LR = 0.06\nDEPTH = 8\n"


def step(run: Path, flight: str = "f1") -> str | None:
    """What follows a training run of that flight."""
    return without_name(conclude.conclude(run / "flights" / flight))


def close(run: Path) -> str | None:
    return without_name(conclude.close(run / "flights/f1"))


def without_name(told: str | None) -> str | None:
    """What is told, without the experiment that it is about."""
    return told and re.sub(r"(?m)^f\d+ \(.*\): ", "", told)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run that has just been set up."""
    monkeypatch.setenv("AUTORESEARCH_MEMORY", str(tmp_path / "memory"))
    settings = {"PROFILE": "small", "TIME_BUDGET": "60", "BASELINE_RUNS": "2"}
    facts = {"start": "0" * 40, "settings": settings, "comparable": {}}
    folder = tmp_path / "mar14"
    folder.mkdir()
    (folder / "manifest.json").write_text(json.dumps(facts))
    (folder / "results.tsv").write_text(ledger.HEADER + "\n")
    return folder


def fact(run: Path, name: str, flight: str = "f1") -> str | None:
    path = run / "flights" / flight / name
    return path.read_text().rstrip("\n") if path.exists() else None


def fly(run: Path, commit: str, agent: str = "claude", parent: str = BASELINE, name: str = "f1", **more: str) -> None:
    """A flight that has been committed, made on the keep `parent`."""
    flight = run / "flights" / name
    for path in sorted(flight.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    flight.mkdir(parents=True, exist_ok=True)
    facts = {"commit": commit, "parent": parent, "agent": agent, "description": agent, "category": ""}
    facts |= {"base": parent, "compared": parent, "tip": parent}
    for name, text in (facts | more).items():
        (flight / name).write_text(text + "\n")
    put_code(flight, BEFORE, BEFORE if agent == "baseline" else AFTER)


def trained(run: Path, attempt: int, value: str, seed: int = 42, rc: int = 0, flight: str = "f1") -> None:
    """A training run of the flight has ended; it is of what `next` says."""
    folder = run / "flights" / flight / f"run.{attempt}"
    folder.mkdir()
    if (asked := fact(run, "next", flight)) is not None:
        (folder / "next").write_text(asked + "\n")
        seed = int(asked.split()[1])
    for name, text in {"run.log": f"val_bpb: {value}", "rc": rc, "env": f"SEED={seed}\nTIME_BUDGET=60"}.items():
        (folder / name).write_text(f"{text}\n")
    for name in ("started", "ended"):
        (folder / name).write_text("2026-03-14T09:26:53.000Z\n")
    done = "10-propose\n15-carry-over\n20-commit\n30-run\n"
    (folder.parent / "done").write_text(f"attempt {attempt}\n{done}")


def a_baseline(run: Path) -> None:
    fly(run, BASELINE, "baseline", "0" * 40)
    trained(run, 1, "1.000")
    told = conclude.conclude(run / "flights/f1")
    assert told == "f1 (baseline): another run of the candidate with seed 43\nagain 30\n"
    trained(run, 2, "1.002")
    assert step(run) is None


def statuses(run: Path) -> list[str]:
    assert ledger.problems(run / "results.tsv") == []
    assert experiments.problems(run) == []
    rows, past = ledger.read(run / "results.tsv"), experiments.read(run)
    assert [row.commit for row in rows] == [one["commit"][:7] for one in past]
    assert index.read(run) == index.rebuilt(run)
    return [row.status for row in rows]


def all_of(run: Path) -> dict[str, str]:
    """What a conclusion leaves, but for the time of day."""
    files_of = [run / name for name in ("results.tsv", "experiments.jsonl", "changes.jsonl", "reruns.jsonl")]
    names = ("verdict", "failure", "summary", "best", "decision.json")
    found = [*files_of, *(run / "flights/f1" / name for name in names), *memory.folder(run).glob("*.md")]
    return {path.name: re.sub(r'"ended": "[^"]*"', "", path.read_text()) for path in found if path.exists()}


def test_a_baseline_and_a_win(run: Path) -> None:
    """Beyond all doubt: the noise of two runs has one degree of freedom, so first of all more runs."""
    a_baseline(run)
    assert (fact(run, "verdict"), fact(run, "best"), fact(run, "summary")) == (
        "keep",
        None,
        "#1 keep 1.001000  baseline",
    )
    fly(run, FIRST)
    trained(run, 1, "0.9")
    assert step(run) == "another run of the incumbent with seed 44\nagain 30\n"
    assert fact(run, "verdict") is None
    for attempt, value in enumerate(["1.001", "1.003", "0.901", "1.0", "1.002", "0.902", "1.001", "1.0"], start=2):
        trained(run, attempt, value)
        if (said := step(run)) is None:
            break
        assert said.endswith("\nagain 30\n")
    assert statuses(run) == ["keep", "keep"]
    assert json.loads(fact(run, "best") or "")["commit"] == FIRST
    assert [one["seed"] for one in reruns.read(run)] == list(range(44, 44 + len(reruns.read(run))))
    changed = changes.of_experiments(run, experiments.read(run))
    assert [one.constants for one in changed] == [{}, {"LR": ["0.04", "0.06"]}]
    assert "- won: claude; " in (memory.folder(run) / "learnings.md").read_text()


@pytest.mark.parametrize(
    ("agent", "mendable", "suspect", "edit", "waits"),
    [
        ("claude", True, False, False, True),
        ("catalog", True, False, False, False),
        ("claude", True, False, True, False),
        ("claude", False, False, False, False),
        ("catalog", True, True, False, True),
    ],
)
def test_what_is_looked_at_first(run: Path, agent: str, mendable: bool, suspect: bool, edit: bool, waits: bool) -> None:
    """A crash that its proposer may mend, or that may be the machine's, has no verdict yet."""
    a_baseline(run)
    fly(run, FIRST, agent)
    if edit:
        (run / "flights/f1/edit").mkdir()
    trained(run, 1, "nothing", rc=127 if suspect else 1 if mendable else 124)
    assert step(run) is None
    assert (fact(run, "mendable") == "yes", fact(run, "suspect") is not None) == (mendable, suspect)
    assert (fact(run, "verdict"), fact(run, "summary") is None) == (None if waits else "crash", waits)
    assert statuses(run) == (["keep"] if waits else ["keep", "crash"])
    for _ in range(2):
        assert close(run) is None
        assert statuses(run) == ["keep", "crash"]
    assert fact(run, "verdict") == "crash"


def test_a_win_is_not_believed_since_the_incumbents_own_run_failed(run: Path) -> None:
    """The machine was looked at, and nothing found: the candidate needs its fresh runs all the same."""
    a_baseline(run)
    fly(run, FIRST)
    trained(run, 1, "0.9")
    assert "of the incumbent" in str(step(run))
    trained(run, 2, "nothing", rc=127)
    assert step(run) is None
    assert fact(run, "suspect") is not None
    assert str(close(run)).endswith("\nagain 30\n")
    assert (fact(run, "verdict"), statuses(run)) == (None, ["keep"])


def test_a_baseline_that_fails_is_for_a_person(run: Path) -> None:
    fly(run, BASELINE, "baseline", "0" * 40)
    trained(run, 1, "nothing", rc=1)
    assert step(run) is None
    assert (fact(run, "verdict"), fact(run, "failure")) == (None, None)
    for _ in range(2):
        assert close(run) is None
        assert (fact(run, "verdict"), fact(run, "failure"), fact(run, "summary")) == ("crash", "error", None)
    assert statuses(run) == []


def test_a_memory_that_cannot_be_written_costs_no_row(run: Path) -> None:
    memory.folder(run).write_text("a file\n")
    fly(run, BASELINE, "baseline", "0" * 40)
    trained(run, 1, "1.000")
    step(run)
    trained(run, 2, "1.002")
    assert str(step(run)).startswith(f"this experiment could not be added to the memory '{memory.folder(run)}': ")
    assert statuses(run) == ["keep"]
    assert fact(run, "summary") is not None


# --- Killed ---------------------------------------------------------------------------------------------------------


class Killed(BaseException):
    """Nothing catches it."""


def kill_at(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The write of that number, of all that `files` does, is not made: what was called before it is there."""
    counted = iter(range(1, 1000))

    def counting(real: Callable[..., None]) -> Callable[..., None]:
        def write(*arguments: Any, **more: Any) -> None:
            if next(counted) == number:
                raise Killed
            real(*arguments, **more)

        return write

    for name in ("append_line", "write_atomically"):
        monkeypatch.setattr(durable, name, counting(getattr(durable, name)))


def a_candidate(run: Path, kind: str) -> None:
    """A keep on a person's commit with the runs of that beside it, a discard, or a crash; but for the last call."""
    a_baseline(run)
    more = {"base": BASELINE, "compared": PERSONS, "tip": PERSONS} if kind == "keep" else {}
    fly(run, FIRST, "catalog", PERSONS if kind == "keep" else BASELINE, **more)
    trained(run, 1, {"keep": "0.9", "discard": "1.5", "crash": "nothing"}[kind], rc=int(kind == "crash"))
    for attempt in range(2, 20 if kind == "keep" else 0):
        if ends_next(run):
            return
        assert str(step(run)).endswith("\nagain 30\n")
        trained(run, attempt, "1.001" if (fact(run, "next") or "").startswith("incumbent") else "0.9")


def ends_next(run: Path) -> bool:
    """Whether the next call comes to a verdict; tried on a copy."""
    probe = run.parent / "probe/mar14"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUTORESEARCH_MEMORY", str(probe.parent / "memory"))
        shutil.copytree(run, probe)
        is_end = step(probe) is None
    shutil.rmtree(probe.parent)
    return is_end


@pytest.mark.parametrize("kind", ["keep", "discard", "crash"])
def test_killed_before_any_write_it_comes_to_the_same(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each write of a conclusion, one after the other, is the last one before a kill."""
    expected: dict[str, str] | None = None
    for number in range(0, 40):
        folder = tmp_path / str(number)
        folder.mkdir()
        with monkeypatch.context() as patch:
            run = run_in(folder, patch)
            a_candidate(run, kind)
            with monkeypatch.context() as killing:
                kill_at(number, killing)
                try:
                    step(run)
                    is_killed = False
                except Killed:
                    is_killed = True
            assert step(run) is None
            assert statuses(run) == ["keep", kind]
            found = all_of(run)
            expected = expected or found
            assert found == expected, f"killed before write {number}"
        if number and not is_killed:
            assert number > 8
            return
    raise AssertionError


def run_in(folder: Path, patch: pytest.MonkeyPatch) -> Path:
    """As the fixture."""
    return run.__wrapped__(folder, patch)  # type: ignore[attr-defined,no-any-return]


def test_a_power_cut_after_the_record(run: Path) -> None:
    """It is measured again, and crashes now: the first verdict stays."""
    a_candidate(run, "keep")
    assert step(run) is None
    before = all_of(run)
    for name in ("measure.json", "verdict", "summary", "best", "decision.json"):
        (run / "flights/f1" / name).write_text("")
    (run / "flights/f1/next").unlink()
    trained(run, 30, "nothing", rc=1)
    assert step(run) is None
    assert statuses(run) == ["keep", "keep"]
    after = all_of(run)
    assert {name: text for name, text in after.items() if name != "decision.json"} == {
        name: text for name, text in before.items() if name != "decision.json"
    }
