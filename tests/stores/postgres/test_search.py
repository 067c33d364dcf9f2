"""What a search looks at stands in a table of its own, which the server keeps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from valetkey.model.connections import ConnectionKey, Expect, Identity, Query
from valetkey.stores import _postgres_schema
from valetkey.stores.postgres import PostgresStore
from valetkey.testing._contract_base import ENV, blank, connected, ids, seen

Sql = Callable[..., list[tuple[Any, ...]]]


def found(store: PostgresStore, text: str) -> list[str]:
    return ids(store.list(Query(env=ENV, search=text)).items)


def test_it_follows_what_becomes_of_a_connection(store: PostgresStore, sql: Sql) -> None:
    record = connected(store, 1)
    assert found(store, "ACCOUNT-1") == [record.id]
    assert store.note(record.id, incarnation=record.incarnation, changes={"identity": Identity(email="Ada@x.example")})
    assert found(store, "ada@x") == [record.id]
    assert store.rename(record, ConnectionKey(ENV, "slack", "grace", "work"), "moved")
    assert (found(store, "slack"), found(store, "account-1")) == ([record.id], [])
    assert store.delete(record)
    assert sql("SELECT 1 FROM {S}.search_text") == []


def test_a_refresh_writes_nothing_there(store: PostgresStore, sql: Sql) -> None:
    record = connected(store, 1)
    before = sql("SELECT ctid FROM {S}.search_text")
    new = replace(seen(store, record), version=record.version + 1, due_at=1.0, state="refresh_failing")
    assert store.swap(new, expect=Expect.of(record)) is not None
    assert sql("SELECT ctid FROM {S}.search_text") == before


@pytest.mark.parametrize("trigrams", [False, True])
def test_a_store_of_the_first_schema_is_searched_too(
    store: PostgresStore, postgres: Any, schema: str, sql: Sql, monkeypatch: pytest.MonkeyPatch, *, trigrams: bool
) -> None:
    with monkeypatch.context() as past:
        past.setattr(_postgres_schema, "MIGRATIONS", _postgres_schema.MIGRATIONS[:1])
        past.setattr(_postgres_schema, "TRIGRAMS", "SELECT '{T}'")
        old = [store.create(blank(number)) for number in (1, 2)]
        if trigrams:  # as the first schema had them, by whatever means
            sql("CREATE INDEX connection_search ON {S}.connection (search)")
        store.close()
    newer = PostgresStore(postgres.url(), schema=schema)
    assert found(newer, "account-") == [record.id for record in old]
    assert newer.rename(old[0], ConnectionKey(ENV, "slack"), "moved")
    assert found(newer, "slack") == [old[0].id]
    assert newer.create(blank(3)).id in found(newer, "account-3")
    assert sql("SELECT to_regclass('{S}.connection_search')") == [(None,)]
    newer.close()


def test_the_schema_may_be_renamed(store: PostgresStore, postgres: Any, schema: str, sql: Sql) -> None:
    store.create(blank(1))
    store.close()
    sql(f"ALTER SCHEMA {{S}} RENAME TO {schema}_new")
    moved = PostgresStore(postgres.url(), schema=f"{schema}_new")
    moved.create(blank(2))
    assert found(moved, "account-") == ["con_0001", "con_0002"]
    moved.close()
