"""What the memory store does beyond the contract."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from valetkey.errors import StoreError
from valetkey.model.connections import Document, Event
from valetkey.stores.memory import MemoryStore
from valetkey.testing._contract_base import LIFE, at, connected, held, seen
from valetkey.testing._contract_shared import Child
from valetkey.testing.clock import FakeClock


def test_each_store_is_one_of_its_own() -> None:
    one, other = MemoryStore(), MemoryStore()
    connected(one)
    assert one.store_id() != other.store_id()
    assert other.find("con_0001") is None


def test_closing_forgets_nothing() -> None:
    store = MemoryStore()
    record = connected(store)
    store.close()
    assert seen(store, record) == record


def test_a_forked_child_gets_a_copy_with_locks_of_its_own() -> None:
    store = MemoryStore()
    record = connected(store)
    stop = threading.Event()

    def busy() -> None:
        while not stop.is_set():
            store.note(record.id, incarnation=1, changes={"last_used_at": 5.0})

    def work(_: Child) -> bool:
        claimed = held(store, record, "child")
        return store.wait_for_change(record, LIFE) and seen(store, record).claim == claimed.claim

    thread = threading.Thread(target=busy)
    thread.start()
    try:
        assert [Child(work).result() for _ in range(5)] == [True] * 5
    finally:
        stop.set()
        thread.join()
    assert seen(store, record).claim is None


def test_waiting_takes_no_time_by_a_clock_that_stands_still() -> None:
    clock = FakeClock()
    store = MemoryStore(clock=clock)
    record = connected(store)
    before = clock.monotonic()
    assert store.wait_for_change(record, 300.0) is False
    assert clock.monotonic() == pytest.approx(before + 300.0)


def test_an_id_that_is_taken_under_another_key() -> None:
    store = MemoryStore()
    record = connected(store)
    with pytest.raises(StoreError) as caught:
        store.create(replace(record, key=at("slack")))
    assert caught.value.code == "id_taken"


def test_what_no_store_could_write_down_is_refused_here_too() -> None:
    store = MemoryStore()
    with pytest.raises(TypeError):
        store.put_document(Document(kind="flow", id="f", body={"odd": object()}))
    with pytest.raises(TypeError):
        store.append_event(Event(kind="odd", at=1.0, detail={"odd": object()}))
    assert store.list_documents("flow") == ()
    assert store.list_events(env="") == ()
