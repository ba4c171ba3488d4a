"""The index of a run: the facts about its past that a verdict, a record and the status need, without reading it all.

experiments.jsonl and reruns.jsonl -> a fold over their lines: baseline, incumbent and best; counts and sums; the pooled
noise; the last conditions. It is stored as `runs/<tag>/index.json`, with the offset and the last line that was read of
each file. Reading it adds the new lines. If the files do not continue from there, or the index is missing, damaged or
of another version, it is silently rebuilt, because it contains nothing that the two files do not.

Runs of the same code form a group. A group is open while more runs may come: the baseline's and the incumbent's. Of a
closed group only its part of the noise is stored. If a rerun comes to a closed group after all, everything is read
again.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any

from lab.runs import conditions
from lab.store import durable, experiments, jsonl, manifest, reruns, two_records
from lab.store.experiments import Experiment
from lab.store.metric import Metric
from lab.verdict import noise
from lab.verdict.noise import Pool, Run, Spread

FILE, INCUMBENT = "index.json", "incumbent"
VERSION = 7
RECENT = 4 * conditions.USUAL  # runs, in several places
SPENT = ("tokens", "cost_usd", "wall_seconds")


@lru_cache(maxsize=64)
def _object(line: str) -> dict[str, Any]:
    """The object in a line; do not change it. Lines are stored as they are, so that no digit of a number is lost."""
    value: dict[str, Any] = jsonl.decode(line)
    return value


class Kept:
    """The experiment whose line the index stores under the attribute's name; None if there is none yet."""

    def __set_name__(self, owner: type, name: str) -> None:
        """Store the name of the attribute."""
        self.name = name

    def __get__(self, index: "Index", owner: type) -> Experiment | None:
        """The experiment in the line."""
        return _object(index.lines[self.name]) if self.name in index.lines else None


