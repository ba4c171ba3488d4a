"""ON_KEEP and ON_TROUBLE: who is told of what, how often, and that the loop waits for none of them."""

import json
import os
import re
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from house import IMPROVE, House
from lab.store import schemas
from lab.verdict import index, record


def wait_until(holds: Callable[[], Any], seconds: float = 30) -> Any:
    deadline = time.monotonic() + seconds
    while True:
        with suppress(FileNotFoundError):  # it has not begun yet
            if found := holds():
                return found
        assert time.monotonic() < deadline
        time.sleep(0.05)


def hook(house: House, name: str) -> str:
    """A command that notes each call of it: its line and its stdin."""
    script = f'printf "%s\\t%s\\n" "$1" "$(cat)" >>{house.outside}/{name}'
    path = house.proposer(script, f"told-{name}")
    return f'{path} "$1"'


def told(house: House, name: str, times: int) -> list[tuple[str, dict[str, Any]]]:
    """So many calls: lines and events."""
    path = house.outside / name
    wait_until(lambda: path.exists() and len(path.read_text().splitlines()) >= times)
    pairs = [line.split("\t") for line in path.read_text().splitlines()]
    events = [json.loads(event) for _, event in pairs]
    assert [schemas.problems("event", one) for one in events] == [[]] * times
    assert [one["line"] for one in events] == [line for line, _ in pairs]
    assert {one["run"] for one in events} == {"mar14"}
    return [(line, event) for (line, _), event in zip(pairs, events, strict=True)]


def log(house: House) -> str:
    path = house.run_folder / "loop.log"
    return path.read_text() if path.exists() else ""


def test_each_new_best_is_told(based: House) -> None:
    """Not the baseline, and not a discard."""
    edit = "sed -i 's/^VALUE = [^ ]*/VALUE = {0}/' train.py; echo 'it is \"{0}\"'"
    agent = based.in_turn(*(edit.format(value) for value in ("0.9", "0.95", "0.8")))
    assert based.loop(3, agent, ON_KEEP=hook(based, "keep"), ON_TROUBLE=hook(based, "trouble")).status == 0
    assert based.statuses() == ["keep", "keep", "discard", "keep"]
    calls = told(based, "keep", 2)
    assert sorted(line for line, _ in calls) == [
        '#2 keep 0.900000 (gain +0.100000)  it is "0.9"',
        '#4 keep 0.800000 (gain +0.100000)  it is "0.8"',
    ]
    known = based.experiments()
    assert {event["event"] for _, event in calls} == {"keep"}
    assert all(event["experiment"] in (known[1], known[3]) for _, event in calls)
    assert not (based.outside / "trouble").exists()


@pytest.mark.parametrize(
    ("status", "val_bpb", "is_news"),
    [("keep", 0.8, True), ("keep", 0.9, False), ("keep", 0.95, False), ("discard", 0.8, False), ("crash", None, False)],
)
def test_what_is_a_new_best(status: str, val_bpb: float | None, is_news: bool, tmp_path: Path) -> None:
    """A simplification is kept, and is no better; a discard may be better, at too many lines."""
    past = [{"commit": f"{n}", "rule": "", "status": "keep", "val_bpb": n, "runs": []} for n in (1.0, 0.9, 0.91)]
    past += [{"commit": "this", "rule": "", "status": status, "val_bpb": val_bpb, "runs": []}]
    (tmp_path / "experiments.jsonl").write_text("".join(json.dumps(one) + "\n" for one in past))
    assert record.is_new_best(past[-1], index.read(tmp_path)) == is_news
    (tmp_path / "experiments.jsonl").write_text(json.dumps(past[-1]) + "\n")
    assert not record.is_new_best(past[-1], index.read(tmp_path)), "the baseline is no news"


def test_make_hands_a_command_over_as_it_was_typed(based: House) -> None:
    command = f'printf %s "$1" >{based.outside}/line; exit'
    assert based.call("make", "once", f"ON_KEEP={command}", f"AGENT={based.setting('0.9')}").status == 0
    assert wait_until(lambda: (based.outside / "line").exists() and (based.outside / "line").read_text()).startswith(
        "#2 keep"
    )


def test_nobody_waits_for_a_hook(based: House) -> None:
    """Nor for the core, which ends when nobody is left who could ask it."""
    command = f"sleep 30; touch {based.outside}/over"
    assert based.loop(1, based.proposer(IMPROVE), ON_KEEP=command, LAB_HOOK_S="40").status == 0
    assert not (based.outside / "over").exists()
    assert based.statuses() == ["keep", "keep"]


