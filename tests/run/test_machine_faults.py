"""What the machine does to a run is no experiment's crash: no row, wait, try again, tell."""

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from house import ROOT, TRAIN, House, shared

# Fails as on a full disk while ~/full is there, and with what is in ~/says; what df says of the disk is a file, too.
TRAINER = TRAIN.replace(
    "VALUE =",
    "import os\nif os.path.exists(os.path.expanduser('~/full')):\n    raise OSError(28, 'No space left on device')\n"
    "if os.path.exists(says := os.path.expanduser('~/says')):\n    raise SystemExit(open(says).read())\n"
    "VALUE =",
    1,
)
# Or fills the disk by itself, where it is told to.
TRAINER += """
if VALUE < 1 and os.path.exists(os.path.expanduser("~/saves")):
    os.makedirs("ckpt")
    os.truncate(os.open("ckpt/big.pt", os.O_CREAT | os.O_RDWR), 300_000_000)
    raise OSError(28, "No space left on device")
"""
DF = 'printf "Avail Inodes IFree Mounted\\n%s 9999 9999 /\\n" "$(cat ~/free)"'


def machine_house(folder: Path) -> House:
    house = House(folder, TRAINER)
    (house.outside / "fakes").mkdir()
    house.proposer(DF, "fakes/df")
    house.environment["PATH"] = f"{house.outside}/fakes:{house.environment['PATH']}"
    house.environment["LAB_MINUTE"] = "1"
    fill(house, 5000)
    house.setup()
    house.baseline()
    return house


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> House:
    """A run with its baseline, on a machine whose disk a test can fill."""
    return shared(tmp_path_factory, "machine", machine_house)


@pytest.fixture
def machine(made: House, tmp_path: Path) -> House:
    return made.copy(tmp_path)


def fill(house: House, free: int, *, is_full: bool = False) -> None:
    """So many MB are free from now on, and a training run fails for it, or does not."""
    (house.outside / "home/free").write_text(str(free))
    full = house.outside / "home/full"
    full.touch() if is_full else full.unlink(missing_ok=True)


@pytest.mark.slow
def test_a_loop_waits_and_goes_on_by_itself(machine: House) -> None:
    fill(machine, 5, is_full=True)
    (machine.run_folder / "old").mkdir()
    (machine.run_folder / "old/big.pt").write_bytes(bytes(120 << 20))
    with machine.running("bin/loop", AGENT=str(machine.setting("0.9")), MAX_EXPERIMENTS="1") as process:
        machine.wait_for("runs/mar14/trouble.machine")
        committed = (machine.flight / "commit").read_text().strip()
        status = machine.call("bin/status").out
        assert "trouble   20" in status
        assert "the disk is full: 5 MB free on '/'" in status
        assert "the largest part of runs/ is 'runs/mar14/old': 121 MB; checking" in status
        assert len(machine.rows()) == 1
        fill(machine, 5000)
        assert process.wait(20) == 0
    assert machine.statuses() == ["keep", "keep"]
    assert machine.experiments()[1]["commit"] == committed, "the proposal is measured, not thrown away"
    assert len(machine.experiments()[1]["runs"]) == 1  # type: ignore[arg-type]
    assert not (machine.run_folder / "trouble.machine").exists()
    machine.check_invariants()


def test_a_loop_that_waits_can_be_stopped(machine: House) -> None:
    fill(machine, 5, is_full=True)
    with machine.running("bin/loop", AGENT=str(machine.setting("0.9")), LAB_MINUTE="600") as process:
        machine.wait_for("runs/mar14/trouble.machine")
        assert machine.call("bin/stop").status == 0
        assert process.wait(10) == 0
    assert len(machine.rows()) == 1


@pytest.mark.slow
def test_one_experiment_says_what_is_wrong_and_is_measured_later(machine: House) -> None:
    fill(machine, 5, is_full=True)
    result = machine.once(machine.setting("0.9"))
    assert result.status == 2
    assert "experiment: the disk is full: 5 MB free on '/'\nhint: " in result.err
    assert len(machine.rows()) == 1
    fill(machine, 5000)
    assert machine.once("/bin/false").status == 0
    assert machine.statuses() == ["keep", "keep"]
    machine.check_invariants()


