"""The faults of a rehearsal: a function each, whose docstring says what happens: what must hold.

It says how the fault was survived, or why it is skipped; raises Broken where something does not hold. All draws are
made by `stage.random`. What must hold after any of them is looked at by whoever calls it (invariants).
"""

import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from rehearsal import invariants, processes
from rehearsal.stage import DEAF, LIMIT_S, ROOT, TAG, WAITING, Broken, Stage, halve

AS_EVER = "a row as any other"


def checkpoint(stage: Stage) -> str:
    """The training leaves a checkpoint in its folder: the next one does not find it."""
    stage.trainer('left = Path("left")\nif left.exists(): raise SystemExit("found")\nleft.touch()')
    stage.loop(MAX_EXPERIMENTS="2")
    return "rows as any other"


def closed_terminal(stage: Stage) -> str:
    """HUP to the whole group at a random moment, as of a terminal that is closed: it ends nothing."""
    stage.start_loop()
    stage.until(lambda: _ignores_hup(stage.process.pid), "trap")
    stage.moment()
    processes.kill(-stage.process.pid, signal.SIGHUP)
    stage.ended_well()
    return AS_EVER


def _ignores_hup(pid: int) -> bool:
    found = re.search(r"SigIgn:\t(\w+)", Path(f"/proc/{pid}/status").read_text())
    return found is not None and bool(int(found[1], 16) & 1 << (signal.SIGHUP - 1))


def crash(stage: Stage) -> str:
    """The training ends with an exception: a crash row, of kind error."""
    return stage.crash("error", 'raise RuntimeError("a fault of the rehearsal")')


def daemon(stage: Stage) -> str:
    """The training ends well, and leaves a child in a session of its own, with an empty environment: that is ended."""
    stage.trainer('import subprocess; subprocess.Popen(["/bin/sleep", "600"], start_new_session=True, env={})')
    stage.loop()
    return AS_EVER  # the invariants look for the child


def full_disk(stage: Stage) -> str:
    """The disk is full from a random write on: nothing is torn, and with room again it goes on."""
    for space in (["unshare", "--mount"], ["unshare", "--mount", "--map-root-user"]):
        with suppress(Broken):
            stage.call(*space, "mount", "-t", "tmpfs", "none", stage.environment["TMPDIR"])
            break
    else:
        return "skipped: no file system can be mounted here"
    # The rest in a mount namespace of its own.
    room = str(4 * stage.random.randrange(60 * stage.slots))
    inside = (sys.executable, "-m", __name__, str(stage.folder), room, str(stage.slots))
    said = stage.call(*space, *inside, PYTHONPATH=str(ROOT / "lib"))
    stage.forgive()
    return said


def _on_a_small_disk(stage: Stage, room_kib: int) -> str:
    """The tree is on a disk with so much room; afterwards it is where it was, as it is then."""
    tree, disk, real = (str(stage.folder / name) for name in ("tree", "disk", "real"))
    stage.call("mkdir", "-p", disk, real)
    stage.call("mount", "-t", "tmpfs", "none", disk)
    stage.call("cp", "-a", f"{tree}/.", disk)
    stage.call("mount", "--bind", tree, real)
    stage.call("mount", "--bind", disk, tree)
    try:
        used_kib = (shutil.disk_usage(tree).used + 1023) // 1024
        stage.call("mount", "-o", f"remount,size={used_kib + room_kib}k", tree)
        stage.start_loop()
        with suppress(subprocess.TimeoutExpired):
            stage.process.wait(3)
        stage.call("mount", "-o", "remount,size=1g", tree)
        stage.ended(0, 2)
        return stage.recover()
    finally:
        stage.call("find", real, "-mindepth", "1", "-delete")
        stage.call("cp", "-a", f"{tree}/.", real)


def gc(stage: Stage) -> str:
    """git gc --prune=now: nothing that is on record is lost."""
    stage.git("gc", "--quiet", "--prune=now")
    stage.loop()
    return "nothing lost"


def hang(stage: Stage) -> str:
    """The training never ends, and does not hear TERM: it is ended at RUN_TIMEOUT; a crash row, of kind timeout."""
    return stage.crash("timeout", DEAF, RUN_TIMEOUT="1")


def hang_with_daemon(stage: Stage) -> str:
    """As hang, and a child of it has a session of its own: both are ended."""
    child = "import subprocess; subprocess.Popen(['sleep', '600'], start_new_session=True)"
    return stage.crash("timeout", f"{child}; {DEAF}", RUN_TIMEOUT="1")


def interrupt(stage: Stage) -> str:
    """Ctrl-C at a random moment: all that runs is ended within 5 s, and the next loop goes on."""
    stage.start_until_a_moment()
    stage.stop(signal.SIGINT)
    return stage.recover()


def kill_again(stage: Stage) -> str:
    """kill -9 of all, and of the loop that goes on, and of the one that goes on with that, each at a random moment."""
    for _ in range(3):
        stage.start_until_a_moment()
        stage.kill()
    return stage.recover()


def kill_all(stage: Stage) -> str:
    """kill -9 of the loop and of all that it has started, at a random moment: the next loop goes on."""
    stage.start_until_a_moment()
    stage.kill()
    return stage.recover()


