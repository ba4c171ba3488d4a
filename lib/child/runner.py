#!/usr/bin/env python3
"""The runner: runs one command on the host that computes, and leaves no process of it behind.

Usage: runner.py RUN_DIR | --cancel RUN_DIR | --end NAME=VALUE | --can-confine WAY | --first COMMAND...

RUN_DIR contains `cmd` (shell text), `cwd`, `limit_s` (seconds), `env` (NAME=value lines) and two optional parts:

- `confine` makes a sandbox in which everything is read-only (unless its first line is `write /`). Each line
  `hide PATH`, `read PATH` or `write PATH` changes that for a path. Of two lines about one path the later one counts.
  There is no network without a line `network`, or `loopback` if it has no loopback of its own. The sandbox is made by
  bubblewrap, or after a line `by landlock` by lib/child/landlock.py, which says what it leaves open.
- `beside` is the shell text of a helper outside of that sandbox. `confine-beside` makes one for the helper. The helper
  answers in `reply/`, where the runner writes `ended` when it has ended. The helper ends with the command. But if the
  command exits with 0 and `reply/busy` exists, the helper may finish, within the limit.

The runner writes handle (its pid and start time), run.log, host, started and pid. After the command it writes ended and
resources (JSON: CPU seconds of the command with all its descendants, and of the helper; MiB resident in the command's
largest process; OOM kills meanwhile) and last, by rename, rc. There is an rc only if the command ended by itself or
reached its limit. A stop (TERM, INT, HUP) is never taken for a result, even if the command receives it first.

Exit: the command's own status; 128+n: it died of signal n; 124: over the limit; 126, 127: it could not be run; 125:
stopped, or a fault that is not the command's.

--cancel ends a run from any process on this host, also what a killed runner has left. It may be repeated.
--end ends every process with NAME=VALUE in its environment. Exit 1: some are left.
--can-confine tests whether `confine` works here, by `bubblewrap` or by `landlock`. --first is the first process of a
sandbox, started by the runner.

It uses the standard library only, and little of it, because it is started for every run and every proposal. Modelled on
tini and dumb-init: https://github.com/krallin/tini, https://github.com/Yelp/dumb-init.
"""

from __future__ import annotations

# Only the C parts of two modules: their Python parts would take half of the start time.
import _ctypes
import _signal as signal
import os
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    Pids = Callable[[], Collection[int]]

GRACE_S = 3  # seconds from TERM to KILL; a stop takes at most 5 seconds
GIVE_UP_S = 8  # seconds from TERM until the runner gives up on a process that survives KILL
LAG_S, LAG_SHARE = 1.0, 0.1  # a stop of a whole group may reach the command first: see `was_stopped`
LOOK_S = 1.0  # seconds between checks that the loop, LAB_HOLDER, is alive
BOOT_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
PDEATHSIG, SUBREAPER = 1, 36  # prctl(2)
STOPS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
# The command does not see these: they lead to the ledger, or to the commands for a new best.
PRIVATE = ("RUN", "FLIGHT", "BRANCH", "TAG", "ON_KEEP", "ON_TROUBLE", "LAB_CALLER")
CALLER = "LAB_CALLER_"  # prefix of variables of the caller that have a name of ours (lib/environment.sh)
SANDBOX = ["bwrap", "--die-with-parent", "--as-pid-1", "--unshare-pid"]
SHARED = "/dev/shm"
# /dev stays, because a GPU is a device. The shared memory in it is the command's own.
MOUNTED = ["--dev-bind", "/dev", "/dev", "--tmpfs", SHARED, "--proc", "/proc"]
# Root could remount everything. It keeps only the capabilities for files of other users, and for a sandbox of its own.
KEPT = {"CHOWN": 0, "DAC_OVERRIDE": 1, "FOWNER": 3, "FSETID": 4, "KILL": 5, "SETFCAP": 31, "SETGID": 6, "SETUID": 7}
if os.geteuid() == 0:
    SANDBOX += ["--cap-drop", "ALL"]
    for capability in KEPT:
        SANDBOX += ["--cap-add", f"CAP_{capability}"]
OWN = os.path.abspath(__file__)
FIRST = [sys.executable, "-IS", OWN, "--first"]
LANDLOCK = [sys.executable, "-IS", os.path.join(os.path.dirname(OWN), "landlock.py")]
# No GPU was at hand when Landlock came: so where there is one, it is asked.
CUDA = """
import ctypes, sys
try:
    cuda = ctypes.CDLL("libcuda.so.1")
except OSError:
    sys.exit()
if cuda.cuInit(0) not in (0, 100):  # 100: there is none
    sys.exit("landlock: CUDA does not start under it")
"""

