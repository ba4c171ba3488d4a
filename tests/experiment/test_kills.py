"""The kill matrix: kill -9 of everything, or of anything, anywhere; then the same command again goes on by itself.

Each kill is printed (`place:number:when:victim:delay`), and so is the seed of the random part: KILL_SEED repeats it.
`make test-long` kills at every command, in many ways; else of each kind of call of a place the first and the last are
taken. What a rehearsal plays (lib/rehearsal/faults.py) is not played again here.
"""

import os
import pickle
import random
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest
from filelock import FileLock
from kills import GOES_ON_S, LONG, Killer, Point, PowerCut, Site, delay_for, find
from rehearsal import invariants, processes
from rehearsal.stage import LIMIT_S, PERSON, TAG, WAITING

CHUNKS = range(12 if LONG else 3)
SEEDS = range(40) if LONG else ["drawn"]
# Calls that change nothing leave what the last one that did has left.
CHANGES = (
    r"(gzip|ln|mkdir|mv|rm|sync|fsync|replace)\b|cp (?!-p)"
    r"|git (commit-tree|mktree|hash-object -w|update-ref|update-index|--git-dir\S+ .*(read-tree|clean))"
)
CORE = "lab.conclude"
WISHES = ("better", "half", "mended") if LONG else ("better",)
Sites = dict[str, list[Site]]


