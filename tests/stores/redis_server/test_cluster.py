"""A cluster: all keys of a store lie in one slot, and its node is found from any other."""

from __future__ import annotations

import queue
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
import redis

from valetkey.errors import StoreError, StoreUnavailable
from valetkey.model.connections import ConnectionKey, Document, Event, Expect, Query, Record, Sealed
from valetkey.model.ports import Store
from valetkey.stores.redis import RedisStore
from valetkey.testing._contract_base import ENV, data_key, successor, with_grant

SLOTS = 16384
PATIENCE = 20.0


@pytest.fixture
def nodes(serve: Any, free_port: Any, until: Any) -> Callable[[int], list[Any]]:
    """Start a cluster of so many nodes, which share the slots."""

    def start(count: int) -> list[Any]:
        servers = []
        for _ in range(count):
            bus = ["--cluster-enabled", "yes", "--cluster-port", str(free_port())]
            servers.append(serve("--appendonly", "yes", "--save", "", *bus, port=free_port()))
        share = SLOTS // count
        for number, server in enumerate(servers):
            last = SLOTS - 1 if number == count - 1 else (number + 1) * share - 1
            server.run("CLUSTER", "ADDSLOTSRANGE", number * share, last)
        for server in servers[1:]:
            servers[0].run("CLUSTER", "MEET", "127.0.0.1", server.port, server._settings[-1])
        for server in servers:
            until(lambda server=server: state(server) == ("ok", SLOTS, count))
        return servers

    return start


def state(server: Any) -> tuple[str, int, int]:
    told = server.run("CLUSTER INFO")
    return told["cluster_state"], int(told["cluster_slots_ok"]), int(told["cluster_known_nodes"])


def whole_life(store: Store) -> None:
    """Do everything that a store does."""
    data_key(store, "dk_1")
    key = ConnectionKey(ENV, "github", "ada")
    blank = Record(id="con_1", key=key, requested=("read", "write"), due_at=5.0, created_at=1.0)
    record = store.create(with_grant(blank, 1, key_id="dk_1"))
    assert store.load(key) == record
    claimed = store.claim(record, holder="h", life=30.0, spending="fp")
    assert claimed is not None
    assert store.renew(claimed, holder="h", life=30.0)
    told = Event(kind="refreshed", at=1.0, env=ENV, connection_id="con_1")
    new = with_grant(successor(claimed, 2), 2, key_id="dk_1")
    stored = store.swap(new, expect=Expect.of(claimed, holder="h"), event=told)
    assert stored is not None
    assert [event.kind for event in store.list_events(env=ENV, connection_id="con_1")] == ["refreshed"]
    for query in (Query(env=ENV, search="ADA"), Query(env=ENV, missing_scope="write"), Query(env=ENV, owner="ada")):
        assert store.list(query).items == (stored,)
    assert store.due(env=ENV, until=9.0) == (stored,)
    assert store.note("con_1", incarnation=1, changes={"tags": {"a": "b"}})
    assert store.put_document(Document(kind="flow", id="f", sealed=Sealed(b"...", "dk_1"), expires_at=2e9)) is not None
    assert not store.retire_key("dk_1")
    assert store.take_document("flow", "f") is not None
    assert store.rekey([(stored, Sealed(b"anew", "dk_1"))]) == 1
    assert store.rename(stored, ConnectionKey(ENV, "slack"), "elsewhere")
    assert store.delete(stored)
    assert store.retire_key("dk_1")


def test_all_keys_of_a_store_lie_in_one_slot_of_a_cluster(nodes: Any, until: Any) -> None:
    (server,) = nodes(1)
    store = RedisStore(server.tcp("of-one"))
    told: queue.SimpleQueue[ConnectionKey | None] = queue.SimpleQueue()
    store.watch(told.put)
    whole_life(store)
    store.create(Record(id="con_2", key=ConnectionKey(ENV, "github"), created_at=1.0))
    until(store.listens)
    slots = {server.run("CLUSTER", "KEYSLOT", key) for key in server.run("KEYS", "*")}
    assert slots == {server.run("CLUSTER", "KEYSLOT", "{valetkey:of-one}")}
    store.close()


