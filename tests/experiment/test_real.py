"""The real thing, end to end: prepare.py, train.py, torch, the catalog, git; small data, seconds of training."""

import json
import shutil
from pathlib import Path

import pytest
from house import ROOT, House


@pytest.mark.slow
@pytest.mark.xdist_group("real")
def test_a_night_in_small(house: House, small_cache: Path) -> None:
    for name in ("prepare.py", "train.py"):
        shutil.copy(ROOT / name, house.tree / name)
    house.commit("the real pair")
    settings = {"AUTORESEARCH_CACHE": str(small_cache), "TIME_BUDGET": "2", "RUN_TIMEOUT": "120"}
    house.setup(**settings)
    manifest = json.loads((house.run_folder / "manifest.json").read_text())
    assert manifest["settings"] == {
        "PROFILE": "small",
        "TIME_BUDGET": "2",
        "RUN_TIMEOUT": "120",
        "SEED": "42",
        "LINKS": "",
        "BASELINE_RUNS": "1",
    }
    assert {"data", "tokenizer", "max_seq_len", "eval_tokens", "prepare.py"} <= set(manifest["comparable"])

    result = house.call("bin/loop", MAX_EXPERIMENTS="1", AUTORESEARCH_CACHE=str(small_cache), timeout=600)
    assert result.status == 0
    assert len(house.rows()) == 2
    baseline = house.experiments()[0]
    assert 1.5 < float(str(baseline["val_bpb"])) < 4
    (run,) = baseline["runs"]  # type: ignore[misc]
    assert run["num_steps"] > 10
    assert 2 <= run["training_seconds"] < 3
    assert 0.1 < float(str(baseline["memory_gb"])) < 2
    assert [one["agent"] for one in house.experiments()] == ["baseline", "catalog"]
    house.check_invariants()


def test_missing_data_is_said_with_the_way_out(house: House, tmp_path: Path) -> None:
    for name in ("prepare.py", "train.py"):
        shutil.copy(ROOT / name, house.tree / name)
    house.commit("the real pair")
    result = house.call("bin/setup", TAG="mar14", AUTORESEARCH_CACHE=str(tmp_path / "nothing"))
    assert result.status == 2
    assert result.err.splitlines()[-1] == "hint: run 'uv run prepare.py' (or: make data)"
    assert house.git("branch", "--list", "autoresearch/*") == ""


def test_a_strangers_pair_needs_no_torch(house: House) -> None:
    with (house.tree / "train.py").open("a") as file:
        file.write("import sys\nassert 'torch' not in sys.modules\nprint('torch is not imported')\n")
    house.commit("a stranger's pair")
    house.setup()
    assert house.loop(1, house.proposer('echo "X = $RANDOM$SECONDS" >>train.py')).status == 0
    assert "torch is not imported" in (house.tree / "run.log").read_text()
    house.check_invariants()
