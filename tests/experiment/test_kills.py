"""The kill matrix: kill -9 of everything, or of anything, anywhere; then the same command again goes on by itself.

Each kill is printed (`place:number:when:victim:delay`), and so is the seed of the random part: KILL_SEED repeats it.
`make test-long` kills at every command, in many ways.
"""

import os
import pickle
import random
import re
import signal
import subprocess
import time
from itertools import product
from pathlib import Path

import pytest
from filelock import FileLock
from house import SLOW, House
from kills import LONG, Killer, Point, PowerCut, Site, delay_for, find, tagged

CHUNKS = range(12)
SEEDS = range(40 if LONG else 1)
POINTS = 8  # of a seed
# Calls that change nothing leave what the last one that did has left.
CHANGES = (
    r"(gzip|ln|mkdir|mv|rm|sync|fsync|replace)\b|cp (?!-p)"
    r"|git (commit-tree|mktree|hash-object|update-ref|checkout|--git-dir\S+ .*read-tree)"
)
CORE = "lab-step.conclude"
Sites = dict[str, list[Site]]

TRAIN = SLOW.replace("VALUE = 1.0", "VALUE = 15.0")  # there is room to halve it


@pytest.fixture(scope="session")
def known(tmp_path_factory: pytest.TempPathFactory) -> tuple[House, Sites]:
    """A run with its baseline, to be copied, and all calls of a loop, by the wish; made once for all workers."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    made = folder / "kills.pickle"
    with FileLock(folder / "kills.lock"):
        if not made.exists():
            (folder / "settled").mkdir()
            settled = House(folder / "settled", TRAIN)
            settled.setup()
            assert settled.once("/bin/false").status == 1
            killer = Killer(settled.copy(folder / "watched"))
            sites = {wish: killer.sites(wish) for wish in ("better", "half", "mended")}
            made.write_bytes(pickle.dumps((settled, sites)))
        found: tuple[House, Sites] = pickle.loads(made.read_bytes())
        return found


@pytest.fixture
def sites(known: tuple[House, Sites]) -> Sites:
    return known[1]


@pytest.fixture
def killer(known: tuple[House, Sites], tmp_path: Path) -> Killer:
    return Killer(known[0].copy(tmp_path))


# --- At any command --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("chunk", CHUNKS)
def test_all_killed_at_once_before_any_command(killer: Killer, sites: Sites, chunk: int) -> None:
    """That changes something, in one experiment that is kept: each time a little later."""
    points = [
        Point(site.place, site.number)
        for site in sites["better"]
        if site.place not in ("loop", "dispatch", CORE) and re.match(CHANGES, site.words)
    ]
    killer.kill_again_and_again(points[chunk :: len(CHUNKS)])
    killer.report()


def test_all_killed_at_once_while_the_core_concludes(killer: Killer, sites: Sites) -> None:
    """Before each write of it, or some of them: one that goes on need not write again what is written."""
    points = [Point(CORE, site.number) for site in sites["better"] if site.place == CORE]
    for point in points[:: 1 if LONG else 3]:
        killer.kill(point)
    killer.report()


def test_all_killed_between_the_end_of_any_step_and_its_mark(killer: Killer, sites: Sites) -> None:
    """So that each step is done twice: after the last call that it makes, or that is made for it."""
    ends = "10-propose", "20-commit", "30-run", "lab-step.conclude", "80-settle"
    last = {site.place: site.number for site in sites["better"] if site.words != "end"}  # of the core: that of the loop
    killer.kill_again_and_again([Point(place, last[place], "after") for place in ends])
    killer.report()


@pytest.mark.parametrize("chunk", range(3))
def test_all_killed_around_an_experiment(killer: Killer, sites: Sites, chunk: int) -> None:
    """While a loop looks around, and while it makes a flight or drops it."""
    found = [site for site in sites["better"] if site.place in ("loop", "dispatch") and re.match(CHANGES, site.words)]
    points = [Point(site.place, site.number) for site in found if "flight/done" not in site.words]
    for point in points[chunk::3]:
        killer.kill(point)
    killer.report()


@pytest.mark.long
@pytest.mark.parametrize("chunk", range(60))
def test_killed_at_any_command_and_gone_on_with(killer: Killer, sites: Sites, chunk: int) -> None:
    for site in sites["better"][chunk::60]:
        for way in (("before", "all"), ("after", "all"), ("before", "loop"), ("after", "parent")):
            killer.kill(Point(site.place, site.number, *way))
    killer.report()


def drawn(sites: list[Site], rng: random.Random, number: int) -> list[Point]:
    """Points with other victims: the loop alone, a script, the command itself; but none that the proposer calls."""
    found = []
    for site in rng.choices([site for site in sites if site.place != "proposer"], k=number):
        when = rng.choice(["before", "inside", "inside", "after"])
        victim = rng.choice(["all", "loop", "parent", "self"])
        found.append(Point(site.place, site.number, when, victim, delay_for(site.words, rng)))
    return found


@pytest.mark.parametrize("seed", SEEDS)
def test_one_or_all_killed_before_inside_or_after_a_command(killer: Killer, sites: Sites, seed: int) -> None:
    """In experiments that are kept or discarded."""
    rng = random.Random(seed)
    for point in drawn(sites["better"], rng, POINTS):
        killer.kill(point, rng.choice(["better", "worse"]))
    killer.report(at_least=POINTS / 2)


def test_killed_at_random_and_killed_again_while_it_recovers(killer: Killer, sites: Sites) -> None:
    seed = int(os.environ.get("KILL_SEED", time.time_ns() % 1_000_000))
    print(f"KILL_SEED={seed}")
    points = drawn(sites["better"], random.Random(seed), 100 if LONG else POINTS)
    for first, second in zip(points[::2], points[1::2], strict=True):
        struck, again = killer.strike(first), killer.strike(second)
        if again.status != 0:
            killer.go_on(again, exact=False)
        killer.check(may_fail=not {first.victim, second.victim} <= {"all", "loop"})
        ours = [one["commit"] for one in killer.house.experiments()]
        assert struck.commit is None or ours.count(struck.commit) == 1, "what was committed first is not lost"
    killer.report()


@pytest.mark.parametrize("wish", ["half", "mended"])
def test_killed_in_an_experiment_that_a_step_sends_back(killer: Killer, sites: Sites, wish: str) -> None:
    """It is measured twice, or mended: at the commands that there are only then."""
    usual = {(site.place, site.number) for site in sites["better"]}
    more = [Point(site.place, site.number) for site in sites[wish] if (site.place, site.number) not in usual]
    for point in more[:: 1 if LONG and wish == "mended" else len(more) // 3]:
        killer.kill(point, wish)
    killer.report()


def test_killed_while_a_record_is_written(killer: Killer) -> None:
    """A line of experiments.jsonl is half-written, twice; then a row of results.tsv, twice; then both are there."""
    line, row = "1/fsync.experiments.jsonl", "1/fsync.results.tsv"
    torn = [Point("lab-step.conclude", at, "torn", victim) for at in (line, row) for victim in ("all", "self")]
    killer.kill_again_and_again([*torn, Point("lab-step.conclude", row, "after")])
    killer.report()


# What writes train.py in the tree: the place, and a pattern of the words.
WRITES = {"cp": ("30-run", r"(cp|mv) .*train.py$"), "git checkout": ("80-settle", "git checkout")}


def test_killed_in_the_baseline_again_and_again(tmp_path: Path, sites: Sites) -> None:
    """A little later each time, so that each kill but the first is one of a loop that goes on."""
    house = House(tmp_path, TRAIN)
    house.setup()
    killer = Killer(house)
    places = ("10-propose", 2), ("20-commit", 4), ("30-run", 3), ("runner.py.run.1", 1), ("lab-step.conclude", 1)
    records = [Point("lab-step.conclude", f"1/fsync.{name}", "torn") for name in ("experiments.jsonl", "results.tsv")]
    for point in [*(Point(*place) for place in places), *records, Point("80-settle", 2), Point("80-settle", 4)]:
        killer.strike(point)
    assert len(killer.fired) == 9
    assert house.loop(1, killer.agent).status == 0
    killer.check()
    assert house.rows()[0][1:] == ["15.000000", "44.0", "keep", "baseline"]
    killer.report()


@pytest.mark.parametrize(
    ("command", "how"),
    list(product(WRITES, ["half", "empty", "gone"])) if LONG else [("cp", "half"), ("git checkout", "gone")],
)
def test_killed_while_train_py_is_written(killer: Killer, sites: Sites, command: str, how: str) -> None:
    """By whichever command writes it: the torn file is ours, not a person's."""
    place, pattern = WRITES[command]
    struck = killer.strike(Point(place, find(sites["better"], place, pattern)))
    killer.tear(how)
    killer.go_on(struck)
    killer.check()


