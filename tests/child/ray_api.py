"""A stand-in for Ray's job API on loopback: jobs are children of the test, and faults are played."""

import json
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


def wait(condition: Callable[[], object], seconds: float = 20) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.02)


class Api:
    """Takes jobs as Ray 2.60 does. `faults` are words of the test: see `answer`."""

    def __init__(self) -> None:
        self.jobs: dict[str, dict[str, Any]] = {}
        self.children: dict[str, subprocess.Popen[bytes]] = {}
        self.faults: set[str] = set()
        self.tokens: list[str | None] = []
        self.total = {"CPU": [0.0, 2.0], "GPU": [0.0, 2.0]}
        api = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                api.tokens.append(self.headers["Authorization"])
                self.reply(*api.answer(self.path.removeprefix("/api/"), None))

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                self.reply(*api.answer(self.path.removeprefix("/api/"), body))

            def reply(self, status: int, said: object) -> None:
                data = said.encode() if isinstance(said, str) else json.dumps(said).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: object) -> None:
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, path: str, body: dict[str, Any] | None) -> tuple[int, object]:
        """The status and the object."""
        if "ill" in self.faults:
            return 500, "Traceback\nRuntimeError: GCS is gone"
        if path == "version":
            return 200, {"version": "4", "ray_version": "2.60.0"} if "stranger" not in self.faults else {"version": "4"}
        if path == "cluster_status":
            return 200, {"data": {"clusterStatus": {"loadMetricsReport": {"usage": self.total}}}}
        if path == "jobs/" and body is not None:
            return self.submit(body)
        name = path.split("/")[1]
        if name not in self.jobs:
            return 404, f"Job {name} does not exist"
        if path.endswith("/stop"):
            return 200, self.stop(name)
        return 200, self.state(name)

    def submit(self, body: dict[str, Any]) -> tuple[int, object]:
        name = body["submission_id"]
        if "refuses" in self.faults:
            return 500, "Traceback\nValueError: no such runtime_env\n"
        self.jobs[name] = {**body, "status": "PENDING", "message": "Job has not started yet.", "error_type": None}
        if "expires" in self.faults:  # once
            self.faults.remove("expires")
            self.jobs[name] |= {
                "status": "FAILED",
                "message": "Job supervisor actor failed to start within 900.0 seconds.",
                "error_type": "JOB_SUPERVISOR_ACTOR_START_TIMEOUT",
            }
        elif "full" not in self.faults:
            self.begin(name)
        return 200, {"submission_id": name}

    def begin(self, name: str) -> None:
        """With the environment of the head, not of who submits."""
        environment = {"PATH": "/usr/bin:/bin", "OF_THE_HEAD": "yes", "CUDA_VISIBLE_DEVICES": "1"}
        command = ["bash", "-c", self.jobs[name]["entrypoint"]]
        self.children[name] = subprocess.Popen(command, env=environment, start_new_session=True, cwd="/")
        self.jobs[name] |= {"status": "RUNNING", "message": "Job is currently running."}

    def state(self, name: str) -> dict[str, Any]:
        job, child = self.jobs[name], self.children.get(name)
        if job["status"] == "RUNNING" and child and child.poll() is not None and "blind" not in self.faults:
            code = child.returncode
            ended = {"status": "FAILED" if code else "SUCCEEDED", "driver_exit_code": code}
            job |= {**ended, "message": f"Job entrypoint command failed with exit code {code}, last logs"}
        return job

    def stop(self, name: str) -> dict[str, bool]:
        """A job that waits stays pending, as Ray's do."""
        if child := self.children.get(name):
            child.terminate()
            self.jobs[name] |= {"status": "STOPPED", "message": "Job was intentionally stopped."}
        return {"stopped": True}

    def lose_host(self, name: str) -> None:
        """With power."""
        child = self.children[name]
        subprocess.run(["pkill", "-KILL", "-s", str(child.pid)], check=False)
        child.kill()
        child.wait()
        self.jobs[name] |= {"status": "FAILED", "message": "Job supervisor actor died: its node has died"}

    def close(self) -> None:
        for child in self.children.values():
            with suppress(ProcessLookupError):
                child.send_signal(signal.SIGTERM)
            child.wait()
        self.server.shutdown()
        self.server.server_close()
