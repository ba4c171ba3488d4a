"""A training run can reach nothing but its scratch, where bubblewrap works; what it changes elsewhere is put back."""

import gzip
import os
import socket
import time
from collections.abc import Iterable
from pathlib import Path

import pytest
from house import TRAIN, House, shared
from ways import by_each_way

pytestmark = pytest.mark.xdist_group("confine")  # one run, one worker

# The baseline; the text of $HOME/deed is run as Python once VALUE is less than 1. So nothing is an added line.
DEED = (
    TRAIN
    + """\
import glob, os
if VALUE < 1:
    tree = os.path.expanduser("~/../tree")
    run, flight = f"{tree}/runs/mar14", os.path.dirname(os.environ["LAB_RUN_DIR"])
    copies = glob.glob(f"{run}/toolkit/*") or [f"{run}/toolkit/none"]
    exec(open(os.path.expanduser("~/deed")).read())
"""
)


def deed_house(folder: Path) -> House:
    house = House(folder, DEED)
    (house.tree / "shelf").mkdir()
    (house.tree / "shelf/book").write_text("a book\n")
    (house.tree / ".git/info/exclude").write_text("/shelf/\n")
    (house.tree / ".env").write_text("KEY=secret\n")
    (house.tree / ".env").chmod(0o600)
    for name in ("autoresearch/small/judge/val.bin", "autoresearch/data/shard", "uv/archive"):
        path = house.outside / "home/.cache" / name
        path.parent.mkdir(parents=True)
        path.write_text("x")
    (house.outside / "home/texts").mkdir()
    (house.outside / "home/texts/one.txt").touch()
    (house.outside / "home/deed").touch()  # under Landlock a proposer can make nothing new there
    house.setup()
    return house


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> House:
    return shared(tmp_path_factory, "confined", deed_house)


@pytest.fixture(scope="module")
def run(made: House, tmp_path_factory: pytest.TempPathFactory) -> House:
    """One run for all of these: an experiment each."""
    return made.copy(tmp_path_factory.mktemp("confine"))


@pytest.fixture
def fresh(made: House, tmp_path: Path) -> House:
    """One of its own."""
    return made.copy(tmp_path)


def after(house: House, deed: str, **settings: str) -> dict[str, object]:
    """The record of an experiment, a win by its number, whose training does this."""
    (house.outside / "home/deed").write_text(deed)
    value = 0.99 - 0.005 * len(house.rows())
    assert house.loop(1, house.setting(f"{value:.3f}"), **settings).status == 0
    house.check_invariants()
    return house.experiments()[-1]


def after_each(house: House, deeds: Iterable[str], **settings: str) -> list[dict[str, object]]:
    """The same, of as many experiments as there are deeds."""
    rows, write = len(house.rows()), "cat >~/deed <<'END'\n{}\nEND\n"
    value = "sed -i 's/^VALUE = [^ ]*/VALUE = {:.3f}/' train.py; echo another"
    scripts = [write.format(deed) + value.format(0.99 - 0.005 * n) for n, deed in enumerate(deeds, start=rows)]
    assert house.loop(len(scripts), house.in_turn(*scripts), timeout=200, **settings).status == 0
    house.check_invariants()
    return house.experiments()[-len(scripts) :]


def log(house: House) -> str:
    return (house.tree / "run.log").read_text(errors="replace")


def log_of(house: House, one: dict[str, object]) -> str:
    # Missing shards are taken for a fault of the machine, and the run is repeated.
    *_, path = sorted((house.run_folder / "logs").glob(f"{str(one['commit'])[:7]}-*.log.gz"))
    return gzip.decompress(path.read_bytes()).decode(errors="replace")


# --- Confined -------------------------------------------------------------------------------------------------------

DEEDS = {
    "the ledger": "open(f'{run}/results.tsv', 'a')",
    "the manifest": "open(f'{run}/manifest.json', 'w')",
    "the records": "open(f'{run}/experiments.jsonl')",
    "the memory": "open(f'{tree}/memory/decisions.md', 'a')",  # there since the baseline
    "the flight": "open(f'{flight}/done')",
    "the other slots": "open(f'{run}/slots/0.lock')",
    "git": "open(f'{tree}/.git/HEAD')",
    "keys": "assert open(f'{tree}/.env').read()",
    "the validation text": "open(os.path.expanduser('~/.cache/autoresearch/small/judge/val.bin'))",
    "the corpus of one's own": "open(os.path.expanduser('~/texts/one.txt'))",
    "the shards": "open(os.path.expanduser('~/.cache/autoresearch/data/shard'))",
    "uv's cache": "open(os.path.expanduser('~/.cache/uv/archive'))",
    "the toolkit": "open(f'{tree}/lib/lab/verdict/criterion.py', 'a')",
    "the toolkit of the loop": "open(f'{copies[0]}/bin/loop')",
    "the runner": "open(f'{copies[0]}/lib/child/runner.py', 'a')",
    "a person's train.py": "open(f'{tree}/train.py', 'a')",
    "a person's folder": "open('shelf/book', 'a')",
    "the home": "open(os.path.expanduser('~/x'), 'w')",
    "a link": "os.symlink('/etc/passwd', f'{tree}/schemas/x')",
    "the network": "import socket; socket.create_connection(('127.0.0.1', PORT), 2)",
    "the loop": "os.kill(PID, 9)",
    "a mount": "import subprocess; subprocess.run(['mount', '-o', 'remount,rw,bind', '/'], check=True)",
    "what hides": "import subprocess; subprocess.run(['umount', f'{tree}/runs'], check=True)",
}