# --- One process alone, in the middle of a training or a proposal ----------------------------------------------------

# What is killed -> whether the training was, so that its experiment is a crash.
HELPERS = {
    r".*python\S* -IS .*/run\.1 ?": False,
    r".*python\S* train.py": True,
}
if LONG:
    HELPERS |= {rf".*bash .*/lib/{script} ?": False for script in ("dispatch", "steps/30-run")}
    HELPERS |= {r".*uv run --no-sync train.py": True}


def kill_one(killer: Killer, pattern: str) -> None:
    """The process under the loop of this tree whose command is this."""
    found = [
        pid
        for pid, command in tagged(killer.house.tree)
        if re.fullmatch(pattern, command) or re.match(pattern, command)
    ]
    assert found, (pattern, tagged(killer.house.tree))
    os.kill(found[0], signal.SIGKILL)


@pytest.mark.parametrize("pattern", HELPERS)
def test_one_process_killed_while_the_training_runs(killer: Killer, pattern: str) -> None:
    killer.house.seconds.write_text("30")
    with killer.house.running("bin/loop", MAX_EXPERIMENTS="1", AGENT=str(killer.agent)) as process:
        killer.house.wait_for("runs/mar14/flight/run.1/pid")
        time.sleep(1)
        killer.house.seconds.write_text("0")
        began = time.monotonic()
        kill_one(killer, pattern)
        status = process.wait(20)
    if status != 0:
        assert killer.house.loop(1, killer.agent).status == 0
    assert time.monotonic() - began < 10
    assert len(killer.house.rows()) == 2
    assert killer.house.experiments()[1]["failure"] == ("killed" if HELPERS[pattern] else None)
    killer.check(may_fail=True)


