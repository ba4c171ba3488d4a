"""The measured flight -> whether one more run is needed before the verdict: of which code, and with which seed.

The rule is sequential. A first run that does not beat the incumbent by SCREEN standard errors is no win, and one that
beats it beyond all doubt is: neither costs another run. In between, the candidate is run again with fresh seeds, at
most MOST times; and so is the incumbent, as long as it is known from fewer than KNOWN runs: many candidates are
compared with it. It stops as soon as the answer is clear. docs/noise.md says why it is so, and what it reaches.

Before that, a run that was disturbed is made again, and so is the incumbent's, where the machine has become another one
since. A val_bpb of less than half of the incumbent's is nothing that one process is believed on.
"""

from decimal import Decimal
from typing import Any

from lab.store import manifest
from lab.verdict import noise
from lab.verdict.criterion import t_quantile
from lab.verdict.evidence import Evidence, Trial
from lab.verdict.noise import Spread

SCREEN = Decimal("0.6")  # standard errors, above: a first run looks like a win
FAR = 0.99999  # above this quantile of Student's t, it is one
MOST = 4  # fresh runs of a candidate
GIVE_UP = (Decimal("0.5"), Decimal("1.0"), Decimal("1.4"))  # standard errors, below: no win, after 1, 2, 3 fresh runs
SURE = (0.99997, 0.99977, 0.99865)  # above this quantile: a win, after 1, 2, 3 fresh runs
SIMPLER = 2  # fresh runs of what has less code, and is no win
KNOWN = 12  # runs, from here on the incumbent is known well enough
DISTURBED = 2  # times that a run is made again with its seed, since the machine was not as usual
OF_INCUMBENT = 2  # runs of it for each fresh run, until it is


def rerun(trial: Trial) -> str | None:
    """Write `next` (code and seed), and say what a person is told and `again 30`, where one more run is needed."""
    wanted = _wanted(trial)
    if wanted is None:
        return None
    code, seed, why = wanted
    trial.flight.write("next", f"{code} {seed} {why or ''}".rstrip())
    return f"one more run of the {code}, with seed {seed}{f': {why}' if why else ''}\nagain 30\n"


def _wanted(trial: Trial) -> tuple[str, int, str | None] | None:
    """Of which code, with which seed, and why, where it was disturbed."""
    measured = trial.measured
    if measured["failure"]:
        return None
    if measured["disturbance"] and _times(measured) <= DISTURBED:
        return measured["last"], measured["last_seed"], measured["disturbance"]
    code = _of_baseline(trial) if trial.flight.is_baseline else _of_candidate(trial)
    return None if code is None else (code, _fresh_seed(trial, code), None)


def _times(measured: dict[str, Any]) -> int:
    """How often the last code was run with its last seed."""
    runs = measured["incumbent_runs" if measured["last"] == "incumbent" else "runs"]
    return sum(run["seed"] == measured["last_seed"] for run in runs)


def _of_baseline(trial: Trial) -> str | None:
    wanted = int(manifest.read(trial.run)["settings"].get("BASELINE_RUNS", "1"))
    return "candidate" if len(noise.undisturbed(trial.measured["runs"])) < wanted else None


def _of_candidate(trial: Trial) -> str | None:
    evidence, counts = trial.evidence, trial.counts
    if evidence is None or counts is None:
        return None
    reruns = len(noise.undisturbed(trial.measured["incumbent_runs"]))
    if evidence.spread and not evidence.is_like and reruns < OF_INCUMBENT:
        return "incumbent"
    if not is_open(evidence, is_simpler=counts[0] < counts[1]):
        return None
    more = len(evidence.incumbent) < KNOWN and reruns < OF_INCUMBENT * (len(evidence.fresh) + 1)
    return "incumbent" if more else "candidate"


def is_open(evidence: Evidence, *, is_simpler: bool) -> bool:
    """Whether one more run of the candidate could still change the verdict."""
    gain, error, fresh = evidence.gain, evidence.error, len(evidence.fresh)
    if not fresh and evidence.first < noise.average(evidence.incumbent) / 2:
        return True  # nothing is that good, unless another process finds it, too
    if not evidence.spread or not error:
        return False  # a trainer without noise, or one of which none is known: the fixed thresholds
    if not fresh:
        least = -error * _quantile(0.975, evidence.spread) if is_simpler else SCREEN * error
        return least < gain <= error * _quantile(FAR, evidence.spread)
    if fresh >= MOST or gain > error * _quantile(SURE[fresh - 1], evidence.spread):
        return False
    return gain >= GIVE_UP[fresh - 1] * error or (is_simpler and fresh < SIMPLER)


def _quantile(p: float, spread: Spread) -> Decimal:
    return Decimal(repr(t_quantile(p, spread.df)))


def _fresh_seed(trial: Trial, code: str) -> int:
    """One that this code has not been run with: the next after the largest."""
    if code == "candidate":
        return 1 + max(int(one["seed"]) for one in trial.measured["runs"])
    incumbent = trial.index.incumbent
    used = trial.index.seeds(incumbent) if incumbent else []
    return 1 + max([*used, *(int(one["seed"]) for one in trial.measured["incumbent_runs"])])
