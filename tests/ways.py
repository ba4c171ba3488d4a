"""The ways in which a training run, or a proposer, is confined, and whether they work on this machine."""

import subprocess
import sys

import pytest
from house import ROOT

WAYS = ("bubblewrap", "landlock")


def works(way: str) -> bool:
    command = [sys.executable, str(ROOT / "lib/child/runner.py"), "--can-confine", way]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


WORKING = [way for way in WAYS if works(way)]
by_each_way = pytest.mark.parametrize(
    "way", [pytest.param(w, marks=pytest.mark.skipif(w not in WORKING, reason=f"{w} does not work here")) for w in WAYS]
)