PRCTL = _ctypes.dlsym(_ctypes.dlopen(None, 0), "prctl")


def prctl(option: int, value: int) -> None:
    """Call the C function."""
    _ctypes.call_function(PRCTL, (option, value, 0, 0, 0))


class Children:
    """The processes that this one has started, and orphans among their descendants, which it adopts."""

    def __init__(self) -> None:
        """Adopt orphans from now on."""
        self.statuses: dict[int, int] = {}  # pid -> exit status of an ended process
        self.cpu_seconds: dict[int, float] = {}  # pid -> its CPU seconds, with those of children it waited for
        self.peaks: dict[int, float] = {}  # pid -> MiB resident in the largest of them
        self.sessions: dict[int, int] = {}  # pid -> its session, which is the pid of its command
        prctl(SUBREAPER, 1)

    def start(self, argv: list[str], environment: dict[str, str] | None = None, output: int | None = None) -> int:
        """Start a command in its own session, without input. Returns its pid."""
        parent = os.getpid()
        pid = os.fork()
        if pid:
            return pid
        try:
            prctl(PDEATHSIG, signal.SIGTERM)
            if os.getppid() != parent:
                os._exit(125)
            if output is not None:
                os.setsid()
                os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
                os.dup2(output, 1)
                os.dup2(output, 2)
            close_others()
            for number in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores them
                signal.signal(number, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_SETMASK, ())
            os.execvpe(argv[0], argv, os.environ if environment is None else environment)
        finally:
            os._exit(127)

    def reap(self) -> bool:
        """Record all ended processes. Returns whether any are left."""
        while True:
            try:
                ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return False
            if ended is None:
                return True
            self.sessions[ended.si_pid] = os.getsid(ended.si_pid)  # known only until it is waited for
            pid, status, usage = os.wait4(ended.si_pid, 0)
            code = os.waitstatus_to_exitcode(status)
            self.statuses[pid] = code if code >= 0 else 128 - code
            self.cpu_seconds[pid] = usage.ru_utime + usage.ru_stime
            self.peaks[pid] = usage.ru_maxrss / 1024

    def end(self) -> bool:
        """Send TERM and then KILL to all descendants. Returns whether none are left."""
        return end_all(descendants, self.reap)


def close_others() -> None:
    """Close all descriptors but the first three, such as the tree's lock and the pipes to the Python core."""
    for name in os.listdir("/proc/self/fd"):
        if int(name) > 2:
            try:
                os.close(int(name))
            except OSError:
                continue  # the descriptor of the listing itself


def end_all(pids_left: Pids, is_any_left: Callable[[], object], grace: float = GRACE_S) -> bool:
    """Send TERM, and after `grace` seconds KILL, to the pids. Returns whether none is left in the end."""
    began, signalled = time.monotonic(), set[int]()
    while is_any_left():
        waited = time.monotonic() - began
        if waited > grace + GIVE_UP_S - GRACE_S:
            return False
        number = signal.SIGTERM if waited < grace else signal.SIGKILL
        for pid in pids_left():
            if number == signal.SIGKILL or pid not in signalled:
                signalled.add(pid)
                kill(pid, number)
        signal.sigtimedwait([signal.SIGCHLD], 0.02 if waited < 0.2 else 0.1)
    return True


def kill(pid: int, number: int) -> None:
    """Send a signal. The process may have ended already."""
    try:  # contextlib would take a while to import
        os.kill(pid, number)
    except ProcessLookupError:
        return


def descendants() -> set[int]:
    """The pids of this process and all its descendants."""
    parents = {}
    for pid in processes():
        try:
            with open(f"/proc/{pid}/stat", "rb") as file:
                after_name = file.read().rpartition(b")")[2]  # the name may contain anything
            parents[pid] = int(after_name.split()[1])
        except (OSError, IndexError):
            continue
    found, more = set[int](), {os.getpid()}
    while more:
        more = {pid for pid, parent in parents.items() if parent in more} - found
        found |= more
    return found


