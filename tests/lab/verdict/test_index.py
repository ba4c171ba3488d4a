"""The index of a run: however it was made, it says what reading all of the past says."""

import json
import random
import time
from collections import defaultdict
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from lab.errors import Fault
from lab.runs import conditions
from lab.store import experiments, reruns
from lab.verdict import index, noise
from lab.verdict.index import Index
from lab.verdict.noise import Pool

FAST = 40  # random pasts


class Past:
    """A random one, appended line by line."""

    def __init__(self, run: Path, seed: int) -> None:
        self.run, self.dice = run, random.Random(seed)
        self.commits: list[str] = []
        self.keeps: list[str] = []

    def a_run(self, seed: int) -> dict[str, Any]:
        value = None if self.dice.random() < 0.1 else round(self.dice.uniform(0.9, 1.1), 6)
        conditions_of_it = self.dice.choice(
            [{}, {"probe_seconds": self.dice.choice([0.05, 0.0512345, 0.2]), "wall_share": 1.003}]
        )
        return {
            "seed": seed,
            "val_bpb": value,
            "degraded": None,
            **conditions_of_it,
            "device": self.dice.choice(["cpu", "cuda"]),
        }

    def experiment(self) -> None:
        n = len(self.commits) + 1
        status = "keep" if n == 1 else self.dice.choice(["keep", "discard", "discard", "crash"])
        runs = [self.a_run(42 + self.dice.randrange(4)) for _ in range(self.dice.randrange(5))]
        value = None if status == "crash" else round(self.dice.uniform(0.9, 1.0), 6)
        commit = f"{n:040x}"
        one = {"n": n, "commit": commit, "status": status, "rule": "baseline" if n == 1 else "gain", "val_bpb": value}
        one |= {
            "runs": runs,
            "tokens": self.dice.choice([None, 1050]),
            "cost_usd": self.dice.choice([None, 0.1, 1e-05]),
        }
        self.append(experiments.FILE, one | {"wall_seconds": self.dice.choice([None, 325.9]), "description": "é\u2028"})
        self.commits.append(commit)
        if status == "keep":
            self.keeps.append(commit)

    def rerun(self) -> None:
        """Of the incumbent most often; of the baseline; of any; or of what is no experiment, or none yet."""
        later = f"{len(self.commits) + self.dice.randrange(1, 4):040x}"
        among = [self.keeps[-1]] * 6 + [self.commits[0]] * 2 + [self.dice.choice(self.commits), "f" * 40, later]
        self.append(reruns.FILE, {"commit": self.dice.choice(among), **self.a_run(self.dice.randrange(50, 60))})

    def append(self, name: str, one: dict[str, Any]) -> None:
        blank = "\n" if self.dice.random() < 0.03 else ""
        with (self.run / name).open("a") as file:
            file.write(json.dumps(one, ensure_ascii=False) + "\n" + blank)

    def step(self) -> None:
        for _ in range(self.dice.randrange(1, 6)):
            self.rerun() if self.commits and self.dice.random() < 0.3 else self.experiment()


