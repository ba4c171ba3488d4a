"""A proposer is held as a training run is: what it does beside its copy of the tree neither stays nor ends a night."""

from pathlib import Path

import pytest
from house import TRAIN, House, shared
from ways import by_each_way

BEGIN = """\
cd {tree} && T=$PWD R=$PWD/runs/mar14 H={home} && cd - >/dev/null
F=$(find $R/flights -path '*/before/train.py' 2>/dev/null | head -n 1)
F=${F%/before/*}
F=${F:-/nowhere}
"""
IDEA = "sed -i \"s/^VALUE = .*/VALUE = 1.$RANDOM/\" train.py; echo 'an idea'\n"
EVIL = "git -C $T commit-tree $(git -C $T write-tree) -p HEAD -m evil"

# An act, and what it is called where nothing holds the proposer: it is put back then, told, and the proposal rejected.
# A `-`: not tried there.
ACTS = {
    "the ledger": ("echo mine >>$R/results.tsv", "results.tsv"),
    "the experiments": ("echo '{}' >>$R/experiments.jsonl", "experiments.jsonl"),
    "both copies of a record": ("for f in $R{,/kept}/experiments.jsonl; do echo '{}' >>$f; done", "experiments.jsonl"),
    "the manifest": ("echo '{}' >$R/manifest.json", "manifest.json"),
    "the incumbent": ("echo 0123 >$R/incumbent", "incumbent"),
    "what is compared": ("echo '# more' >>$F/before/train.py", "before/train.py"),
    "a verdict": ("echo keep >$F/verdict", "verdict"),
    "the finished steps": ("printf 'attempt 1\\n10-propose\\n40-judge\\n70-record-failure\\n' >$F/done", "done"),
    "the refs of experiments": (
        "git -C $T update-ref -d $(git -C $T for-each-ref --format='%(refname)' refs/experiments/mar14 | head -n 1)",
        "refs/experiments/mar14/",
    ),
    "the chain of records": (
        "git -C $T update-ref refs/experiments/_records/mar14 HEAD",
        "refs/experiments/_records/mar14",
    ),
    "a hook": (
        "mkdir -p $T/.git/hooks && echo 'touch ~/ran' >$T/.git/hooks/reference-transaction",
        "reference-transaction",
    ),
    "git's configuration": ("git -C $T config filter.x.clean 'touch $H/ran; cat'", ".git/config"),
    "git's attributes": (
        "mkdir -p $T/.git/info && echo 'train.py filter=x' >$T/.git/info/attributes",
        "info/attributes",
    ),
    "a step": ("echo 'touch ~/ran' >$(echo $R/toolkit/*)/lib/experiment/steps/45-mine", "steps/45-mine"),
    "bytecode of the core": (
        "c=$(echo $R/toolkit/*/lib/lab/proposal/)__pycache__; mkdir -p $c && echo x >$c/rules.cpython-39.pyc",
        "rules.cpython-39.pyc",
    ),
    "what starts the loop again": ("sed -i '1a ON_KEEP=touch ~/ran' $R/wanted", "wanted"),
    "the branch": (f"git -C $T update-ref refs/heads/autoresearch/mar14 $({EVIL})", "-"),
    "an object": ("rm -f $T/.git/objects/??/*", "-"),
    "a stop": ("touch $R/stop || rm $R/wanted", "-"),
    "the environment": ("touch {venv}/x", "-"),
    "what PATH has": ("touch {path}/git-x", "-"),
    "keys": ("cat $T/.env", "-"),
    "validation text": ("cat $H/.cache/autoresearch/small/judge/val.bin", "-"),
    "data": ("echo x >$H/.cache/autoresearch/small/train.bin", "-"),
    "the memory": ("echo x >>$T/memory/decisions.md", "-"),
    "a person's file": ("echo x >>$T/README.md", "-"),
    "the folder above": ("mv $(dirname $H) $(dirname $H)-gone", "-"),
    "the loop": ("kill -9 $LAB_HOLDER", "-"),
    "the sandbox": ("mount -o remount,rw,bind / || umount $T/runs", "-"),
}


def held_house(folder: Path) -> House:
    house = House(folder, TRAIN)
    (house.tree / ".env").write_text("KEY=secret\n")
    (house.tree / ".env").chmod(0o600)
    for name in ("judge/val.bin", "train.bin"):
        path = house.outside / "home/.cache/autoresearch/small" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    house.setup()
    house.baseline()
    return house


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> House:
    return shared(tmp_path_factory, "held", held_house)


@pytest.fixture
def run(made: House, tmp_path: Path) -> House:
    return made.copy(tmp_path)


def script(house: House, act: str) -> str:
    act = act.replace("{venv}", str(house.environment["UV_PROJECT_ENVIRONMENT"]))
    act = act.replace("{path}", house.environment["PATH"].split(":")[0])
    return f"{begin(house)}if ({act}) >/dev/null 2>&1; then echo done; else echo held; fi >>$H/acts\n{IDEA}"


def begin(house: House) -> str:
    """By their paths: under Landlock its HOME is another."""
    return BEGIN.replace("{tree}", str(house.tree)).replace("{home}", str(house.outside / "home"))


def log(house: House) -> str:
    return (house.run_folder / "loop.log").read_text()