def processes() -> list[int]:
    """The pids of all processes."""
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def tagged(variable: bytes) -> list[int]:
    """The pids of all other processes with this variable in their environment, without zombies."""
    found = []
    for pid in processes():
        try:
            with open(f"/proc/{pid}/environ", "rb") as file:
                if pid != os.getpid() and variable in file.read().split(b"\0"):
                    found.append(pid)
        except OSError:
            continue
    return found


def birth(pid: object) -> str:
    """The start time of a process in clock ticks since boot. With the pid, it identifies the process forever.

    Empty if there is no such process, or if it is a zombie.
    """
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            stat = file.read().rpartition(b")")[2].split()  # the name may contain anything
    except OSError:
        return ""
    return "" if stat[0] in (b"Z", b"X") else stat[19].decode()


class Stop:
    """Ends a run: TERM, INT and HUP, unless they are ignored at the start (nohup), and the end of the loop."""

    def __init__(self) -> None:
        """Read which signals are ignored."""
        self.signals = [number for number in STOPS if signal.getsignal(number) is not signal.SIG_IGN]
        self.holder = os.environ.get("LAB_HOLDER", "")

    def wait(self, seconds: float) -> bool:
        """Wait until a child has ended, at most `seconds`. Returns whether a stop came."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0 or seconds == 0:
            came = signal.sigtimedwait([*self.signals, signal.SIGCHLD], max(0, min(left, LOOK_S)))
            if came:
                return came.si_signo != signal.SIGCHLD
            if self.holder and not birth(self.holder):
                return True  # the loop was killed, and so was the process between it and this one
            if seconds == 0:
                break
        return False

    def was_stopped(self, status: int, seconds: float) -> bool:
        """Whether a stop comes just after the end of a command with this status and duration.

        A stop for many processes reaches them in any order. A command that died of such a signal may have been the
        first. After another status the wait is shorter, in proportion to the duration.
        """
        lag = LAG_S if status in [128 + number for number in STOPS] else min(LAG_S / 5, LAG_SHARE * seconds)
        until = time.monotonic() + lag
        while (left := until - time.monotonic()) > 0:
            if self.wait(left):
                return True
        return self.wait(0)


class Run:
    """One RUN_DIR."""

    def __init__(self, folder: str) -> None:
        """Read the order. Raises OSError or ValueError if it is invalid."""
        self.folder = os.path.realpath(folder)
        self.cmd, self.cwd, self.environment = self.read("cmd"), self.read("cwd").rstrip("\n"), dict(os.environ)
        self.limit_s = float(self.read("limit_s"))
        if not 0 <= self.limit_s < 1e9:
            raise ValueError(f"limit_s is '{self.limit_s}'")
        for name in PRIVATE:
            self.environment.pop(name, None)
        for name in [name for name in self.environment if name.startswith(CALLER)]:
            self.environment[name.removeprefix(CALLER)] = self.environment.pop(name)
        lines = self.read("env").split("\n")
        self.environment.update(line.split("=", 1) for line in lines if "=" in line)
        self.environment["LAB_RUN_DIR"] = self.folder

    def path(self, name: str) -> str:
        """The path of a file in RUN_DIR."""
        return os.path.join(self.folder, name)

    def read(self, name: str) -> str:
        """The text of a file; bytes that are not UTF-8 become surrogates."""
        with open(self.path(name), encoding="utf-8", errors="surrogateescape") as file:
            return file.read()

    def read_if_there(self, name: str) -> str:
        """The text of a file, or '' if it does not exist."""
        return self.read(name) if os.path.exists(self.path(name)) else ""

    def write(self, name: str, text: object) -> None:
        """Write one line."""
        with open(self.path(name), "w", encoding="utf-8") as file:
            file.write(f"{text}\n")

    def argv(self, text: str, confine: str) -> list[str]:
        """The argv for a shell text, in its sandbox if it has one."""
        command, wanted = ["bash", "-c", text], self.read_if_there(confine)
        if not wanted:
            return command
        if self.is_by_landlock(confine):
            return [*landlock(self.path(confine)), *command]
        return [*sandbox(wanted), *FIRST, *command]

    def is_by_landlock(self, confine: str) -> bool:
        """Whether the sandbox is made by Landlock."""
        return "by landlock" in self.read_if_there(confine).splitlines()

    def go(self, children: Children, stop: Stop) -> int:
        """Run the command. Returns its exit status, 124 or 125."""
        for name in ("rc", "ended", "resources"):
            if os.path.lexists(self.path(name)):
                os.unlink(self.path(name))
        self.write("handle", f"{os.getpid()} {birth(os.getpid())}")
        os.chdir(self.cwd)
        log = os.open(self.path("run.log"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
        self.write("host", os.uname().nodename)
        self.write("started", now())
        began, before, shared = time.monotonic(), counters(), self.shared_memory()
        helper = self.start_helper(children)
        child = children.start(self.argv(self.cmd, "confine"), self.environment, log)
        self.write("pid", child)
        status = self.outcome(children, stop, child, helper, began)
        if status == 0 and helper not in children.statuses and os.path.exists(self.path("reply/busy")):
            status = 125 if self.outcome(children, stop, helper, helper, began) == 125 else 0
        if not children.end():
            status = 125
        clear(self.shared_memory() - shared)
        self.write("ended", now())
        self.write("resources", used(children, helper, before))
        if status != 125 and not stop.wait(0):
            self.write("rc.new", status)
            os.rename(self.path("rc.new"), self.path("rc"))
            return status
        return 125

    def shared_memory(self) -> set[str]:
        """The files in shared memory; none if the command has its own, or may keep its files."""
        is_shared = self.is_by_landlock("confine") and "network" not in self.read("confine").splitlines()
        return {os.path.join(SHARED, name) for name in os.listdir(SHARED)} if is_shared else set()

    def start_helper(self, children: Children) -> int:
        """Start the command of `beside`. Returns its pid, or 0 if there is none."""
        beside = self.read_if_there("beside")
        if not beside:
            return 0
        os.makedirs(self.path("reply"), exist_ok=True)
        for name in os.listdir(self.path("reply")):
            os.unlink(self.path(f"reply/{name}"))  # left by an earlier run
        log = os.open(self.path("beside.log"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
        return children.start(self.argv(beside, "confine-beside"), self.environment, log)

    def outcome(self, children: Children, stop: Stop, child: int, helper: int, began: float) -> int:
        """Wait for the command, its limit, or a stop. If the helper ends, write `reply/ended`."""
        while True:
            children.reap()
            if helper in children.statuses and not os.path.exists(self.path("reply/ended")):
                self.write("reply/ended", children.statuses[helper])
            seconds = time.monotonic() - began
            if child in children.statuses:
                status = children.statuses[child]
                return 125 if stop.was_stopped(status, seconds) else status
            if seconds >= self.limit_s:
                return 124
            if stop.wait(self.limit_s - seconds):
                return 125


def sandbox(wanted: str) -> list[str]:
    """The bubblewrap command for the lines of `confine`."""
    lines = [line.partition(" ")[::2] for line in wanted.splitlines()]
    words = [*SANDBOX, *([] if ("network", "") in lines else ["--unshare-net", "--unshare-ipc"])]
    words += ["--bind" if lines[:1] == [("write", "/")] else "--ro-bind", "/", "/", *MOUNTED]
    again = list[str]()
    for word, path in lines:
        if word == "hide" and os.path.isdir(path):
            words += ["--tmpfs", path]
            again += ["--remount-ro", path]  # later, when the visible paths inside it are mounted
        elif word == "hide" and os.path.exists(path):
            words += ["--ro-bind", os.devnull, path]
        elif word in ("read", "write") and path != "/":
            words += ["--ro-bind" if word == "read" else "--bind", path, path]
    # A loop's copy of the toolkit is in a hidden folder.
    return [*words, "--ro-bind", OWN, OWN, *again]


def landlock(confine: str) -> list[str]:
    """The command of lib/child/landlock.py for a file `confine`."""
    return [*LANDLOCK, confine, ",".join(str(number) for number in KEPT.values())]


def clear(paths: set[str]) -> None:
    """Remove unused files of this user in shared memory, or the next run would find them."""
    used = b"".join(maps(pid) for pid in processes()) if paths else b""
    for path in paths:
        try:
            if os.lstat(path).st_uid == os.geteuid() and os.fsencode(path) not in used:
                os.unlink(path)
        except OSError:
            continue  # it has gone, or is a folder


def maps(pid: int) -> bytes:
    """The memory map of a process, from the kernel."""
    try:
        with open(f"/proc/{pid}/maps", "rb") as file:
            return file.read()
    except OSError:
        return b""


def now() -> str:
    """The UTC time with milliseconds."""
    seconds = time.time()
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{int(seconds % 1 * 1000):03d}Z"


def counters() -> tuple[float, int, float]:
    """Seconds since boot (with sleep), OOM kills since boot, and idle seconds of all cores."""
    return time.clock_gettime(BOOT_CLOCK), oom_kills(), idle_seconds()


def used(children: Children, helper: int, before: tuple[float, int, float]) -> str:
    """The resources used since then by the command and the helper, as JSON. The helper's orphans count as its own."""
    own = [pid for pid, session in children.sessions.items() if session != helper]
    beside = [pid for pid, session in children.sessions.items() if session == helper]
    seconds, kills, idle = (now - then for now, then in zip(counters(), before, strict=True))
    spent = {
        "wall_seconds": round(seconds, 3),
        "cpu_seconds": round(sum(children.cpu_seconds[pid] for pid in own), 3),
        "beside_cpu_seconds": round(sum(children.cpu_seconds[pid] for pid in beside), 3),
        "peak_memory_mb": round(max((children.peaks[pid] for pid in own), default=0.0), 1),
        "oom_kills": int(kills),
        "idle_cores": round(max(0, idle) / max(seconds, 0.001), 2),
    }
    # json is slow to import
    return "{" + ", ".join(f'"{name}": {number}' for name, number in spent.items()) + "}"


