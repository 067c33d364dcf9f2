"""A server that stands for every host of the Internet: a proxy on loopback, with certificates that the test trusts.

A client goes through it by ``HTTPS_PROXY`` and believes it by ``SSL_CERT_FILE``, as it would at a company's proxy: what
it does with URLs, TLS and headers is what it does elsewhere.  No request leaves the machine.
"""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast

from cryptography import x509

from shared.authority import Authority


@dataclass(frozen=True)
class Asked:
    """A request: its method, whole URL, headers by their names in small letters, and body."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Reply:
    """An answer, as JSON; or this very text, where one is given."""

    status: int
    members: Mapping[str, Any] | list[Any]
    headers: Mapping[str, str] = field(default_factory=dict)
    text: str | None = None


class Everywhere:
    """The proxy.

    Attributes:
        answer: Answers every request, whatever host it is for.
        variables: The environment variables by which a client finds and believes it.
    """

    def __init__(self, folder: Path) -> None:
        self.answer: Callable[[Asked], Reply] = lambda _: Reply(404, {})
        self._authority = Authority(folder)
        self._contexts: dict[str, ssl.SSLContext] = {}
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._server.daemon_threads = True
        self._server.everywhere = self  # type: ignore[attr-defined]
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()
        proxy = f"http://127.0.0.1:{self._server.server_port}"
        self.variables = {"HTTPS_PROXY": proxy, "NO_PROXY": "", "SSL_CERT_FILE": str(self._authority.file)}

    def context(self, host: str) -> ssl.SSLContext:
        with self._lock:
            if host not in self._contexts:
                self._contexts[host] = self._authority.context(x509.DNSName(host))
            return self._contexts[host]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    """One connection: the tunnel is asked for in the clear, and all that comes after is the host's own."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    host = ""

    @property
    def everywhere(self) -> Everywhere:
        return cast("Everywhere", self.server.everywhere)  # type: ignore[attr-defined]

    def do_CONNECT(self) -> None:
        self.host = self.path.removesuffix(":443")
        self.send_response(200)
        self.end_headers()
        context = self.everywhere.context(self.host)
        self.connection = context.wrap_socket(self.connection, server_side=True)
        self.rfile = self.connection.makefile("rb")
        self.wfile = self.connection.makefile("wb", 0)  # type: ignore[assignment]

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        reply = self.everywhere.answer(Asked(self.command, f"https://{self.host}{self.path}", headers, body))
        content = (json.dumps(reply.members) if reply.text is None else reply.text).encode()
        self.send_response_only(reply.status)  # without the date: the time of a test is that of its clock
        self.send_header("Content-Type", "application/json" if reply.text is None else "text/plain")
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_DELETE = do_PUT = _serve  # noqa: N815 - names of the library

    def finish(self) -> None:
        """End the tunnel too."""
        super().finish()
        self.connection.close()

    def log_message(self, *_: object) -> None:
        """Say nothing."""
