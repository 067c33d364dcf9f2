"""What the parts of the store contract stand on: the store under test, its clock, and records to put into it."""
# ruff: noqa: S101 - the asserts are the contract

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, ClassVar, TypeVar

import pytest

from valetkey.model.connections import ConnectionKey, Document, Query, Record, Sealed
from valetkey.model.grants import Grant
from valetkey.model.ports import Clock, Store
from valetkey.model.secret_names import token_secret_id
from valetkey.testing.clock import FakeClock
from valetkey.values import Secret

T = TypeVar("T")

ENV = "contract"
LIFE = 30.0
PATIENCE = 60.0
"""Seconds after which a thread that should have been woken long ago is given up."""


class ContractBase:
    """The hooks of the contract, and helpers for its tests."""

    seals: ClassVar[bool] = True
    """Whether the store keeps grants sealed; one that keeps plain token objects says False."""

    tells: ClassVar[bool] = False
    """Whether the store tells those who `watch` it of changes by other processes and hosts."""

    clock: FakeClock

    def make_store(self, clock: Clock) -> Store:
        """Return a store that goes by `clock`, or by its own clock where it has one (then see `pass_time`).

        Called once at the start of each test, and once more where the test needs another clock; for a
        `SharedStoreContract`, each call within one test returns another handle on the same data.
        """
        msg = "a test of a store says how it is made: def make_store(self, clock)"
        raise NotImplementedError(msg)

    def pass_time(self, seconds: float) -> None:
        """Let `seconds` pass for the store.  Override it where the store does not go by the clock it was given."""
        self.clock.advance(seconds)

    @pytest.fixture(autouse=True)
    def _clock(self) -> None:
        self.clock = FakeClock()

    @pytest.fixture
    def store(self) -> Iterator[Store]:
        """Make the store under test, and close it after the test."""
        store = self.make_store(self.clock)
        yield store
        store.close()


# -- records -------------------------------------------------------------------------------------------------------


def blank(number: int = 1, **changes: Any) -> Record:
    """Return a record that was never connected; its id, key and secret id are made from `number` where not given."""
    key = changes.pop("key", None) or at(account=f"account-{number}")
    secret_id = token_secret_id(f"{key.credential}-token", key.owner, key.account)
    return Record(id=f"con_{number:04}", key=key, secret_id=secret_id, created_at=1000.0, **changes)


def at(credential: str = "github", owner: str | None = None, account: str = "", env: str = ENV) -> ConnectionKey:
    """Return a key."""
    return ConnectionKey(env, credential, owner, account)


def token(number: int) -> Grant:
    """Return a token set that differs from that of any other number."""
    return Grant(
        access_token=Secret(f"access-{number}"),
        refresh_token=Secret(f"refresh-{number}"),
        expires_at=2_000_000_000.0 + number,
        scope=("read",),
        obtained_at=1_700_000_000.0,
    )


def with_grant(record: Record, number: int, *, key_id: str = "", **changes: Any) -> Record:
    """Return `record` connected, with the token set of that number; sealed by nobody where `key_id` is empty."""
    grant = token(number)
    assert grant.refresh_token is not None
    return replace(
        record,
        state="connected",
        sealed=Sealed(grant.to_json(), key_id),
        access_fp=grant.access_token.fingerprint(),
        refresh_fp=grant.refresh_token.fingerprint(),
        refreshable=True,
        expires_at=grant.expires_at,
        obtained_at=grant.obtained_at,
        granted=grant.scope,
        **changes,
    )


def token_text(number: int) -> str:
    """Return the token object of that number, as it is written down."""
    return token(number).to_json().decode()


def access(record: Record | None) -> str:
    """Return the access token of a record whose grant nobody sealed."""
    assert record is not None
    assert record.sealed is not None
    return Grant.from_json(record.sealed.blob).access_token.reveal()


def connected(store: Store, number: int = 1, **changes: Any) -> Record:
    """Store and return a connected record."""
    return store.create(with_grant(blank(number, **changes), number))


def successor(record: Record, number: int) -> Record:
    """Return the record after a refresh that brought the token set of that number."""
    return with_grant(record, number, version=record.version + 1)


def held(store: Store, record: Record, holder: str = "holder-1", **changes: Any) -> Record:
    """Claim and return the record."""
    wanted: dict[str, Any] = {"life": LIFE, "spending": record.refresh_fp, **changes}
    claimed = store.claim(record, holder=holder, **wanted)
    assert claimed is not None, "a free record is there to be claimed"
    return claimed


def seen(store: Store, record: Record) -> Record:
    """Return the record as the store holds it now."""
    found = store.find(record.id)
    assert found is not None, "the record is there"
    return found


def data_key(store: Store, key_id: str) -> None:
    """Put a data key into the store."""
    assert store.put_document(Document(kind="data_key", id=key_id, body={"wrapped": "..."}), expect=0) is not None


def every_page(store: Store, query: Query, limit: int) -> list[tuple[Record, ...]]:
    """Return all pages of a list."""
    pages: list[tuple[Record, ...]] = []
    cursor: str | None = None
    while True:
        page = store.list(query, cursor=cursor, limit=limit)
        pages.append(page.items)
        cursor = page.cursor
        if cursor is None:
            return pages


def ids(records: Sequence[Record]) -> list[str]:
    """Return the ids of records."""
    return [record.id for record in records]


# -- threads -------------------------------------------------------------------------------------------------------


def at_once(*works: Callable[[], T]) -> list[T]:
    """Run functions in threads that all start at the same moment; return their results."""
    start = threading.Barrier(len(works))

    def run(work: Callable[[], T]) -> T:
        start.wait(PATIENCE)
        return work()

    with ThreadPoolExecutor(len(works)) as threads:
        return list(threads.map(run, works))
