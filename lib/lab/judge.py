"""The experiment in flight against the incumbent -> `verdict` (one word), `failure` and `decision.json`."""

from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from lab import complexity, experiments, noise
from lab.decide import Case, Decision, Noise, decide
from lab.evidence import Evidence, gather
from lab.failures import WHY
from lab.flight import Flight


def judge(run: Path) -> None:
    """Decide on the experiment in flight. A baseline that runs is kept: it is compared with nothing."""
    flight = Flight(run / "flight")
    measured = flight.json("measure.json")
    past = experiments.read(run)
    incumbent = experiments.incumbent(past)
    before, after = flight.need("before.py"), flight.text("train.py")
    lines = None if after is None else complexity.counts(before, after)
    evidence = None if measured["failure"] else gather(run, past, measured)
    if measured["failure"]:
        decision = Decision("crash", "crash", f"crash: {measured['why'] or WHY[measured['failure']]}")
    elif evidence is None or incumbent is None:
        decision = Decision("keep", "baseline", "baseline: the unmodified start of the run")
    else:
        decision = decide(_case(measured, evidence, past, lines or (0, 0)))
    if measured["disturbance"]:  # still, after it was run again
        decision = replace(decision, reason=f"{decision.reason}; not as usual: {measured['disturbance']}")
    level = None if incumbent is None else _level(evidence) or incumbent["val_bpb"]
    flight.write_json("decision.json", _facts(decision, measured, level, lines))
    flight.write("failure", measured["failure"] or "none")
    flight.write("verdict", decision.verdict)


def _level(evidence: Evidence | None) -> Decimal | None:
    """The incumbent's value: the mean of its own runs."""
    return noise.average(evidence.incumbent).quantize(Decimal("0.000001")) if evidence else None


def _case(
    measured: dict[str, Any], evidence: Evidence, past: list[experiments.Experiment], lines: tuple[int, ...]
) -> Case:
    incumbent, best = experiments.incumbent(past), experiments.best(past)
    memories = measured["memory_gb"], incumbent["memory_gb"] if incumbent else None
    known = evidence.spread
    return Case(
        incumbent=_level(evidence) or Decimal(0),
        candidate=Decimal(measured["val_bpb"]),
        added=lines[0],
        removed=lines[1],
        best=Decimal(best["val_bpb"]) if best else None,
        memory=None if memories[0] is None else Decimal(memories[0]),
        incumbent_memory=None if memories[1] is None else Decimal(memories[1]),
        noise=Noise(known.sd, known.df, len(evidence.deciding), len(evidence.incumbent)) if known else None,
    )


def _facts(
    decision: Decision, measured: dict[str, Any], level: Decimal | None, lines: tuple[int, ...] | None
) -> dict[str, Any]:
    value = None if measured["val_bpb"] is None else Decimal(measured["val_bpb"])
    return {
        "status": decision.verdict,
        "rule": decision.rule,
        "reason": decision.reason,
        "incumbent_bpb": level,
        "gain": None if value is None or level is None else level - value,
        "lines_added": None if lines is None else lines[0],
        "lines_removed": None if lines is None else lines[1],
    }
