"""Which GPUs there are, which of them a slot has, and what becomes of a slot whose GPU fails."""

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from house import ROOT, TRAIN, House, shared

ASKS = f"""
source '{ROOT}/lib/common.sh'
source '{ROOT}/lib/child/run_child.sh'
source '{ROOT}/lib/experiment/slots.sh'
set_slots
printf '%s|%s' "$SLOTS" "$GPUS"
for ((slot = 0; slot < SLOTS; slot++)); do printf '|%s' "$(gpus_of "$slot")"; done
"""
TWO = "GPU 0: NVIDIA H100 80GB HBM3 (UUID: GPU-aaaa)\nGPU 1: NVIDIA H100 80GB HBM3 (UUID: GPU-bbbb)\n"
EIGHT = "".join(f"GPU {n}: NVIDIA A100-SXM4-80GB (UUID: GPU-{n:04})\n" for n in range(8))
MIG = """\
GPU 0: NVIDIA A100-SXM4-40GB (UUID: GPU-aaaa)
  MIG 3g.20gb     Device  0: (UUID: MIG-1111)
  MIG 3g.20gb     Device  1: (UUID: MIG-GPU-2222/1/0)
GPU 1: NVIDIA A100-SXM4-40GB (UUID: GPU-bbbb)
"""


def slots(tmp_path: Path, listed: str | None, **settings: str) -> tuple[str, str, list[str]]:
    """SLOTS, GPUS, and the GPUs of each slot, where nvidia-smi lists this."""
    if listed is not None:
        (tmp_path / "list").write_text(listed)
        (tmp_path / "nvidia-smi").write_text(f'#!/bin/sh\n[ "$*" = -L ] && cat {tmp_path}/list\n')
        (tmp_path / "nvidia-smi").chmod(0o755)
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "HOME": str(tmp_path), "GPUS_PER_SLOT": "1", **settings}
    done = subprocess.run(["bash", "-c", ASKS], env=environment, capture_output=True, text=True, check=True, timeout=20)
    number, gpus, *shares = done.stdout.split("|")
    return number, gpus, shares


@pytest.mark.parametrize(
    ("listed", "settings", "expected"),
    [
        (None, {}, ("1", "", [""])),
        ("", {}, ("1", "", [""])),
        ("No devices found.\n", {}, ("1", "", [""])),
        (None, {"SLOTS": "3"}, ("3", "", ["", "", ""])),
        (TWO, {}, ("2", "0,1", ["0", "1"])),
        (TWO, {"SLOTS": "1"}, ("1", "0,1", ["0"])),
        (TWO, {"SLOTS": "3"}, ("3", "0,1", ["0", "1", "0"])),
        (TWO, {"GPUS_PER_SLOT": "2"}, ("1", "0,1", ["0,1"])),
        (TWO, {"GPUS_PER_SLOT": "4"}, ("1", "0,1", ["0,1"])),
        (EIGHT, {"GPUS_PER_SLOT": "3"}, ("2", "0,1,2,3,4,5,6,7", ["0,1,2", "3,4,5"])),
        (EIGHT, {"GPUS_PER_SLOT": "4", "SLOTS": "3"}, ("3", "0,1,2,3,4,5,6,7", ["0,1,2,3", "4,5,6,7", "0,1,2,3"])),
        (MIG, {}, ("3", "MIG-1111,MIG-GPU-2222/1/0,1", ["MIG-1111", "MIG-GPU-2222/1/0", "1"])),
        (EIGHT, {"CUDA_VISIBLE_DEVICES": "5"}, ("1", "5", ["5"])),
        (EIGHT, {"CUDA_VISIBLE_DEVICES": "2, 7"}, ("2", "2,7", ["2", "7"])),
        (EIGHT, {"CUDA_VISIBLE_DEVICES": "GPU-0003,GPU-0001"}, ("2", "GPU-0003,GPU-0001", ["GPU-0003", "GPU-0001"])),
        (EIGHT, {"CUDA_VISIBLE_DEVICES": "MIG-1,MIG-2", "GPUS_PER_SLOT": "2"}, ("1", "MIG-1,MIG-2", ["MIG-1,MIG-2"])),
        (EIGHT, {"CUDA_VISIBLE_DEVICES": ""}, ("1", "", [""])),
        (EIGHT, {"CUDA_VISIBLE_DEVICES": "-1"}, ("1", "", [""])),
    ],
)
def test_the_gpus_of_slots(
    tmp_path: Path, listed: str | None, settings: dict[str, str], expected: tuple[str, str, list[str]]
) -> None:
    assert slots(tmp_path, listed, **settings) == expected


