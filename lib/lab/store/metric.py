"""The metric of a run: its name, its direction, its valid values, and how a value is written.

Only this module knows the direction: a gain is positive if the candidate is better, for any metric. The settings
METRIC, METRIC_GOAL, METRIC_RANGE, SMALL_GAIN, LARGE_GAIN and METRIC_GUARD -> a `Metric`. Values are Decimal, in the
unit that is printed (bits per byte for val_bpb). In records the key of a value is `val_bpb` for every metric, and
`metric` has the name.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from typing import Any

from lab.errors import Fault
from lab.store import guards
from lab.store.guards import Guard

BPB = "val_bpb"
UPPER_BOUND = 20  # bits per byte; an untrained model has 8
LARGEST = Decimal("1e15")  # limit for any other metric
PLACES = 6  # decimals, and the fewest significant digits of a value
WIDEST = 8  # significant digits of a value of 100 or more
HINT = "docs/reference.md has a table of the settings"


@dataclass(frozen=True)
class Metric:
    """`low` and `high` are inclusive (None: unbounded). `small` and `large` are a person's thresholds (None: unset)."""

    name: str = BPB
    is_max: bool = False
    low: Decimal | None = None
    high: Decimal | None = None
    small: Decimal | None = None
    large: Decimal | None = None
    guards: tuple[Guard, ...] = ()

    @property
    def is_bpb(self) -> bool:
        """Whether it is val_bpb, whose scale is known."""
        return self.name == BPB

    def gain(self, incumbent: Decimal, candidate: Decimal) -> Decimal:
        """How much better the candidate is; below 0 if it is worse."""
        return candidate - incumbent if self.is_max else incumbent - candidate

    def best(self, values: Iterable[Decimal]) -> Decimal:
        """The best of at least one value."""
        return max(values) if self.is_max else min(values)

    def is_valid(self, value: Decimal | None) -> bool:
        """Whether it is a possible value. NaN and the 0 of a crash are not: comparisons would treat them as good."""
        if value is None or not value.is_finite():
            return False
        if self.is_bpb:
            return 0 < value < UPPER_BOUND
        low, high = -LARGEST if self.low is None else self.low, LARGEST if self.high is None else self.high
        return low <= value <= high

    def rounded(self, value: Decimal) -> Decimal:
        """The value with the ledger's decimals."""
        return value.quantize(Decimal(1).scaleb(-self.places(value)), ROUND_HALF_EVEN)

    def places(self, value: Decimal) -> int:
        """The decimals of a value: 6 for val_bpb, and for others as many as give 6 significant digits."""
        if self.is_bpb or not value:
            return PLACES
        whole = value.adjusted() + 1  # digits before the point; negative if zeros follow it
        return PLACES - whole if whole < 0 else PLACES if whole < 3 else max(0, WIDEST - whole)

    def text(self, value: Decimal) -> str:
        """The value as the ledger has it."""
        return f"{value:.{self.places(value)}f}"

    def gain_text(self, gain: Decimal, level: Decimal, fewer: int = 0) -> str:
        """`+0.004700`, with the decimals of a value like `level`, less `fewer`."""
        return f"{gain:+.{max(0, self.places(level) - fewer)}f}"

    def amount(self, size: Decimal, level: Decimal | None, fewer: int = 0) -> str:
        """A difference without a sign, with the decimals of a value like `level`."""
        return f"{size:.{max(0, self.places(level if level is not None else size) - fewer)}f}"

    @property
    def direction(self) -> str:
        """`lower is better`, or `higher is better`."""
        return f"{'higher' if self.is_max else 'lower'} is better"

    @property
    def range_told(self) -> str:
        """The valid range, to follow "a number": `between 0 and 20`."""
        if self.is_bpb:
            return f"between 0 and {UPPER_BOUND}"
        if self.low is not None and self.high is not None:
            return f"from {self.low} to {self.high}"
        if self.low is not None or self.high is not None:
            return f"of at least {self.low}" if self.high is None else f"of at most {self.high}"
        return "that is finite"


VAL_BPB = Metric()


def of_settings(settings: Mapping[str, str]) -> Metric:
    """The metric that the settings describe. Raises Fault if they contradict each other."""
    low, high = (_number(text) for text in (settings.get("METRIC_RANGE") or ",").split(","))
    metric = Metric(
        name=settings.get("METRIC") or BPB,
        is_max=settings.get("METRIC_GOAL") == "max",
        low=low,
        high=high,
        small=_number(settings.get("SMALL_GAIN", "")),
        large=_number(settings.get("LARGE_GAIN", "")),
        guards=guards.parsed(settings.get("METRIC_GUARD", "")),
    )
    _refuse_contradiction(metric)
    return metric


def check(settings: Mapping[str, str]) -> None:
    """Raise Fault if the settings describe no metric, or leave open which gain counts."""
    metric = of_settings(settings)
    has_thresholds = metric.small is not None and metric.large is not None
    if not (metric.is_bpb or has_thresholds or int(settings.get("BASELINE_RUNS") or 1) > 1):
        raise Fault(
            f"BASELINE_RUNS is 1, and no threshold says which gain of '{metric.name}' counts",
            "measure the noise: BASELINE_RUNS=3; or set both thresholds: SMALL_GAIN=... LARGE_GAIN=...",
        )


def _refuse_contradiction(metric: Metric) -> None:
    if metric.is_bpb and metric.is_max:
        raise Fault("METRIC_GOAL is 'max', but lower is better for val_bpb", "name your metric: METRIC=...")
    if metric.is_bpb and (metric.low is not None or metric.high is not None):
        raise Fault("METRIC_RANGE is set, but val_bpb has a fixed range", "name your metric: METRIC=...")
    if metric.low is not None and metric.high is not None and metric.low >= metric.high:
        raise Fault(f"METRIC_RANGE '{metric.low},{metric.high}' is empty", "write the lower bound first")
    if metric.small is not None and metric.large is not None and metric.small > metric.large:
        raise Fault(f"SMALL_GAIN '{metric.small}' is larger than LARGE_GAIN '{metric.large}'", HINT)


def _number(text: str) -> Decimal | None:
    try:
        return Decimal(text.strip()) if text.strip() else None
    except InvalidOperation:
        raise Fault(f"'{text.strip()}' is not a number", HINT) from None


def named(experiment: Mapping[str, Any]) -> Metric:
    """The metric of a recorded experiment, by name only: enough to format a value, but not to judge one."""
    return Metric(name=experiment.get("metric") or BPB)
