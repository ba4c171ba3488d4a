"""`lab measure`: what a training run left -> measure.json, the metric or the kind of failure."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from lab.runs.outcome import Past, outcome_of
from lab.store.flight import Flight
from lab.verdict import index
from lab.verdict.measure import measure as step

GOOD = """\
---
val_bpb:          0.997900
training_seconds: 300.1
total_seconds:    325.9
peak_vram_mb:     45060.2
mfu_percent:      39.80
num_steps:        953
"""


def measure(
    folder: Path, log: str | bytes, rc: int = 0, *, attempt: int = 1, ended: str = "2026-03-14T09:31:07.250Z"
) -> dict[str, Any]:
    """What `lab measure` makes of one run, with its log and exit status."""
    run = folder / "flights/f1" / f"run.{attempt}"
    run.mkdir(parents=True)
    (run / "run.log").write_bytes(log if isinstance(log, bytes) else log.encode())
    (run / "rc").write_text(f"{rc}\n")
    (run / "started").write_text("2026-03-14T09:26:53.000Z\n")
    (run / "ended").write_text(f"{ended}\n")
    (run / "env").write_text("SEED=42\nPROFILE=small\nTIME_BUDGET=60\nSEED=43\n")  # the last one counts
    (folder / "flights/f1" / "done").write_text(f"attempt {attempt}\n10-propose\n20-commit\n30-run\n")
    return call(folder)


def call(folder: Path) -> dict[str, Any]:
    (folder / "manifest.json").write_text('{"comparable": {}}')
    step(Flight(folder / "flights/f1"), index.read(folder))
    measured: dict[str, Any] = json.loads((folder / "flights/f1" / "measure.json").read_text())
    return measured


# --- The metric -----------------------------------------------------------------------------------------------------


def test_a_good_run(tmp_path: Path) -> None:
    run = {"seed": 43, "val_bpb": 0.9979, "num_steps": 953, "training_seconds": 300.1, "degraded": None}
    expected = {"val_bpb": "0.997900", "memory_gb": "44.0", "failure": None, "wall_seconds": 254.25, "runs": [run]}
    last = {"incumbent_runs": [], "last": [["candidate", 43, None]], "why": None}
    assert measure(tmp_path, GOOD) == expected | last
    assert (tmp_path / "flights/f1/mendable").read_text() == "no\n"
    assert not (tmp_path / "flights/f1/suspect").exists()


def test_the_last_attempt_is_measured(tmp_path: Path) -> None:
    measure(tmp_path, "val_bpb: 1.5\n", rc=1)
    assert measure(tmp_path, GOOD, attempt=2)["val_bpb"] == "0.997900"


@pytest.mark.parametrize(
    ("log", "value"),
    [
        ("val_bpb: 1.5\n", "1.500000"),
        ("val_bpb: 1.5", "1.500000"),  # no newline at the end
        ("val_bpb:1.5\n", "1.500000"),
        ("val_bpb:\t 1.5\r\n", "1.500000"),
        ("val_bpb: 1.5 bits\n", "1.500000"),
        ("step 1\rstep 2\rval_bpb: 1.5\rdone", "1.500000"),  # a line ends at \r, too
        ("val_bpb: 2.5\nval_bpb: 1.5\n", "1.500000"),  # the last counts
        ("val_bpb: 1.5\nval_bpb: 2.5\n", "2.500000"),
        ("val_bpb: 1.5\rval_bpb: 2.5", "2.500000"),
        ("val_bpb: nan\nval_bpb: 1.5\n", "1.500000"),
        ("val_bpb: 1.5\n val_bpb: 9.5\n", "1.500000"),  # not at the start of the line
        ("val_bpb: 1.5\nmy val_bpb: 9.5\nbest_val_bpb: 9.5\n", "1.500000"),
        ("val_bpb: 1.5\nval_bpb_ema: 9.5\nval_bpb = 9.5\nVAL_BPB: 9.5\n", "1.500000"),
        ("val_bpb: 1.5\nstep 9, \x1b[1mval_bpb: 9.5\n", "1.500000"),
        ("val_bpb: 1.5\none\u2028val_bpb: 9.5\fval_bpb: 9.5\x85val_bpb: 9.5\n", "1.500000"),
        ("val_bpb: 1.5e0\n", "1.500000"),
        ("val_bpb: 0.9978996\n", "0.997900"),
        ("val_bpb: 0.000001\n", "0.000001"),
        ("val_bpb: 19.999999\n", "19.999999"),
        ("val_bpb: 0." + "3" * 200 + "\n", "0.333333"),
    ],
)
def test_metric(tmp_path: Path, log: str, value: str) -> None:
    measured = measure(tmp_path, log)
    assert (measured["failure"], measured["val_bpb"]) == (None, value)
    assert measured["runs"][0]["val_bpb"] == float(value)


@pytest.mark.parametrize(
    "log",
    [
        "",
        "\n",
        "step 1\nstep 2\n",
        "  val_bpb: 1.5\n",
        "the val_bpb: 1.5\n",
        "val_bpb 1.5\n",
        "val_bpb:\n1.5\n",
        "val_bpb: abc\n",
        "val_bpb: 1.5abc\n",
        "val_bpb: 1,5\n",
        "val_bpb: 0\n",
        "val_bpb: 0.000000\n",
        "val_bpb: -0.5\n",
        "val_bpb: 20\n",
        "val_bpb: 1e9\n",
        "val_bpb: 1e999999\n",
        "val_bpb: 1e-999999\n",
        "val_bpb: 0.0000004\n",  # above 0, but 0.000000 in the ledger: it would be a keep that says crash
        "val_bpb: 19.9999996\n",  # below 20, but 20.000000 in the ledger
        "val_bpb: 1.5\nval_bpb: 0\n",
    ],
)
def test_no_metric(tmp_path: Path, log: str) -> None:
    measured = measure(tmp_path, log)
    assert measured["failure"] == "no-metric"
    assert measured["val_bpb"] is measured["memory_gb"] is measured["runs"][0]["val_bpb"] is None


@pytest.mark.parametrize("value", ["nan", "NaN", "-nan", "inf", "-inf", "Infinity", "snan"])
def test_nan(tmp_path: Path, value: str) -> None:
    measured = measure(tmp_path, f"val_bpb: {value}\n")
    assert (measured["failure"], measured["val_bpb"], measured["memory_gb"]) == ("nan", None, None)


def test_bytes_that_are_no_utf8(tmp_path: Path) -> None:
    measured = measure(tmp_path, b"\xff\xfe\x00\xc3(\r\x80val_bpb: 9.5\n" + GOOD.encode() + b"\xe2\x82\n")
    assert (measured["val_bpb"], measured["memory_gb"]) == ("0.997900", "44.0")


def test_bytes_that_are_no_utf8_as_value(tmp_path: Path) -> None:
    assert measure(tmp_path, b"val_bpb: \xff\xfe\nnum_steps: \xff\n")["failure"] == "no-metric"


def test_a_line_of_50_mb(tmp_path: Path) -> None:
    """Progress is written with \\r: thousands of steps are one line."""
    step = b"\rstep 00953 (39.8%) | loss: 3.456789 | val_bpb? not yet | tok/sec: 1,234,567 | epoch: 1"
    log = step * (50_000_000 // len(step)) + b"\rval_bpb: 0.997900\rpeak_vram_mb: 45060.2"
    began = time.process_time()
    measured = measure(tmp_path, log)
    assert (measured["val_bpb"], measured["memory_gb"]) == ("0.997900", "44.0")
    assert time.process_time() - began < 5, "CPU seconds"


def test_a_line_of_50_mb_without_any_end(tmp_path: Path) -> None:
    assert measure(tmp_path, b"val_bpb: 0." + b"9" * 50_000_000)["val_bpb"] == "1.000000"


# --- What else is noted ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line", ["", "peak_vram_mb:", *(f"peak_vram_mb: {value}" for value in ("nan", "inf", "-1", "n/a"))]
)
def test_memory_that_is_not_known(tmp_path: Path, line: str) -> None:
    measured = measure(tmp_path, f"val_bpb: 1.5\n{line}\n")
    assert (measured["failure"], measured["val_bpb"], measured["memory_gb"]) == (None, "1.500000", None)


@pytest.mark.parametrize(
    ("mb", "gb"), [("45107.2", "44.1"), ("45107.19", "44.0"), ("0.0", "0.0"), ("-0.0", "0.0"), ("460.8", "0.5")]
)
def test_memory(tmp_path: Path, mb: str, gb: str) -> None:
    assert measure(tmp_path, f"val_bpb: 1.5\npeak_vram_mb: {mb}\n")["memory_gb"] == gb


@pytest.mark.parametrize("value", ["nan", "snan", "inf", "1e999", "many", ""])
def test_what_is_not_a_number_is_not_known(tmp_path: Path, value: str) -> None:
    measured = measure(tmp_path, f"val_bpb: 1.5\nnum_steps: {value}\ntraining_seconds: {value}\n")
    assert measured["failure"] is None
    assert measured["runs"][0]["num_steps"] is measured["runs"][0]["training_seconds"] is None


def test_a_clock_that_was_set_back(tmp_path: Path) -> None:
    assert measure(tmp_path, GOOD, ended="2026-03-14T09:26:52.000Z")["wall_seconds"] == 0


# --- Failures -------------------------------------------------------------------------------------------------------

OOM = "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 20.00 MiB. GPU 0 has a total capacity of 79.1 GiB"
NAN = "FAIL: training loss is nan at step 12"


@pytest.mark.parametrize(
    ("log", "rc", "failure"),
    [
        (GOOD, 1, "error"),  # a metric, but no good end
        (GOOD, 137, "error"),
        (GOOD, 124, "timeout"),
        ("step 1\n", 124, "timeout"),
        (f"step 1\n{OOM}\n", 124, "timeout"),
        (f"Traceback (most recent call last):\n{OOM}\n", 1, "oom"),
        ("RuntimeError: CUDA error: out of memory\n", 1, "oom"),
        ("MemoryError\n", 1, "oom"),
        ("DefaultCPUAllocator: can't allocate memory: [...] Error code 12 (Cannot allocate memory)\n", 1, "oom"),
        ("terminate called after throwing an instance of 'std::bad_alloc'\n", 134, "oom"),
        (f"{OOM}\n" + "frame\n" * 1000, 1, "oom"),
        ("step 1\n", 137, "killed"),
        ("step 1\n", 143, "killed"),
        ("step 1\n", 138, "killed"),
        ("", 139, "error"),  # a process brings it on itself
        (f"step 12 | loss nan\n{NAN}\n", 1, "nan"),
        (f"step 11\rstep 12\r{NAN}\r", 1, "nan"),
        ("FAIL: training loss is inf at step 12\n", 1, "nan"),
        ("val_bpb: nan\n", 1, "nan"),
        ("ValueError: logits are not finite\n", 1, "nan"),  # says prepare.py
        ("", 1, "error"),
        ("Traceback (most recent call last):\nSyntaxError: invalid syntax\n", 1, "error"),
        ("NameError: name 'nanmean' is not defined, the loss had info\n", 1, "error"),
        ("bash: uv: not found\n", 127, "error"),
        ("bash: train.py: permission denied\n", 126, "error"),
        ("exit(-1)\n", 255, "error"),  # no signal has that number
        ("val_bpb: 25\n", 3, "error"),
        (b"\xff\xfe Error \x80\n", 1, "error"),
    ],
)
def test_failure(tmp_path: Path, log: str | bytes, rc: int, failure: str) -> None:
    measured = measure(tmp_path, log, rc)
    assert (measured["failure"], measured["val_bpb"], measured["memory_gb"]) == (failure, None, None)
    assert measured["runs"] == [measured["runs"][0] | {"seed": 43, "val_bpb": None}]
    assert measured["wall_seconds"] == 254.25


@pytest.mark.parametrize(
    ("log", "rc", "why"),
    [
        (f"step 1\n{OOM}\n", 1, f"it ran out of memory: {OOM}"),
        (f"{NAN}\n", 1, f"the loss or val_bpb is not a finite number: {NAN}"),
        ("KeyError: 1\nKeyError: 2\n", 1, "it ended with an error: KeyError: 2"),
        ("step 1\n", 3, "it ended with an error: exit status 3"),
        (f"ValueError: {'x' * 999}\n", 1, f"it ended with an error: ValueError: {'x' * 145}..."),
        ("step 1\n", 124, "killed: it ran longer than RUN_TIMEOUT"),
        ("step 1\n", 143, "a signal ended it"),
        ("step 1\n", 0, "it printed no val_bpb between 0 and 20"),
    ],
)
def test_why(tmp_path: Path, log: str, rc: int, why: str) -> None:
    assert measure(tmp_path, log, rc)["why"] == why


@pytest.mark.parametrize(
    ("kills", "failure"), [("1", "oom"), ("0", "killed"), ("", "killed"), ("-1", "killed"), ('"x"', "killed")]
)
def test_the_engine_says_whether_the_oom_killer_was_at_work(tmp_path: Path, kills: str, failure: str) -> None:
    measure(tmp_path, "step 1\n", 137)
    (tmp_path / "flights/f1/run.1/resources").write_text(f'{{"oom_kills": {kills}}}')
    assert call(tmp_path)["failure"] == failure


@pytest.mark.parametrize(
    ("log", "rc", "mendable"),
    [
        ("KeyError: 1\n", 1, True),
        ("FAIL: training loss is nan at step 3\n", 1, True),
        ("val_bpb: nan\n", 0, True),
        ("step 1\n", 0, True),
        ("val_bpb: 25\n", 0, True),
        (GOOD, 3, True),
        (OOM, 1, False),
        ("step 1\n", 124, False),
        ("step 1\n", 137, False),
    ],
)
def test_mendable(tmp_path: Path, log: str, rc: int, mendable: bool) -> None:
    measure(tmp_path, log, rc)
    assert (tmp_path / "flights/f1/mendable").read_text() == ("yes\n" if mendable else "no\n")


def test_a_fault_of_the_machine_is_suspected(tmp_path: Path) -> None:
    log = tmp_path / "flights/f1/run.1/run.log"
    suspect = tmp_path / "flights/f1/suspect"
    assert measure(tmp_path, "step 1\rOSError: [Errno 28] No space left on device\n", 1)["failure"] == "error"
    assert suspect.read_text() == "disk 0 the disk is full\n"
    suspect.unlink()
    log.write_text(GOOD + log.read_text())
    call(tmp_path)
    assert suspect.read_text() == "disk 0 the disk is full\n", "a metric, but no good end"
    (log.parent / "rc").write_text("0\n")
    call(tmp_path)
    assert not suspect.exists()


@pytest.mark.parametrize(
    ("device", "cpu_seconds", "idle_cores", "part"),
    [
        ("cpu", 59.0, 0.4, "load"),
        ("cpu", 60.0, 0.4, None),  # it has had its budget
        ("cpu", 1.0, 0.6, None),  # it hangs: there was a core for it
        ("cpu", 1.0, None, None),
        ("cuda", 1.0, 0.4, None),  # whose clock is that of the wall
    ],
)
def test_over_its_time_since_others_had_the_cores(
    tmp_path: Path, device: str, cpu_seconds: float, idle_cores: float | None, part: str | None
) -> None:
    measure(tmp_path, "step 1\n", 124)
    run = tmp_path / "flights/f1/run.1"
    (run / "resources").write_text(json.dumps({"cpu_seconds": cpu_seconds, "idle_cores": idle_cores}))
    failure = outcome_of(run, Past({}, [{"device": device}], [], tmp_path)).failure
    assert failure is not None
    assert (failure.word, failure.part) == ("timeout", part)
    assert failure.why == "killed: it ran longer than RUN_TIMEOUT" + (
        ": other processes used the cores" if part else ""
    )


def test_it_is_suspected_of_a_run_of_the_incumbent_too(tmp_path: Path) -> None:
    measure(tmp_path, GOOD)
    measure(tmp_path, "RuntimeError: No CUDA GPUs are available\n", 1, attempt=2)
    (tmp_path / "flights/f1/run.2/next").write_text("incumbent 42\n")
    measured = call(tmp_path)
    assert (measured["failure"], measured["val_bpb"]) == (None, "0.997900")
    assert (tmp_path / "flights/f1/mendable").read_text() == "no\n"
    assert (tmp_path / "flights/f1/suspect").read_text() == "gpu 0 no usable GPU\n"


def test_rejected(tmp_path: Path) -> None:
    """No training was spent, so there is nothing to read."""
    (tmp_path / "flights/f1").mkdir(parents=True)
    (tmp_path / "flights/f1" / "done").write_text("attempt 1\n10-propose\n20-commit\n30-run\n")
    (tmp_path / "flights/f1" / "rejected").write_text("changed prepare.py\n")
    expected = {"val_bpb": None, "memory_gb": None, "wall_seconds": None, "failure": "rejected", "runs": []}
    last = {"incumbent_runs": [], "last": []}
    assert call(tmp_path) == expected | last | {"why": "rejected: changed prepare.py"}


def test_rejected_after_the_run(tmp_path: Path) -> None:
    """A good metric, but the measurement was changed while it ran."""
    (tmp_path / "flights/f1").mkdir(parents=True)
    (tmp_path / "flights/f1" / "rejected").write_text("prepare.py changed while the loop was running\n")
    measured = measure(tmp_path, GOOD)
    assert (measured["failure"], measured["val_bpb"]) == ("rejected", None)


def test_measuring_twice_is_measuring_once(tmp_path: Path) -> None:
    assert measure(tmp_path, GOOD) == call(tmp_path)


def test_a_run_that_left_no_status_is_a_fault_of_the_toolkit(tmp_path: Path) -> None:
    (tmp_path / "flights/f1" / "run.1").mkdir(parents=True)
    (tmp_path / "flights/f1" / "done").write_text("attempt 1\n")
    (tmp_path / "manifest.json").write_text('{"comparable": {}}')
    with pytest.raises(FileNotFoundError, match="rc"):
        step(Flight(tmp_path / "flights/f1"), index.read(tmp_path))
    assert not (tmp_path / "flights/f1" / "measure.json").exists()
