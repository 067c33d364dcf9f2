"""How long a page takes where there are many connections, and whether anybody notices a rotation of the keys."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, ClassVar, Final

from crowd import ACCOUNTS, CREDENTIALS, ENV, FILL, Crowd
from faults import stores as places
from settings import Bench

from valetkey import Valet, Wiring
from valetkey.clock import SystemClock
from valetkey.engine.rekeying import rotate
from valetkey.engine.worker import BATCH
from valetkey.keys.files import FileKeys
from valetkey.model.connections import Query
from valetkey.model.ports import Store
from valetkey.model.sealing import Vault
from valetkey.secret_services.memory import MemorySecrets
from valetkey.stores import _cursor, _rules, open_store

PAGE: Final = 50
READERS: Final = 4
PAUSE: Final = 0.005
"""Seconds between two reads of a reader."""
HELD: Final = ("SQLite", "Postgres")
"""The stores that are held to targets."""
PAGE_MS, DUE_MS = 50, 10


class Postgres(places.Postgres):
    fsync: ClassVar[str] = "on"


PLACES: Final[tuple[type[places.Place], ...]] = (places.SQLite, Postgres, places.Redis)


@dataclass
class Home:
    """A filled store, and what a valet needs to use it."""

    name: str
    url: str
    store: Store
    key: Path
    crowd: Crowd
    base: str

    def vault(self) -> Vault:
        """Return what seals for the store; the first use of the first one makes the keys."""
        return Vault(self.store, FileKeys(self.key, can_create=True), clock=SystemClock())

    def valet(self) -> Valet:
        """Return a valet as another process would have it: with handles of its own."""
        wiring = Wiring()
        ids = []
        for name in CREDENTIALS:
            made = wiring.oauth2_credential(
                name, authorization_url=f"{self.base}/authorize", token_url=f"{self.base}/token"
            )
            ids.append(made.secret_id)
        secrets = MemorySecrets(dict.fromkeys(ids, '{"client_id": "cid", "client_secret": "CLIENT-SECRET-1"}'))
        return Valet(self.url, env=ENV, wiring=wiring, secrets=secrets, key=self.key)


def many(bench: Bench) -> None:
    """Fill each store with many connections, ask it for pages and for what is due, and rotate its keys."""
    count, rounds = (10_000, 5) if bench.quick else (100_000, 21)
    asked: dict[str, Mapping[str, Sequence[float]]] = {}
    turned: dict[str, Turned] = {}
    for kind in (place for place in PLACES if bench.wants(place.name)):
        with filled(kind, count, bench.origin.base) as home:
            with home.valet() as valet:
                questions = _questions(home, valet, count)
                asked[home.name] = {what: _spent(ask, rounds) for what, ask in questions.items()}
            turned[home.name] = _turned(home)
    _tell_pages(bench, asked, count, rounds)
    _tell_turns(bench, turned, count)


@contextmanager
def filled(kind: type[places.Place], count: int, base: str) -> Generator[Home]:
    """Yield a store of that kind with so many connections in it."""
    with TemporaryDirectory(prefix="valetkey-bench-") as folder:
        room, key = Path(folder, "store"), Path(folder, "key")
        Path(folder).chmod(0o755)  # PostgreSQL may run as another user
        room.mkdir()
        place = kind(room)
        store = open_store(place.url)
        try:
            home = Home(kind.name, place.url, store, key, Crowd(count, base), base)
            vault = home.vault()
            vault.fingerprint("")  # makes the keys
            FILL[type(store)](store, home.crowd.records(vault))
            yield home
        finally:
            store.close()
            place.close()


# -- pages -------------------------------------------------------------------------------------------------------------


def _questions(home: Home, valet: Valet, count: int) -> Mapping[str, Callable[[], Any]]:
    """Return what is asked, by its name in the table."""
    middle, few = home.crowd.key(count // 2), CREDENTIALS[-1]

    def page(cursor: str | None = None, **what: Any) -> Callable[[], Any]:
        return lambda: home.store.list(Query(env=ENV, **what), cursor=cursor, limit=PAGE)

    def due(until: float) -> Callable[[], Any]:
        return lambda: home.store.due(env=ENV, until=until, limit=BATCH)

    return {
        "page": page(),
        "page, from the middle on": page(_cursor.encode(_rules.sort_key(middle))),
        "page of valet.connections()": lambda: valet.connections(limit=PAGE),
        "page of a state": page(state="needs_reauth"),
        "page of a credential": page(credential=few),
        "page of a state and a credential": page(state="needs_reauth", credential=few),
        "page of an owner": page(owner=middle.owner),
        "page of those without a scope": page(missing_scope="write"),
        "search that finds all": page(search="example.org"),
        "search that finds one": page(search=f"person-{count // 2:06}"),
        "search that finds none": page(search="nobody at all"),
        "search for two letters that finds none": page(search="zq"),
        f"due, {BATCH} of many": due(time.time()),
        "due, none": due(0.0),
    }


def _spent(ask: Callable[[], Any], rounds: int) -> Sequence[float]:
    """Return milliseconds by the wall clock of each round; a first call is not counted."""
    spent = []
    for _ in range(rounds + 1):
        began = time.perf_counter()
        ask()
        spent.append((time.perf_counter() - began) * 1000)
    return spent[1:]


def _tell_pages(bench: Bench, asked: Mapping[str, Mapping[str, Sequence[float]]], count: int, rounds: int) -> None:
    bench.report.title(
        f"{count:,} connections",
        f"Milliseconds by the wall clock of a page of {PAGE} and of what a worker asks for, median and best of "
        f"{rounds}.  Of {len(CREDENTIALS)} credentials, with {ACCOUNTS} accounts of each owner, 1 % due.  "
        "PostgreSQL and Valkey run on the same machine, as they come out of their wheels, syncing each commit to disk; "
        "PostgreSQL with pg_trgm.",
    )
    first = next(iter(asked.values()))
    rows = [
        (what, *(f"{figure(asked[name][what]):.1f}" for name in asked for figure in (median, min))) for what in first
    ]
    bench.report.table(("ms", *(head for name in asked for head in (name, "best"))), rows)
    for name in filter(asked.__contains__, HELD):
        pages = [median(spent) for what, spent in asked[name].items() if not what.startswith("due")]
        dues = [median(spent) for what, spent in asked[name].items() if what.startswith("due")]
        bench.report.at_most(f"the slowest page of {count:,}, {name}", PAGE_MS, max(pages), "ms", 1)
        bench.report.at_most(f"what is due of {count:,}, {name}", DUE_MS, max(dues), "ms", 1)


# -- keys --------------------------------------------------------------------------------------------------------------


@dataclass
class Turned:
    """What a rotation did, and what was noticed of it."""

    sealed: int = 0
    seconds: float = 0.0
    retired: int = 0
    reads: int = 0
    slowest: float = 0.0
    failed: list[str] = field(default_factory=list[str])


def _turned(home: Home) -> Turned:
    """Rotate master key and data key as ``valetkey key rotate`` does, while others read."""
    found, over, lock = Turned(), threading.Event(), threading.Lock()
    numbers = home.crowd.connected()
    with home.valet() as first, home.valet() as second:
        crew = [
            threading.Thread(target=_read, args=(home, valet, random.Random(at), numbers, over, found, lock))  # noqa: S311
            for at, valet in enumerate([first, second] * (READERS // 2))
        ]
        for reader in crew:
            reader.start()
        began = time.monotonic()
        done = rotate(home.store, home.vault(), FileKeys(home.key, can_create=True))
        found.seconds = time.monotonic() - began
        time.sleep(1)  # all is sealed anew: what is read now needs the new keys
        over.set()
        for reader in crew:
            reader.join()
    found.sealed, found.retired = done.sealed, len(done.retired)
    return found


def _read(
    home: Home,
    valet: Valet,
    chance: random.Random,
    numbers: Sequence[int],
    over: threading.Event,
    found: Turned,
    lock: threading.Lock,
) -> None:
    """Ask for the tokens of connections, one after the other, until it is over."""
    while not over.wait(PAUSE):
        number = chance.choice(numbers)
        key, said = home.crowd.key(number), ""
        began = time.perf_counter()
        try:
            client = valet.client(key.credential, owner=key.owner, account=key.account)
            token = client.get_access_token().reveal()
            said = "" if token == home.crowd.access_token(number) else "another token"
        except Exception as error:  # noqa: BLE001 - whatever it is, it is a failed read
            said = f"{type(error).__name__}: {error}"
        with lock:
            found.reads += 1
            found.slowest = max(found.slowest, time.perf_counter() - began)
            found.failed += [said] if said else []


def _tell_turns(bench: Bench, turned: Mapping[str, Turned], count: int) -> None:
    bench.report.title(
        f"Rotation of the keys of {count:,} connections",
        f"Master key and data key, as `valetkey key rotate` does, while {READERS} threads of two other valets ask for "
        f"tokens of connections by chance, {PAUSE * 1000:.0f} ms apart, each compared with what it should be.",
    )
    heads = ("", "sealed anew", "seconds", "old keys ended", "reads", "slowest, ms", "failed reads")
    rows = [
        (name, f"{t.sealed:,}", f"{t.seconds:.0f}", str(t.retired), f"{t.reads:,}", f"{t.slowest * 1000:.0f}",
         str(len(t.failed)))
        for name, t in turned.items()
    ]  # fmt: skip
    bench.report.table(heads, rows)
    for name, t in turned.items():
        for said in dict.fromkeys(t.failed):
            print(f"{name}: {said}")
    for name in filter(turned.__contains__, HELD):
        bench.report.at_most(f"failed reads during a rotation, {name}", 0, len(turned[name].failed), "", 0)
