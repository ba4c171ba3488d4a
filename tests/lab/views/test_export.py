"""`lab export`: a run for other tools. Trackers only where they are installed, which a run does not need."""

import csv
import gzip
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from house import ROOT
from lab.cli import main
from lab.store import schemas
from test_logs import told
from test_status import MANIFEST, ROWS, make_run

BY_HAND = ("e5f6071", "0.500000", "44.0", "keep", 'by "hand", e.g.')


@pytest.fixture
def night(tmp_path: Path) -> Path:
    """Four rows with all that is known of them, and one that was written by hand."""
    run = make_run(tmp_path, [*ROWS, BY_HAND], foreign=("e5f6071",))
    path = run / "experiments.jsonl"
    empty: dict[str, Any] = dict.fromkeys(schemas.load("experiment")["properties"])
    facts = {
        "parent": "0" * 40,
        "reason": "because",
        "attempts": 1,
        "ended": "2026-03-14T09:26:53Z",
        "carried_from": [],
        "flight": "f1",
    }
    lines = [{**empty, **facts, **json.loads(line)} for line in path.read_text().splitlines()]
    for line in lines:
        run_facts = {"num_steps": None, "training_seconds": None, "degraded": None}
        line["runs"] = [{**run_facts, **one} for one in line["runs"]]
        line["rule"] = "crash" if line["status"] == "crash" else line["rule"]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    (run / "logs").mkdir()
    log = told((1, 1.0, 9.0), (50, 50.0, 4.0), (100, 100.0, 3.0)) + b"\nval_bpb: 0.9\n"
    (run / "logs/b2c3d4e-1.log.gz").write_bytes(gzip.compress(log))
    return run


def export(run: Path, kind: str, *more: str) -> Result:
    return CliRunner().invoke(main, ["export", str(run), "--format", kind, *more])


def test_csv(night: Path) -> None:
    rows = list(csv.DictReader(export(night, "csv").stdout.splitlines()))
    assert list(rows[0]) == [*schemas.load("experiment")["properties"], "seeds", "foreign"]
    assert [row["n"] for row in rows] == ["1", "2", "3", "4", "5"]
    assert [row["val_bpb"] for row in rows] == ["0.9979", "0.9932", "1.005", "", "0.500000"], "not known is empty"
    assert [row["foreign"] for row in rows] == [*["False"] * 4, "True"]
    assert rows[4]["description"] == BY_HAND[4]
    assert (rows[1]["runs"], rows[1]["seeds"]) == ("1", "42")


def test_json(night: Path) -> None:
    whole = json.loads(export(night, "json").stdout)
    assert whole["manifest"] == MANIFEST
    ours = [one for one in whole["experiments"] if not one.pop("foreign")]
    assert [schemas.problems("experiment", one) for one in ours] == [[]] * 4
    by_hand = whole["experiments"][4]
    assert (by_hand["val_bpb"], by_hand["rule"], by_hand["runs"]) == (0.5, None, [])


def test_to_a_file_that_is_new(night: Path) -> None:
    out = night / "all.csv"
    assert export(night, "csv", "--out", str(out)).stdout == ""
    assert out.read_text() == export(night, "csv").stdout
    again = export(night, "json", "--out", str(out))
    assert again.exit_code == 2
    assert again.stderr.startswith(f"lab: '{out}' exists\nhint: ")


def test_of_the_run_that_is_checked_out(night: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(night.parent)
    asked = ["export", "--format", "csv"]
    assert CliRunner().invoke(main, asked).stderr.startswith("lab: no run is checked out\nhint: ")
    Path("results.tsv").symlink_to("mar14/results.tsv")
    assert CliRunner().invoke(main, asked).stdout == export(night, "csv").stdout


@pytest.mark.parametrize("kind", ["csv", "json"])
def test_an_empty_run_and_a_damaged_one(tmp_path: Path, kind: str) -> None:
    run = make_run(tmp_path, [])
    empty = export(run, kind)
    assert empty.exit_code == 0
    assert empty.stdout.startswith("n,commit") if kind == "csv" else json.loads(empty.stdout)["experiments"] == []
    (run / "results.tsv").write_text("header\nno row\n")
    damaged = export(run, kind)
    assert (damaged.exit_code, damaged.stdout) == (2, "")
    assert damaged.stderr.startswith("lab: the ledger is damaged: ")
    assert "\nhint: " in damaged.stderr


@pytest.mark.parametrize(("kind", "package"), [("mlflow", "mlflow"), ("wandb-offline", "wandb")])
def test_a_package_that_is_missing(night: Path, kind: str, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    result = export(night, kind)
    assert result.exit_code == 2
    assert result.stderr.startswith(f"lab: '{package}' cannot be imported: ")
    assert result.stderr.splitlines()[1] == f"hint: uv sync --inexact --group {package}"
    assert f'\n{package} = ["{package}' in (ROOT / "pyproject.toml").read_text()
    assert not (night / package).exists()


def test_mlflow(night: Path) -> None:
    mlflow = pytest.importorskip("mlflow", reason="mlflow is not installed: uv sync --inexact --group mlflow")
    result = export(night, "mlflow")
    assert result.exit_code == 0, result.output
    uri = result.stdout.split()[-1]
    client = mlflow.MlflowClient(tracking_uri=uri)
    experiments = client.search_experiments(filter_string="name = 'mar14'")
    runs = client.search_runs([one.experiment_id for one in experiments], order_by=["metrics.val_bpb"])
    found = {run.info.run_name: run for run in runs}
    assert len(found) == 5
    second = found["#2 increase LR to 0.04"]
    assert second.data.metrics["val_bpb"] == 0.9932
    assert second.data.params["status"] == "keep"
    losses = client.get_metric_history(second.info.run_id, "loss")
    assert [(point.step, point.value) for point in losses] == [(0, 9.0), (50, 4.0), (98, 3.0)]
    crashed = found["#4 double model width (OOM)"]
    assert (crashed.info.status, "val_bpb" in crashed.data.metrics) == ("FAILED", False)
    assert export(night, "mlflow").exit_code == 2, "it is there already"


def test_wandb(night: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb", reason="wandb is not installed: uv sync --inexact --group wandb")
    monkeypatch.setitem(os.environ, "WANDB_MODE", "offline")
    result = export(night, "wandb-offline")
    assert result.exit_code == 0, result.output
    assert len(list((night / "wandb/wandb").glob("offline-run-*/run-*.wandb"))) == 5
