"""A very small HTTP server for 127.0.0.1: GET only, one request a connection, a thread each, everything bounded.

It serves the few answers of one sign-in.  It knows nothing of OAuth: `loopback` says what is answered.
"""

from __future__ import annotations

import contextlib
import errno
import os
import selectors
import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from valetkey.errors import ConnectError
from valetkey.logs import get_logger
from valetkey.values import NO_HEADERS

_log = get_logger("loopback")
_HEAD_LIMIT: Final = 64 * 1024
"""Bytes: browsers send the cookies of every port of the host, so heads get long."""
_READ_SECONDS: Final = 10.0
_SEND_SECONDS: Final = 5.0
_READERS: Final = 32
"""Connections that may be waiting for their request; a new one pushes the oldest out."""
_REASONS: Final = {
    200: "OK",
    302: "Found",
    303: "See Other",
    400: "Bad Request",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    409: "Conflict",
    421: "Misdirected Request",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
}


@dataclass(frozen=True, slots=True)
class Call:
    """One request: its method, its target split at the first ``?``, its headers with names in lower case."""

    method: str
    path: str
    query: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer."""

    status: int
    headers: Mapping[str, str] = field(default_factory=lambda: NO_HEADERS, repr=False)
    body: bytes = field(default=b"", repr=False)


class BadCall(Exception):
    """The request is not one; `status` says what to answer."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class LoopServer:
    """Listens on a loopback address until it is closed; `answer` is called in a thread per connection.

    Args:
        address: ``127.0.0.1`` or ``::1``.
        port: The port, None for any that is free.
        answer: Makes the answer to a request; whatever it raises is answered with 500.

    Raises:
        ConnectError: The port cannot be had (``port_in_use``, ``port_unusable``).
    """

    def __init__(self, address: str, port: int | None, answer: Callable[[Call], Reply]) -> None:
        self._answer = answer
        self._lock = threading.Lock()
        self._reading: dict[socket.socket, None] = {}
        self._threads: set[threading.Thread] = set()
        self._closed = False
        self._listener = _listen(address, port)
        self.port: int = self._listener.getsockname()[1]
        self._wake_out, self._wake_in = socket.socketpair()
        self._acceptor = threading.Thread(target=self._accept, name="valetkey-loopback", daemon=True)
        self._acceptor.start()

    def close(self, grace: float = 2.0) -> None:
        """Stop listening, drop who has not asked yet, and let answers under way finish for up to `grace` seconds."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        self._wake_in.send(b"x")
        self._acceptor.join()
        for handle in (self._listener, self._wake_in, self._wake_out):
            handle.close()
        with self._lock:
            for reader in self._reading:
                _hang_up(reader)
            threads = tuple(self._threads)
        end = time.monotonic() + grace
        for thread in threads:
            thread.join(max(0.0, end - time.monotonic()))

    def _accept(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._listener, selectors.EVENT_READ)
            selector.register(self._wake_out, selectors.EVENT_READ)
            while not self._closed:
                selector.select()
                with contextlib.suppress(OSError):  # nobody there any more, or too many files: wait for the next
                    self._take(self._listener.accept()[0])

    def _take(self, connection: socket.socket) -> None:
        connection.setblocking(True)
        thread = threading.Thread(target=self._serve, args=(connection,), name="valetkey-loopback-call", daemon=True)
        with self._lock:
            if len(self._reading) >= _READERS:
                oldest = next(iter(self._reading))
                del self._reading[oldest]
                _hang_up(oldest)
            self._reading[connection] = None
            self._threads.add(thread)
        thread.start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            with connection, contextlib.suppress(OSError):
                reply = self._reply_to(connection)
                if reply is not None:
                    _send(connection, reply)
        finally:
            with self._lock:
                self._reading.pop(connection, None)
                self._threads.discard(threading.current_thread())

    def _reply_to(self, connection: socket.socket) -> Reply | None:
        try:
            head = _read_head(connection)
        except BadCall as bad:
            return Reply(bad.status)
        finally:
            with self._lock:
                self._reading.pop(connection, None)
        if head is None:
            return None
        try:
            return self._answer(_parse(head))
        except BadCall as bad:
            return Reply(bad.status)
        except Exception:  # noqa: BLE001 - a thread of ours answers 500 instead of dying unseen
            _log.exception("a request to the loopback listener failed")
            return Reply(500)


def _listen(address: str, port: int | None) -> socket.socket:
    listener = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
    try:
        if os.name == "nt":
            listener.setsockopt(socket.SOL_SOCKET, getattr(socket, "SO_EXCLUSIVEADDRUSE", -5), 1)
        else:  # so that the port of a sign-in that just ended can be used again at once
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, port or 0))
        listener.listen(64)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        raise _unusable(port, error) from error
    return listener


def _unusable(port: int | None, error: OSError) -> ConnectError:
    where = f"port {port}" if port else "any port"
    if error.errno == errno.EADDRINUSE:
        msg = f"{where} of 127.0.0.1 is in use by another program"
        hint = "stop that program, or pass another port (--port) that is registered with the provider"
        return ConnectError(msg, code="port_in_use", hint=hint)
    msg = f"cannot listen on {where} of 127.0.0.1: {error.strerror}"
    return ConnectError(
        msg, code="port_unusable", hint="pass another port (--port), or connect with --paste or --device"
    )


def _read_head(connection: socket.socket) -> bytes | None:
    """Read up to the empty line; None when the other side said nothing, or not enough in time."""
    end = time.monotonic() + _READ_SECONDS
    head = b""
    while b"\r\n\r\n" not in head:
        left = end - time.monotonic()
        if left <= 0:
            return None
        connection.settimeout(left)
        chunk = connection.recv(8192)
        if not chunk:
            return None
        head += chunk
        if len(head) > _HEAD_LIMIT:
            raise BadCall(431)
    return head.partition(b"\r\n\r\n")[0]


def _parse(head: bytes) -> Call:
    """Parse a request head (RFC 9112 section 3); stricter than it allows."""
    line, *fields = head.decode("latin-1").split("\r\n")
    method, _, rest = line.partition(" ")
    target, _, version = rest.partition(" ")
    if version not in {"HTTP/1.1", "HTTP/1.0"} or not target.startswith("/"):
        raise BadCall(400)
    path, _, query = target.partition("?")
    return Call(method, path, query, _headers(fields))


def _headers(fields: list[str]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for line in fields:
        name, colon, value = line.partition(":")
        name = name.lower()
        if not colon or not name or name != name.strip() or (name in headers and name == "host"):
            raise BadCall(400)
        joined = "; " if name == "cookie" else ", "
        headers[name] = headers[name] + joined + value.strip() if name in headers else value.strip()
    return headers


def _send(connection: socket.socket, reply: Reply) -> None:
    """Send the whole answer, and close only when the other side has it."""
    fields = {**reply.headers, "Content-Length": str(len(reply.body)), "Connection": "close"}
    head = [
        f"HTTP/1.1 {reply.status} {_REASONS[reply.status]}",
        *(f"{name}: {value}" for name, value in fields.items()),
    ]
    connection.settimeout(_SEND_SECONDS)
    connection.sendall("\r\n".join([*head, "", ""]).encode("latin-1") + reply.body)
    connection.shutdown(socket.SHUT_WR)
    connection.settimeout(1.0)
    # Unread input at close() makes the kernel send a reset, which may overtake the answer.
    for _ in range(64):
        if not connection.recv(8192):
            return


def _hang_up(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
