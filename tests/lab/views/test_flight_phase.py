"""What an experiment in flight is at, from its files; a real loop says the same."""

import json
from pathlib import Path
from typing import Any

import pytest
from house import House
from lab.store import schemas
from lab.store.flight import Flight, drop
from lab.views.flight_phase import STEPS, flights
from test_status import ALIVE, LOG, ROWS, as_json, fly, line, make_run, several, training


def in_step(name: str) -> str:
    """The list of finished steps of a flight that is in the step of this name, whatever its number."""
    steps = sorted(path.name for path in STEPS.iterdir())
    at = next(n for n, step in enumerate(steps) if step.endswith(f"-{name}"))
    return "".join(f"{one}\n" for one in ("attempt 1", *steps[:at]))


def flight(run: Path, **facts: str) -> dict[str, Any]:
    """The only one, valid by the schema."""
    (one,) = as_json(run, **facts)["flights"]
    return dict(one)


@pytest.mark.parametrize(
    ("step", "phase"),
    [
        ("propose", "proposing"),
        ("carry-over", "drafted"),
        ("commit", "drafted"),
        ("run", "waiting"),
        ("judge", "judging"),
        ("check-machine", "judging"),
        ("mend", "proposing"),
        ("record-failure", "judging"),
        ("settle", "judging"),
    ],
)
def test_phases(tmp_path: Path, step: str, phase: str) -> None:
    """While nothing trains; a step that takes no time has no phase of its own."""
    run = make_run(tmp_path, ROWS)
    fly(run, done=in_step(step))
    one = flight(run, **ALIVE)
    assert (one["id"], one["phase"], one["step"].partition("-")[2]) == ("f1", phase, step)
    assert [one[name] for name in ("slot", "device", "progress", "training", "seconds")] == [None] * 5
    assert flight(run)["phase"] == "waiting", "for a loop"


def test_none(tmp_path: Path) -> None:
    """Between two experiments, and of a flight that is only being made."""
    run = make_run(tmp_path, [])
    assert as_json(run, **ALIVE)["flights"] == []
    (run / "flights/f1").mkdir(parents=True)
    assert as_json(run, **ALIVE)["flights"] == []


def test_all_steps_done(tmp_path: Path) -> None:
    run = make_run(tmp_path, ROWS)
    fly(run, done="".join(f"{one}\n" for one in ("attempt 2", *(path.name for path in STEPS.iterdir()))))
    one = flight(run, **ALIVE)
    assert (one["phase"], one["step"], one["attempt"]) == ("judging", None, 2)


def test_training(tmp_path: Path) -> None:
    run = make_run(tmp_path, ROWS)
    training(run, LOG)
    (run / "flights/f1/started").write_text("2026-03-14T09:26:53Z\n")
    one = flight(run, **ALIVE)
    assert (one["phase"], one["slot"], one["device"], one["progress"]) == ("training", 0, "cuda", 0.573)
    assert one["training"]["log"] == "flights/f1/run.1/run.log"
    assert one["seconds"] > 3600 > one["training"]["seconds"]
    assert as_json(run, **ALIVE)["beside"] is None
    dead = flight(run)
    assert (dead["phase"], dead["slot"], dead["progress"], dead["training"]) == ("waiting", None, None, None)


@pytest.mark.parametrize(("percent", "phase"), [("99.9", "training"), ("100.0", "evaluating")])
def test_the_last_step_is_the_end_of_the_training(tmp_path: Path, percent: str, phase: str) -> None:
    run = make_run(tmp_path, ROWS)
    training(run, f"{LOG}\rstep 00953 ({percent}%) | loss: 2.300000 | lrm: 0.00\n")
    assert flight(run, **ALIVE)["phase"] == phase


def test_a_run_beside_the_experiments(tmp_path: Path) -> None:
    """make noise trains, and an experiment that an interrupted loop has left waits for a loop."""
    run = make_run(tmp_path, ROWS)
    training(run, LOG)
    (run / "replicates").mkdir()
    (run / "flights/f1/run.1").rename(run / "replicates/run.1")
    (run / "run.log").unlink()
    (run / "run.log").symlink_to("replicates/run.1/run.log")
    at = as_json(run, **ALIVE)
    assert [(one["phase"], one["training"]) for one in at["flights"]] == [("waiting", None)]
    assert (at["beside"]["log"], at["beside"]["progress"]) == ("replicates/run.1/run.log", 0.573)
    assert (
        line(run, "          a run", **ALIVE)
        == "          a run for make audit or make noise, 34 s of 60 s, loss 2.3457"
    )
    assert as_json(run)["beside"] is None


