"""Hearing of changes: when it begins and ends, what it survives, and that it never only seems to work."""

from __future__ import annotations

import gc
import queue
import threading
import weakref
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from shared.waiting import wait_until
from valetkey.model.connections import ConnectionKey, Record
from valetkey.stores import _redis_ear
from valetkey.stores import redis as redis_store
from valetkey.stores.redis import RedisStore
from valetkey.testing._contract_shared import Child

ADA = ConnectionKey("test", "github", "ada")
RECORD = Record(id="con_1", key=ADA, state="connected", created_at=1.0)
PATIENCE = 20.0

Told = queue.SimpleQueue[ConnectionKey | None]


def ears() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "valetkey-redis"]


@pytest.fixture
def watched(store: RedisStore, until: Any) -> Iterator[tuple[RedisStore, Told]]:
    """A store that listens, and what is told of it."""
    told: Told = queue.SimpleQueue()
    store.watch(told.put)
    store.create(RECORD)
    assert told.get(timeout=PATIENCE) is None
    until(store.listens)
    return store, told


def heard(told: Told, wanted: ConnectionKey | None) -> None:
    """Wait until it is told: of changes before it listened, nothing need be."""
    while told.get(timeout=PATIENCE) != wanted:
        pass


def test_a_store_that_nobody_watches_has_no_thread(store: RedisStore) -> None:
    before = ears()
    store.create(RECORD)
    assert ears() == before
    assert not store.listens()


def test_own_changes_are_told_too(watched: tuple[RedisStore, Told]) -> None:
    store, told = watched
    store.note("con_1", incarnation=1, changes={"last_used_at": 5.0})
    heard(told, ADA)


def test_a_rename_is_told_for_both_keys(watched: tuple[RedisStore, Told]) -> None:
    store, told = watched
    bob = ConnectionKey("test", "github", "bob")
    assert store.rename(RECORD, bob, "elsewhere")
    heard(told, ADA)
    heard(told, bob)


def test_who_comes_later_is_told_at_once_that_news_may_have_been_missed(watched: tuple[RedisStore, Told]) -> None:
    store, _ = watched
    late: Told = queue.SimpleQueue()
    store.watch(late.put)
    assert late.get_nowait() is None
    assert store.listens()


def test_after_closing_it_listens_no_more_until_the_store_is_used(watched: tuple[RedisStore, Told], until: Any) -> None:
    store, told = watched
    store.close()
    assert not store.listens()
    assert not any(thread.is_alive() for thread in ears())
    store.load(ADA)
    heard(told, None)
    until(store.listens)


def test_a_subscription_that_is_cut_is_made_anew_and_that_is_told(
    watched: tuple[RedisStore, Told], shared_server: Any, until: Any
) -> None:
    store, told = watched
    shared_server.run("CLIENT", "KILL", "TYPE", "pubsub")
    heard(told, None)
    until(store.listens)
    store.note("con_1", incarnation=1, changes={"last_used_at": 5.0})
    heard(told, ADA)


def test_while_the_server_is_away_it_does_not_listen(serve: Any, until: Any) -> None:
    server = serve()
    store = RedisStore(server.url())
    told: Told = queue.SimpleQueue()
    store.watch(told.put)
    store.create(RECORD)
    until(store.listens)
    server.kill()
    until(lambda: not store.listens())
    while not told.empty():
        told.get()
    server.start()
    heard(told, None)
    until(store.listens)
    store.close()


def test_a_subscription_that_dies_in_silence_is_found_out(
    serve: Any, wires: Any, until: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, seconds in {"_CHECK": 0.1, "_PATIENCE": 0.2, "_BLINK": 0.05}.items():
        monkeypatch.setattr(_redis_ear, name, seconds)
    wire = wires(serve())
    store = RedisStore(wire.url())
    told: Told = queue.SimpleQueue()
    store.watch(told.put)
    store.create(RECORD)
    until(store.listens)
    first = store._ear._line
    wire.swallow_news()
    until(lambda: store._ear._line is not first and store._ear._line is not None)
    heard(told, None)
    heard(told, None)
    store.close()


def test_who_raises_when_it_is_told_does_not_end_the_listening(watched: tuple[RedisStore, Told]) -> None:
    store, told = watched

    def broken(_: ConnectionKey | None) -> None:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        broken(None)
    store._ear._watchers.insert(0, lambda: broken)
    for moment in (1.0, 2.0):
        store.note("con_1", incarnation=1, changes={"last_used_at": moment})
        heard(told, ADA)


def test_who_watched_can_go_while_the_store_stays(watched: tuple[RedisStore, Told]) -> None:
    class Watcher:
        def hear(self, key: ConnectionKey | None) -> None:
            """Hear."""

    store, told = watched
    known = len(store._ear._watchers)
    watcher = Watcher()
    gone = weakref.ref(watcher)
    store.watch(watcher.hear)
    del watcher
    gc.collect()
    assert gone() is None
    store.note("con_1", incarnation=1, changes={"last_used_at": 5.0})
    heard(told, ADA)
    wait_until(lambda: len(store._ear._watchers) == known)  # it is missed after the others were told


def test_a_message_that_nobody_can_read_stands_for_all_connections(
    watched: tuple[RedisStore, Told], shared_server: Any
) -> None:
    store, told = watched
    shared_server.run("PUBLISH", store._names.channel, "{not json")
    heard(told, None)


def test_one_that_waits_while_the_store_listens_does_not_keep_asking(
    watched: tuple[RedisStore, Told], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_store, "_LISTENING_LOOK", 1e9)
    monkeypatch.setattr(_redis_ear, "_PATIENCE", 1e9)
    store, told = watched
    bob = ConnectionKey("test", "github", "bob")
    other = store.create(replace(RECORD, id="con_2", key=bob))
    heard(told, bob)  # and with it all that was done before
    asked: list[str] = []
    find = store.find

    def counted(connection_id: str) -> Record | None:
        asked.append(connection_id)
        return find(connection_id)

    monkeypatch.setattr(store, "find", counted)
    store.note(other.id, incarnation=1, changes={"last_used_at": 5.0})
    assert not store.wait_for_change(RECORD, 0.2)
    assert asked == ["con_1"]


def test_a_store_that_is_forgotten_leaves_no_thread(url: str, until: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_redis_ear, "_BLINK", 0.05)
    before = set(ears())
    store = RedisStore(url)

    class Watcher:
        def __init__(self, store: RedisStore) -> None:
            self.store = store
            store.watch(self.hear)

        def hear(self, key: ConnectionKey | None) -> None:
            """Hear."""

    watcher = Watcher(store)
    store.create(RECORD)
    until(store.listens)
    (thread,) = set(ears()) - before
    del store, watcher

    def gone() -> bool:
        gc.collect()
        return not thread.is_alive()

    until(gone)


def test_a_forked_child_listens_by_itself(watched: tuple[RedisStore, Told]) -> None:
    store, told = watched

    def work(child: Child) -> bool:
        mine: Told = queue.SimpleQueue()
        assert not store.listens()
        store.watch(mine.put)
        store.load(ADA)
        heard(mine, None)
        child.pause()
        heard(mine, ADA)
        store.close()
        return True

    child = Child(work)
    child.paused()
    assert store.listens()
    store.note("con_1", incarnation=1, changes={"last_used_at": 5.0})
    heard(told, ADA)
    child.go_on()
    assert child.result() is True
    assert store.listens()
    store.note("con_1", incarnation=1, changes={"last_used_at": 6.0})
    heard(told, ADA)
