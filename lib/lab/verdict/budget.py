"""The use of proposers since a person started the loop -> whether a limit is reached.

`runs/<tag>/budget` has the start time and the use before it. A loop that is restarted continues to count from there.
Rows, calls without a row, and flights in training are counted. The limits are MAX_HOURS, MAX_COST (USD) and
MAX_TOKENS in the loop's environment; 0 means no limit.
"""

import json
import os
import time
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from lab.store import durable, experiments, flight, jsonl
from lab.verdict import index, record

FILE = "budget"
AMOUNTS = ("cost_usd", "tokens")


def begin_budget(run: Path) -> None:
    """Start to count now."""
    since = {"since": time.time(), **{name: str(amount) for name, amount in taken(run).items()}}
    durable.write_atomically(run / FILE, json.dumps(since) + "\n")


def budget(run: Path) -> str | None:
    """`over ...` with the limit that is reached, `unknown ...` if nothing reports the limited amount, or None."""
    return says(run, os.environ, time.time())


def says(run: Path, settings: Mapping[str, str], now: float) -> str | None:
    """The answer for these settings at the time `now`."""
    limits = {name: Decimal(settings.get(name) or 0) for name in ("MAX_HOURS", "MAX_COST", "MAX_TOKENS")}
    if not any(limits.values()):
        return None
    used = since_then(run, now)
    for name, unit, amount in zip(limits, ("hours", "USD", "tokens"), used.values(), strict=True):
        if limits[name] and amount is not None and amount >= limits[name]:
            said = f"{amount.quantize(Decimal('0.01')).normalize():f} of {limits[name]:f} {unit}"
            return f"over {name} is reached: {said}\n"
    if limits["MAX_COST"] and used["tokens"] and used["cost_usd"] is None:
        why = "the agent does not report its cost, so MAX_COST cannot end this loop"
        return f"unknown {why}; to limit it: MAX_TOKENS=... make loop\n"
    return None


def since_then(run: Path, now: float) -> dict[str, Decimal | None]:
    """Hours, USD and tokens since the start; None if an amount is unknown."""
    path = run / FILE
    began = jsonl.object_in(path.read_bytes()) if path.is_file() else None
    began = began or {"since": now}
    total = taken(run)
    used = {name: total[name] - Decimal(str(began.get(name, 0))) if name in total else None for name in AMOUNTS}
    return {"hours": Decimal(str(max(now - float(began["since"]), 0))) / 3600, **used}


def taken(run: Path) -> dict[str, Decimal]:
    """The amounts that the whole run has used; an amount that nothing reports is missing."""
    known = index.read(run)
    on_record = {one["commit"] for one in experiments.last(run, 20)}
    reports = [known.spent, *jsonl.read(run / record.WITHOUT_ROW), *_in_the_air(run, on_record)]
    told = {name: [Decimal(one[name]) for one in reports if one.get(name) is not None] for name in AMOUNTS}
    return {name: sum(amounts, Decimal(0)) for name, amounts in told.items() if amounts}


def _in_the_air(run: Path, on_record: set[str]) -> Iterator[Mapping[str, Any]]:
    """The use of each flight in training. Drafts do not count yet, so that they do not change when the loop ends."""
    for one in flight.all_of(run):
        if any(one.folder.glob("run.*")) and one.text("commit") not in on_record:
            yield record.spent(one)
