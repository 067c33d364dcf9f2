"""One wicked server for all tests of this folder, and a real valet for each."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from shared.waiting import settle
from valetkey import OAuth2Client, Status, Valet, ValetkeyError, Wiring
from valetkey.engine.world import open_grant
from valetkey.keys.memory import MemoryKeys
from valetkey.model.connections import ConnectionKey
from valetkey.model.grants import Grant
from valetkey.secret_services.memory import MemorySecrets
from valetkey.stores.memory import MemoryStore
from valetkey.testing import FakeClock, WickedServer
from valetkey.testing.provider import DEFAULT_CLIENT_ID, DEFAULT_CLIENT_SECRET

HOUR = 3600
KEY = ConnectionKey("test", "notes", None, "")
SCOPES = ["notes.read", "notes.write"]


class Trial:
    """A valet, what it holds, and the server that it trusts."""

    def __init__(self, server: WickedServer, clock: FakeClock, http: httpx2.Client | None) -> None:
        self.server = server
        self.clock = clock
        self.store = MemoryStore(clock=clock)
        self.secrets = MemorySecrets()
        self.wiring = Wiring()
        self.options: dict[str, Any] = {
            "env": "test",
            "secrets": self.secrets,
            "wiring": self.wiring,
            "key": MemoryKeys(),
            "base_url": "http://127.0.0.1:8421",
            "clock": clock,
        }
        self.valet = Valet(self.store, http=http, **self.options)
        self.app = {"client_id": DEFAULT_CLIENT_ID, "client_secret": DEFAULT_CLIENT_SECRET}

    def declare(self, **fields: Any) -> None:
        known = {"scopes": SCOPES, **self.server.credential_fields(discover=True)}
        credential = self.wiring.oauth2_credential("notes", **{**known, **fields})
        self.secrets.set(credential.secret_id, json.dumps(self.app))

    def answered(self) -> tuple[str, Any]:
        """Return what the browser brings back, and what proves that it is the browser that began."""
        start = self.valet.authorize("notes")
        return self.server.approve(start.url), start.binding

    def sign_in(self) -> Status:
        callback, binding = self.answered()
        return self.valet.finish(callback, binding=binding)

    def ready(self, **fields: Any) -> Grant:
        """Connect while the server behaves, and let the token run out."""
        self.declare(**fields)
        self.sign_in()
        self.age()
        self.server.reset_counters()
        return self.grant()

    def age(self, seconds: float = HOUR + 1) -> None:
        self.clock.advance(seconds)

    @property
    def client(self) -> OAuth2Client:
        return self.valet.client("notes")

    def use(self) -> int:
        """Call the API once, and return the status of its answer."""
        status = self.client.get("/me").status_code
        settle(self.valet)
        return status

    @property
    def status(self) -> Status:
        return self.client.status()

    def grant(self) -> Grant:
        record = self.store.load(KEY)
        assert record is not None
        grant = open_grant(self.valet._core.world, record)
        assert grant is not None
        return grant

    @property
    def ungranted(self) -> bool:
        """Whether nothing was stored."""
        found = self.store.load(KEY)
        return found is None or (found.state, found.sealed) == ("pending", None)

    def refused(self, call: Any) -> ValetkeyError:
        """Return the error of a call, which has to be one of ours; its words are fit to be shown."""
        with pytest.raises(ValetkeyError) as caught:
            call()
        assert (str(caught.value) + caught.value.hint).isprintable()
        assert len(str(caught.value)) < 1000
        return caught.value


@pytest.fixture(scope="session")
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(scope="session")
def server(clock: FakeClock) -> Iterator[WickedServer]:
    with WickedServer(clock=clock) as server:
        yield server


@pytest.fixture(scope="session")
def http() -> Iterator[httpx2.Client]:
    with httpx2.Client(trust_env=False) as client:
        yield client


@pytest.fixture
def trial(server: WickedServer, clock: FakeClock, http: httpx2.Client) -> Iterator[Trial]:
    yield from tried(server, clock, http)


@pytest.fixture
def lone_trial(server: WickedServer, clock: FakeClock) -> Iterator[Trial]:
    """Give one whose valet makes its own HTTP clients, as those with a certificate have to."""
    yield from tried(server, clock, None)


def tried(server: WickedServer, clock: FakeClock, http: httpx2.Client | None) -> Iterator[Trial]:
    server.behave()
    server.revoke()
    server.reset_counters()
    server._site.trust.targets.clear()  # those that another test allowed: once there is one, others are refused
    trial = Trial(server, clock, http)
    yield trial
    server.behave()
    trial.valet.close()
