"""Waves: one call of a proposer, several experiments."""

import json
import time
from pathlib import Path

import pytest
from house import House
from test_flights import calls, kill_all, made, many, most_at_once, sets, spans, together, until

__all__ = ["made", "many"]  # fixtures


def leaves(name: str, number: int, says: str = "") -> str:
    """A further candidate: a whole file."""
    comment = f"1i # {says}\n" if says else ""
    path = f"candidates/{name.lower()}.py"
    return f"mkdir -p candidates; sed -e '{comment}s/^{name} = .*/{name} = 0.0{number}/' train.py >{path}"


def told(house: House) -> str:
    return (house.run_folder / "loop.log").read_text()


@pytest.mark.slow
def test_each_candidate_is_an_experiment_and_has_its_share_of_the_cost(many: House) -> None:
    """They train side by side; asked is once, for as many as there are slots."""
    together(many, 3)
    usage = """echo '{"tokens": 1000, "cost_usd": 0.3, "model": "m"}' >"$LAB_USAGE"; echo "$LAB_WANT" >~/want"""
    others = f"{leaves('B', 2, 'raise B')}; {leaves('C', 3)}"
    script = calls(many, f'{usage}; cp "$LAB_BRIEF" ~/brief; {others}; {sets("A", "0.01")}', "exit 1")
    assert many.loop(3, script, SLOTS="3", PROPOSERS="1").status == 0
    assert most_at_once(many) == 3
    assert (many.outside / "home/want").read_text() == "3\n"
    assert "# Up to 3 candidates" in (many.outside / "home/brief").read_text()
    found = {one["description"]: one for one in many.experiments()[1:]}
    assert set(found) == {"A 0.01", "raise B", "C 0.0 -> 0.03"}, "without a comment it is derived from the change"
    assert sorted((one["tokens"], one["agent"]) for one in found.values()) == [(333, "proposer")] * 2 + [
        (334, "proposer")
    ]
    assert sum(one["cost_usd"] for one in found.values()) == pytest.approx(0.3)
    assert "# raise B" not in many.git("show", f"{found['raise B']['commit']}:train.py")
    assert not (many.outside / "home/call.2").exists()
    many.check_invariants()


def test_where_train_py_is_as_it_was_the_first_candidate_is_the_proposal(many: House) -> None:
    script = calls(many, f"{leaves('B', 2, 'raise B')}; {leaves('C', 3, 'raise C')}", "exit 1")
    assert many.loop(2, script, LAB_WANT="2").status == 0
    assert [one["description"] for one in many.experiments()[1:]] == ["raise B", "raise C"]
    assert not (many.outside / "home/call.2").exists(), "asked is again only when none waits"
    many.check_invariants()


def test_what_is_no_candidate_is_left_out(many: House) -> None:
    """A link, a file of other bytes, what has no effect, what is there twice, what is more than was asked for."""
    bad = "cd candidates; ln -s /etc/passwd a.py; printf '\\377' >b.py; cp ../train.py c.py; cd .."
    script = calls(
        many, f"{bad}; {leaves('D', 4)}; {sets('D', '0.04')}; cp candidates/d.py candidates/e.py", sets("B", "-0.1")
    )
    assert many.loop(2, script, LAB_WANT="3").status == 0
    assert [one["description"] for one in many.experiments()[1:]] == ["D 0.04", "B -0.1"]
    assert "ignored 'candidates/b.py', which is not UTF-8" in told(many)
    assert "ignored a candidate beyond the 3 that were asked for: 'candidates/e.py'" in told(many)
    many.check_invariants()


