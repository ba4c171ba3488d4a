"""`make watch`: the status live in a terminal; driven in a real one (tmux) where there is one."""

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from house import House
from lab.views import watch
from lab.views.sparkline import BLOCKS, sparkline
from lab.views.watch import Watched
from rich.console import Console
from test_logs import told
from test_status import ALIVE, LOG, ROWS, fly, make_run, several, spending, training

FACTS = {"branch": "autoresearch/mar14", "wanted": "yes", **ALIVE}


def drawn(seen: watch.Seen, columns: int, **options: bool) -> list[str]:
    console = Console(width=columns, force_terminal=True, color_system="standard", **options)
    with console.capture() as capture:
        console.print(watch.View(seen))
    return capture.get().splitlines()


def test_a_sparkline_has_a_scale() -> None:
    values = [9.0, 4.0, 3.0, None, 2.0]
    assert sparkline(values, (2.0, 4.0), BLOCKS) == "██▅ ▁"
    assert sparkline([2.0, 2.0], (2.0, 2.0), BLOCKS) == "▁▁", "a flat one divides by nothing"
    assert watch.scale_of([90.0, *[4.0] * 9, 2.0], [80.0, *[3.0] * 10]) == (2.0, 4.0), "but for where all begin"
    assert watch.scale_of([], [None]) == (0.0, 0.0)


def test_the_difference_is_taken_where_both_have_been() -> None:
    """The last part of the run in flight is not over: its mean is that of its beginning."""
    here, there = [9.0, 5.0, 4.0, None], [9.5, 5.5, None, None]
    assert watch.difference(here, there) == "          ahead of the incumbent by 0.5000 at 50 % of the training"
    assert watch.difference(there, [*here[:3], 3.0]).strip().startswith("behind the incumbent by 0.5000 at 25 %")
    assert watch.difference([9.0, None], there[:2]) == ""


def test_what_is_drawn_fits_any_width(tmp_path: Path) -> None:
    run = make_run(tmp_path, ROWS)
    training(run, LOG)
    (run / "trouble.machine").write_text("the disk is full " * 8)
    for columns in (120, 80, 40, 20):
        lines = drawn(Watched(run).look(FACTS), columns, no_color=True)
        assert max(map(len, lines)) <= columns + len("\x1b[1m\x1b[0m"), columns
    assert drawn(Watched(run).look(FACTS), 80)[0].startswith("\x1b[1;31mtrouble   the disk is full")
    assert "\x1b[3" not in "".join(drawn(Watched(run).look(FACTS), 80, no_color=True)), "no colour"


def height_of(seen: watch.Seen, height: int) -> list[str]:
    """What is drawn on a terminal of that height, without its styles."""
    console = Console(width=80, height=height, color_system=None, force_terminal=True)
    with console.capture() as capture:
        console.print(watch.View(seen))
    return [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in capture.get().splitlines()]


def test_a_bar_for_each_training(tmp_path: Path) -> None:
    """Below its line; the curve of the first, where there is room for it."""
    run = several(make_run(tmp_path, ROWS))
    (run / "flights/f2/run.1/run.log").write_text(LOG)
    seen = Watched(run).look(FACTS)
    lines = height_of(seen, 24)
    beginnings = [line[:12].rstrip(" █▁") for line in lines[2:9]]
    assert beginnings == [
        "in flight f1",
        "          ━━",
        "loss",
        "          f2",
        "          ━━",
        "          f3",
        "          f4",
    ]
    low = height_of(seen, 17)
    assert [line[:12] for line in low[2:8]] == [*beginnings[:2], *beginnings[3:]]
    assert (len(lines), len(low)) == (20, 17)


@pytest.mark.parametrize("height", [24, 20, 50])
def test_what_is_drawn_fits_any_height_with_four_trainings(tmp_path: Path, height: int) -> None:
    run = make_run(tmp_path, [*ROWS, *((f"{n:07d}", "1.005000", "44.0", "discard", "idea") for n in range(9))])
    spending(run)
    for n in range(1, 5):
        training(run, LOG, flight=f"f{n}", slot=n)
    lines = height_of(Watched(run).look(FACTS), height)
    assert len(lines) <= height
    bars, told = (sum(bool(re.match(begin, line)) for line in lines) for begin in ("          ━", r".{9} f\d "))
    assert bars == told == (4 if height >= 24 else 3)
    assert ("          and 1 more: 1 training" in lines) == (height < 24)
    assert any(line.startswith("loss ") for line in lines) == (height >= 24)
    assert sum(line.endswith(" idea") for line in lines) == {50: 9, 24: 4, 20: 2}[height]


def test_only_what_is_new_is_read(tmp_path: Path) -> None:
    run = make_run(tmp_path, ROWS)
    training(run, LOG)
    watched = Watched(run)
    assert watched.look(FACTS).curve.last is not None
    log = run / "flights/f1/run.1/run.log"
    with log.open("ab") as file:
        file.write(b"ss: 2.300000 | \r" + b"x" * 3_000_000 + told((420, 60.0, 2.25)) + b"\r")
    curve = watched.look(FACTS).curve
    assert curve.last is not None
    assert (curve.last.number, curve.values(10)[0], curve.values(10)[6]) == (420, 9.012345, 2.25)
    assert curve.values(240)[137] == pytest.approx(2.345678), "the step that was skipped over is not missed"
    log.write_bytes(told((1, 1.0, 8.0)) + b"\r")
    assert watched.look(FACTS).curve.values(10) == [8.0, *[None] * 9], "another run"