@pytest.fixture(scope="session")
def known(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Sites]:
    """A stage that is built, to be copied, and all calls of a loop, by the wish; made once for all workers."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    built, made = folder / "killed", folder / "kills.pickle"
    with FileLock(folder / "kills.lock"):
        if not made.exists():
            built.mkdir()
            Killer(built).build()
            Killer(built).copy(folder / "watched")
            killer = Killer(folder / "watched").arm()
            made.write_bytes(pickle.dumps({wish: killer.sites(wish) for wish in WISHES}))
    return built, pickle.loads(made.read_bytes())


@pytest.fixture
def sites(known: tuple[Path, Sites]) -> Sites:
    return known[1]


@pytest.fixture
def killer(known: tuple[Path, Sites], tmp_path: Path) -> Iterator[Killer]:
    Killer(known[0]).copy(tmp_path)
    one = Killer(tmp_path).arm()
    yield one
    print(f"KILLS {len(one.fired)}, slowest recovery {max(one.recoveries, default=0):.1f} s", *one.fired, sep="\n")
    assert one.fired or not one.strikes, "the points were there"


def kind(site: Site) -> str:
    """A pattern of the words of such calls; those of git may have options before the command."""
    name, *words = re.sub(r" -c \S+", "", site.words).split()
    return name if name != "git" else f"git.*{next(word for word in words if word[0] != '-')}"


def sampled(sites: list[Site]) -> list[Point]:
    """The first and the last call of each kind from each place, or all: a loop that goes on makes fewer of others."""
    kinds: dict[tuple[str, str], list[Site]] = {}
    for site in sites:
        kinds.setdefault((site.place, kind(site)), []).append(site)
    found = []
    for site in sites:
        alike = kinds[site.place, kind(site)]
        if LONG or site in (alike[0], alike[-1]):
            found.append(Point(site.place, f"{alike.index(site) + 1}/{kind(site)}"))
    return found


# --- At any command --------------------------------------------------------------------------------------------------


def changes(sites: Sites, *places: str) -> list[Site]:
    """What changes something in an experiment that is kept: from these places."""
    return [site for site in sites["better"] if site.place in places and re.match(CHANGES, site.words)]


@pytest.mark.slow
@pytest.mark.parametrize("chunk", CHUNKS)
def test_all_killed_at_once_before_any_command(killer: Killer, sites: Sites, chunk: int) -> None:
    """Of the steps: each time a little later."""
    places = {site.place for site in sites["better"]} - {"loop", "dispatch", "proposer", "lab.check_run", CORE}
    # When the tree has followed, that is not done again, and the later moves of 80-settle are other ones.
    later = ("80-settle", "mv")
    found = [site for site in changes(sites, *places) if (site.place, site.words[:2]) != later or site.number == 1]
    killer.kill_again_and_again(sampled(found)[chunk :: len(CHUNKS)])


@pytest.mark.slow
def test_all_killed_at_once_while_the_core_concludes(killer: Killer, sites: Sites) -> None:
    """Before each write of it, or some of them, a little later each time: it need not write again what is written."""
    if LONG:
        for site in changes(sites, CORE):
            killer.strike_and_go_on(Point(CORE, site.number))
    else:
        writes = "replace.*measure.json", "fsync.changes.jsonl", "fsync.learnings.md", "replace.*summary"
        killer.kill_again_and_again([Point(CORE, f"1/{write}") for write in writes])


@pytest.mark.slow
def test_all_killed_between_the_end_of_any_step_and_its_mark(killer: Killer, sites: Sites) -> None:
    """So that each step is done twice: after the last call that it makes, or that is made for it."""
    ends = "10-propose", "20-commit", "30-run", CORE, "80-settle"
    last = {site.place: site for site in sites["better"] if site.words != "end"}  # of the core: that of the loop
    points = [Point(place, last[place].number, "after") for place in ends[:-1]]
    killer.kill_again_and_again([*points, Point("80-settle", f"1/{kind(last['80-settle'])}", "after")])


@pytest.mark.slow
def test_all_killed_around_an_experiment(killer: Killer, sites: Sites) -> None:
    """While a loop looks around, and while it makes a flight; then, while it ends."""
    all_of_them = changes(sites, "loop", "lab.check_run", "dispatch", "lab.drop")
    over = next(at for at, site in enumerate(all_of_them) if site.place == "lab.drop")
    before, *ends = all_of_them[:over], *all_of_them[over:]
    killer.kill_again_and_again([Point(site.place, site.number) for site in before])
    for end in ends:
        killer.strike_and_go_on(Point(end.place, end.number))
    assert len(killer.fired) == len(before) + len(ends)


@pytest.mark.long
@pytest.mark.parametrize("chunk", range(60))
def test_killed_at_any_command_and_gone_on_with(killer: Killer, sites: Sites, chunk: int) -> None:
    for site in sites["better"][chunk::60]:
        for way in (("before", "all"), ("after", "all"), ("before", "loop"), ("after", "parent")):
            killer.strike_and_go_on(Point(site.place, site.number, *way))


def drawn(sites: list[Site], rng: random.Random) -> Point:
    """A point with any victim: all, the loop alone, a script, the command itself; but none that the proposer calls."""
    site = rng.choice([site for site in sites if site.place != "proposer"])
    when = rng.choice(["before", "inside", "inside", "after"])
    victim = rng.choice(["all", "loop", "parent", "self"])
    return Point(site.place, site.number, when, victim, delay_for(site.words, rng))


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_killed_at_random_and_killed_again_while_it_recovers(killer: Killer, sites: Sites, seed: int | str) -> None:
    """Before, inside or after a command, in experiments that are kept or discarded."""
    if seed == "drawn":
        seed = int(os.environ.get("KILL_SEED", time.time_ns() % 1_000_000))
        print(f"KILL_SEED={seed}")
    rng = random.Random(seed)
    for _ in range(8 if LONG else 3):
        points = drawn(sites["better"], rng), drawn(sites["better"], rng)
        struck, again = (killer.strike(point, rng.choice(["better", "worse"])) for point in points)
        if again.status != 0:
            killer.go_on(again, exact=False)
        if not {point.victim for point in points} <= {"all", "loop"}:
            killer.forgive()
        killer.check()
        assert struck.commit is None or killer.state().commits.count(struck.commit) == 1, "what was committed is there"


def drawn_of_four(sites: list[Site], rng: random.Random) -> Point:
    """As many flights make as many calls of a step; a loop makes one of each kind."""
    point = drawn(sites, rng)
    calls = sum(site.place == point.place for site in sites)
    of_one = point.place == "loop" or point.place.startswith("lab.check")
    return replace(point, number=int(point.number) + (0 if of_one else calls * rng.randrange(4)))


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_killed_at_random_with_four_in_the_air(killer: Killer, sites: Sites, seed: int | str) -> None:
    """Once, or again while it recovers; and gone on with by as many at a time, or one after the other."""
    if seed == "drawn":
        seed = int(os.environ.get("KILL_SEED", time.time_ns() % 1_000_000))
        print(f"KILL_SEED={seed}")
    rng = random.Random(seed)
    for _ in range(6 if LONG else 3):
        killer.slots, committed = 4, set[str]()
        killer.environment |= {"DRAFTS": rng.choice("02"), "LAB_WANT": rng.choice("013")}
        for point in [drawn_of_four(sites["better"], rng) for _ in range(rng.choice([1, 2]))]:
            killer.strike(point, rng.choice(["better", "worse"]))
            committed |= killer.committed()
        killer.forgive()
        killer.slots = rng.choice([1, 4])
        killer.go_on_to_the_end()
        killer.forgive()
        killer.slots = 4  # there were so many in the air
        killer.check()
        measured = [
            one for each in killer.state().experiments for one in (each["commit"], *each.get("carried_from", []))
        ]
        lost, refs = committed - set(measured), killer.state().refs
        assert not [one for one in lost if f"refs/experiments/{TAG}/{one}" in refs]
        told = re.findall("dropped: |carried over to the new incumbent", killer.log.read_text())
        assert len(lost) <= len(told), "what was committed is there, or said why not"
        assert len(measured) == len(set(measured))


# Places and calls that there are only where an experiment is sent back, each later than the one before.
SENT_BACK = {
    "half": [
        ("dispatch", r"1/mv -f \S*done.new"),
        ("30-run", r"1/git .*read-tree"),
        ("runner.py.run.4", "1/uv"),
        ("80-settle", "4/gzip"),
    ],
    "mended": [
        ("60-mend", "1/mv"),
        ("20-commit", r"1/mv -f \S*replaced.new"),
        ("lab.land", "1/replace"),
        ("20-commit", "1/git.* update-ref -d"),
        (CORE, "1/fsync issues"),
    ],
}


@pytest.mark.slow
@pytest.mark.parametrize("wish", SENT_BACK)
def test_killed_in_an_experiment_that_a_step_sends_back(killer: Killer, wish: str) -> None:
    """It is measured twice, or mended."""
    points = [Point(place, number.replace(" ", ".")) for place, number in SENT_BACK[wish]]
    killer.kill_again_and_again(points, wish)


@pytest.mark.long
@pytest.mark.parametrize("wish", SENT_BACK)
def test_killed_at_any_command_after_a_step_has_sent_it_back(killer: Killer, sites: Sites, wish: str) -> None:
    usual = {(site.place, site.number) for site in sites["better"]}
    more = [Point(site.place, site.number) for site in sites[wish] if (site.place, site.number) not in usual]
    for point in more[:: 1 if wish == "mended" else 16]:
        killer.strike_and_go_on(point, wish)


def test_killed_while_a_record_is_written(killer: Killer) -> None:
    """A line of experiments.jsonl is half-written; then a row of results.tsv, twice; then both are there."""
    line, row = "1/fsync.experiments.jsonl", "1/fsync.results.tsv"
    torn = [Point("lab.conclude", at, "torn") for at in (line, row)]
    killer.kill_again_and_again(
        [*torn, Point("lab.check_run", row, "torn", "self"), Point("lab.check_run", row, "after")]
    )


@pytest.mark.first_case
@pytest.mark.parametrize("name", ["experiments.jsonl", "results.tsv"])
def test_the_core_alone_killed_while_a_record_is_written(killer: Killer, name: str) -> None:
    """The loop has a new one, which finishes that."""
    assert killer.strike(Point(CORE, f"1/fsync.{name}", "torn", "self")).status == 0
    killer.forgive()
    killer.check()


@pytest.mark.slow
def test_killed_in_the_baseline_again_and_again(tmp_path: Path) -> None:
    """A little later each time, so that each kill but the first is one of a loop that goes on."""
    killer = Killer(tmp_path)
    killer.set_up()
    killer.arm()
    records = [Point(CORE, f"1/fsync.{name}", "torn") for name in ("experiments.jsonl", "results.tsv")]
    more = [Point("20-commit", 4), Point("30-run", 3)] if LONG else []
    points = [Point("10-propose", 2), *more, Point("runner.py.run.1", 1), *records, Point("80-settle", 4)]
    for point in points:
        killer.strike(point)
    assert len(killer.fired) == len(points)
    killer.loop()
    killer.check()
    assert killer.state().values == ["19.000000", killer.state().values[1]]


@pytest.mark.first_case
@pytest.mark.parametrize("call", ["git cat-file", "sync", "mv", "git update-index"])
def test_killed_while_train_py_of_the_tree_follows(killer: Killer, sites: Sites, call: str) -> None:
    """It is the one or the other, whole, and the next loop finishes that: it is no change of a person's."""
    at = find(sites["better"], "80-settle", call)
    for when in ("before", "after"):
        killer.strike_and_go_on(Point("80-settle", at, when))
        assert "has your changes" not in killer.said(20)


