"""Where a run stands -> a few lines for a person."""

from pathlib import Path

from lab import experiments, ledger, manifest, noise
from lab.flight import Flight
from lab.ledger import Row

LAST = 5  # rows


def status(run: Path) -> str:
    """The run whose folder is `run`: what it is, the experiment in flight, baseline and best, the last rows."""
    facts = manifest.read(run)
    rows = ledger.read(run / "results.tsv")
    past = experiments.read(run)
    ours = {experiment["commit"][:7] for experiment in past}
    lines = [
        f"run       {facts['tag']}, from {facts['start'][:7]}, set up {facts['created']}",
        f"profile   {facts['settings']['PROFILE']}, {facts['settings']['TIME_BUDGET']} s a run",
        f"in flight {in_flight(Flight(run / 'flight'))}",
        f"rows      {counts(rows)}",
        *progress(past),
    ]
    if spread := noise.of(run):
        lines.append(f"noise     {spread.sd:.6f} is one standard deviation ({spread.df} degrees of freedom)")
    lines += ["", *(_line(row, foreign=row.commit not in ours) for row in rows[-LAST:])] if rows else []
    return "\n".join(lines)


def in_flight(flight: Flight) -> str:
    """The experiment in flight and the last step that it has done."""
    done = flight.text("done")
    if done is None:
        return "nothing"
    steps = done.split("\n")[1:]
    return f"{flight.text('description') or 'no proposal yet'} ({'after ' + steps[-1] if steps else 'just begun'})"


def counts(rows: list[Row]) -> str:
    """How many of each verdict."""
    words = [f"{sum(row.status == word for row in rows)} {word}" for word in ("keep", "discard", "crash")]
    return f"{len(rows)}: {', '.join(words)}"


def progress(past: list[experiments.Experiment]) -> list[str]:
    """Baseline and best, once there is a baseline."""
    best = experiments.best(past)
    if best is None:
        return ["best      no baseline yet: make loop"]
    baseline = past[0]["val_bpb"]
    gain = baseline - best["val_bpb"]
    share = f"gain {gain:+.6f}, {100 * gain / baseline:.2f} %"
    return [
        f"baseline  {baseline:.6f}",
        f"best      {best['val_bpb']:.6f}, #{best['n']} {best['description']} ({share})",
    ]


def _line(row: Row, *, foreign: bool) -> str:
    mark = "  (foreign: written by hand)" if foreign else ""
    return f"{row.commit}  {row.val_bpb}  {row.memory_gb:>5}  {row.status:<7}  {row.description}{mark}"