def test_the_node_that_has_the_store_is_found_from_any_other_and_when_the_slot_moves(
    nodes: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    servers = nodes(3)
    slot = servers[0].run("CLUSTER", "KEYSLOT", "{valetkey:far}")
    owner = servers[min(slot // (SLOTS // 3), 2)]
    others = [server for server in servers if server is not owner]
    stores = [RedisStore(server.tcp("far")) for server in servers]
    whole_life(stores[0])
    assert len({store.store_id() for store in stores}) == 1
    assert [server.run("DBSIZE") for server in others] == [0, 0]
    assert owner.run("DBSIZE") > 0

    blank = Record(id="con_2", key=ConnectionKey(ENV, "github"), created_at=1.0)
    record = stores[0].create(with_grant(blank, 1))
    run_all = stores[2]._link.run_all

    def moving(steps: Sequence[Any], **how: Any) -> list[Any]:
        move(owner, others[0], slot)
        return run_all(steps, **how)

    monkeypatch.setattr(stores[2]._link, "run_all", moving)
    assert stores[2].rekey([(record, Sealed(b"anew", ""))]) == 1
    assert [store.load(record.key) for store in stores] == [replace(record, sealed=Sealed(b"anew", ""))] * 3
    assert stores[1].claim(record, holder="h", life=30.0, spending="") is not None
    assert owner.run("DBSIZE") == 0
    for store in stores:
        store.close()


def move(giver: Any, taker: Any, slot: int) -> None:
    """Move a slot, as an operator does."""
    ids = [server.run("CLUSTER", "MYID").decode() for server in (giver, taker)]
    taker.run("CLUSTER", "SETSLOT", slot, "IMPORTING", ids[0])
    giver.run("CLUSTER", "SETSLOT", slot, "MIGRATING", ids[1])
    while keys := giver.run("CLUSTER", "GETKEYSINSLOT", slot, 100):
        giver.run("MIGRATE", "127.0.0.1", taker.port, "", 0, 5000, "KEYS", *keys)
    for server in (taker, giver):
        server.run("CLUSTER", "SETSLOT", slot, "NODE", ids[1])


def test_while_the_slot_moves_the_store_is_unavailable_and_nothing_is_half_written(nodes: Any) -> None:
    giver, taker = nodes(2)
    slot = giver.run("CLUSTER", "KEYSLOT", "{valetkey:moving}")
    if slot >= SLOTS // 2:
        giver, taker = taker, giver
    store = RedisStore(giver.tcp("moving"))
    record = store.create(Record(id="con_1", key=ConnectionKey(ENV, "github"), created_at=1.0))
    ids = [server.run("CLUSTER", "MYID").decode() for server in (giver, taker)]
    taker.run("CLUSTER", "SETSLOT", slot, "IMPORTING", ids[0])
    giver.run("CLUSTER", "SETSLOT", slot, "MIGRATING", ids[1])
    (key,) = (key for key in giver.run("KEYS", "*") if b":con:" in key)
    giver.run("MIGRATE", "127.0.0.1", taker.port, "", 0, 5000, "KEYS", key)

    with pytest.raises(StoreUnavailable, match="moves the slot"):
        store.claim(record, holder="h", life=30.0, spending="")

    move(giver, taker, slot)
    assert store.load(record.key) == record
    store.close()


def test_the_loss_of_the_node_that_was_named_is_not_the_end(nodes: Any, until: Any) -> None:
    servers = nodes(3)
    slot = servers[0].run("CLUSTER", "KEYSLOT", "{valetkey:far}")
    at = min(slot // (SLOTS // 3), 2)
    named = servers[(at + 1) % 3]
    for server in servers:
        server.run("CONFIG", "SET", "cluster-require-full-coverage", "no")
    store = RedisStore(named.tcp("far"))
    record = store.create(Record(id="con_2", key=ConnectionKey(ENV, "github"), created_at=1.0))
    named.kill()
    assert store.load(record.key) == record
    servers[at].run("CLIENT", "KILL", "TYPE", "normal")

    def answers() -> bool:
        try:
            return store.load(record.key) == record
        except StoreError:
            return False

    until(answers)
    store.close()
    with pytest.raises(redis.ConnectionError):
        named.run("PING")
