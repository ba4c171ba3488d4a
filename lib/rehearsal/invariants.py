"""A run without a flight -> the rules that it breaks. They must hold however the last flight ended.

Each rule is a function. Its docstring is the rule, and it yields a line for each problem (after `-` what is expected,
after `+` what was found).
"""

import difflib
import gzip
import json
import os
import re
import subprocess
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from lab.store import ledger, schemas

from rehearsal import processes

Problems = Iterator[str]
Rule = Callable[["State"], Problems]
NOTES = "my notes.txt"  # a person's file
LITTER = (".new", ".old", ".lock", ".index")


@dataclass
class State:
    """Where to look, and the state there, read once."""

    folder: Path  # with the tree, its HOME and its TMPDIR
    tag: str
    known: Collection[str] = ()  # commits that may be crashes, or have another's description
    abreast: int = 1  # experiments in flight at a time

    def __post_init__(self) -> None:
        """Derive paths and names."""
        self.tree = self.folder / "tree"
        self.run = self.tree / "runs" / self.tag
        self.branch = f"refs/heads/autoresearch/{self.tag}"

    def git(self, *words: str) -> str:
        """git's output, without anybody's configuration. Raises CalledProcessError."""
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.folder / "home"), "GIT_OPTIONAL_LOCKS": "0"}
        command = ("git", "-C", str(self.tree), *words)
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout

    @cached_property
    def lines(self) -> list[Any]:
        """The lines of experiments.jsonl; None for a torn one."""
        path = self.run / "experiments.jsonl"
        return [_parsed(line) for line in path.read_text().splitlines()] if path.exists() else []

    @property
    def experiments(self) -> list[Any]:
        """The whole experiments."""
        return [one for one in self.lines if one]

    @property
    def commits(self) -> list[str]:
        """The commits of the experiments."""
        return [one["commit"] for one in self.experiments]

    @cached_property
    def refs(self) -> dict[str, str]:
        """Name -> commit; HEAD -> the name of the branch that is checked out."""
        lines = self.git("for-each-ref", "--format=%(HEAD) %(objectname) %(refname)").splitlines()
        found = {name: commit for commit, name in (line[2:].split(" ") for line in lines)}
        heads = [line.split(" ")[-1] for line in lines if line[0] == "*"]
        return {**found, "HEAD": heads[0] if heads else "no branch"}

    @cached_property
    def parts(self) -> dict[str, list[str]]:
        """The parts in train.py for each experiment, by commit."""
        found: dict[str, list[str]] = {}
        for line in self.git("grep", "^PARTS.[0-9]", *self.commits, "--", "train.py").splitlines():
            commit, _, text = line.split(":", 2)
            found.setdefault(commit, []).append(text.split(" = ")[1])
        return found

    @cached_property
    def values(self) -> list[str]:
        """The sum of the parts for each experiment, which its training measures."""
        return [f"{sum(map(float, self.parts[commit])):.6f}" for commit in self.commits]


def _parsed(line: str) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        return None


def broken(state: State, rules: Collection[Rule] = ()) -> list[str]:
    """The broken rules among these, or among those for any run, a line for each problem."""
    found = []
    for rule in rules or RULES:
        try:
            found += [f"{rule.__doc__} {problem}" for problem in rule(state)]
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            found.append(f"{rule.__doc__} {getattr(error, 'stderr', '') or error}")
    return [re.sub(r"[\x00-\x1f]+", " ", line) for line in found]


def same(expected: Collection[str], found: Collection[str]) -> Problems:
    """The first few differences."""
    if expected != found:
        lines = [line for line in difflib.ndiff(list(expected), list(found)) if line[0] in "-+"]
        yield ", ".join(lines[:4])


def _rules_above() -> list[Rule]:
    """The functions so far whose only argument is a state and whose result is problems."""
    asked = {"state": State, "return": Problems}
    return [one for one in globals().values() if getattr(one, "__annotations__", None) == asked]


# --- Rules for any run -----------------------------------------------------------------------------------------------


def ledger_is_valid(state: State) -> Problems:
    """The ledger is valid:"""
    yield from ledger.problems(state.run / "results.tsv")