def oom_kills() -> int:
    """OOM kills since boot; 0 if the kernel does not count them."""
    try:
        with open("/proc/vmstat") as file:
            return next((int(line.split()[1]) for line in file if line.startswith("oom_kill ")), 0)
    except OSError:
        return 0


def idle_seconds() -> float:
    """Idle seconds of all cores since boot."""
    try:
        with open("/proc/stat") as file:
            idle, waiting = file.readline().split()[4:6]
    except (OSError, ValueError):
        return 0
    return (int(idle) + int(waiting)) / os.sysconf("SC_CLK_TCK")


def run(folder: str) -> int:
    """Run a RUN_DIR. Returns the exit status."""
    stop = Stop()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # if ignored, children would leave no status
    signal.pthread_sigmask(signal.SIG_BLOCK, [*stop.signals, signal.SIGCHLD])  # from here on sigtimedwait gets them
    prctl(PDEATHSIG, signal.SIGTERM)
    children = Children()
    try:
        return Run(folder).go(children, stop)
    except (OSError, ValueError, KeyError):
        children.end()  # any line may fail on a full disk
        return 125


def cancel(folder: str) -> bool:
    """End the runner of a RUN_DIR with its processes, and then any leftover ones. Returns whether none is left."""
    folder = os.path.realpath(folder)

    def runner() -> list[int]:
        try:
            with open(os.path.join(folder, "handle")) as file:
                pid, born = file.read().split()
        except (OSError, ValueError):
            return []
        return [int(pid)] if birth(pid) == born else []

    variable = b"LAB_RUN_DIR=" + os.fsencode(folder)
    return end_all(runner, runner, GIVE_UP_S + 1) and end_all(lambda: tagged(variable), lambda: tagged(variable))


