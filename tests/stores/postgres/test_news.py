"""Changes by others are told as they happen, as long as the server is heard; else they are looked for."""

from __future__ import annotations

import errno
import gc
import logging
import os
import queue
import signal
import subprocess
import sys
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from valetkey.model.connections import ConnectionKey, Record
from valetkey.stores import _postgres_news, _postgres_pool, _postgres_waiting
from valetkey.stores._postgres_news import key_of, payload_of
from valetkey.stores.postgres import PostgresStore
from valetkey.testing._contract_base import PATIENCE, at, blank, connected, held, seen
from valetkey.testing._contract_shared import Child

Told = queue.SimpleQueue[ConnectionKey | None]


def news_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "valetkey-postgres-news"]


class Listener:
    """A store that is watched, under a name of its own on the server, and what was told."""

    def __init__(self, postgres: Any, schema: str, until: Any, **options: Any) -> None:
        self.cluster = postgres
        self.until = until
        self.name = f"listener_{schema}"
        self.told: Told = queue.SimpleQueue()
        url = postgres.url(application_name=schema)
        listen_url = options.pop("listen_url", postgres.url(application_name=self.name))
        self.store = PostgresStore(url, schema=schema, listen_url=listen_url, **options)
        self.store.watch(self.told.put)

    def next(self) -> ConnectionKey | None:
        return self.told.get(timeout=PATIENCE)

    def begin(self) -> None:
        self.store.now()
        assert self.next() is None
        self.until(self.store.listens)

    def links(self) -> int:
        count = "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s"
        return int(self.cluster.sql(count, self.name)[0][0])


@pytest.fixture
def listener(postgres: Any, schema: str, until: Any) -> Iterator[Listener]:
    listener = Listener(postgres, schema, until)
    yield listener
    listener.store.close()


def test_nobody_listens_before_somebody_watches(store: PostgresStore) -> None:
    connected(store)
    assert not store.listens()
    assert news_threads() == []


def test_one_thread_and_one_connection_listen_for_all_who_watch(listener: Listener) -> None:
    more: Told = queue.SimpleQueue()
    listener.store.watch(more.put)
    listener.begin()
    assert len(news_threads()) == 1
    assert listener.links() == 1
    record = connected(listener.store)
    assert listener.next() == record.key
    assert [more.get(timeout=PATIENCE) for _ in range(2)] == [None, record.key]


def test_who_comes_later_is_told_at_once_that_news_may_have_been_missed(listener: Listener) -> None:
    listener.begin()
    late: Told = queue.SimpleQueue()
    listener.store.watch(late.put)
    assert late.get_nowait() is None
    assert listener.store.listens()


def test_who_comes_while_the_others_are_told_is_told_before_it_counts_as_listening(
    listener: Listener, until: Any
) -> None:
    late: Told = queue.SimpleQueue()
    listened: list[bool] = []

    def hear(key: ConnectionKey | None) -> None:
        listened.append(listener.store.listens())
        late.put(key)

    more = iter([hear])

    def bring_another(_: ConnectionKey | None) -> None:
        for one in more:
            listener.store.watch(one)

    listener.store.watch(bring_another)
    listener.store.now()
    assert late.get(timeout=PATIENCE) is None
    assert listened[0] is False
    until(listener.store.listens)


def test_a_rename_is_told_for_both_keys(listener: Listener, store: PostgresStore) -> None:
    record = connected(store)
    listener.begin()
    assert store.rename(record, at("slack"), "elsewhere")
    assert {listener.next(), listener.next()} == {record.key, at("slack")}


def test_keys_that_are_too_long_to_be_told_stand_for_all(listener: Listener) -> None:
    long = at(account="\N{SNOWMAN}" * 3000)
    assert payload_of(long) == ""
    assert key_of("") is None
    listener.begin()
    listener.store._news.hear(payload_of(long))
    assert listener.next() is None


@pytest.mark.parametrize(
    "key", [at(), at("github", "ada", "work"), at("a\N{SNOWMAN}", '"', "\\"), ConnectionKey("", "", "", "")]
)
def test_a_key_is_told_as_it_is(key: ConnectionKey) -> None:
    assert key_of(payload_of(key)) == key


@pytest.mark.parametrize("payload", ["", "nonsense", "[]", "7", '["a","b",7,"c"]', '["a","b","c"]', '{"a":1}', "null"])
def test_a_notification_of_nobody_knows_what_stands_for_all(payload: str) -> None:
    assert key_of(payload) is None


