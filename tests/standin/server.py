"""The server: a script, a list of answers, one for each call of a proposer, over HTTP on loopback.

Which call it is, a POST to /next says: the shim that stands before the agent on PATH sends it (see `agents_house`), for
nothing in the requests of all agents tells a second try from a second call.
"""

import base64
import json
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

from .answers import Answer, Asks, Call, Error, Silence, Text
from .apis import Api, Event, api_of

SPENT = Asks("There is nothing more in the script.")


@dataclass(frozen=True)
class Request:
    """What an agent has sent: `call` is the proposer's, from 1 on."""

    call: int
    path: str
    headers: dict[str, str]
    body: Any = field(repr=False)

    @property
    def text(self) -> str:
        """As JSON."""
        return json.dumps(self.body, ensure_ascii=False)


class Logins:
    """An account whose refresh tokens are used once: who comes with a used one ends the login for all."""

    def __init__(self) -> None:
        """The first refresh token is `refresh-1`."""
        self.lock = threading.Lock()
        self.renewals = 0
        self.is_over = False

    def renewed(self, asked: dict[str, Any]) -> tuple[int, Any]:
        """The answer to a request of a new token: its status and content."""
        time.sleep(0.3)  # so that those who come at once meet
        with self.lock:
            self.is_over |= asked.get("refresh_token") != f"refresh-{self.renewals + 1}"
            if self.is_over:
                return 401, {"error": {"code": "refresh_token_reused", "message": "it was used already"}}
            self.renewals += 1
            new = {"access_token": jwt(864_000), "id_token": jwt(3600), "refresh_token": f"refresh-{self.renewals + 1}"}
            return 200, new


def jwt(seconds: float) -> str:
    """An access token that ends so much later, as OpenAI's are; nobody has signed it."""
    account = {"chatgpt_plan_type": "pro", "chatgpt_account_id": "one"}
    claims = {"exp": int(time.time() + seconds), "email": "a@example.org", "https://api.openai.com/auth": account}
    parts = (json.dumps(part).encode() for part in ({"alg": "none", "typ": "JWT"}, claims))
    return ".".join([*(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts), "x"])


class StandIn:
    """`with StandIn([...]) as model:` answers at `model.url` until the block ends."""

    def __init__(self, script: Sequence[Answer] = ()) -> None:
        """A script that is used up says so."""
        self.script = list(script)
        self.calls = 0
        self.requests: list[Request] = []
        self.over = threading.Event()
        self.logins = Logins()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler(self))
        self.server.daemon_threads = True
        self.server.socket.listen(128)  # 5 by default, too few for all calls of a busy machine

    @property
    def port(self) -> int:
        """A free one."""
        return int(self.server.server_address[1])

    @property
    def url(self) -> str:
        """Without the `/v1`."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def answer(self) -> Answer:
        """Of the call that goes on."""
        at = max(self.calls, 1) - 1
        return self.script[at] if at < len(self.script) else SPENT

    def asked(self) -> list[Request]:
        """The requests to a model, without those for lists and counts."""
        return [one for one in self.requests if api_of(one.path)]

    def __enter__(self) -> "StandIn":
        """Start it."""
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Stop it; what hangs ends."""
        self.over.set()
        self.server.shutdown()
        self.server.server_close()


def handler(model: StandIn) -> type[BaseHTTPRequestHandler]:
    """A handler class that knows the script."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.log_it(None)
            listed = {
                "id": "stand-in",
                "object": "model",
                "type": "model",
                "display_name": "stand-in",
                "slug": "stand-in",
            }
            self.send(200, {"object": "list", "data": [listed], "models": [], "has_more": False})

        do_HEAD = do_GET  # noqa: N815

        def do_POST(self) -> None:
            path = self.path.split("?")[0]
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            if path == "/next":
                model.calls += 1
                return self.send(200, {})
            content = json.loads(body or b"{}")
            self.log_it(content)
            if path == "/oauth/token":
                return self.send(*model.logins.renewed(content))
            if api := api_of(path):
                return self.answer(api, content)
            return self.send(200, {"input_tokens": 100, "totalTokens": 100})  # a count, or something of no interest

        def log_it(self, body: Any) -> None:
            model.requests.append(Request(model.calls, self.path.split("?")[0], dict(self.headers), body))

        def answer(self, api: Api, content: Any) -> None:
            asked = api.asked(content)
            reply = model.answer.reply(asked)
            if isinstance(reply, Silence):
                model.over.wait(600)
            elif isinstance(reply, Error):
                self.send(reply.status, api.error(reply), reply.headers)
            elif asked.stream or "stream" in self.path:
                self.stream(list(api.events(asked, reply)))
            else:
                self.send(200, api.whole(asked, reply))

        def stream(self, events: list[Event]) -> None:
            lines = [f"event: {name}\n" * bool(name) + f"data: {json.dumps(data)}\n\n" for name, data in events]
            end = "" if events[0][0] or "stream" in self.path else "data: [DONE]\n\n"
            self.put(200, "".join([*lines, end]).encode(), {"content-type": "text/event-stream"})

        def send(self, status: int, value: Any, headers: dict[str, str] | None = None) -> None:
            self.put(status, json.dumps(value).encode(), {"content-type": "application/json", **(headers or {})})

        def put(self, status: int, data: bytes, headers: dict[str, str]) -> None:
            try:
                self.send_response(status)
                for name, value in {**headers, "content-length": str(len(data))}.items():
                    self.send_header(name, value)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(data)
            except OSError:  # the agent was ended
                self.close_connection = True

        def log_message(self, format: str, *args: object) -> None:
            """Nothing on stderr."""

    return Handler


__all__ = ["Call", "Request", "StandIn", "Text"]
