"""Engine `ray`, against a stand-in for its job API; `make test-ray` asks a real one."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from house import ENVIRONMENT, ROOT
from ray_api import Api, wait

ENGINE = ROOT / "lib/child/engines/ray"


class Ray:
    """The engine in an environment of its own, a RUN_DIR, and a cluster."""

    def __init__(self, folder: Path, api: Api) -> None:
        self.api, self.folder, self.run = api, folder, folder / "run"
        (self.run / "tree").mkdir(parents=True)
        self.order("echo val_bpb: 1.0; exit 7")
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "UV_PROJECT_ENVIRONMENT": str(ENVIRONMENT),
            "RAY_ADDRESS": api.address,
            "LAB_RC_GRACE_S": "1",
        }

    def order(self, cmd: str, limit: float = 30) -> None:
        for name, text in {
            "cmd": cmd,
            "cwd": f"{self.run}/tree",
            "limit_s": str(limit),
            "env": "PATH=/usr/bin:/bin\n",
        }.items():
            (self.run / name).write_text(text)

    def call(self, *arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
        command = [str(ENGINE), *map(str, arguments)]
        known = {**self.environment, **environment}
        done = subprocess.run(command, env=known, capture_output=True, text=True, timeout=60, check=False)
        print(done)
        return done

    def start(self, *arguments: str | Path, **environment: str) -> subprocess.Popen[str]:
        command = [str(ENGINE), *map(str, arguments)]
        known = {**self.environment, **environment}
        return subprocess.Popen(command, env=known, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def at_work(self, cmd: str = ": >begun; sleep 60", **environment: str) -> subprocess.Popen[str]:
        self.order(cmd)
        process = self.start(self.run, **environment)
        wait(lambda: (self.run / "tree/begun").exists())
        return process

    @property
    def name(self) -> str:
        return (self.run / "handle").read_text().splitlines()[0]

    def state(self) -> str:
        return self.call("--check", self.run).stdout


@pytest.fixture
def ray(tmp_path: Path) -> Iterator[Ray]:
    api = Api()
    yield Ray(tmp_path, api)
    api.close()


def test_a_run_comes_to_its_end(ray: Ray) -> None:
    ray.order("env; exit 7")
    done = ray.call(ray.run, GPUS_PER_SLOT="2", MY_API_KEY="hunter2")
    assert (done.returncode, done.stdout + done.stderr, (ray.run / "rc").read_text()) == (7, "", "7\n")
    job = ray.api.jobs[ray.name]
    assert (job["entrypoint_num_cpus"], job["entrypoint_num_gpus"]) == (1, 2)
    seen = (ray.run / "run.log").read_text()
    assert "CUDA_VISIBLE_DEVICES=1\n" in seen
    assert "OF_THE_HEAD" not in seen
    assert "hunter2" not in seen + json.dumps(job) + (ray.run / "handle").read_text()
    assert (ray.state(), ray.call("--cancel", ray.run).returncode) == ("gone\n", 0)


def test_what_a_submission_has_is_said_in_one_setting(ray: Ray) -> None:
    ray.api.total = {"CPU": [0.0, 2.0]}
    done = ray.call(ray.run, RAY_OPTIONS='{"entrypoint_num_cpus": 4, "entrypoint_resources": {"a100": 1}}')
    job = ray.api.jobs[ray.name]
    assert (job["entrypoint_num_cpus"], job["entrypoint_num_gpus"]) == (4, 0), "a cluster without GPUs gives none"
    assert job["entrypoint_resources"] == {"a100": 1}
    assert done.stderr == "ray: a run needs 4 CPU, but all hosts have 2: it waits for more\n"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"RAY_OPTIONS": "--num-gpus 1"}, "ray: RAY_OPTIONS is not a JSON object: '--num-gpus 1'\nhint: "),
        ({"RAY_OPTIONS": "[1]"}, "ray: RAY_OPTIONS is not a JSON object: '[1]'\nhint: "),
        ({"RAY_ADDRESS": "auto"}, "ray: RAY_ADDRESS 'auto' is not the address of Ray's dashboard"),
        ({"RAY_ADDRESS": "ray://head:10001"}, "ray: RAY_ADDRESS 'ray://head:10001' is not the address"),
        ({"RAY_ADDRESS": "http://127.0.0.1:9"}, "ray: no Ray answers at 'http://127.0.0.1:9': "),
    ],
)
def test_what_is_wrong_is_said(ray: Ray, settings: dict[str, str], said: str) -> None:
    for arguments in (["--check"], [ray.run]):
        done = ray.call(*arguments, **settings)
        assert (done.returncode, done.stdout) == (125, "")
        assert done.stderr.startswith(
            said if arguments == ["--check"] or "9" not in said else "ray: cannot submit a job"
        )
        assert "\nhint: " in done.stderr
    assert not (ray.run / "rc").exists()


@pytest.mark.parametrize("fault", ["stranger", "ill"])
def test_an_answer_that_is_not_rays(ray: Ray, fault: str) -> None:
    ray.api.faults.add(fault)
    assert ray.call("--check").returncode == 125


def test_a_token(ray: Ray) -> None:
    assert ray.call("--check").returncode == 0
    assert set(ray.api.tokens) == {None}
    (ray.folder / ".ray").mkdir()
    (ray.folder / ".ray/auth_token").write_text("of-the-file\n")
    ray.call("--check")
    ray.call("--check", RAY_AUTH_TOKEN="of-the-shell")
    assert {"Bearer of-the-file", "Bearer of-the-shell"} == set(ray.api.tokens) - {None}


def test_a_submission_that_is_refused(ray: Ray) -> None:
    ray.api.faults.add("refuses")
    done = ray.call(ray.run)
    assert done.returncode == 125
    assert "ValueError: no such runtime_env" in done.stderr


def test_a_job_that_waited_for_too_long_is_submitted_again(ray: Ray) -> None:
    """Ray gives up after 15 minutes in its queue: the run has not begun, and is nobody's fault."""
    ray.api.faults.add("expires")
    assert ray.call(ray.run).returncode == 7
    assert len(ray.api.jobs) == 2


