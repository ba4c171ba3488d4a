"""`manifest.json`: the identity of a run, and the facts that make its values comparable. Set-up writes it once."""

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
    """Write the ledger's header and, last, the manifest. `facts` is the output of prepare.py --check."""
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
            f"ledger '{table}' exists and is not overwritten",
            f"choose another tag: make setup TAG={free_tag(run)}",
        )
    durable.write_atomically(table, header)
    durable.write_atomically(run / "manifest.json", json.dumps(manifest, indent=2) + "\n")


def read(run: Path) -> Manifest:
    """The manifest of a run."""
    manifest: Manifest = json.loads((run / "manifest.json").read_text())
    return manifest


def metric_of(run: Path) -> Metric:
    """The metric of a run; val_bpb if there is no manifest."""
    path = run / "manifest.json"
    return metric.of_settings(read(run).get("settings", {})) if path.exists() else metric.VAL_BPB


def editable(run: Path) -> str:
    """The files that an experiment may change, as text: `train.py`, or pathspecs."""
    path = run / "manifest.json"
    kept = read(run).get("settings", {}) if path.exists() else {}
    return str(kept.get("EDITABLE", settings.default_of("EDITABLE")))


def comparable_facts(facts: str, source: Path) -> dict[str, Any]:
    """The JSON object in the last line of prepare.py's output, if it is one, and the hash of `source` (prepare.py).

    Without a prepare.py, the hash is that of an empty file.
    """
    code = source.read_bytes() if source.exists() else b""
    lines = facts.strip().splitlines()
    try:
        said = json.loads(lines[-1]) if lines else {}
    except (ValueError, RecursionError):
        said = {}  # another project's prepare.py may print anything
    return {**(said if isinstance(said, dict) else {}), "prepare.py": hashlib.sha256(code).hexdigest()}


def settings_of(run: Path, environment: Mapping[str, str]) -> dict[str, str]:
    """The settings of a loop, from the environment, else the run. Raises Fault if a fixed setting differs."""
    kept: dict[str, str] = read(run)["settings"]
    asked = settings.read(environment)
    fixed = settings.fixed_names()
    for name in fixed:
        then = kept.get(name, settings.default_of(name))  # a run may be older than the setting
        if name in environment and asked[name] not in (then, "auto"):
            raise changed(run, name, asked[name], then)
    chosen = settings.read({**kept, **environment, **{name: kept[name] for name in fixed if name in kept}})
    chosen.setdefault("RUN_TIMEOUT", settings.run_timeout(chosen["TIME_BUDGET"]))
    return chosen


def check(run: Path, facts: str, source: Path) -> None:
    """Raise Fault if a fact that affects the measurement has changed since set-up."""
    then, now = read(run)["comparable"], comparable_facts(facts, source)
    for name in sorted({*then, *now}):
        if then.get(name) != now.get(name):
            raise changed(run, name, now.get(name), then.get(name))


def changed(run: Path, name: str, now: object, then: object) -> Fault:
    """The Fault for a fixed fact that has changed. Values before and after the change cannot be compared."""
    hint = f"start a new run: make setup TAG={free_tag(run)}"
    return Fault(f"{name} is '{now}', but the run was set up with '{then}'", hint)


def free_tag(run: Path) -> str:
    """A tag like the run's that no run of the tree has."""
    names = (f"{run.name}{letter}" for letter in "bcdefghijklmnopqrstuvwxyz")
    return next((name for name in names if not run.with_name(name).exists()), f"{run.name}-2")