@pytest.mark.slow
@pytest.mark.parametrize("victim", ["self", "parent"])
def test_a_killed_git_that_reads_is_no_answer(killer: Killer, sites: Sites, victim: str) -> None:
    """It has not said that there is nothing: the step is done again, and nothing is put back or taken away."""
    steps = [site for site in sites["better"] if site.place[:1].isdigit() and site.words.startswith("git ")]
    for point in sampled([site for site in steps if not re.match(CHANGES, site.words)]):
        killer.strike_and_go_on(replace(point, victim=victim))
        assert not re.search("has your changes|moved branch|restored|undid|no proposal", killer.said(20)), point


# --- One process alone, in the middle of a training or a proposal ----------------------------------------------------


def kill_one(killer: Killer, pattern: str) -> None:
    """The process under the loop of this tree whose command begins so."""
    pids = killer.pids(pattern)
    assert pids, (pattern, processes.under_loop(killer.tree))
    processes.kill(pids[0])


def ends_and_is_gone_on_with(killer: Killer, failure: str | None = None) -> None:
    """By itself, or by the same command."""
    began = time.monotonic()
    killer.ended(0, 2)
    if killer.process.returncode:
        killer.recover()
    assert time.monotonic() - began < GOES_ON_S
    assert killer.rows() == 3
    assert killer.last()["failure"] == failure
    killer.forgive()
    killer.check()


