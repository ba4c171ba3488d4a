"""The faults of a rehearsal. The docstring of each function has the fault and the required result.

A fault returns how it was survived or why it is skipped, and raises Broken if the result is wrong. It draws random
numbers from `stage.random` only. The caller then checks the invariants.
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

AS_EVER = "a normal row"


def checkpoint(stage: Stage) -> str:
    """The training leaves a checkpoint in its folder. The next one must not find it."""
    stage.trainer('left = Path("left")\nif left.exists(): raise SystemExit("found")\nleft.touch()')
    stage.loop(MAX_EXPERIMENTS="2")
    return "normal rows"


def closed_terminal(stage: Stage) -> str:
    """HUP to the whole group at a random moment, as from a closed terminal. Nothing must end."""
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
    """The training raises an exception. This gives a crash row of kind error."""
    return stage.crash("error", 'raise RuntimeError("a fault of the rehearsal")')


def daemon(stage: Stage) -> str:
    """The training ends well but leaves a child in its own session, with an empty environment. The child is ended."""
    stage.trainer('import subprocess; subprocess.Popen(["/bin/sleep", "600"], start_new_session=True, env={})')
    stage.loop()
    return AS_EVER  # the invariants check that the child is gone


def full_disk(stage: Stage) -> str:
    """The disk is full from a random write on. Nothing is torn, and the loop continues when there is room."""
    for space in (["unshare", "--mount"], ["unshare", "--mount", "--map-root-user"]):
        with suppress(Broken):
            stage.call(*space, "mount", "-t", "tmpfs", "none", stage.environment["TMPDIR"])
            break
    else:
        return "skipped: no file system can be mounted here"
    # The rest runs in a mount namespace.
    room = str(4 * stage.random.randrange(60 * stage.slots))
    inside = (sys.executable, "-m", __name__, str(stage.folder), room, str(stage.slots))
    said = stage.call(*space, *inside, PYTHONPATH=str(ROOT / "lib"))
    stage.forgive()
    return said


def _on_a_small_disk(stage: Stage, room_kib: int) -> str:
    """Run the loop with the tree on a small disk. Afterwards the tree is back in its place, with its new content."""
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
    """git gc --prune=now. Nothing on record is lost."""
    stage.git("gc", "--quiet", "--prune=now")
    stage.loop()
    return "nothing lost"


def hang(stage: Stage) -> str:
    """The training never ends and ignores TERM. It is killed at RUN_TIMEOUT, with a crash row of kind timeout."""
    return stage.crash("timeout", DEAF, RUN_TIMEOUT="1")


def hang_with_daemon(stage: Stage) -> str:
    """The same with a child in its own session. Both are killed."""
    child = "import subprocess; subprocess.Popen(['sleep', '600'], start_new_session=True)"
    return stage.crash("timeout", f"{child}; {DEAF}", RUN_TIMEOUT="1")


def interrupt(stage: Stage) -> str:
    """Ctrl-C at a random moment. All processes end within 5 s, and the next loop continues."""
    stage.start_until_a_moment()
    stage.stop(signal.SIGINT)
    return stage.recover()


def kill_again(stage: Stage) -> str:
    """kill -9 of the loop and its processes at a random moment, three times in a row. The next loop continues."""
    for _ in range(3):
        stage.start_until_a_moment()
        stage.kill()
    return stage.recover()


def kill_all(stage: Stage) -> str:
    """kill -9 of the loop and its processes at a random moment. The next loop continues."""
    stage.start_until_a_moment()
    stage.kill()
    return stage.recover()


def kill_any(stage: Stage) -> str:
    """kill -9 of any one process of the loop at a random moment. The next loop continues."""
    stage.start_until_a_moment()
    pids = stage.pids()
    for pid in stage.random.sample(pids, min(1, len(pids))):
        processes.kill(pid)
    stage.ended(0, 2)
    said = stage.recover()
    stage.forgive()
    return said


def kill_loop(stage: Stage) -> str:
    """kill -9 of the loop alone at a random moment. Its processes end, and the next loop continues."""
    stage.start_until_a_moment()
    stage.kill(alone=True)
    return stage.recover()


def kill_proposer(stage: Stage) -> str:
    """The proposer is killed before it changes anything. This gives no row, and it is asked again."""
    return stage.ask_again("kill -9 $$")


def kill_dispatcher(stage: Stage) -> str:
    """kill -9 of a flight's dispatcher at a random moment. Loop and flight continue."""
    return _kill_and_look(stage, r"\S*/dispatch f")