def kill_any(stage: Stage) -> str:
    """kill -9 of any one process that the loop has started, at a random moment: the next loop goes on."""
    stage.start_until_a_moment()
    pids = stage.pids()
    for pid in stage.random.sample(pids, min(1, len(pids))):
        processes.kill(pid)
    stage.ended(0, 2)
    said = stage.recover()
    stage.forgive()
    return said


def kill_loop(stage: Stage) -> str:
    """kill -9 of the loop alone, at a random moment: all that it has started ends, and the next loop goes on."""
    stage.start_until_a_moment()
    stage.kill(alone=True)
    return stage.recover()


def kill_proposer(stage: Stage) -> str:
    """The proposer is killed before it has changed anything: no row of it; it is asked again."""
    return stage.ask_again("kill -9 $$")


def kill_dispatcher(stage: Stage) -> str:
    """kill -9 of the dispatcher of a flight, at a random moment: the loop goes on, and the flight with it."""
    return _kill_and_look(stage, r"\S*/dispatch f")


def kill_step(stage: Stage) -> str:
    """kill -9 of a step, at a random moment: the loop goes on, and does the step again."""
    return _kill_and_look(stage, r"\S*/lib/experiment/steps/")


def _kill_and_look(stage: Stage, pattern: str) -> str:
    stage.start_until_a_moment()
    stage.until(lambda: stage.pids(pattern), "process of this kind")
    for pid in stage.pids(pattern)[:1]:
        processes.kill(pid)
    stage.ended_well()
    stage.forgive()
    return "gone on with"


def kill_trainer(stage: Stage) -> str:
    """kill -9 of the training, as by the kernel when memory is short: a crash row, of kind killed."""
    stage.start_training(DEAF)
    processes.kill(stage.pids(r"\S*python\S* train\.py")[0])
    stage.ended_well()
    return stage.crashed("killed")


def mended(stage: Stage) -> str:
    """The training ends with an exception: its proposer mends it, and what it makes of it is the experiment."""
    stage.wish("mended")
    stage.loop()
    (stage.home / "wish").unlink()
    if stage.last()["failure"]:
        raise Broken("a crash that was mended is a crash row")
    return "mended"


def nan(stage: Stage) -> str:
    """The training diverges: a crash row, of kind nan."""
    return stage.crash("nan", r'raise SystemExit(print("---\nval_bpb: nan"))')


def no_metric(stage: Stage) -> str:
    """The training ends well, and prints no metric: a crash row, of kind no-metric."""
    return stage.crash("no-metric", "raise SystemExit")


def oom(stage: Stage) -> str:
    """The GPU has too little memory, in torch's words: a crash row, of kind oom."""
    gpu = "GPU 0 has a total capacity of 79.25 GiB of which 1.12 GiB is free."
    return stage.crash("oom", f'raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB. {gpu}")')


def orphan(stage: Stage) -> str:
    """kill -9 of all in the middle of a training that does not hear TERM: the next loop ends it before it trains."""
    stage.start_training(DEAF)
    stage.kill()
    return stage.recover()


def other_branch(stage: Stage) -> str:
    """A person checks out another branch in a training: the loop goes on, and nothing of that branch is touched."""
    stage.start_training(WAITING)
    stage.git("checkout", "--quiet", "--force", "idea")
    stage.heal()
    stage.ended_well()
    state = stage.state()
    if state.refs["HEAD"] != "refs/heads/idea" or list(invariants.tree_is_clean(state)):
        raise Broken(f"the person's branch is not as it was: {stage.git('status', '--porcelain')}")
    stage.git("checkout", "--quiet", state.branch.removeprefix("refs/heads/"))
    return AS_EVER


def person_edits(stage: Stage) -> str:
    """A person edits train.py in the middle of a training: it stays as it is, and is no part of the experiment."""
    stage.start_training(WAITING)
    (stage.tree / "train.py").write_text("# my idea\n")
    stage.heal()
    stage.ended_well()
    if (stage.tree / "train.py").read_text() != "# my idea\n":
        raise Broken("what the person has written is not as it was")
    stage.git("checkout", "--quiet", "HEAD", "--", "train.py")
    return AS_EVER


def power_cut(stage: Stage) -> str:
    """A power cut at a random moment, with half of what was not synced: the experiment is measured again."""
    stage.start_until_a_moment()
    stage.kill()
    refs = stage.state().refs
    for flight in stage.flights:
        commit, synced = flight / "commit", 0
        if commit.exists() and f"refs/experiments/{TAG}/{commit.read_text().strip()}" in refs:
            synced = commit.stat().st_mtime_ns
        for path in flight.rglob("*"):
            if path.is_file() and path.stat().st_mtime_ns > synced:
                halve(path)
    stage.reboot()
    return stage.recover()


def proposer_hangs(stage: Stage) -> str:
    """The proposer never ends, and does not hear TERM: it is ended at AGENT_TIMEOUT, without a row, and asked again."""
    return stage.ask_again('trap "" TERM; sleep 600; sleep 600', AGENT_TIMEOUT="1")