def test_the_core_killed_while_the_training_runs(killer: Killer) -> None:
    killer.house.seconds.write_text("2")
    with killer.house.running("bin/loop", MAX_EXPERIMENTS="1", AGENT=str(killer.agent)) as process:
        killer.house.wait_for("runs/mar14/flight/run.1/pid")
        kill_one(killer, r".*lab-step --serve ")
        assert process.wait(20) == 2
    assert "30-run: the Python core of this loop has ended\nhint: start the loop again" in killer.said()
    killer.house.seconds.write_text("0")
    assert killer.house.loop(1, killer.agent).status == 0
    assert killer.house.statuses() == ["keep", "keep"]
    killer.check()


@pytest.mark.parametrize(
    "pattern", [r"bash \S+/proposer", r".*python\S* -IS .*/call ?", r".*bash .*/10-propose"][not LONG :]
)
def test_one_process_killed_while_a_deaf_proposer_works(killer: Killer, pattern: str) -> None:
    """The first time that it is asked it hears no TERM and never ends."""
    once = 'if [[ ! -e ~/asked ]]; then\n  : >~/asked\n  trap "" TERM\n  while :; do sleep 1; done\nfi\n'
    agent = killer.house.proposer(once + killer.agent.read_text())
    with killer.house.running("bin/loop", MAX_EXPERIMENTS="1", AGENT=str(agent)) as process:
        killer.house.wait_for("../home/asked")
        began = time.monotonic()
        kill_one(killer, pattern)
        status = process.wait(20)
    if status != 0:
        assert killer.house.loop(1, agent).status == 0
    assert time.monotonic() - began < 10
    assert killer.house.statuses() == ["keep", "keep"]
    killer.check()


def test_a_runner_killed_while_it_starts_its_command(killer: Killer) -> None:
    killer.kill(Point("runner.py.run.1", "1/uv", "before", "parent"))
    killer.report()


# --- Locks that a killed git leaves ----------------------------------------------------------------------------------


LOCKS = (
    ".git/index.lock",
    ".git/HEAD.lock",
    ".git/refs/heads/autoresearch/mar14.lock",
    ".git/refs/experiments/mar14/{commit}.lock",
)


def test_locks_that_were_left(killer: Killer, sites: Sites) -> None:
    struck = killer.strike(Point("20-commit", find(sites["better"], "20-commit", "git update-ref")))
    assert struck.commit
    for lock in LOCKS:
        path = killer.house.tree / lock.format(commit=struck.commit)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    killer.go_on(struck)
    killer.check()