# What is killed -> what the experiment is then.
TRAINING = {r"\S*python\S* -IS .*/run\.1( |$)": None}
if LONG:
    TRAINING |= {rf"\S*bash \S*/lib/experiment/{script}( |$)": None for script in ("dispatch", "steps/30-run")}
    TRAINING |= {r"uv run --no-sync train.py": "killed"}


@pytest.mark.parametrize("pattern", TRAINING)
def test_one_process_killed_while_the_training_runs(killer: Killer, pattern: str) -> None:
    killer.start_training(WAITING)
    kill_one(killer, pattern)
    killer.heal()
    ends_and_is_gone_on_with(killer, TRAINING[pattern])


def test_the_core_killed_while_the_training_runs(killer: Killer) -> None:
    killer.start_training(WAITING)
    kill_one(killer, r"--serve /")
    killer.heal()
    killer.ended(0)
    assert "the Python helper process of this loop was killed; started a new one" in killer.said(20)
    assert killer.rows() == 3
    killer.forgive()
    killer.check()


@pytest.mark.first_case
@pytest.mark.parametrize(
    "pattern", [r"bash \S+/proposer", r"\S*python\S* -IS .*/call( |$)", r"\S*bash \S*/10-propose"][not LONG :]
)
def test_one_process_killed_while_a_deaf_proposer_works(killer: Killer, pattern: str) -> None:
    """The first time that it is asked it hears no TERM and never ends."""
    killer.proposer(': >~/asked; trap "" TERM; while :; do sleep 1; done')
    killer.start_loop()
    killer.until((killer.home / "asked").exists, "proposal")
    kill_one(killer, pattern)
    ends_and_is_gone_on_with(killer)


def test_a_runner_killed_while_it_starts_its_command(killer: Killer) -> None:
    killer.strike_and_go_on(Point("runner.py.run.1", "1/uv", "before", "parent"))


# --- Locks that a killed git leaves ----------------------------------------------------------------------------------


LOCKS = (
    ".git/index.lock",
    ".git/HEAD.lock",
    ".git/refs/heads/autoresearch/rehearsal.lock",
    ".git/refs/experiments/rehearsal/{commit}.lock",
)


