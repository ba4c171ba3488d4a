#!/usr/bin/env python3
"""Whether an engine does what is asked of one (CONTRIBUTING.md): engine_check.py ENGINE FOLDER [NAME...].

FOLDER must be seen by the hosts that compute. A line for each check, `ok` or `failed` with what was wrong; NAME: these
alone. Exit 1: some have failed. What is left of a run is looked for through its folder: whatever it has started writes
there ten times a second. So this finds it on any host.
"""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

LONGEST_S = float(os.environ.get("LONGEST_S") or 120)  # that a run may wait to be started
CALL_S = 120  # that a call of the engine may take, besides that of a run
STILL_S = 1.5  # that nothing may be written for, where nothing is left
AT_ONCE = 4
LEFT = ("handle", "pid", "host", "started", "ended", "resources")
SECRET = "hunter2-of-the-caller"
BEAT = 'while :; do date +%s%N >"$LAB_RUN_DIR/beat.$BASHPID"; sleep 0.1; done'
WORK = f"({BEAT}) & {BEAT}"
DEAF = f"trap '' TERM; {WORK}"
# Another session, another group, no parent, no environment; and it does not hear TERM.
DAEMON = '(env -i "LAB_RUN_DIR=$LAB_RUN_DIR" setsid bash -c \'trap "" TERM; ' + BEAT + "' &) ; sleep 1"


class Wrong(Exception):
    """Raised when an engine breaks a rule of the contract."""


def same(what: str, found: object, *wanted: object) -> None:
    """Raises Wrong where it is none of these."""
    if found not in wanted:
        raise Wrong(f"{what} is {found!r}, and should be {' or '.join(map(repr, wanted))}")


class Run:
    """A RUN_DIR, and the engine."""

    engine, folder = "", Path()
    started = threading.local()  # the runs of a check

    def __init__(self, name: str, cmd: str, *, limit: float = 300, env: str = "") -> None:
        self.path = self.folder / name
        (self.path / "cwd of it").mkdir(parents=True)
        facts = {"cmd": cmd, "cwd": f"{self.path}/cwd of it", "limit_s": f"{limit:g}"}
        for fact, text in {**facts, "env": f"PATH={os.environ['PATH']}\n{env}"}.items():
            (self.path / fact).write_text(text)

    def start(self) -> "Run":
        """Do not wait for it."""
        self.started.runs = [*getattr(self.started, "runs", []), self]
        self.process = subprocess.Popen(
            [self.engine, self.path],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, "MY_API_KEY": SECRET, "OF_THE_CALLER": "yes"},
            preexec_fn=lambda: [signal.signal(one, signal.SIG_DFL) for one in (signal.SIGINT, signal.SIGHUP)],
        )
        return self

    def end(self, seconds: float = LONGEST_S) -> int:
        """The exit status of the engine."""
        try:
            self.said = self.process.communicate(timeout=seconds)[0].decode(errors="replace")
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise Wrong(f"the engine has not ended after {seconds:.0f} s") from None
        return self.process.returncode

    def at_work(self) -> "Run":
        """Its command is."""
        self.start()
        self.wait(lambda: any(self.path.glob("beat.*")), "the command has begun")
        return self

    def wait(self, condition: Callable[[], object], what: str, seconds: float = LONGEST_S) -> None:
        until = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > until:
                raise Wrong(f"not after {seconds:.0f} s: {what}")
            time.sleep(0.05)

    def call(self, option: str, **options: Any) -> subprocess.CompletedProcess[str]:
        command = [self.engine, option, self.path]
        return subprocess.run(command, capture_output=True, text=True, timeout=CALL_S, check=False, **options)

    def cancel(self) -> None:
        done = self.call("--cancel")
        same("the status of --cancel", done.returncode, 0)

    def fact(self, name: str) -> str:
        path = self.path / name
        return path.read_text().rstrip("\n") if path.exists() else "not there"

    def has_ended(self, status: int) -> None:
        """It has come to its end, or to its limit."""
        same("the exit status of the engine", self.end(), status)
        same("rc", self.fact("rc"), str(status))
        self.has_left_nothing()

    def was_stopped(self) -> None:
        """It has not: there is no verdict."""
        same("rc", self.fact("rc"), "not there")
        self.has_left_nothing()

    def has_left_nothing(self) -> None:
        time.sleep(0.3)
        before = {path: path.read_text() for path in self.path.glob("beat.*")}
        if before:
            time.sleep(STILL_S)
            after = {path: path.read_text() for path in self.path.glob("beat.*")}
            left = [path.name.partition(".")[2] for path in after if after[path] != before.get(path)]
            if left:
                raise Wrong(f"processes are left: {', '.join(left)}")


# --- The checks: a function each -------------------------------------------------------------------------------------


