"""What a search looks at stands in a table of its own, which the server keeps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from valetkey.model.connections import ConnectionKey, Expect, Identity, Query, Record
from valetkey.stores import _postgres_lists, _postgres_schema
from valetkey.stores.postgres import PostgresStore
from valetkey.testing._contract_base import ENV, blank, connected, every_page, ids, seen

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


def as_of_old(store: PostgresStore, sql: Sql, *numbers: int) -> list[Record]:
    """Create connections in a store whose schema has not the column that came last."""
    assert store.store_id(), "the schema is made now"
    sql("ALTER TABLE {S}.connection ADD COLUMN sign_in_due_at double precision")
    made = [store.create(blank(number)) for number in numbers]
    sql("ALTER TABLE {S}.connection DROP COLUMN sign_in_due_at")
    return made


@pytest.mark.parametrize("trigrams", [False, True])
def test_a_store_of_the_first_schema_is_searched_too(
    store: PostgresStore, postgres: Any, schema: str, sql: Sql, monkeypatch: pytest.MonkeyPatch, *, trigrams: bool
) -> None:
    with monkeypatch.context() as past:
        past.setattr(_postgres_schema, "MIGRATIONS", _postgres_schema.MIGRATIONS[:1])
        past.setattr(_postgres_schema, "TRIGRAMS", "SELECT '{T}'")
        past.setattr(_postgres_schema, "EXTENSION", "SELECT 1")
        old = as_of_old(store, sql, 1, 2)
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


# -- with the extension, and without it --------------------------------------------------------------------------------

INSIDE, BEGUN = "count-000", "account-000"
"""Found where any part of a text is, and where only beginnings are."""


def made(url: str, schema: str) -> PostgresStore:
    """Return a store with one connection in it."""
    store = PostgresStore(url, schema=schema)
    store.create(blank(1, key=ConnectionKey(ENV, "github", "ada", "account-0001")))
    return store


@pytest.fixture
def bare(bare_url: str, schema: str) -> Iterator[PostgresStore]:
    """A store in a database without the extension, whose role may not make it."""
    store = made(bare_url, schema)
    yield store
    store.close()


def indexes(bare_sql: Sql) -> list[str]:
    rows = bare_sql("SELECT indexname FROM pg_indexes WHERE schemaname = '{S}' AND tablename = 'search_text'")
    return [name for (name,) in rows]


def test_a_role_that_may_make_schemas_gets_the_extension(postgres: Any, schema: str) -> None:
    name = f"of_{schema}"
    postgres.sql(f"CREATE ROLE {name} LOGIN")
    postgres.sql(f"CREATE DATABASE {name}")
    postgres.sql(f"GRANT CREATE ON DATABASE {name} TO {name}")
    store = made(postgres.url(user=name, database=name), schema)
    assert store.searches_anywhere()
    assert found(store, INSIDE) == ["con_0001"]
    store.close()
    assert postgres.sql("SELECT 1 FROM pg_extension WHERE extname = 'pg_trgm'", database=name) == [(1,)]
    postgres.sql(f"DROP DATABASE {name}")


@pytest.mark.parametrize("text", ["a", "ac", "AC"])
def test_one_or_two_letters_find_beginnings_with_trigrams_too(store: PostgresStore, text: str) -> None:
    store.create(blank(1, key=ConnectionKey(ENV, "github", "ada", "account-0001")))
    store.create(blank(2, key=ConnectionKey(ENV, "github", "bob", "back")))

    assert store.searches_anywhere()
    assert not store.searches_anywhere(text)
    assert found(store, text) == ["con_0001"]
    assert found(store, "ack") == ["con_0002"]


def test_a_role_that_may_not_make_the_extension_finds_beginnings(bare: PostgresStore, bare_sql: Sql) -> None:
    assert not bare.searches_anywhere()
    assert (found(bare, BEGUN), found(bare, INSIDE)) == (["con_0001"], [])
    assert _postgres_schema.TRIGRAM_INDEX not in indexes(bare_sql)


@pytest.mark.usefixtures("_bare")
def test_a_server_that_has_no_such_extension_finds_beginnings(
    postgres: Any, schema: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_postgres_schema, "EXTENSION", "CREATE EXTENSION IF NOT EXISTS is_not_installed")
    store = made(postgres.url(database="bare"), schema)
    assert not store.searches_anywhere()
    assert (found(store, BEGUN), found(store, INSIDE)) == (["con_0001"], [])
    store.close()


def test_an_index_that_was_made_later_is_used_by_the_next_connection(
    postgres: Any, schema: str, bare_sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as past:
        past.setattr(_postgres_schema, "EXTENSION", "SELECT 1")
        store = made(postgres.url(database="bare"), schema)
    assert not store.searches_anywhere()
    bare_sql("CREATE EXTENSION pg_trgm")
    bare_sql("CREATE INDEX search_text_trigrams ON {S}.search_text USING gin (search gin_trgm_ops)")
    store.close()
    assert (store.searches_anywhere(), found(store, INSIDE)) == (True, ["con_0001"])
    bare_sql("DROP EXTENSION pg_trgm CASCADE")
    store.close()
    assert (store.searches_anywhere(), found(store, BEGUN), found(store, INSIDE)) == (False, ["con_0001"], [])
    store.close()


@pytest.mark.parametrize("before", [1, 2, 3])
def test_a_store_of_an_older_schema_gets_the_indexes_behind_a_pooler_too(
    before: int, bare_url: str, bouncer: Any, schema: str, bare_sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as past:
        past.setattr(_postgres_schema, "MIGRATIONS", _postgres_schema.MIGRATIONS[:before])
        past.setattr(_postgres_schema, "TRIGRAMS", "SELECT '{T}'")
        store = PostgresStore(bare_url, schema=schema)
        (record,) = as_of_old(store, bare_sql, 1)
        store.close()
    newer = PostgresStore(bouncer.url("bare"), schema=schema)
    assert found(newer, BEGUN.replace("000", "1")) == [record.id]
    newer.close()
    wanted = {f"search_text_beginning_{number}" for number in range(1, 8)}
    assert wanted <= set(indexes(bare_sql))
    assert bare_sql("SELECT schema_version FROM {S}.store") == [(len(_postgres_schema.MIGRATIONS),)]


@pytest.mark.parametrize("most", [0, 2000], ids=["many", "few"])
def test_many_and_few_are_found_alike_in_pages(
    bare: PostgresStore, store: PostgresStore, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    """Of many that match, the statement goes another way than of few."""
    for name in ("_ANYWHERE", "_BEGUN"):
        text = getattr(_postgres_lists, name)
        monkeypatch.setattr(
            _postgres_lists, name, text.replace(f"LIMIT {_postgres_lists.MOST + 1}", f"LIMIT {most + 1}")
        )
    monkeypatch.setattr(_postgres_lists, "MOST", most)
    for place in (bare, store):
        for number in range(10, 30):
            place.create(blank(number, key=ConnectionKey(ENV, "github", f"person-{number}", "person-%_\\")))
        for text in ("person-", "PERSON-%_\\"):
            query, wanted = Query(env=ENV, search=text), [f"con_{number:04}" for number in range(10, 30)]
            assert [name for page in every_page(place, query, limit=7) for name in ids(page)] == wanted
            last = place.list(query, limit=7, backwards=True)
            assert (ids(last.items), last.cursor) == (wanted[-7:], None)
            assert ids(place.list(query, cursor=last.before, limit=7, backwards=True).items) == wanted[-14:-7]
        assert found(place, "person-1") == wanted[:10]
        assert found(place, f"person-{'1' * 200}") == []


def test_long_texts_are_told_apart_beyond_what_the_index_holds(bare: PostgresStore) -> None:
    length = _postgres_schema.LONGEST
    for number, end in ((2, "x"), (3, "y")):
        bare.create(blank(number, identity=Identity(name="n" * length + end)))
    assert found(bare, "N" * length) == ["con_0002", "con_0003"]
    assert found(bare, "n" * length + "y") == ["con_0003"]
