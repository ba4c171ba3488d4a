"""The evidence -> the runs that are needed before the verdict, each with its code and seed.

The rule is sequential. A first run that does not beat the incumbent by SCREEN standard errors is no win, and one that
beats it beyond FAR is a win; neither needs another run. In between, the candidate is run again with fresh seeds, at
most MOST times. The incumbent is run again too while it has fewer than KNOWN runs, because many candidates are compared
with it. The runs stop as soon as the answer is clear. docs/noise.md explains the rule and its error rates.

Before that, a run that was disturbed is made again, and so is the incumbent's, where the machine has become another one
since, or where the candidate has run on another kind of device: there it is known from two runs at least, if any noise
is. A val_bpb of less than half of the incumbent's is nothing that one process is believed on. What a guard forbids is
run no more.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from lab.verdict import noise
from lab.verdict.evidence import Evidence

SCREEN = Decimal("0.6")  # standard errors; above, a first run looks like a win
FAR = 0.99999  # quantile of Student's t; above, a first run is a win
MOST = 4  # fresh runs of a candidate
GIVE_UP = (Decimal("0.5"), Decimal("1.0"), Decimal("1.4"))  # standard errors, below: no win, after 1, 2, 3 fresh runs
SURE = (0.99997, 0.99977, 0.99865)  # above this quantile: a win, after 1, 2, 3 fresh runs
SIMPLER = 2  # fresh runs of what has less code, and is no win
KNOWN = 12  # runs, from here on the incumbent is known well enough
DISTURBED = 2  # times that a run is made again with its seed, since the machine was not as usual
OF_INCUMBENT = 2  # runs of it for each fresh run, until it is
ASTRAY = 4  # runs of either that may go to other kinds of device than the one that was wanted


@dataclass(frozen=True)
class NextRun:
    """A run of the `candidate` or `incumbent`. `why`: the reason if it is not noise, such as a disturbance."""

    code: str
    seed: int | None
    why: str | None = None

    def line(self) -> str:
        """As it stands in the flight's `next`."""
        return f"{self.code} {self.seed} {self.why or ''}".rstrip()

    def told(self) -> str:
        """For a person."""
        why = f": {self.why}" if self.why else ""
        return f"another run of the {self.code} with seed {self.seed}{why}"


def next_runs(evidence: Evidence, places: int = 1) -> list[NextRun]:
    """The runs that are needed and can start now, at most `places`.

    A fresh seed is one more than the largest seed that the code was run with.
    """
    again = [NextRun(*one) for one in evidence.disturbed if is_made_again(one[2], evidence.seeds[one[0]], one[1])]
    if again and not evidence.failure:
        return again[:places]
    own, beside = (len(set(evidence.seeds[code])) for code in ("candidate", "incumbent"))
    found: list[NextRun] = []
    why = f"it has not run on '{evidence.kind}'" if evidence.is_elsewhere else None
    places = min(places, OF_INCUMBENT) if evidence.is_elsewhere else places
    while len(found) < places and (code := _code_wanted(evidence, own, beside)):
        used = [*evidence.seeds[code], *(evidence.recorded_seeds if code == "incumbent" else ())]
        used += (int(one.seed or 0) for one in found if one.code == code)
        found.append(NextRun(code, 1 + max(used), why if code == "incumbent" else None))
        own, beside = own + (code == "candidate"), beside + (code == "incumbent")
        if (code == "candidate" and not evidence.is_baseline) or evidence.is_unknown:
            break  # the next one depends on its result
    return found


def is_made_again(disturbance: str | None, seeds: Sequence[int | None], seed: int | None) -> bool:
    """Whether the run with `seed` must be repeated because it was disturbed. `seeds`: the seeds of all runs."""
    return disturbance is not None and seeds.count(seed) <= DISTURBED


def _code_wanted(evidence: Evidence, own: int, beside: int) -> str | None:
    """The code that needs a run with a fresh seed, if any. `own`, `beside`: seeds of the candidate and incumbent."""
    if evidence.is_unknown:  # the incumbent may also be the cause of a crash
        return "incumbent"
    if evidence.failure:
        return None
    if evidence.is_baseline:
        return "candidate" if own < evidence.runs_wanted else None
    if evidence.lines is None:
        return None
    if evidence.is_elsewhere:
        # Where a cluster gives another device each time, the candidate may follow the incumbent.
        return "incumbent" if beside < ASTRAY else "candidate" if own <= ASTRAY else None
    if not evidence.incumbent:
        return None
    known = len(evidence.incumbent) + beside - len(set(evidence.seeds["incumbent"]))
    if evidence.is_noisy and not evidence.spread and known < OF_INCUMBENT and beside < ASTRAY:
        return "incumbent"
    if evidence.spread and not evidence.is_like and beside < OF_INCUMBENT:
        return "incumbent"
    if not is_open(evidence) or own > 1 + MOST + ASTRAY:
        return None
    is_known = known >= KNOWN or beside >= OF_INCUMBENT * own
    return "candidate" if is_known else "incumbent"


def is_open(evidence: Evidence) -> bool:
    """Whether another run of the candidate could change the verdict."""
    gain, known, fresh = evidence.gain, evidence.noise, len(evidence.candidate) - 1
    if evidence.broken_guard:
        return False
    if evidence.metric.is_bpb and not fresh and evidence.candidate[0] < noise.average(evidence.incumbent) / 2:
        return True  # too good to believe until a second process finds it too
    if not known or not known.error:
        return False  # without noise, or before it is known, the fixed thresholds decide
    if not fresh:
        least = -known.bound(0.975) if evidence.is_simpler else SCREEN * known.error
        return least < gain <= known.bound(FAR)
    if fresh >= MOST or gain > known.bound(SURE[fresh - 1]):
        return False
    return gain >= GIVE_UP[fresh - 1] * known.error or (evidence.is_simpler and fresh < SIMPLER)
