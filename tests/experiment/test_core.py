"""The Python core of a loop, as the steps ask it: whose an answer is, and what becomes of a fault of the code."""

import os
import subprocess
import sys
from pathlib import Path

from house import ENVIRONMENT, ROOT

# Another process, which had the same pipe before, has asked for something first, and does not wait for the answer.
ASKS = f"""
source '{ROOT}/lib/common.sh'
source '{ROOT}/lib/experiment/python_core.sh'
RUN=$PWD
start_core
printf '%s\\t1\\t%s\\t%s\\t%s\\n' "$ANSWERS" "$1" "$RUN/f1" /dev/null >&6
core "$2" "$RUN/f1" && status=0 || status=$?
end_core
exit "$status"
"""

# A step with a fault that nobody has foreseen.
BROKEN = """
import sys
from pathlib import Path
from lab import step_server
from lab.store import flight
flight.land = lambda folder: {}["nothing"]
sys.exit(step_server.serve(Path(sys.argv[1])))
"""


def ask(run: Path, of_another: str, own: str) -> int:
    """The status of the own request, after one of another."""
    (run / "f1").mkdir(parents=True)
    environment = {**os.environ, "UV_PROJECT_ENVIRONMENT": str(ENVIRONMENT)}
    command = ["bash", "-c", ASKS, "ask", of_another, own]
    return subprocess.run(command, cwd=run, env=environment, check=False, timeout=60).returncode


def test_the_answer_to_somebody_who_was_killed_is_not_taken_for_ones_own(tmp_path: Path) -> None:
    """Neither its fault, nor its success."""
    for run, of_another, own in (("one", "nothing", "drop"), ("two", "drop", "nothing")):
        assert ask(tmp_path / "tree/runs" / run, of_another, own) == (0 if own == "drop" else 2)


def test_each_is_answered_on_a_pipe_of_its_own_and_one_that_nobody_reads_holds_up_nobody(tmp_path: Path) -> None:
    pipes = [tmp_path / name for name in ("one", "two", "three")]
    for pipe in pipes:
        os.mkfifo(pipe)
    ends = [os.open(pipe, os.O_RDWR | os.O_NONBLOCK) for pipe in pipes[:2]]
    asked = "".join(f"{pipe}\t7\tnothing\t{tmp_path}\t/dev/null\n" for pipe in (pipes[2], tmp_path / "no pipe", *pipes))
    command = [sys.executable, "-c", BROKEN, str(tmp_path)]
    done = subprocess.run(command, input=asked, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0
    assert [os.read(end, 100) for end in ends] == [b"7 2\n"] * 2


def test_a_fault_of_the_code_is_no_success_and_does_not_end_the_core(tmp_path: Path) -> None:
    pipe, folder = tmp_path / "answers", tmp_path / "tree/runs/mar14"
    folder.mkdir(parents=True)
    os.mkfifo(pipe)
    end = os.open(pipe, os.O_RDWR | os.O_NONBLOCK)
    names = {7: "land", 8: "nothing", 9: "drop"}
    asked = "".join(f"{pipe}\t{asker}\t{name}\t{folder}\t/dev/null\n" for asker, name in names.items())
    command = [sys.executable, "-c", BROKEN, str(folder)]
    done = subprocess.run(command, input=asked, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, os.read(end, 100)) == (0, b"7 1\n8 2\n9 0\n")
    assert "KeyError: 'nothing'" in done.stderr
    assert not folder.exists(), "it is at work still"