def first(command: list[str]) -> int:
    """Be the first process of a sandbox. When the command ends, end all other processes, and count them."""
    if os.getpid() != 1:
        return 125  # otherwise it would end all processes of its user
    children = Children()
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD])
    child = children.start(command)
    while children.reap() and child not in children.statuses:
        signal.sigwait([signal.SIGCHLD])
    while children.reap():
        kill(-1, signal.SIGKILL)
        signal.sigtimedwait([signal.SIGCHLD], 0.1)
    return children.statuses[child]


def main(arguments: list[str]) -> int:
    """Run the program; see the top of this file. Returns the exit status."""
    if arguments[:1] == ["--cancel"]:
        return 0 if cancel(arguments[1]) else 1
    if arguments[:1] == ["--end"]:
        variable = os.fsencode(arguments[1])
        return 0 if end_all(lambda: tagged(variable), lambda: tagged(variable)) else 1
    if arguments[:1] == ["--can-confine"]:
        limited = ["timeout", "--kill-after=2", "10"]
        if arguments[1] == "landlock":
            os.execvp("timeout", [*limited, *landlock(os.devnull), sys.executable, "-IS", "-c", CUDA])
        os.execvp("timeout", [*limited, *sandbox(""), "true"])
    if arguments[:1] == ["--first"]:
        return first(arguments[1:])
    return run(arguments[0])


def start() -> None:
    """The whole program."""
    os._exit(main(sys.argv[1:]))  # skips the interpreter's cleanup; nothing is buffered


if __name__ == "__main__":
    start()