def proposer_nothing(stage: Stage) -> str:
    """The proposer changes nothing, and says that all is well: no row of it; it is asked again."""
    return stage.ask_again("exit 0")


def proposer_touches_prepare(stage: Stage) -> str:
    """The proposer changes prepare.py, too: no training; a crash row, of kind rejected."""
    stage.proposer('echo "# mine" >>prepare.py')
    stage.loop()
    return stage.crashed("rejected")


def rate_limited(stage: Stage) -> str:
    """The proposer has used up what it may use (exit 75): no row of it; it is asked again."""
    return stage.ask_again("exit 75")


def rewritten_branch(stage: Stage) -> str:
    """A person amends the last keep in the middle of a training: the branch is put back, and the loop goes on."""
    stage.start_training(WAITING)
    stage.git("commit", "--quiet", "--amend", "--message", "mine")
    stage.heal()
    stage.ended_well()
    return AS_EVER


def second_loop(stage: Stage) -> str:
    """A second loop in the middle of a training: it ends at once with 75, and the first one is not disturbed."""
    stage.start_training(WAITING)
    status = stage.start("bin/loop").wait(LIMIT_S)
    if status != 75:
        raise Broken(f"the second bin/loop ended with {status}, not with 75: '{stage.said()}'")
    stage.heal()
    stage.ended_well()
    return "refused"


def stale_flight_lock(stage: Stage) -> str:
    """kill -9 of all while git writes an index of the flight: the lock that is left does not end the night."""
    stage.proposer("sleep 600")
    stage.start_loop()
    stage.until(lambda: (stage.flight / "call/pid").exists(), "proposal")
    stage.kill()
    (stage.flight / "index.lock").touch()
    return stage.recover()


def stale_index_lock(stage: Stage) -> str:
    """A git that was killed has left .git/index.lock: it does not end the night."""
    (stage.tree / ".git/index.lock").touch()
    stage.loop()
    return AS_EVER


def stale_ref_lock(stage: Stage) -> str:
    """A git that was killed has left the lock of a ref: it does not end the night."""
    ref = stage.random.choice(["HEAD", stage.state().branch])
    (stage.tree / f".git/{ref}.lock").touch()
    stage.loop(MAX_EXPERIMENTS="3")  # a keep among them, which moves the branch
    return "rows as any other"


def stop(stage: Stage) -> str:
    """make stop in the middle of a training: the loop ends after this experiment."""
    stage.start_training(WAITING, MAX_EXPERIMENTS="0")
    stage.call("bin/stop")
    stage.heal()
    stage.ended_well()
    return "ended after its row"


def term(stage: Stage) -> str:
    """TERM at a random moment: all that runs is ended within 5 s, and the next loop goes on."""
    stage.start_until_a_moment()
    stage.stop(signal.SIGTERM, alone=True)
    return stage.recover()


def torn_flight_file(stage: Stage) -> str:
    """A power cut in the middle of a training, with torn files of the experiment in flight: it is measured again."""
    stage.start_training(DEAF)
    stage.kill()
    commit = stage.commit()
    (stage.flight / "done").write_text("attempt 1\n10-propose\n15-carry-over\n20-commit\n30-run\n40-ju")
    (stage.flight / "measure.json").write_text('{"memory_gb": "4')
    (stage.flight / "run.1/rc").touch()
    stage.reboot()
    said = stage.recover()
    if stage.last()["commit"] != commit:
        raise Broken(f"the proposal that was in flight, '{commit}', has no row")
    return said


def torn_row(stage: Stage) -> str:
    """Half a row at the end of results.tsv, of experiments.jsonl, or of both: it is set aside."""
    torn = {"results.tsv": "a1b2c3d\t18.9", "experiments.jsonl": '{"n": 3, "commit": "a1b2c3d'}
    for name in stage.random.choice([["results.tsv"], ["experiments.jsonl"], list(torn)]):
        with (stage.run / name).open("a") as file:
            file.write(torn[name])
    stage.loop()
    return "set aside"


def trainer_tampers(stage: Stage) -> str:
    """The training writes into prepare.py and empties the ledger, which is put back; a crash row, of kind rejected."""
    ledger = f"{stage.run}/results.tsv"
    return stage.crash("rejected", f'open("prepare.py", "a").write("# mine\\n"); open("{ledger}", "w").close()')


Fault = Callable[[Stage], str]
ALL: list[Fault] = [one for one in list(vars().values()) if getattr(one, "__module__", "") == __name__]
ALL = [one for one in ALL if not one.__name__.startswith("_")]
# What says nothing of one experiment alone: played with one, or with some in the air.
ABREAST = {
    closed_terminal, full_disk, interrupt, kill_again, kill_all, kill_any, kill_dispatcher, kill_loop, kill_step,
    power_cut, stale_index_lock, term,
}  # fmt: skip
SLOTS = (1, 4)

if __name__ == "__main__":  # what full_disk starts
    try:
        stage = Stage(Path(sys.argv[1]))
        stage.slots = int(sys.argv[3])
        print(_on_a_small_disk(stage, int(sys.argv[2])))
    except Broken as error:
        sys.exit(str(error))
