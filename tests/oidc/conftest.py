"""A real authorization server that this project did not write, and the programs and people that talk to it."""

from __future__ import annotations

import json
import os
import runpy
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import ProxyHandler, Request, build_opener

import pytest

from shared.certificates import self_signed
from valetkey import AsyncValet, Status, Valet, Wiring
from valetkey.secret_services.memory import MemorySecrets
from valetkey.testing import FakeClock

HERE = Path(__file__).parent
BASE_URL = "http://127.0.0.1:8421"
"""Where the programs take callbacks.  Nothing listens there: what the browser brings is handed over."""
SCOPES = ("openid", "offline_access", "profile", "email", "api.read")
TTL = 300
"""Seconds that the server's access tokens live."""
READY_SECONDS = 60
REAL = "The tests against a real authorization server do"
Person: Any = runpy.run_path(str(HERE / "programs" / "person.py"))["Person"]

_open = build_opener(ProxyHandler({})).open


def _answer(request: Request | str, body: bytes | None = None) -> tuple[int, bytes]:
    """Send a request and return status and body, whatever the status is."""
    try:
        with _open(request, body) as answer:
            return answer.status, answer.read()
    except HTTPError as error:
        with error:
            return error.code, error.read()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker("oidc")


# -- the server --------------------------------------------------------------------------------------------------------


class Server:
    """The server as tests see it.

    Attributes:
        issuer: Its address, and its issuer identifier.
        tls: The folder with ``server.pem``, which its second port shows, and ``client.pem``, which is its clients'.
    """

    def __init__(self, issuer: str, log: Path, tls: Path) -> None:
        self.issuer = issuer
        self.tls = tls
        self._log = log
        self._read = 0

    @cached_property
    def metadata(self) -> dict[str, Any]:
        found: dict[str, Any] = self._get("/.well-known/openid-configuration")
        return found

    @cached_property
    def clients(self) -> dict[str, dict[str, Any]]:
        """The registered clients, by the names that the tests give their credentials."""
        return {client["client_id"].partition(":")[0]: client for client in self._get("/_clients")}

    @property
    def stats(self) -> dict[str, int]:
        """What was asked for in this test: ``refresh_token granted``, ``reuse``, ``calls``..."""
        found: dict[str, int] = self._get("/_stats")
        return found

    def count(self, name: str) -> int:
        return self.stats.get(name, 0)

    @property
    def refreshes(self) -> tuple[int, int]:
        """How many refreshes were granted and refused."""
        return self.count("refresh_token granted"), self.count("refresh_token refused")

    def switch(self, **switches: int) -> None:
        self._post(f"/_switch?{urlencode(switches)}")

    def expire_access_tokens(self) -> None:
        """Have the API take none of the access tokens that were issued so far."""
        self._post("/_expire")

    def reset(self) -> None:
        self._post("/_reset")

    def fields(self, name: str) -> dict[str, Any]:
        """Return how the credential `name` is declared: for the client of that name."""
        meta, client = self.metadata, self.clients[name]
        service = client["grant_types"] == ["client_credentials"]
        return {
            "issuer": self.issuer,
            "iss_advertised": meta["authorization_response_iss_parameter_supported"],
            "authorization_url": meta["authorization_endpoint"],
            "token_url": meta["token_endpoint"],
            "device_authorization_url": meta["device_authorization_endpoint"],
            "revocation_url": meta["revocation_endpoint"],
            "userinfo_url": "" if service else meta["userinfo_endpoint"],
            "api_base_url": self.issuer,
            "client_auth": client.get("token_endpoint_auth_method", "client_secret_basic"),
            "sender_constraint": _constraint(client),
            "grant": "client_credentials" if service else "authorization_code",
            "scopes": ["api.read"] if service else list(SCOPES),
            # RFC-like servers give offline access only to somebody who was asked (OpenID Connect Core section 11)
            "additional_params": {} if service else {"prompt": "consent"},
        }

    def app(self, name: str) -> dict[str, str]:
        """Return the app credentials of the client `name`, as a secret holds them."""
        client = {**self.clients[name], "certificate": (self.tls / "client.pem").read_text()}
        if not name.startswith("mtls"):
            del client["certificate"]
        members = ("client_id", "client_secret", "private_key", "certificate")
        return {member: client[member] for member in members if member in client}

    def spend(self, name: str, refresh_token: str) -> tuple[int, str]:
        """Send a refresh token by hand, as another program does; returns the status and the error."""
        form = {"grant_type": "refresh_token", "refresh_token": refresh_token, **self.app(name)}
        status, body = _answer(self.metadata["token_endpoint"], urlencode(form).encode())
        return status, json.loads(body).get("error", "")

    def revoke(self, name: str, token: str) -> None:
        """Revoke a token by hand."""
        form = {"token": token, **self.app(name)}
        assert _answer(self.metadata["revocation_endpoint"], urlencode(form).encode())[0] == 200

    def accepts(self, access_token: str) -> bool:
        """Tell whether the API takes an access token."""
        headers = {"Authorization": f"Bearer {access_token}"}
        status, _ = _answer(Request(f"{self.issuer}/resource", headers=headers))  # noqa: S310 - it is http
        return {200: True, 401: False}[status]

    def said(self) -> str:
        """Return what it has logged since the last time."""
        text = self._log.read_text()
        new, self._read = text[self._read :], len(text)
        return new

    def _post(self, path: str) -> None:
        assert _answer(self.issuer + path, b"")[0] == 200

    def _get(self, path: str) -> Any:
        return json.loads(_answer(self.issuer + path)[1])


def _constraint(client: dict[str, Any]) -> str:
    if client.get("tls_client_certificate_bound_access_tokens"):
        return "mtls"
    return "dpop" if client.get("dpop_bound_access_tokens") else "none"


def _await_ready(process: subprocess.Popen[bytes], log: Path) -> str:
    """Return the address that the server says it is ready at."""
    give_up_at = time.monotonic() + READY_SECONDS
    while process.poll() is None and time.monotonic() < give_up_at:
        for line in log.read_text().splitlines():
            if line.startswith("ready "):
                return line.removeprefix("ready ")
        time.sleep(0.02)
    pytest.fail(f"the authorization server did not start:\n{log.read_text()}", pytrace=False)


@pytest.fixture(scope="session")
def oidc_provider(left_out: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Run the server, one for each process that runs tests."""
    node = shutil.which("node")
    if node is None:
        left_out(REAL, "Node.js 20 or newer is not here; install it with npm (https://nodejs.org), then: make test")
    if not (HERE / "node_modules" / "oidc-provider" / "package.json").is_file():
        left_out(REAL, "tests/oidc/node_modules is not here; run make test, which installs it (it needs npm)")
    folder = tmp_path_factory.mktemp("oidc")
    log = folder / "server.log"
    for name in ("server", "client"):
        (folder / f"{name}.pem").write_text("".join(self_signed(name)))
    with log.open("wb") as file:
        process = subprocess.Popen(
            [node, str(HERE / "server.mjs")],
            stdin=subprocess.PIPE,
            stdout=file,
            stderr=subprocess.STDOUT,
            cwd=HERE,
            env={**os.environ, "TLS_FOLDER": str(folder)},
        )
    try:
        yield Server(_await_ready(process, log), log, folder)
    finally:
        process.terminate()
        process.communicate(timeout=30)


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
