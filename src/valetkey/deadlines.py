"""A deadline for a whole exchange over HTTP: each read and write is bounded by what is left of it.

A time-out of httpx2 is that of one read, and so a server that sends an answer byte by byte is never too slow.  Here the
streams of a client know until when the thread that uses them has time: `within` says so for a block.

They also look once more whether a request may still leave, right before it does: a process may stand still at any
moment, for as long as its machine sleeps.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING, Any

import httpcore2

if TYPE_CHECKING:
    import ssl

    import httpx2

LATE_READS = 100
"""Reads after the end that may still find something: a process that was frozen has its answer waiting, maybe."""
_here = threading.local()
"""``until``: when the time of this thread's exchange is over, on the monotonic clock; ``late``: reads since then;
``look``: as `within` has it."""


@contextmanager
def within(seconds: float, look: Callable[[], object] | None = None) -> Generator[None]:
    """Let what the block does on the network, in this thread, take so many seconds in all.

    `look` is called right before anything is written; what it raises ends the exchange, and a request whose body is in
    one piece, as ours are, has not reached its server then.  All this holds for clients that `heed_deadlines` knows.
    """
    _here.until, _here.late, _here.look = monotonic() + seconds, 0, look
    try:
        yield
    finally:
        _here.until = _here.look = None


def heed_deadlines(client: httpx2.Client) -> None:
    """Let the connections of a client, through proxies too, end with the time that `within` gives.

    httpx2 has no option for it.  Where a later release of it keeps its pool elsewhere, reads are bounded one by one.
    """
    transports = [getattr(client, "_transport", None), *getattr(client, "_mounts", {}).values()]
    for transport in transports:
        pool: Any = getattr(transport, "_pool", None)
        backend = getattr(pool, "_network_backend", None)
        if isinstance(backend, httpcore2.NetworkBackend) and not isinstance(backend, _Backend):
            pool._network_backend = _Backend(backend)  # noqa: SLF001


def _left(timeout: float | None, error: type[Exception]) -> float | None:
    """Return the time that one operation has, or raise `error` when there is none."""
    until = getattr(_here, "until", None)
    if until is None:
        return timeout
    left: float = until - monotonic()
    if left <= 0:
        msg = "the time for the whole answer is over"
        raise error(msg)
    return left if timeout is None else min(timeout, left)


def _left_to_read(timeout: float | None) -> float | None:
    """Return the time that one read has: none when it is over, and then it takes what has come already.

    Raises:
        ReadTimeout: It was over many reads ago.
    """
    try:
        return _left(timeout, httpcore2.ReadTimeout)
    except httpcore2.ReadTimeout:
        _here.late += 1
        if _here.late > LATE_READS:
            raise
        return 0.0


class _Backend(httpcore2.NetworkBackend):
    """Makes connections that heed deadlines."""

    def __init__(self, inner: httpcore2.NetworkBackend) -> None:
        self._inner = inner

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.NetworkStream:
        left = _left(timeout, httpcore2.ConnectTimeout)
        return _Stream(self._inner.connect_tcp(host, port, left, local_address, socket_options))

    def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[Any] | None = None
    ) -> httpcore2.NetworkStream:
        left = _left(timeout, httpcore2.ConnectTimeout)
        return _Stream(self._inner.connect_unix_socket(path, left, socket_options))

    def sleep(self, seconds: float) -> None:
        self._inner.sleep(seconds)


class _Stream(httpcore2.NetworkStream):
    """A connection, plain or TLS, whose operations are bounded by the deadline of whoever uses it."""

    def __init__(self, inner: httpcore2.NetworkStream) -> None:
        self._inner = inner
        self.get_extra_info = inner.get_extra_info  # type: ignore[method-assign]
        """The connection's own: for each request a pool asks all its connections whether they are still there."""

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, _left_to_read(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        look = getattr(_here, "look", None)
        if look is not None:
            look()
        self._inner.write(buffer, _left(timeout, httpcore2.WriteTimeout))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        left = _left(timeout, httpcore2.ConnectTimeout)
        return _Stream(self._inner.start_tls(ssl_context, server_hostname, left))
