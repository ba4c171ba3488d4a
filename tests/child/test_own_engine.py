"""The engine of docs/examples does what is asked of one. Another host is a shell that knows nothing of ours."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from house import ROOT

CHECK = ROOT / "lib/child/engine_check.py"
SSH = """\
#!/bin/bash
[[ $* == "-n -o BatchMode=yes node1 "* ]] || exit 255
exec setsid env -i PATH="$PATH" HOME=/ bash -c "${*: -1}"
"""


@pytest.mark.slow
def test_the_engine_of_the_example(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/ssh").write_text(SSH)
    (tmp_path / "bin/ssh").chmod(0o755)
    (tmp_path / "runs").mkdir()
    settings = {**os.environ, "PATH": f"{tmp_path}/bin:{os.environ['PATH']}", "LAB_SSH_HOST": "node1"}
    command = [sys.executable, "-IS", CHECK, ROOT / "docs/examples/ssh-engine", tmp_path / "runs"]
    done = subprocess.run(command, env=settings, capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_an_engine_that_cannot_cancel_is_told(tmp_path: Path) -> None:
    engine = tmp_path / "engine"
    engine.write_text(
        "#!/bin/sh\n[ $1 != --cancel ] || exec sleep 60\n[ $1 != --check ] || { echo running; exit; }\n"
        ": >$1/beat.1; exec sleep 60\n"
    )
    engine.chmod(0o755)
    code = "import sys; sys.path.insert(0, sys.argv.pop(1)); import engine_check as e; e.CALL_S = 1; sys.exit(e.main())"
    command = [sys.executable, "-IS", "-c", code, CHECK.parent, engine, tmp_path, "cancel"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr.split(",")[0]) == (1, "0 of 1 hold")
    assert "timed out after 1 seconds; and --cancel of what is left has not ended after 1 s" in done.stdout


def test_a_check_that_there_is_not() -> None:
    done = subprocess.run(
        [sys.executable, CHECK, "engine", "/tmp", "limits"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr.split("\n")[0]) == (2, "engine-check: there is no check 'limits'")