@dataclass
class Bookmark:
    """How far a file was read: bytes, lines, and the last of these lines."""

    bytes: int = 0
    lines: int = 0
    last: str = ""

    def is_in(self, path: Path) -> bool:
        """Whether the file still has the last line at that offset, so that it was only appended to."""
        if not self.bytes:
            return True
        end = self.last.encode() + b"\n"
        if not path.exists() or self.bytes < len(end):
            return False
        with path.open("rb") as file:
            file.seek(self.bytes - len(end))
            return file.read(len(end)) == end

    def new_lines(self, path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
        """The lines after the bookmark, each with its object, without blank ones."""
        for line, place in jsonl.since(path, self.bytes):
            self.bytes, self.lines = place, self.lines + 1
            one = jsonl.parsed(path, self.lines, line) if line.strip() else None
            self.last = line.decode()
            if one is not None:
                yield self.last, one


@dataclass
class Index:
    """The fold. `fold` adds new lines."""

    experiments: Bookmark = field(default_factory=Bookmark)
    reruns: Bookmark = field(default_factory=Bookmark)
    count: int = 0
    lines: dict[str, str] = field(default_factory=dict)  # of what is Kept
    rerun_lines: dict[str, list[str]] = field(default_factory=dict)  # of open groups, by commit
    closed: dict[str, Pool] = field(default_factory=dict)  # by the kind of device; empty: not known
    recent: dict[str, list[Run]] = field(default_factory=lambda: {"reruns": [], "experiments": []})  # conditions
    device: str | None = None  # the first known device
    mark: int = 0  # of the rows (store/two_records.py)
    spent: dict[str, Decimal] = field(default_factory=dict)  # sums of SPENT; of what no experiment tells, there is none
    is_max: bool = False  # more of the metric is better
    level: Decimal | None = None  # of the baseline: the mean of all its runs when the first change was kept,
    level_kind: str | None = None  # and on what kind of device
    claims: dict[str, Decimal] = field(default_factory=dict)  # of keeps that are Kept, on other kinds; by commit
    bests: dict[str, str] = field(default_factory=dict)  # the line of the best keep on each kind of device

    # --- Reading ----------------------------------------------------------------------------------------------------

    baseline = Kept()  # the first experiment
    incumbent = Kept()  # the last keep
    replaced = Kept()  # the keep before that
    best = Kept()  # the keep with the best value, the first of several; or what has gained on that on another device
    last = Kept()  # the last experiment

    @property
    def last_runs(self) -> list[Run]:
        """The conditions of the last runs."""
        return [*self.recent["reruns"], *self.recent["experiments"]]

    @property
    def groups(self) -> dict[str, list[Run]]:
        """The runs of the open groups that are evidence, by commit."""
        named = {one["commit"]: one for one in (self.baseline, self.incumbent) if one}
        return {commit: _evidence(named.get(commit), lines) for commit, lines in self.rerun_lines.items()}

    @property
    def spread(self) -> Spread | None:
        """The noise over all that the run has measured, on whatever devices."""
        return self.spread_on(None)

    def spread_on(self, kind: str | None, more: Iterable[Run] = ()) -> Spread | None:
        """The noise on one kind of device (None: on any), with `more` runs of one code."""
        closed = [pool for name, pool in self.closed.items() if kind is None or name in ("", kind)]
        groups = [[run for run in group if conditions.is_on(run, kind)] for group in (*self.groups.values(), more)]
        return Pool.of(closed).plus(groups).spread()

    def best_on(self, kind: str | None) -> Experiment | None:
        """The keep with the best value of those that were judged on that kind of device."""
        known = [_object(line) for name, line in self.bests.items() if kind is None or name in ("", kind)]
        best, metric = None, Metric(is_max=self.is_max)
        for one in known:
            best = one if best is None or metric.gain(best["val_bpb"], one["val_bpb"]) > 0 else best
        return best

    def claimed(self, keep: Experiment) -> Decimal:
        """A keep's gain over the baseline. It is not the sum of the gains, which would add up the luck in each."""
        if self.level is None or keep == self.baseline:
            return Decimal(0)
        if keep["commit"] in self.claims:
            return self.claims[keep["commit"]]
        return Metric(is_max=self.is_max).gain(self.level, Decimal(keep["val_bpb"]))

    def keep(self, run: Path, commit: str) -> Experiment:
        """The keep with that commit: the incumbent or an earlier one. Raises ValueError if there is none."""
        known = (self.incumbent, self.replaced, self.baseline)
        found = next((one for one in known if one and one["commit"] == commit), None)
        found = found or next((one for one in experiments.read(run) if one["commit"] == commit), None)
        if found is None:
            raise ValueError(f"no experiment of run '{run.name}' has the commit '{commit}'")
        return found

    def runs_of(self, run: Path, commit: str) -> list[Run]:
        """The runs that are evidence about a keep, or about a person's commit on top of one."""
        groups = self.groups
        if commit in groups:
            return groups[commit]
        again = [one for one in reruns.read(run) if one["commit"] == commit]
        own = next((one for one in experiments.read(run) if one["commit"] == commit), None)
        return [*(noise.deciding(own["runs"], is_baseline=own["rule"] == "baseline") if own else []), *again]

    # --- Folding ----------------------------------------------------------------------------------------------------

    def fold(self, run: Path) -> bool:
        """Add the new lines. Returns False if a rerun came to a closed group; the index is then useless."""
        is_new = not self.experiments.lines and not self.reruns.lines
        unheard: set[str] = set()
        metric = None  # read from the manifest only if there are new experiments
        for line, one in self.reruns.new_lines(run / reruns.FILE):
            unheard |= {one["commit"]} - self.rerun_lines.keys()
            self.rerun_lines.setdefault(one["commit"], []).append(line)
            self._note("reruns", [one])
        for line, one in self.experiments.new_lines(run / experiments.FILE):
            metric = metric or manifest.metric_of(run)
            self._add(line, one, metric)
            unheard.discard(one["commit"])
        return is_new or not unheard

    def _add(self, line: str, one: Experiment, metric: Metric) -> None:
        """Add one experiment."""
        self.is_max = metric.is_max
        self.count += 1
        self.mark = two_records.marked_with(self.mark, one)
        told = {name: Decimal(one[name]) for name in SPENT if one.get(name) is not None}
        self.spent |= {name: self.spent.get(name, Decimal(0)) + amount for name, amount in told.items()}
        self._note("experiments", one["runs"])
        self.device = self.device or next((run["device"] for run in one["runs"] if run.get("device")), None)
        self.lines["last"] = line
        if self.count == 1:
            self.lines["baseline"] = line
            self.rerun_lines.setdefault(one["commit"], [])
        if one["status"] == "keep":
            self._keep(line, one, metric)
        elif self.count > 1:
            self._close(one)

    def _keep(self, line: str, one: Experiment, metric: Metric) -> None:
        """Make it the incumbent."""
        self.rerun_lines.setdefault(one["commit"], [])
        if incumbent := self.incumbent:
            self.lines["replaced"] = self.lines["incumbent"]
            if incumbent != self.baseline:
                self._close(incumbent)
            if self.level is None:
                self.level = Decimal(one.get("incumbent_bpb") or incumbent["val_bpb"])
                self.level_kind = one.get("device_name")
            if not conditions.is_on(one, self.level_kind):
                self.claims[one["commit"]] = self.claimed(incumbent) + Decimal(one["gain"] or 0)
        is_best = self._is_best(one, metric)
        self.lines["incumbent"] = line
        if is_best:
            self.lines["best"] = line
        kept = {known["commit"] for known in (self.incumbent, self.replaced, self.best) if known}
        self.claims = {commit: claim for commit, claim in self.claims.items() if commit in kept}
        kind = one.get("device_name") or ""
        if kind not in self.bests or metric.gain(_object(self.bests[kind])["val_bpb"], one["val_bpb"]) > 0:
            self.bests[kind] = line

    def _is_best(self, one: Experiment, metric: Metric) -> bool:
        """Whether a keep is the best. On another kind of device, its gain on the best is what can be compared."""
        if (best := self.best) is None:
            return True
        if conditions.is_on(one, best.get("device_name")):
            return metric.gain(best["val_bpb"], one["val_bpb"]) > 0
        return self.incumbent == best and (one["gain"] or 0) > 0

    def _close(self, one: Experiment) -> None:
        """Its group has all its runs."""
        by_kind: dict[str, list[Run]] = {}
        for run in _evidence(one, self.rerun_lines.pop(one["commit"], ())):
            by_kind.setdefault(run.get("device_name") or "", []).append(run)
        for kind, runs in by_kind.items():
            if (pool := self.closed.get(kind, Pool()).plus([runs])).df:
                self.closed[kind] = pool

    def _note(self, where: str, runs: list[Run]) -> None:
        """Remember the conditions of these runs; only the last ones count."""
        known = [{"probe_seconds": float(run["probe_seconds"]), "wall_share": _float(run["wall_share"]),
                  "device_name": run.get("device_name"), "slots": _float(run.get("slots"))}
                 for run in runs if run.get("probe_seconds")]  # fmt: skip
        if known:
            self.recent[where] = [*self.recent[where], *known][-RECENT:]


def _evidence(one: Experiment | None, rerun_lines: Iterable[str]) -> list[Run]:
    """The runs that are evidence about one code: those that decided on its experiment (if any), and its reruns."""
    own = noise.deciding(one["runs"], is_baseline=one["rule"] == "baseline") if one else []
    return [*own, *map(_object, rerun_lines)]


def _float(number: Any) -> float | None:
    return None if number is None else float(number)


# --- Storage ----------------------------------------------------------------------------------------------------------


def read(run: Path) -> Index:
    """The index of everything on record in a run. Raises Fault if a line is damaged."""
    index = _stored(run)
    return rebuilt(run) if index is None else updated(run, index)


def updated(run: Path, index: Index) -> Index:
    """The index with the lines that were appended since."""
    return index if index.fold(run) else rebuilt(run)


def rebuilt(run: Path) -> Index:
    """The index, built from all lines."""
    index = Index()
    index.fold(run)
    return index


def store(run: Path, index: Index) -> None:
    """Store the index for the next reader. It need not be durable, because it can be rebuilt."""
    text = json.dumps({"version": VERSION, **asdict(index)}, default=str, ensure_ascii=False)
    durable.write_atomically(run / FILE, text + "\n", durable=False)


def store_incumbent(run: Path, index: Index) -> None:
    """Write the incumbent's commit to the file `incumbent`, for the steps."""
    path = run / INCUMBENT
    if (one := index.incumbent) and not (path.exists() and path.read_text().strip() == one["commit"]):
        durable.write_atomically(path, one["commit"] + "\n", durable=False)


def _stored(run: Path) -> Index | None:
    """The stored index, if it is valid and the files continue from there."""
    try:
        kept = json.loads((run / FILE).read_text(encoding="utf-8"))
        if kept.pop("version") != VERSION:
            return None
        index = _from_json(kept)
    except (OSError, ValueError, ArithmeticError, TypeError, LookupError, AttributeError, RecursionError):
        return None
    goes_on = index.experiments.is_in(run / experiments.FILE) and index.reruns.is_in(run / reruns.FILE)
    return index if goes_on else None


def _from_json(kept: dict[str, Any]) -> Index:
    """From what `store` has written."""
    own, again, pools = Bookmark(**kept.pop("experiments")), Bookmark(**kept.pop("reruns")), kept.pop("closed")
    spent = {name: Decimal(total) for name, total in kept.pop("spent").items()}
    level = None if (known := kept.pop("level")) is None else Decimal(known)
    closed = {kind: Pool(Decimal(pool["squares"]), pool["df"]) for kind, pool in pools.items()}
    claims = {commit: Decimal(claim) for commit, claim in kept.pop("claims").items()}
    return Index(own, again, closed=closed, spent=spent, level=level, claims=claims, **kept)