@pytest.mark.parametrize("number", [1, 2])
def test_git_killed_while_it_holds_the_lock_of_a_ref(killer: Killer, number: int) -> None:
    """In the hook that git calls then: of the ref of the experiment, and of the branch."""
    killer.shim("reference-transaction", "true", killer.house.tree / ".git/hooks")
    prepared = [site.number for site in killer.sites("better") if site.words == "reference-transaction prepared"]
    struck = killer.strike(Point("git.update-ref", prepared[number - 1]))
    assert list((killer.house.tree / ".git/refs").rglob("*.lock")) != []
    killer.go_on(struck)
    killer.check()


def test_git_killed_while_it_holds_the_lock_of_the_index(killer: Killer) -> None:
    """In a filter that it calls then, in the checkout of train.py."""
    killer.shim("smudge", "cat", killer.folder / "filters")
    killer.house.git("config", "filter.slow.smudge", str(killer.folder / "filters/smudge"))
    (killer.house.tree / ".git/info").mkdir(exist_ok=True)
    (killer.house.tree / ".git/info/attributes").write_text("train.py filter=slow\n")
    struck = killer.strike(Point("git.checkout", 1))
    assert (killer.house.tree / ".git/index.lock").exists()
    killer.go_on(struck)
    killer.check()


def test_a_lock_that_a_person_holds_is_left_alone(killer: Killer) -> None:
    """Their `git commit --all` holds index.lock, though no file of it is open, as long as the editor is."""
    lock = killer.house.tree / ".git/index.lock"
    editor = {"GIT_EDITOR": "sleep 60 #"}
    person = ("-c", "user.name=person", "-c", "user.email=person@localhost")
    with killer.house.running("git", *person, "commit", "--all", "--allow-empty", **editor):
        killer.house.wait_for(".git/index.lock")
        killer.house.loop(1, killer.agent)
        assert lock.exists()
    lock.unlink(missing_ok=True)
    assert killer.house.loop(1, killer.agent).status == 0
    (killer.house.tree / ".git/COMMIT_EDITMSG").unlink()
    killer.check()


# --- Power cuts ------------------------------------------------------------------------------------------------------

# Where the power is cut: the place, the call there (a pattern of its words), before or after it.
CUTS = {
    "while a proposal is made": ("10-propose", "head", "before"),
    "before the commit is written down": ("lab-step.land", "fsync", "before"),
    "after the commit": ("20-commit", "git update-ref", "before"),
    "in the training": ("runner.py.run.1", "uv", "before"),
    "after the decision": ("lab-step.conclude", "fsync", "before"),
    "in the record": ("lab-step.conclude", "fsync results.tsv", "before"),
    "after the record": ("lab-step.conclude", "replace .*summary.new", "after"),
    "when the branch was moved": ("80-settle", "git update-ref", "after"),
    "when train.py was restored": ("80-settle", "git checkout", "after"),
    "when the flight is over": ("lab-step.drop", r"replace \S+/flight$", "after"),
}


HOWS = ("empty", "half", "lost")


@pytest.mark.parametrize(
    ("where", "how"), list(product(CUTS, HOWS)) if LONG else [(where, HOWS[at % 3]) for at, where in enumerate(CUTS)]
)
def test_a_power_cut(killer: Killer, sites: Sites, where: str, how: str) -> None:
    """All ends at once, and what nobody has synced is empty, half there, or as it was before."""
    place, words, when = CUTS[where]
    cut = PowerCut(killer)
    struck = killer.strike(Point(place, find(sites["better"], place, words), when), **cut.settings)
    assert struck.fired
    cut.happens(how)
    killer.go_on(cut.what_is_left_of(struck))
    killer.check()


GIT = tuple(int(part) for part in re.findall(r"\d+", subprocess.check_output(["git", "--version"], text=True))[:2])


@pytest.mark.skipif(GIT < (2, 36), reason="this git does not say what it syncs")
def test_git_syncs_what_a_row_relies_on(killer: Killer) -> None:
    """Else a power cut leaves a branch at a commit that is not there."""
    cut = PowerCut(killer)
    killer.sites("better", **cut.settings)
    calls = cut.git_calls()
    for command in ("hash-object", "commit-tree", "update-ref"):
        assert {call.has_synced for call in calls if command in call.words} == {True}, command