@pytest.mark.slow
@by_each_way
def test_held_it_reaches_nothing_that_experiments_rest_on(run: House, way: str) -> None:
    before = run.git("for-each-ref", "refs/heads")
    (run.outside / "home/acts").touch()
    agent = run.in_turn(*(script(run, act) for act, _ in ACTS.values()))
    assert run.loop(len(ACTS), agent, CONFINE=way, timeout=200).status == 0
    acts = (run.outside / "home/acts").read_text().split()
    assert dict(zip(ACTS, acts, strict=True)) == dict.fromkeys(ACTS, "held")
    assert run.statuses() == ["keep", *["discard"] * len(ACTS)], "what it could not do is no fault of the proposal"
    assert run.git("for-each-ref", "refs/heads") == before
    assert "has touched" not in log(run)
    run.check_invariants()


@pytest.mark.slow
@by_each_way
def test_held_it_writes_elsewhere_and_gives_nothing_back_but_plain_files(run: House, way: str) -> None:
    """Its home is its own; but a configuration of git which was not there goes, and by bubblewrap that is told."""
    (run.outside / "home/.gitconfig").unlink(missing_ok=True)
    (run.outside / "home/notes").touch()
    acts = [
        "echo mine >~/notes; ln -s ~/notes $LAB_TRANSCRIPT; ln -s ~/notes $LAB_USAGE",
        "git config --global filter.x.clean 'touch ~/ran; cat'; echo 'train.py filter=x' >.gitattributes",
        "rm -f $LAB_TRANSCRIPT; mkfifo $LAB_TRANSCRIPT",
        "head -c 70000000 /dev/zero >$LAB_TRANSCRIPT; yes | head -c 3000000; echo; ",
    ]
    agent = run.in_turn(*(f"{act}\n{IDEA}" for act in acts))
    assert run.loop(len(acts), agent, CONFINE=way).status == 0
    assert (run.outside / "home/notes").read_text() == "mine\n"
    assert run.statuses() == ["keep", *["discard"] * 4]
    assert (", a git configuration that the proposer created, to '" in log(run)) == (way == "bubblewrap")
    assert not (run.outside / "home/.gitconfig").exists()
    assert not (run.outside / "home/ran").exists()
    kept = sorted((run.run_folder / "logs").glob("*.agent.gz"))
    assert len(kept) == 1, "the long one alone: no link, no pipe"
    assert kept[0].stat().st_size < 1_000_000
    run.check_invariants()


@pytest.mark.slow
def test_not_held_what_it_touches_is_put_back_told_and_rejected(run: House) -> None:
    acts = {name: both for name, both in ACTS.items() if both[1] != "-"}
    refs = run.git("for-each-ref", "refs/experiments")
    agent = run.in_turn(*(script(run, act) for act, _ in acts.values()))
    result = run.loop(len(acts), agent, CONFINE="no", timeout=200)
    assert result.status == 0
    done = (run.outside / "home/acts").read_text().split()
    assert dict(zip(acts, done, strict=True)) == dict.fromkeys(acts, "done")
    for name, one in zip(acts, run.experiments()[1:], strict=True):
        assert (one["status"], one["failure"]) == ("crash", "rejected"), (name, one)
    told = [line for line in log(run).splitlines() if "undid the proposer's changes outside of its copy" in line]
    assert len(told) == len(acts)
    for (name, (_, called)), line in zip(acts.items(), told, strict=True):
        assert called in line, name
    assert {line for line in refs.splitlines() if "/_records/" not in line} <= set(
        run.git("for-each-ref", "refs/experiments").splitlines()
    )
    assert not (run.outside / "home/ran").exists()
    assert not list(run.run_folder.glob("toolkit/*/lib/experiment/steps/45-mine"))
    run.check_invariants()


@pytest.mark.slow
def test_not_held_what_would_end_the_night_does_not(run: House) -> None:
    """A moved branch, with another prepare.py; git's objects; a lock of git's; the core of the loop."""
    before = run.git("rev-parse", "autoresearch/mar14")
    evil = (
        "cd $T; export GIT_INDEX_FILE=$TMPDIR/index; git read-tree HEAD; b=$(echo evil | git hash-object -w --stdin)\n"
        "git update-index --cacheinfo 100644,$b,prepare.py; c=$(git commit-tree $(git write-tree) -p HEAD -m evil)\n"
        "git update-ref refs/heads/autoresearch/mar14 $c"
    )
    acts = [
        evil,
        "rm -f $T/.git/objects/??/*",
        "touch $T/.git/packed-refs.lock $T/.git/refs/heads/autoresearch/mar14.lock",
        "pkill -KILL -f lab.step_server -P $LAB_HOLDER",
        "chmod 000 $T/.git/objects $R/experiments.jsonl $R",
    ]
    agent = run.in_turn(*(f"{begin(run)}({act}) >&2\n{IDEA}" for act in acts), IDEA)
    result = run.loop(len(acts) + 1, agent, CONFINE="no", LAB_MINUTE="1", timeout=200)
    assert result.status == 0
    assert len(run.rows()) == len(acts) + 2
    assert run.git("rev-parse", "autoresearch/mar14") == before
    assert "moved branch 'autoresearch/mar14' from" in log(run)
    assert "restored deleted git objects of the incumbent" in log(run)
    assert "the Python helper process of this loop was killed; started a new one" in log(run)
    locked = (run.run_folder, run.run_folder / "experiments.jsonl", run.tree / ".git/objects")
    assert all(path.stat().st_mode & 0o400 for path in locked), "root could read them all the same"
    assert "rejected: changed runs/mar14/experiments.jsonl, runs/mar14, " in log(run)
    assert run.once(run.setting("0.9")).status == 0, "and all of it goes on with the next verb"
    assert run.statuses()[-1] == "keep"
