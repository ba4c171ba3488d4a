"""The experiment in flight against the incumbent -> `verdict` (one word), `failure` and `decision.json`."""

from decimal import Decimal
from pathlib import Path
from typing import Any

from lab import complexity, experiments
from lab.decide import Case, Decision, decide
from lab.flight import Flight

WHY = {
    "timeout": "killed: it ran longer than RUN_TIMEOUT",
    "oom": "it ran out of memory",
    "nan": "the loss, or val_bpb, is not a finite number",
    "error": "it ended with an error",
    "killed": "a signal ended it",
    "no-metric": "it printed no val_bpb between 0 and 20",
    "rejected": "rejected before it was measured",
}


def judge(run: Path) -> None:
    """Decide on the experiment in flight. A baseline that runs is kept: it is compared with nothing."""
    flight = Flight(run / "flight")
    measured = flight.json("measure.json")
    past = experiments.read(run)
    incumbent, best = experiments.incumbent(past), experiments.best(past)
    before, after = flight.need("before.py"), flight.text("train.py")
    lines = None if after is None else complexity.counts(before, after)
    if measured["failure"]:
        decision = Decision("crash", "crash", f"crash: {WHY[measured['failure']]}")
    elif incumbent is None or best is None:
        decision = Decision("keep", "baseline", "baseline: the unmodified start of the run")
    else:
        decision = decide(_case(measured, incumbent, best, lines or (0, 0)))
    flight.write_json("decision.json", _facts(decision, measured, incumbent, lines))
    flight.write("failure", measured["failure"] or "none")
    flight.write("verdict", decision.verdict)


def _case(measured: dict[str, Any], incumbent: dict[str, Any], best: dict[str, Any], lines: tuple[int, ...]) -> Case:
    memories = measured["memory_gb"], incumbent["memory_gb"]
    return Case(
        incumbent=Decimal(incumbent["val_bpb"]),
        candidate=Decimal(measured["val_bpb"]),
        added=lines[0],
        removed=lines[1],
        best=Decimal(best["val_bpb"]),
        memory=None if memories[0] is None else Decimal(memories[0]),
        incumbent_memory=None if memories[1] is None else Decimal(memories[1]),
    )


def _facts(
    decision: Decision, measured: dict[str, Any], incumbent: dict[str, Any] | None, lines: tuple[int, ...] | None
) -> dict[str, Any]:
    value = None if measured["val_bpb"] is None else Decimal(measured["val_bpb"])
    base = None if incumbent is None else Decimal(incumbent["val_bpb"])
    return {
        "status": decision.verdict,
        "rule": decision.rule,
        "reason": decision.reason,
        "incumbent_bpb": base,
        "gain": None if value is None or base is None else base - value,
        "lines_added": None if lines is None else lines[0],
        "lines_removed": None if lines is None else lines[1],
    }