def test_candidates_outlive_the_loop_and_a_proposer_that_fails(many: House) -> None:
    """The next loop tries them, though nobody can be asked then."""
    (many.outside / "home/wait").touch()
    script = calls(many, f"{leaves('B', 2, 'raise B')}; {leaves('C', 3, 'raise C')}; {sets('A', '0.01')}", "exit 1")
    with many.running("bin/loop", AGENT=str(script), LAB_WANT="3") as process:
        until(lambda: spans(many))
        waiting = sorted(path.name for path in (many.run_folder / "candidates").iterdir())
        assert [name.partition(".")[2] for name in waiting] == ["2", "3"]
        status = json.loads(many.call("bin/status", "--json").out)
        drafts = [one for one in status["flights"] if "." in one["id"]]
        assert [(one["phase"], one["description"], one["agent"]) for one in drafts] == [
            ("drafted", "raise B", "proposer"),
            ("drafted", "raise C", "proposer"),
        ]
        kill_all(many, process)
    (many.outside / "home/wait").unlink()
    assert many.loop(3, "/bin/false", PROPOSAL_WAIT="900").status == 0
    assert [one["description"] for one in many.experiments()[1:]] == ["A 0.01", "raise B", "raise C"]
    many.check_invariants()


def test_after_a_failure_the_next_proposal_lets_the_others_ask_at_once(many: House) -> None:
    """Not only when it has been trained."""
    together(many, 2)
    script = calls(many, "exit 1", sets("A", "-0.01"), sets("B", "-0.02"))
    began = time.monotonic()
    assert many.loop(2, script, SLOTS="2", PROPOSERS="1", PROPOSAL_WAIT="0").status == 0
    assert most_at_once(many) == 2, "each waits for the other to begin"
    assert time.monotonic() - began < 30
    many.check_invariants()


def test_what_a_dropped_proposal_has_cost_is_counted(many: House) -> None:
    usage = """echo '{"tokens": 100, "cost_usd": 0.25}' >"$LAB_USAGE"; """
    script = calls(many, usage + "exit 1", usage + sets("A", "0.01"))
    assert many.loop(1, script, PROPOSAL_WAIT="0").status == 0
    lines = [json.loads(line) for line in (many.run_folder / "without-row.jsonl").read_text().splitlines()]
    assert [(one["agent"], one["tokens"], one["cost_usd"]) for one in lines] == [("proposer", 100, 0.25)]
    spent = json.loads(many.call("bin/status", "--json").out)["spent"]
    assert (spent["tokens"], spent["cost_usd"]) == (200, 0.5)


@pytest.mark.slow
def test_calls_that_are_being_made_are_counted_for_what_is_asked(many: House) -> None:
    """Eight places, two calls: four each; nobody is asked for more than can fly."""
    home = many.outside / "home"
    note = 'echo "$LAB_WANT" >>~/wants; while [[ ! -e ~/go ]]; do sleep 0.05; done'
    further = "".join(f"sed /^B/s/0.0/-0.${{n}}{k}/ train.py >candidates/{k}.py; " for k in range(1, 4))
    script = calls(many, *[f"{note}; {further}{sets('A', f'-0.0{n}')}" for n in range(1, 9)])
    with many.running("bin/loop", AGENT=str(script), SLOTS="8", PROPOSERS="2", MAX_EXPERIMENTS="8") as process:
        until(lambda: (home / "wants").exists() and len((home / "wants").read_text().split()) == 2)
        Path(home / "go").touch()
        assert process.wait(60) == 0
    assert (home / "wants").read_text().split() == ["4", "4"]
    assert len(many.rows()) == 9
    many.check_invariants()


@pytest.mark.slow
def test_calls_that_were_killed_promise_nothing(many: House) -> None:
    """Four were asking; the next loop has one place, and asks all the same."""
    home = many.outside / "home"
    script = calls(
        many, *(f"touch ~/asks.{n}; {sets('A', f'-0.0{n}')}; [[ -e ~/go ]] || sleep 60" for n in range(1, 9))
    )
    with many.running("bin/loop", AGENT=str(script), SLOTS="4", PROPOSERS="2", LAB_WANT="3") as process:
        until(lambda: len(list(home.glob("asks.*"))) == 2)
        process.kill()  # what it has started ends with it
    until(lambda: not many.left_running())
    (home / "go").touch()
    assert many.loop(4, script, SLOTS="1").status == 0
    assert len(many.rows()) == 5
    many.check_invariants()
