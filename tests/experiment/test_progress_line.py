"""lib/experiment/progress-line: what a person at a terminal sees of a training run, on the clock of the training."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from house import ROOT

LINE = ROOT / "lib/experiment/progress-line"


def shown(folder: Path, log: bytes, budget: str = "60", seconds: float = 1.6, **more: str) -> str:
    """The last that it draws, as the loop starts it: with SIGPIPE ignored."""
    (folder / "env").write_text(f"PROFILE=small\nTIME_BUDGET={budget}\nSEED=42\n")
    (folder / "run.log").write_bytes(log)
    environment = {"PATH": os.environ["PATH"], "COLUMNS": "80", "TERM": "dumb", **more}
    command = ["bash", "-c", 'trap "" PIPE; exec "$@"', "it", str(LINE), str(folder)]
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE)
    time.sleep(seconds)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=10)
    return said.decode(errors="replace").replace("\x1b[K", "").replace("\r", "\n").rstrip().rpartition("\n")[2]


@pytest.mark.parametrize(
    ("log", "budget", "start"),
    [
        (b"step 00004 (1.8%) | loss: 6.397849", "2", "0 s of 2 s  step 00004 (1.8%)"),
        (b"step 00004 (1.8%) | loss: 6.4\rstep 00900 (50.0%) | loss: 3.1", "60", "30 s of 60 s  step 00900"),
        (b"step 00900 (99.9%) | loss: 3.1\r\nevaluating\n\n", "300", "299 s of 300 s  evaluating"),
        (b"step 00900 (100.0%) | loss: 3.1\n", "0.5", "0 s of 0.5 s"),
        (b"step 1 (8%)", "060", "4 s of 060 s"),
        (b"loading\n", "60", "running for 1 s, budget 60 s  loading"),
        (b"\x1b[2Jbad\x00\xff\x07\n", "60", "running for 1 s, budget 60 s  "),
        (b"", "60", "running for 1 s, budget 60 s"),
    ],
)
def test_what_is_shown(tmp_path: Path, log: bytes, budget: str, start: str) -> None:
    said = shown(tmp_path, log, budget)
    assert said.startswith(start)
    assert len(said) < 80
    assert "\x1b" not in said


def test_nothing_else_reaches_the_terminal_whenever_it_is_ended(tmp_path: Path) -> None:
    """Each tool that it could use fails as one does that is killed meanwhile."""
    fakes = tmp_path / "fakes"
    fakes.mkdir()
    for name in ("grep", "tr", "sed"):
        (fakes / name).write_text('#!/bin/sh\n[ $# = 3 ] && exec /usr/bin/sed "$@"\nexit 143\n')
        (fakes / name).chmod(0o755)
    log = b"step 00004 (1.8%) | loss: 6.397849 | lrm: 1.00\n" * 200
    said = shown(tmp_path, log, PATH=f"{fakes}:{os.environ['PATH']}")
    assert "roken pipe" not in said
    assert said.startswith("1 s of 60 s")
