"""What a training run may do, and what becomes of it: rows and failures, told apart; time limits; floods of output."""

import os
import time
from pathlib import Path

import pytest
from house import TRAIN, House, shared

# What an experiment adds may do little; so the baseline does it, what $HOME/deed says, once IDEA is set.
DEED = TRAIN + "import os\nIDEA = 0\nif IDEA:\n    exec(open(os.path.expanduser('~/deed')).read())\n"


def ready_house(folder: Path) -> House:
    house = House(folder, DEED)
    house.setup()
    house.baseline()
    return house


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> House:
    """A run with its baseline, whose experiments do what a test says."""
    return shared(tmp_path_factory, "ready", ready_house)


@pytest.fixture
def run(ready: House, tmp_path: Path) -> House:
    return ready.copy(tmp_path)


def does(code: str, number: int = 1) -> str:
    """A proposer's script, whose experiment does this at the end of its training."""
    return f"cat >~/deed <<'END'\n{code}\nEND\nsed -i 's/^IDEA = .*/IDEA = {number}/' train.py; echo idea"


def doing(house: House, code: str) -> Path:
    return house.proposer(does(code))


# Done at the end of train.py -> (status, failure).
ENDS = {
    "print('val_bpb: 2.0')": ("discard", None),
    "print('val_bpb: 0.5')": ("keep", None),
    "print('progress\\rval_bpb: 0.4\\rmore', end='')": ("keep", None),
    "print(' val_bpb: 0.5'); print('x val_bpb: 0.5')": ("discard", None),
    "print('val_bpb: nan')": ("crash", "nan"),
    "print('val_bpb: inf')": ("crash", "nan"),
    "print('val_bpb: -1')": ("crash", "no-metric"),
    "print('val_bpb: 1e9')": ("crash", "no-metric"),
    "print('val_bpb: 0.0')": ("crash", "no-metric"),
    "print('val_bpb: low')": ("crash", "no-metric"),
    "print('val_bpb: 0.5'); raise SystemExit(1)": ("crash", "error"),
    "print('val_bpb: 0.5'); 1 / 0": ("crash", "error"),
    "import os; os.kill(os.getpid(), 9)": ("crash", "killed"),
    "print('peak_vram_mb: nan')": ("discard", None),
}


# What makes another train.py -> failure.
BROKEN = {"echo 'print(1)' >train.py; echo idea": "no-metric", "echo 'def (' >>train.py; echo idea": "error"}


@pytest.mark.slow
def test_how_a_run_ends_is_what_the_row_says(run: House) -> None:
    agent = run.in_turn(*(does(code, number) for number, code in enumerate(ENDS, start=1)), *BROKEN)
    assert run.loop(len(ENDS) + len(BROKEN), agent).status == 0
    expected = [*ENDS.values(), *(("crash", failure) for failure in BROKEN.values())]
    for ends, last, row in zip(expected, run.experiments()[1:], run.rows()[1:], strict=True):
        assert (last["status"], last["failure"]) == ends, last
        if last["status"] == "crash":
            assert row[1:4] == ["0.000000", "0.0", "crash"]
            assert last["val_bpb"] is None
    run.check_invariants()


def test_the_run_gets_the_runs_settings_and_is_ended_over_its_time_with_all_its_children(tmp_path: Path) -> None:
    house = House(tmp_path, DEED)
    house.setup(TIME_BUDGET="7", SEED="5", RUN_TIMEOUT="4")
    probe = "import os; print('\\n'.join(f'{k}={v}' for k, v in os.environ.items()))"
    assert house.once(doing(house, probe)).status == 0
    log = (house.tree / "run.log").read_text().splitlines()
    assert {"TIME_BUDGET=7", "SEED=5"} <= set(log)
    assert not [line for line in log if line.startswith(("FLIGHT=", "RUN="))], "it is not told where the ledger is"
    unknown = {"num_steps": None, "training_seconds": None, "degraded": None}
    assert house.experiments()[-1]["runs"] == [{"seed": 5, "val_bpb": 1.0, **unknown, "host": os.uname().nodename}]
    stubborn = (
        "import os, signal, subprocess, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "subprocess.Popen(['setsid', 'bash', '-c', \"trap '' TERM; while :; do sleep 1; done\"])\n"
        "time.sleep(100)\n"
    )
    began = time.monotonic()
    assert house.once(doing(house, stubborn)).status == 0
    assert time.monotonic() - began < 50, "not the 100 of its own"
    assert house.experiments()[-1]["failure"] == "timeout"
    house.check_invariants()


@pytest.mark.slow
def test_50_mb_of_output_go_to_the_log_alone(run: House) -> None:
    flood = "for i in range(50):\n    print(f'\\rstep {i} ' + 'x' * 1_000_000, end='')\nprint('\\nval_bpb: 0.5')"
    result = run.once(doing(run, flood))
    assert result.status == 0
    assert len(result.err) < 1000
    assert run.statuses()[-1] == "keep"
    assert (run.run_folder / "run.log").stat().st_size > 50_000_000
    assert sum(path.stat().st_size for path in (run.run_folder / "logs").iterdir()) < 1_000_000
    run.check_invariants()


# Of the Python core: nothing can be appended beyond the first kilobyte of a file while ~/full is there.
FULL_DISK = """
import os, resource
whole_line = append_line
def append_line(path, line, *more):
    if os.path.exists(os.path.expanduser("~/full")):
        resource.setrlimit(resource.RLIMIT_FSIZE, (1024, resource.RLIM_INFINITY))
    whole_line(path, line, *more)
"""


@pytest.mark.slow
def test_a_full_disk_while_the_row_is_written_costs_nothing(run: House) -> None:
    """The limit on the size of a file stands for the disk: the write fails half-way, as it does there."""
    house, full = run, run.outside / "home/full"
    with (house.tree / "lib/lab/store/durable.py").open("a") as code:
        code.write(FULL_DISK)
    discarded = house.proposer('echo "X = $RANDOM" >>train.py; head -c 900 /dev/zero | tr "\\0" x', "discarded")
    for _ in range(2):
        assert house.once(discarded).status == 0
    rows = (house.run_folder / "results.tsv").read_text(), (house.run_folder / "experiments.jsonl").read_text()
    assert len(rows[1]) > 1024, "beyond the limit"
    full.write_text("")
    assert house.once(house.setting("0.9")).status == 2
    assert (house.run_folder / "experiments.jsonl").read_text() == rows[1]
    assert (house.run_folder / "results.tsv").read_text().startswith(rows[0])
    full.unlink()
    assert house.once("/bin/false").status == 0, "the experiment that could not be written is written now"
    assert house.statuses() == ["keep", "discard", "discard", "keep"]
    house.git("checkout", "--quiet", "lib")
    house.check_invariants()