def test_locks_that_were_left(killer: Killer, sites: Sites) -> None:
    struck = killer.strike(Point("20-commit", find(sites["better"], "20-commit", "git update-ref")))
    assert struck.commit
    for lock in LOCKS:
        path = killer.tree / lock.format(commit=struck.commit)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    killer.go_on(struck)
    killer.check()


def test_git_killed_while_it_holds_the_lock_of_the_index_of_a_slot(killer: Killer, sites: Sites) -> None:
    """In a filter that it calls then, for train.py."""
    killer.shim("smudge", "cat", killer.shims / "filters")
    killer.git("config", "filter.slow.smudge", str(killer.shims / "filters/smudge"))
    (killer.tree / ".git/info").mkdir(exist_ok=True)
    (killer.tree / ".git/info/attributes").write_text("train.py filter=slow\n")
    git_dir = f"git.--git-dir={killer.tree}/.git"
    place = re.sub(r"[^A-Za-z0-9.-]", "_", f"git.{git_dir.rsplit('/', 1)[1]}")
    struck = killer.strike(Point(place, "1/smudge", "before"))
    assert list((killer.run / "slots").glob("*.lock.lock")) or (killer.run / "slots/0.index.lock").exists()
    killer.go_on(struck)
    killer.check()


@pytest.mark.slow
def test_a_lock_that_a_person_holds_is_left_alone(killer: Killer) -> None:
    """Their `git commit --all` holds index.lock, though no file of it is open, as long as the editor is."""
    lock = killer.tree / ".git/index.lock"
    killer.process = killer.start("git", *PERSON, "commit", "--all", "--allow-empty", GIT_EDITOR="sleep 60 #")
    killer.until(lock.exists, "lock")
    killer.start_loop()
    killer.process.wait(LIMIT_S)
    assert lock.exists(), killer.said(20)
    assert "train.py in your tree will be updated later, because git's index is locked" in killer.said(20)
    processes.end_strays(killer.folder)
    lock.unlink()
    killer.start_loop()
    killer.ended(0)
    assert "has your changes" not in killer.said(20)
    (killer.tree / ".git/COMMIT_EDITMSG").unlink()
    killer.check()


# --- Power cuts ------------------------------------------------------------------------------------------------------

# Where the power is cut: the place, the call there (a pattern of its words), before or after it.
CUTS = {
    "while a proposal is made": ("10-propose", "head", "before"),
    "before the commit is written down": ("lab.land", "fsync", "before"),
    "after the commit": ("20-commit", "git update-ref", "before"),
    "in the training": ("runner.py.run.1", "uv", "before"),
    "after the decision": ("lab.conclude", "fsync", "before"),
    "in the record": ("lab.conclude", "fsync results.tsv", "before"),
    "after the record": ("lab.conclude", "replace .*summary.new", "after"),
    "when the branch was moved": ("80-settle", "git update-ref", "after"),
    "when train.py has followed": ("80-settle", "mv .*train.py$", "after"),
    "when the flight is over": ("lab.drop", r"replace \S+/f[0-9]+$", "after"),
}


HOWS = ("empty", "half", "lost")
SOME = list(zip(CUTS, HOWS * len(CUTS), strict=False))  # each place in one way
SOME = [SOME[at] for at in (0, 2, 5, 7, 9)]


@pytest.mark.first_case
@pytest.mark.parametrize(("where", "how"), list(product(CUTS, HOWS)) if LONG else SOME)
def test_a_power_cut(killer: Killer, sites: Sites, where: str, how: str) -> None:
    """All ends at once, and what nobody has synced is empty, half there, or as it was before."""
    place, words, when = CUTS[where]
    cut = PowerCut(killer)
    struck = killer.strike(Point(place, find(sites["better"], place, words), when), **cut.settings)
    assert struck.fired
    cut.happens(how)
    killer.go_on(cut.what_is_left_of(struck))
    killer.check()


