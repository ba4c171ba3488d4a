"""Slots whose GPUs are unlike: what is compared is run in slots of one kind."""

from pathlib import Path

import pytest
from house import House
from test_degraded import EVALUATOR, TRAIN

KINDS = {"0": "NVIDIA H100", "1": "NVIDIA A100", "2": "NVIDIA H100"}
HERE = 'kind = os.environ["CUDA_VISIBLE_DEVICES"]\n'
UNLIKE = TRAIN.replace('"device": "cpu"', f'"device": "cuda", "device_name": {KINDS}[kind]').replace(
    "value = VALUE", f'{HERE}value = VALUE + ({KINDS}[kind] == "NVIDIA A100") / 5'
)
WORSE = 'n=1; until mkdir ~/call.$n 2>/dev/null; do n=$((n + 1)); done; sed -i "s/^VALUE = .*/VALUE = 1.$n/" train.py'


@pytest.mark.slow
def test_each_experiment_and_the_incumbent_beside_it_run_on_one_kind_of_gpu(tmp_path: Path) -> None:
    house = House(tmp_path, UNLIKE)
    (house.tree / "prepare.py").write_text(EVALUATOR)
    house.commit("a pair that leaves records")
    house.environment |= {"BASELINE_RUNS": "3", "CONFINE": "no", "CUDA_VISIBLE_DEVICES": "0,1,2"}
    house.setup()
    (tmp_path / "home/waits").write_text("")
    (tmp_path / "home/probe").write_text("0.05")
    assert house.call("bin/loop", timeout=150, MAX_EXPERIMENTS="3", AGENT=str(house.proposer(WORSE))).status == 0
    kinds = [{run["device_name"] for run in one["runs"]} for one in house.experiments()[1:]]  # type: ignore[attr-defined]
    assert all(len(one) == 1 for one in kinds), kinds
    assert len(set.union(*kinds)) == 2, "both kinds are used"
    assert {path.read_text().strip() for path in house.run_folder.glob("slots/*.kind")} == set(KINDS.values())
    for one in house.experiments()[1:]:
        assert -0.32 < float(one["gain"]) < -0.08, "the devices differ by 0.2"  # type: ignore[arg-type]
    house.check_invariants()
