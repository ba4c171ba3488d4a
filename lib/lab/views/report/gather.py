"""A ledger and the files beside it -> a run for the report, ready for JSON. Unknown values are null or absent.

The ledger is read leniently (lab.store.foreign_ledger). `experiments.jsonl`, `manifest.json` and `audit.json` are used
if they exist and are valid. Memory is in GiB, and times are in seconds. `bpb` and gains have the unit of the run's
metric (bits per byte for val_bpb).
"""

from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from lab.store import experiments, foreign_ledger, schemas, two_records
from lab.store.ledger import Row, in_words
from lab.store.metric import Metric
from lab.verdict import index, trust
from lab.verdict.criterion import t_quantile
from lab.verdict.index import Index
from lab.views import replay
from lab.views.report.label_positions import is_keep

Facts = dict[str, Any]
TAKEN = (  # facts that are taken from experiments.jsonl
    *("category", "rule", "reason", "failure", "gain", "wall_seconds", "tokens", "cost_usd", "agent", "attempts"),
    *("runs", "lines_added", "lines_removed", "started", "ended", "guards"),
)
MOST_SAID = 8  # repairs of a ledger that are listed
DAMAGED = (ValueError, LookupError, TypeError, OSError, ArithmeticError)  # raised by a damaged file


def run_data(path: Path) -> Facts:
    """The run with the ledger `path`, with its `rows` and `notes`."""
    found, metric = foreign_ledger.read(path), replay.metric_of(path)
    facts = schemas.read_valid("manifest", path.parent / "manifest.json") or {}
    known, bad = experiments.salvaged(path.parent)
    past = {one["commit"][:7]: one for one in known}
    judged = replay.judged(found.rows, None, own=False, metric=metric)
    rows = [row(line, past.get(line.row.commit), metric) for line in judged]
    by_hand = [entry for entry in rows if past and entry.get("foreign")]
    for entry in by_hand:
        entry["by_hand"] = True  # not measured here, so it is not in the headline
    link(rows, past)
    whole = recorded(path.parent)
    noise = whole.spread if whole else None
    if whole:
        believe(rows, path.parent, known, whole)
    chosen = facts.get("settings", {})
    name = facts.get("tag") or (path.absolute().parent.name if path.stem == "results" else path.stem)
    return {
        "name": name,
        "ledger": str(path),
        "metric": measured(metric, rows),
        "profile": chosen.get("PROFILE"),
        "budget": chosen.get("TIME_BUDGET"),
        "device": next((one["device"] for entry in rows for one in entry.get("runs", []) if one.get("device")), None),
        "facts": facts.get("comparable", {}),
        "noise": {"sd": noise.sd, "df": noise.df, "band": noise.sd * Decimal(t_quantile(0.975, noise.df))}
        if noise
        else None,
        **claim(rows, metric, whole),
        "audit": schemas.read_valid("audit", path.parent / "audit.json"),
        "counts": in_words(entry["status"] for entry in rows if not entry.get("by_hand")),
        "mended": found.said[:MOST_SAID],
        "more_mended": max(0, len(found.said) - MOST_SAID),
        "notes": notes(name, found, bad, by_hand) + edited(name, found.rows, past),
        "rows": rows,
    }


def measured(metric: Metric, rows: Sequence[Facts]) -> Facts:
    """The metric: its name, `sign` (-1: higher is better), and the decimals of its values."""
    values = [entry["bpb"] for entry in rows if entry["bpb"] is not None]
    places = max((metric.places(Decimal(value)) for value in values), default=6)
    return {"name": metric.name, "sign": -1 if metric.is_max else 1, "places": min(places, 12)}


def row(line: replay.Line, known: Facts | None, metric: Metric) -> Facts:
    """A row of the table: the ledger's five columns and, if there is one, the facts of its experiment."""
    memory = Decimal(line.row.memory_gb)
    value = replay.value_of(line.row, metric)
    entry = {
        "n": line.n,
        "commit": line.row.commit,
        "status": line.row.status,
        "bpb": value,
        "memory": memory or None,
        "gain": line.gain if line.rule != "baseline" else None,
        "description": line.row.description,
    }
    if known is None:
        return {**entry, "foreign": True}
    entry |= {name: known[name] for name in TAKEN if known.get(name) is not None}
    recorded = {"n": known["n"], "status": known["status"], "bpb": known["val_bpb"], "memory": known["memory_gb"]}
    return {**entry, **recorded, "commit": known["commit"]}


def link(rows: Sequence[Facts], past: dict[str, Facts]) -> None:
    """Add `against` and `net` to each row.

    `against` is the number of the incumbent that the row was compared with. `net` is the number of code lines that its
    train.py has more than the baseline's.
    """
    numbers = {entry["commit"]: entry["n"] for entry in rows}
    incumbent, lines = None, 0
    for entry in rows:
        one = past.get(entry["commit"][:7])
        entry["against"] = numbers.get(one["parent"], incumbent) if one else incumbent
        if one and one["lines_added"] is not None:
            entry["net"] = lines + one["lines_added"] - one["lines_removed"]
        if entry["status"] == "keep" and not entry.get("by_hand"):
            incumbent, lines = entry["n"], entry.get("net", lines)


def recorded(folder: Path) -> Index | None:
    """The index of the run; None if it is unreadable."""
    try:
        return index.read(folder)
    except DAMAGED:
        return None


def claim(rows: Sequence[Facts], metric: Metric, whole: Index | None) -> Facts:
    """`level`: the baseline's value when the first change was kept; `claimed`: the gain of the best over it.

    A run knows its own, within each kind of device. In another ledger, all values are compared.
    """
    if whole and whole.baseline and whole.best:
        return {"level": whole.level or whole.baseline["val_bpb"], "claimed": whole.claimed(whole.best)}
    kept = [(Decimal(row["bpb"]), Decimal(row["gain"] or 0)) for row in rows if is_keep(row)]
    if len(kept) < 2:
        return {"level": kept[0][0], "claimed": 0} if kept else {}
    (value, gain), best = kept[1], metric.best(value for value, _ in kept)
    level = value - gain if metric.is_max else value + gain
    return {"level": level, "claimed": metric.gain(level, best)}


def believe(rows: Sequence[Facts], folder: Path, known: Sequence[Facts], whole: Index) -> None:
    """Add to each keep how sure its gain is (`trust`) and the ends of its interval, where the noise was measured."""
    sure = trust.of_keeps(folder, [one for one in known if one["status"] == "keep"], whole.spread_on)
    for entry in rows:
        if found := sure.get(entry["commit"]):
            entry |= {"trust": found.word, "low": found.low, "high": found.high}


def edited(name: str, rows: Sequence[Row], past: dict[str, Facts]) -> list[str]:
    """Notes about hand edits of the ledger. The report shows the recorded values."""
    changed = sum(row.commit in past and row != two_records.row_of(past[row.commit]) for row in rows)
    lost = len(past) - len(past.keys() & {row.commit for row in rows})
    said = [f"{name}: rows edited by hand (the recorded values are shown): {changed}"] if changed else []
    return said + (
        [f"{name}: experiments without a row in the ledger (restore them: make mend): {lost}"] if lost else []
    )


def notes(name: str, found: foreign_ledger.Found, bad: int, foreign: Sequence[Facts]) -> list[str]:
    """Notes about rows that were left out or have no data."""
    said = [f"{name}: unreadable rows, left out: {found.left_out}"] if found.left_out else []
    if bad:
        said.append(f"{name}: damaged lines of {experiments.FILE}, left out: {bad}")
    if foreign:
        said.append(f"{name}: rows written by hand, without further data: {len(foreign)}")
    return said