def evidence_by_commit(past: list[dict[str, Any]], again: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """All runs that are evidence, by the commit of the code that they ran."""
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for one in past:
        found[one["commit"]] += noise.deciding(one["runs"], is_baseline=one["rule"] == "baseline")
    for run in again:
        found[run["commit"]].append(run)
    return found


def assert_as_all_of_it_says(run: Path, of: Index) -> None:
    """What the functions say that read the whole past."""
    past, again = experiments.read(run), reruns.read(run)
    keeps = [one for one in past if one["status"] == "keep"]
    incumbent, best = keeps[-1], min(keeps, key=lambda one: one["val_bpb"])
    assert (of.count, of.baseline, of.last) == (len(past), past[0], past[-1])
    assert (of.incumbent, of.best) == (incumbent, best)
    groups = evidence_by_commit(past, again)
    assert of.spread == Pool().plus(groups.values()).spread()
    ordered = [run for one in past for run in one["runs"]]
    assert conditions.usual(of.last_runs, {}) == conditions.usual([*again, *ordered], {})
    for one in (past[0], incumbent):
        assert of.groups[one["commit"]] == groups[one["commit"]]
    for one in keeps:
        assert of.keep(run, one["commit"]) == one
    for commit in {*groups, "0" * 40}:  # of keeps, of others, and of what is no experiment
        assert of.runs_of(run, commit) == groups.get(commit, [])
    assert of.device == next(filter(None, (run.get("device") for run in ordered)), None)
    for name in index.SPENT:
        known = [Decimal(one[name]) for one in past if one[name] is not None]
        assert of.spent.get(name) == (sum(known) if known else None)


@pytest.mark.first_case
@pytest.mark.parametrize("seed", range(FAST))
def test_it_says_what_all_of_the_past_says(tmp_path: Path, seed: int) -> None:
    """Folded in step by step, kept in between or not, or made from nothing."""
    past = Past(tmp_path, seed)
    past.experiment()
    held = index.read(tmp_path)
    for _ in range(12):
        past.step()
        kept, anew = index.read(tmp_path), index.rebuilt(tmp_path)
        held = index.updated(tmp_path, held)
        for one in (kept, anew, held):
            assert_as_all_of_it_says(tmp_path, one)
        if past.dice.random() < 0.7:
            index.store(tmp_path, kept)
            assert index.read(tmp_path) == kept, "it comes back digit for digit"


def test_the_spread_is_the_one_of_28_digits(tmp_path: Path) -> None:
    """As it was computed before groups were pooled: the sum of more digits is no other verdict."""
    past = Past(tmp_path, 7)
    for _ in range(200):
        past.experiment()
    squares, df = Decimal(0), 0
    for group in evidence_by_commit(experiments.read(tmp_path), []).values():
        for like in conditions.like_groups(group):
            if len(values := noise.values(like)) > 1:
                mean = sum(values, Decimal(0)) / len(values)
                squares += sum(((value - mean) ** 2 for value in values), Decimal(0))
                df += len(values) - 1
    spread = index.read(tmp_path).spread
    assert spread is not None
    assert spread.df == df
    assert abs(spread.sd - (squares / df).sqrt()) < Decimal("1e-26")


# --- When it is made anew -------------------------------------------------------------------------------------------


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run of some experiments, whose index is kept."""
    past = Past(tmp_path, 1)
    past.experiment()
    for _ in range(5):
        past.experiment()
        past.rerun()
    index.store(tmp_path, index.read(tmp_path))
    return tmp_path


def lines_of(run: Path) -> list[str]:
    return [line + "\n" for line in (run / experiments.FILE).read_text().split("\n")[:-1]]


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "1", "{}", '{"version": 0}', '{"version": 2}', "[" * 100_000, "\udcff"]
)
def test_one_that_cannot_be_read_is_made_anew(run: Path, text: str) -> None:
    (run / index.FILE).write_bytes(text.encode(errors="surrogateescape"))
    assert_as_all_of_it_says(run, index.read(run))


@pytest.mark.parametrize(
    "change", [lambda lines: lines[:-1], lambda lines: lines[:1], lambda lines: [lines[0], *lines]]
)
def test_files_that_do_not_go_on_from_there(run: Path, change: Any) -> None:
    """A line was taken away, or put in, by hand: the last that was read is not where it was."""
    (run / experiments.FILE).write_text("".join(change(lines_of(run))))
    assert index.read(run) == index.rebuilt(run)


def test_no_file_at_all(run: Path) -> None:
    for name in (experiments.FILE, reruns.FILE):
        (run / name).unlink()
    assert index.read(run) == Index()


def test_what_was_read_is_not_read_again(run: Path) -> None:
    """Lines before the last are not looked at: that is what makes it fast."""
    lines = lines_of(run)
    damaged = "x" * (len(lines[1].encode()) - 1) + "\n"
    (run / experiments.FILE).write_text("".join([lines[0], damaged, *lines[2:]]))
    assert index.read(run).count == len(lines)
    with pytest.raises(Fault, match=r"experiments\.jsonl' is damaged in line 2$"):
        index.rebuilt(run)


def test_a_torn_last_line_is_left_out_and_a_damaged_one_told(run: Path) -> None:
    kept, number = index.read(run), len(lines_of(run)) + 1
    for name in (experiments.FILE, reruns.FILE):
        with (run / name).open("a") as file:
            file.write('{"n": 7, "comm')
        assert index.read(run) == kept
    with (run / experiments.FILE).open("a") as file:
        file.write("\n")
    with pytest.raises(Fault, match=rf"is damaged in line {number}$"):
        index.read(run)
    with pytest.raises(Fault, match=rf"is damaged in line {number}$"):
        experiments.read(run)


def test_what_is_no_experiment_is_no_keep(run: Path) -> None:
    """A person's commit on top of a keep is none: it is asked for by the commit that it is on."""
    with pytest.raises(ValueError, match=f"no experiment of run '{run.name}' has the commit 'ffff"):
        index.read(run).keep(run, "f" * 40)


def test_a_rerun_of_what_is_long_closed(run: Path) -> None:
    """A person runs an old experiment again: its group is looked up."""
    old = next(one for one in experiments.read(run) if one["status"] != "keep")
    again = [{"commit": old["commit"], "seed": seed, "val_bpb": 0.9 + seed / 1000} for seed in (90, 91)]
    with (run / reruns.FILE).open("a") as file:
        file.writelines(json.dumps(one) + "\n" for one in again)
    assert_as_all_of_it_says(run, index.read(run))


# --- The end of a file ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("torn", ["", '{"n": 1'])
@pytest.mark.parametrize("length", [1, 700, 70_000])
@pytest.mark.parametrize("count", [1, 2, 3, 5, 9, 40])
def test_the_last_lines(tmp_path: Path, count: int, length: int, torn: str) -> None:
    path = tmp_path / experiments.FILE
    assert experiments.last(tmp_path, count) == []
    for there in range(9):
        path.write_text("".join(json.dumps({"n": n, "x": "x" * length}) + "\n" for n in range(there)) + torn)
        assert [one["n"] for one in experiments.last(tmp_path, count)] == list(range(there))[-count:]


def test_the_end_of_a_large_file_is_read_alone(tmp_path: Path) -> None:
    line = json.dumps({"n": 1, "x": "x" * 900}) + "\n"
    (tmp_path / experiments.FILE).write_text("no object\n" + line * 300_000)
    began = time.process_time()
    assert len(experiments.last(tmp_path, 16)) == 16
    assert time.process_time() - began < 0.1