def test_a_host_that_is_lost_gives_no_verdict(ray: Ray) -> None:
    process = ray.at_work()
    ray.api.lose_host(ray.name)
    said = process.communicate(timeout=30)[0]
    assert (process.returncode, (ray.run / "rc").exists()) == (125, False)
    assert "its node has died" in said


def test_what_somebody_else_has_stopped_gives_no_verdict(ray: Ray) -> None:
    process = ray.at_work("trap 'echo val_bpb: 1; exit 0' TERM; : >begun; sleep 60 & wait")
    ray.api.stop(ray.name)
    assert process.wait(30) == 125
    assert not (ray.run / "rc").exists()


def test_a_cluster_that_is_silent_for_too_long(ray: Ray) -> None:
    """Its runner ends by itself: it may not meet the one that takes its place."""
    process = ray.at_work(LAB_RAY_LOST_S="1")
    ray.api.faults.add("ill")
    said = process.communicate(timeout=60)[0]
    assert process.returncode == 125
    assert "has not answered for 1 s: HTTP 500: RuntimeError: GCS is gone" in said
    assert ray.api.children[ray.name].wait(20) == 125


def test_an_end_counts_while_the_cluster_is_silent(ray: Ray) -> None:
    process = ray.at_work(": >begun; until [ -e end ]; do sleep 0.05; done; exit 3")
    ray.api.faults.add("ill")
    (ray.run / "tree/end").touch()
    assert process.wait(30) == 3


def test_a_job_that_ray_says_is_running_for_ever(ray: Ray) -> None:
    """Its raylet was killed, and the runner with it."""
    process = ray.at_work(LAB_RAY_MARGIN_S="-29")
    ray.api.faults.add("blind")
    assert process.wait(60) == 125
    assert (ray.run / "cancelled").exists()


def test_a_job_that_waits_is_pending_and_can_be_cancelled(ray: Ray) -> None:
    ray.api.faults.add("full")
    process = ray.start(ray.run)
    wait(lambda: ray.api.jobs)
    assert ray.state() == "pending\n"
    assert ray.call("--cancel", ray.run).returncode == 0
    ray.api.begin(ray.name)  # Ray cannot stop it before
    assert ray.api.children[ray.name].wait(20) == 125
    assert process.wait(30) == 125
    assert not (ray.run / "started").exists()


def test_a_job_outlives_its_loop_and_is_waited_for(ray: Ray) -> None:
    with subprocess.Popen(["sleep", "60"]) as holder:
        process = ray.at_work(": >begun; until [ -e end ]; do sleep 0.05; done; exit 3", LAB_HOLDER=str(holder.pid))
        holder.kill()
        holder.wait()
        assert process.wait(20) == 125
    assert ray.state() == "running\n"
    again = ray.start("--wait", ray.run)
    (ray.run / "tree/end").touch()
    assert again.wait(20) == 3
    assert len(ray.api.jobs) == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_stop_ends_the_job(ray: Ray, number: signal.Signals) -> None:
    process = ray.at_work()
    process.send_signal(number)
    assert process.wait(30) == 125
    assert ray.api.children[ray.name].wait(5) == 125
    assert not (ray.run / "rc").exists()


def test_who_does_not_know_it(ray: Ray) -> None:
    assert ray.call().returncode == 2
    assert ray.call("--help").returncode == 2
    assert ray.call("--wait", ray.run).returncode == 125
    assert ray.call(ray.folder / "none").returncode == 125
