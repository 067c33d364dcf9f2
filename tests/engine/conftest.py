"""The engine over a practice provider: a world by hand, with a store in memory and a clock that stands still."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from shared.sealed_stores import clock, keys, store, vault
from valetkey.engine.connect import AuthorizationStart, finish_authorization, start_authorization
from valetkey.engine.world import World
from valetkey.errors import ConfigurationError, StoreUnavailable
from valetkey.flights import Flights
from valetkey.http import Http, HttpEndpoint
from valetkey.keys.memory import MemoryKeys
from valetkey.model.connections import ConnectionKey, Event, Record
from valetkey.model.credentials import AppCredentials, OAuth2Credential
from valetkey.model.ports import InDoubt, NotSent
from valetkey.model.sealing import Vault
from valetkey.stores.memory import MemoryStore
from valetkey.testing import FakeClock, PracticeProvider
from valetkey.testing.provider import DEFAULT_CLIENT_ID, DEFAULT_CLIENT_SECRET
from valetkey.values import Request, Response, Secret

__all__ = ["clock", "keys", "store", "vault"]  # fixtures

HOUR = 3600
REDIRECT = "http://127.0.0.1:4321/callback/notes"


class Wire:
    """The way to the provider: every request goes past `before`, and every answer past `after`."""

    def __init__(self, inner: HttpEndpoint) -> None:
        self.inner = inner
        self.sent: list[Request] = []
        self.before: Callable[[Request], object] = lambda _: None
        self.after: Callable[[Request], object] = lambda _: None

    def send(self, request: Request, *, deadline: float) -> Response:
        self.sent.append(request)
        self.before(request)
        response = self.inner.send(request, deadline=deadline)
        self.after(request)
        return response

    def paths(self) -> list[str]:
        return [request.url.partition("://")[2].partition("/")[2] for request in self.sent]

    def cut(self, path: str, error: type[NotSent | InDoubt]) -> None:
        """Let requests to `path` fail, from now on."""

        def before(request: Request) -> None:
            if request.url.endswith(path):
                raise error("the line is cut")

        self.before = before


class Stage:
    """A world, a provider, and the person in front of the browser."""

    def __init__(self, provider: PracticeProvider, clock: FakeClock) -> None:
        self.provider = provider
        self.clock = clock
        self.http = Http()
        self.flights = Flights()
        self.store = MemoryStore(clock=clock)
        self.wire = Wire(HttpEndpoint(self.http, clock))
        self.apps = AppCredentials(client_id=DEFAULT_CLIENT_ID, client_secret=Secret(DEFAULT_CLIENT_SECRET))
        self.credentials: dict[str, OAuth2Credential] = {}
        self.told: list[Record] = []
        self.declare("notes")
        self.world = World(
            store=self.store,
            sealer=Vault(self.store, MemoryKeys(), clock=clock),
            endpoint=self.wire,
            clock=clock,
            credential=self._credential,
            app=lambda _: self.apps,
            nonce=lambda: secrets.token_hex(16),
            pulse=self.flights.pulse,
            changed=self.told.append,
        )

    def _credential(self, name: str) -> OAuth2Credential:
        if name not in self.credentials:
            msg = f"no credential {name!r}"
            raise ConfigurationError(msg, code="credential_unknown")
        return self.credentials[name]

    def declare(self, name: str, **fields: Any) -> OAuth2Credential:
        known = {
            "display_name": "Notes",
            "scopes": ("notes.read", "notes.write"),
            "token_secret_id": f"{name}-token",
            **self.provider.credential_fields(),
        }
        declared = OAuth2Credential(name=name, **{**known, **fields})
        self.credentials[name] = declared
        return declared

    def change(self, name: str = "notes", **fields: Any) -> OAuth2Credential:
        self.credentials[name] = replace(self.credentials[name], **fields)
        return self.credentials[name]

    @staticmethod
    def key(name: str = "notes", owner: str | None = None, account: str = "") -> ConnectionKey:
        return ConnectionKey("test", name, owner, account)

    def start(self, key: ConnectionKey | None = None, scopes: tuple[str, ...] = ()) -> AuthorizationStart:
        key = key or self.key()
        credential = self.credentials[key.credential]
        return start_authorization(self.world, credential, key, scopes=scopes, redirect_uri=REDIRECT)

    def connect(self, key: ConnectionKey | None = None, *, login: str = "ada") -> Record:
        """Connect by a whole sign-in."""
        start = self.start(key)
        return finish_authorization(self.world, self.provider.approve(start.url, login=login), binding=start.binding)

    def record(self, key: ConnectionKey | None = None) -> Record:
        found = self.store.load(key or self.key())
        assert found is not None
        return found

    def ungranted(self, key: ConnectionKey | None = None) -> bool:
        """Whether nothing but an empty, pending row is there at most."""
        found = self.store.load(key or self.key())
        return found is None or (found.state, found.sealed, found.incarnation) == ("pending", None, 1)

    def events(self) -> list[Event]:
        return list(self.store.list_events(env="test", limit=1000))

    def flows(self) -> int:
        return len(self.store.list_documents("flow"))

    def break_store(self, *methods: str) -> None:
        """Let these methods of the store say that it does not answer."""
        for method in methods:
            setattr(self.store, method, _down)

    def lose_app(self) -> None:
        """Let the app credentials be missing."""
        object.__setattr__(self.world, "app", _no_app)

    def close(self) -> None:
        self.http.close()


def _down(*_: Any, **__: Any) -> Any:
    msg = "the store is down"
    raise StoreUnavailable(msg)


def _no_app(_: OAuth2Credential) -> AppCredentials:
    msg = "no app credentials"
    raise ConfigurationError(msg, code="app_missing")


@pytest.fixture
def make_stage() -> Callable[[PracticeProvider, FakeClock], Stage]:
    return Stage


@pytest.fixture
def stage() -> Iterator[Stage]:
    clock = FakeClock()
    with PracticeProvider(clock=clock) as provider:
        stage = Stage(provider, clock)
        yield stage
        stage.close()


@pytest.fixture
def expired(stage: Stage) -> Stage:
    """A connected stage whose access token has run out."""
    stage.connect()
    stage.clock.advance(HOUR + 1)
    stage.wire.sent.clear()
    return stage
