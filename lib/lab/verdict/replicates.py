"""Runs beside the experiments (bin/noise, bin/audit): a RUN_DIR -> a line of `reruns.jsonl`, and what is known then.

Each is a RUN_DIR in `runs/<tag>/extra/run.N`, and has `commit`, the code that it ran. An experiment that an interrupted
loop has left in `flight` is none of ours, but its seeds are not used a second time.
"""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path

from lab.errors import Fault
from lab.runs import measure
from lab.store import experiments
from lab.store.experiments import Experiment
from lab.verdict import criterion, noise
from lab.verdict.more_runs import DISTURBED
from lab.verdict.noise import Spread

COUNTED, AGAIN, LOST = "counted", "again", "lost"


def ends(run: Path) -> tuple[Experiment, Experiment]:
    """The baseline and the incumbent."""
    past = experiments.read(run)
    incumbent = experiments.incumbent(past)
    if incumbent is None:
        raise Fault(f"there is no baseline yet in '{run}'", "measure it: make once")
    return past[0], incumbent


def fresh_seed(run: Path, commits: Sequence[str]) -> int:
    """One that none of the commits was run with: the next after the largest."""
    used = noise.seeds(experiments.read(run), noise.read(run), commits)
    if not used:
        raise Fault(f"no run of '{' '.join(commits)}' is on record", "give the whole hash of a commit")
    return 1 + max(map(int, [*used, *_unrecorded(run)]))


def _unrecorded(run: Path) -> Iterator[int]:
    """Seeds that no record has: of the experiment in flight, and of runs of ours that failed."""
    for path in (*run.glob("flight/run.*/env"), *run.glob("extra/run.*/env")):
        yield _seed(path.parent)
    wanted = run / "flight/next"
    if wanted.exists():
        yield int(wanted.read_text().split()[1])


def _seed(folder: Path) -> int:
    seed = measure.seed_of(folder)
    if seed is None:
        raise ValueError(f"'{folder / 'env'}' has no SEED")
    return seed


def extra(run: Path, folder: Path) -> str:
    """Record the ended run in `folder`. Returns a word (`counted`, `again` with its seed, `lost`), and what is told."""
    seed, changed = _seed(folder), (folder / "changed").read_text().split("\n")[:-1]
    if changed:
        return f"{LOST} the run with seed {seed} does not count: it changed '{', '.join(changed)}'"
    result = measure.one(run, folder)
    if result["failure"]:
        return f"{LOST} the run with seed {seed} does not count: {result['why']}"
    if result["disturbance"] and _times(folder) <= DISTURBED:
        return f"{AGAIN} {result['disturbance']}"
    there = {one["seed"] for one in noise.read(run) if one["commit"] == _commit(folder)}
    noise.append(run, _commit(folder), [result["run"]], there)
    doubt = f" (not as usual: {result['disturbance']})" if result["disturbance"] else ""
    return f"{COUNTED} {result['run']['val_bpb']:.6f} with seed {seed}{doubt}"


def _commit(folder: Path) -> str:
    return (folder / "commit").read_text().strip()


def _times(folder: Path) -> int:
    """How often this code was run with this seed here."""
    own = _commit(folder), _seed(folder)
    return sum((_commit(one), _seed(one)) == own for one in folder.parent.glob("run.*"))


def known(run: Path) -> str:
    """The noise, what the incumbent is known from, and what a single run must gain, for a person."""
    incumbent, spread = ends(run)[1], noise.of(run)
    runs = noise.values(noise.by_commit(experiments.read(run), noise.read(run))[incumbent["commit"]])
    count = "1 run" if len(runs) == 1 else f"{len(runs)} runs"
    lines = [
        noise_line(spread),
        f"incumbent {noise.average(runs):.6f}, the mean of {count}: #{incumbent['n']} {incumbent['description']}",
    ]
    if spread:
        band = criterion.band_of(criterion.Noise(spread.sd, spread.df, 1, len(runs)))
        lines.append(f"band      {band:.6f}: a single run that gains less on that has gained about 0")
    return "\n".join(lines)


def noise_line(spread: Spread | None) -> str:
    """The standard deviation of one run, for a person."""
    if spread is None:
        return "noise     not known: no code was run twice"
    doubt = "; does train.py read SEED?" if spread.sd == Decimal(0) else ""
    degrees = "1 degree" if spread.df == 1 else f"{spread.df} degrees"
    return f"noise     {spread.sd:.6f} is one standard deviation ({degrees} of freedom){doubt}"
