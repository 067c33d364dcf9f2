"""A store over a plain secret service: noticing what others do, and taking turns with them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from valetkey.errors import StoreUnavailable
from valetkey.model.connections import ConnectionKey, Document, Expect, Record
from valetkey.stores.over_secrets import LOOK_AGAIN, SecretServiceStore
from valetkey.stores.sqlite import SQLiteStore
from valetkey.testing._contract_base import (
    ENV,
    LIFE,
    access,
    at,
    connected,
    held,
    seen,
    successor,
    token_text,
)
from valetkey.testing.clock import FakeClock

KEY = at("github", "ada")
SECRET = "github-token/ada"
Crashing = Callable[..., Callable[[], None]]


# -- noticing --------------------------------------------------------------------------------------------------------


def test_what_others_write_into_the_service_ends_the_waiting(
    store: SecretServiceStore, record: Record, service: Any
) -> None:
    service.kept[SECRET] = token_text(7)
    assert store.wait_for_change(record, 30.0)


def test_what_others_write_while_one_waits_is_seen(
    store: SecretServiceStore, record: Record, service: Any, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = clock.monotonic()
    real = service.get

    def get(secret_id: str) -> str | None:
        if clock.monotonic() > started + 3:
            service.kept[SECRET] = token_text(7)
        found: str | None = real(secret_id)
        return found

    monkeypatch.setattr(service, "get", get)
    assert store.wait_for_change(record, 30.0)
    assert clock.monotonic() < started + 5


def test_the_mark_changes_every_few_seconds_for_the_service_tells_nothing(
    store: SecretServiceStore, clock: FakeClock
) -> None:
    before = store.change_mark()
    clock.advance(LOOK_AGAIN)
    assert store.change_mark() != before


# -- turns -----------------------------------------------------------------------------------------------------------


class SlowService:
    """A service that stops in the middle of a write until it is told to go on."""

    def __init__(self, service: Any) -> None:
        self.service = service
        self.inside, self.go_on = threading.Event(), threading.Event()
        self.slow = False

    def get(self, secret_id: str) -> str | None:
        found: str | None = self.service.get(secret_id)
        return found

    def set(self, secret_id: str, value: str) -> None:
        self.service.set(secret_id, value)
        if self.slow:
            self.slow = False
            self.inside.set()
            self.go_on.wait(60)

    def delete(self, secret_id: str) -> None:
        self.service.delete(secret_id)


def test_a_disconnect_waits_for_a_refresh_that_is_between_service_and_ledger(service: Any, tmp_path: Path) -> None:
    slow = SlowService(service)
    store = SecretServiceStore(slow, SQLiteStore(tmp_path / "ledger.db"))
    other = SecretServiceStore(slow, SQLiteStore(tmp_path / "ledger.db"))  # as another process has it
    record = connected(store, 1, key=KEY)
    claimed = held(store, record, "holder-1")
    gone = replace(record, incarnation=2, state="disconnected", sealed=None, access_fp="", refresh_fp="")
    with ThreadPoolExecutor(2) as threads:
        slow.slow = True
        refresh = threads.submit(store.swap, successor(claimed, 2), expect=Expect.of(claimed, holder="holder-1"))
        assert slow.inside.wait(60)
        disconnect = threads.submit(other.swap, gone, expect=Expect.of(claimed))
        slow.go_on.set()
        assert refresh.result() is not None
        assert disconnect.result() is None  # the grant moved on: it has to look again
    moved = seen(other, record)
    again = replace(gone, version=moved.version)
    assert other.swap(again, expect=Expect.of(moved)) is not None
    assert service.kept == {}
    store.close()
    other.close()


def test_threads_of_one_process_queue_instead_of_asking_the_ledger_again_and_again(
    service: Any, tmp_path: Path
) -> None:
    slow = SlowService(service)
    store = SecretServiceStore(slow, SQLiteStore(tmp_path / "ledger.db"))
    record = connected(store, 1, key=KEY)
    with ThreadPoolExecutor(1) as threads:
        slow.slow = True
        writing = threads.submit(store.swap, successor(record, 2), expect=Expect.of(record))
        assert slow.inside.wait(60)
        with store._turns._queues.wait(SECRET, 0.01) as mine:
            assert not mine
        slow.go_on.set()
        assert writing.result() is not None
    store.close()


def test_a_process_that_died_in_its_turn_holds_up_nobody_for_long(
    store: SecretServiceStore,
    record: Record,
    service: Any,
    ledger: SQLiteStore,
    clock: FakeClock,
    monkeypatch: pytest.MonkeyPatch,
    crashing: Crashing,
) -> None:
    claimed = held(store, record, "holder-1")
    with monkeypatch.context() as patch:
        patch.setattr(store._turns, "_end", lambda _: None)  # dead processes tidy nothing up
        mend = crashing(ledger, "swap")
        with pytest.raises(SystemExit):
            store.swap(successor(claimed, 2), expect=Expect.of(claimed, holder="holder-1"))
        mend()
    started = clock.monotonic()
    found = seen(store, record)
    assert access(found) == "access-2"
    assert clock.monotonic() - started < 3
    stored = store.swap(successor(found, 3), expect=Expect.of(found))
    assert stored is not None
    assert clock.monotonic() - started < 12
    assert service.kept == {SECRET: token_text(3)}


def test_a_turn_that_does_not_come_is_a_locked_store(
    store: SecretServiceStore, record: Record, ledger: SQLiteStore, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def sleep(seconds: float) -> None:  # another process takes turn after turn
        clock.advance(seconds)
        ledger.put_document(Document(kind="lease", id=f"secret:{SECRET}", expires_at=clock.now() + 5))

    sleep(0)
    with monkeypatch.context() as patch:
        patch.setattr(clock, "sleep", sleep)
        with pytest.raises(StoreUnavailable) as caught:
            store.swap(successor(record, 2), expect=Expect.of(record))
    assert caught.value.code == "store_locked"
    assert caught.value.hint
    assert seen(store, record) == record


def test_a_wall_clock_that_is_set_back_holds_up_nobody(
    store: SecretServiceStore, record: Record, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store._turns, "_end", lambda _: None)
    stored = store.swap(successor(record, 2), expect=Expect.of(record))
    assert stored is not None
    clock.set(clock.now() - 3600)
    started = clock.monotonic()
    assert store.swap(successor(stored, 3), expect=Expect.of(stored)) is not None
    assert clock.monotonic() - started < 12


def test_a_ledger_that_fails_at_the_end_of_a_turn_does_not_undo_what_was_done(
    store: SecretServiceStore, record: Record, ledger: SQLiteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = ledger.put_document

    def put(document: Document, *, expect: int | None = None) -> Document | None:
        if expect:
            raise StoreUnavailable("down")
        return real(document, expect=expect)

    monkeypatch.setattr(ledger, "put_document", put)
    assert store.swap(successor(record, 2), expect=Expect.of(record)) is not None


def test_eight_threads_refresh_one_connection_and_lose_nothing(service: Any, tmp_path: Path) -> None:
    store = SecretServiceStore(service, SQLiteStore(tmp_path / "ledger.db"))
    record = connected(store, 1, key=KEY)

    def refresh(number: int) -> int:
        done = 0
        while done < 5:
            current = store.load(ConnectionKey(ENV, "github", "ada"))
            assert current is not None
            assert current.state == "connected"
            claimed = store.claim(current, holder=f"holder-{number}", life=LIFE, spending=current.refresh_fp)
            if claimed is None:
                store.wait_for_change(current, 0.05)
                continue
            new = successor(claimed, claimed.version + 2)
            assert store.swap(new, expect=Expect.of(claimed, holder=f"holder-{number}")) is not None
            done += 1
        return done

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(refresh, range(8))) == 40
    final = seen(store, record)
    assert final.version == 40
    assert service.kept == {SECRET: token_text(41)}
    store.close()