@pytest.mark.slow
@by_each_way
def test_confined_it_cannot_reach(run: House, way: str) -> None:
    (run.outside / "home/.cache/autoresearch/small/judge/source").write_text(f"{run.outside}/home/texts\n")
    with socket.create_server(("127.0.0.1", 0)) as server:  # somebody who would answer
        port = str(server.getsockname()[1])
        deeds = [deed.replace("PID", str(os.getpid())).replace("PORT", port) for deed in DEEDS.values()]
        found = after_each(run, deeds, CONFINE=way)
    for what, last in zip(DEEDS, found, strict=True):
        assert (last["status"], last["failure"]) == ("crash", "error"), (what, log_of(run, last))
        assert "Error" in log_of(run, last), what


@pytest.mark.slow
@by_each_way
def test_confined_it_writes_in_its_checkout_where_the_next_one_finds_nothing_of_it(run: House, way: str) -> None:
    deed = (
        "assert not os.path.exists('torch.py'); open('torch.py', 'w').write('x = 1')\nprint(open('shelf/book').read())"
    )
    for last in after_each(run, [deed, deed], CONFINE=way):
        assert last["status"] == "keep"
        assert "a book" in log_of(run, last), "what LINKS names can be read"


SHARED = """\
import ctypes
name, libc = "/dev/shm/autoresearch-test", ctypes.CDLL(None)
assert not os.path.exists(name)
open(name, "w").write("x")
assert libc.shmget(4711, 9, 0) == -1
libc.shmget(4711, 9, 0o1666)
"""


@pytest.mark.slow
@by_each_way
def test_confined_it_leaves_nothing_in_memory(run: House, way: str) -> None:
    assert [one["status"] for one in after_each(run, [SHARED, SHARED], CONFINE=way)] == ["keep", "keep"]


@pytest.mark.first_case
@by_each_way
@pytest.mark.parametrize("name", ["prepare.py", "train.py", "pyproject.toml"])
def test_confined_it_cannot_change_what_measures_or_is_measured(run: House, way: str, name: str) -> None:
    last = after(run, f"open('{name}', 'a').write('# x')", CONFINE=way)
    assert (last["status"], last["failure"]) == ("crash", "rejected")
    assert f"{name} changed while it was trained" in str(last["reason"])


@by_each_way
def test_confined_it_has_a_scratch_of_its_own(run: House, way: str) -> None:
    deed = "import tempfile\nwith tempfile.NamedTemporaryFile('w') as f: print(f.write('x'), f.name)"
    last = after(run, deed, CONFINE=way)
    assert last["status"] == "keep"
    assert "/run.1/scratch/" in log(run)


@by_each_way
def test_confined_a_child_that_has_left_its_parents_ends_with_it(run: House, way: str) -> None:
    deed = "import subprocess\nsubprocess.Popen(['setsid', 'sleep', '4711'])\nos.environ.clear()"
    assert after(run, deed, CONFINE=way)["status"] == "keep"
    deadline = time.monotonic() + 5
    while "sleep\x00004711" in commands() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert "sleep\x004711" not in commands()


def commands() -> str:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(path.read_text())
        except OSError:
            continue
    return "\n".join(found)


@by_each_way
def test_confined_the_exit_status_is_its_own(run: House, way: str) -> None:
    ends = {"os._exit(3)": "error", "os.kill(os.getpid(), 9)": "killed"}
    assert [one["failure"] for one in after_each(run, ends, CONFINE=way)] == list(ends.values())


@by_each_way
def test_confined_it_is_killed_at_its_limit(run: House, way: str) -> None:
    last = after(run, "import time\ntime.sleep(60)", CONFINE=way, RUN_TIMEOUT="2")
    assert (last["status"], last["failure"]) == ("crash", "timeout")


