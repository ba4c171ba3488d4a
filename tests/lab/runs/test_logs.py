"""Logs of training runs: bounded reading, train.py's progress lines, which log is an experiment's own."""

import gzip
from pathlib import Path

import pytest
from house import ROOT
from lab.runs import logs
from lab.runs.logs import Curve, Step

LINE = "step {:05d} ({:.1f}%) | loss: {:.6f} | lrm: 1.00 | tok/sec: 33,500 | epoch: 1 | remaining: 12s    "


def told(*steps: tuple[int, float, float]) -> bytes:
    return b"cpu: 1 x 8 rows\n" + b"".join(b"\r" + LINE.format(*one).encode() for one in steps)


def step_of(folder: Path, log: bytes) -> Step | None:
    (folder / "run.log").write_bytes(log)
    return logs.last_step(folder / "run.log")


def test_the_line_is_the_one_that_train_py_prints(tmp_path: Path) -> None:
    source = (ROOT / "train.py").read_text()
    assert 'f"\\rstep {step:05d} ({100 * progress:.1f}%) | loss: {loss:.6f} | lrm: ' in source
    assert step_of(tmp_path, told((416, 57.1, 2.5), (417, 57.3, 2.345678))) == Step(417, 0.573, 2.345678)


@pytest.mark.parametrize(
    "text", ["", "loss: 2.3\n", "\rstep 1 (2.0%) | loss: nan | lrm", "a step 00001 (2.0%) | loss: 2.0 |"]
)
def test_what_is_no_step(tmp_path: Path, text: str) -> None:
    assert step_of(tmp_path, text.encode()) is None


@pytest.mark.parametrize("name", ["run.log", "abc1234-1.log.gz"])
def test_the_end_is_bounded(tmp_path: Path, name: str) -> None:
    data = b"x" * 3_000_000 + told((7, 10.0, 3.5))
    path = tmp_path / name
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    assert logs.last_bytes(path, 100) == data[-100:]
    assert logs.last_bytes(path, 1 << 30) == data
    assert logs.last_step(path) == Step(7, 0.1, 3.5)


def test_a_curve_is_the_same_however_it_is_fed() -> None:
    data = told(*((n, n / 10, 9 - n / 200) for n in range(1, 1001))) + b"\n---\n"
    whole, bytewise = Curve(), Curve()
    whole.feed(data)
    for first in range(0, len(data), 7):
        bytewise.feed(data[first : first + 7])
    assert whole.values(10) == bytewise.values(10)
    assert whole.values(10)[5] == pytest.approx(9 - 549.5 / 200, abs=0.01)
    assert whole.last == Step(1000, 1.0, 4.0)


def test_where_nothing_is_told_nothing_is_known(tmp_path: Path) -> None:
    path = tmp_path / "run.log"
    path.write_bytes(told((1, 5.0, 4.0)) + b"\r" + b"y" * 5_000_000)
    assert logs.curve(path).values(10) == [4.0, *[None] * 9]


def keep(run: Path, name: str, text: str) -> None:
    (run / "logs").mkdir(exist_ok=True)
    (run / f"logs/{name}.log.gz").write_bytes(gzip.compress(text.encode()))


def test_which_log_is_its_own(tmp_path: Path) -> None:
    """Attempt 1 has crashed and was mended; 3 may be a run of the incumbent; seed7 is of make noise."""
    for attempt, text in (
        (1, "Error\n"),
        (2, "val_bpb: 1.0\n"),
        (3, "val_bpb: 0.9\n"),
        (10, "Error\n"),
        ("seed7", "val_bpb: 1\n"),
    ):
        keep(tmp_path, f"abc1234-{attempt}", text)
    commit = "abc1234".ljust(40, "0")
    names = [path.name for path in logs.kept_logs(tmp_path, commit)]
    assert names == [f"abc1234-{attempt}.log.gz" for attempt in (1, 2, 3, 10)]

    def own(failure: str | None) -> str:
        found = logs.log_of(tmp_path, {"commit": commit, "failure": failure})
        assert found
        return found.name

    assert own(None) == "abc1234-2.log.gz"
    assert own("error") == "abc1234-10.log.gz"
    assert logs.log_of(tmp_path, {"commit": "f" * 40, "failure": None}) is None