# --- in a loop -------------------------------------------------------------------------------------------------------

# The training says which GPUs it sees, and waits until ~/together have begun. With one that ~/broken.<gpus> names it
# ends as torch does there; with ~/held.<gpus>, as where others hold its memory.
GPU = """\
import os, time
def home(name): return os.path.expanduser("~/" + name)
mine = os.environ.get("CUDA_VISIBLE_DEVICES", "none")
print("sees", mine)
open(home("begun"), "a").write(mine + "\\n")
open(home("pid." + mine), "w").write(str(os.getpid()))
while len(open(home("begun")).readlines()) < int(open(home("together")).read()): time.sleep(0.02)
while os.path.exists(home("wait." + mine)): time.sleep(0.02)
for name in ("broken", "held"):
    if os.path.exists(home(f"{name}.{mine}")):
        raise SystemExit(open(home(f"{name}.log")).read())
"""
# What the look at a GPU imports.
TORCH = """
import os
def zeros(size, device):
    if os.path.exists(os.path.expanduser("~/broken." + os.environ.get("CUDA_VISIBLE_DEVICES", "0"))):
        raise RuntimeError("No CUDA GPUs are available")
"""
WORSE = 'n=1; until mkdir ~/call.$n 2>/dev/null; do n=$((n + 1)); done; sed -i "s/^VALUE = 1.0/VALUE = 1.$n/" train.py'


def gpu_house(folder: Path) -> House:
    house = House(folder, GPU + TRAIN)
    for name, text in (("begun", ""), ("together", "0")):
        (folder / "home" / name).write_text(text)
    for name, example in (("broken", "gpu-gone.1.log"), ("held", "gpu-held.1.log")):
        shutil.copy(ROOT / "tests/examples/failures" / example, folder / "home" / f"{name}.log")
    (folder / "python").mkdir()
    (folder / "python/torch.py").write_text(TORCH)
    house.environment |= {"PYTHONPATH": str(folder / "python"), "LAB_MINUTE": "1", "SLOTS": "2"}
    nvidia_smi(house, "")
    house.setup()
    house.baseline()
    (folder / "home/begun").write_text("")
    return house


def nvidia_smi(house: House, held: str) -> None:
    """Two GPUs; and what it says, by shell, of the processes on one that it is asked for."""
    (house.outside / "fakes").mkdir(exist_ok=True)
    house.proposer(f"case $* in\n-L) printf '{TWO}' ;;\n--id=1\\ *) {held or ':'} ;;\nesac", "fakes/nvidia-smi")
    path = house.environment["PATH"].removeprefix(f"{house.outside}/fakes:")
    house.environment["PATH"] = f"{house.outside}/fakes:{path}"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> House:
    return shared(tmp_path_factory, "gpus", gpu_house)


@pytest.fixture
def run(made: House, tmp_path: Path) -> House:
    """A run with its baseline, on a machine with two GPUs."""
    return made.copy(tmp_path)


def begun(house: House) -> list[str]:
    """The GPUs that each training has seen."""
    return (house.outside / "home/begun").read_text().split()


def told(house: House) -> str:
    return (house.run_folder / "loop.log").read_text()


@pytest.mark.slow
def test_each_slot_sees_its_own_gpu(run: House) -> None:
    (run.outside / "home/together").write_text("2")
    assert run.loop(4, run.proposer(WORSE), SLOTS="").status == 2, "set but empty"
    del run.environment["SLOTS"]
    assert run.loop(4, run.proposer(WORSE)).status == 0
    assert set(begun(run)) == {"0", "1"}
    assert "2 at a time" in told(run)
    run.check_invariants()


@pytest.mark.slow
def test_a_person_may_leave_some_of_the_gpus_to_others(run: House) -> None:
    del run.environment["SLOTS"]
    assert run.loop(2, run.proposer(WORSE), CUDA_VISIBLE_DEVICES="1").status == 0
    assert begun(run) == ["1", "1"]


