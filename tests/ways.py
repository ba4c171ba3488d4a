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


def marks(way: str) -> list[pytest.MarkDecorator]:
    """Landlock has a cheaper relative: tests/child/test_landlock.py."""
    slow = [pytest.mark.slow] if way == "landlock" else []
    return [pytest.mark.skipif(way not in WORKING, reason=f"{way} does not work here"), *slow]


by_each_way = pytest.mark.parametrize("way", [pytest.param(way, marks=marks(way)) for way in WAYS])
