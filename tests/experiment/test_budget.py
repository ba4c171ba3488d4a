"""MAX_HOURS, MAX_COST and MAX_TOKENS end a loop at the right row, also one that cron starts again after a kill."""

import json
import os
import signal
import time
from decimal import Decimal
from pathlib import Path

import pytest
from house import IMPROVE, House
from lab.store import experiments
from lab.verdict import budget
from test_keepalive import in_flight, is_wanted, look, settled

USAGE = """printf '%s' '{"tokens": 400, "cost_usd": 0.4}' >"$LAB_USAGE"; """


@pytest.mark.slow
@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"MAX_TOKENS": "1000"}, "MAX_TOKENS is reached: 1200 of 1000 tokens"),
        ({"MAX_COST": "0.8"}, "MAX_COST is reached: 0.8 of 0.8 USD"),
    ],
)
def test_a_loop_ends_with_the_row_that_reaches_it_and_stays_ended(
    based: House, settings: dict[str, str], says: str
) -> None:
    """What was taken before this loop is not counted."""
    agent = based.proposer(USAGE + IMPROVE)
    assert based.once(agent).status == 0
    result = based.call("bin/loop", AGENT=str(agent), **settings)
    assert result.status == 0
    assert len(based.rows()) == 2 + (3 if "MAX_TOKENS" in settings else 2)
    assert f"{says}: the loop ends after the running trainings" in result.err
    assert result.err.splitlines()[-1].endswith(f"experiments: {says}")
    assert not is_wanted(based)
    assert look(based) == ""
    assert not based.is_held(), "cron starts nothing"


def test_it_is_counted_on_after_a_kill(slow: House) -> None:
    """While the flight trains that reaches the limit: it is brought to its end, and nothing else is begun."""
    agent = slow.proposer(USAGE + IMPROVE)
    slow.seconds.write_text("0")
    with slow.running("bin/loop", AGENT=str(agent), MAX_TOKENS="800", LAB_MINUTE="1") as process:
        slow.wait_for("runs/mar14/logs/*")
        slow.seconds.write_text("20")
        deadline = time.monotonic() + 30
        while len(slow.rows()) < 2 or not list(slow.run_folder.glob("flights/*/run.1/pid")):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        in_flight(slow)
        slow.wait_for("runs/mar14/over")
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    rows = len(slow.rows())
    slow.seconds.write_text("0")
    look(slow)
    settled(slow, rows + 1)
    assert len(slow.rows()) == 3
    assert "MAX_TOKENS is reached: 800 of 800 tokens" in (slow.run_folder / "loop.log").read_text()
    assert not is_wanted(slow)


def test_hours_are_counted_through_restarts(tmp_path: Path) -> None:
    (tmp_path / "budget").write_text(json.dumps({"since": 1000.0}))
    assert budget.says(tmp_path, {"MAX_HOURS": "0.5"}, 1000 + 1799) is None
    assert budget.says(tmp_path, {"MAX_HOURS": "0.5"}, 1000 + 1800) == "over MAX_HOURS is reached: 0.5 of 0.5 hours\n"
    assert budget.says(tmp_path, {"MAX_HOURS": "0.5"}, 10) is None, "a clock that was set back"
    assert budget.says(tmp_path, {"MAX_HOURS": "0"}, 10**9) is None


def test_a_cost_that_nobody_tells_is_said_to_be_unknown(tmp_path: Path) -> None:
    (tmp_path / "without-row.jsonl").write_text(json.dumps({"flight": "f1", "tokens": 7, "cost_usd": None}) + "\n")
    budget.begin_budget(tmp_path)
    assert budget.says(tmp_path, {"MAX_COST": "1"}, time.time()) is None
    with (tmp_path / "without-row.jsonl").open("a") as file:
        file.write(json.dumps({"flight": "f2", "tokens": 5, "cost_usd": None}) + "\n")
    assert (budget.says(tmp_path, {"MAX_COST": "1"}, time.time()) or "").startswith("unknown the agent does not report")
    assert budget.since_then(tmp_path, time.time())["tokens"] == Decimal(5)
    assert experiments.read(tmp_path) == []