def test_after_the_link_was_lost_all_are_told_before_it_counts_again(
    listener: Listener, store: PostgresStore, until: Any
) -> None:
    listener.begin()
    assert listener.cluster.end_connections(listener.name) == 1
    assert listener.next() is None
    until(listener.store.listens)
    record = connected(store)
    assert listener.next() == record.key


def test_a_link_that_is_lost_does_not_count_from_then_on(
    listener: Listener, monkeypatch: pytest.MonkeyPatch, until: Any
) -> None:
    monkeypatch.setattr(_postgres_news, "SILENCE", 1e9)
    monkeypatch.setattr(_postgres_news, "_FIRST_PAUSE", 60.0)  # closing the store ends that too
    listener.begin()
    assert listener.cluster.end_connections(listener.name) == 1
    until(lambda: not listener.store.listens())
    assert listener.told.empty()


def test_closing_ends_the_thread_and_using_the_store_again_begins_it_anew(listener: Listener, until: Any) -> None:
    listener.begin()
    listener.store.close()
    assert news_threads() == []
    assert not listener.store.listens()
    until(lambda: listener.links() == 0)
    listener.begin()


@pytest.mark.parametrize(
    ("thing", "name", "error"),
    [
        pytest.param(_postgres_news._Thread, "start", RuntimeError("can't start new thread"), id="no thread"),
        pytest.param(os, "pipe", OSError(errno.EMFILE, "Too many open files"), id="no descriptor"),
    ],
)
def test_where_nobody_can_listen_all_else_works_and_it_is_tried_again(
    listener: Listener, thing: Any, name: str, error: Exception
) -> None:
    def refuse(*_: object) -> None:
        raise error

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(thing, name, refuse)
        record = connected(listener.store)
        assert listener.store.load(record.key) == record
        assert not listener.store.listens()
        listener.store.close()
    listener.begin()


AT_EXIT = """
import sys, time
from valetkey.stores import _postgres_news
from valetkey.stores.postgres import PostgresStore

_postgres_news.PING, _postgres_news.SILENCE, _postgres_news._ANSWER, _postgres_news._LEAVE = 0.01, 0.2, 1e6, 1e6
store = PostgresStore(sys.argv[1], schema=sys.argv[2])
store.watch(print)
store.now()
while not store.listens():
    time.sleep(0.01)
print("listens", flush=True)
while store.listens():  # until the thread waits for an answer that does not come
    time.sleep(0.01)
"""


def test_a_server_that_is_away_holds_up_no_program_that_ends(own_postgres: Any, schema: str) -> None:
    command = [sys.executable, "-c", AT_EXIT, own_postgres.url(), schema]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        assert program.stderr is not None
        assert [program.stdout.readline() for _ in range(2)] == ["None\n", "listens\n"]
        own_postgres.signal(signal.SIGSTOP)
        try:
            assert program.wait(PATIENCE) == 0
        finally:
            own_postgres.signal(signal.SIGCONT)
            program.kill()
        assert program.stderr.read() == ""


def test_a_server_that_falls_silent_does_not_count_as_heard(
    own_postgres: Any, schema: str, monkeypatch: pytest.MonkeyPatch, until: Any
) -> None:
    monkeypatch.setattr(_postgres_news, "PING", 0.05)
    monkeypatch.setattr(_postgres_news, "SILENCE", 0.3)
    monkeypatch.setattr(_postgres_news, "_ANSWER", 0.5)
    listener = Listener(own_postgres, schema, until)
    try:
        listener.begin()
        own_postgres.signal(signal.SIGSTOP)
        try:
            until(lambda: not listener.store.listens())
        finally:
            own_postgres.signal(signal.SIGCONT)
        monkeypatch.setattr(_postgres_news, "SILENCE", 60.0)
        until(listener.store.listens)
    finally:
        listener.store.close()


def test_a_server_that_comes_back_is_listened_to_again(own_postgres: Any, schema: str, until: Any) -> None:
    listener = Listener(own_postgres, schema, until)
    try:
        listener.begin()
        own_postgres.stop(signal.SIGINT)
        until(lambda: not listener.store.listens())
        own_postgres.start()
        assert listener.next() is None
        until(listener.store.listens)
    finally:
        listener.store.close()


