"""A Hugging Face hub on loopback: one data set of parquet shards, served with the faults that a test asks for.

It answers what the real one answers: the size and the hash of a file, and that its bytes are on another host; there,
the bytes, also from somewhere in the middle.
"""

import hashlib
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

DATASET = "karpathy/climbmix-400b-shuffle"
RESOLVE = f"/datasets/{DATASET}/resolve/main"


class Hub(ThreadingHTTPServer):
    """`files`: content by name. `faults`: by name, what to do wrong at its first, second, ... download:

    a status such as 503; `cut`: half of what was asked for, and then the connection is closed; `stall`: half, and then
    nothing more; `truncated`: a short file, said to be short; `garbage`: other bytes, as many. `hidden` files are not
    in the data set. `kind`: `hub`; or a `plain` mirror, a server of files, without hashes; or one that knows `no HEAD`.
    """

    daemon_threads = True

    def __init__(self, files: dict[str, bytes]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files = files
        self.faults: dict[str, list[Any]] = defaultdict(list)
        self.hidden: set[str] = set()
        self.kind = "hub"
        self.over = threading.Event()
        self.asked: list[tuple[str, str | None]] = []  # downloads: name and range

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    @property
    def elsewhere(self) -> str:
        """Where the bytes are: another host, which the client must not ask about the file."""
        return f"http://localhost:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Hub

    def log_message(self, *_: Any) -> None:
        """Nothing."""

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in {"content_length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_HEAD(self) -> None:
        if self.server.kind == "no HEAD":
            return self.answer(501)
        return self.do_GET()

    def do_GET(self) -> None:
        folder, _, name = self.path.rpartition("/")
        if name not in self.server.files or name in self.server.hidden:
            self.answer(404, **({"x_error_code": "EntryNotFound"} if self.server.kind == "hub" else {}))
        elif folder == "/bytes" or (folder == RESOLVE and self.server.kind != "hub"):
            self.send_bytes(name)
        elif folder == RESOLVE:
            content = self.server.files[name]
            etag = f'"{hashlib.sha256(content).hexdigest()}"'
            about = {"x_repo_commit": "c" * 40, "x_linked_etag": etag, "x_linked_size": str(len(content))}
            self.answer(302, location=f"{self.server.elsewhere}/bytes/{name}", **about)
        else:
            self.answer(404)

    def send_bytes(self, name: str) -> None:
        content, asked = self.server.files[name], self.headers["range"]
        if self.command == "HEAD":
            return self.answer(200, content)
        self.server.asked.append((name, asked))
        start = int(asked.removeprefix("bytes=").split("-")[0]) if asked else 0
        rest = content[start:]
        fault = self.server.faults[name].pop(0) if self.server.faults[name] else None
        headers = {"accept_ranges": "bytes"}
        if asked:
            headers["content_range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        if isinstance(fault, int):
            return self.answer(fault)
        if fault == "garbage":
            rest = bytes(len(rest))
        if fault == "truncated":
            rest = rest[: len(rest) // 2]
        if fault in ("cut", "stall"):
            self.answer(206 if asked else 200, rest[: len(rest) // 2], **{**headers, "content_length": str(len(rest))})
            self.server.over.wait(0 if fault == "cut" else 60)
            self.close_connection = True
            return None
        return self.answer(206 if asked else 200, rest, **headers)


@contextmanager
def serving(files: dict[str, bytes]) -> Iterator[Hub]:
    """A hub with these files, until the end of the block."""
    hub = Hub(files)
    threading.Thread(target=hub.serve_forever, daemon=True).start()
    try:
        yield hub
    finally:
        hub.over.set()
        hub.shutdown()
        hub.server_close()