def up() -> None:
    done = subprocess.run([Run.engine, "--check"], capture_output=True, text=True, timeout=CALL_S, check=False)
    if done.returncode:
        raise Wrong(f"--check: status {done.returncode}: {done.stderr.strip()}")


def what_it_leaves() -> None:
    run = Run("what it leaves", "echo val_bpb: 1.0; echo err >&2; pwd; read -r x || echo no input").start()
    run.has_ended(0)
    same("what the engine says", run.said, "")
    same("run.log", run.fact("run.log"), f"val_bpb: 1.0\nerr\n{run.fact('cwd')}\nno input")
    same("what is missing in RUN_DIR", [name for name in LEFT if run.fact(name) in ("", "not there")], [])
    times = {name: (run.path / name).stat().st_mtime_ns for name in (*LEFT[1:], "rc")}
    same("the last file that is written", max(times, key=lambda name: times[name]), "rc")


def statuses() -> None:
    commands = {7: "exit 7", 127: "no-such-program", 126: "exec /dev/null", 137: "kill -KILL $$", 143: "kill $$"}
    for status, cmd in commands.items():
        Run(f"status {status}", cmd).start().has_ended(status)


def no_order() -> None:
    for name in ("cmd", "cwd", "limit_s"):
        run = Run(f"without {name}", BEAT)
        (run.path / name).unlink()
        same(f"the exit status without {name}", run.start().end(), 125)
        run.was_stopped()
    run = Run("no folder", BEAT)
    (run.path / "cwd").write_text("/no/such/folder")
    same("the exit status without the folder of cwd", run.start().end(), 125)
    same("rc", run.fact("rc"), "not there")
    run.path = run.path / "none"
    same("the exit status without a RUN_DIR", run.start().end(), 125)


def limit() -> None:
    began = time.monotonic()
    run = Run("limit", WORK, limit=2).at_work()
    run.has_ended(124)
    took = time.monotonic() - began
    if took > 2 + LONGEST_S:
        raise Wrong(f"it took {took:.0f} s")


def limit_deaf() -> None:
    Run("deaf", DEAF, limit=2).at_work().has_ended(124)


def signals() -> None:
    for name in ("TERM", "INT", "HUP"):
        run = Run(f"caller gets {name}", WORK).at_work()
        run.process.send_signal(getattr(signal, f"SIG{name}"))
        same(f"the exit status after {name}", run.end(60), 125, 129, 130, 143)
        run.was_stopped()


def killed() -> None:
    run = Run("caller is killed", WORK).at_work()
    run.process.kill()
    run.process.wait()
    same("--check RUN_DIR", run.call("--check").stdout, "running\n", "gone\n")
    run.cancel()
    run.was_stopped()
    run.cancel()
    same("--check RUN_DIR after --cancel", run.call("--check").stdout, "gone\n")


def cancel() -> None:
    run = Run("cancel", "trap 'echo val_bpb: 1.0; exit 0' TERM; " + BEAT).at_work()
    same("--check RUN_DIR", run.call("--check").stdout, "running\n")
    run.cancel()
    same("the exit status of the engine", run.end(60), 125, 130, 143)
    run.was_stopped()
    run.cancel()


def cancel_deaf() -> None:
    run = Run("cancel deaf", DEAF).at_work()
    run.cancel()
    run.end(60)
    run.was_stopped()


def cancel_from_elsewhere() -> None:
    run = Run("elsewhere", WORK).at_work()
    done = run.call("--cancel", cwd="/", env={"PATH": os.environ["PATH"], "HOME": "/"})
    same("the status of --cancel", done.returncode, 0)
    run.end(60)
    run.was_stopped()


def cancel_nothing() -> None:
    run = Run("never started", WORK)
    run.cancel()
    same("--check RUN_DIR", run.call("--check").stdout, "gone\n")
    run = Run("cancelled after its end", "exit 3").start()
    run.has_ended(3)
    run.cancel()
    same("rc", run.fact("rc"), "3")
    same("--check RUN_DIR", run.call("--check").stdout, "gone\n")


def race() -> None:
    """A stop near the end: there is a verdict of the command's own, or none."""
    for number in range(6):
        run = Run(f"race {number}", "trap 'exit 0' TERM; date >\"$LAB_RUN_DIR/beat.0\"; sleep 0.6; exit 5").at_work()
        time.sleep(0.35 + number * 0.1)
        run.cancel()
        found = run.end(60), run.fact("rc")
        same("the exit status and rc", found, (5, "5"), *((status, "not there") for status in (125, 130, 143)))


