"""The decision: a candidate's value, code and memory against the incumbent's -> verdict, rule and reason.

The protocol's simplicity criterion, made total: every gain has its row, and the rows meet without a gap. All numbers
that are compared are Decimal: as binary floats, gains of exactly 0.001 or 0.005 land on the wrong side of the
threshold one time in four. Memory in GiB, lines in code lines. Values are of the metric; a gain is above 0 where the
candidate is better. The fixed numbers are val_bpb's, in bits per byte; a gain of another metric is weighed by the band.
"""

import math
from dataclasses import dataclass
from decimal import Decimal
from functools import cache

from lab.store.metric import VAL_BPB, Metric

BAND = Decimal("0.001")  # a gain below this is about 0, where the noise is not known
LARGE = Decimal("0.005")  # a gain above this may cost complexity
LEAST_BAND = Decimal("0.0002")  # a measured noise is never believed to be smaller
MAJOR_LINES = 20  # net code lines that make a change a major one
LINES_PER_MILLI_GAIN = 20  # what each 0.001 of a large gain may cost
LINES_PER_BAND = 20  # the same of another metric, for each band of it
LARGE_BANDS = 5  # bands of another metric that make a large gain
MEMORY_SHARE = Decimal("0.10")  # memory may grow by this share of the incumbent's,
MEMORY_GB = Decimal("0.5")  # or by this much, without a question


@dataclass(frozen=True)
class Noise:
    """The measured noise: a standard deviation with `df` degrees of freedom, and the runs of each mean."""

    sd: Decimal
    df: int
    runs: int
    incumbent_runs: int

    @property
    def error(self) -> Decimal:
        """The standard error of a gain: of the difference of the two means."""
        return self.sd * (Decimal(1) / self.runs + Decimal(1) / self.incumbent_runs).sqrt()

    def bound(self, p: float) -> Decimal:
        """What the gain of code that changes nothing is below with probability `p` (Student's t)."""
        return Decimal(repr(t_quantile(p, self.df))) * self.error


@dataclass(frozen=True)
class Case:
    """What is known of one experiment. None: not known, and the rule that needs it is off."""

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
    """`verdict` is keep, discard or crash; `rule` the name of the table's row; `reason` one sentence that names it."""

    verdict: str
    rule: str
    reason: str


def decide(case: Case) -> Decision:
    """The table of the simplicity criterion, and then the memory rule."""
    metric = case.metric
    if case.candidate is None or not metric.is_valid(case.candidate):
        return Decision("crash", "crash", f"crash: {metric.name} is {case.candidate}, nothing that can be compared")
    gain = metric.gain(case.incumbent, case.candidate)
    net = case.added - case.removed
    band = band_of(case.noise, metric)
    verdict, rule, why = _by_gain(gain, net, band, case)
    if verdict == "keep" and _is_too_much_memory(gain, case):
        verdict, rule, why = "discard", "memory", "too small a gain for that much more memory"
    told = metric.gain_text(gain, case.incumbent), metric.amount(band, case.incumbent)
    facts = f"gain {told[0]}, band {told[1]}, net lines {net:+d}, {_memory(case)}"
    return Decision(verdict, rule, f"{rule}: {facts}: {why}")


def _by_gain(gain: Decimal, net: int, band: Decimal, case: Case) -> tuple[str, str, str]:
    """Verdict, rule, and why. Without noise the band may be 0: then a gain of just 0 is none."""
    if gain > large_of(band, case.metric):
        if _is_worth(gain, net, band, case.metric):
            return "keep", "large-gain", "a large gain at a reasonable cost of lines"
        return "discard", "complexity", _price(case.metric)
    if gain >= band and gain > 0:
        if net < MAJOR_LINES:
            return "keep", "gain", "a gain at a minimal cost of lines"
        return "discard", "complexity", f"{MAJOR_LINES} lines or more for a small gain"
    if gain > -band or gain == 0:
        if net >= 0:
            return "discard", "no-gain", "about 0, and not simpler"
        if case.best is not None and _is_worse_than_best(band, case):
            return "discard", "no-gain", f"simpler, but a band worse than the best, {case.metric.text(case.best)}"
        return "keep", "simplification", "about 0, with less code"
    return "discard", "worse", "worse"


def _is_worth(gain: Decimal, net: int, band: Decimal, metric: Metric) -> bool:
    """Whether a large gain pays for its lines."""
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
    """Whether the gain is below 0.001 for each 10 % more of memory; of another metric, a guard says it."""
    if not case.incumbent_memory or not case.memory or not case.metric.is_bpb:
        return False
    extra = case.memory - case.incumbent_memory
    share = extra / case.incumbent_memory
    return share > MEMORY_SHARE and extra > MEMORY_GB and gain < BAND * share / MEMORY_SHARE


def _memory(case: Case) -> str:
    if case.incumbent_memory is None or case.memory is None:
        return "memory not known"
    return f"memory {case.incumbent_memory:.1f} -> {case.memory:.1f} GB"


def band_of(noise: Noise | None, metric: Metric = VAL_BPB) -> Decimal:
    """Half the width of a 95 % confidence interval of a gain; fixed where the noise is not known.

    What a person says by SMALL_GAIN is the least; of another metric than val_bpb nothing else is known to be too small.
    """
    if noise is None:
        return metric.small or (BAND if metric.is_bpb else Decimal(0))
    return max(metric.small or (LEAST_BAND if metric.is_bpb else Decimal(0)), noise.bound(0.975))


def large_of(band: Decimal, metric: Metric = VAL_BPB) -> Decimal:
    """The gain above which complexity may cost something."""
    if metric.is_bpb:
        return max(metric.large or LARGE, band)
    return max(LARGE_BANDS * band, metric.large or Decimal(0))


@cache
def t_quantile(p: float, df: int) -> float:
    """The quantile of Student's t distribution for p > 0.5 and df >= 1, by bisection of its integral.

    With x = sqrt(df) tan(a) the density becomes cos(a)^(df - 1) times a constant, smooth on a finite interval, so
    Simpson's rule on 200 intervals is exact to more digits than any use here has.
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
