"""The rows of a ledger -> the verdict of our decision table on each, beside the recorded one, and a summary.

A ledger has no code, so each change counts as zero net lines. The first row with a val_bpb is the baseline. val_bpb and
gains in bits per byte, memory in GiB; all are Decimal.
"""

from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from lab.errors import Fault
from lab.store import foreign_ledger
from lab.store.ledger import Row, in_words
from lab.store.metric import VAL_BPB
from lab.verdict.criterion import Case, Noise, band_of, decide

KNOWN = 10_000  # degrees of freedom of an sd that is taken as known: Student's t is 1.9602, the normal quantile 1.9600
WIDTH = 100  # columns of a terminal
LAYOUT = "{:>4} {:<7} {:<7} {:<2} {:<7} {:>10} {:>8} {:<10} {}"


@dataclass(frozen=True)
class Line:
    """A row, our verdict and rule, and the gain over the incumbent; None: no incumbent, or no value."""

    n: int
    row: Row
    verdict: str
    rule: str
    gain: Decimal | None

    @property
    def agrees(self) -> bool:
        """Whether our verdict is the recorded one."""
        return self.verdict == self.row.status


def text(path: Path, sd: Decimal | None, df: int | None, *, own: bool) -> str:
    """A line for each row of the ledger at `path`, and a summary."""
    noise = noise_of(sd, df)
    found = foreign_ledger.read(path)
    recorded = judged(found.rows, noise, own=False)
    lines = judged(found.rows, noise, own=True) if own else recorded
    said = [*table(lines, band_of(noise)), *summary(recorded, lines, noise, own=own)]
    if found.left_out:
        said.append(f"left out  rows that cannot be read: {found.left_out} (lab validate --import names them)")
    return "\n".join(said)


def noise_of(sd: Decimal | None, df: int | None) -> Noise | None:
    """The noise of single runs; None without an sd: then the fixed thresholds hold."""
    if sd is None and df is not None:
        raise Fault("--df without --sd", "give both, or --sd alone")
    if sd is not None and sd < 0:
        raise Fault(f"--sd '{sd}' is below 0", "a standard deviation is 0 or more")
    return None if sd is None else Noise(sd, df or KNOWN, runs=1, incumbent_runs=1)


def judged(rows: list[Row], noise: Noise | None, *, own: bool) -> list[Line]:
    """Our verdicts. Each row is compared with the last recorded keep; with `own`, with our own last keep."""
    lines: list[Line] = []
    incumbent: Row | None = None
    best: Decimal | None = None
    for n, row in enumerate(rows, start=1):
        line = _judged(n, row, incumbent, best, noise)
        lines.append(line)
        value = value_of(row)
        verdict = line.verdict if own or incumbent is None else row.status
        if value is not None and verdict == "keep":
            incumbent, best = row, min(value, best or value)
    return lines


def _judged(n: int, row: Row, incumbent: Row | None, best: Decimal | None, noise: Noise | None) -> Line:
    value = value_of(row)
    if value is None:
        return Line(n, row, "crash", "crash", None)
    if incumbent is None:
        return Line(n, row, "keep", "baseline", None)
    reached = Decimal(incumbent.val_bpb)
    memories = Decimal(incumbent.memory_gb), Decimal(row.memory_gb)
    decision = decide(Case(reached, value, 0, 0, best, *memories, noise))
    return Line(n, row, decision.verdict, decision.rule, reached - value)


def value_of(row: Row) -> Decimal | None:
    """Its val_bpb; None for a crash."""
    value = Decimal(row.val_bpb)
    return value if VAL_BPB.is_valid(value) else None


def table(lines: list[Line], band: Decimal) -> list[str]:
    """The rows under a title line; `!=` marks a verdict that differs from the recorded one."""
    title = LAYOUT.format("#", "commit", "done", "", "ours", "gain", "band", "rule", "description")
    return [title, *(_shown(line, band) for line in lines), ""] if lines else []


def _shown(line: Line, band: Decimal) -> str:
    row = line.row
    judged = ("", "") if line.gain is None else (f"{line.gain:+.6f}", f"{band:.6f}")
    mark = "" if line.agrees else "!="
    text = LAYOUT.format(line.n, row.commit, row.status, mark, line.verdict, *judged, line.rule, row.description)
    return text if len(text) <= WIDTH else text[: WIDTH - 1].rstrip() + "…"


def summary(recorded: list[Line], lines: list[Line], noise: Noise | None, *, own: bool) -> list[str]:
    """Counts of rows and keeps, how many keeps are within the noise, and what is left of the gain that they claim.

    `recorded` are our verdicts against the recorded keeps; `lines` are the verdicts that are shown.
    """
    baseline = next((value_of(line.row) for line in lines if line.rule == "baseline"), None)
    wins = {line.n: line.gain for line in recorded if line.row.status == "keep" and line.gain is not None}
    if baseline is None:
        return [*_counted(lines), "no row has a val_bpb: there is nothing to compare"]
    if not wins:
        return [*_counted(lines), "no keep after the baseline: no gain is claimed"]
    left = [line.gain for line in lines if line.gain and line.verdict == "keep" and (own or line.n in wins)]
    claimed = sum(wins.values(), Decimal(0))
    return [
        *_counted(lines),
        _noisy([*wins.values()], noise),
        *_gains(baseline, claimed, sum(left, Decimal(0)), own=own),
    ]


def _counted(lines: list[Line]) -> list[str]:
    differ = sum(not line.agrees for line in lines)
    return [
        f"done      {in_words(line.row.status for line in lines)}",
        f"ours      {in_words(line.verdict for line in lines)}; rows that differ: {differ}",
    ]


def _noisy(gains: list[Decimal], noise: Noise | None) -> str:
    """How many of the recorded keeps may be luck."""
    band = band_of(noise)
    below = f"below the band of {band:.6f}: {sum(gain < band for gain in gains)}"
    if noise is not None:
        below += f", below one sd of {noise.sd:.6f}: {sum(gain < noise.sd for gain in gains)}"
    return f"wins      {len(gains)} keeps after the baseline; {below}"


def _gains(baseline: Decimal, claimed: Decimal, left: Decimal, *, own: bool) -> list[str]:
    """The gain that the recorded keeps claim, and what is left of it."""
    lost = claimed - left
    share = f" ({100 * abs(lost) / claimed:.0f} %)" if claimed > 0 else ""
    kept = "in our own chain" if own else "in those of them that our rule keeps"
    return [
        f"claimed   {claimed:.6f}, from {baseline:.6f} to {baseline - claimed:.6f}",
        f"left      {left:.6f} {kept}: {abs(lost):.6f}{share} {'less' if lost >= 0 else 'more'}",
    ]