def stale() -> None:
    run = Run("stale", "exit 9")
    for name in ("rc", "ended", "resources"):
        (run.path / name).write_text("0\n")
    run.start().has_ended(9)
    run = Run("stale and stopped", WORK)
    (run.path / "rc").write_text("0\n")
    run.at_work()
    same("rc while it is at work", run.fact("rc"), "not there")
    run.cancel()
    run.end(60)
    run.was_stopped()
    Run.start(run)
    run.wait(lambda: not (run.path / "cancelled").exists() or run.process.poll() is not None, "it is started again")
    run.wait(lambda: run.call("--check").stdout == "running\n", "a run that was cancelled is started again")
    run.cancel()
    run.end(60)


def odd() -> None:
    for name in ("sp ace é%j $(x) 'q' \"d\" \\", "[a]*?;&", "-dash"):
        run = Run(name, "pwd; exit 5").start()
        run.has_ended(5)
        same("run.log", run.fact("run.log"), run.fact("cwd"))


def much() -> None:
    run = Run("much", "head -c 30000000 /dev/zero | tr '\\0' x").start()
    run.has_ended(0)
    same("the bytes of run.log", (run.path / "run.log").stat().st_size, 30_000_000)
    same("what the engine says", run.said, "")


def daemon() -> None:
    Run("daemon", DAEMON).start().has_ended(0)


def several() -> None:
    runs = [Run(f"several {number}", f"sleep 1; echo {number}; exit {number}").start() for number in range(4)]
    for number, run in enumerate(runs):
        run.has_ended(number)
        same("run.log", run.fact("run.log"), str(number))


def environment() -> None:
    env = "A=a b\nB=x=y\nC='q\"$(id)\\\nTZ=Asia/Tokyo\nHOME=/home/of/it\n"
    run = Run("environment", "env -0 | tr '\\n' '?' | tr '\\0' '\\n'", env=env).start()
    run.has_ended(0)
    found = dict(line.split("=", 1) for line in run.fact("run.log").split("\n") if "=" in line)
    for line in env.splitlines():
        name, _, value = line.partition("=")
        same(name, found.get(name), value)
    same("LAB_RUN_DIR", found.get("LAB_RUN_DIR"), str(run.path))
    known = {"PATH", "A", "B", "C", "TZ", "HOME", "LAB_RUN_DIR", "PWD", "SHLVL", "_"}
    of_devices = re.compile(r"(CUDA|ROCR|HIP)_VISIBLE_DEVICES|ZE_AFFINITY_MASK|LAB_(TREE|HOLDER)")
    more = sorted(name for name in found if name not in known and not of_devices.fullmatch(name))
    same("what is more in the environment", more, [])


def secrets() -> None:
    """In nothing that the command sees or the engine writes."""
    run = Run("secrets", f"env; {BEAT}").at_work()
    run.cancel()
    run.end(60)
    files = (path for path in run.path.iterdir() if path.is_file())
    same("the files with a key", [path.name for path in files if SECRET in path.read_text(errors="replace")], [])


CHECKS = (
    up, what_it_leaves, statuses, no_order, limit, limit_deaf, signals, killed, cancel, cancel_deaf,
    cancel_from_elsewhere, cancel_nothing, race, stale, odd, much, daemon, several, environment, secrets,
)  # fmt: skip


def outcome(check: Callable[[], None]) -> str:
    """Empty where it holds."""
    try:
        check()
        wrong = ""
    except (Wrong, OSError, subprocess.SubprocessError) as error:
        wrong = str(error)
    for run in getattr(Run.started, "runs", []):
        if run.process.poll() is None:
            run.process.kill()
            run.process.wait()
            try:
                run.call("--cancel")
            except subprocess.TimeoutExpired as error:
                wrong += f"; and --cancel of what is left has not ended after {error.timeout:.0f} s"
    Run.started.runs = []
    return wrong.removeprefix("; and ")


def main() -> int:
    Run.engine, Run.folder = os.path.abspath(sys.argv[1]), Path(sys.argv[2]).resolve()
    known = {one.__name__: one for one in CHECKS}
    if unknown := [name for name in sys.argv[3:] if name not in known]:
        print(f"engine-check: there is no check '{unknown[0]}'\nhint: there are: {' '.join(known)}", file=sys.stderr)
        return 2
    wanted = [one for name, one in known.items() if not sys.argv[3:] or name in sys.argv[3:]]
    speaks, began = threading.Lock(), time.monotonic()

    def look(check: Callable[[], None]) -> int:
        since = time.monotonic()
        wrong = outcome(check)
        with speaks:
            word, seconds = "failed" if wrong else "ok", time.monotonic() - since
            print(f"{word:<8} {check.__name__:<22} {seconds:5.1f} s  {wrong}".rstrip(), flush=True)
        return int(bool(wrong))

    failed = look(wanted[0])
    if failed and wanted[0] is up:
        failed = len(wanted)  # the others are not tried
    else:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            failed += sum(pool.map(look, wanted[1:]))
    print(f"{len(wanted) - failed} of {len(wanted)} hold, in {time.monotonic() - began:.0f} s", file=sys.stderr)
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
