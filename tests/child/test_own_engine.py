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
