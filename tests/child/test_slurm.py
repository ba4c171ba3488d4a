"""Engine `slurm` on a real Slurm of two nodes (slurm_cluster.py), and its runs when parts of that fail."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import slurm_cluster
from house import IMPROVE, ROOT, House
from lab.runs.outcome import Past, outcome_of
from slurm_cluster import MEMORY_GROUPS, Cluster, wait_until

pytestmark = [
    pytest.mark.slurm,
    pytest.mark.skipif(
        bool(slurm_cluster.missing()), reason=f"no '{slurm_cluster.missing()}': apt-get install slurmctld slurmd"
    ),
]

ENGINE = ROOT / "lib/child/engines/slurm"
ANOTHER_EACH_TIME = """n=1; until mkdir ~/call.$n 2>/dev/null; do n=$((n + 1)); done
sed -i "s/^VALUE = 1.0/VALUE = 1.$n/" train.py; echo "idea $n"
"""
WORK = ": >ready; sleep {}; exit 5"


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    cluster = Cluster(tmp_path_factory.mktemp("slurm"))
    try:
        yield cluster.start()
    finally:
        cluster.stop()


@pytest.fixture
def cluster(started: Cluster) -> Iterator[Cluster]:
    """It is whole again when the test is over."""
    yield started
    started.mend()


class Slurm:
    """The engine, and the runs of a test."""

    def __init__(self, folder: Path, cluster: Cluster) -> None:
        self.folder = folder
        self.environment = {**cluster.environment, "UV_PROJECT_ENVIRONMENT": sys.prefix, "LAB_RC_GRACE_S": "3"}
        self.processes: list[subprocess.Popen[str]] = []

    def run_dir(self, cmd: str, limit: int = 60, folder: Path | None = None) -> Path:
        run = (folder or self.folder) / "run"
        (run / "tree").mkdir(parents=True)
        facts = {"cmd": cmd, "cwd": f"{run}/tree", "limit_s": str(limit), "env": "PATH=/usr/bin:/bin\n"}
        for name, text in facts.items():
            (run / name).write_text(text)
        return run

    def start(self, run: Path, *options: str) -> subprocess.Popen[str]:
        command = [ENGINE, *options, run]
        self.processes.append(subprocess.Popen(command, env=self.environment, stderr=subprocess.PIPE, text=True))
        return self.processes[-1]

    def at_work(self, run: Path) -> subprocess.Popen[str]:
        process = self.start(run)
        wait_until((run / "tree/ready").exists, 60)
        return process

    def call(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        done = subprocess.run([ENGINE, *arguments], env=self.environment, capture_output=True, text=True, check=False)
        print(arguments, done)
        return done

    def end(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.terminate()
                process.wait(60)


@pytest.fixture
def slurm(tmp_path: Path, cluster: Cluster) -> Iterator[Slurm]:
    one = Slurm(tmp_path, cluster)
    yield one
    one.end()


def ends(process: subprocess.Popen[str], run: Path, status: int, said: str = "") -> None:
    """It has this status; there is a verdict, unless that is 125; and it has said so."""
    assert said in process.communicate(timeout=90)[1]
    assert process.returncode == status
    assert (run / "rc").exists() == (status != 125)


def ends_when_cancelled(run: Path) -> None:
    """The command of a run whose runner can be told by its folder alone."""
    (run / "cancelled").touch()  # the first that --cancel does
    pid = int((run / "pid").read_text())
    wait_until(lambda: not Path(f"/proc/{pid}").exists(), 15)


def job(run: Path) -> str:
    return (run / "handle").read_text().split("\n")[1]


def test_it_does_what_is_asked_of_an_engine(slurm: Slurm) -> None:
    checks = [sys.executable, ROOT / "lib/child/engine_check.py", ENGINE, slurm.folder]
    done = subprocess.run(checks, env=slurm.environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_a_run_has_the_gpu_that_slurm_gives(slurm: Slurm) -> None:
    slurm.environment["SLURM_OPTIONS"] = "--gres=gpu:1"
    run = slurm.run_dir("echo GPU $CUDA_VISIBLE_DEVICES")
    ends(slurm.start(run), run, 0)
    assert (run / "run.log").read_text() == "GPU 0\n"


# --- Parts of the cluster fail ---------------------------------------------------------------------------------------


def test_a_controller_that_is_killed_and_started_again(slurm: Slurm, cluster: Cluster) -> None:
    run = slurm.run_dir(WORK.format(6))
    process = slurm.at_work(run)
    cluster.kill("slurmctld")
    time.sleep(2)
    cluster.start_controller()
    ends(process, run, 5)


def test_a_run_that_ends_while_the_controller_is_down(slurm: Slurm, cluster: Cluster) -> None:
    run = slurm.run_dir(WORK.format(2))
    process = slurm.at_work(run)
    cluster.kill("slurmctld")
    ends(process, run, 5)


def test_no_controller(slurm: Slurm, cluster: Cluster) -> None:
    """Nothing can be submitted; and what is cancelled ends all the same."""
    run = slurm.run_dir(WORK.format(100))
    process = slurm.at_work(run)
    cluster.kill("slurmctld")
    other = slurm.run_dir("true", folder=slurm.folder / "other")
    ends(slurm.start(other), other, 125, "slurm: sbatch: ")
    done = slurm.call("--check")
    assert (done.returncode, done.stderr.split("\n")[0]) == (125, "slurm: the controller does not answer")
    ends_when_cancelled(run)
    cluster.start_controller()
    ends(process, run, 125)


def test_a_node_daemon_that_is_killed_and_started_again(slurm: Slurm, cluster: Cluster) -> None:
    run = slurm.run_dir(WORK.format(6))
    process = slurm.at_work(run)
    cluster.kill("slurmd-n1")
    time.sleep(1)
    cluster.start_node("n1")
    ends(process, run, 5)


def test_a_node_that_loses_its_power(slurm: Slurm, cluster: Cluster) -> None:
    run = slurm.run_dir(WORK.format(100))
    process = slurm.at_work(run)
    cluster.lose("n1")
    ends(process, run, 125, "ended without a result: NODE_FAIL")


def test_a_step_daemon_that_is_killed(slurm: Slurm, cluster: Cluster) -> None:
    """The runner is at work all the same, and Slurm may not know: it ends when it is cancelled."""
    run = slurm.run_dir(WORK.format(100))
    process = slurm.at_work(run)
    for pid in cluster.steps_of("n1"):
        os.kill(pid, signal.SIGKILL)
    ends_when_cancelled(run)
    process.kill()


# --- Others decide ---------------------------------------------------------------------------------------------------


def test_a_job_that_somebody_else_cancels(slurm: Slurm, cluster: Cluster) -> None:
    run = slurm.run_dir(WORK.format(100))
    process = slurm.at_work(run)
    cluster.call("scancel", job(run))
    ends(process, run, 125, "without a result: CANCELLED")


def test_a_job_is_never_requeued(slurm: Slurm, cluster: Cluster) -> None:
    """What its first start has left in the checkout would be there in the second; the loop submits it anew."""
    slurm.environment["SLURM_OPTIONS"] = "--requeue"
    run = slurm.run_dir(WORK.format(3))
    process = slurm.at_work(run)
    cluster.call("scontrol", "requeue", job(run), check=False)
    ends(process, run, 5)


@pytest.mark.parametrize("options", ["--gres=gpu:9", "--partition=none", "--no-such-option"])
def test_an_impossible_request_is_told_at_once(slurm: Slurm, options: str) -> None:
    slurm.environment["SLURM_OPTIONS"] = options
    run = slurm.run_dir("true")
    ends(slurm.start(run), run, 125, "slurm: sbatch: ")
    done = slurm.call("--check")
    assert done.returncode == 125
    assert "SLURM_OPTIONS" in done.stderr


def test_a_limit_above_that_of_the_partition_is_refused(slurm: Slurm, cluster: Cluster) -> None:
    """Slurm takes such a job, and lets it wait for ever."""
    run = slurm.run_dir("true", limit=4000)
    ends(slurm.start(run), run, 125, "can never start: PartitionTimeLimit\nhint: ")
    assert cluster.call("squeue", "--noheader") == ""


def test_a_queue_that_never_moves(slurm: Slurm, cluster: Cluster) -> None:
    for node in cluster.nodes:
        cluster.call("scontrol", "update", f"nodename={node}", "state=drain", "reason=test")
    run = slurm.run_dir("true")
    process = slurm.start(run)
    wait_until(lambda: slurm.call("--check", run).stdout == "pending\n")
    process.terminate()
    ends(process, run, 125)
    assert slurm.call("--check", run).stdout == "gone\n"


@pytest.mark.skipif(os.geteuid() or not MEMORY_GROUPS.exists(), reason="only root can limit memory, and in cgroup v1")
@pytest.mark.parametrize("also", ["", "kill -KILL $PPID"], ids=["the command", "the runner too"])
def test_what_a_memory_limit_ends_has_run_out_of_memory(tmp_path: Path, also: str) -> None:
    cluster = Cluster(tmp_path / "slurm", nodes=1).limit_memory()
    slurm = Slurm(tmp_path, cluster)
    slurm.environment["SLURM_OPTIONS"] = "--mem=150"
    run = slurm.run_dir(f"python3 -c 'bytearray(600 << 20)' || {also or 'exit $?'}")
    try:
        cluster.start()
        ends(slurm.start(run), run, 137)
    finally:
        slurm.end()
        cluster.stop()
    assert json.loads((run / "resources").read_text()).keys() == {"oom_kills"} or not also
    assert outcome_of(run, Past({}, [], [], tmp_path)).failure.word == "oom"  # type: ignore[union-attr]


def test_a_full_disk(slurm: Slurm) -> None:
    folder = slurm.folder / "disk"
    folder.mkdir()
    mount = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", folder], check=False, capture_output=True)
    if mount.returncode:
        pytest.skip("only root can mount a small disk")
    try:
        run = slurm.run_dir("head -c 2000000 /dev/zero; : >ready; sleep 1; exit 5", folder=folder)
        process = slurm.start(run)
        process.wait(60)
        assert process.returncode in (5, 125)
        assert (run / "rc").exists() == (process.returncode == 5)
    finally:
        slurm.end()
        subprocess.run(["umount", "--lazy", folder], check=True)


# --- The loop --------------------------------------------------------------------------------------------------------


def test_a_loop_that_is_killed_finds_its_runs_again(slowed: House, tmp_path: Path, cluster: Cluster) -> None:
    one = slowed.copy(tmp_path)
    one.environment |= {
        "SLURM_CONF": cluster.environment["SLURM_CONF"],
        "ENGINE": "slurm",
        "SLOTS": "2",
        "LAB_MINUTE": "1",
    }
    one.seconds.write_text("600")
    agent = one.proposer(ANOTHER_EACH_TIME)
    with one.running("bin/loop", AGENT=str(agent), MAX_EXPERIMENTS="2") as loop:
        wait_until(lambda: len(list(one.run_folder.glob("flights/f*/run.1/pid"))) == 2, 90)
        os.killpg(loop.pid, signal.SIGKILL)
    one.seconds.write_text("1")
    done = one.call("bin/loop", AGENT=str(agent), MAX_EXPERIMENTS="2")
    assert done.err.count("continuing a run that an earlier loop started") == 2
    assert len(one.rows()) == 3
    assert "without a result" not in (one.run_folder / "loop.log").read_text(), "nothing was submitted twice"


def test_a_run_that_the_cluster_loses_is_submitted_again(slowed: House, tmp_path: Path, cluster: Cluster) -> None:
    """It is no crash of the experiment."""
    one = slowed.copy(tmp_path)
    one.environment |= {
        "SLURM_CONF": cluster.environment["SLURM_CONF"],
        "ENGINE": "slurm",
        "LAB_RC_GRACE_S": "3",
        "LAB_MINUTE": "6",
    }
    one.seconds.write_text("3")
    with one.running("bin/loop", AGENT=str(one.proposer(IMPROVE)), MAX_EXPERIMENTS="1") as loop:
        wait_until(lambda: list(one.run_folder.glob("flights/f*/run.1/pid")), 60)
        with suppress(AssertionError):
            cluster.call("scancel", "--me")
        loop.wait(60)
    assert one.statuses() == ["keep", "keep"]
    assert "without a result: CANCELLED" in (one.run_folder / "loop.log").read_text()
