"""A small threading HTTP/1.1 server on loopback, over the standard library's."""

from __future__ import annotations

import contextlib
import json
import socket
import socketserver
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast
from urllib.parse import parse_qsl, urlsplit

from valetkey.logs import get_logger
from valetkey.values import NO_HEADERS

MAX_BODY = 10_000_000
"""Bytes of a request's body that are read; a longer one is answered with 413."""

_log = get_logger("testing")


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A request as it came in.  Header names are in lower case."""

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=lambda: NO_HEADERS, repr=False)
    body: bytes = field(default=b"", repr=False)

    def query_pairs(self) -> list[tuple[str, str]]:
        """Return the decoded parameters of the URL, in order, empty ones included."""
        return parse_qsl(self.query, keep_blank_values=True)

    def form_pairs(self) -> list[tuple[str, str]]:
        """Return the decoded fields of a form body, in order; none when the body is no form."""
        if not self.is_form:
            return []
        return parse_qsl(self.body.decode("utf-8", "replace"), keep_blank_values=True)

    @property
    def is_form(self) -> bool:
        """Whether the body says that it is a form."""
        content_type = self.headers.get("content-type", "").partition(";")[0]
        return content_type.strip().lower() == "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer.  A body in several pieces is sent in chunks; `note` is for the fault switches, and is not sent."""

    status: int
    body: bytes | tuple[bytes, ...] = field(default=b"", repr=False)
    headers: Mapping[str, str] = field(default_factory=lambda: NO_HEADERS, repr=False)
    note: str = ""

    @classmethod
    def of_json(cls, status: int, value: object, *, note: str = "", **headers: str) -> Reply:
        """Answer with JSON that no cache keeps.  An underscore in a header's name stands for a hyphen."""
        named = {name.replace("_", "-"): text for name, text in headers.items()}
        fixed = {"Content-Type": "application/json", "Cache-Control": "no-store", "Pragma": "no-cache"}
        return cls(status, json.dumps(value).encode(), {**fixed, **named}, note)

    @classmethod
    def redirect(cls, location: str, status: int = 303) -> Reply:
        """Send the browser elsewhere, by 303 unless told otherwise (RFC 9700 section 4.12)."""
        return cls(status, b"", {"Location": location, "Cache-Control": "no-store", "Referrer-Policy": "no-referrer"})


Answer = Callable[[Call], "Reply | None"]
"""What serves the requests; None closes the connection without a word."""


class LoopbackServer:
    """Serves on 127.0.0.1, a thread per connection, until it is stopped.

    Args:
        port: The port; 0 takes a free one.
        answer: Called in the connection's thread for each request.
        now: Unix time for the ``Date`` header.
    """

    def __init__(self, port: int, answer: Answer, now: Callable[[], float]) -> None:
        self._server = _Server(port, answer, now)
        self._thread = threading.Thread(target=self._server.run, name="practice-provider", daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return self._server.server_port

    def stop(self) -> None:
        """Stop listening, close every connection, and wait for the threads."""
        self._server.wake_to_stop()
        self._thread.join()
        self._server.hang_up()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    request_queue_size = 256
    daemon_threads = True

    def __init__(self, port: int, answer: Answer, now: Callable[[], float]) -> None:
        self.answer = answer
        self.now = now
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._open: dict[socket.socket, threading.Thread] = {}
        super().__init__(("127.0.0.1", port), _Handler)

    def server_bind(self) -> None:
        """Bind without the reverse look-up of the name that `HTTPServer` does."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = "127.0.0.1", self.socket.getsockname()[1]

    def run(self) -> None:
        while not self._stopping.is_set():
            self.handle_request()

    def wake_to_stop(self) -> None:
        """Make `run` end: it waits for a connection without a time-out, so it is given one."""
        self._stopping.set()
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", self.server_port), timeout=5).close()

    def verify_request(self, request: Any, client_address: Any) -> bool:  # noqa: ARG002 - the base class's signature
        return not self._stopping.is_set()

    def process_request(self, request: Any, client_address: Any) -> None:
        thread = threading.Thread(
            target=self._work, args=(request, client_address), name="practice-provider-connection", daemon=True
        )
        with self._lock:
            self._open[request] = thread
        thread.start()

    def _work(self, request: socket.socket, client_address: Any) -> None:
        try:
            self.process_request_thread(request, client_address)
        finally:
            with self._lock:
                del self._open[request]

    def hang_up(self) -> None:
        """Close the connections that are still open, and wait for their threads."""
        with self._lock:
            connections = dict(self._open)
        for connection, thread in connections.items():
            _shut(connection)
            thread.join()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of peers that hung up: that is what many tests do on purpose."""


def _shut(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def serve(self) -> None:
        call = self._call()
        if call is None:
            return
        reply = self._answer(call)
        if reply is None:
            self.close_connection = True
            _shut(self.connection)
        else:
            self._send(reply)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = serve  # noqa: N815 - names of the base

    def _call(self) -> Call | None:
        body = self._body()
        if body is None:
            self.close_connection = True
            self._send(Reply(413))
            return None
        target = urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        return Call(method=self.command, path=target.path, query=target.query, headers=headers, body=body)

    def _answer(self, call: Call) -> Reply | None:
        try:
            return cast("_Server", self.server).answer(call)
        except Exception:  # noqa: BLE001 - whatever it is, the client gets an answer and the log the reason
            _log.exception("the practice provider failed at %s %s", call.method, call.path)
            return Reply(500, b"The practice provider has a bug: see its log.")

    def _body(self) -> bytes | None:
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            return self._chunks()
        length = self.headers.get("Content-Length", "0")
        if not length.isdecimal() or int(length) > MAX_BODY:
            return None
        return self._read(int(length))

    def _chunks(self) -> bytes | None:
        """Read a chunked body (RFC 9112 section 7.1); trailers are read and dropped."""
        body = bytearray()
        while size := int(self._line().partition(b";")[0], 16):
            if len(body) + size > MAX_BODY:
                return None
            body += self._read(size)
            self._line()
        while self._line().strip():
            continue
        return bytes(body)

    def _read(self, size: int) -> bytes:
        """Read exactly `size` bytes: half a request is none, so a client killed in mid-sentence spends nothing."""
        data = self.rfile.read(size)
        if len(data) < size:
            raise ConnectionResetError
        return data

    def _line(self) -> bytes:
        line = self.rfile.readline(10_000)
        if not line.endswith(b"\n"):
            raise ConnectionResetError
        return line

    def _send(self, reply: Reply) -> None:
        chunked = isinstance(reply.body, tuple)
        framing = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {len(reply.body)}"
        silent = self.command == "HEAD" or reply.status in {204, 304}
        lines = [
            f"HTTP/1.1 {reply.status} {_phrase(reply.status)}",
            f"Date: {formatdate(cast('_Server', self.server).now(), usegmt=True)}",
            *(f"{name}: {value}" for name, value in reply.headers.items()),
            *([] if reply.status == HTTPStatus.NO_CONTENT else [framing]),
            *(["Connection: close"] if self.close_connection else []),
        ]
        head = "\r\n".join([*lines, "", ""]).encode("latin-1")
        try:
            for piece in [head] if silent else _pieces(head, reply.body):
                self.wfile.write(piece)
        except OSError:
            self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Write no access log."""


def _pieces(head: bytes, body: bytes | tuple[bytes, ...]) -> list[bytes]:
    """Return what to write: one piece for a plain body, so that it leaves in one segment."""
    if isinstance(body, bytes):
        return [head + body]
    return [head, *(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in body if piece), b"0\r\n\r\n"]


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unassigned"