def test_records_are_read_when_they_have_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make_run(tmp_path, ROWS)
    watched = Watched(run)
    rows = watched.look(FACTS).status["rows"]
    monkeypatch.setattr(watch.status, "from_records", lambda _: pytest.fail("nothing has changed"))
    assert watched.look(FACTS).status["rows"] == rows
    monkeypatch.undo()
    with (run / "results.tsv").open("a") as file:
        file.write("e5f6071\t0.500000\t44.0\tkeep\tby hand\n")
    assert watched.look(FACTS).status["rows"]["total"] == rows["total"] + 1


@pytest.mark.parametrize("damage", ["no tabs\n", ""])
def test_an_empty_run_and_a_damaged_one(tmp_path: Path, damage: str) -> None:
    run = make_run(tmp_path, [])
    (run / "results.tsv").write_text((run / "results.tsv").read_text() + damage)
    fly(run, done="attempt 1\n")
    (run / "experiments.jsonl").write_text(damage)
    lines = drawn(Watched(run).look({}), 80)
    assert any("in flight f1 waiting for a loop" in line for line in lines)
    assert any("damaged" in line for line in lines) == bool(damage)


def test_where_nothing_can_be_drawn_it_is_said_once(run: House) -> None:
    for result in (run.call("bin/watch"), run.call("script", "-qec", "bin/watch", "/dev/null", TERM="dumb")):
        assert result.status == 0
        assert "watch: this is not a terminal, so the status is printed once" in result.out + result.err
        assert result.out.count("run       mar14") == 1
        assert "\x1b" not in result.out


# ---------------------------------------------------------------------------
# In a terminal
# ---------------------------------------------------------------------------

STEPS = """\
VALUE = 1.0
import os, time
seconds = float(open(os.path.expanduser('~/seconds')).read())
for step in range(1, 101):
    time.sleep(seconds / 100)
    print(f"\\rstep {step:05d} ({step:.1f}%) | loss: {9 + VALUE - step / 20:.6f} | lrm: 1.00", end="", flush=True)
print("\\n---")
print(f"val_bpb:          {VALUE:.6f}")
"""


class Terminal:
    """A tmux of its own, with one pane."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.environment = {**house.environment, "TMUX_TMPDIR": str(house.outside), "LC_ALL": "C.UTF-8"}

    def call(self, *arguments: str) -> str:
        command = ["tmux", "-L", "watch", "-f", "/dev/null", *arguments]
        done = subprocess.run(
            command, cwd=self.house.tree, env=self.environment, capture_output=True, text=True, timeout=20, check=True
        )
        return done.stdout

    def wait_for(self, text: str, columns: int | None = None) -> list[str]:
        deadline = time.monotonic() + 30
        while text not in (screen := self.call("capture-pane", "-p")):
            assert time.monotonic() < deadline, screen
            time.sleep(0.1)
        lines = [line for line in screen.splitlines() if line]
        assert columns is None or max(map(len, lines)) <= columns
        return lines


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    if not shutil.which("tmux"):
        pytest.skip("no tmux on PATH")
    house = House(tmp_path, STEPS)
    house.setup(TIME_BUDGET="90")
    house.baseline()
    house.seconds.write_text("100")
    found = Terminal(house)
    try:
        yield found
    finally:
        subprocess.run(["tmux", "-L", "watch", "kill-server"], env=found.environment, capture_output=True, check=False)


@pytest.mark.slow
def test_in_a_terminal(terminal: Terminal) -> None:
    """At 80 and at 40 columns, resized, ended by Ctrl-C: the loop does not notice."""
    house = terminal.house
    with house.running("bin/loop", AGENT=str(house.setting("0.9"))) as loop:
        house.wait_for("runs/mar14/flights/f*/run.1/pid")
        shell = "bin/watch; echo status $?; exec bash --norc"
        terminal.call("new-session", "-d", "-x", "80", "-y", "24", shell)
        lines = terminal.wait_for("ahead of the incumbent by 0.1000 at ", 80)
        assert "ahead of the incumbent" in lines[6]
        assert lines[1].startswith("loop      running since 20")
        assert f"(pid {loop.pid})" in lines[1]
        assert "━" in lines[3]
        assert [line.split()[0] for line in lines[4:6]] == ["loss", "incumbent"]
        terminal.call("resize-window", "-x", "40", "-y", "24")
        terminal.wait_for("...\nloop ", 40)
        terminal.call("resize-window", "-x", "80", "-y", "24")
        terminal.wait_for(f"(pid {loop.pid})", 80)
        terminal.call("send-keys", "C-c")
        assert "run       mar14" not in "\n".join(terminal.wait_for("status 0")), "what was there before is there again"
        assert loop.poll() is None
        os.killpg(loop.pid, signal.SIGINT)
        loop.wait(10)
    assert len(house.rows()) == 1
