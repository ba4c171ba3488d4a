"""A run -> the formats of other tools: CSV, JSON, MLflow's file store, offline runs of Weights & Biases.

The last two need extra packages (dependency groups in pyproject.toml), which only this module imports.
"""

import csv
import io
import json
import os
from datetime import datetime
from decimal import Decimal
from importlib import import_module
from pathlib import Path
from typing import Any

from lab.errors import Fault
from lab.runs import logs
from lab.store import durable, experiments, ledger, manifest, metric, schemas
from lab.store.experiments import Experiment
from lab.store.ledger import Row

METRICS = (
    *("val_bpb", "incumbent_bpb", "gain", "memory_gb", "wall_seconds"),
    *("lines_added", "lines_removed", "tokens", "cost_usd"),
)
PARAMETERS = (
    *("commit", "parent", "status", "rule", "reason", "failure", "category"),
    *("agent", "attempts", "description", "foreign"),
)
POINTS = 80  # of a loss curve


def checked_out() -> Path:
    """The folder of the run that is checked out (results.tsv links into it). Raises Fault if there is none."""
    link = Path("results.tsv")
    if not link.is_symlink():
        raise Fault("no run is checked out", "name its folder: lab export runs/mar14 ...")
    return link.resolve().parent


def export(run: Path | None, kind: str, out: Path | None) -> str:
    """The text of the export, or the command that reads the new file or folder. Default: the run checked out."""
    run = run or checked_out()
    if kind == "mlflow":
        return to_mlflow(run, out or run / "mlflow")
    if kind == "wandb-offline":
        return to_wandb(run, out or run / "wandb")
    text = as_csv(run) if kind == "csv" else as_json(run)
    if out is None:
        return text
    refuse_existing(out)
    durable.write_atomically(out, text)
    return ""


def refuse_existing(out: Path) -> None:
    """Raise Fault rather than overwrite a file."""
    if out.exists():
        raise Fault(f"'{out}' exists", "remove it, or choose another path: --out PATH")


def rows(run: Path) -> list[Experiment]:
    """An experiment for each row of the ledger. A row that was written by hand has only the ledger's columns."""
    known = experiments.by_commit(run)
    found = enumerate(ledger.read(run / "results.tsv"), start=1)
    empty = {"metric": ledger.metric_of(run / "results.tsv"), "guards": None}
    return [
        {**empty, **(known.get(row.commit) or by_hand(n, row)), "foreign": row.commit not in known} for n, row in found
    ]


def by_hand(n: int, row: Row) -> Experiment:
    """A row that was written by hand. Unknown values are None, and so is the 0 of a crash."""
    empty: Experiment = dict.fromkeys(schemas.load("experiment")["properties"])
    crashed = row.status == "crash"
    value, memory = (None, None) if crashed else (Decimal(row.val_bpb), Decimal(row.memory_gb))
    facts = {"n": n, "commit": row.commit, "status": row.status, "val_bpb": value, "memory_gb": memory}
    return {**empty, **facts, "runs": [], "description": row.description}


def as_csv(run: Path) -> str:
    """A line for each experiment. `runs` is the number of runs and `seeds` their seeds; only JSON has the runs."""
    columns = [*schemas.load("experiment")["properties"], "seeds", "foreign"]
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    for experiment in rows(run):
        runs = experiment["runs"]
        writer.writerow({**experiment, "runs": len(runs), "seeds": " ".join(str(each["seed"]) for each in runs)})
    return text.getvalue()


def as_json(run: Path) -> str:
    """The manifest and all experiments."""
    whole = {"manifest": manifest.read(run), "experiments": rows(run)}
    return json.dumps(whole, indent=1, default=float, ensure_ascii=False) + "\n"


# --- For trackers -----------------------------------------------------------------------------------------------------


def metrics(experiment: Experiment) -> dict[str, float]:
    """The known numbers of an experiment; the metric has its own name."""
    own = experiment.get("metric") or metric.BPB
    known = {name: experiment[name] for name in METRICS if experiment[name] is not None} | (experiment["guards"] or {})
    return {own if name == metric.BPB else name: float(value) for name, value in known.items() if value is not None}


def parameters(experiment: Experiment) -> dict[str, str]:
    """All other known facts, as text."""
    return {name: str(experiment[name]) for name in PARAMETERS if experiment[name] is not None}


def loss_curve(run: Path, experiment: Experiment) -> list[tuple[int, float]]:
    """The training loss by percent of the budget, from the log; empty without a log."""
    log = logs.log_of(run, experiment)
    values = logs.curve(log).values(POINTS) if log else []
    return [(100 * place // POINTS, value) for place, value in enumerate(values) if value is not None]


def milliseconds(time: str | None) -> int:
    """Milliseconds since 1970; 0 for an unknown time, because trackers need a number."""
    return int(datetime.fromisoformat(time.replace("Z", "+00:00")).timestamp() * 1000) if time else 0


def package(name: str, group: str) -> Any:
    """The imported module. Raises Fault if its package is not installed."""
    try:
        return import_module(name)
    except ImportError as error:
        raise Fault(f"'{name}' cannot be imported: {error}", f"uv sync --inexact --group {group}") from None


def new_folder(folder: Path) -> Path:
    """The absolute path of a folder that did not exist before."""
    refuse_existing(folder)
    folder.mkdir(parents=True)
    return folder.resolve()


def to_mlflow(run: Path, out: Path) -> str:
    """Write a new file store `out`: an MLflow experiment for the run, an MLflow run for each row."""
    os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")  # MLflow 3 prefers a database
    mlflow, entities = package("mlflow", "mlflow"), package("mlflow.entities", "mlflow")
    uri = new_folder(out).as_uri()
    client = mlflow.MlflowClient(tracking_uri=uri)
    parent = client.create_experiment(run.name)
    for one in rows(run):
        began, ended = milliseconds(one["started"]), milliseconds(one["ended"])
        name = client.create_run(parent, start_time=began, run_name=f"#{one['n']} {one['description']}").info.run_id
        client.log_batch(
            name,
            [entities.Metric(key, value, ended, 0) for key, value in metrics(one).items()]
            + [entities.Metric("loss", value, ended, step) for step, value in loss_curve(run, one)],
            [entities.Param(key, value) for key, value in parameters(one).items()],
        )
        client.set_terminated(name, "FAILED" if one["status"] == "crash" else "FINISHED", ended)
    return f"MLFLOW_ALLOW_FILE_STORE=true mlflow ui --backend-store-uri {uri}\n"


def to_wandb(run: Path, out: Path) -> str:
    """Write offline runs of Weights & Biases, one for each row, into the new folder `out`."""
    wandb = package("wandb", "wandb")
    folder = new_folder(out)
    for one in rows(run):
        tracked = wandb.init(
            project="autoresearch",
            group=run.name,
            name=f"#{one['n']} {one['description']}"[:128],
            config=parameters(one),
            dir=folder,
            mode="offline",
            settings=wandb.Settings(silent=True, console="off", x_disable_stats=True, save_code=False),
        )
        for step, value in loss_curve(run, one):
            tracked.log({"loss": value}, step=step)
        tracked.summary.update(metrics(one))
        tracked.finish(exit_code=1 if one["status"] == "crash" else 0)
    return f"wandb sync {folder}/wandb/offline-run-*\n"
