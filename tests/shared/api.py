"""An API on loopback that lets the practice provider's tokens in, and remembers what came."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from valetkey.testing import Practice


@dataclass(frozen=True, slots=True)
class Seen:
    """A request as it came in, and the port that it came from: one for each connection."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    port: int

    @property
    def token(self) -> str:
        return self.headers.get("authorization", "").removeprefix("Bearer ")


Reply = tuple[int, Mapping[str, str], bytes]
INVALID = 'Bearer error="invalid_token"'


class Api:
    """A server on loopback that lets the practice provider's tokens in, unless a test writes its answers.

    Attributes:
        answers: Path -> what answers there.
        seen: What came in.
        wants: The header that lets in, with ``{token}`` for the token.
    """

    def __init__(self, practice: Practice) -> None:
        self.answers: dict[str, Callable[[Seen], Reply]] = {}
        self.seen: list[Seen] = []
        self.wants = "Authorization: Bearer {token}"
        self._practice = practice
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True
            timeout = 30

            def do_GET(self) -> None:
                chunked = "chunked" in self.headers.get("Transfer-Encoding", "")
                body = self._chunks() if chunked else self.rfile.read(int(self.headers.get("Content-Length", 0)))
                headers = {name.lower(): text for name, text in self.headers.items()}
                self._send(api.answer(Seen(self.command, self.path, headers, body, self.client_address[1])))

            do_POST = do_PUT = do_GET  # noqa: N815

            def _chunks(self) -> bytes:
                body = b""
                while size := int(self.rfile.readline(), 16):
                    body += self.rfile.read(size)
                    self.rfile.readline()
                self.rfile.readline()
                return body

            def _send(self, reply: Reply) -> None:
                status, headers, body = reply
                self.send_response(status)
                for name, text in headers.items():
                    self.send_header(name, text)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        class Server(ThreadingHTTPServer):
            request_queue_size = 256
            daemon_threads = True

            def handle_error(self, request: Any, client_address: Any) -> None:
                """Say nothing of clients that hang up."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()
        self.host = f"127.0.0.1:{self._server.server_address[1]}"
        self.url = f"http://{self.host}"

    def answer(self, seen: Seen) -> Reply:
        self.seen.append(seen)
        return self.answers.get(seen.path, self.usual)(seen)

    def usual(self, seen: Seen) -> Reply:
        name, _, form = self.wants.partition(": ")
        before, after = form.split("{token}")
        carried = seen.headers.get(name.lower(), "")
        token = carried.removeprefix(before).removesuffix(after)
        if carried == f"{before}{token}{after}" and self._practice.provider.is_live(token):
            return 200, {}, b"welcome"
        return 401, {"WWW-Authenticate": INVALID}, b"stay out " * 1000

    def at(self, path: str) -> list[Seen]:
        return [seen for seen in self.seen if seen.path == path]

    def paths(self) -> list[str]:
        return [seen.path for seen in self.seen]

    def refuse(self, path: str, challenge: str = INVALID, status: int = 401) -> None:
        """Answer so at this path, whatever comes."""
        self.answers[path] = lambda _: (status, {"WWW-Authenticate": challenge} if challenge else {}, b"no")

    def lead(self, path: str, to: str, status: int = 302) -> None:
        """Redirect from this path, whoever comes."""
        self.answers[path] = lambda _: (status, {"Location": to}, b"over there")

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
