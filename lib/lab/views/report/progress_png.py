"""Rows -> the progress picture as PNG, and the ends of its axis. The page uses the same progress.vg.json."""

import json
from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from lab.verdict import trust
from lab.views.report.label_positions import Size, is_keep, placed

FOLDER = Path(__file__).parent
PICTURE = Size(1100, 480, 40, 44)  # progress.png
PAGE = (Size(1000, 400, 34, 40), Size(620, 400, 20, 32), Size(250, 260, 7, 20))  # page widths
SCALE = 2  # pixels of progress.png per unit of PICTURE


def bounds(rows: Sequence[dict[str, Any]]) -> list[float] | None:
    """Bottom and top of the axis, as costs: all baselines and keeps, and room for labels below the best.

    Worse values are drawn at the edge, so that one diverged run does not flatten the picture. None: no value.
    """
    values = sorted(float(row["bpb"]) for row in rows if row["bpb"] is not None)
    if not values:
        return None
    kept = [float(row["bpb"]) for row in rows if is_keep(row)]
    low, high = values[0], max(kept, default=values[-1])
    if high == low:
        high = values[len(values) * 9 // 10]
    span = (high - low) or 0.01 * abs(low) or 1.0
    return [low - 0.28 * span, high + 0.15 * span]


def costs(rows: Sequence[dict[str, Any]], sign: int) -> list[dict[str, Any]]:
    """The rows with costs (lower is better) as values. `sign` is -1 for a metric where higher is better."""
    return [row if row["bpb"] is None else {**row, "bpb": sign * row["bpb"]} for row in rows]


def axis_title(runs: Sequence[dict[str, Any]]) -> str:
    """`val_bpb (lower is better)`"""
    metric = runs[0]["metric"]
    return f"{metric['name']} ({'lower' if metric['sign'] > 0 else 'higher'} is better)"


def png(data: dict[str, Any]) -> bytes:
    """The picture on a white background."""
    import vl_convert  # imported late: 84 MB that only a report needs

    spec = json.loads((FOLDER / "progress.vg.json").read_text())
    del spec["autosize"]
    spec |= {"width": PICTURE.width, "height": PICTURE.height, "background": "white", "padding": 20}
    sign = data["runs"][0]["metric"]["sign"]
    rows = costs(data["rows"], sign)
    values = {
        "rows": points(rows),
        "runs": [{"name": one["name"], "band": band_of(one)} for one in data["runs"]],
        "labels": placed(rows, data["bounds"], PICTURE),
    }
    for one in spec["data"]:
        one |= {"values": values[one["name"]]} if one["name"] in values else {}
    low, high = data["bounds"] or (0, 1)
    axis = data["axes"][0]
    values_by_signal = {"low": low, "high": high, "last": axis["last"], "xTitle": axis["title"]}
    values_by_signal |= {"title": title(data), "subtitle": subtitle(data)}
    values_by_signal |= {"sign": sign, "metric": axis_title(data["runs"])}
    for signal in spec["signals"]:
        signal |= {"value": values_by_signal[signal["name"]]} if signal["name"] in values_by_signal else {}
    picture: bytes = vl_convert.vega_to_png(spec, scale=SCALE)
    return picture


def points(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The fields of each row that the picture needs."""
    names = ("run", "n", "status", "bpb", "gain", "description", "by_hand", "trust")
    return [
        {**{name: float(value) if isinstance(value := row.get(name), Decimal) else value for name in names},
         "x": row["x"]["n"]}
        for row in rows
    ]  # fmt: skip


def band_of(run: dict[str, Any]) -> float | None:
    """The half width of a single run's 95 % interval."""
    return float(run["noise"]["band"]) if run["noise"] else None


def title(data: dict[str, Any]) -> list[str]:
    """`mar14: val_bpb 0.969700, gain +0.028200 (2.83 %)`, a line for each run."""
    return [title_of(run, kept_of(data, at)) for at, run in enumerate(data["runs"])]


def kept_of(data: dict[str, Any], run: int) -> list[dict[str, Any]]:
    """The keeps of one run, the baseline first."""
    return [row for row in data["rows"] if row["run"] == run and is_keep(row)]


def title_of(run: dict[str, Any], kept: Sequence[dict[str, Any]]) -> str:
    """The best value and the gain of one run."""
    if not kept:
        return f"{run['name']}: no baseline yet"
    named = run["metric"]
    best, places = min(kept, key=lambda row: named["sign"] * row["bpb"])["bpb"], named["places"]
    share = f" ({100 * run['claimed'] / abs(run['level']):.2f} %)" if run["level"] else ""
    return f"{run['name']}: {named['name']} {best:.{places}f}, gain {run['claimed']:+.{places}f}{share}"


def subtitle(data: dict[str, Any]) -> str:
    """For a single run, how far to trust it: the gain that an audit reproduced, and the trust in its keeps."""
    if len(data["runs"]) > 1:
        return ""
    counts = Counter(row.get("trust") for row in kept_of(data, 0))
    sure = ", ".join(f"{counts[word]} {word}" for word in trust.WORDS if counts[word])
    return "; ".join(filter(None, [audit_in_words(data["runs"][0]), sure and f"keeps: {sure}"]))


def audit_in_words(run: dict[str, Any]) -> str:
    """`reproduced with fresh seeds: +0.013609 (95 %: +0.0125 to +0.0147), on the holdout +0.012109`"""
    audit, places = run["audit"], run["metric"]["places"]
    if audit is None:
        return "not audited yet: make audit"
    low, high = audit["reproduced_low"], audit["reproduced_high"]
    fewer = max(0, places - 2)
    interval = "" if None in (low, high) else f" (95 %: {low:+.{fewer}f} to {high:+.{fewer}f})"
    holdout = "" if audit["holdout_gain"] is None else f", on the holdout {audit['holdout_gain']:+.{places}f}"
    return f"reproduced with fresh seeds: {audit['reproduced_gain']:+.{places}f}{interval}{holdout}"
