"""The measured flight and the run's past -> the evidence: everything that the verdict and further runs depend on.

`gather` reads it once. After that, `more_runs` and `judge` use nothing else.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from lab.runs import conditions
from lab.store import code, guards, manifest
from lab.store.experiments import Experiment
from lab.store.flight import Flight, all_of
from lab.store.metric import VAL_BPB, Metric
from lab.verdict import complexity, measure, noise
from lab.verdict.criterion import Noise
from lab.verdict.index import Index
from lab.verdict.noise import Spread


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """Facts about the experiment in flight and the incumbent. None: unknown or missing. Memory is in GB."""

    metric: Metric = VAL_BPB
    is_baseline: bool = False
    runs_wanted: int = 1  # of the baseline
    failure: str | None = None
    why: str | None = None  # the reason of the failure
    disturbed: Sequence[tuple[str, int, str]] = ()  # code, seed and disturbance of the disturbed last runs
    seeds: Mapping[str, Sequence[int]] = field(default_factory=dict)  # code -> the seeds of this flight's runs
    recorded_seeds: Sequence[int] = ()  # seeds of the incumbent's earlier runs
    # The facts for the criterion
    val_bpb: Decimal | None = None
    memory: Decimal | None = None
    lines: tuple[int, int] | None = None  # code lines added and removed; None: no code came back
    incumbent_bpb: Decimal | None = None
    incumbent_memory: Decimal | None = None
    best: Decimal | None = None
    broken_guard: str | None = None  # which, and by what
    # val_bpb of single runs; empty of a failure, and before there is an incumbent
    candidate: Sequence[Decimal] = ()  # its first run, and those with fresh seeds
    incumbent: Sequence[Decimal] = ()  # those that the machine was as fast for as for the candidate's that decide,
    is_like: bool = True  # unless there are none: then it is all of them
    is_elsewhere: bool = False  # it has runs, but none on the kind of device that the candidate ran on,
    kind: str | None = None  # this one; None: not known
    is_unknown: bool = False  # it has not been measured: it is a person's commit
    is_stale: bool = False  # another one has taken its place
    spread: Spread | None = None  # None: nothing was run twice yet on that kind of device
    is_noisy: bool = False  # whether the noise is measured in this run, on whatever device

    @property
    def deciding(self) -> Sequence[Decimal]:
        """The candidate's runs that decide. The first one selected it, so it is no evidence if there are others."""
        return self.candidate[1:] or self.candidate

    @property
    def gain(self) -> Decimal:
        """How much better the candidate's mean is."""
        return self.metric.gain(noise.average(self.incumbent), noise.average(self.deciding))

    @property
    def noise(self) -> Noise | None:
        """The noise of the gain."""
        known = self.spread
        return Noise(known.sd, known.df, len(self.deciding), len(self.incumbent)) if known else None

    @property
    def is_simpler(self) -> bool:
        """Whether the candidate has less code."""
        return self.lines is not None and self.lines[0] < self.lines[1]

    @property
    def is_failed_baseline(self) -> bool:
        """Whether this is a baseline that fails. A person has to fix it, because nothing can be compared with it."""
        return self.is_baseline and self.failure is not None


