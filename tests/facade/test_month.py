"""A month of simulated life: providers that rotate, fail, ask for patience and lose answers, and a clock by hand.

What fails is decided by a seed, for each grant and each of its refreshes, whatever order they come in.
``MONTH_CONNECTIONS=1000`` lets more connections live through it.
"""

from __future__ import annotations

import json
import os
import random
from collections import Counter
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from valetkey import Valet, ValetkeyError, Wiring
from valetkey.keys.memory import MemoryKeys
from valetkey.model.connections import ConnectionKey, Record
from valetkey.secret_services.memory import MemorySecrets
from valetkey.stores.memory import MemoryStore
from valetkey.testing import FakeClock, PracticeProvider
from valetkey.testing._http import Call
from valetkey.testing.provider import DEFAULT_CLIENT_ID, DEFAULT_CLIENT_SECRET

CONNECTIONS = int(os.environ.get("MONTH_CONNECTIONS", "120"))
DAYS = 30
HOUR, DAY = 3600.0, 86400.0
SEED = 20270115
BEHAVIOURS: dict[str, dict[str, Any]] = {
    "strict": {"on_reuse": "revoke"},
    "lenient": {"on_reuse": "grace", "grace": 2 * DAY},
    "still": {"rotate": False},
}


def chance_of(*what: object) -> random.Random:
    """Return chances that depend on the seed and on what they are for, and on nothing else."""
    return random.Random("/".join(map(str, (SEED, *what))))  # noqa: S311 - guards nothing


class Weather(httpx2.BaseTransport):
    """The way to the providers.  It decides what becomes of each request, and keeps the log that the test believes.

    Attributes:
        stormy: Whether anything fails.
        unanswered: How many rotations of each grant were never answered.
    """

    def __init__(self, providers: dict[str, PracticeProvider], clock: FakeClock) -> None:
        self._clock = clock
        self._by_port = {provider.url.rpartition(":")[2]: provider for provider in providers.values()}
        self._outages = {name: self._planned(name) for name in providers}
        self._names = {id(provider): name for name, provider in providers.items()}
        self._count: Counter[str] = Counter()
        self.stormy = True
        self.unanswered: Counter[str] = Counter()
        self.met: Counter[str] = Counter()

    def _planned(self, name: str) -> list[tuple[float, float]]:
        """Plan five outages of one to six hours each."""
        chance = chance_of(name)
        starts = [self._clock.now() + chance.uniform(0, DAYS * DAY) for _ in range(5)]
        return [(start, start + chance.uniform(1, 6) * HOUR) for start in starts]

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        provider = self._by_port[str(request.url.port)]
        call = Call(
            method=request.method,
            path=request.url.path,
            headers={name.lower(): value for name, value in request.headers.items()},
            body=request.read(),
        )
        token = provider._ledger._refresh[dict(call.form_pairs())["refresh_token"]]
        login = token.family.login
        fate = self._fate(provider, login) if self.stormy else "answered"
        self.met[fate] += 1
        if fate == "unreachable":
            raise httpx2.ConnectError("no route")
        if fate in {"503", "429"}:
            wait = {} if fate == "503" else {"retry-after": str(chance_of(login).randrange(60, 3600))}
            return httpx2.Response(int(fate), headers=wait, stream=httpx2.ByteStream(b"<h1>Not now</h1>"))
        unspent = token.spent_at is None
        reply = provider._answer(call)
        assert reply is not None
        if fate == "lost":
            self.unanswered[login] += unspent and reply.status == 200
            raise httpx2.ReadError("the connection was closed")
        assert isinstance(reply.body, bytes)
        return httpx2.Response(reply.status, headers=dict(reply.headers), stream=httpx2.ByteStream(reply.body))

    def _fate(self, provider: PracticeProvider, login: str) -> str:
        name, now = self._names[id(provider)], self._clock.now()
        self._count[login] += 1
        chance = chance_of(login, self._count[login])
        for start, end in self._outages[name]:
            if start <= now < end:
                return "503" if start % 2 < 1 else "unreachable"
        fates = {"lost": 0.005, "503": 0.02, "429": 0.01, "unreachable": 0.01}
        return chance.choices([*fates, "answered"], [*fates.values(), 1 - sum(fates.values())])[0]


