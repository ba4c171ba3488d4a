"""Engine `local`: one training run started, limited and ended, with nothing left of it (contract, "An engine").

RUN_DIR/rc is there only when the command came to its own end or to its limit: a stop is never taken for a verdict.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path

import pytest
from house import ROOT, hear_interrupts

ENGINE = ROOT / "lib/child/engines/local"
IGNORES_TERM = "trap '' TERM; "
# A trainer with a child that has made a session of its own; both ignore TERM, and are at work once `ready` is there.
STUBBORN = IGNORES_TERM + "setsid bash -c 'trap \"\" TERM; : >ready; while :; do sleep 0.2; done' & sleep 100; wait"


class Engine:
    """The engine in an environment that is built from nothing, and the RUN_DIRs that it is given."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {"PATH": os.environ["PATH"], "HOME": str(folder)}
        self.started: list[subprocess.Popen[str]] = []

    def run_dir(self, cmd: str, *, limit: float = 30, env: str = "SEED=42\n", name: str = "run") -> Path:
        run = self.folder / name
        (run / "tree").mkdir(parents=True)
        for fact, text in {"cmd": cmd, "cwd": str(run / "tree"), "limit_s": str(limit), "env": env}.items():
            (run / fact).write_text(text)
        return run

    def call(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [ENGINE, *arguments],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        print(f"{arguments}: {done}")
        return done

    def start(self, run: Path) -> subprocess.Popen[str]:
        """Start it, and do not wait: it is waited for, and killed, when the test ends."""
        with (self.folder / "engine.log").open("ab") as log:
            process = subprocess.Popen(
                [ENGINE, run],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                text=True,
                preexec_fn=hear_interrupts,
            )
        self.started.append(process)
        return process

    def at_work(self, run: Path) -> subprocess.Popen[str]:
        """Start it, and wait until its command has said `ready`."""
        process = self.start(run)
        wait_until((run / "tree" / "ready").exists)
        return process

    def end(self) -> None:
        for process in self.started:
            process.kill()
            process.wait()
        for pid in marked(f"HOME={self.folder}"):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = Engine(tmp_path)
    yield engine
    engine.end()


def wait_until(condition: Callable[[], object], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"still not after {seconds} s"
        time.sleep(0.02)


def left_of(run: Path) -> list[int]:
    """The processes that were started for this RUN_DIR and are alive."""
    return marked(f"LAB_RUN_DIR={run.resolve()}")


def marked(variable: str) -> list[int]:
    """The processes that have this in their environment."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if variable.encode() in (folder / "environ").read_bytes().split(b"\0"):
                found.append(int(folder.name))
        except OSError:
            continue
    return found


def fact(run: Path, name: str) -> str:
    text = (run / name).read_text()
    assert text.endswith("\n")
    return text[:-1]


def log(run: Path) -> str:
    return (run / "run.log").read_text()


def ended(run: Path, status: int) -> None:
    """It came to its end or its limit with this status."""
    assert fact(run, "rc") == str(status)
    assert left_of(run) == []


def stopped(run: Path) -> None:
    """It was ended from outside: there is no verdict, and nothing is left."""
    assert not (run / "rc").exists()
    assert left_of(run) == []


# --- A run ----------------------------------------------------------------------------------------------------------


def test_what_it_leaves(engine: Engine) -> None:
    run = engine.run_dir("echo $$ $PPID; sleep 0.1")
    process = engine.start(run)
    assert process.wait() == 0
    ended(run, 0)
    pid, parent = log(run).split()
    assert fact(run, "pid") == pid
    assert parent == str(process.pid)
    assert fact(run, "host") == socket.gethostname()
    assert fact(run, "handle") != ""
    started, over = (datetime.fromisoformat(fact(run, name).rstrip("Z")) for name in ("started", "ended"))
    assert 0.1 <= (over - started).total_seconds() < 20
    assert fact(run, "started").endswith("Z")
    assert abs(datetime.now(timezone.utc).replace(tzinfo=None) - over).total_seconds() < 60


def test_all_output_goes_to_the_log_and_nowhere_else(engine: Engine) -> None:
    run = engine.run_dir("echo out; echo err >&2; printf 'no newline'; echo x >/dev/tty || true")
    done = engine.call(run)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert log(run).startswith("out\nerr\nno newline")


def test_the_log_can_be_read_while_it_runs(engine: Engine) -> None:
    run = engine.run_dir("echo step 1; : >ready; sleep 30")
    engine.at_work(run)
    assert log(run) == "step 1\n"
    assert not (run / "rc").exists()
    assert not (run / "ended").exists()


def test_env_and_cwd(engine: Engine) -> None:
    """The command has what `env` says, and of the caller's environment only the GPUs that a scheduler has given."""
    engine.environment |= {"SEED": "7", "OTHER": "not kept", "CUDA_VISIBLE_DEVICES": "3"}
    cmd = 'printf \'%s\\n\' "$PWD" "$SEED" "$CACHE" "${OTHER-not there}" "$CUDA_VISIBLE_DEVICES"'
    run = engine.run_dir(cmd, env="SEED=42\nCACHE=/größer a=b $(x) 'q' \"d\" \\\n")
    assert engine.call(run).returncode == 0
    tree = str(run / "tree")
    assert log(run).splitlines() == [tree, "42", "/größer a=b $(x) 'q' \"d\" \\", "not there", "3"]


def test_a_proposer_has_the_callers_environment(engine: Engine) -> None:
    engine.environment |= {"MY_API_KEY": "k", "SEED": "7", "RUN": "where the ledger is", "LAB_CALLER_RUN": "theirs"}
    run = engine.run_dir('echo "$MY_API_KEY $SEED $RUN"')
    assert engine.call("--inherit", run).returncode == 0
    assert log(run) == "k 42 theirs\n"


def test_an_empty_env(engine: Engine) -> None:
    run = engine.run_dir("echo fine", env="")
    assert engine.call(run).returncode == 0
    assert log(run) == "fine\n"


def test_nobody_answers_the_command(engine: Engine) -> None:
    run = engine.run_dir("cat; read -r line || echo end of input")
    assert engine.call(run).returncode == 0
    assert log(run) == "end of input\n"


@pytest.mark.parametrize("name", ["a run", "größer", "it's", 'q"$(x)\\', "[a]*?", "-dash"])
def test_any_folder(engine: Engine, name: str) -> None:
    run = engine.run_dir("echo fine; sleep 100 & disown", name=name)
    assert engine.call(run).returncode == 0
    assert log(run) == "fine\n"
    ended(run, 0)
    assert engine.call("--cancel", run).returncode == 0


def test_the_log_of_an_earlier_run_is_not_this_ones(engine: Engine) -> None:
    run = engine.run_dir("echo fine")
    (run / "run.log").write_text("val_bpb: 0.1\n" * 1000)
    assert engine.call(run).returncode == 0
    assert log(run) == "fine\n"


# --- Its status -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cmd", "status"),
    [
        ("true", 0),
        ("exit 3", 3),
        ("exit 255", 255),
        ("no-such-command", 127),
        ("exec no-such-command", 127),
        ("exec /dev/null", 126),
        ("kill $$", 128 + signal.SIGTERM),
        ("kill -KILL $$", 128 + signal.SIGKILL),
        ("ulimit -c 0; kill -SEGV $$", 128 + signal.SIGSEGV),
        ("echo good; exit 1", 1),
        ("if then", 2),
    ],
)
def test_status(engine: Engine, cmd: str, status: int) -> None:
    run = engine.run_dir(cmd)
    done = engine.call(run)
    assert (done.returncode, done.stderr) == (status, "")
    ended(run, status)


@pytest.mark.parametrize(("cmd", "status"), [("exit 3", 3), ("kill -KILL $$", 137)])
def test_a_command_that_ends_at_once_is_not_missed(engine: Engine, cmd: str, status: int) -> None:
    """Before the limit is even set: bash forgets such a job, and would wait for the limit, and call it a timeout."""
    for number in range(8):
        run = engine.run_dir(cmd, limit=10, name=str(number))
        assert engine.call(run).returncode == status
        ended(run, status)


@pytest.mark.parametrize("missing", ["cmd", "cwd", "limit_s", "env", "tree"])
def test_a_fault_of_the_engine_is_no_verdict(engine: Engine, missing: str) -> None:
    run = engine.run_dir("touch $PWD/started; exit 1")
    path = run / missing
    path.rmdir() if path.is_dir() else path.unlink()
    assert engine.call(run).returncode == 125
    assert not (run / "rc").exists()
    assert not (run / "tree" / "started").exists()


def test_no_folder(engine: Engine) -> None:
    assert engine.call(engine.folder / "missing").returncode == 125


@pytest.mark.parametrize("arguments", [[], ["--bogus"], ["-x"]])
def test_unknown_arguments(engine: Engine, arguments: list[str]) -> None:
    done = engine.call(*arguments)
    assert done.returncode == 2
    assert "hint: " in done.stderr


def test_check(engine: Engine) -> None:
    done = engine.call("--check")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_whether_it_is_at_work(engine: Engine) -> None:
    run = engine.run_dir(": >ready; sleep 100")
    assert engine.call("--check", run).stdout == "gone\n"
    process = engine.at_work(run)
    assert engine.call("--check", run).stdout == "running\n"
    process.terminate()
    process.wait()
    assert engine.call("--check", run).stdout == "gone\n"


# --- As the job of a cluster -----------------------------------------------------------------------------------------


class Job(Engine):
    """The runner as the engine of a cluster calls it."""

    def start(self, run: Path) -> subprocess.Popen[str]:
        command = [sys.executable, "-IS", ROOT / "lib/child/runner.py", "--job", "job-1", run]
        self.started.append(subprocess.Popen(command, env=self.environment, text=True))
        return self.started[-1]


@pytest.fixture
def job(tmp_path: Path) -> Iterator[Job]:
    one = Job(tmp_path)
    yield one
    one.end()


def test_a_job_leaves_the_handle_of_its_engine(job: Job) -> None:
    run = job.run_dir("exit 3")
    (run / "handle").write_text("job-1\n17\n")
    assert job.start(run).wait() == 3
    ended(run, 3)
    assert (run / "handle").read_text() == "job-1\n17\n"


def cancelled(run: Path) -> None:
    (run / "cancelled").touch()


def another(run: Path) -> None:
    (run / "handle").write_text("job-2\n18\n")


def gone(run: Path) -> None:
    (run / "handle").unlink()


@pytest.mark.parametrize("become", [cancelled, another, gone])
def test_a_job_that_is_not_wanted_any_more_ends_without_a_verdict(job: Job, become: Callable[[Path], None]) -> None:
    """Also where the cluster has lost it: it would write where the next one does."""
    run = job.run_dir(": >ready; sleep 100")
    another(run)
    assert job.start(run).wait() == 125, "it was not wanted when it began"
    assert not (run / "tree/ready").exists()
    (run / "handle").write_text("job-1\n")
    process = job.at_work(run)
    become(run)
    assert process.wait(timeout=20) == 125
    stopped(run)
    assert not (run / "ended").exists()


def test_a_job_ends_with_its_run_dir(job: Job) -> None:
    run = job.run_dir(": >ready; sleep 100")
    (run / "handle").write_text("job-1\n")
    process = job.at_work(run)
    shutil.rmtree(run)
    (run / "tree").mkdir(parents=True)
    assert process.wait(timeout=20) == 125
    assert [path.name for path in run.iterdir()] == ["tree"]


# --- The limit ------------------------------------------------------------------------------------------------------


def test_over_the_limit(engine: Engine) -> None:
    run = engine.run_dir("echo begun; sleep 100", limit=0.5)
    began = time.monotonic()
    done = engine.call(run)
    assert 0.5 <= time.monotonic() - began < 0.5 + 4, "it does not wait for the KILL where the TERM was enough"
    assert (done.returncode, done.stdout, done.stderr) == (124, "", "")
    assert log(run) == "begun\n"
    ended(run, 124)


def test_over_the_limit_and_deaf(engine: Engine) -> None:
    """It ignores TERM, and so does its child, which is in another session."""
    run = engine.run_dir(STUBBORN, limit=1)
    began = time.monotonic()
    assert engine.call(run).returncode == 124
    assert time.monotonic() - began < 1 + 8
    assert (run / "tree" / "ready").exists()
    ended(run, 124)


def test_many_children(engine: Engine) -> None:
    run = engine.run_dir("for i in {1..20}; do (setsid sleep 100 &) ; sleep 100 & done; wait", limit=1)
    assert engine.call(run).returncode == 124
    ended(run, 124)


# --- A good end with something left ---------------------------------------------------------------------------------


def test_what_trains_on_in_the_background_is_ended_before_there_is_a_verdict(engine: Engine) -> None:
    child = IGNORES_TERM + ": >ready; exec setsid sleep 100"
    run = engine.run_dir(f"({child}) & while [[ ! -e ready ]]; do sleep 0.05; done")
    process = engine.at_work(run)
    wait_until((run / "rc").exists)
    ended(run, 0)
    assert process.wait() == 0


def test_rc_is_the_last_that_is_written(engine: Engine) -> None:
    run = engine.run_dir("echo fine")
    assert engine.call(run).returncode == 0
    times = {path.name: path.stat().st_mtime_ns for path in run.iterdir()}
    assert times["rc"] == max(times.values()), times
    assert times["ended"] > max(times[name] for name in ("pid", "host", "started", "handle", "run.log")), times


# --- A stop from outside --------------------------------------------------------------------------------------------


def test_cancel(engine: Engine) -> None:
    run = engine.run_dir("echo begun; : >ready; sleep 100")
    process = engine.at_work(run)
    began = time.monotonic()
    done = engine.call("--cancel", run)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert time.monotonic() - began < 5, "it does not wait for a zombie"
    stopped(run)
    assert process.wait(timeout=5) == 125
    assert log(run) == "begun\n"
    for _ in range(2):
        assert engine.call("--cancel", run).returncode == 0
        stopped(run)


def test_cancel_what_is_deaf(engine: Engine) -> None:
    run = engine.run_dir(STUBBORN)
    process = engine.at_work(run)
    assert engine.call("--cancel", run).returncode == 0
    stopped(run)
    assert process.wait(timeout=5) == 125


def test_cancel_a_trainer_that_ends_well_on_term(engine: Engine) -> None:
    """It exits 0, with a metric in the log: a stop all the same."""
    run = engine.run_dir("trap 'echo val_bpb: 1.0; exit 0' TERM; : >ready; while :; do sleep 0.1; done")
    engine.at_work(run)
    assert engine.call("--cancel", run).returncode == 0
    stopped(run)


def test_cancel_after_the_end_takes_nothing_back(engine: Engine) -> None:
    run = engine.run_dir("exit 3")
    engine.call(run)
    assert engine.call("--cancel", run).returncode == 0
    ended(run, 3)


def test_cancel_what_was_never_started(engine: Engine) -> None:
    run = engine.run_dir("true")
    assert engine.call("--cancel", run).returncode == 0
    stopped(run)


def test_cancel_one_of_two(engine: Engine) -> None:
    runs = [engine.run_dir(": >ready; sleep 100", name=name) for name in ("run", "run.2")]
    for run in runs:
        engine.at_work(run)
    assert engine.call("--cancel", runs[0]).returncode == 0
    stopped(runs[0])
    assert left_of(runs[1]) != []


@pytest.mark.parametrize("cmd", [": >ready; sleep 100", STUBBORN])
def test_cancel_after_the_engine_was_killed(engine: Engine, cmd: str) -> None:
    limit = 100_000 + os.getpid()  # a timer like no other
    run = engine.run_dir(cmd, limit=limit)
    process = engine.at_work(run)
    process.kill()
    process.wait()
    assert engine.call("--cancel", run).returncode == 0
    stopped(run)
    assert not is_alive(["sleep", str(limit)])


def is_alive(command: list[str]) -> bool:
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            lines.append(path.read_text(errors="replace").split("\0")[:-1])
        except OSError:
            continue
    return command in lines


def test_a_pid_that_is_somebody_elses_by_now_is_left_alone(engine: Engine) -> None:
    run = engine.run_dir("exit 3")
    engine.call(run)
    with subprocess.Popen(["sleep", "100"]) as bystander:
        handle = fact(run, "handle").split()
        (run / "handle").write_text(" ".join([str(bystander.pid), *handle[1:]]) + "\n")
        assert engine.call("--cancel", run).returncode == 0
        assert bystander.poll() is None
        bystander.kill()


@pytest.mark.parametrize(
    ("number", "cmd"),
    [(signal.SIGTERM, ": >ready; sleep 100"), (signal.SIGINT, ": >ready; sleep 100"), (signal.SIGTERM, STUBBORN)],
)
def test_a_signal_to_the_engine_ends_all(engine: Engine, number: signal.Signals, cmd: str) -> None:
    run = engine.run_dir(cmd)
    process = engine.at_work(run)
    began = time.monotonic()
    process.send_signal(number)
    assert process.wait(timeout=20) == 125
    assert time.monotonic() - began < 5
    stopped(run)


def test_a_signal_at_any_time_ends_all(engine: Engine) -> None:
    """In the very beginning, too, when it has not started its command yet, or waits for nothing."""
    runs = []
    for number in range(40):
        run = engine.run_dir("sleep 20", name=str(number))
        process = engine.start(run)
        time.sleep(number * 0.003)
        process.terminate()
        runs.append((run, process, time.monotonic()))
    for run, process, signalled in runs:
        process.wait(timeout=20)
        assert time.monotonic() - signalled < 10
        stopped(run)


@pytest.mark.parametrize(
    "cmd", ["sleep 100", "trap 'exit 3' TERM; sleep 100 & wait", "trap 'exit 0' TERM; sleep 100 & wait"]
)
def test_a_stop_that_the_command_hears_of_first(engine: Engine, cmd: str) -> None:
    """It is sent to many processes, and reaches them in any order."""
    for number in range(5):
        run = engine.run_dir(f": >ready; {cmd}", name=str(number))
        process = engine.at_work(run)
        time.sleep(0.5)
        os.killpg(int(fact(run, "pid")), signal.SIGTERM)
        time.sleep(0.02)
        process.terminate()
        assert process.wait(timeout=20) == 125
        stopped(run)


def test_a_signal_that_only_the_command_gets_is_its_end(engine: Engine) -> None:
    run = engine.run_dir(": >ready; sleep 100")
    process = engine.at_work(run)
    os.killpg(int(fact(run, "pid")), signal.SIGTERM)
    assert process.wait(timeout=20) == 143
    ended(run, 143)


def test_a_closed_terminal_ends_all(engine: Engine) -> None:
    run = engine.run_dir(STUBBORN)
    process = engine.at_work(run)
    process.send_signal(signal.SIGHUP)
    assert process.wait(timeout=20) == 125
    stopped(run)


def test_where_it_is_ignored_a_closed_terminal_ends_nothing(engine: Engine) -> None:
    """As under nohup, or in a loop."""
    run = engine.run_dir(": >ready; sleep 1; exit 3")
    ignoring = ["bash", "-c", "trap '' HUP; exec \"$@\"", "-", str(ENGINE), str(run)]
    with subprocess.Popen(ignoring, env=engine.environment) as process:
        wait_until((run / "tree/ready").exists)
        process.send_signal(signal.SIGHUP)
    assert process.returncode == 3
    ended(run, 3)


def test_it_ends_with_the_loop_that_it_is_for(engine: Engine) -> None:
    """Also where somebody between the two was killed, too, and could not pass it on."""
    with subprocess.Popen(["sleep", "100"]) as holder:
        engine.environment["LAB_HOLDER"] = str(holder.pid)
        run = engine.run_dir(": >ready; sleep 100")
        process = engine.at_work(run)
        holder.kill()  # and is a zombie, until it is waited for
        assert process.wait(timeout=20) == 125
    stopped(run)


def test_what_an_earlier_run_has_left_is_not_believed(engine: Engine) -> None:
    run = engine.run_dir(": >ready; sleep 100")
    for name in ("rc", "ended", "resources"):
        (run / name).write_text("0\n")
    engine.at_work(run)
    assert not [name for name in ("rc", "ended", "resources") if (run / name).exists()]
    assert engine.call("--cancel", run).returncode == 0
    stopped(run)


def test_a_disk_that_is_full_when_the_command_has_started_leaves_nothing(engine: Engine) -> None:
    run = engine.run_dir("sleep 100")
    (run / "pid").mkdir()  # nothing can be written there
    assert engine.call(run).returncode == 125
    stopped(run)


def test_the_first_process_of_a_sandbox_is_nothing_else() -> None:
    """It ends all other processes that it can see: by hand, those would be its user's."""
    runner = ROOT / "lib/child/runner.py"
    with subprocess.Popen(["sleep", "100"]) as bystander:
        assert subprocess.run([sys.executable, runner, "--first", "true"], check=False).returncode == 125
        assert bystander.poll() is None
        bystander.kill()


# --- What it has used, and what runs beside it -----------------------------------------------------------------------

BUSY = "python3 -c 'import time\nwhile time.process_time() < {}: pass'"


def resources(run: Path) -> dict[str, float]:
    return json.loads((run / "resources").read_text())


def test_the_cpu_seconds_of_all_are_counted(engine: Engine) -> None:
    """Of a child that was waited for, of one that has lost its parents, and of one that is ended with the command."""
    orphan = f"(setsid {BUSY.format(0.6)} &) ; "
    run = engine.run_dir(f"{BUSY.format(0.3)}; {orphan} sleep 3; {BUSY.format(99)} & sleep 1")
    assert engine.call(run).returncode == 0
    used = resources(run)["cpu_seconds"]
    assert 0.3 + 0.6 + 0.2 < used < 0.3 + 0.6 + 1.8, used
    assert resources(run)["beside_cpu_seconds"] == 0
    assert 0 < resources(run)["wall_seconds"] < 60
    assert 0 <= resources(run)["idle_cores"] <= len(os.sched_getaffinity(0)) + 0.1


def test_a_helper_runs_beside_it_and_ends_with_it(engine: Engine) -> None:
    run = engine.run_dir('until [[ -e $LAB_RUN_DIR/reply/said ]]; do sleep 0.05; done; cat "$LAB_RUN_DIR/reply/said"')
    (run / "beside").write_text(f'{BUSY.format(0.3)}; echo heard; echo 42 >"$LAB_RUN_DIR/reply/said"; sleep 100')
    assert engine.call(run).returncode == 0
    ended(run, 0)
    assert log(run) == "42\n"
    assert (run / "beside.log").read_text() == "heard\n"
    assert resources(run)["beside_cpu_seconds"] > 0.3


def test_whoever_waits_for_a_helper_is_told_of_its_end(engine: Engine) -> None:
    run = engine.run_dir('until [[ -e $LAB_RUN_DIR/reply/ended ]]; do sleep 0.05; done; cat "$LAB_RUN_DIR/reply/ended"')
    (run / "beside").write_text("exit 7")
    (run / "reply").mkdir()
    (run / "reply/ended").write_text("of an earlier run")
    assert engine.call(run).returncode == 0
    assert (run / "run.log").read_text() == "7\n"


@pytest.mark.parametrize(("status", "comes_to_its_end"), [(0, True), (3, False)])
def test_a_helper_at_work_outlives_a_command_that_went_well(
    status: int, comes_to_its_end: bool, engine: Engine
) -> None:
    run = engine.run_dir(f"until [[ -e $LAB_RUN_DIR/reply/busy ]]; do sleep 0.05; done; exit {status}")
    (run / "beside").write_text(': >"$LAB_RUN_DIR/reply/busy"; sleep 1 && : >"$LAB_RUN_DIR/done"')
    assert engine.call(run).returncode == status
    assert (run / "done").exists() == comes_to_its_end
    assert (run / "rc").read_text() == f"{status}\n"


def test_a_helper_at_work_has_the_commands_limit(engine: Engine) -> None:
    run = engine.run_dir("until [[ -e $LAB_RUN_DIR/reply/busy ]]; do sleep 0.05; done", limit=1)
    (run / "beside").write_text(': >"$LAB_RUN_DIR/reply/busy"; sleep 60')
    assert engine.call(run).returncode == 0, "it has come to its own end"


def test_the_memory_of_the_largest_process_is_told(engine: Engine) -> None:
    run = engine.run_dir(f"{sys.executable} -c 'x = b\"1\" * 10**8'")
    (run / "beside").write_text(f"{sys.executable} -c 'x = b\"1\" * 3 * 10**8'; sleep 9")
    assert engine.call(run).returncode == 0
    assert 100 < resources(run)["peak_memory_mb"] < 200, "the helper's is its own"
    assert resources(run)["cpu_seconds"] < 0.3


def test_an_orphan_of_the_helper_is_the_helpers(engine: Engine) -> None:
    """Its own shell has ended, or ends first: the runner is its parent then."""
    run = engine.run_dir("until [[ -e $LAB_RUN_DIR/large ]]; do sleep 0.05; done")
    (run / "large.py").write_text(f"x = b'1' * 3 * 10**8\nsum(range(10**7))\nopen('{run}/large', 'w')\ninput()\n")
    (run / "beside").write_text(f'sleep 9 | {sys.executable} "$LAB_RUN_DIR/large.py" & exit 0')
    assert engine.call(run).returncode == 0
    used = resources(run)
    assert used["peak_memory_mb"] < 100
    assert used["cpu_seconds"] < 0.2 < used["beside_cpu_seconds"]


# --- What leaves everything behind -----------------------------------------------------------------------------------

# Its parent, its session, its group and its environment; and it does not hear TERM.
DAEMON = "(env -i setsid bash -c 'trap \"\" TERM; exec -a left-behind sleep 97' &) ; sleep 0.5; "


def named(name: str) -> list[int]:
    """The processes that go by this name."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if (folder / "cmdline").read_bytes().startswith(name.encode()):
                found.append(int(folder.name))
        except OSError:
            continue
    return found


@pytest.mark.parametrize(("then", "status"), [("exit 3", 3), ("sleep 60", 124)])
def test_a_daemon_without_environment_is_ended_all_the_same(engine: Engine, then: str, status: int) -> None:
    name = f"left-behind-{status}"
    run = engine.run_dir(DAEMON.replace("left-behind", name) + then, limit=2)
    began = time.monotonic()
    engine.call(run)
    assert time.monotonic() - began < 12
    ended(run, status)
    assert named(name) == []


def test_a_stop_ends_a_daemon_too(engine: Engine) -> None:
    run = engine.run_dir(DAEMON.replace("left-behind", "left-by-a-stop") + "touch ready; sleep 60")
    process = engine.at_work(run)
    assert named("left-by-a-stop") != []
    process.terminate()
    process.wait(12)
    stopped(run)
    assert named("left-by-a-stop") == []
