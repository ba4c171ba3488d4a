"""The decision: a candidate's val_bpb, code and memory against the incumbent's -> verdict, rule and reason.

The protocol's simplicity criterion, made total: every gain has its row, and the rows meet without a gap. All numbers
that are compared are Decimal: as binary floats, gains of exactly 0.001 or 0.005 land on the wrong side of the
threshold one time in four. val_bpb in bits per byte (lower is better), memory in GiB, lines in code lines.
"""

import math
from dataclasses import dataclass
from decimal import Decimal
from functools import cache

from lab.store import ledger

BAND = Decimal("0.001")  # a gain below this is about 0, where the noise is not known
LARGE = Decimal("0.005")  # a gain above this may cost complexity
LEAST_BAND = Decimal("0.0002")  # a measured noise is never believed to be smaller
MAJOR_LINES = 20  # net code lines that make a change a major one
LINES_PER_MILLI_GAIN = 20  # what each 0.001 of a large gain may cost
MEMORY_SHARE = Decimal("0.10")  # memory may grow by this share of the incumbent's,
MEMORY_GB = Decimal("0.5")  # or by this much, without a question


@dataclass(frozen=True)
class Noise:
    """The measured noise of val_bpb: its standard deviation with `df` degrees of freedom, and the runs of each mean."""

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


@dataclass(frozen=True)
class Decision:
    """`verdict` is keep, discard or crash; `rule` the name of the table's row; `reason` one sentence that names it."""

    verdict: str
    rule: str
    reason: str


def decide(case: Case) -> Decision:
    """The table of the simplicity criterion, and then the memory rule."""
    if case.candidate is None or not ledger.is_valid(case.candidate):
        return Decision("crash", "crash", f"crash: val_bpb is {case.candidate}, nothing that can be compared")
    gain = case.incumbent - case.candidate
    net = case.added - case.removed
    band = band_of(case.noise)
    verdict, rule, why = _by_gain(gain, net, band, max(LARGE, band), case)
    if verdict == "keep" and _is_too_much_memory(gain, case):
        verdict, rule, why = "discard", "memory", "too small a gain for that much more memory"
    facts = f"gain {gain:+.6f}, band {band:.6f}, net lines {net:+d}, {_memory(case)}"
    return Decision(verdict, rule, f"{rule}: {facts}: {why}")


def _by_gain(gain: Decimal, net: int, band: Decimal, large: Decimal, case: Case) -> tuple[str, str, str]:
    """Verdict, rule, and why."""
    if gain > large:
        if net <= LINES_PER_MILLI_GAIN * gain * 1000:
            return "keep", "large-gain", "a large gain at a reasonable cost of lines"
        return "discard", "complexity", f"more than {LINES_PER_MILLI_GAIN} lines for each 0.001 of gain"
    if gain >= band:
        if net < MAJOR_LINES:
            return "keep", "gain", "a gain at a minimal cost of lines"
        return "discard", "complexity", f"{MAJOR_LINES} lines or more for a small gain"
    if gain > -band:
        if net >= 0:
            return "discard", "no-gain", "about 0, and not simpler"
        if case.best is not None and case.candidate is not None and case.candidate - case.best >= band:
            return "discard", "no-gain", f"simpler, but a band worse than the best, {case.best:.6f}"
        return "keep", "simplification", "about 0, with less code"
    return "discard", "worse", "worse"


def _is_too_much_memory(gain: Decimal, case: Case) -> bool:
    """Whether the gain is below 0.001 for each 10 % more of memory."""
    if not case.incumbent_memory or not case.memory:
        return False
    extra = case.memory - case.incumbent_memory
    share = extra / case.incumbent_memory
    return share > MEMORY_SHARE and extra > MEMORY_GB and gain < BAND * share / MEMORY_SHARE


def _memory(case: Case) -> str:
    if case.incumbent_memory is None or case.memory is None:
        return "memory not known"
    return f"memory {case.incumbent_memory:.1f} -> {case.memory:.1f} GB"


def band_of(noise: Noise | None) -> Decimal:
    """Half the width of a 95 % confidence interval of a gain; fixed where the noise is not known."""
    return BAND if noise is None else max(LEAST_BAND, noise.bound(0.975))


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
