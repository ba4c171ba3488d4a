"""A ledger -> our rule's verdict on each row beside the recorded one, and a summary.

A ledger has no code, so each change counts as zero net lines. The first row with a value is the baseline. Memory is in
GiB. Values are in the unit of the ledger's metric (bits per byte for val_bpb). All numbers are Decimal.
"""

from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from lab.errors import Fault
from lab.store import foreign_ledger, ledger, manifest
from lab.store.ledger import Row, in_words
from lab.store.metric import VAL_BPB, Metric
from lab.verdict.criterion import Case, Noise, band_of, decide

KNOWN = 10_000  # degrees of freedom of an sd that is given: Student's t is 1.9602, the normal quantile 1.9600
WIDTH = 100  # columns of a terminal
LAYOUT = "{:>4} {:<7} {:<7} {:<2} {:<7} {:>10} {:>8} {:<10} {}"


@dataclass(frozen=True)
class Line:
    """A row, our verdict and rule, and the gain over the incumbent (None: no incumbent or no value)."""

    n: int
    row: Row
    verdict: str
    rule: str
    gain: Decimal | None

    @property
    def agrees(self) -> bool:
        """Whether our verdict equals the recorded one."""
        return self.verdict == self.row.status


def text(path: Path, sd: Decimal | None, df: int | None, *, own: bool) -> str:
    """A line for each row of the ledger at `path`, and a summary."""
    noise = noise_of(sd, df)
    found, metric = foreign_ledger.read(path), metric_of(path)
    recorded = judged(found.rows, noise, own=False, metric=metric)
    lines = judged(found.rows, noise, own=True, metric=metric) if own else recorded
    said = [*table(lines, band_of(noise, metric), metric), *summary(recorded, lines, noise, own=own, metric=metric)]
    if found.left_out:
        said.append(f"left out  {found.left_out} unreadable rows (to list them: lab validate --import)")
    return "\n".join(said)


def metric_of(path: Path) -> Metric:
    """The metric of the run beside the ledger; without a run, the metric in the header, with lower as better."""
    run, name = path.absolute().parent, ledger.metric_of(path)
    known = manifest.metric_of(run)
    return known if known.name == name else Metric(name=name)


def noise_of(sd: Decimal | None, df: int | None) -> Noise | None:
    """The noise of single runs; None without an sd, which selects the fixed thresholds."""
    if sd is None and df is not None:
        raise Fault("--df needs --sd", "give both, or only --sd")
    if sd is not None and sd < 0:
        raise Fault(f"--sd '{sd}' is below 0", "give a standard deviation of 0 or more")
    return None if sd is None else Noise(sd, df or KNOWN, runs=1, incumbent_runs=1)


def judged(rows: list[Row], noise: Noise | None, *, own: bool, metric: Metric = VAL_BPB) -> list[Line]:
    """Our verdicts. Each row is compared with the last recorded keep, or, if `own`, with our own last keep."""
    lines: list[Line] = []
    incumbent: Row | None = None
    best: Decimal | None = None
    for n, row in enumerate(rows, start=1):
        line = _judged(n, row, incumbent, best, noise, metric)
        lines.append(line)
        value = value_of(row, metric)
        verdict = line.verdict if own or incumbent is None else row.status
        if value is not None and verdict == "keep":
            incumbent, best = row, value if best is None else metric.best([value, best])
    return lines


def _judged(n: int, row: Row, incumbent: Row | None, best: Decimal | None, noise: Noise | None, metric: Metric) -> Line:
    value = value_of(row, metric)
    if value is None:
        return Line(n, row, "crash", "crash", None)
    if incumbent is None:
        return Line(n, row, "keep", "baseline", None)
    reached = Decimal(incumbent.val_bpb)
    memories = Decimal(incumbent.memory_gb), Decimal(row.memory_gb)
    decision = decide(Case(reached, value, 0, 0, best, *memories, noise, metric))
    return Line(n, row, decision.verdict, decision.rule, metric.gain(reached, value))


