"""The conditions of a run: the machine's facts in its evaluation record -> whether the machine was disturbed, and how.

A slow machine does not make a change bad. prepare.py does a fixed piece of work in every second of the training (a
probe), and reads the wall clock at each step, which also counts sleep. The usual value is the median of the last runs,
so it adapts to a permanent change after one experiment. All times are in seconds.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, median
from typing import Any

from lab.one_line import clean

Run = dict[str, Any]

LIKE = 1.15  # conditions are alike if the probes differ by less than this factor
LIKE_SLOTS = 1.5  # and the numbers of trainings on the device by less than this one
SLOWER = 1.3  # factor over the usual probe from which a run is repeated
STARVED = 1.5  # factor over the usual wall seconds per clock second: other processes use the cores
STILL_SECONDS, STILL_STEPS = 2, 5  # a step that takes longer than these seconds plus these mean steps is a standstill
USUAL = 5  # runs that the usual values come from


@dataclass(frozen=True)
class Usual:
    """The usual seconds of a probe, and the usual wall seconds per second of the training clock."""

    probe: float
    share: float


def from_record(record: Mapping[str, Any], slots: float | None) -> Run:
    """The recorded conditions of a run. `slots` is the number of trainings that shared the device."""
    share = record["training_wall_seconds"] / max(record["training_seconds"], 1e-9)
    name = record.get("device_name")
    place = {"device_name": clean(name, 80) if isinstance(name, str) and name else None, "slots": slots}
    return {"probe_seconds": round(mean(record["probes"]), 6), "wall_share": round(share, 3), **place}


def usual(runs: Sequence[Run], like: Run) -> Usual | None:
    """The usual values of the newest runs on the same device as `like`; None if no conditions are known."""
    known = [run for run in runs if run.get("probe_seconds") and in_one_place(run, like)][-USUAL:]
    if not known:
        return None
    return Usual(*(median(float(run[name]) for run in known) for name in ("probe_seconds", "wall_share")))


def disturbance(record: Mapping[str, Any], known: Run, normal: Usual | None) -> str | None:
    """The disturbance of the run; None if there was none. `known` has the run's recorded conditions."""
    step = record["training_wall_seconds"] / max(record["looks"], 1)
    if record["longest_wait"] > STILL_SECONDS + STILL_STEPS * step:
        return f"it stood still for {record['longest_wait']:.0f} s"
    if normal is None:
        return None
    slower = known["probe_seconds"] / normal.probe
    if slower > SLOWER:
        return f"the machine was {slower:.1f} times slower than usual"
    if known["wall_share"] > STARVED * normal.share:
        return "other processes used the cores"
    return None


def mean_of(runs: Sequence[Run]) -> Run:
    """The mean conditions of several runs."""
    known = {name: [float(run[name]) for run in runs if run.get(name)] for name in ("probe_seconds", "slots")}
    return {"device_name": next(reversed(kinds(runs)), None), **{name: mean(own) for name, own in known.items() if own}}


def kinds(runs: Iterable[Run]) -> list[str]:
    """The kinds of device that they ran on, as far as that is known, in the order of their first runs."""
    return list(dict.fromkeys(str(run["device_name"]) for run in runs if run.get("device_name")))


def hosts(runs: Iterable[Run]) -> list[str]:
    """The hosts that they ran on, as far as that is known, in the order of their first runs."""
    return list(dict.fromkeys(str(run["host"]) for run in runs if run.get("host")))


def is_on(run: Run, kind: str | None) -> bool:
    """Whether it ran on that kind of device; what is not known is like everything."""
    return kind is None or run.get("device_name") in (None, kind)


def in_one_place(one: Run, other: Run) -> bool:
    """Whether on the same device, shared by about as many; what is not known is like everything."""
    return len(kinds((one, other))) < 2 and _are_near("slots", one, other, LIKE_SLOTS)


def are_like(one: Run, other: Run) -> bool:
    """Whether both ran in one place, on an equally fast machine."""
    return in_one_place(one, other) and _are_near("probe_seconds", one, other, LIKE)


def _are_near(name: str, one: Run, other: Run, factor: float) -> bool:
    known = [float(run[name]) for run in (one, other) if run.get(name)]
    return len(known) < 2 or max(known) < factor * min(known)


def like_groups(runs: Iterable[Run]) -> list[list[Run]]:
    """The runs in groups of like conditions."""
    found: list[list[Run]] = []
    for run in sorted(runs, key=lambda one: one.get("probe_seconds") or 0):
        like = next((group for group in found if are_like(group[0], run)), None)
        if like is None:
            found.append([run])
        else:
            like.append(run)
    return found
