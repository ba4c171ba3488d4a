"""Engine `ray` on a real Ray: `make test-ray` starts one, in a network of its own. What kills it comes last."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from house import ENVIRONMENT, IMPROVE, ROOT, House
from ray_api import wait

ENGINE = ROOT / "lib/child/engines/ray"
LONGEST_S = 240
BEAT = ": >begun; while :; do date +%s%N >beat; sleep 0.1; done"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("ray"),
    pytest.mark.skipif("WITH_RAY_ROOT" not in os.environ, reason="no Ray was started: make test-ray"),
]


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Path]:
    """A RUN_DIR, whose command works until it is ended."""
    folder = tmp_path / "run"
    (folder / "tree").mkdir(parents=True)
    order(folder, BEAT)
    yield folder
    subprocess.run([ENGINE, "--cancel", folder], check=False, timeout=120)


def order(folder: Path, cmd: str, limit: float = 300) -> None:
    facts = {"cmd": cmd, "cwd": f"{folder}/tree", "limit_s": f"{limit:g}", "env": f"PATH={os.environ['PATH']}\n"}
    for name, text in facts.items():
        (folder / name).write_text(text)


def start(folder: Path, **environment: str) -> subprocess.Popen[str]:
    known = {**os.environ, "UV_PROJECT_ENVIRONMENT": str(ENVIRONMENT), "LAB_RC_GRACE_S": "5", **environment}
    return subprocess.Popen([ENGINE, folder], env=known, stderr=subprocess.PIPE, text=True)


def at_work(folder: Path, **environment: str) -> subprocess.Popen[str]:
    process = start(folder, **environment)
    wait(lambda: (folder / "tree/begun").exists(), LONGEST_S)
    return process


def ended_without_verdict(process: subprocess.Popen[str], folder: Path) -> str:
    said = process.communicate(timeout=LONGEST_S)[1]
    assert process.returncode == 125, said
    assert not (folder / "rc").exists()
    beat = (folder / "tree/beat").read_text()
    time.sleep(1.5)
    assert (folder / "tree/beat").read_text() == beat, "it is at work all the same"
    return said


def test_it_does_what_is_asked_of_an_engine() -> None:
    settings = {**os.environ, "ENGINE": "ray", "LONGEST_S": str(LONGEST_S)}
    done = subprocess.run(
        ["bin/engine-check"], cwd=ROOT, env=settings, capture_output=True, text=True, timeout=1800, check=False
    )
    print(done.stdout, done.stderr)
    assert done.returncode == 0


def test_a_night_in_small(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.environment["RAY_ADDRESS"] = os.environ["RAY_ADDRESS"]
    house.setup()
    settings = {"ENGINE": "ray", "SLOTS": "2", "MAX_EXPERIMENTS": "3", "AGENT": str(house.proposer(IMPROVE))}
    assert house.call("bin/loop", timeout=900, **settings).status == 0
    assert len(house.rows()) == 4
    assert "crash" not in house.statuses()
    house.check_invariants()


def test_what_somebody_else_stops_gives_no_verdict(run: Path) -> None:
    order(run, "trap 'exit 0' TERM; " + BEAT)
    process = at_work(run)
    ray, name = ROOT / ".agents-cli/ray/bin/ray", (run / "handle").read_text().splitlines()[0]
    subprocess.run([ray, "job", "stop", "--address", os.environ["RAY_ADDRESS"], name], capture_output=True, check=True)
    assert "without a result" in ended_without_verdict(process, run)


def test_more_gpus_than_there_are(run: Path) -> None:
    process = start(run, RAY_OPTIONS='{"entrypoint_num_gpus": 99}')
    wait(lambda: (run / "handle").exists(), LONGEST_S)
    wait(
        lambda: subprocess.run([ENGINE, "--check", run], capture_output=True, check=False).stdout == b"pending\n",
        LONGEST_S,
    )
    process.send_signal(signal.SIGTERM)
    said = process.communicate(timeout=120)[1]
    assert (process.returncode, "needs 99 GPU, but all hosts have 2" in said) == (125, True)


def test_the_host_is_lost(run: Path) -> None:
    """Its raylet is killed; there is no other host, and nothing that could be asked after this."""
    order(run, BEAT, limit=20)
    process = at_work(run, LAB_RAY_MARGIN_S="20", LAB_RAY_LOST_S="60")
    subprocess.run(["pkill", "-KILL", "-f", f"raylet/raylet .*{os.environ['WITH_RAY_ROOT']}"], check=True)
    ended_without_verdict(process, run)
