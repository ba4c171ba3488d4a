#!/usr/bin/env python3
"""The engine for Ray: each run is a job of Ray's job API, with the runner in it (what an engine is: CONTRIBUTING.md).

Usage: ray RUN_DIR | ray --wait RUN_DIR | ray --cancel RUN_DIR | ray --check [RUN_DIR]

RAY_ADDRESS is where the dashboard answers, http://127.0.0.1:8265 where nobody says otherwise. A job gets one CPU and,
where the cluster has any, GPUS_PER_SLOT GPUs. RAY_OPTIONS, a JSON object, says what else a submission has:
{"entrypoint_num_gpus": 2, "entrypoint_resources": {"a100": 1}}. Where Ray asks for a token: RAY_AUTH_TOKEN, or
~/.ray/auth_token.

The verdict is RUN_DIR/rc, never what Ray says of a job: where the raylet of a host was killed, it says RUNNING for
ever, and where a job waits for 15 minutes, FAILED. RUN_DIR, the tree and the environment have the same paths on the
hosts that compute. RUN_DIR/handle: the name of the job, and the address. Standard library only.
"""

import json
import os
import shlex
import signal
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from pathlib import Path
from typing import Any, NoReturn

ADDRESS = "http://127.0.0.1:8265"
MARGIN_S = float(os.environ.get("LAB_RAY_MARGIN_S") or 180)  # beyond the limit, which the runner holds
RC_GRACE_S = float(os.environ.get("LAB_RC_GRACE_S") or 60)  # until a file is seen on a shared folder
LOST_S = float(os.environ.get("LAB_RAY_LOST_S") or 300)  # that a cluster may be silent, and the run be waited for
OWN_END_S = 8  # that a runner may take to end by itself: it ends all; Ray kills what it finds, 3 s after TERM
CANCEL_S = 45
LONGEST_PAUSE_S = 30.0  # between two questions
TELL_EVERY_S = 3600.0
OVER = ("SUCCEEDED", "FAILED", "STOPPED")
NOT_STARTED = "JOB_SUPERVISOR_ACTOR_START_TIMEOUT"
OWN = Path(__file__).resolve()


class SilentError(Exception):
    """Raised when the cluster does not answer as Ray does."""


def say(problem: str, hint: str = "") -> None:
    """Print a line for a person, which the loop repeats."""
    print(f"ray: {problem}", *([f"hint: {hint}"] if hint else []), sep="\n", file=sys.stderr, flush=True)


def fail(problem: str, hint: str = "") -> NoReturn:
    """Print why there is no verdict, and exit with 125."""
    say(problem, hint)
    raise SystemExit(125)


class Cluster:
    """The job API at an address."""

    def __init__(self, address: str) -> None:
        """Take the address of a dashboard, such as http://host:8265."""
        self.address = address.rstrip("/")
        parts = urllib.parse.urlsplit(self.address)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            fail(
                f"RAY_ADDRESS '{address}' is not the address of Ray's dashboard",
                "set it: RAY_ADDRESS=http://HOST:8265",
            )
        here = parts.hostname in ("127.0.0.1", "localhost", "::1")
        self.open = urllib.request.build_opener(*([urllib.request.ProxyHandler({})] if here else [])).open
        self.headers = {"Content-Type": "application/json", **token()}

    def ask(self, path: str, body: dict[str, Any] | None = None, *, post: bool = False) -> dict[str, Any] | None:
        """Return the object of the answer, or None if there is no such job. Raises SilentError."""
        data = json.dumps(body or {}).encode() if post else None
        request = urllib.request.Request(f"{self.address}/api/{path}", data, self.headers)
        try:
            with self.open(request, timeout=30) as answer:
                said: dict[str, Any] = json.loads(answer.read())
                return said
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return None
            lines = error.read().decode(errors="replace").strip().splitlines()
            raise SilentError(f"HTTP {error.code}: {lines[-1][:300] if lines else error.reason}") from None
        except (OSError, ValueError) as error:
            raise SilentError(str(getattr(error, "reason", error))) from None

    def resources(self) -> dict[str, float]:
        """The resources of all hosts together, by name. Empty if the cluster does not tell them."""
        try:
            said: Any = self.ask("cluster_status") or {}
            usage = said["data"]["clusterStatus"]["loadMetricsReport"]["usage"]
            return {name: float(of[1]) for name, of in usage.items()}
        except (SilentError, LookupError, TypeError, ValueError):
            return {}


def token() -> dict[str, str]:
    """The header with the token, if there is one, found as Ray's own client finds it."""
    path = Path(os.environ.get("RAY_AUTH_TOKEN_PATH") or Path.home() / ".ray/auth_token")
    try:
        known = os.environ.get("RAY_AUTH_TOKEN") or path.read_text().strip()
    except OSError:
        return {}
    return {"Authorization": f"Bearer {known}"}


