"""The experiment in flight against the incumbent -> `verdict` (one word), `failure` and `decision.json`."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

from lab.runs.failures import WHY
from lab.store.experiments import Experiment
from lab.verdict import noise
from lab.verdict.criterion import Case, Decision, Noise, decide
from lab.verdict.evidence import Evidence, Trial


def judge(trial: Trial) -> None:
    """Decide on the experiment in flight. A baseline that runs is kept: it is compared with nothing."""
    measured, incumbent, evidence = trial.measured, trial.index.incumbent, trial.evidence
    if measured["failure"]:
        decision = Decision("crash", "crash", f"crash: {measured['why'] or WHY[measured['failure']]}")
    elif evidence is None or incumbent is None:
        decision = Decision("keep", "baseline", "baseline: the unmodified start of the run")
    else:
        decision = decide(_case(trial, evidence, incumbent))
    if measured["disturbance"]:  # still, after it was run again
        decision = replace(decision, reason=f"{decision.reason}; not as usual: {measured['disturbance']}")
    level = None if incumbent is None else _level(evidence) or incumbent["val_bpb"]
    trial.flight.write_json("decision.json", _facts(decision, measured, level, trial.counts))
    trial.flight.write("failure", measured["failure"] or "none")
    trial.flight.write("verdict", decision.verdict)


def _level(evidence: Evidence | None) -> Decimal | None:
    """The incumbent's value: the mean of its own runs."""
    return noise.average(evidence.incumbent).quantize(Decimal("0.000001")) if evidence else None


def _case(trial: Trial, evidence: Evidence, incumbent: Experiment) -> Case:
    best, lines, known = trial.index.best, trial.counts or (0, 0), evidence.spread
    memories = trial.measured["memory_gb"], incumbent["memory_gb"]
    return Case(
        incumbent=_level(evidence) or Decimal(0),
        candidate=Decimal(trial.measured["val_bpb"]),
        added=lines[0],
        removed=lines[1],
        best=Decimal(best["val_bpb"]) if best else None,
        memory=None if memories[0] is None else Decimal(memories[0]),
        incumbent_memory=None if memories[1] is None else Decimal(memories[1]),
        noise=Noise(known.sd, known.df, len(evidence.deciding), len(evidence.incumbent)) if known else None,
    )


def _facts(
    decision: Decision, measured: dict[str, Any], level: Decimal | None, lines: tuple[int, int] | None
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
