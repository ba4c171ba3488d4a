"""A run -> what other tools read: CSV and JSON, the file store of MLflow, runs of Weights & Biases to be synced later.

The latter two need packages that a run does not (pyproject.toml, dependency groups): they are imported here alone.
"""

import csv
import io
import json
import os
from datetime import datetime, timezone
from decimal import Decimal
from importlib import import_module
from pathlib import Path
from typing import Any

from lab.errors import Fault
from lab.runs import logs
from lab.store import durable, experiments, ledger, manifest, schemas
from lab.store.experiments import Experiment
from lab.store.ledger import Row

METRICS = (
    "val_bpb",
    "incumbent_bpb",
    "gain",
    "memory_gb",
    "wall_seconds",
    "lines_added",
    "lines_removed",
    "tokens",
    "cost_usd",
)
TEXTS = (
    "commit",
    "parent",
    "status",
    "rule",
    "reason",
    "failure",
    "category",
    "agent",
    "attempts",
    "description",
    "foreign",
)
PER_CENT = 80  # parts of the budget, of a curve of the loss


def checked_out() -> Path:
    """The run that is checked out in this folder: results.tsv leads there. Raises Fault where none is."""
    link = Path("results.tsv")
    if not link.is_symlink():
        raise Fault("no run is checked out", "name its folder: lab export runs/mar14 ...")
    return link.resolve().parent


def write(text: str, out: Path) -> None:
    """To a new file: nothing is overwritten."""
    if out.exists():
        raise Fault(f"'{out}' is there already", "take it away, or: --out ANOTHER")
    durable.write_atomically(out, text)


def rows(run: Path) -> list[Experiment]:
    """All rows of the ledger; of one that was written by hand (foreign) no more is known than stands there."""
    known = {one["commit"][:7]: one for one in experiments.read(run)}
    found = enumerate(ledger.read(run / "results.tsv"), start=1)
    return [{**(known.get(row.commit) or by_hand(n, row)), "foreign": row.commit not in known} for n, row in found]


def by_hand(n: int, row: Row) -> Experiment:
    """What is not known is None; the ledger's 0 of a crash says no more."""
    empty: Experiment = dict.fromkeys(schemas.load("experiment")["properties"])
    crashed = row.status == "crash"
    value, memory = (None, None) if crashed else (Decimal(row.val_bpb), Decimal(row.memory_gb))
    facts = {"n": n, "commit": row.commit, "status": row.status, "val_bpb": value, "memory_gb": memory}
    return {**empty, **facts, "runs": [], "description": row.description}


def as_csv(run: Path) -> str:
    """A line each; `runs` is how many there were, `seeds` theirs. JSON has all that is known of them."""
    columns = [*schemas.load("experiment")["properties"], "seeds", "foreign"]
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    for one in rows(run):
        seeds = " ".join(str(each["seed"]) for each in one["runs"])
        writer.writerow({**one, "runs": len(one["runs"]), "seeds": seeds})
    return text.getvalue()


def as_json(run: Path) -> str:
    """The manifest, and all experiments."""
    whole = {"manifest": manifest.read(run), "experiments": rows(run)}
    return json.dumps(whole, indent=1, default=float, ensure_ascii=False) + "\n"


# ---------------------------------------------------------------------------
# For trackers
# ---------------------------------------------------------------------------


def metrics(one: Experiment) -> dict[str, float]:
    """The numbers that are known."""
    return {name: float(one[name]) for name in METRICS if one[name] is not None}


def texts(one: Experiment) -> dict[str, str]:
    """The rest of what is known."""
    return {name: str(one[name]) for name in TEXTS if one[name] is not None}


def loss(run: Path, one: Experiment) -> list[tuple[int, float]]:
    """The training loss by per cent of the budget, from the log that is kept; empty where there is none."""
    log = logs.own(run, one)
    values = logs.curve(log).values(PER_CENT) if log else []
    return [(100 * place // PER_CENT, value) for place, value in enumerate(values) if value is not None]


def milliseconds(time: str | None) -> int:
    """Since 1970; of a time that is not known, 0: trackers want one."""
    if time is None:
        return 0
    return int(datetime.fromisoformat(time.removesuffix("Z")).replace(tzinfo=timezone.utc).timestamp() * 1000)


def package(name: str, group: str) -> Any:
    """What is imported. Raises Fault where it is not installed."""
    try:
        return import_module(name)
    except ImportError as error:
        raise Fault(f"'{name}' cannot be imported: {error}", f"uv sync --inexact --group {group}") from None


def new_folder(folder: Path) -> Path:
    """An export is made anew, and nothing is overwritten."""
    if folder.exists():
        raise Fault(f"'{folder}' is there already", "take it away, or: --out ANOTHER")
    folder.mkdir(parents=True)
    return folder.resolve()


def to_mlflow(run: Path, out: Path) -> str:
    """A file store in the new folder `out`: an experiment of MLflow for the run, a run of MLflow for each row."""
    os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")  # MLflow 3 would rather have a data base, and says how
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
            + [entities.Metric("loss", value, ended, step) for step, value in loss(run, one)],
            [entities.Param(key, value) for key, value in texts(one).items()],
        )
        client.set_terminated(name, "FAILED" if one["status"] == "crash" else "FINISHED", ended)
    return f"MLFLOW_ALLOW_FILE_STORE=true mlflow ui --backend-store-uri {uri}"


def to_wandb(run: Path, out: Path) -> str:
    """Offline runs of Weights & Biases, one for each row, in the new folder `out`."""
    wandb = package("wandb", "wandb")
    folder = new_folder(out)
    for one in rows(run):
        tracked = wandb.init(
            project="autoresearch",
            group=run.name,
            name=f"#{one['n']} {one['description']}"[:128],
            config=texts(one),
            dir=folder,
            mode="offline",
            settings=wandb.Settings(silent=True, console="off", x_disable_stats=True, save_code=False),
        )
        for step, value in loss(run, one):
            tracked.log({"loss": value}, step=step)
        tracked.summary.update(metrics(one))
        tracked.finish(exit_code=1 if one["status"] == "crash" else 0)
    return f"wandb sync {folder}/wandb/offline-run-*"