@by_each_way
def test_it_is_said(run: House, way: str) -> None:
    assert f"s a run, confined by {way}; stop it: make stop" in run.loop(1, run.setting("1.1"), CONFINE=way).err


def test_what_is_taken_on_trust_is_said(fresh: House) -> None:
    told = fresh.loop(1, fresh.setting("1.1")).err
    assert (
        told.count("no separate process measured the baseline: this run trusts the numbers that the code prints") == 1
    )
    assert "s a run; stop it: make stop" in told


def test_a_strangers_script_writes_where_it_likes(run: House) -> None:
    assert after(run, "open(os.path.expanduser('~/notes'), 'w').write('x')")["status"] == "keep"
    assert (run.outside / "home/notes").read_text() == "x"


def test_confinement_that_is_wanted_and_does_not_work_is_said(fresh: House) -> None:
    result = fresh.loop(1, fresh.setting("0.9"), CONFINE="bubblewrap", PATH=path_without_bubblewrap(fresh))
    assert result.status == 2
    assert result.err.splitlines()[-2:] == [
        "loop: CONFINE is 'bubblewrap', but that does not work here",
        "hint: see why: make doctor",
    ]
    assert fresh.rows() == []


def path_without_bubblewrap(house: House) -> str:
    """All programs but one."""
    folder = house.outside / "programs"
    folder.mkdir()
    for path in house.environment["PATH"].split(":"):
        for program in Path(path).glob("*"):
            if program.name != "bwrap" and not (folder / program.name).exists():
                (folder / program.name).symlink_to(program)
    return str(folder)


# --- Not confined: what it has changed is put back, and the experiment is rejected ----------------------------------

STEP = "lib/experiment/steps/55-mine"
CHANGES = {
    "results.tsv": "open(f'{run}/results.tsv', 'a').write('aaaaaaa\\t0.100000\\t1.0\\tkeep\\tmine\\n')",
    "experiments.jsonl": "open(f'{run}/experiments.jsonl', 'w')",
    "manifest.json": "os.remove(f'{run}/manifest.json')",
    "incumbent": "open(f'{run}/incumbent', 'w').write('0' * 40)",
    "/before/train.py": "open(f'{flight}/before/train.py', 'a').write('# more\\n' * 99)",
    "/verdict": "open(f'{flight}/verdict', 'w').write('keep')",
    "/rejected": "open(f'{flight}/rejected', 'w')",
    "/tip": "os.remove(f'{flight}/tip')",
    "prepare.py": "open('prepare.py', 'a').write('x = 1')",
    "train.py": "open('train.py', 'a').write('x = 1')",
    "pyproject.toml": "os.remove('pyproject.toml')",
    "shelf/book": "open('shelf/book', 'a').write('another page')",
    "shelf/more": "open('shelf/more', 'w').write('another book')",
    "lib/lab/verdict/criterion.py": "open(f'{copies[0]}/lib/lab/verdict/criterion.py', 'a').write('# x')",
    STEP: f"open(f'{{copies[0]}}/{STEP}', 'w').write('#!/bin/sh\\n')",
    "schemas/row.schema.json": "name = f'{copies[0]}/schemas/row.schema.json'; os.remove(name); "
    "os.symlink('/etc/hosts', name)",
}


@pytest.mark.slow
def test_what_it_changes_is_put_back(run: House) -> None:
    found = after_each(run, CHANGES.values())
    for name, last, row in zip(CHANGES, found, run.rows()[-len(found) :], strict=True):
        assert (last["status"], last["failure"]) == ("crash", "rejected"), name
        assert f"{name} changed while it was trained" in str(last["reason"])
        assert name in row[4], "the row says which file"
        assert row[3] == "crash"
    assert not list(run.run_folder.glob(f"toolkit/*/{STEP}"))
    asides = [path.read_text() for path in (run.run_folder / "aside").glob("*/results.tsv")]
    assert [path.read_text() for path in (run.run_folder / "aside").glob(f"*/{Path(STEP).name}")] == ["#!/bin/sh\n"]
    assert [text for text in asides if text.endswith("aaaaaaa\t0.100000\t1.0\tkeep\tmine\n")], "it is kept aside"


def test_records_whose_copies_were_changed_too_are_put_back_from_memory(fresh: House) -> None:
    (fresh.outside / "home/deed").write_text(
        "for name in ('results.tsv', 'kept/results.tsv'): open(f'{run}/{name}', 'a').write('x')"
    )
    assert fresh.loop(1, fresh.setting("0.9")).status == 0
    last = fresh.experiments()[-1]
    assert (last["status"], last["failure"]) == ("crash", "rejected")
    assert "results.tsv changed while it was trained" in str(last["reason"])
    fresh.check_invariants()