def gather(flight: Flight, index: Index) -> Evidence:
    """The evidence about a measured flight and the incumbent that it was made on."""
    run, measured, after = flight.run, flight.json("measure.json"), code.after(flight)
    base = None if flight.is_baseline else index.keep(run, flight.need("base"))
    runs = {"candidate": measured["runs"], "incumbent": measured["incumbent_runs"]}
    evidence = Evidence(
        metric=manifest.metric_of(run),
        is_baseline=flight.is_baseline,
        runs_wanted=int(manifest.read(run)["settings"].get("BASELINE_RUNS", "1")) if flight.is_baseline else 1,
        failure=measured["failure"],
        why=measured["why"],
        disturbed=[(whose, seed, why) for whose, seed, why in measured["last"] if why],
        seeds={whose: [one["seed"] for one in made] for whose, made in runs.items()},
        val_bpb=_decimal(measured["val_bpb"]),
        memory=_decimal(measured["memory_gb"]),
        lines=None if after is None else complexity.counts_of(code.before(flight), after),
        is_stale=flight.text("tip") not in (None, flight.text("parent")),
    )
    if base is None:
        return evidence
    evidence = replace(evidence, kind=measured.get("device_name"))
    evidence = _with_incumbent(evidence, index, base, measured.get("guards", {}))
    commit = flight.need("compared")
    known = index.runs_of(run, commit)
    asked = [*(int(one["seed"]) for one in known), *_seeds_in_the_air(flight)]
    evidence = replace(
        evidence,
        recorded_seeds=[*(int(one["seed"]) for one in base["runs"]), *asked],
        is_unknown=not noise.values(known) and evidence.failure != "rejected",
    )
    if evidence.failure:
        return evidence
    evidence = _with_runs(evidence, index, known, measured)
    return evidence if conditions.is_on(base, evidence.kind) else _with_level_there(evidence, known, measured)


def _seeds_in_the_air(own: Flight) -> Iterator[int]:
    """The seeds that the incumbent is run with for other flights."""
    for one in all_of(own.run):
        for asked in (line.split() for line in (one.text("next") or "").split("\n")):
            if one != own and asked[:1] == ["incumbent"]:
                yield int(asked[1])


def _with_incumbent(evidence: Evidence, index: Index, incumbent: Experiment, guarded: Mapping[str, Any]) -> Evidence:
    """Add the incumbent's record, and whether the candidate (values in `guarded`) satisfies the guards."""
    level = {name: _decimal(value) for name, value in (incumbent.get("guards") or {}).items()}
    own = {name: _decimal(value) for name, value in guarded.items()}
    return replace(
        evidence,
        incumbent_bpb=incumbent["val_bpb"],
        incumbent_memory=_decimal(incumbent["memory_gb"]),
        best=_decimal((best := index.best_on(evidence.kind)) and best["val_bpb"]),
        broken_guard=None if evidence.failure else guards.first_broken(evidence.metric.guards, own, level),
    )


def _with_runs(evidence: Evidence, index: Index, level: Sequence[noise.Run], measured: dict[str, Any]) -> Evidence:
    """Add the runs of a candidate with a metric, and `level`, the runs of the incumbent."""
    own = noise.undisturbed(measured["runs"])
    if evidence.is_unknown:
        return replace(evidence, candidate=noise.values(own))
    deciding = noise.deciding(own, is_baseline=False, kind=evidence.kind)
    fresh = deciding if deciding != own[:1] else []
    known = _there(level, evidence.kind)
    like = [one for one in known if conditions.are_like(one, conditions.mean_of(deciding))]
    values = noise.values(like or known)
    return replace(
        evidence,
        candidate=noise.values([*own[:1], *fresh]),
        incumbent=values,
        incumbent_bpb=evidence.metric.rounded(noise.average(values)) if values else None,
        is_like=bool(like),
        is_elsewhere=not values,
        spread=index.spread_on(evidence.kind, own[1:]),
        is_noisy=index.spread_on(None, own[1:]) is not None,
    )


def _there(level: Sequence[noise.Run], kind: str | None) -> list[noise.Run]:
    """The incumbent's runs with a value on that kind of device."""
    return [one for one in level if one["val_bpb"] is not None and conditions.is_on(one, kind)]


def _with_level_there(evidence: Evidence, level: Sequence[noise.Run], measured: dict[str, Any]) -> Evidence:
    """The incumbent's row is of another kind of device: its memory and guards on this one are of its runs there."""
    known = _there(level, evidence.kind)
    level_guards = measure.guarded(known, evidence.metric).get("guards", {})
    own = {name: _decimal(value) for name, value in measured.get("guards", {}).items()}
    return replace(
        evidence,
        incumbent_memory=max((Decimal(one["memory_gb"]) for one in known if one.get("memory_gb")), default=None),
        broken_guard=guards.first_broken(evidence.metric.guards, own, level_guards),
    )


def _decimal(number: Any) -> Decimal | None:
    return None if number is None else Decimal(number)
