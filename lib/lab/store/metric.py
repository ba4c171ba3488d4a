"""The metric of a run: what it is called, which way is better, what is a value of it, and how a value is written.

It is the one place that knows a direction: a gain is positive where the candidate is better, whatever is measured. The
settings METRIC, METRIC_GOAL, METRIC_RANGE, SMALL_GAIN, LARGE_GAIN, METRIC_GUARD -> a `Metric`. All values are Decimal,
in the unit of what is printed; those of `val_bpb` are in bits per byte. On record, a value stands under the key
`val_bpb` whatever it is of, and `metric` says its name.
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
LARGEST = Decimal("1e15")  # of any other metric; beyond that nothing is measured
PLACES = 6  # decimals, and the significant digits that a value has at least
WIDEST = 8  # significant digits of a value of 100 and more
HINT = "docs/reference.md has a table of the settings"


@dataclass(frozen=True)
class Metric:
    """`low` and `high` are inclusive; None: no such bound. `small`, `large`: what a person has set; None: nothing."""

    name: str = BPB
    is_max: bool = False
    low: Decimal | None = None
    high: Decimal | None = None
    small: Decimal | None = None
    large: Decimal | None = None
    guards: tuple[Guard, ...] = ()

    @property
    def is_bpb(self) -> bool:
        """Whether it is the published one, whose scale is known."""
        return self.name == BPB

    def gain(self, incumbent: Decimal, candidate: Decimal) -> Decimal:
        """What the candidate is better by; below 0 where it is worse."""
        return candidate - incumbent if self.is_max else incumbent - candidate

    def best(self, values: Iterable[Decimal]) -> Decimal:
        """The best of one value or more."""
        return max(values) if self.is_max else min(values)

    def is_valid(self, value: Decimal | None) -> bool:
        """Whether it can be a value: NaN passes every comparison, and the 0 of a crash would win many a minimum."""
        if value is None or not value.is_finite():
            return False
        if self.is_bpb:
            return 0 < value < UPPER_BOUND
        low, high = -LARGEST if self.low is None else self.low, LARGEST if self.high is None else self.high
        return low <= value <= high

    def rounded(self, value: Decimal) -> Decimal:
        """With the decimals of the ledger."""
        return value.quantize(Decimal(1).scaleb(-self.places(value)), ROUND_HALF_EVEN)

    def places(self, value: Decimal) -> int:
        """The decimals that it is written with: 6 of a val_bpb; of another, as many as make 6 digits significant."""
        if self.is_bpb or not value:
            return PLACES
        whole = value.adjusted() + 1  # digits before the point; negative where zeros follow it
        return PLACES - whole if whole < 0 else PLACES if whole < 3 else max(0, WIDEST - whole)

    def text(self, value: Decimal) -> str:
        """As it stands in the ledger."""
        return f"{value:.{self.places(value)}f}"

    def gain_text(self, gain: Decimal, level: Decimal, fewer: int = 0) -> str:
        """`+0.004700`, with the decimals of a value of this level, or some fewer."""
        return f"{gain:+.{max(0, self.places(level) - fewer)}f}"

    def amount(self, size: Decimal, level: Decimal | None, fewer: int = 0) -> str:
        """A difference of values without a sign, with the decimals of a value of this level."""
        return f"{size:.{max(0, self.places(level if level is not None else size) - fewer)}f}"

    @property
    def direction(self) -> str:
        """`lower is better`, or `higher is better`."""
        return f"{'higher' if self.is_max else 'lower'} is better"

    @property
    def range_told(self) -> str:
        """`between 0 and 20`: what a value can be, for a person."""
        if self.is_bpb:
            return f"between 0 and {UPPER_BOUND}"
        if self.low is not None and self.high is not None:
            return f"from {self.low} to {self.high}"
        if self.low is not None or self.high is not None:
            return f"of at least {self.low}" if self.high is None else f"of at most {self.high}"
        return "that is finite"


VAL_BPB = Metric()


def of_settings(settings: Mapping[str, str]) -> Metric:
    """The metric that these settings describe. Raises Fault where they contradict each other."""
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
    """Raise Fault where they are no metric, or nothing would say which gain of it counts."""
    metric = of_settings(settings)
    has_thresholds = metric.small is not None and metric.large is not None
    if not (metric.is_bpb or has_thresholds or int(settings.get("BASELINE_RUNS") or 1) > 1):
        raise Fault(
            f"BASELINE_RUNS is 1, and no threshold says which gain of '{metric.name}' counts",
            "measure the noise: BASELINE_RUNS=3; or set both thresholds: SMALL_GAIN=... LARGE_GAIN=...",
        )


def _refuse_contradiction(metric: Metric) -> None:
    if metric.is_bpb and metric.is_max:
        raise Fault("METRIC_GOAL is 'max', but of val_bpb lower is better", "name what is measured: METRIC=...")
    if metric.is_bpb and (metric.low is not None or metric.high is not None):
        raise Fault("METRIC_RANGE is for another metric than val_bpb", "name what is measured: METRIC=...")
    if metric.low is not None and metric.high is not None and metric.low >= metric.high:
        raise Fault(f"METRIC_RANGE '{metric.low},{metric.high}' holds nothing", "the lower bound comes first")
    if metric.small is not None and metric.large is not None and metric.small > metric.large:
        raise Fault(f"SMALL_GAIN '{metric.small}' is more than LARGE_GAIN '{metric.large}'", HINT)


def _number(text: str) -> Decimal | None:
    try:
        return Decimal(text.strip()) if text.strip() else None
    except InvalidOperation:
        raise Fault(f"'{text.strip()}' is not a number", HINT) from None


def named(experiment: Mapping[str, Any]) -> Metric:
    """That of an experiment on record, by its name: enough to write a value, not to judge one."""
    return Metric(name=experiment.get("metric") or BPB)