def test_where_nothing_is_found_the_log_is_believed_twice(machine: House) -> None:
    """An experiment can print what it likes."""
    claim = "[[ $LAB_MODE == propose ]] || exit 0\nsed -i '1i raise OSError(28, \"No space left on device\")' train.py"
    assert machine.once(machine.proposer(claim)).status == 0
    last = machine.experiments()[-1]
    assert (last["status"], last["failure"], last["attempts"]) == ("crash", "error", 3)
    assert "No space left on device" in str(last["reason"])
    machine.check_invariants()


def test_a_run_that_fills_the_disk_does_not_keep_it_full_and_is_named(machine: House) -> None:
    """What it leaves in its checkout would be there until the next run, which waits for the disk."""
    fill(machine, 5000)
    free = '"$([[ -e ~/../tree/runs/mar14/slots/0/ckpt ]] && echo 5 || cat ~/free)"'
    machine.proposer(DF.replace('"$(cat ~/free)"', free), "fakes/df")
    (machine.outside / "home/saves").touch()
    result = machine.once(machine.setting("0.9"))
    assert result.status == 0
    assert machine.statuses() == ["keep", "crash"]
    left = "'ckpt/big.pt', 286 MB, which a run had left in its checkout"
    assert f"deleted to make room on the disk: {left}" in result.err
    machine.check_invariants()


def test_where_the_incumbent_fails_as_well_it_is_the_machine(machine: House) -> None:
    """Whatever a look says."""
    fill(machine, 5000, is_full=True)
    result = machine.once(machine.setting("0.9"))
    assert result.status == 2
    assert "experiment: the disk is full\nhint: " in result.err
    assert len(machine.rows()) == 1
    fill(machine, 5000)
    assert machine.once("/bin/false").status == 0
    assert machine.statuses() == ["keep", "keep"]
    machine.check_invariants()


AWAY = "httpx.ConnectError: [Errno -3] Temporary failure in name resolution"
CLAIM = f"[[ $LAB_MODE == propose ]] || exit 0; sed -i '1i raise SystemExit(\"{AWAY}\")' train.py; echo 'fetch it'"


def test_a_network_that_is_away_is_waited_for(machine: House) -> None:
    """No look can tell: the candidate is run again, and then the incumbent's code, which fails, too."""
    (machine.outside / "home/says").write_text(AWAY)
    with machine.running("bin/loop", AGENT=str(machine.setting("0.9")), MAX_EXPERIMENTS="1") as process:
        machine.wait_for("runs/mar14/trouble.machine")
        told = machine.call("bin/status").out
        assert "the network or a server does not answer: httpx.ConnectError" in told
        log = machine.run_folder / "loop.log"
        deadline = time.monotonic() + 20
        while "checking again in 4 s" not in log.read_text():
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        (machine.outside / "home/says").unlink()
        assert process.wait(20) == 0
    assert machine.statuses() == ["keep", "keep"]
    assert not (machine.run_folder / "trouble.machine").exists()
    machine.check_invariants()


def test_an_experiment_that_blames_the_network_is_a_crash_where_the_incumbent_runs(machine: House) -> None:
    result = machine.once(machine.proposer(CLAIM))
    assert result.status == 0
    last = machine.experiments()[-1]
    assert (last["status"], last["failure"]) == ("crash", "error")
    assert str(last["reason"]).endswith(AWAY)
    assert "running the incumbent to check whether the machine is at fault" in result.err
    assert "httpx" in machine.call("bin/show", N="2").out
    machine.check_invariants()


def test_in_the_sandbox_there_is_no_network_to_wait_for(machine: House) -> None:
    (machine.outside / "home/says").write_text(AWAY)
    result = machine.once(machine.setting("0.9"), CONFINE="yes")
    if "bubblewrap does not work here" in result.err:
        pytest.skip("no bubblewrap")
    assert machine.statuses() == ["keep", "crash"]
    assert "measuring again" not in result.err