def lines_are_whole(state: State) -> Problems:
    """Every line of experiments.jsonl is whole and in its place:"""
    for number, one in enumerate(state.lines, start=1):
        if not one or one.get("n") != number:
            yield f"line {number}"
        elif not schemas.fits("experiment", one):
            yield f"line {number}: {schemas.problems('experiment', one)}"


def rows_are_experiments(state: State) -> Problems:
    """Each experiment has one row:"""
    rows = [f"{row.commit} {row.status}" for row in ledger.read(state.run / "results.tsv")]
    yield from same([f"{one['commit'][:7]} {one['status']}" for one in state.experiments], rows)


def refs_are_experiments(state: State) -> Problems:
    """Each experiment has a ref, and each ref has an experiment:"""
    names = [name for name in state.refs if re.fullmatch(rf"refs/experiments/{re.escape(state.tag)}/[^/]+", name)]
    carried = [commit for one in state.experiments for commit in one.get("carried_from", [])]
    expected = sorted(f"refs/experiments/{state.tag}/{commit} {commit}" for commit in (*state.commits, *carried))
    yield from same(expected, sorted(f"{name} {state.refs[name]}" for name in names))


def branch_is_keeps(state: State) -> Problems:
    """The branch has the baseline and the keeps, and nothing else:"""
    start = (state.run / "start").read_text().strip()
    keeps = [one["commit"] for one in state.experiments if one["status"] == "keep"]
    yield from same(keeps, state.git("rev-list", "--reverse", f"{start}..{state.branch}").split())


def branch_is_checked_out(state: State) -> Problems:
    """The branch is checked out with its train.py:"""
    yield from same([state.branch], [state.refs["HEAD"]])
    if state.git("cat-file", "--filters", "HEAD:train.py") != (state.tree / "train.py").read_text():
        yield "train.py differs"


def tree_is_clean(state: State) -> Problems:
    """The tree is clean:"""
    lines = state.git("status", "--porcelain").splitlines()
    yield from same([], [line for line in lines if line != f'?? "{NOTES}"'])


def repository_is_whole(state: State) -> Problems:
    """The repository is whole:"""
    state.git("fsck", "--connectivity-only", "--no-dangling", "--no-progress")
    yield from ()


def memory_is_whole(state: State) -> Problems:
    """The memory has no experiment twice and no empty file:"""
    texts = {path.name: path.read_text() for path in (state.tree / "memory").glob("*.md")}
    counts = Counter(re.findall(rf"{re.escape(state.tag)} #\d+ [0-9a-f]{{7}}", texts.get("learnings.md", "")))
    yield from [name for name, text in texts.items() if not text]
    yield from [name for name, count in counts.items() if count > 1]


def nothing_is_in_flight(state: State) -> Problems:
    """Nothing is in flight:"""
    for flight in (state.run / "flights").glob("f*"):
        yield " ".join(["there is", flight.name, *(path.name for path in flight.iterdir() if flight.is_dir())])


def no_litter_is_left(state: State) -> Problems:
    """No half-written file, lock or scratch copy is left:"""
    found = [path for folder in (state.run, state.tree / ".git") for path in folder.rglob("*.*")]
    ours = [state.run / name for name in ("slots", "calls", "kept", "toolkit", "verdict.lock", "catalog.lock")]
    litter = [path for path in found if path.suffix in LITTER and not {path, *path.parents} & {*ours}]
    yield from map(str, [*litter, *scratch_copies(state.folder)])


def scratch_copies(folder: Path) -> list[Path]:
    """The scratch copies in the TMPDIR of the processes there."""
    return list((folder / "tmp").glob("autoresearch-*"))


def no_process_of_a_loop_is_left(state: State) -> Problems:
    """No process of a loop is left:"""
    yield from processes.under_loop(state.tree).values()


RULES = _rules_above()


# --- Rules for a stage, with its trainer, its proposer and a person's files ------------------------------------------

OVERTAKEN = ("conflict", "included", "outrun")  # rules that discard a change that was better than its incumbent


