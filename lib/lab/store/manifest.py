"""`manifest.json`: the identity of a run, and the facts that make its values comparable. Written once, at set-up."""

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from lab.errors import Fault
from lab.store import durable, ledger, metric, schemas, settings
from lab.store.metric import Metric

Manifest = dict[str, Any]


def begin(run: Path, tag: str, start: str, facts: str, environment: Mapping[str, str]) -> None:
    """Write the ledger's header and then, last, the manifest. `facts` is the output of prepare.py --check."""
    chosen = settings.of_new_run(environment)
    comparable = comparable_facts(facts, run.parents[1] / "prepare.py")
    prepared = settings.from_prepare(comparable)
    chosen["PROFILE"] = prepared.get("PROFILE", chosen["PROFILE"])
    chosen.setdefault("TIME_BUDGET", settings.plain_seconds(prepared.get("TIME_BUDGET", settings.PUBLISHED_BUDGET)))
    header = ledger.header(metric.of_settings(chosen).name) + "\n"
    manifest: Manifest = {
        "tag": tag,
        "start": start,
        "created": datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "settings": {name: chosen[name] for name in settings.kept_names(chosen)},
        "comparable": comparable,
    }
    schemas.require("manifest", manifest)
    table = run / "results.tsv"
    if table.exists() and table.read_text() != header:
        raise Fault(
            f"ledger '{table}' exists, and a ledger is never overwritten",
            f"choose another tag: make setup TAG={free_tag(run)}",
        )
    durable.write_atomically(table, header)
    durable.write_atomically(run / "manifest.json", json.dumps(manifest, indent=2) + "\n")


def read(run: Path) -> Manifest:
    """The manifest of the run whose folder is `run`."""
    manifest: Manifest = json.loads((run / "manifest.json").read_text())
    return manifest


def metric_of(run: Path) -> Metric:
    """What the run measures; val_bpb, where there is no manifest."""
    path = run / "manifest.json"
    return metric.of_settings(read(run).get("settings", {})) if path.exists() else metric.VAL_BPB


def editable(run: Path) -> str:
    """The files that an experiment may change, for a person or a proposer: `train.py`, or pathspecs."""
    path = run / "manifest.json"
    kept = read(run).get("settings", {}) if path.exists() else {}
    return str(kept.get("EDITABLE", settings.default_of("EDITABLE")))


def comparable_facts(facts: str, source: Path) -> dict[str, Any]:
    """The last line of what prepare.py has printed, if that is a JSON object, and the hash of it, `source`.

    Where there is no prepare.py, it is that of an empty one.
    """
    code = source.read_bytes() if source.exists() else b""
    lines = facts.strip().splitlines()
    try:
        said = json.loads(lines[-1]) if lines else {}
    except (ValueError, RecursionError):
        said = {}  # the prepare.py of another project may print anything
    return {**(said if isinstance(said, dict) else {}), "prepare.py": hashlib.sha256(code).hexdigest()}


def settings_of(run: Path, environment: Mapping[str, str]) -> dict[str, str]:
    """The settings of a loop: the environment's, else the run's. Raises Fault if a fixed setting differs."""
    kept: dict[str, str] = read(run)["settings"]
    asked = settings.read(environment)
    fixed = settings.fixed_names()
    for name in fixed:
        then = kept.get(name, settings.default_of(name))  # also of a run of before there was such a setting
        if name in environment and asked[name] not in (then, "auto"):
            raise changed(run, name, asked[name], then)
    chosen = settings.read({**kept, **environment, **{name: kept[name] for name in fixed if name in kept}})
    chosen.setdefault("RUN_TIMEOUT", settings.run_timeout(chosen["TIME_BUDGET"]))
    return chosen


def check(run: Path, facts: str, source: Path) -> None:
    """Raise Fault if a fact that defines the measurement has changed since set-up."""
    then, now = read(run)["comparable"], comparable_facts(facts, source)
    for name in sorted({*then, *now}):
        if then.get(name) != now.get(name):
            raise changed(run, name, now.get(name), then.get(name))


def changed(run: Path, name: str, now: object, then: object) -> Fault:
    """A fixed fact has changed: values before and after cannot be compared."""
    hint = f"begin a new run: make setup TAG={free_tag(run)}"
    return Fault(f"{name} is '{now}', but the run was set up with '{then}'", hint)


def free_tag(run: Path) -> str:
    """A name like that of the run, which no run of the tree has."""
    names = (f"{run.name}{letter}" for letter in "bcdefghijklmnopqrstuvwxyz")
    return next((name for name in names if not run.with_name(name).exists()), f"{run.name}-2")
