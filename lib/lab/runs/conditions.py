"""The conditions of a run: what its evaluation record says of the machine -> whether it was disturbed, and by what.

A slowed machine is not a bad idea. prepare.py does a fixed piece of work every second of the training (`probes`), and
looks at the wall clock, that of a machine asleep too, at each step. What is usual is the median of the last runs, so a
change that lasts is the new usual after one experiment. Seconds.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, median
from typing import Any

Run = dict[str, Any]

LIKE = 1.15  # runs whose probes differ by less than this factor are of like conditions
SLOWER = 1.3  # times the usual probe: a run is made again
STARVED = 1.5  # times the usual wall seconds for a second of the clock: somebody else has the cores
STILL_SECONDS, STILL_STEPS = 2, 5  # a step that took this long, and this many mean steps more, stood still
USUAL = 5  # runs


@dataclass(frozen=True)
class Usual:
    """Of the last runs: the seconds of a probe, and the wall seconds for each second of the clock."""

    probe: float
    share: float


def from_record(record: Mapping[str, Any]) -> dict[str, float]:
    """What is kept of a run: `probe_seconds`, and `wall_share`."""
    share = record["training_wall_seconds"] / max(record["training_seconds"], 1e-9)
    return {"probe_seconds": round(mean(record["probes"]), 6), "wall_share": round(share, 3)}


def usual(runs: Sequence[Run]) -> Usual | None:
    """Of the newest runs whose conditions are known; None where there are none."""
    known = [run for run in runs if run.get("probe_seconds")][-USUAL:]
    if not known:
        return None
    return Usual(*(median(float(run[name]) for run in known) for name in ("probe_seconds", "wall_share")))


def disturbance(record: Mapping[str, Any], normal: Usual | None) -> str | None:
    """What was not as usual, if anything."""
    step = record["training_wall_seconds"] / max(record["looks"], 1)
    if record["longest_wait"] > STILL_SECONDS + STILL_STEPS * step:
        return f"it stood still for {record['longest_wait']:.0f} s"
    if normal is None:
        return None
    known = from_record(record)
    slower = known["probe_seconds"] / normal.probe
    if slower > SLOWER:
        return f"the machine was {slower:.1f} times slower than usual"
    if known["wall_share"] > STARVED * normal.share:
        return "other processes had the cores"
    return None


def mean_probe(runs: Sequence[Run]) -> Run:
    """The `probe_seconds` of several runs, as those of one."""
    known = [float(run["probe_seconds"]) for run in runs if run.get("probe_seconds")]
    return {"probe_seconds": mean(known) if known else None}


def are_like(one: Run, other: Run) -> bool:
    """Whether the machine was as fast for the one as for the other; what is not known is like everything."""
    probes = [float(run["probe_seconds"]) for run in (one, other) if run.get("probe_seconds")]
    return len(probes) < 2 or max(probes) < LIKE * min(probes)


def like_groups(runs: Iterable[Run]) -> list[list[Run]]:
    """The runs, in groups of like conditions."""
    found: list[list[Run]] = []
    for run in sorted(runs, key=lambda one: one.get("probe_seconds") or 0):
        if found and are_like(found[-1][0], run):
            found[-1].append(run)
        else:
            found.append([run])
    return found