@pytest.mark.slow
def test_a_slot_whose_gpu_fails_is_taken_out_and_comes_back_when_it_is_fit(run: House) -> None:
    """Its experiment is measured in another slot; the machine is at fault: that is no crash."""
    home = run.outside / "home"
    (home / "broken.1").touch()
    (home / "together").write_text("2")
    with run.running("bin/loop", MAX_EXPERIMENTS="24", AGENT=str(run.proposer(f"sleep 0.2; {WORSE}"))) as process:
        run.wait_for("runs/mar14/slots/1.out")
        while "slot 1 is out of use, the others continue: no usable GPU" not in told(run):
            assert process.poll() is None
        rows = len(run.rows())
        while len(run.rows()) < rows + 3:
            assert process.poll() is None
        assert (run.run_folder / "slots/1.out").exists()
        assert begun(run).count("1") == 1
        (home / "broken.1").unlink()
        while "slot 1 works again" not in told(run):
            assert process.poll() is None
        (home / "together").write_text(str(len(begun(run)) + 2))  # two more at once, so both slots
        assert process.wait(60) == 0
    assert begun(run).count("1") > 1, "it is used again"
    assert run.statuses() == ["keep", *["discard"] * 24]
    assert len(begun(run)) == 25
    run.check_invariants()


def test_where_no_other_slot_is_left_the_run_waits_for_the_machine(run: House) -> None:
    home = run.outside / "home"
    for gpu in ("0", "1"):
        (home / f"broken.{gpu}").touch()
    (home / "together").write_text("2")
    with run.running("bin/loop", MAX_EXPERIMENTS="2", AGENT=str(run.proposer(WORSE))) as process:
        run.wait_for("runs/mar14/trouble.machine")
        assert "no usable GPU" in told(run)
        for gpu in ("0", "1"):
            (home / f"broken.{gpu}").unlink()
        assert process.wait(60) == 0
    assert run.statuses() == ["keep", "discard", "discard"]
    run.check_invariants()


def test_a_slot_that_was_out_is_tried_again_at_the_next_start(run: House) -> None:
    """By any verb: none but a loop would look at it."""
    for slot in ("0", "1"):
        (run.run_folder / f"slots/{slot}.out").write_text("no GPU\n")
    assert run.once(run.proposer(WORSE)).status == 0


OTHER = f"printf '{os.getpid()}, 70000 MiB, python\\n'"
OURS = "sed 's/$/, 70000 MiB, python/' ~/pid.0"


@pytest.mark.first_case
@pytest.mark.parametrize(
    ("holder", "told_so"),
    [
        (OTHER, "slot 1 is out of use, the others continue: another process uses the GPU"),
        (OURS, "slot 1 is out of use, the others continue: another process uses the GPU's memory"),
    ],
    ids=["another process", "another slot"],
)
def test_memory_that_somebody_else_holds_is_no_fault_of_an_experiment(run: House, holder: str, told_so: str) -> None:
    """A look tells of others; that it is held by another slot, the incumbent's code finds, too."""
    home = run.outside / "home"
    nvidia_smi(run, holder)
    for name, text in (("held.1", ""), ("wait.0", ""), ("together", "2")):
        (home / name).write_text(text)
    with run.running("bin/loop", MAX_EXPERIMENTS="2", AGENT=str(run.proposer(WORSE))) as process:
        while told_so not in told(run):
            assert process.poll() is None
            time.sleep(0.1)
        (home / "wait.0").unlink()
        (home / "held.1").unlink()
        assert process.wait(30) == 0
    assert len(run.rows()) == 3
    run.check_invariants()


def test_a_loop_that_waits_for_all_its_gpus_can_be_stopped(run: House) -> None:
    home = run.outside / "home"
    for gpu in ("0", "1"):
        (home / f"broken.{gpu}").touch()
    with run.running("bin/loop", AGENT=str(run.proposer(WORSE))) as process:
        run.wait_for("runs/mar14/trouble.machine")
        assert run.call("bin/stop").status == 0
        assert process.wait(20) == 0
    assert len(run.rows()) == 1
    for gpu in ("0", "1"):
        (home / f"broken.{gpu}").unlink()
    assert run.loop(2, "/bin/false").status == 0
    assert run.statuses() == ["keep", "discard", "discard"], "what was in the air is measured"
    run.check_invariants()
