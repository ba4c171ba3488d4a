"""Drafts: the next proposal is made while this one trains."""

import time
from pathlib import Path

import pytest
from house import House
from test_flights import calls, made, many, sets, spans, together

__all__ = ["made", "many"]  # fixtures


def told(house: House) -> str:
    return (house.run_folder / "loop.log").read_text()


def until_one_waits(house: House) -> None:
    """Two have been proposed, and one of them trains."""
    for path in ("f3/commit", "f4/commit", "*/run.1/started"):
        house.wait_for(f"runs/mar14/flights/{path}")
    while not spans(house):
        time.sleep(0.02)


def hold(house: House) -> Path:
    """Trainings do not end while this file is there."""
    path = house.outside / "home/wait"
    path.touch()
    return path


@pytest.mark.slow
def test_the_next_proposal_is_made_while_this_one_trains(many: House) -> None:
    wait = hold(many)
    script = calls(many, sets("A", "0.05"), sets("C", "0.07"))
    with many.running("bin/loop", MAX_EXPERIMENTS="2", AGENT=str(script), DRAFTS="1") as process:
        until_one_waits(many)
        assert spans(many) == [("begin", "0")], "there is one slot"
        wait.unlink()
        assert process.wait(30) == 0
    first, second = many.experiments()[1:]
    assert [one["status"] for one in (first, second)] == ["keep", "keep"]
    assert second["parent"] == first["commit"], "it was carried over before it trained"
    assert not second["carried_from"]
    assert spans(many) == [("begin", "0"), ("end", "0")] * 2
    assert len(many.git("for-each-ref", "refs/experiments/mar14").splitlines()) == 3, "the draft's commit was none"
    many.check_invariants()


def test_without_drafts_it_is_made_afterwards(many: House) -> None:
    wait = hold(many)
    script = calls(many, sets("A", "0.05"), sets("C", "0.07"))
    with many.running("bin/loop", MAX_EXPERIMENTS="2", AGENT=str(script)) as process:
        many.wait_for("runs/mar14/flights/f3/run.1/started")
        assert not (many.outside / "home/call.2").exists()
        wait.unlink()
        assert process.wait(30) == 0
    many.check_invariants()


@pytest.mark.slow
def test_a_draft_that_conflicts_with_a_keep_is_dropped_without_a_row(many: House) -> None:
    wait = hold(many)
    script = calls(many, sets("A", "0.05"), sets("A", "0.06"), sets("C", "0.07"))
    with many.running("bin/loop", MAX_EXPERIMENTS="2", AGENT=str(script), DRAFTS="1") as process:
        until_one_waits(many)
        wait.unlink()
        assert process.wait(30) == 0
    first, second = (one["description"] for one in many.experiments()[1:])
    assert first in ("A 0.05", "A 0.06"), "on a busy machine the first call need not be committed first"
    assert second == "C 0.07"
    assert "dropped: it changes the same lines as a later keep" in told(many)
    many.check_invariants()


@pytest.mark.first_case
@pytest.mark.parametrize("kill", [True, False])
def test_a_draft_outlives_the_loop(many: House, kill: bool) -> None:
    """Stopped as asked, the loop ends after the training; the draft rests. So it does where all is killed."""
    wait = hold(many)
    script = calls(many, sets("A", "-0.05"), sets("C", "-0.07"))
    with many.running("bin/loop", AGENT=str(script), DRAFTS="1") as process:
        until_one_waits(many)
        if not kill:
            assert many.call("bin/stop").status == 0
            wait.unlink()
            assert process.wait(30) == 0
    drafts = {path.read_text().strip() for path in many.run_folder.glob("flights/f*/commit")}
    assert (len(drafts), len(many.rows())) == ((2, 1) if kill else (1, 2))
    wait.unlink(missing_ok=True)
    assert many.loop(len(drafts), "/bin/false").status == 0
    assert {one["commit"] for one in many.experiments()[-len(drafts) :]} == drafts
    many.check_invariants()


@pytest.mark.slow
def test_no_more_are_asked_than_rows_are_missing(many: House) -> None:
    together(many, 2)
    script = calls(many, *(sets("A", f"-0.0{n}") for n in range(1, 9)))
    assert many.loop(4, script, SLOTS="2", DRAFTS="3").status == 0
    assert len(many.rows()) == 5
    assert not (many.outside / "home/call.5").exists()
    many.check_invariants()


@pytest.mark.slow
def test_at_most_so_many_proposers_are_asked_at_once(many: House) -> None:
    home = many.outside / "home"
    count = "mkdir ~/asked.$n; ls -d ~/asked.* | wc -l >>~/asked; sleep 0.3; rmdir ~/asked.$n"
    script = calls(many, *(f"{count}; {sets('A', f'-0.0{n}')}" for n in range(1, 7)))
    assert many.loop(6, script, SLOTS="4", PROPOSERS="2").status == 0
    assert {int(line) for line in (home / "asked").read_text().split()} == {1, 2}
    many.check_invariants()


@pytest.mark.slow
def test_not_now_of_one_call_holds_all(many: House) -> None:
    """Those that were about to ask do not; then one asks alone."""
    limited = "echo 'not now: the limit is reached until '\"$(date -d '+3 seconds' '+%F %T')\" >&2; exit 75"
    script = calls(many, limited, *(sets("A", f"-0.0{n}") for n in range(1, 9)))
    assert many.loop(3, script, SLOTS="3", PROPOSERS="1").status == 0
    text = told(many)
    assert text.count("not now: ") == 1
    assert "asking the proposer again in" in text
    assert len(many.rows()) == 4
    many.check_invariants()
