"""A real authorization server that this project did not write, and the programs and people that talk to it."""

from __future__ import annotations

import json
import runpy
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from shared.oidc_server import Server, running
from valetkey import AsyncValet, Status, Valet, Wiring
from valetkey.secret_services.memory import MemorySecrets
from valetkey.testing import FakeClock

HERE = Path(__file__).parent
BASE_URL = "http://127.0.0.1:8421"
"""Where the programs take callbacks.  Nothing listens there: what the browser brings is handed over."""
TTL = 300
"""Seconds that the server's access tokens live."""
Person: Any = runpy.run_path(str(HERE / "programs" / "person.py"))["Person"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker("oidc")


# -- the server --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def oidc_provider(left_out: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Run the server, one for each process that runs tests."""
    with running(left_out, tmp_path_factory.mktemp("oidc")) as server:
        yield server


@pytest.fixture
def server(oidc_provider: Server) -> Iterator[Server]:
    """Give the server with its counters at zero; what it says is shown where the test fails."""
    oidc_provider.reset()
    oidc_provider.said()
    yield oidc_provider
    sys.stdout.write(oidc_provider.said())


# -- a program ---------------------------------------------------------------------------------------------------------


class Clock(FakeClock):
    """Begins now, and passes by hand; keeps what was slept, and tells when somebody sleeps."""

    def __init__(self) -> None:
        super().__init__(now=time.time())
        self.slept: list[float] = []
        self.on_sleep: Callable[[], object] = lambda: None

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.on_sleep()
        super().sleep(seconds)


class Program:
    """A program with a valet, over either facade, that has declared a credential for every client of the server.

    Attributes:
        server: The server.
        clock: The program's clock: the server's own is not touched.
        secrets: Where its app credentials are.
        wiring: What it declares.
    """

    def __init__(self, server: Server, folder: Path, colour: Any) -> None:
        self.server = server
        self.colour = colour
        self.clock = Clock()
        self.wiring = Wiring()
        self.secrets = MemorySecrets()
        for name in server.clients:
            self.declare(name)
        cls = Valet if colour.name == "sync" else AsyncValet
        self.raw: Valet | AsyncValet = cls(
            folder / "valetkey.db",
            key=folder / "key",
            env="test",
            wiring=self.wiring,
            secrets=self.secrets,
            base_url=BASE_URL,
            clock=self.clock,
        )
        self.valet = colour.blocking(self.raw)

    def declare(self, name: str, client: str = "", **fields: Any) -> None:
        """Declare a credential for a client of the server, the one of the same name where none is named."""
        credential = self.wiring.oauth2_credential(name, **{**self.server.fields(client or name), **fields})
        self.secrets.set(credential.secret_id, json.dumps(self.server.app(client or name)))

    def client(self, name: str, **options: Any) -> Any:
        return self.valet.client(name, **options)

    def connect(self, name: str, person: Any = None, **options: Any) -> Status:
        """Connect as a web application does: authorize, send the person there, finish."""
        start = self.valet.authorize(name, **options)
        callback = (person or Person()).sign_in(start.url)
        status: Status = self.valet.finish(callback, binding=start.binding, owner=options.get("owner"))
        return status

    def call(self, name: str) -> Any:
        """Call the API."""
        return self.client(name).get("/resource")

    def tokens(self, name: str) -> dict[str, Any]:
        """Return the stored token object."""
        found: dict[str, Any] = json.loads(self.raw.secrets.get(f"{name}-oauth-token") or "{}")
        return found


@pytest.fixture
def program(server: Server, tmp_path: Path, colour: Any) -> Iterator[Program]:
    program = Program(server, tmp_path, colour)
    yield program
    program.valet.close()


# -- people ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def person() -> Any:
    """Give the class of people at a browser."""
    return Person


@pytest.fixture
def browse(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Any], Callable[[], object]]]:
    """Give what puts a person at the browser of this process; it returns what waits until they are done."""
    with ThreadPoolExecutor(1) as pool:

        def seat(who: Any) -> Callable[[], object]:
            visits: list[Future[Any]] = []
            monkeypatch.setattr("webbrowser.open", lambda url: visits.append(pool.submit(who.open, url)) or True)
            return lambda: [visit.result(30) for visit in visits]

        yield seat
