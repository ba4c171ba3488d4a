"""The conditions of a run: what its evaluation record says of the machine -> whether it was disturbed, and by what.

A slowed machine is not a bad idea. prepare.py does a fixed piece of work every second of the training (`probes`), and
looks at the wall clock, that of a machine asleep too, at each step. What is usual is the median of the last runs, so a
change that lasts is the new usual after one experiment. Seconds.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, median
from typing import Any

from lab.one_line import clean

Run = dict[str, Any]

LIKE = 1.15  # runs whose probes differ by less than this factor are of like conditions,
LIKE_SLOTS = 1.5  # and whose device was shared by as many, but for this factor
SLOWER = 1.3  # times the usual probe: a run is made again
STARVED = 1.5  # times the usual wall seconds for a second of the clock: somebody else has the cores
STILL_SECONDS, STILL_STEPS = 2, 5  # a step that took this long, and this many mean steps more, stood still
USUAL = 5  # runs


@dataclass(frozen=True)
class Usual:
    """Of the last runs: the seconds of a probe, and the wall seconds for each second of the clock."""

    probe: float
    share: float


def from_record(record: Mapping[str, Any], slots: float | None) -> Run:
    """What is kept of a run: `probe_seconds`, `wall_share`, `device_name`, and `slots`, how many shared the device."""
    share = record["training_wall_seconds"] / max(record["training_seconds"], 1e-9)
    name = record.get("device_name")
    place = {"device_name": clean(name, 80) if isinstance(name, str) and name else None, "slots": slots}
    return {"probe_seconds": round(mean(record["probes"]), 6), "wall_share": round(share, 3), **place}


def usual(runs: Sequence[Run], like: Run) -> Usual | None:
    """Of the newest runs in the place of `like` whose conditions are known; None where there are none."""
    known = [run for run in runs if run.get("probe_seconds") and in_one_place(run, like)][-USUAL:]
    if not known:
        return None
    return Usual(*(median(float(run[name]) for run in known) for name in ("probe_seconds", "wall_share")))


def disturbance(record: Mapping[str, Any], known: Run, normal: Usual | None) -> str | None:
    """What was not as usual, if anything; `known` is what is kept of the run."""
    step = record["training_wall_seconds"] / max(record["looks"], 1)
    if record["longest_wait"] > STILL_SECONDS + STILL_STEPS * step:
        return f"it stood still for {record['longest_wait']:.0f} s"
    if normal is None:
        return None
    slower = known["probe_seconds"] / normal.probe
    if slower > SLOWER:
        return f"the machine was {slower:.1f} times slower than usual"
    if known["wall_share"] > STARVED * normal.share:
        return "other processes had the cores"
    return None


def mean_of(runs: Sequence[Run]) -> Run:
    """The conditions of several runs, as those of one."""
    known = {name: [float(run[name]) for run in runs if run.get(name)] for name in ("probe_seconds", "slots")}
    return {"device_name": next(reversed(kinds(runs)), None), **{name: mean(own) for name, own in known.items() if own}}


def kinds(runs: Iterable[Run]) -> list[str]:
    """The kinds of device that they ran on, as far as that is known, in the order of their first runs."""
    return list(dict.fromkeys(str(run["device_name"]) for run in runs if run.get("device_name")))


def is_on(run: Run, kind: str | None) -> bool:
    """Whether it ran on that kind of device; what is not known is like everything."""
    return kind is None or run.get("device_name") in (None, kind)


def in_one_place(one: Run, other: Run) -> bool:
    """Whether on the same device, shared by about as many; what is not known is like everything."""
    return len(kinds((one, other))) < 2 and _are_near("slots", one, other, LIKE_SLOTS)


def are_like(one: Run, other: Run) -> bool:
    """Whether that, and the machine was as fast for the one as for the other."""
    return in_one_place(one, other) and _are_near("probe_seconds", one, other, LIKE)


def _are_near(name: str, one: Run, other: Run, factor: float) -> bool:
    known = [float(run[name]) for run in (one, other) if run.get(name)]
    return len(known) < 2 or max(known) < factor * min(known)


def like_groups(runs: Iterable[Run]) -> list[list[Run]]:
    """The runs, in groups of like conditions."""
    found: list[list[Run]] = []
    for run in sorted(runs, key=lambda one: one.get("probe_seconds") or 0):
        like = next((group for group in found if are_like(group[0], run)), None)
        if like is None:
            found.append([run])
        else:
            like.append(run)
    return found
