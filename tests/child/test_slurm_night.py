"""A real night in small through a real Slurm, where a node, the controller and the loop fall; and cron comes back.

About 15 minutes. By hand: LONG=1 bin/test -m slurm tests/child/test_slurm_night.py
"""

import os
import shutil
import signal
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import pytest
import slurm_cluster
from house import ROOT, House
from slurm_cluster import Cluster
from test_cron import PRIVATE_CRON, SBIN, private

ROWS = 12
PAIR = ("prepare.py", "train.py")

pytestmark = [
    pytest.mark.slurm,
    pytest.mark.long,
    private,
    pytest.mark.skipif(bool(slurm_cluster.missing()), reason=f"no '{slurm_cluster.missing()}'"),
    pytest.mark.skipif(not shutil.which("cron", path=SBIN), reason="there is no cron daemon on this machine"),
]


class Night:
    """A house with the real pair, its cluster, and the names of all jobs that it has seen, by their RUN_DIR."""

    def __init__(self, house: House, cluster: Cluster) -> None:
        self.house, self.cluster = house, cluster
        self.jobs: dict[str, set[str]] = defaultdict(set)

    def wait(self, condition: Callable[[], object], seconds: float = 900) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, self.told()
            self.look()
            time.sleep(0.5)

    def look(self) -> None:
        """Note the jobs: those that have ended are known to the controller for a minute."""
        for line in self.cluster.call("squeue", "-h", "-t", "all", "-o", "%j %k", check=False).splitlines():
            name, _, run_dir = line.partition(" ")
            self.jobs[run_dir].add(name)

    def at_work(self) -> dict[str, str]:
        """The names of the jobs at work in flights, by their RUN_DIR."""
        found = {}
        for folder in self.house.run_folder.glob("flights/f*/run.*"):
            if (folder / "pid").exists() and not (folder / "rc").exists():
                found[str(folder)] = (folder / "handle").read_text().split("\n")[0]
        return found

    def nodes(self) -> list[str]:
        return self.cluster.call("squeue", "-h", "-t", "R", "-o", "%N").split()

    def told(self) -> str:
        log = self.house.run_folder / "loop.log"
        return log.read_text() if log.exists() else ""

    def rows(self) -> int:
        """Without the baseline."""
        return len(self.house.rows()) - 1


def test_a_night_in_small(house: House, small_cache: Path, tmp_path: Path) -> None:
    for name in PAIR:
        shutil.copy(ROOT / name, house.tree / name)
    house.commit("the real pair")
    cluster = Cluster(tmp_path / "slurm")
    house.environment |= {
        "SLURM_CONF": cluster.environment["SLURM_CONF"],
        "AUTORESEARCH_CACHE": str(small_cache),
        "PROFILE": "small",
        "TIME_BUDGET": "5",
        "RUN_TIMEOUT": "300",
        "BASELINE_RUNS": "1",
        "ENGINE": "slurm",
        "SLOTS": "2",
    }
    try:
        cluster.start()
        house.setup()
        cron = ("unshare", "--mount", "--fork", "--kill-child", "bash", "-c", PRIVATE_CRON)
        with house.running(*cron, PATH=f"{house.environment['PATH']}:/usr/sbin"):
            has_a_night(Night(house, cluster))
    finally:
        cluster.stop()


def has_a_night(night: Night) -> None:
    house, cluster = night.house, night.cluster
    with house.running("bin/loop", AGENT="catalog", MAX_EXPERIMENTS=str(ROWS)) as loop:
        night.wait(lambda: night.rows() >= 2 and "n1" in night.nodes())
        cluster.lose("n1")
        night.wait(lambda: "without a result: NODE_FAIL" in night.told(), 120)
        cluster.start_node("n1")

        night.wait(lambda: night.rows() >= 4 and len(night.at_work()) == 2)
        cluster.kill("slurmctld")
        time.sleep(5)
        cluster.start_controller()

        # Shortly before cron looks, so that it starts the loop again while they are at work.
        night.wait(lambda: night.rows() >= 6 and len(night.at_work()) == 2 and time.time() % 60 > 50)
        left = night.at_work()
        os.killpg(loop.pid, signal.SIGKILL)
        loop.wait()
    night.wait(lambda: night.told().count("continuing a run that an earlier loop started") == 2, 180)
    night.wait(lambda: not (house.run_folder / "wanted").exists())
    night.wait(lambda: not house.is_held(), 60)

    assert {run_dir: night.jobs[run_dir] for run_dir in left} == {run_dir: {name} for run_dir, name in left.items()}
    assert house.call("bin/validate").status == 0
    assert night.rows() == ROWS
    assert len({row[0] for row in house.rows()}) == ROWS + 1
    assert {one["failure"] for one in house.experiments()} == {None}
    house.check_invariants()
    assert night.cluster.call("squeue", "-h") == ""