class Month:
    """The program: a valet over a store in memory, and its users, who come at any hour."""

    def __init__(self, providers: dict[str, PracticeProvider], clock: FakeClock) -> None:
        self.providers, self.clock = providers, clock
        self.weather = Weather(providers, clock)
        self.chance = chance_of("callers")
        wiring, secrets = Wiring(), MemorySecrets()
        app = json.dumps({"client_id": DEFAULT_CLIENT_ID, "client_secret": DEFAULT_CLIENT_SECRET})
        for name, provider in providers.items():
            fields = provider.credential_fields()
            secrets.set(wiring.oauth2_credential(name, **fields, scopes=["notes.read"]).secret_id, app)
        self.http = httpx2.Client(transport=self.weather)
        self.store = MemoryStore(clock=clock)
        options: dict[str, Any] = {"wiring": wiring, "secrets": secrets, "key": MemoryKeys(), "clock": clock}
        self.valet = Valet(self.store, env="test", http=self.http, **options)
        names = list(providers)
        self.people = {f"p-{number}": names[number % len(names)] for number in range(CONNECTIONS)}
        report = self.valet.import_grants(self._grant(name, owner) for owner, name in self.people.items())
        assert report.counts == {"created": CONNECTIONS}

    def _grant(self, name: str, owner: str) -> dict[str, Any]:
        """Have a provider issue a grant; they were not all signed in for at the same hour."""
        ledger = self.providers[name]._ledger
        family = ledger.open_family(ledger.clients[DEFAULT_CLIENT_ID], owner, ("notes.read",))
        token = ledger.issue(family, refresh=True)
        ago = self.chance.uniform(0, DAY)
        times = {"obtained_at": self.clock.now() - ago, "expires_at": self.clock.now() - ago + DAY}
        return {"credential": name, "owner": owner, "token": {**token, **times}}

    def live(self) -> None:
        for _ in range(DAYS * 24):
            self.clock.advance(HOUR)
            self.valet.run_worker(once=True, concurrency=4)
            for owner in self.chance.sample(sorted(self.people), 5):
                try:
                    self.valet.client(self.people[owner], owner=owner).get_access_token()
                except ValetkeyError as error:
                    self.weather.met[error.code] += 1
        self.weather.stormy = False
        for _ in range(30):  # a calm day: every token is due once more
            self.clock.advance(HOUR)
            self.valet.run_worker(once=True, concurrency=4)

    def row(self, owner: str) -> Record:
        found = self.store.load(ConnectionKey("test", self.people[owner], owner))
        assert found is not None
        return found

    def close(self) -> None:
        self.valet.close()
        self.http.close()


@pytest.fixture
def month() -> Iterator[Month]:
    clock = FakeClock()
    providers = {}
    for name, behaviour in BEHAVIOURS.items():
        providers[name] = PracticeProvider(clock=clock, access_token_lifetime=DAY, **behaviour)
        providers[name].start()
    month = Month(providers, clock)
    yield month
    month.close()
    for provider in providers.values():
        provider.stop()


def test_in_a_month_no_grant_is_lost_but_those_whose_rotation_was_never_answered(month: Month) -> None:
    month.live()

    rows = {owner: month.row(owner) for owner in month.people}
    dead = {owner for owner, row in rows.items() if row.state == "needs_reauth"}
    strict = {owner for owner, name in month.people.items() if name == "strict"}
    unanswered = {owner for owner, count in month.weather.unanswered.items() if count}
    assert dead == unanswered & strict
    assert {(rows[owner].reason, rows[owner].error) for owner in dead} == {("lost_in_rotation", "invalid_grant")}
    assert {row.state for owner, row in rows.items() if owner not in dead} == {"connected"}
    alive = {family.login for p in month.providers.values() for family in p._ledger._families if family.live}
    assert alive == set(month.people) - dead
    asked = sum(month.weather.met[fate] for fate in ("answered", "lost", "503", "429", "unreachable"))
    assert asked < 1.5 * CONNECTIONS * (DAYS + 1)
    assert min(month.weather.met[fate] for fate in ("lost", "503", "429", "unreachable")) > 0
    assert dead
    assert unanswered - strict