def test_several(tmp_path: Path) -> None:
    """Each by its own files; a number of more digits comes later."""
    run = several(make_run(tmp_path, ROWS))
    fly(run, "f10", done=in_step("judge"), description="x\n")
    for litter in ("f11.new", "f5.old", "last"):
        (run / "flights" / litter).mkdir()
        (run / "flights" / litter / "done").write_text("attempt 1\n")
    found = as_json(run, **ALIVE)["flights"]
    facts = [[one[name] for name in ("id", "phase", "slot", "device", "progress", "description")] for one in found]
    assert facts == [
        ["f1", "training", 1, "cuda", 0.573, "raise LR"],
        ["f2", "training", 0, None, None, "deeper"],
        ["f3", "proposing", None, None, None, None],
        ["f4", "waiting", None, None, None, "wider"],
        ["f10", "judging", None, None, None, "x"],
    ]
    assert [one["training"] and one["training"]["log"] for one in found[:3]] == [
        "flights/f1/run.1/run.log", "flights/f2/run.1/run.log", None,
    ]  # fmt: skip
    dead = as_json(run)["flights"]
    assert [(one["id"], one["phase"], one["slot"]) for one in dead] == [(one["id"], "waiting", None) for one in found]


def test_one_that_ends_while_it_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At whichever of its files: a status is no reason to wait for a lock."""
    run = several(make_run(tmp_path, ROWS))
    real, looks = Flight.text, iter(())

    def text(flight: Flight, name: str) -> str | None:
        if next(looks, 0) == 1 and (run / "flights/f1").exists():
            drop(run / "flights/f1")
        return real(flight, name)

    monkeypatch.setattr(Flight, "text", text)
    for number in range(12):
        looks = iter([*[0] * number, 1])
        found = [one["id"] for one in flights(run, alive=True)]
        assert found in (["f1", "f2", "f3", "f4"], ["f2", "f3", "f4"])
        assert not (run / "flights/f1").exists()
        training(run, LOG, slot=1)


@pytest.mark.parametrize("started", ["", "yesterday", "2026-03-14T09:2", "9999-03-14T09:26:53Z"])
def test_a_time_that_cannot_be(tmp_path: Path, started: str) -> None:
    """A power cut leaves half a file, and a clock may be wrong."""
    run = make_run(tmp_path, ROWS)
    fly(run, done=in_step("propose"), started=started)
    assert flight(run, **ALIVE)["seconds"] in (None, 0)


def asked(house: House) -> dict[str, Any]:
    """What bin/status says."""
    at: dict[str, Any] = json.loads(house.call("bin/status", "--json").out)
    assert schemas.problems("status", at) == []
    return at


def test_a_real_training(slow: House) -> None:
    """And what a kill has left of it."""
    slow.seconds.write_text("60")
    with slow.running("bin/loop", AGENT=str(slow.setting("0.9"))) as process:
        slow.wait_for("runs/mar14/flights/f*/run.1/pid")
        at = asked(slow)
        assert (at["loop"]["alive"], at["loop"]["pid"]) == (True, process.pid)
        one = at["flights"][0]
        assert (one["phase"], one["slot"], one["description"]) == ("training", 0, "VALUE 0.9")
        assert 0 <= one["training"]["seconds"] <= one["seconds"] < 60
    at = asked(slow)
    assert (at["loop"]["alive"], at["loop"]["pid"], at["loop"]["wanted"]) == (False, None, True)
    assert [(one["phase"], one["slot"]) for one in at["flights"]] == [("waiting", None)]
    assert at["rows"] == {"total": 0, "kept": 0, "discarded": 0, "crashed": 0}
    assert at["spent"]["hours"] is not None
    assert at["spent"]["tokens"] is None


def test_a_real_mend(based: House) -> None:
    """Its proposer is asked again: it is proposing, with the description that it has."""
    script = (
        "echo 'raise ValueError' >>train.py; echo 'my idea'\n[[ $LAB_MODE == propose ]] || { touch ~/mends; sleep 60; }"
    )
    with based.running("bin/loop", AGENT=str(based.proposer(script))):
        based.wait_for("../home/mends")
        one = asked(based)["flights"][0]
        assert (one["phase"], one["step"].partition("-")[2], one["slot"]) == ("proposing", "mend", None)
        assert one["description"] == "my idea"