def test_a_baseline_that_finds_no_network_is_no_crash(tmp_path: Path) -> None:
    house = House(tmp_path, TRAINER)
    house.setup()
    (house.outside / "home/says").write_text(AWAY)
    result = house.once("/bin/false")
    assert result.status == 2
    assert "experiment: the network or a server does not answer: httpx.ConnectError" in result.err
    (house.outside / "home/says").unlink()
    house.baseline()
    assert house.statuses() == ["keep"]


@pytest.mark.parametrize(
    ("said", "status", "told"),
    [
        (r"one\ntwo\n\n", 1, "two"),
        (r"\033[1mred\033[0m\n", 1, "?[1mred?[0m"),
        ("", 1, "exit status 1"),
        (r"\n \n", 7, "exit status 7"),
        ("busy", 124, "no answer within 60 s"),
    ],
)
def test_what_a_look_has_found_is_never_nothing(tmp_path: Path, said: str, status: int, told: str) -> None:
    sources = "".join(f"source {ROOT}/lib/{name}.sh\n" for name in ("common", "child/run_child", "run/machine_faults"))
    script = sources + 'FOUND=\nlook \'it is broken\' bash -c \'printf %b "$1"; exit $2\' it "$@"\nprintf %s "$FOUND"'
    found = subprocess.run(["bash", "-c", script, "it", said, str(status)], capture_output=True, text=True, check=True)
    assert found.stdout == f"it is broken: {told}"


def test_a_full_disk_that_stops_the_toolkit_itself_is_waited_for(machine: House) -> None:
    machine.add_step("81-writes", "# Reads nothing; writes nothing.\n[[ $(cat ~/free) -gt 100 ]]\n")
    machine.setup(TAG="mar15", FROM="HEAD")
    run = machine.tree / "runs/mar15"
    fill(machine, 5)
    with machine.running("bin/loop", AGENT=str(machine.setting("0.9")), MAX_EXPERIMENTS="1") as process:
        machine.wait_for("runs/mar15/trouble.machine")
        fill(machine, 5000)
        assert process.wait(20) == 0
    assert len((run / "results.tsv").read_text().splitlines()) == 3


@pytest.mark.parametrize("asked", ["at its start", "after a run"])
def test_a_loop_that_looks_at_a_broken_gpu_can_be_stopped(machine: House, asked: str) -> None:
    """A driver that is ill answers after minutes, or never."""
    shutil.copy(ROOT / "tests/examples/failures/gpu-held.1.log", machine.outside / "home/says")
    first = "[[ $1 != -L ]] || exit 9; " if asked == "after a run" else ""
    machine.proposer(f"{first}touch ~/looked; sleep 60", "fakes/nvidia-smi")
    with machine.running("bin/loop", AGENT=str(machine.setting("0.9"))) as process:
        machine.wait_for("../home/looked")
        process.terminate()
        assert process.wait(5) == 143
    assert machine.left_running() == []
    assert len(machine.rows()) == 1


# --- what a training run leaves --------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_log_of_100_mb_is_cut(tmp_path: Path) -> None:
    house = House(tmp_path, TRAIN + "print('first'); print('x' * 100_000_000); print('last')\n")
    house.setup()
    house.baseline()
    log = (house.run_folder / "run.log").read_bytes()
    assert len(log) == 64 * 1024 * 1024
    assert log.startswith(b"---")
    assert log.endswith(b"x\nlast\n")


def test_the_oldest_logs_go_first(run: House) -> None:
    logs = run.run_folder / "logs"
    logs.mkdir()
    for age in (3, 2, 1):
        path = logs / f"000000{age}-1.log.gz"
        path.write_bytes(b"x" * 600_000)
        os.utime(path, (time.time() - 1000 * age,) * 2)
    assert run.once(run.setting("0.9"), LOGS_MB="1").status == 0
    assert "0000001-1.log.gz" in {path.name for path in logs.iterdir()}
    assert not {"0000002-1.log.gz", "0000003-1.log.gz"} & {path.name for path in logs.iterdir()}
    assert len(run.rows()) == 2