def kill_step(stage: Stage) -> str:
    """kill -9 of a step at a random moment. The loop continues and repeats the step."""
    return _kill_and_look(stage, r"\S*/lib/experiment/steps/")


def _kill_and_look(stage: Stage, pattern: str) -> str:
    stage.start_until_a_moment()
    stage.until(lambda: stage.pids(pattern), "process of this kind")
    for pid in stage.pids(pattern)[:1]:
        processes.kill(pid)
    stage.ended_well()
    stage.forgive()
    return "continued"


def kill_trainer(stage: Stage) -> str:
    """kill -9 of the training, as by the kernel when memory is short. This gives a crash row of kind killed."""
    stage.start_training(DEAF)
    processes.kill(stage.pids(r"\S*python\S* train\.py")[0])
    stage.ended_well()
    return stage.crashed("killed")


def mended(stage: Stage) -> str:
    """The training raises an exception. The proposer mends it, and the result is the experiment."""
    stage.wish("mended")
    stage.loop()
    (stage.home / "wish").unlink()
    if stage.last()["failure"]:
        raise Broken("a mended crash got a crash row")
    return "mended"


def nan(stage: Stage) -> str:
    """The training diverges. This gives a crash row of kind nan."""
    return stage.crash("nan", r'raise SystemExit(print("---\nval_bpb: nan"))')


def no_metric(stage: Stage) -> str:
    """The training ends well but prints no metric. This gives a crash row of kind no-metric."""
    return stage.crash("no-metric", "raise SystemExit")


def oom(stage: Stage) -> str:
    """The GPU runs out of memory, in torch's words. This gives a crash row of kind oom."""
    gpu = "GPU 0 has a total capacity of 79.25 GiB of which 1.12 GiB is free."
    return stage.crash("oom", f'raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB. {gpu}")')


def orphan(stage: Stage) -> str:
    """kill -9 of all during a training that ignores TERM. The next loop ends that training before it trains."""
    stage.start_training(DEAF)
    stage.kill()
    return stage.recover()


def other_branch(stage: Stage) -> str:
    """A person checks out another branch during a training. The loop continues, and that branch is untouched."""
    stage.start_training(WAITING)
    stage.git("checkout", "--quiet", "--force", "idea")
    stage.heal()
    stage.ended_well()
    state = stage.state()
    if state.refs["HEAD"] != "refs/heads/idea" or list(invariants.tree_is_clean(state)):
        raise Broken(f"the person's branch was changed: {stage.git('status', '--porcelain')}")
    stage.git("checkout", "--quiet", state.branch.removeprefix("refs/heads/"))
    return AS_EVER


def person_edits(stage: Stage) -> str:
    """A person edits train.py during a training. The edit stays, and is not part of the experiment."""
    stage.start_training(WAITING)
    (stage.tree / "train.py").write_text("# my idea\n")
    stage.heal()
    stage.ended_well()
    if (stage.tree / "train.py").read_text() != "# my idea\n":
        raise Broken("the person's edit was changed")
    stage.git("checkout", "--quiet", "HEAD", "--", "train.py")
    return AS_EVER


def power_cut(stage: Stage) -> str:
    """A power cut at a random moment that loses half of what was not synced. The experiment is measured again."""
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
    """The proposer never ends and ignores TERM. It is killed at AGENT_TIMEOUT, gives no row, and is asked again."""
    return stage.ask_again('trap "" TERM; sleep 600; sleep 600', AGENT_TIMEOUT="1")


def proposer_nothing(stage: Stage) -> str:
    """The proposer changes nothing and reports success. This gives no row, and it is asked again."""
    return stage.ask_again("exit 0")


def proposer_touches_prepare(stage: Stage) -> str:
    """The proposer also changes prepare.py. This gives a crash row of kind rejected, without training."""
    stage.proposer('echo "# mine" >>prepare.py')
    stage.loop()
    return stage.crashed("rejected")


def rate_limited(stage: Stage) -> str:
    """The proposer is rate-limited (exit 75). This gives no row, and it is asked again."""
    return stage.ask_again("exit 75")


