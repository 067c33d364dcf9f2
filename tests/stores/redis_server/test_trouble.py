"""Servers that are down, full, locked, foreign or forgetful: clear errors, and nothing lost or done twice."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import redis

from valetkey.errors import StoreError, StoreUnavailable, ValetkeyError
from valetkey.model.connections import ConnectionKey, Document, Event, Expect, Query, Record
from valetkey.stores._redis_names import Names
from valetkey.stores.redis import RedisStore

ADA = ConnectionKey("test", "github", "ada")
RECORD = Record(id="con_1", key=ADA, state="connected", created_at=1.0, expires_at=2e9)
NAMES = Names("default")


def trouble(work: Callable[[], object], kind: type[ValetkeyError] = StoreUnavailable) -> str:
    """Return the code of the error that comes; it must say what to do."""
    with pytest.raises(kind) as caught:
        work()
    assert caught.value.hint
    return caught.value.code


@pytest.fixture
def opened() -> Any:
    """Open stores that are closed at the end of the test."""
    stores: list[RedisStore] = []

    def open_it(url: str, **options: Any) -> RedisStore:
        stores.append(RedisStore(url, **options))
        return stores[-1]

    yield open_it
    for store in stores:
        store.close()


# -- is it a server for grants? ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        pytest.param(["--save", "", "--appendonly", "no"], "store_volatile", id="nothing on disk"),
        pytest.param(
            ["--appendonly", "yes", "--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"],
            "store_evicts",
            id="evicting",
        ),
        pytest.param(
            ["--appendonly", "yes", "--maxmemory", "100mb", "--maxmemory-policy", "volatile-ttl"],
            "store_evicts",
            id="evicting what expires",
        ),
    ],
)
def test_a_server_that_forgets_is_refused_unless_that_is_said_to_be_all_right(
    serve: Any, opened: Any, settings: list[str], code: str
) -> None:
    server = serve(*settings)
    refused = opened(server.url())
    assert trouble(lambda: refused.load(ADA), StoreError) == code
    assert server.run("KEYS", "*") == []
    flag = {"store_volatile": "allow_volatile", "store_evicts": "allow_eviction"}[code]
    assert opened(server.url(**{flag: "1"})).create(RECORD) == RECORD


def test_an_evicting_policy_without_a_limit_evicts_nothing(serve: Any, opened: Any) -> None:
    server = serve("--appendonly", "yes", "--maxmemory-policy", "allkeys-lru")
    assert opened(server.url()).create(RECORD) == RECORD


def test_a_server_with_snapshots_only_will_do_and_is_warned_of(
    serve: Any, opened: Any, caplog: pytest.LogCaptureFixture
) -> None:
    server = serve("--save", "3600 1")
    with caplog.at_level(logging.WARNING, "valetkey"):
        assert opened(server.url()).create(RECORD) == RECORD
    assert "snapshots only" in caplog.text
    assert commands(server, "waitaof") == 0


def test_a_write_waits_for_the_servers_disk(serve: Any, opened: Any) -> None:
    server = serve("--appendonly", "yes", "--appendfsync", "everysec", "--save", "")
    store = opened(server.url())
    store.create(RECORD)
    before = commands(server, "waitaof")
    assert store.claim(RECORD, holder="h", life=30.0, spending="") is not None
    assert commands(server, "waitaof") == before + 1
    store.load(ADA)
    assert commands(server, "waitaof") == before + 1


def test_what_was_stored_survives_the_death_of_the_server(serve: Any, opened: Any) -> None:
    server = serve()
    store = opened(server.url())
    record = store.create(RECORD)
    stored = store.swap(replace(record, version=1), expect=Expect.of(record), event=Event(kind="k", at=1.0, env="test"))
    server.kill()
    assert trouble(lambda: store.load(ADA)) == "store_unavailable"
    server.start()
    assert store.load(ADA) == stored
    assert len(store.list_events(env="test")) == 1


def test_a_server_that_stops_telling_of_its_disk_is_warned_of(
    serve: Any, opened: Any, caplog: pytest.LogCaptureFixture
) -> None:
    server = serve()
    store = opened(server.url())
    store.create(RECORD)
    server.run("CONFIG", "SET", "appendonly", "no")
    with caplog.at_level(logging.WARNING, "valetkey"):
        assert store.note("con_1", incarnation=1, changes={"last_used_at": 5.0})
        assert store.note("con_1", incarnation=1, changes={"last_used_at": 6.0})
    assert caplog.text.count("does not tell when a write is on its disk") == 1


def commands(server: Any, name: str) -> int:
    told = server.run("INFO", "commandstats").get(f"cmdstat_{name}", {})
    return int(told.get("calls", 0))


# -- down, slow, in the middle -----------------------------------------------------------------------------------------


def test_a_server_that_is_down_at_the_start_is_named_and_found_when_it_is_up(serve: Any, opened: Any) -> None:
    server = serve()
    server.kill()
    store = opened(server.url())
    assert trouble(store.store_id) == "store_unavailable"
    with pytest.raises(StoreUnavailable, match="nothing was sent"):
        store.create(RECORD)
    server.start()
    assert store.create(RECORD) == RECORD


def test_a_host_that_does_not_exist_is_named(opened: Any) -> None:
    store = opened("redis://nowhere.invalid:1/0")
    with pytest.raises(StoreUnavailable, match=r"redis://nowhere\.invalid:1/0 does not answer"):
        store.store_id()


def test_idle_connections_that_a_restart_has_cut_cost_nobody_an_error(serve: Any, opened: Any) -> None:
    server = serve()
    store = opened(server.url())
    store.create(RECORD)
    server.kill()
    server.start()
    assert store.claim(RECORD, holder="h", life=30.0, spending="") is not None


def test_a_write_whose_answer_is_lost_is_told_so_and_not_done_again(serve: Any, wires: Any, opened: Any) -> None:
    server = serve()
    wire = wires(server)
    store = opened(wire.url())
    store.create(RECORD)
    store.append_event(Event(kind="k", at=1.0, env="test"))
    carried = wire.carried

    wire.lose_answers()
    assert trouble(lambda: store.append_event(Event(kind="k", at=2.0, env="test"))) == "store_answer_lost"

    assert wire.carried == carried + 1, "nothing was sent a second time"
    assert [event.at for event in store.list_events(env="test")] == [1.0, 2.0]


def test_a_read_whose_answer_is_lost_is_no_doubt(serve: Any, wires: Any, opened: Any) -> None:
    wire = wires(serve())
    store = opened(wire.url())
    store.create(RECORD)
    wire.lose_answers()
    assert trouble(lambda: store.load(ADA)) == "store_unavailable"
    assert store.load(ADA) == RECORD


def test_a_server_that_hangs_is_given_up(serve: Any, opened: Any, until: Any) -> None:
    server = serve()
    store, hasty = opened(server.url()), opened(server.url(), timeout=0.3)
    store.create(RECORD)

    def connected() -> bool:  # a machine that is busy may take longer
        try:
            return bool(hasty.load(ADA) == RECORD)
        except StoreUnavailable:
            return False

    until(connected)
    server.freeze()
    try:
        assert trouble(lambda: hasty.load(ADA)) == "store_unavailable"
        assert trouble(lambda: hasty.append_event(Event(kind="k", at=1.0))) == "store_answer_lost"
    finally:
        server.freeze(thaw=True)
    server.wait()
    assert store.load(ADA) == RECORD


def test_a_server_that_is_still_loading_is_told_so(serve: Any, opened: Any, until: Any) -> None:
    server = serve("--save", "3600 1")
    for number in range(200):
        server.run("SET", f"filler-{number}", os.urandom(2000))
    server.run("SAVE")
    server.kill()
    server.start("--key-load-delay", "100000", "--loading-process-events-interval-bytes", "1024", ready=False)

    def loading() -> bool:
        try:
            server.run("PING")
        except redis.BusyLoadingError:
            return True
        except redis.ConnectionError:
            return False
        return False

    until(loading)
    with pytest.raises(StoreUnavailable, match="is starting"):
        opened(server.url()).load(ADA)


# -- the wrong server --------------------------------------------------------------------------------------------------


def test_a_replica_is_neither_read_nor_written(serve: Any, opened: Any) -> None:
    server = serve()
    store = opened(server.url())
    record = store.create(RECORD)
    server.run("REPLICAOF", "127.0.0.1", "1")

    assert trouble(lambda: store.load(ADA)) == "store_read_only"
    assert trouble(lambda: store.list(Query(env="test"))) == "store_read_only"
    assert trouble(lambda: store.claim(record, holder="h", life=30.0, spending="")) == "store_read_only"
    assert trouble(opened(server.url()).store_id) == "store_read_only"

    server.run("REPLICAOF", "NO", "ONE")
    assert store.load(ADA) == record


def test_a_number_that_no_database_has_is_named(shared_server: Any, opened: Any) -> None:
    assert trouble(opened(shared_server.url(db="99")).store_id, ValetkeyError) == "store_url"


def test_two_names_and_two_databases_are_different_stores(shared_server: Any, opened: Any) -> None:
    urls = [shared_server.url("one"), shared_server.url("two"), shared_server.url("one", db="1")]
    stores = [opened(url) for url in urls]
    stores[0].create(RECORD)
    assert len({store.store_id() for store in stores}) == 3
    assert [store.load(ADA) is None for store in stores] == [False, True, True]


def test_a_store_of_a_newer_valetkey_is_left_alone(serve: Any, opened: Any) -> None:
    server = serve()
    store = opened(server.url())
    store.create(RECORD)
    store.close()
    server.run("HSET", NAMES.meta, "schema", "3")
    assert trouble(lambda: store.load(ADA), StoreError) == "store_newer"


def test_a_store_that_is_emptied_while_it_is_in_use_is_not_taken_for_a_new_one(serve: Any, opened: Any) -> None:
    server = serve()
    store = opened(server.url())
    store.create(RECORD)
    server.run("FLUSHALL")
    assert trouble(lambda: store.load(ADA), StoreError) == "store_replaced"
    assert trouble(lambda: store.append_event(Event(kind="k", at=1.0)), StoreError) == "store_replaced"
    assert server.run("KEYS", "*") == []


# -- logging in --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("login", ["", ":wrong@", "ada:wrong@"])
def test_a_wrong_or_missing_password_is_told_so(serve: Any, opened: Any, login: str, free_port: Any) -> None:
    server = serve("--appendonly", "yes", "--requirepass", "right", port=free_port())
    store = opened(f"redis://{login}127.0.0.1:{server.port}/0")
    assert trouble(lambda: store.load(ADA)) == "store_login"
    assert opened(f"redis://:right@127.0.0.1:{server.port}/0").load(ADA) is None


def test_a_password_that_is_changed_meanwhile_is_told_so(serve: Any, opened: Any) -> None:
    server = serve()
    store = opened(server.url())
    store.create(RECORD)
    server.run("CONFIG", "SET", "requirepass", "new")
    server.run("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "no", password="new")
    assert trouble(lambda: store.load(ADA)) == "store_login"


@pytest.mark.parametrize("denied", ["-xadd", "-publish", "-evalsha", "-info"])
def test_a_user_who_may_not_do_all_that_is_needed_is_refused_at_the_start(
    serve: Any, opened: Any, denied: str, free_port: Any
) -> None:
    server = serve("--appendonly", "yes", port=free_port())
    server.run("ACL", "SETUSER", "ada", "on", ">pw", "~{valetkey:*", "&{valetkey:*", "+@all", denied)
    store = opened(f"redis://ada:pw@127.0.0.1:{server.port}/0")
    assert trouble(lambda: store.create(RECORD), StoreError) == "store_privilege"
    assert server.run("EXISTS", NAMES.row("con_1"), NAMES.pointer(ADA)) == 0


def test_the_rights_that_the_hint_names_are_enough(serve: Any, opened: Any, free_port: Any) -> None:
    server = serve("--appendonly", "yes", port=free_port())
    server.run("ACL", "SETUSER", "ada", "on", ">pw")
    url = f"redis://ada:pw@127.0.0.1:{server.port}/0"
    with pytest.raises(StoreError) as caught:
        opened(url).store_id()
    rights = caught.value.hint.partition("SETUSER name ")[2].split()
    server.run("ACL", "SETUSER", "ada", *rights)
    store = opened(url)
    assert store.create(RECORD) == RECORD
    assert store.put_document(Document(kind="flow", id="f", expires_at=2e9)) is not None


# -- full --------------------------------------------------------------------------------------------------------------


def test_a_server_without_memory_refuses_writes_whole_and_answers_reads(serve: Any, opened: Any) -> None:
    server = serve()
    store = opened(server.url())
    record = store.create(RECORD)
    server.run("CONFIG", "SET", "maxmemory", "1")

    new = replace(record, version=1, due_at=5.0)
    told = Event(kind="refreshed", at=1.0, env="test")
    assert trouble(lambda: store.swap(new, expect=Expect.of(record), event=told)) == "store_full"
    assert store.load(ADA) == record
    assert opened(server.url()).load(ADA) == record, "a program that starts now can read as well"
    assert store.list_events(env="test") == ()

    server.run("CONFIG", "SET", "maxmemory", "0")
    assert store.swap(new, expect=Expect.of(record), event=told) == new


def test_a_server_that_cannot_save_refuses_writes_and_answers_reads(serve: Any, opened: Any, until: Any) -> None:
    server = serve("--save", "3600 1")
    store = opened(server.url())
    record = store.create(RECORD)
    (server.folder / "dump.rdb").mkdir()
    server.run("BGSAVE")
    until(lambda: server.run("INFO", "persistence")["rdb_last_bgsave_status"] == "err")

    assert trouble(lambda: store.claim(record, holder="h", life=30.0, spending="")) == "store_io"
    assert store.load(ADA) == record
    assert opened(server.url()).load(ADA) == record, "a program that starts now can read as well"

    server.run("CONFIG", "SET", "stop-writes-on-bgsave-error", "no")
    assert store.claim(record, holder="h", life=30.0, spending="") is not None