def wanted(cluster: Cluster) -> dict[str, Any]:
    """The resources that a submission asks for."""
    there = cluster.resources()
    gpus = float(os.environ.get("GPUS_PER_SLOT") or 1) if there.get("GPU") else 0
    asked = {"entrypoint_num_cpus": 1, "entrypoint_num_gpus": gpus}
    try:
        more = json.loads(os.environ.get("RAY_OPTIONS") or "{}")
        asked |= more
    except (ValueError, TypeError):
        fail(
            f"RAY_OPTIONS is not a JSON object: '{os.environ['RAY_OPTIONS']}'",
            "set it: RAY_OPTIONS='{\"entrypoint_num_gpus\": 1}'",
        )
    for name, key in (("CPU", "entrypoint_num_cpus"), ("GPU", "entrypoint_num_gpus")):
        if there and asked[key] > there.get(name, 0):
            say(f"a run needs {asked[key]:g} {name}, but all hosts have {there.get(name, 0):g}: it waits for more")
    return asked


class Run:
    """A RUN_DIR, and its job."""

    def __init__(self, folder: str) -> None:
        """Read the handle. NAME is empty if there is none."""
        if not os.path.isdir(folder):
            fail(f"no such folder: '{folder}'")
        self.folder = Path(os.path.realpath(folder))
        lines = self.text("handle").splitlines()
        self.name = lines[0] if len(lines) == 2 and lines[0].startswith("autoresearch-") else ""
        self.cluster = Cluster(lines[1] if self.name else os.environ.get("RAY_ADDRESS") or ADDRESS)
        self.why = ""
        self.is_stopped = False  # by whom ever: there will be no rc

    def text(self, name: str) -> str:
        """The text of a file in the RUN_DIR, or an empty string if there is no such file."""
        try:
            return (self.folder / name).read_text(errors="surrogateescape")
        except OSError:
            return ""

    def submit(self) -> None:
        """Submit the job. The handle is written first, because the runner checks that it is still wanted."""
        if not (
            self.text("cmd")
            and os.access(self.folder / "env", os.R_OK)
            and os.path.isdir(self.text("cwd").rstrip("\n"))
        ):
            fail(f"there is no run in '{self.folder}'")
        asked = wanted(self.cluster)
        for name in ("rc", "ended", "resources", "cancelled"):
            (self.folder / name).unlink(missing_ok=True)
        self.name = f"autoresearch-{uuid.uuid4()}"
        new = self.folder / "handle.new"
        new.write_text(f"{self.name}\n{self.cluster.address}\n")
        new.replace(self.folder / "handle")
        python = Path(os.environ.get("UV_PROJECT_ENVIRONMENT") or OWN.parents[2] / ".venv") / "bin/python"
        log, runner = shlex.quote(str(self.folder / "job.log")), shlex.quote(str(OWN.with_name("runner.py")))
        entrypoint = (
            f'exec >{log} 2>&1; python={shlex.quote(str(python))}; [ -x "$python" ] || python=python3; '
            f'exec "$python" -IS {runner} --job {self.name} {shlex.quote(str(self.folder))}'
        )
        try:
            self.cluster.ask("jobs/", {"entrypoint": entrypoint, "submission_id": self.name, **asked}, post=True)
        except SilentError as error:
            self.cancel_quietly()  # it may have heard of it
            fail(f"cannot submit a job to '{self.cluster.address}': {error}", "see: make doctor ENGINE=ray")

    def state(self) -> str:
        """The state: pending, running, gone or unknown. Sets `why`."""
        try:
            job = self.cluster.ask(f"jobs/{self.name}")
        except SilentError as error:
            self.why = str(error)
            return "unknown"
        if job is None:
            self.why = "Ray no longer knows this job"
            return "gone"
        self.why = " ".join(str(job.get("message") or job.get("status")).split())[:300]
        self.is_stopped = job.get("status") == "STOPPED" or job.get("driver_exit_code") == 125
        if job.get("status") in OVER:
            if job.get("error_type") == NOT_STARTED or "failed to start within" in self.why:
                return "expired"
            return "gone"
        return "pending" if job.get("status") == "PENDING" else "running"

    def wait(self) -> None:
        """Wait until there is an rc or the job is gone. A job that Ray gave up before its start is submitted again."""
        pause, ask_at, heard, tell_at = 1.0, time.monotonic() + 0.5, time.monotonic(), time.monotonic() + 60
        since: float | None = None
        while not (self.folder / "rc").exists():
            now = time.monotonic()
            if is_holder_gone():
                raise SystemExit(125)  # the loop was killed: the next one finds the job
            if now >= ask_at:
                state = self.state()
                ask_at, pause = now + pause, min(LONGEST_PAUSE_S, 1.5 * pause)
                heard = heard if state == "unknown" else now
                if state == "gone":
                    return
                if state == "expired":
                    self.submit()
                elif state == "running":
                    since = since or now
                    self.end_overdue(now - since)
                elif state == "pending" and now >= tell_at:
                    say(f"job '{self.name}' is waiting in the queue: {self.why}")
                    tell_at = now + TELL_EVERY_S
                elif now > heard + LOST_S:
                    (self.folder / "cancelled").touch()
                    fail(f"'{self.cluster.address}' has not answered for {LOST_S:.0f} s: {self.why}", "see: ray status")
            nap(0.5)

    def end_overdue(self, seconds: float) -> None:
        """End the job if it is over its limit. If its host died, Ray may not know that."""
        if seconds > float(self.text("limit_s") or 0) + MARGIN_S:
            self.cancel_quietly()
            fail(f"job '{self.name}' ran longer than its limit")

    def verdict(self) -> int:
        """The exit status of a job that is gone. A shared folder may show its rc late."""
        said = self.text("job.log").splitlines()
        until = time.monotonic() + RC_GRACE_S
        while not (self.folder / "rc").exists() and time.monotonic() < until:
            if self.is_stopped or (self.folder / "cancelled").exists():
                until = min(until, time.monotonic() + RC_GRACE_S / 10)
            nap(0.5)
            os.listdir(self.folder)  # makes a shared folder show new files
        try:
            return int(self.text("rc"))
        except ValueError:
            fail(f"job '{self.name}' ended without a result: {self.why}{f': {said[-1]}' if said else ''}")

    def cancel(self) -> None:
        """Cancel the job and wait for its end. The runner ends at `cancelled`, even if Ray does not stop it."""
        if not self.name or (self.folder / "rc").exists():
            return
        (self.folder / "cancelled").touch()
        began, asked = time.monotonic(), False
        while (state := self.state()) in ("running", "unknown") or (state == "pending" and not asked):
            waited = time.monotonic() - began
            if waited > CANCEL_S:
                fail(
                    f"could not cancel job '{self.name}': {self.why}",
                    f"cancel it by hand: ray job stop --address={self.cluster.address} {self.name}",
                )
            if not asked and (state == "pending" or waited > OWN_END_S):
                asked = self.stop()
            time.sleep(0.3)

    def stop(self) -> bool:
        """Ask Ray to stop the job. Ray stops a pending job only at its start, and then the runner sees `cancelled`."""
        try:
            self.cluster.ask(f"jobs/{self.name}/stop", post=True)
        except SilentError:
            return False
        return True

    def cancel_quietly(self) -> None:
        """Cancel the job, and ignore a cluster that does not answer."""
        (self.folder / "cancelled").touch()
        self.stop()