@pytest.mark.slow
@pytest.mark.parametrize("how", HOWS if LONG else ["half"])
def test_a_power_cut_with_four_in_the_air(killer: Killer, sites: Sites, how: str) -> None:
    rng = random.Random(int(os.environ.get("KILL_SEED", time.time_ns() % 1_000_000)))
    for _ in range(6 if LONG else 2):
        shutil.rmtree(killer.shims / "trace", ignore_errors=True)
        for name in ("safe", "before"):
            shutil.rmtree(killer.shims / name, ignore_errors=True)
        cut = PowerCut(killer)
        killer.slots = 4
        point = replace(drawn_of_four(sites["better"], rng), victim="all", when=rng.choice(["before", "after"]))
        killer.strike(point, **cut.settings)
        cut.happens(how)
        killer.go_on_to_the_end()
        killer.check()


GIT = tuple(int(part) for part in re.findall(r"\d+", subprocess.check_output(["git", "--version"], text=True))[:2])


@pytest.mark.slow
@pytest.mark.skipif(GIT < (2, 36), reason="this git does not say what it syncs")
def test_git_syncs_what_a_row_relies_on(killer: Killer) -> None:
    """Else a power cut leaves a branch at a commit that is not there."""
    cut = PowerCut(killer)
    killer.sites("better", **cut.settings)
    calls = cut.git_calls()
    for command in ("-w", "commit-tree", "update-ref", "update-index"):  # -w of hash-object
        assert {call.has_synced for call in calls if command in call.words} == {True}, command


# --- The checker -----------------------------------------------------------------------------------------------------

LAST = "sed -i '$s/{}/' runs/rehearsal/experiments.jsonl"

# A rule -> what breaks it, in bash.
BREAKS = {
    "ledger_is_valid": "echo x >>runs/rehearsal/results.tsv",
    "lines_are_whole": "printf { >>runs/rehearsal/experiments.jsonl",
    "rows_are_experiments": "sed -i '$d' runs/rehearsal/results.tsv",
    "refs_are_experiments": "git update-ref refs/experiments/rehearsal/another HEAD",
    "branch_is_keeps": "git update-ref refs/heads/autoresearch/rehearsal HEAD~",
    "branch_is_checked_out": "git checkout -q idea",
    "tree_is_clean": "echo >>program.md",
    "repository_is_whole": "rm .git/objects/$(git rev-parse idea^{tree} | sed 's,..,&/,')",
    "memory_is_whole": "cp memory/learnings.md ~; cat ~/learnings.md >>memory/learnings.md",
    "nothing_is_in_flight": "mkdir runs/rehearsal/flights/f99",
    "no_litter_is_left": "touch runs/rehearsal/wanted.new",
    # Until it is what it is to be, it has the environment of its shell.
    "no_process_of_a_loop_is_left": "LAB_TREE=$PWD sleep 60 &>/dev/null & until grep sleep /proc/$!/comm; do :; done",
    "no_process_is_left": "sleep 60 >/dev/null 2>&1 &",
    "keeps_are_made_on_each_other": LAST.format('"parent": "[^"]*/&0'),
    "values_are_measured": LAST.format('"val_bpb": [0-9.]*/"val_bpb": 1.5'),
    "keeps_are_better": LAST.format('"status": "keep"/"status": "discard"'),
    "runs_are_counted": LAST.format('"runs": \\[/&{},'),
    "crashes_are_expected": LAST.format('"failure": null/"failure": "nan"'),
    "descriptions_are_their_own": LAST.format('"description": "[^"]*/&1'),
    "logs_are_kept": "rm runs/rehearsal/logs/*",
    "run_log_is_the_last": "echo >run.log",
    "belongings_are_untouched": "echo x >>'my notes.txt'",
}


@pytest.mark.first_case
@pytest.mark.parametrize("rule", invariants.OF_A_STAGE, ids=lambda rule: rule.__name__)
def test_what_is_broken_is_said(known: tuple[Path, Sites], tmp_path: Path, rule: invariants.Rule) -> None:
    Killer(known[0]).copy(tmp_path)
    stage = Killer(tmp_path)
    assert invariants.broken(stage.state(), [rule]) == []
    stage.call("bash", "-c", BREAKS[rule.__name__])
    assert any(line.startswith(str(rule.__doc__)) for line in invariants.broken(stage.state(), [rule]))
    processes.end_strays(tmp_path)
