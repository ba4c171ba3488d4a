"""What a person is told of a baseline that failed: what it printed, wrote or lacks, and what to do."""

from pathlib import Path

import pytest
from lab.runs import failed_baseline


@pytest.mark.parametrize(
    ("log", "says"),
    [
        ("---\nval_bpb: 343.88\n", "its val_bpb is '343.88', which is not a number between 0 and 20"),
        ("val_bpb: 0\n", "its val_bpb is '0',"),
        ("val_bpb: soon\n", "its val_bpb is 'soon',"),
        ("---\nval_bpb=1.000000\n", "its log has no line that starts with 'val_bpb: NUMBER', only 'val_bpb=1.000000'"),
        ("[rank0]: Val BPB 0.99\n", "only '[rank0]: Val BPB 0.99'"),
        ("  val_bpb: 0.99\n", "only 'val_bpb: 0.99'"),
        ("hello\n", "its log has no line that starts with 'val_bpb: NUMBER'"),
        ("", "its log has no line that starts with 'val_bpb: NUMBER'"),
    ],
)
def test_of_one_that_ran_what_it_printed(tmp_path: Path, log: str, says: str) -> None:
    (tmp_path / "run.log").write_text(log)
    problem, hint = failed_baseline.told("no-metric", "it printed no val_bpb between 0 and 20", tmp_path / "run.log")
    assert problem.startswith("the baseline crashed: 'no-metric': it ran, but ")
    assert says in problem
    assert hint == "print a line like this: val_bpb: 0.997900"


def test_of_one_that_ran_what_it_wrote(tmp_path: Path) -> None:
    said = failed_baseline.told("rejected", "rejected: results.tsv changed while it was trained", tmp_path / "none")
    assert said[0].endswith("it ran, but results.tsv changed while it was trained")
    assert said[1]


@pytest.mark.parametrize(
    ("module", "package"),
    [("einops", "einops"), ("yaml", "pyyaml"), ("sklearn.linear_model", "scikit-learn"), ("cv2", "opencv-python")],
)
def test_of_one_that_lacks_a_module_the_package(tmp_path: Path, module: str, package: str) -> None:
    log = tmp_path / "run.log"
    log.write_text(f"Traceback (most recent call last):\n  ...\nModuleNotFoundError: No module named '{module}'\n")
    problem, hint = failed_baseline.told("error", "it ended with an error", log)
    assert problem == f"the baseline crashed: 'error': it needs a module that is not installed: '{module}'"
    assert hint == f"uv add {package}"


def test_of_another_crash_the_reason(tmp_path: Path) -> None:
    said = failed_baseline.told("error", "it ended with an error: ValueError: no", tmp_path / "none")
    assert said == ("the baseline crashed: 'error': it ended with an error: ValueError: no", "")
    log = tmp_path / "run.log"
    log.write_text("val_bpb: 0.99\n")
    problem, hint = failed_baseline.told("error", "it ended with an error: exit status 3", log)
    assert "it printed val_bpb 0.99, but it ended with an error: exit status 3" in problem
    assert hint == "end it with exit status 0"
    assert failed_baseline.told("timeout", "killed", tmp_path / "none") == ("the baseline crashed: 'timeout'", "")
