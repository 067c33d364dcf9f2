"""The store behind pgbouncer in transaction mode: each transaction may run on another connection of the server."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from valetkey.model.ports import Clock, Store
from valetkey.stores.postgres import PostgresStore
from valetkey.testing._contract_base import PATIENCE, connected, held, seen
from valetkey.testing._contract_claims import Claims, Swaps
from valetkey.testing._contract_records import DataKeys
from valetkey.testing._contract_shared import Shared


class TestBehindPgbouncer(Claims, Swaps, DataKeys, Shared):
    """The parts of the contract that are about transactions and about several handles."""

    tells = True
    rounds = 15

    @pytest.fixture(autouse=True)
    def _place(self, postgres: Any, bouncer: Any, schema: str, server_time: Any) -> None:
        self.url, self.listen_url, self.schema, self.time = bouncer.url(), postgres.url(), schema, server_time

    def make_store(self, clock: Clock) -> Store:
        return PostgresStore(self.url, listen_url=self.listen_url, schema=self.schema, clock=clock)

    def pass_time(self, seconds: float) -> None:
        self.time.pass_by(seconds)


def test_without_a_direct_way_changes_are_looked_for_and_the_log_says_what_to_do(
    bouncer: Any, store: PostgresStore, schema: str, caplog: pytest.LogCaptureFixture, until: Any
) -> None:
    pooled = PostgresStore(bouncer.url(), schema=schema)
    told: list[object] = []
    pooled.watch(told.append)
    with caplog.at_level(logging.WARNING, logger="valetkey"):
        record = connected(pooled)
        claimed = held(store, record)
        assert pooled.wait_for_change(record, PATIENCE)
        assert seen(pooled, record) == claimed
        until(lambda: caplog.messages)
    assert not pooled.listens()
    assert told == []
    pooled.close()
    assert "a pooler is in between; name a direct listen_url" in caplog.text


def test_more_threads_than_connections_of_the_server_take_turns(bouncer: Any, schema: str) -> None:
    from valetkey.testing._contract_base import at_once

    store = PostgresStore(bouncer.url(), schema=schema, pool_size=8)
    record = connected(store)
    works = [lambda n=n: store.claim(record, holder=f"h{n}", life=30.0, spending="") for n in range(16)]
    assert sum(claimed is not None for claimed in at_once(*works)) == 1
    store.close()


def test_nothing_stays_set_or_prepared_on_the_connections_that_others_get(bouncer: Any, schema: str) -> None:
    import psycopg

    store = PostgresStore(bouncer.url(), schema=schema)
    record = connected(store)
    for _ in range(10):
        seen(store, record)
        store.note(record.id, incarnation=1, changes={"last_used_at": 1.0})
    with psycopg.connect(bouncer.url(), autocommit=True, prepare_threshold=None) as link:
        for _ in range(5):
            assert link.execute("SELECT count(*) FROM pg_prepared_statements").fetchall() == [(0,)]
            assert link.execute("SELECT count(*) FROM pg_listening_channels()").fetchall() == [(0,)]
            locks = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()"
            assert link.execute(locks.encode()).fetchall() == [(0,)]
            assert link.execute("SHOW lock_timeout").fetchall() == [("0",)]
    store.close()