def nap(seconds: float) -> None:
    """Wait. A signal ends the wait at once, through `stopped`."""
    time.sleep(seconds)


def is_holder_gone() -> bool:
    """Whether the loop was killed."""
    try:
        os.kill(int(os.environ.get("LAB_HOLDER") or os.getpid()), 0)
    except OSError as error:
        return isinstance(error, ProcessLookupError)
    return False


def start(run: Run, *, is_new: bool) -> int:
    """Run it to its end. Returns its status."""

    def stopped(*_: object) -> NoReturn:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        if not is_holder_gone():  # else nobody has asked for that, and the next loop goes on with the job
            run.cancel()
        raise SystemExit(125)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, stopped)
    if is_new:
        run.submit()
    elif not run.name:
        return 125
    run.wait()
    return run.verdict()


def check() -> int:
    """Check that the cluster answers and has the resources of a run."""
    cluster = Cluster(os.environ.get("RAY_ADDRESS") or ADDRESS)
    try:
        if not (cluster.ask("version") or {}).get("ray_version"):
            raise SilentError("its answer has no ray_version")
    except SilentError as error:
        hint = "set the address of its dashboard: RAY_ADDRESS=http://HOST:8265"
        fail(f"no Ray answers at '{cluster.address}': {error}", hint)
    wanted(cluster)
    return 0


def main(arguments: list[str]) -> int:
    """Run the program; see the top of this file. Returns the exit status."""
    match arguments:
        case ["--check"]:
            return check()
        case ["--check", folder]:
            run = Run(folder)
            state = run.state() if run.name else "gone"
            if state == "unknown":
                fail(run.why, f"does '{run.cluster.address}' answer?")
            print("gone" if state == "expired" else state)
            return 0
        case ["--cancel", folder]:
            Run(folder).cancel()
            return 0
        case ["--wait", folder]:
            return start(Run(folder), is_new=False)
        case [folder] if not folder.startswith("-"):
            return start(Run(folder), is_new=True)
    print(f"ray: unknown argument '{arguments[0] if arguments else ''}'", file=sys.stderr)
    print("hint: ray RUN_DIR | ray --wait RUN_DIR | ray --cancel RUN_DIR | ray --check [RUN_DIR]", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
