"""Runs besides the experiments (bin/noise, bin/audit): a RUN_DIR -> a line of `reruns.jsonl`, and the noise then.

Each RUN_DIR is `runs/<tag>/replicates/run.N`, and its file `commit` names the code. The flights of an interrupted loop
are left alone, but their seeds are not used again.
"""

import math
import statistics
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path

from lab.errors import Fault
from lab.runs import conditions, evaluation_record, slots
from lab.runs.outcome import outcome_of, seed_of
from lab.store import experiments, manifest, reruns
from lab.store.experiments import Experiment
from lab.store.flight import all_of
from lab.store.metric import VAL_BPB, Metric
from lab.verdict import index, noise
from lab.verdict.criterion import Noise, band_of
from lab.verdict.measure import past_of
from lab.verdict.more_runs import DISTURBED
from lab.verdict.noise import Spread

RECENT = 9  # runs from which the duration of a run is estimated
COUNTED, AGAIN, LOST = "counted", "again", "lost"


def baseline_and_incumbent(run: Path) -> tuple[Experiment, Experiment]:
    """The baseline and the incumbent of a run. Raises Fault if there is no baseline."""
    known = index.read(run)
    if known.baseline is None or known.incumbent is None:
        raise Fault(f"run '{run.name}' has no baseline yet", "measure it: make once")
    return known.baseline, known.incumbent


def commits(run: Path) -> list[str]:
    """Their commits, for a shell."""
    return [one["commit"] for one in baseline_and_incumbent(run)]


def fresh_seed(run: Path, commits: Sequence[str]) -> int:
    """A seed that none of the commits was run with: one more than the largest. Raises Fault for unknown commits."""
    recorded = [made for one in experiments.read(run) if one["commit"] in commits for made in one["runs"]]
    recorded += (one for one in reruns.read(run) if one["commit"] in commits)
    if not recorded:
        raise Fault(f"there is no record of a run of '{' '.join(commits)}'", "give the whole hash of a commit")
    return 1 + max([*(int(one["seed"]) for one in recorded), *_unrecorded_seeds(run)])


def _unrecorded_seeds(run: Path) -> Iterator[int]:
    """The seeds of experiments in flight and of replicates that failed."""
    for path in (*run.glob("flights/f*/run.*/env"), *run.glob("replicates/run.*/env")):
        yield _seed(path.parent)
    for flight in all_of(run):
        yield from (int(line.split()[1]) for line in (flight.text("next") or "").split("\n") if line)


def record_replicate(folder: Path) -> str:
    """Record the ended run in `folder`. Returns `counted`, `again` (with its seed) or `lost`, and a message."""
    return " ".join(_recorded(folder.parents[1], folder, is_last=False)) + "\n"


def take_replicate(folder: Path) -> str:
    """Record a run even if it was disturbed; it is not repeated."""
    return " ".join(_recorded(folder.parents[1], folder, is_last=True)) + "\n"


def run_seconds(run: Path) -> int:
    """The wall seconds of a training run: the median of the last ones."""
    known = [until - since for since, until in slots.past(run)][-RECENT:]
    return math.ceil(statistics.median(known)) if known else 60


def _recorded(run: Path, folder: Path, *, is_last: bool) -> tuple[str, str]:
    commit, seed = _commit(folder), _seed(folder)
    if changed := (folder / "changed").read_text().split("\n")[:-1]:
        return LOST, f"the run with seed {seed} does not count: it changed '{', '.join(changed)}'"
    result = outcome_of(folder, past_of(run, index.read(run)))
    if result.failure:
        return LOST, f"the run with seed {seed} does not count: {result.failure.why}"
    times = sum((_commit(one), _seed(one)) == (commit, seed) for one in folder.parent.glob("run.*"))
    if result.disturbance and times <= DISTURBED and not is_last:
        return AGAIN, result.disturbance
    reruns.append(
        run,
        commit,
        [result.run | _on_holdout(folder)],
        {one["seed"] for one in reruns.read(run) if one["commit"] == commit},
    )
    doubt = f" (disturbed: {result.disturbance})" if result.disturbance else ""
    return COUNTED, f"{manifest.metric_of(run).text(result.run['val_bpb'])} with seed {seed}{doubt}"


def _on_holdout(folder: Path) -> dict[str, float]:
    """The value on the holdout that make audit evaluated, if there is one."""
    value = evaluation_record.object_in(folder / "record/holdout.json").get("holdout_bpb")
    return {} if value is None else {"holdout_bpb": round(float(value), 6)}


def _commit(folder: Path) -> str:
    return (folder / "commit").read_text().strip()


def _seed(folder: Path) -> int:
    seed = seed_of(folder)
    if seed is None:
        raise ValueError(f"'{folder / 'env'}' has no SEED")
    return seed


def noise_told(run: Path) -> str:
    """The noise, the incumbent's mean, and the gain that a single run must reach, as text."""
    known, incumbent = index.read(run), baseline_and_incumbent(run)[1]
    group = known.groups[incumbent["commit"]]
    kind = incumbent.get("device_name") or next(iter(conditions.kinds(group)), None)
    runs, spread = noise.values(run for run in group if conditions.is_on(run, kind)), known.spread_on(kind)
    count = "1 run" if len(runs) == 1 else f"{len(runs)} runs"
    metric, level = manifest.metric_of(run), noise.average(runs)
    lines = [
        spread_told(spread, metric, level),
        f"incumbent {metric.text(level)}, the mean of {count}: #{incumbent['n']} {incumbent['description']}",
    ]
    if spread:
        band = metric.amount(band_of(Noise(spread.sd, spread.df, 1, len(runs)), metric), level)
        lines.append(f"band      {band}: a smaller gain of a single run counts as 0")
    return "\n".join(lines)


def spread_told(spread: Spread | None, metric: Metric = VAL_BPB, level: Decimal | None = None) -> str:
    """The standard deviation of one run, as text. `level`: a value, for its decimals."""
    if spread is None:
        return "noise     unknown: no code was run twice"
    doubt = "; does train.py read SEED?" if spread.sd == 0 else ""
    degrees = "1 degree" if spread.df == 1 else f"{spread.df} degrees"
    return f"noise     {metric.amount(spread.sd, level)} is one standard deviation ({degrees} of freedom){doubt}"
