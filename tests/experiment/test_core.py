"""The Python core of a loop, as the steps ask it: whose an answer is, and what becomes of a fault of the code."""

import os
import subprocess
import sys
from pathlib import Path

from house import ENVIRONMENT, ROOT

# Another process has asked for something first, and does not wait for the answer.
ASKS = f"""
source '{ROOT}/lib/common.sh'
source '{ROOT}/lib/experiment/python_core.sh'
RUN=$PWD
start_core
printf '%s\\n' "1 $1" >&6
core "$2" said && status=0 || status=$?
end_core
exit "$status"
"""

# A step with a fault that nobody has foreseen.
BROKEN = """
import sys
from pathlib import Path
from lab import step_server
from lab.runs import tampering
tampering.look_before = lambda run: {}["nothing"]
sys.exit(step_server.serve(Path(sys.argv[1])))
"""


def ask(run: Path, of_another: str, own: str) -> int:
    """The status of the own request, after one of another."""
    run.mkdir(parents=True)
    environment = {**os.environ, "UV_PROJECT_ENVIRONMENT": str(ENVIRONMENT)}
    command = ["bash", "-c", ASKS, "ask", of_another, own]
    return subprocess.run(command, cwd=run, env=environment, check=False, timeout=60).returncode


def test_the_answer_to_somebody_who_was_killed_is_not_taken_for_ones_own(tmp_path: Path) -> None:
    """Neither its fault, nor its success."""
    assert ask(tmp_path / "tree/runs/one", "nothing", "look_before") == 0
    assert ask(tmp_path / "tree/runs/two", "look_before", "nothing") == 2


def test_a_fault_of_the_code_is_no_success_and_does_not_end_the_core(tmp_path: Path) -> None:
    asked = f"7 look_before said\n8 nothing\n9 look_before {tmp_path}/said\n"
    command = [sys.executable, "-c", BROKEN, str(tmp_path)]
    done = subprocess.run(command, input=asked, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (0, "7 1\n8 2\n9 1\n")
    assert "KeyError: 'nothing'" in done.stderr