def rewritten_branch(stage: Stage) -> str:
    """A person amends the last keep during a training. The branch is restored, and the loop continues."""
    stage.start_training(WAITING)
    stage.git("commit", "--quiet", "--amend", "--message", "mine")
    stage.heal()
    stage.ended_well()
    return AS_EVER


def second_loop(stage: Stage) -> str:
    """A second loop starts during a training. It ends at once with 75, and the first one is not disturbed."""
    stage.start_training(WAITING)
    status = stage.start("bin/loop").wait(LIMIT_S)
    if status != 75:
        raise Broken(f"the second bin/loop ended with {status} instead of 75: '{stage.said()}'")
    stage.heal()
    stage.ended_well()
    return "refused"


def stale_flight_lock(stage: Stage) -> str:
    """kill -9 of all while git writes an index of the flight. The leftover lock does not stop the next loop."""
    stage.proposer("sleep 600")
    stage.start_loop()
    stage.until(lambda: (stage.flight / "call/pid").exists(), "proposal")
    stage.kill()
    (stage.flight / "index.lock").touch()
    return stage.recover()


def stale_index_lock(stage: Stage) -> str:
    """A killed git has left .git/index.lock. It does not stop the loop."""
    (stage.tree / ".git/index.lock").touch()
    stage.loop()
    return AS_EVER


def stale_ref_lock(stage: Stage) -> str:
    """A killed git has left the lock of a ref. It does not stop the loop."""
    ref = stage.random.choice(["HEAD", stage.state().branch])
    (stage.tree / f".git/{ref}.lock").touch()
    stage.loop(MAX_EXPERIMENTS="3")  # with a keep, which moves the branch
    return "normal rows"


def stop(stage: Stage) -> str:
    """make stop during a training. The loop ends after this experiment."""
    stage.start_training(WAITING, MAX_EXPERIMENTS="0")
    stage.call("bin/stop")
    stage.heal()
    stage.ended_well()
    return "ended after its row"


def term(stage: Stage) -> str:
    """TERM at a random moment. All processes end within 5 s, and the next loop continues."""
    stage.start_until_a_moment()
    stage.stop(signal.SIGTERM, alone=True)
    return stage.recover()


def torn_flight_file(stage: Stage) -> str:
    """A power cut during a training tears files of the flight. The experiment is measured again."""
    stage.start_training(DEAF)
    stage.kill()
    commit = stage.commit()
    (stage.flight / "done").write_text("attempt 1\n10-propose\n15-carry-over\n20-commit\n30-run\n40-ju")
    (stage.flight / "measure.json").write_text('{"memory_gb": "4')
    (stage.flight / "run.1/rc").touch()
    stage.reboot()
    said = stage.recover()
    if stage.last()["commit"] != commit:
        raise Broken(f"the proposal in flight, '{commit}', got no row")
    return said


def torn_row(stage: Stage) -> str:
    """Half a row at the end of results.tsv, of experiments.jsonl, or of both. It is moved away."""
    torn = {"results.tsv": "a1b2c3d\t18.9", "experiments.jsonl": '{"n": 3, "commit": "a1b2c3d'}
    for name in stage.random.choice([["results.tsv"], ["experiments.jsonl"], list(torn)]):
        with (stage.run / name).open("a") as file:
            file.write(torn[name])
    stage.loop()
    return "moved away"


def trainer_tampers(stage: Stage) -> str:
    """The training writes to prepare.py and empties the ledger. Both are restored; a crash row of kind rejected."""
    ledger = f"{stage.run}/results.tsv"
    return stage.crash("rejected", f'open("prepare.py", "a").write("# mine\\n"); open("{ledger}", "w").close()')


Fault = Callable[[Stage], str]
ALL: list[Fault] = [one for one in list(vars().values()) if getattr(one, "__module__", "") == __name__]
ALL = [one for one in ALL if not one.__name__.startswith("_")]
# Faults that do not depend on one experiment alone are played with one or several in flight.
ABREAST = {
    closed_terminal, full_disk, interrupt, kill_again, kill_all, kill_any, kill_dispatcher, kill_loop, kill_step,
    power_cut, stale_index_lock, term,
}  # fmt: skip
SLOTS = (1, 4)

if __name__ == "__main__":  # started by full_disk
    try:
        stage = Stage(Path(sys.argv[1]))
        stage.slots = int(sys.argv[3])
        print(_on_a_small_disk(stage, int(sys.argv[2])))
    except Broken as error:
        sys.exit(str(error))
