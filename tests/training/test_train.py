"""train.py, end to end, for a second or a few steps."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from house import ROOT

# The time budget replaced by eight steps, so that two runs do the same work.
EIGHT_STEPS = """
import prepare, runpy

class Steps:
    seconds, calls = 1.0, -1

    def progress(self):
        self.calls += 1
        return self.calls / 8

prepare.Clock, prepare.EVAL_TOKENS, prepare.FURTHER = Steps, 16 * prepare.MAX_SEQ_LEN, 0
prepare.evaluate_bpb = lambda model, tokenizer, _: prepare.measured(prepare.trace(model, 4, 1024), "cpu")["val_bpb"]
runpy.run_path("train.py")
"""


def start(*command: object, cache: Path, **env: str) -> subprocess.Popen[bytes]:
    env = {**os.environ, "AUTORESEARCH_CACHE": str(cache), "PROFILE": "small", "PYTHONPATH": str(ROOT), **env}
    # By a shell that forks, as in the loop: what Python starts itself inherits the peak memory of this test process.
    command = ("bash", "-c", '"$@"; exit', "bash", sys.executable, *map(str, command))
    return subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def output(process: subprocess.Popen[bytes], status: int = 0) -> str:
    text = process.communicate(timeout=300)[0].decode()
    print(text[-3000:])
    assert process.returncode == status
    return text


@pytest.mark.slow
def test_the_summary(small_cache: Path) -> None:
    text = output(start("train.py", cache=small_cache, TIME_BUDGET="1"))
    progress, summary = text.split("\n---\n")
    assert re.search(r"\rstep 00001 \(0\.0%\) \| loss: 6\.9\d{5} \| lrm: 1\.00 \| tok/sec: 0 ", progress)
    values = dict(line.split(":") for line in summary.splitlines())
    assert list(values) == [
        "val_bpb",
        "training_seconds",
        "total_seconds",
        "peak_vram_mb",
        "mfu_percent",
        "total_tokens_M",
        "num_steps",
        "num_params_M",
        "depth",
    ]
    number = {name: float(value) for name, value in values.items()}
    assert re.fullmatch(r" +\d\.\d{6}", values["val_bpb"])
    assert 2 < number["val_bpb"] < 3.75  # 10 bits a token are 3.75 a byte
    assert 1 <= number["training_seconds"] < 1.5
    assert number["total_seconds"] >= 1
    assert 100 < number["peak_vram_mb"] < 1000
    assert 1 < number["mfu_percent"] < 100
    assert number["num_steps"] == len(re.findall(r"\rstep ", progress)) > 2


@pytest.mark.slow
def test_the_seed_decides(small_cache: Path) -> None:
    processes = [start("-c", EIGHT_STEPS, cache=small_cache, SEED=seed) for seed in ("1", "1", "2")]
    scores = [re.search(r"^val_bpb: +(\S+)", output(process), re.MULTILINE)[1] for process in processes]
    assert scores[0] == scores[1] != scores[2]


@pytest.mark.slow
def test_nan_fails_fast(small_cache: Path, tmp_path: Path) -> None:
    source, changes = re.subn(r"(?m)^MATRIX_LR = \S+", "MATRIX_LR = 1e9", (ROOT / "train.py").read_text())
    assert changes == 1
    (tmp_path / "train.py").write_text(source)
    text = output(start(tmp_path / "train.py", cache=small_cache, TIME_BUDGET="600"), status=1)
    assert re.search(r"^FAIL: training loss is (nan|inf) at step \d+\n\Z", text, re.MULTILINE)
    assert "| loss: nan" not in text  # at once


def test_no_data(tmp_path: Path) -> None:
    text = output(start("train.py", cache=tmp_path), status=3)
    assert text.startswith(f"prepare: missing data '{tmp_path}/small'\nhint: ")


def test_train_is_at_most_600_lines() -> None:
    assert len((ROOT / "train.py").read_text().splitlines()) <= 600


@pytest.mark.parametrize("name", ["prepare.py", "train.py"])
def test_the_names_stay_published(name: str) -> None:
    source = (ROOT / name).read_text()
    for published in ("MAX_SEQ_LEN", "TIME_BUDGET", "Tokenizer", "make_dataloader", "evaluate_bpb", "Clock"):
        assert re.search(rf"\b{published}\b", source)