def test_where_another_database_is_listened_to_changes_are_looked_for(
    postgres: Any,
    schema: str,
    store: PostgresStore,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    until: Any,
) -> None:
    monkeypatch.setattr(_postgres_news, "_PROBE", 0.05)
    elsewhere = postgres.url().replace("/postgres?", "/template1?")
    listener = Listener(postgres, schema, until, listen_url=elsewhere)
    try:
        with caplog.at_level(logging.WARNING, logger="valetkey"):
            record = connected(listener.store)
            until(lambda: bool(caplog.messages))
        assert "listen_url" in caplog.text
        assert not listener.store.listens()
        assert listener.told.empty()
        claimed = held(store, record)
        assert listener.store.wait_for_change(record, PATIENCE)
        assert seen(listener.store, record) == claimed
    finally:
        listener.store.close()


def test_one_who_fails_at_the_news_makes_nobody_deaf(postgres: Any, schema: str, caplog: Any) -> None:
    def fail(_: object) -> None:
        raise RuntimeError("of the watcher")

    store = PostgresStore(postgres.url(), schema=schema)
    told: Told = queue.SimpleQueue()
    store.watch(fail)
    store.watch(told.put)
    store.store_id()
    assert told.get(timeout=PATIENCE) is None
    record = connected(store)
    assert told.get(timeout=PATIENCE) == record.key
    store.close()
    assert "of the watcher" in caplog.text


def test_a_store_that_nobody_knows_any_more_goes_with_its_watcher_and_its_thread(
    postgres: Any, schema: str, until: Any
) -> None:
    class Watcher:
        def __init__(self) -> None:
            self.store = PostgresStore(postgres.url(), schema=schema)
            self.store.watch(self.hear)
            self.store.store_id()

        def hear(self, _: object) -> None:
            pass

    watcher = Watcher()
    gone = weakref.ref(watcher)
    until(watcher.store.listens)
    del watcher
    gc.collect()
    assert gone() is None
    until(lambda: news_threads() == [])


def test_waiting_while_the_server_is_heard_asks_it_little(listener: Listener, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_postgres_waiting, "_DISTRUST", 1e9)
    monkeypatch.setattr(_postgres_news, "SILENCE", 1e9)
    record, other = connected(listener.store, 1), connected(listener.store, 2)
    listener.begin()
    last = connected(listener.store, 3)
    while listener.next() != last.key:  # then all that was done before was heard
        pass
    asked: list[str] = []
    find = listener.store.find

    def counted(connection_id: str) -> Record | None:
        asked.append(connection_id)
        return find(connection_id)

    monkeypatch.setattr(listener.store, "find", counted)
    listener.store.note(other.id, incarnation=1, changes={"last_used_at": 1.0})
    assert not listener.store.wait_for_change(record, 0.5)
    assert len(asked) == 1
    assert listener.store._waiting._waiters == {}


def test_a_forked_child_listens_for_itself(listener: Listener, until: Any) -> None:
    record = connected(listener.store)
    listener.begin()

    def work(child: Child) -> object:
        store = listener.store
        mine: Told = queue.SimpleQueue()
        heard_at_once = store.listens()
        store.watch(mine.put)
        store.now()  # over the child's own connection
        first = mine.get(timeout=PATIENCE)
        until(store.listens)
        child.pause()
        second = mine.get(timeout=PATIENCE)
        store.close()
        return heard_at_once, first, second

    child = Child(work)
    child.paused()
    assert listener.links() == 2
    held(listener.store, record)
    assert listener.next() == record.key
    child.go_on()
    assert child.result() == (False, None, record.key)
    until(lambda: listener.links() == 1)  # the server notices a little later
    assert listener.store.listens()


def test_a_child_keeps_no_socket_of_its_parent(listener: Listener) -> None:
    """The server would go on waiting for a parent that has died, and keep its locks."""
    connected(listener.store)
    listener.begin()

    def work(_: Child) -> list[str]:
        return [str(Path(f"/proc/self/fd/{link.fileno()}").readlink()) for link in _postgres_pool._inherited]

    left = Child(work).result()
    assert len(left) >= 2, "the one that listens, and one or two of the pool, where both threads wrote at once"
    assert set(left) == {os.devnull}
    assert listener.store.load(blank().key) is not None
    assert listener.store.listens()