def test_a_hook_that_hangs_and_forks_holds_up_nothing_and_is_ended(based: House) -> None:
    """With what has left its session and its environment, too."""
    pids = based.outside / "pids"
    sleeper = based.proposer(f"echo $$ >>{pids}; trap '' TERM; while :; do sleep 1; done", "sleeper")
    hangs = f"setsid env -i {sleeper} & exec {sleeper}"
    done = based.loop(1, based.proposer(IMPROVE), ON_KEEP=hangs, LAB_HOOK_S="3")
    assert done.status == 0
    assert based.statuses() == ["keep", "keep"]
    based.check_invariants()
    found = wait_until(lambda: len(pids.read_text().split()) == 2 and pids.read_text().split())
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in found))
    wait_until(lambda: "ON_KEEP failed with exit status 124: 'ended after 3 s'" in log(based))
    assert log(based).index("loop ended after 1 experiment") < log(based).index("ON_KEEP failed"), "nobody has waited"


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("echo first; printf 'no \\033[31mnetwork' >&2; exit 7", "exit status 7: 'no [31mnetwork'"),
        ("/nowhere/notify", "exit status 127: '"),
        ("exit 3", "exit status 3: 'no output'"),
    ],
)
def test_one_that_fails_is_told_once(run: House, command: str, said: str) -> None:
    told = {"LAB_CALLER": "yes", "RUN": str(run.run_folder), "TAG": "mar14", "ON_KEEP": command}
    assert run.call("lib/run/send-notification", "ON_KEEP", "keep", "a line", **told).status == 0
    assert f"ON_KEEP failed with {said}" in log(run)
    assert log(run).count("ON_KEEP failed") == 1


def test_neither_a_run_nor_a_proposer_sees_who_is_told(run: House) -> None:
    seen = run.outside / "seen"
    agent = run.proposer(f"env | grep ^ON_ >>{seen}\n{IMPROVE}")
    (run.tree / "train.py").write_text(
        (run.tree / "train.py").read_text()
        + f"import os; open({str(seen)!r}, 'a').write(os.environ.get('ON_KEEP', ''))\n"
    )
    run.commit("a run that looks")
    run.setup(TAG="mar15", FROM="HEAD")
    run.once(agent, ON_KEEP="true secret", ON_TROUBLE="true secret")
    assert seen.read_text() == ""


@pytest.mark.slow
def test_a_proposer_that_fails_for_long_is_told_once_and_so_is_its_end(based: House) -> None:
    """The catalog's rows in between are no end of it."""
    works = based.outside / "works"
    agent = based.proposer(f"[[ -e {works} ]] || exit 1; {IMPROVE}", "my agent")
    with based.running("bin/loop", AGENT=str(agent), ON_TROUBLE=hook(based, "trouble")):
        wait_until(lambda: "no proposal from 'my agent', 6 times in a row" in log(based))
        assert re.search("^trouble .* no proposal from 'my agent', ", based.call("bin/status").out, re.MULTILINE)
        works.touch()
        calls = told(based, "trouble", 2)
    assert [event["event"] for _, event in calls] == ["trouble", "over"]
    assert calls[0][0] == "no proposal from 'my agent', 3 times in a row"
    assert calls[1][0].startswith("the loop works again; the problem was: no proposal from 'my agent', ")
    assert not list(based.run_folder.glob("trouble*"))


def test_what_a_person_stops_is_no_trouble(slow: House) -> None:
    command = hook(slow, "trouble")
    with slow.running("bin/loop", AGENT=str(slow.setting("0.9")), ON_TROUBLE=command) as process:
        slow.wait_for("runs/mar14/flights/*/run.1/pid")
        os.killpg(process.pid, signal.SIGINT)
        process.wait(10)
    slow.seconds.write_text("0")
    assert slow.loop(1, slow.setting("0.9"), ON_TROUBLE=command).status == 0
    assert slow.call("bin/stop").status == 0
    assert not list(slow.run_folder.glob("trouble*"))
    assert not (slow.outside / "trouble").exists()


def test_a_loop_that_ends_by_a_fault_is_told(house: House) -> None:
    (house.tree / "train.py").write_text("raise SystemExit(1)\n")
    house.commit("broken")
    house.setup()
    assert house.call("bin/loop", ON_TROUBLE=hook(house, "trouble")).status == 2
    assert told(house, "trouble", 1)[0][0] == "the loop ended with an error"


def test_a_loop_that_died_is_told_by_keepalive_once(slow: House) -> None:
    """With the command that the person's loop had, from where nobody else can read it."""
    slow.seconds.write_text("3")  # of a run that is left behind
    with slow.running(
        "bin/loop", AGENT=str(slow.setting("0.9")), ON_TROUBLE=hook(slow, "trouble"), MAX_EXPERIMENTS="1"
    ) as process:
        slow.wait_for("runs/mar14/flights/*/run.1/pid")
        os.killpg(process.pid, signal.SIGKILL)
    wanted = slow.run_folder / "wanted"
    assert wanted.stat().st_mode & 0o077 == 0
    whole = wanted.read_text()
    wanted.write_text(whole.replace("AGENT=", "AGENT=/nowhere"))
    bare = {"PATH": "/usr/bin:/bin", "UV_PROJECT_ENVIRONMENT": slow.environment["UV_PROJECT_ENVIRONMENT"]}
    for starts in (1, 3, 4):
        (slow.run_folder / "restarts").write_text(f"{starts - 1} 0 0\n")
        assert slow.call("bin/keepalive", **bare).status == 0
        wait_until(lambda: not slow.left_running() and "hint" in (slow.run_folder / "keepalive.log").read_text())
    lines = [line for line, _ in told(slow, "trouble", 2)]
    assert lines == [
        "the loop died: restarting it",
        "the loop has died 2 times without a new row; the next restarts wait longer",
    ]
    wanted.write_text(whole)
    slow.seconds.write_text("0")
    (slow.run_folder / "restarts").write_text("4 0 0\n")
    assert slow.call("bin/keepalive", **bare).status == 0
    assert [event["event"] for _, event in told(slow, "trouble", 4)][2:] == ["over", "over"]
    wait_until(lambda: not wanted.exists())
