"""The decision: value, code and memory of a candidate and of the incumbent -> verdict, rule and reason.

This is the protocol's simplicity criterion, extended to every gain without gaps. Compared numbers are Decimal, because
as binary floats, gains of exactly 0.001 or 0.005 fall on the wrong side of the threshold one time in four. Memory is in
GiB, and lines are code lines. A gain is above 0 if the candidate is better. The fixed numbers are for val_bpb, in bits
per byte. For another metric, gains are measured in bands.
"""

import math
from dataclasses import dataclass
from decimal import Decimal
from functools import cache

from lab.store.metric import VAL_BPB, Metric

BAND = Decimal("0.001")  # the band without measured noise: a smaller gain counts as 0
LARGE = Decimal("0.005")  # a larger gain may cost complexity
LEAST_BAND = Decimal("0.0002")  # the smallest band from measured noise
MAJOR_LINES = 20  # net code lines from which a change is a major one
LINES_PER_MILLI_GAIN = 20  # net lines allowed for each 0.001 of a large gain
LINES_PER_BAND = 20  # the same for another metric, for each band
LARGE_BANDS = 5  # bands of another metric from which a gain is large
MEMORY_SHARE = Decimal("0.10")  # the memory rule needs an increase by more than this share
MEMORY_GB = Decimal("0.5")  # and by more than this amount


@dataclass(frozen=True)
class Noise:
    """The measured noise: a standard deviation, its degrees of freedom, and the numbers of runs behind both means."""

    sd: Decimal
    df: int
    runs: int
    incumbent_runs: int

    @property
    def error(self) -> Decimal:
        """The standard error of a gain, which is the difference of two means."""
        return self.sd * (Decimal(1) / self.runs + Decimal(1) / self.incumbent_runs).sqrt()

    def bound(self, p: float) -> Decimal:
        """The gain that a change without effect stays below with probability `p` (Student's t)."""
        return Decimal(repr(t_quantile(p, self.df))) * self.error


@dataclass(frozen=True)
class Case:
    """The facts about one experiment. None is unknown, and turns the rule off that needs it."""

    incumbent: Decimal
    candidate: Decimal | None
    added: int
    removed: int
    best: Decimal | None = None
    incumbent_memory: Decimal | None = None
    memory: Decimal | None = None
    noise: Noise | None = None
    metric: Metric = VAL_BPB


@dataclass(frozen=True)
class Decision:
    """`verdict`: keep, discard or crash. `rule`: the table's row. `reason`: one sentence that starts with the rule."""

    verdict: str
    rule: str
    reason: str


def decide(case: Case) -> Decision:
    """Apply the table of the simplicity criterion, and then the memory rule."""
    metric = case.metric
    if case.candidate is None or not metric.is_valid(case.candidate):
        return Decision("crash", "crash", f"crash: {metric.name} is {case.candidate}, which cannot be compared")
    gain = metric.gain(case.incumbent, case.candidate)
    net = case.added - case.removed
    band = band_of(case.noise, metric)
    verdict, rule, why = _by_gain(gain, net, band, case)
    if verdict == "keep" and _is_too_much_memory(gain, case):
        verdict, rule, why = "discard", "memory", "the gain is too small for that much more memory"
    told = metric.gain_text(gain, case.incumbent), metric.amount(band, case.incumbent)
    facts = f"gain {told[0]}, band {told[1]}, net lines {net:+d}, {_memory(case)}"
    return Decision(verdict, rule, f"{rule}: {facts}: {why}")


def _by_gain(gain: Decimal, net: int, band: Decimal, case: Case) -> tuple[str, str, str]:
    """Verdict, rule and reason. The band may be 0 without noise; a gain of exactly 0 is no gain even then."""
    if gain > large_of(band, case.metric):
        if _is_worth(gain, net, band, case.metric):
            return "keep", "large-gain", "a large gain for a reasonable number of lines"
        return "discard", "complexity", _price(case.metric)
    if gain >= band and gain > 0:
        if net < MAJOR_LINES:
            return "keep", "gain", "a gain for few lines"
        return "discard", "complexity", f"{MAJOR_LINES} lines or more for a small gain"
    if gain > -band or gain == 0:
        if net >= 0:
            return "discard", "no-gain", "about 0 and not simpler"
        if case.best is not None and _is_worse_than_best(band, case):
            return "discard", "no-gain", f"simpler, but worse than the best ({case.metric.text(case.best)}) by a band"
        return "keep", "simplification", "about 0, with less code"
    return "discard", "worse", "worse than the incumbent"


def _is_worth(gain: Decimal, net: int, band: Decimal, metric: Metric) -> bool:
    """Whether a large gain is worth its lines."""
    if metric.is_bpb:
        return net <= LINES_PER_MILLI_GAIN * gain * 1000
    return net * band <= LINES_PER_BAND * gain


def _price(metric: Metric) -> str:
    if metric.is_bpb:
        return f"more than {LINES_PER_MILLI_GAIN} lines for each 0.001 of gain"
    return f"more than {LINES_PER_BAND} lines for each band of gain"


def _is_worse_than_best(band: Decimal, case: Case) -> bool:
    if case.best is None or case.candidate is None:
        return False
    lost = case.metric.gain(case.candidate, case.best)
    return lost >= band and lost > 0


def _is_too_much_memory(gain: Decimal, case: Case) -> bool:
    """Whether the gain is below 0.001 for each 10 % of extra memory. Another metric needs a guard instead."""
    if not case.incumbent_memory or not case.memory or not case.metric.is_bpb:
        return False
    extra = case.memory - case.incumbent_memory
    share = extra / case.incumbent_memory
    return share > MEMORY_SHARE and extra > MEMORY_GB and gain < BAND * share / MEMORY_SHARE


def _memory(case: Case) -> str:
    if case.incumbent_memory is None or case.memory is None:
        return "memory unknown"
    return f"memory {case.incumbent_memory:.1f} -> {case.memory:.1f} GB"


def band_of(noise: Noise | None, metric: Metric = VAL_BPB) -> Decimal:
    """Half the width of the gain's 95 % confidence interval; a fixed value if the noise is unknown.

    SMALL_GAIN is its minimum. Without it, only val_bpb has a minimum.
    """
    if noise is None:
        return metric.small or (BAND if metric.is_bpb else Decimal(0))
    return max(metric.small or (LEAST_BAND if metric.is_bpb else Decimal(0)), noise.bound(0.975))


def large_of(band: Decimal, metric: Metric = VAL_BPB) -> Decimal:
    """The gain from which complexity is allowed."""
    if metric.is_bpb:
        return max(metric.large or LARGE, band)
    return max(LARGE_BANDS * band, metric.large or Decimal(0))


@cache
def t_quantile(p: float, df: int) -> float:
    """The quantile of Student's t distribution for p > 0.5 and df >= 1, by bisection of its integral.

    With x = sqrt(df) tan(a) the density becomes cos(a)^(df - 1) times a constant, which is smooth on a finite interval.
    Simpson's rule with 200 intervals is then more exact than any use here needs.
    """
    constant = math.exp(math.lgamma((df + 1) / 2) - math.lgamma(df / 2)) / math.sqrt(math.pi)

    def beyond_half(angle: float) -> float:
        step = angle / 200
        heights = [math.cos(i * step) ** (df - 1) for i in range(201)]
        return constant * step / 3 * (heights[0] + 4 * sum(heights[1::2]) + 2 * sum(heights[2:-1:2]) + heights[-1])

    low, high = 0.0, math.pi / 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if beyond_half(middle) < p - 0.5 else (low, middle)
    return math.sqrt(df) * math.tan(low)
