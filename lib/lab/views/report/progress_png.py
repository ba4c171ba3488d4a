"""Rows -> the progress picture as PNG, and the ends of its axis. Its specification is the page's: progress.vg.json."""

import json
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from lab.views.report.label_positions import Size, is_keep, placed

FOLDER = Path(__file__).parent
PICTURE = Size(1100, 480, 40, 44)  # of progress.png
PAGE = (Size(1000, 400, 34, 40), Size(620, 400, 20, 32), Size(250, 260, 7, 20))  # of the page, by its width
SCALE = 2  # pixels of progress.png for each of these


def bounds(rows: Sequence[dict[str, Any]]) -> list[float] | None:
    """Bottom and top of the val_bpb axis: room for labels below the best, and all baselines and keeps.

    Worse values are drawn at the edge: one diverged run must not flatten the picture. None: no value at all.
    """
    values = sorted(float(row["bpb"]) for row in rows if row["bpb"] is not None)
    if not values:
        return None
    kept = [float(row["bpb"]) for row in rows if is_keep(row)]
    low, high = values[0], max(kept, default=values[-1])
    if high == low:
        high = values[len(values) * 9 // 10]
    span = (high - low) or 0.01 * low
    return [low - 0.28 * span, high + 0.15 * span]


def png(data: dict[str, Any]) -> bytes:
    """The picture on a white background."""
    import vl_convert  # 84 MB, which only a report should load

    spec = json.loads((FOLDER / "progress.vg.json").read_text())
    del spec["autosize"]
    spec |= {"width": PICTURE.width, "height": PICTURE.height, "background": "white", "padding": 20}
    values = {
        "rows": points(data["rows"]),
        "runs": [{"name": one["name"], "band": band_of(one)} for one in data["runs"]],
        "labels": placed(data["rows"], data["bounds"], PICTURE),
    }
    for one in spec["data"]:
        one |= {"values": values[one["name"]]} if one["name"] in values else {}
    low, high = data["bounds"] or (0, 1)
    axis = data["axes"][0]
    values_by_signal = {"low": low, "high": high, "last": axis["last"], "xTitle": axis["title"], "title": title(data)}
    for signal in spec["signals"]:
        signal |= {"value": values_by_signal[signal["name"]]} if signal["name"] in values_by_signal else {}
    picture: bytes = vl_convert.vega_to_png(spec, scale=SCALE)
    return picture


def points(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The values of each row that the picture needs."""
    names = ("run", "n", "status", "bpb", "gain", "description", "by_hand", "trust")
    return [
        {**{name: float(value) if isinstance(value := row.get(name), Decimal) else value for name in names},
         "x": row["x"]["n"]}
        for row in rows
    ]  # fmt: skip


def band_of(run: dict[str, Any]) -> float | None:
    """What a single run may be off by chance."""
    return float(run["noise"]["band"]) if run["noise"] else None


def title(data: dict[str, Any]) -> list[str]:
    """`mar14: val_bpb 0.969700, a gain of 0.028200 (2.83 %)`, a line for each run; and below how far to believe it."""
    return [line for at, run in enumerate(data["runs"]) for line in title_of(run, rows_of(data, at))]


def rows_of(data: dict[str, Any], run: int) -> list[dict[str, Any]]:
    """Those of one run."""
    return [row for row in data["rows"] if row["run"] == run]


def title_of(run: dict[str, Any], rows: Sequence[dict[str, Any]]) -> list[str]:
    """Best and gain; and, of a single run, what an audit has found again."""
    kept = [row for row in rows if is_keep(row)]
    if not kept:
        return [f"{run['name']}: no baseline yet"]
    best = min(kept, key=lambda row: row["bpb"])
    gain = sum(Decimal(row["gain"] or 0) for row in kept if row["n"] <= best["n"])
    share = 100 * gain / Decimal(kept[0]["bpb"])
    audit = run["audit"]
    again = "not audited yet" if audit is None else f"found again {audit['reproduced_gain']:+.6f}"
    return [f"{run['name']}: val_bpb {best['bpb']:.6f}, gain {gain:+.6f} ({share:.2f} %), {again}"]