def value_of(row: Row, metric: Metric = VAL_BPB) -> Decimal | None:
    """The row's value; None for a crash. (Another metric may have the value 0, which marks a crash in a ledger.)"""
    value = Decimal(row.val_bpb)
    return value if metric.is_valid(value) and row.status != "crash" else None


def table(lines: list[Line], band: Decimal, metric: Metric = VAL_BPB) -> list[str]:
    """The rows below a title line; `!=` marks a verdict that differs from the recorded one."""
    title = LAYOUT.format("#", "commit", "ledger", "", "ours", "gain", "band", "rule", "description")
    return [title, *(_shown(line, band, metric) for line in lines), ""] if lines else []


def _shown(line: Line, band: Decimal, metric: Metric) -> str:
    row, level = line.row, Decimal(line.row.val_bpb)
    judged = ("", "") if line.gain is None else (metric.gain_text(line.gain, level), metric.amount(band, level))
    mark = "" if line.agrees else "!="
    text = LAYOUT.format(line.n, row.commit, row.status, mark, line.verdict, *judged, line.rule, row.description)
    return text if len(text) <= WIDTH else text[: WIDTH - 1].rstrip() + "…"


def summary(
    recorded: list[Line], lines: list[Line], noise: Noise | None, *, own: bool, metric: Metric = VAL_BPB
) -> list[str]:
    """The number of rows and keeps, how many keeps are within the noise, and how much of the claimed gain remains.

    `recorded`: our verdicts in comparison with the recorded keeps. `lines`: the verdicts that are shown.
    """
    baseline = next((value_of(line.row, metric) for line in lines if line.rule == "baseline"), None)
    wins = {line.n: line.gain for line in recorded if line.row.status == "keep" and line.gain is not None}
    differ = sum(not line.agrees for line in lines)
    counted = [
        f"ledger    {in_words(line.row.status for line in lines)}",
        f"ours      {in_words(line.verdict for line in lines)}; rows that differ: {differ}",
    ]
    if baseline is None:
        return [*counted, f"claimed   nothing: no row has a {metric.name}"]
    if not wins:
        return [*counted, "claimed   nothing: no keep after the baseline"]
    left = [line.gain for line in lines if line.gain and line.verdict == "keep" and (own or line.n in wins)]
    claimed = sum(wins.values(), Decimal(0))
    return [
        *counted,
        _noisy([*wins.values()], noise, metric, baseline),
        *_gains(baseline, claimed, sum(left, Decimal(0)), metric, own=own),
    ]


def _noisy(gains: list[Decimal], noise: Noise | None, metric: Metric, level: Decimal) -> str:
    """How many of the recorded keeps may be due to chance."""
    band = band_of(noise, metric)
    below = f"below the band of {metric.amount(band, level)}: {sum(gain < band for gain in gains)}"
    if noise is not None:
        below += f", below one sd of {metric.amount(noise.sd, level)}: {sum(gain < noise.sd for gain in gains)}"
    return f"wins      {len(gains)} keeps after the baseline; {below}"


def _gains(baseline: Decimal, claimed: Decimal, left: Decimal, metric: Metric, *, own: bool) -> list[str]:
    """The gain that the recorded keeps claim, and how much of it remains."""
    lost = claimed - left
    share = f" ({100 * abs(lost) / claimed:.0f} %)" if claimed > 0 else ""
    kept = "in our own chain of keeps" if own else "in the recorded keeps that our rule keeps"
    reached = baseline + claimed if metric.is_max else baseline - claimed
    amounts = [metric.amount(one, baseline) for one in (claimed, left, abs(lost))]
    return [
        f"claimed   {amounts[0]}, from {metric.text(baseline)} to {metric.amount(reached, baseline)}",
        f"left      {amounts[1]} {kept}: {amounts[2]}{share} {'less' if lost >= 0 else 'more'}",
    ]