def measured(state: State) -> Iterator[tuple[Any, str, float]]:
    """Each experiment that did not crash, its value, and the value of its parent, which was the incumbent."""
    known = dict(zip(state.commits, map(float, state.values), strict=True))
    for one, value in zip(state.experiments, state.values, strict=True):
        if not one["failure"]:
            yield one, value, known.get(one["parent"], float("inf"))


def values_are_measured(state: State) -> Problems:
    """The value of each experiment is the sum of the parts in its train.py:"""
    rows = {row.commit: row.val_bpb for row in ledger.read(state.run / "results.tsv")}
    for one, value, _ in measured(state):
        yield from same([value, str(float(value))], [rows[one["commit"][:7]], str(one["val_bpb"])])


def keeps_are_better(state: State) -> Problems:
    """Every better experiment is kept unless it cannot be carried over, and no other is kept:"""
    keep = None
    for one, value, incumbent in measured(state):
        is_overtaken = one["rule"] in OVERTAKEN and one["parent"] != keep
        if (one["status"] == "keep" or is_overtaken) != (float(value) < incumbent - 0.001):
            yield f"#{one['n']}, {value} after {incumbent}: {one['status']}, {one['rule']}"
        keep = one["commit"] if one["status"] == "keep" else keep


def keeps_are_made_on_each_other(state: State) -> Problems:
    """Each keep is measured on the one before it:"""
    keeps = [one for one in state.experiments if one["status"] == "keep"]
    yield from same([one["commit"] for one in keeps[:-1]], [one["parent"] for one in keeps[1:]])


def runs_are_counted(state: State) -> Problems:
    """An experiment that is twice as good is measured twice, any other once:"""
    for one, value, incumbent in measured(state):
        expected = [2] if float(value) < incumbent / 2 < float("inf") else [1]
        if len(one["runs"]) not in (expected if one["rule"] not in OVERTAKEN else [1, *expected]):
            yield f"#{one['n']}, {value} after {incumbent}: {len(one['runs'])} runs"


def crashes_are_expected(state: State) -> Problems:
    """No experiment crashed because of a fault of something else:"""
    for one in state.experiments:
        if one["failure"] and one["commit"] not in state.known:
            yield f"#{one['n']}: {one['reason']}"


def descriptions_are_their_own(state: State) -> Problems:
    """Each experiment has its own description:"""
    for one, _, _ in measured(state):
        before, after = state.parts.get(one["parent"], []), state.parts[one["commit"]]
        changes = zip(range(len(after)), before, after, strict=False)
        own = [f"PARTS[{at}] {old} -> {new}" for at, old, new in changes if old != new]
        if own != [one["description"]] and one["n"] > 1 and one["commit"] not in state.known:
            yield f"#{one['n']}, {own}: {one['description']}"


def logs_are_kept(state: State) -> Problems:
    """The whole log of each run is kept:"""
    logs = list((state.run / "logs").glob("*.log.gz"))
    for one, value, _ in measured(state):
        own = [gzip.decompress(path.read_bytes()).decode() for path in logs if path.name.startswith(one["commit"][:7])]
        if not any(_log_line(value) in text for text in own):
            yield f"#{one['n']}, {value}: not in {len(own)} logs"


def run_log_is_the_last(state: State) -> Problems:
    """run.log is the log of the last run, or of one beside it:"""
    log = (state.tree / "run.log").read_text()
    late = list(zip(state.commits, state.values, strict=True))[-state.abreast :]
    if not any(commit in state.known or _log_line(value) in log for commit, value in late):
        yield f"{' and '.join(value for _, value in late)} not in run.log"


def _log_line(value: str) -> str:
    return f"val_bpb:          {float(value):.6f}"


def no_process_is_left(state: State) -> Problems:
    """No process is left:"""
    yield from processes.strays(state.folder).values()


def belongings_are_untouched(state: State) -> Problems:
    """The person's branches, stash and file are unchanged:"""
    yield from same((state.folder / "belongings").read_text().split("\n"), belongings(state))


def belongings(state: State) -> list[str]:
    """The person's things that must not change."""
    refs = [state.refs[f"refs/{name}"] for name in ("stash", "heads/main", "heads/idea")]
    return [*refs, (state.tree / NOTES).read_text().strip()]


OF_A_STAGE = _rules_above()
