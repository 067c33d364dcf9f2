"""An hour of outage and a minute with a wrong client secret, for a thousand connections, by a clock that is moved."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from scene import Verdict
from settings import Case

from valetkey import Valet, ValetkeyError, Wiring
from valetkey.keys.memory import MemoryKeys
from valetkey.model.connections import ConnectionKey, Record
from valetkey.secret_services.memory import MemorySecrets
from valetkey.stores.memory import MemoryStore
from valetkey.testing import FakeClock, PracticeProvider
from valetkey.testing.provider import DEFAULT_CLIENT_ID, DEFAULT_CLIENT_SECRET

HOUR, MINUTE = 3600.0, 60.0


class Moments(FakeClock):
    """A clock at whose moments something happens; whoever sleeps on it lets them come."""

    def __init__(self) -> None:
        super().__init__()
        self.plan: list[tuple[float, Callable[[], object]]] = []

    def at(self, seconds: float, act: Callable[[], object]) -> None:
        """Have something happen so many seconds from now."""
        self.plan.append((self.monotonic() + seconds, act))

    def sleep(self, seconds: float) -> None:
        end = self.monotonic() + max(seconds, 0.0)
        for moment, act in sorted(self.plan, key=lambda entry: entry[0]):
            if moment <= end:
                self.advance(max(0.0, moment - self.monotonic()))
                self.plan.remove((moment, act))
                act()
        self.advance(max(0.0, end - self.monotonic()))


@dataclass
class Sky:
    """A provider, a valet, and as many connections whose tokens have all just expired."""

    clock: Moments
    provider: PracticeProvider
    secrets: MemorySecrets
    secret_id: str
    valet: Valet
    store: MemoryStore
    count: int

    def row(self, number: int) -> Record:
        found = self.store.load(ConnectionKey("faults", "notes", f"u{number}"))
        if found is None:
            raise LookupError(number)
        return found

    def rows(self) -> list[Record]:
        return [self.row(number) for number in range(self.count)]

    def set_secret(self, secret: str) -> None:
        app = {"client_id": DEFAULT_CLIENT_ID, "client_secret": secret}
        self.secrets.set(self.secret_id, json.dumps(app))

    def ask(self, number: int) -> str:
        try:
            self.valet.client("notes", owner=f"u{number}").get_access_token()
        except ValetkeyError as error:
            return error.code
        return "ok"

    def work(self, seconds: float) -> None:
        """Let a worker run for so long."""
        stop = threading.Event()
        self.clock.at(seconds, stop.set)
        self.valet.run_worker(stop=stop)

    def verdict(self) -> Verdict:
        """Hold the rows against what the provider would take."""
        rows = self.rows()
        marked = sum(row.state == "needs_reauth" for row in rows)
        lost = self.count - self.provider.live_grants
        doubles = self.provider.reuses
        return Verdict(self.count, lost, marked=marked, doubles=doubles, requests=self.provider.refresh_requests)


@contextmanager
def _sky(count: int) -> Generator[Sky]:
    clock = Moments()
    with PracticeProvider(clock=clock) as provider:
        wiring, secrets, store = Wiring(), MemorySecrets(), MemoryStore(clock=clock)
        declared = wiring.oauth2_credential("notes", **provider.credential_fields(), scopes=["notes.read"])
        options: dict[str, Any] = {"env": "faults", "wiring": wiring, "secrets": secrets, "clock": clock}
        with Valet(store, key=MemoryKeys(), **options) as valet:
            sky = Sky(clock, provider, secrets, declared.secret_id, valet, store, count)
            sky.set_secret(DEFAULT_CLIENT_SECRET)
            valet.import_grants(_grants(sky))
            clock.advance(HOUR)
            yield sky


def _grants(sky: Sky) -> Generator[dict[str, Any]]:
    ledger = sky.provider._ledger
    client = ledger.clients[DEFAULT_CLIENT_ID]
    now = sky.clock.now()
    for number in range(sky.count):
        token = ledger.issue(ledger.open_family(client, f"u{number}", ("notes.read",)), refresh=True)
        times = {"obtained_at": now, "expires_at": now + HOUR}
        yield {"credential": "notes", "owner": f"u{number}", "token": {**token, **times}}


def outage(case: Case) -> None:
    """Answer 503 for an hour; a worker is at it all the time."""
    count = case.size(quick=300, usual=1000)
    since = time.monotonic()
    case.report.doing("503 for an hour of simulated time")
    with _sky(count) as sky:
        sky.provider.fail_next(status=503, times=None)
        sky.work(HOUR)
        during = sky.provider.refresh_requests
        marked = sum(row.state == "needs_reauth" for row in sky.rows())
        sky.provider.reset_faults()
        sky.work(MINUTE)
        now = sky.clock.now()
        well = sum(row.state == "connected" and (row.expires_at or 0) > now for row in sky.rows())
        found = sky.verdict()
    what = f"503 for an hour (simulated), {count} connections, 1 worker"
    target = f"{during} requests meanwhile (<= {count}), 60 s later {well} of {count} healthy"
    met = during <= count and well == count and not marked and found.lost == 0
    case.report.line(what, "1 hour", found, target=target, met=met, since=since)


def wrong_secret(case: Case) -> None:
    """Have a wrong client secret for a minute, while everybody asks."""
    count = case.size(quick=300, usual=1000)
    since = time.monotonic()
    case.report.doing("a wrong client secret for a minute of simulated time")
    with _sky(count) as sky:
        before = sky.rows()
        sky.set_secret("not-the-secret")
        with ThreadPoolExecutor(50) as pool:
            said = set(pool.map(sky.ask, range(count)))
        sky.work(MINUTE)
        touched = sum(old != new for old, new in zip(before, sky.rows(), strict=True))
        during = sky.provider.refresh_requests
        sky.set_secret(DEFAULT_CLIENT_SECRET)
        sky.work(MINUTE)
        well = sum(row.state == "connected" and row.version > 1 for row in sky.rows())
        found = sky.verdict()
    what = f"a wrong client secret for a minute (simulated), {count} connections"
    target = f"{touched} rows touched, {during} requests meanwhile (<= 100), then {well} of {count} refreshed"
    met = touched == 0 and during <= 100 and well == count and found.lost == 0
    found.remarks.append(f"callers were told: {sorted(said)}")
    case.report.line(what, "1 minute", found, target=target, met=met, since=since)
