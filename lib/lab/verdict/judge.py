"""The evidence -> the decision on the experiment in flight: `decision.json`, and a word in `failure` and `verdict`."""

from dataclasses import replace

from lab.runs.failures import WHY
from lab.store.flight import Flight
from lab.verdict.criterion import Case, Decision, decide
from lab.verdict.evidence import Evidence
from lab.verdict.more_runs import is_open


def judge(flight: Flight, evidence: Evidence, decision: Decision) -> None:
    """Write the decision."""
    value, level = evidence.val_bpb, evidence.incumbent_bpb
    added, removed = evidence.lines or (None, None)
    facts = {
        "status": decision.verdict,
        "rule": decision.rule,
        "reason": decision.reason,
        "incumbent_bpb": level,
        "gain": None if value is None or level is None else evidence.metric.gain(level, value),
        "lines_added": added,
        "lines_removed": removed,
    }
    flight.write_json("decision.json", facts)
    flight.write("failure", evidence.failure or "none")
    flight.write("verdict", decision.verdict)


def decision_on(evidence: Evidence) -> Decision:
    """The decision. A baseline that runs is kept, because nothing precedes it. The reason notes a disturbance."""
    if evidence.failure:
        decision = Decision("crash", "crash", f"crash: {evidence.why or WHY[evidence.failure]}")
    elif evidence.is_elsewhere:
        why = f"it ran on '{evidence.kind}', where the incumbent could not run"
        decision = Decision("discard", "elsewhere", f"elsewhere: {why}")
    elif evidence.incumbent_bpb is None:
        decision = Decision("keep", "baseline", "baseline: the unmodified start of the run")
    else:
        lines, memories = evidence.lines or (0, 0), (evidence.incumbent_memory, evidence.memory)
        values = evidence.incumbent_bpb, evidence.val_bpb
        decision = decide(Case(*values, *lines, evidence.best, *memories, evidence.noise, evidence.metric))
        if decision.verdict == "keep" and evidence.broken_guard:
            decision = Decision("discard", "guard", f"guard: {evidence.broken_guard}; otherwise {decision.reason}")
    note = f"; disturbed: {evidence.disturbed[-1][2]}" if evidence.disturbed else ""
    return replace(decision, reason=decision.reason + note)


def could_be_kept(evidence: Evidence) -> bool:
    """Whether the change would be kept on the incumbent it was measured on, or might be after more runs.

    A crash on a person's unmeasured commit may be that commit's fault.
    """
    if evidence.failure:
        return evidence.is_unknown
    if evidence.disturbed or evidence.is_unknown or evidence.is_elsewhere or (evidence.spread and not evidence.is_like):
        return True
    return is_open(evidence) or decision_on(evidence).verdict == "keep"
