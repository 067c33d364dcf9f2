"""What goes wrong with a Postgres store is a clear error with a code and a next step, and nothing is lost."""

from __future__ import annotations

import secrets
import signal
import socket
import threading
import traceback
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from psycopg import errors as pg
from psycopg.conninfo import make_conninfo

from valetkey.errors import StoreUnavailable, ValetkeyError
from valetkey.model.connections import Document, Event, Expect, Query
from valetkey.stores import _postgres_base, _postgres_pool
from valetkey.stores._postgres_errors import store_error
from valetkey.stores._postgres_pool import Connection
from valetkey.stores.postgres import PostgresStore
from valetkey.testing._contract_base import ENV, at, at_once, blank, connected, held, seen, successor
from valetkey.values import Secret

Sql = Callable[..., list[tuple[Any, ...]]]


def trouble(work: Callable[[], object]) -> tuple[str, str, str, str]:
    """Return kind, code, text and hint of the error that `work` raises."""
    with pytest.raises(ValetkeyError) as caught:
        work()
    error = caught.value
    return type(error).__name__, error.code, str(error), error.hint


@pytest.fixture
def role(postgres: Any, schema: str) -> Iterator[str]:
    """A role that may log in and no more, with a password of its own."""
    name = f"role_{schema}"
    postgres.sql(f"CREATE ROLE {name} LOGIN PASSWORD 'hunter2'")
    yield name
    postgres.sql(f"DROP OWNED BY {name}")
    postgres.sql(f"DROP ROLE {name}")


@pytest.fixture
def made(schema: str) -> Iterator[Callable[..., PostgresStore]]:
    """Makes stores that are closed when the test ends."""
    stores: list[PostgresStore] = []

    def make(url: str, **options: Any) -> PostgresStore:
        stores.append(PostgresStore(url, **{"schema": schema, **options}))
        return stores[-1]

    yield make
    for store in stores:
        store.close()


# -- logging in --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parts", "code", "words"),
    [
        pytest.param({"password": "hunter2"}, "store_login", "password", id="wrong password"),
        pytest.param({"user": "nobody", "password": "hunter2"}, "store_login", "password", id="unknown user"),
        pytest.param({"database": "none"}, "store_missing", "createdb", id="no such database"),
    ],
)
def test_a_refused_login_is_told_and_the_password_is_not(
    postgres: Any, made: Any, parts: dict[str, str], code: str, words: str
) -> None:
    store = made(postgres.tcp(**parts))
    with pytest.raises(StoreUnavailable) as caught:
        store.store_id()
    error = caught.value
    told = "".join(traceback.format_exception(error)) + repr(error) + error.hint + store.url
    assert error.code == code
    assert words in error.hint
    assert not any(password in told for password in ("hunter2", "a?w/k@rd", "a%3Fw"))


def test_a_password_with_odd_characters_opens_the_store(postgres: Any, made: Any) -> None:
    store = made(postgres.tcp())
    assert store.store_id() == store.store_id()


def test_a_server_that_is_not_there_is_told(made: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:  # free as soon as it is closed
        port = taken.getsockname()[1]
    store = made(f"postgresql://app:hunter2@127.0.0.1:{port}/v")
    for work in (store.store_id, store.now, lambda: store.create(blank())):
        kind, code, text, hint = trouble(work)
        assert (kind, code) == ("StoreUnavailable", "store_unavailable")
        assert "refused" in text
        assert "Is the server" not in text
        assert f"pg_isready -d 'postgresql://app@127.0.0.1:{port}/v" in hint
        assert "hunter2" not in text + hint


def test_a_server_without_free_connections_is_told(made: Any, postgres: Any, role: str) -> None:
    postgres.sql(f"ALTER ROLE {role} CONNECTION LIMIT 0")
    _, code, _, hint = trouble(made(postgres.tcp(user=role, password="hunter2")).store_id)
    assert code == "store_busy"
    assert "pgbouncer" in hint


# -- privileges and schema ---------------------------------------------------------------------------------------------


def test_a_role_that_may_not_make_the_tables_is_told_what_an_administrator_does(
    made: Any, postgres: Any, role: str, schema: str
) -> None:
    store = made(postgres.tcp(user=role, password="hunter2"))
    kind, code, _, hint = trouble(store.store_id)
    assert (kind, code) == ("StoreError", "store_privilege")
    assert f'CREATE SCHEMA "{schema}" AUTHORIZATION' in hint
    postgres.sql(f'CREATE SCHEMA "{schema}" AUTHORIZATION {role}')
    assert connected(store) == seen(store, blank())


def test_a_role_that_may_not_use_the_tables_is_told_and_one_that_may_works(
    made: Any, postgres: Any, store: PostgresStore, role: str
) -> None:
    record = connected(store)
    other = made(postgres.tcp(user=role, password="hunter2"))
    kind, code, _, hint = trouble(lambda: other.load(record.key))
    assert (kind, code) == ("StoreError", "store_privilege")
    for statement in hint.removeprefix("As its owner: ").replace("ROLE", role).split("; "):
        postgres.sql(statement)
    other.append_event(Event(kind="k", at=1.0, env=ENV))
    assert other.retire_key("none") is False
    claimed = held(other, record)
    assert seen(other, record) == claimed


def test_a_newer_schema_is_refused(store: PostgresStore, made: Any, postgres: Any, sql: Sql) -> None:
    store.store_id()
    sql("UPDATE {S}.store SET schema_version = 99")
    kind, code, text, hint = trouble(made(postgres.url()).store_id)
    assert (kind, code) == ("StoreError", "store_newer")
    assert "schema 99" in text
    assert "--upgrade" in hint


@pytest.mark.parametrize(
    "table",
    [
        pytest.param("store (shop text, city text)", id="a store table of its own"),
        pytest.param("document (title text)", id="another table of ours"),
        pytest.param("store (id text, schema_version integer)", id="an empty store table"),
    ],
)
def test_the_tables_of_another_program_are_not_touched(store: PostgresStore, sql: Sql, table: str) -> None:
    sql("CREATE SCHEMA {S}")
    sql(f"CREATE TABLE {{S}}.{table}")
    kind, code, _, hint = trouble(store.store_id)
    assert (kind, code) == ("StoreError", "store_foreign")
    assert "schema=" in hint
    assert len(sql("SELECT 1 FROM information_schema.tables WHERE table_schema = '{S}'")) == 1


def test_tables_that_are_gone_are_told_and_not_made_anew(store: PostgresStore, sql: Sql) -> None:
    record = connected(store)
    sql("DROP SCHEMA {S} CASCADE")
    for _ in range(2):
        kind, code, _, hint = trouble(lambda: store.load(record.key))
        assert (kind, code) == ("StoreError", "store_missing")
        assert "backup" in hint
        store.close()
    assert sql("SELECT 1 FROM pg_namespace WHERE nspname = '{S}'") == []


def test_a_database_that_cannot_hold_all_text_is_refused(made: Any, postgres: Any, schema: str) -> None:
    postgres.sql(f"CREATE DATABASE {schema} ENCODING 'LATIN1' TEMPLATE template0 LOCALE 'C'")
    _, code, text, hint = trouble(made(postgres.tcp(database=schema)).store_id)
    postgres.sql(f"DROP DATABASE {schema}")
    assert code == "store_url"
    assert "LATIN1" in text
    assert "createdb -E UTF8" in hint


def test_a_half_made_schema_is_made_anew(store: PostgresStore, sql: Sql, monkeypatch: pytest.MonkeyPatch) -> None:
    from valetkey.stores import _postgres_schema

    good = _postgres_schema.MIGRATIONS
    monkeypatch.setattr(_postgres_schema, "MIGRATIONS", ((*good[0], "SELECT no_such_column"),))
    assert trouble(store.store_id)[0] == "StoreError"
    assert sql("SELECT 1 FROM pg_namespace WHERE nspname = '{S}'") == []
    monkeypatch.setattr(_postgres_schema, "MIGRATIONS", good)
    assert len(store.store_id()) == 32


def test_an_older_schema_is_brought_up_to_date_once(
    store: PostgresStore, made: Any, postgres: Any, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    from valetkey.stores import _postgres_schema

    record, name = connected(store), store.store_id()
    later = (*_postgres_schema.MIGRATIONS, ("ALTER TABLE {S}.connection ADD COLUMN extra text",))
    monkeypatch.setattr(_postgres_schema, "MIGRATIONS", later)
    others = [made(postgres.url()) for _ in range(2)]
    assert {other.store_id() for other in others} == {name}
    assert seen(others[0], record) == record
    assert sql("SELECT schema_version FROM {S}.store") == [(len(later),)]


# -- connections that are lost -----------------------------------------------------------------------------------------


def test_reads_and_writes_go_on_when_the_server_has_ended_their_connections(
    postgres: Any, made: Any, schema: str
) -> None:
    store = made(postgres.url(application_name=schema))
    record = connected(store)
    assert postgres.end_connections(schema) == 1
    assert seen(store, record) == record
    assert postgres.end_connections(schema) == 1
    assert held(store, record).claim is not None


def test_one_lost_connection_tells_of_the_others(postgres: Any, made: Any, schema: str) -> None:
    """What ended the one ended all that idle: otherwise each of them would have to fail once."""
    store = made(postgres.url(application_name=schema))
    record = connected(store)
    together = threading.Barrier(4)

    def hold() -> None:
        with store._pool.lend():
            together.wait(30)

    at_once(*[hold] * 4)
    assert len(store._pool._idle) == 4
    assert postgres.end_connections(schema) == 4
    assert seen(store, record) == record
    assert len(store._pool._idle) == 1


def lined(postgres: Any, line: Any, **parts: str) -> str:
    url: str = postgres.tcp(sslmode="disable", **parts)
    return url.replace(f":{postgres.port}/", f":{line.port}/")


def test_a_write_that_is_cut_off_before_its_commit_happens_once(postgres: Any, line: Any, made: Any) -> None:
    store = made(lined(postgres, line))
    record = connected(store)
    line.cut_at, line.deliver = b"UPDATE", True
    claimed = held(store, record)
    assert line.cuts == 1
    assert seen(store, record) == claimed


@pytest.mark.parametrize("deliver", [pytest.param(True, id="it happened"), pytest.param(False, id="it did not")])
def test_a_commit_whose_answer_is_lost_is_told_and_not_tried_again(
    postgres: Any, line: Any, made: Any, deliver: bool
) -> None:
    store = made(lined(postgres, line))
    store.store_id()
    line.cut_at, line.deliver = b"COMMIT\0", deliver
    kind, code, _, _ = trouble(lambda: store.append_event(Event(kind="k", at=1.0, env=ENV)))
    assert (kind, code) == ("StoreUnavailable", "store_answer_lost")
    # Those who wait in line for events wait for a commit that is still under way on the server.
    assert len(store.list_events(env=ENV)) == (1 if deliver else 0)


def test_a_store_whose_server_goes_down_and_comes_back_goes_on(own_postgres: Any, made: Any) -> None:
    store = made(own_postgres.url())
    record = connected(store)
    own_postgres.stop(signal.SIGINT)
    for work in (lambda: store.load(record.key), lambda: store.claim(record, holder="h", life=1.0, spending="")):
        kind, code, _, hint = trouble(work)
        assert (kind, code) == ("StoreUnavailable", "store_unavailable")
        assert "pg_isready" in hint
    own_postgres.start()
    assert seen(store, record) == record
    assert held(store, record).claim is not None


def test_a_replica_is_neither_read_nor_written(own_postgres: Any, made: Any) -> None:
    store = made(own_postgres.url())
    record = connected(store)
    own_postgres.stop(signal.SIGINT)
    standby = own_postgres.data / "standby.signal"
    standby.touch()
    own_postgres.start()
    for work in (lambda: store.load(record.key), lambda: store.create(blank(2)), store.now):
        kind, code, text, hint = trouble(work)
        assert (kind, code) == ("StoreUnavailable", "store_read_only")
        assert "replica" in text
        assert "host1,host2" in hint
    _led_to_it_by_a_pooler(store, own_postgres)
    own_postgres.sql("SELECT pg_promote()")
    assert seen(store, record) == record


def _led_to_it_by_a_pooler(store: PostgresStore, cluster: Any) -> None:
    """A pooler hands out whatever server it has, so libpq's check at the beginning is not enough."""
    place = store._server.place
    careless = make_conninfo(cluster.conninfo, target_session_attrs="any")
    store._server.place = replace(place, conninfo=Secret(careless))
    for work in (
        lambda: store.load(at()),
        lambda: store.list(Query(env=ENV)),
        lambda: store.list_documents("flow"),
        lambda: store.get_document("flow", "f"),
        lambda: store.list_events(env=ENV),
        lambda: store.list_events(env=ENV, newest_first=True),
        lambda: store.due(env=ENV, until=1.0),
        lambda: store.sealed_with("k"),
        store.now,
        lambda: store.create(blank(2)),
        lambda: store.put_document(Document(kind="k", id="i")),
    ):
        assert trouble(work)[1] == "store_read_only"
    store._server.place = place
    store.close()


def test_a_frozen_server_is_given_up_and_not_asked_twice(
    own_postgres: Any, made: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = made(own_postgres.url())
    record = connected(store)
    monkeypatch.setattr(Connection, "patience", 0.3)
    own_postgres.signal(signal.SIGSTOP)
    try:
        assert store._pool._idle
        kind, code, text, _ = trouble(lambda: store.load(record.key))
    finally:
        own_postgres.signal(signal.SIGCONT)
    assert (kind, code) == ("StoreUnavailable", "store_unavailable")
    assert "in time" in text
    monkeypatch.undo()
    assert seen(store, record) == record


# -- waiting for others ------------------------------------------------------------------------------------------------


def test_a_row_that_another_transaction_holds_is_told(
    store: PostgresStore, postgres: Any, schema: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = connected(store)
    monkeypatch.setattr(_postgres_base, "_PREPARE", _postgres_base._PREPARE.replace(b"'5s'", b"'20ms'"))
    with psycopg.connect(postgres.conninfo) as other:
        other.execute(f"SELECT 1 FROM {schema}.connection FOR UPDATE".encode())  # noqa: S608
        kind, code, _, hint = trouble(lambda: store.claim(record, holder="h", life=1.0, spending=""))
        assert (kind, code) == ("StoreUnavailable", "store_locked")
        assert "pg_stat_activity" in hint
    assert held(store, record).claim is not None


def test_a_process_whose_connections_are_all_in_use_is_told(
    postgres: Any, made: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = made(postgres.url(), pool_size=1)
    record = connected(store)
    monkeypatch.setattr(_postgres_pool, "PATIENCE", 0.01)
    outcome: list[str] = []
    with store._pool.lend():
        thread = threading.Thread(target=lambda: outcome.append(trouble(lambda: store.load(record.key))[1]))
        thread.start()
        thread.join()
    assert outcome == ["store_busy"]
    assert seen(store, record) == record


def test_events_are_listed_though_one_who_has_a_number_does_not_commit(
    store: PostgresStore, postgres: Any, schema: str
) -> None:
    store.append_event(Event(kind="k", at=1.0, env=ENV))
    with psycopg.connect(postgres.conninfo) as other:
        other.execute(b"SELECT pg_advisory_xact_lock_shared(hashtextextended(%s, 1))", (schema,))
        assert len(store.list_events(env=ENV)) == 1


def test_who_follows_events_misses_none_that_is_committed_late(
    store: PostgresStore, postgres: Any, schema: str, until: Any
) -> None:
    """The event with the lower number is committed after the one with the higher."""
    store.store_id()
    event = f"INSERT INTO {schema}.event VALUES (DEFAULT, '{ENV}', '', 'early', 1, '', '', '', '', '{{}}')"  # noqa: S608
    found: list[list[str]] = []
    with psycopg.connect(postgres.conninfo) as other:
        other.execute(b"SELECT pg_advisory_xact_lock_shared(hashtextextended(%s, 1))", (schema,))
        other.execute(event.encode())
        store.append_event(Event(kind="late", at=1.0, env=ENV))
        reader = threading.Thread(target=lambda: found.append([e.kind for e in store.list_events(env=ENV)]))
        reader.start()
        until(lambda: postgres.sql("SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"))
    reader.join()
    assert found == [["early", "late"]]


# -- settings of the server and the role -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("set_to", "within"),
    [
        pytest.param("off", "on", id="raised"),
        pytest.param("local", "on", id="raised from local"),
        pytest.param("remote_apply", "remote_apply", id="not lowered"),
    ],
)
def test_each_write_waits_until_it_is_durable_whatever_the_role_is_set_to(
    postgres: Any, made: Any, role: str, schema: str, set_to: str, within: str
) -> None:
    postgres.sql(f'CREATE SCHEMA "{schema}" AUTHORIZATION {role}')
    postgres.sql(f"ALTER ROLE {role} SET synchronous_commit = '{set_to}'")
    postgres.sql(f"ALTER ROLE {role} SET default_transaction_isolation = 'serializable'")
    store = made(postgres.tcp(user=role, password="hunter2"))
    shown = store._write(
        lambda writing: [
            writing.rows(f"SHOW {name}")[0][0]
            for name in ("synchronous_commit", "transaction_isolation", "idle_in_transaction_session_timeout")
        ]
    )
    assert shown == [within, "read committed", "10s"]
    with store._pool.lend() as link:
        assert link.execute(b"SHOW synchronous_commit").fetchall() == [(set_to,)], "nothing stays set on the session"


def test_a_role_that_is_read_only_is_told(postgres: Any, made: Any, role: str) -> None:
    postgres.sql(f"ALTER ROLE {role} SET default_transaction_read_only = on")
    assert trouble(made(postgres.tcp(user=role, password="hunter2")).store_id)[1] == "store_read_only"


# -- values ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("owner", "code"),
    [
        pytest.param("a\x00b", "text_invalid", id="NUL"),
        pytest.param("\ud800", "text_invalid", id="half a character"),
        pytest.param("".join(secrets.token_hex(8) for _ in range(400)), "owner_invalid", id="too long for an index"),
    ],
)
def test_an_owner_that_cannot_be_kept_is_refused(store: PostgresStore, owner: str, code: str) -> None:
    kind, found, _, hint = trouble(lambda: store.create(replace(blank(), key=at(owner=owner))))
    assert (kind, found) == ("ConfigurationError", code)
    assert hint
    assert connected(store) == seen(store, blank())


def test_a_damaged_row_is_told_and_hides_no_other(store: PostgresStore, sql: Sql) -> None:
    damaged, well = connected(store, 1), connected(store, 2)
    sql("UPDATE {S}.connection SET granted = 'nonsense' WHERE id = %s", damaged.id)
    kind, code, text, hint = trouble(lambda: store.load(damaged.key))
    assert (kind, code) == ("StoreError", "row_corrupt")
    assert "granted is not JSON" in text
    first, second = store.list(Query(env=ENV)).items
    assert (first.id, first.error, second) == (damaged.id, "row_corrupt", well)
    assert [one.id for one in store.list(Query(env=ENV, state="needs_reauth")).items] == [damaged.id]
    assert [one.id for one in store.list(Query(env=ENV, state="connected")).items] == [well.id]
    assert sorted(state for (_, state), n in store.counts(env=ENV, now=0.0).items() if n) == [
        "connected",
        "needs_reauth",
    ]
    sql(hint.partition("remove this row: ")[2])
    assert store.list(Query(env=ENV)).items == (well,)


def test_a_damaged_document_is_told(store: PostgresStore, sql: Sql) -> None:
    store.put_document(Document(kind="flow", id="f"))
    store.put_document(Document(kind="data_key", id="k"))
    sql("UPDATE {S}.document SET body = '['")
    _, code, _, hint = trouble(lambda: store.get_document("flow", "f"))
    assert code == "row_corrupt"
    assert "kind = 'flow' AND env = '' AND id = 'f'" in hint
    assert "Do not remove" in trouble(lambda: store.get_document("data_key", "k"))[3]
    assert store.delete_document("flow", "f")


@pytest.mark.parametrize(
    ("state", "kind", "code"),
    [
        pytest.param("53100", "StoreUnavailable", "store_full", id="disk full"),
        pytest.param("53300", "StoreUnavailable", "store_busy", id="too many connections"),
        pytest.param("58030", "StoreUnavailable", "store_io", id="disk error"),
        pytest.param("57P01", "StoreUnavailable", "store_unavailable", id="server stops"),
        pytest.param("57P03", "StoreUnavailable", "store_unavailable", id="server starts"),
        pytest.param("08006", "StoreUnavailable", "store_unavailable", id="connection failure"),
        pytest.param("40P01", "StoreUnavailable", "store_locked", id="deadlock"),
        pytest.param("57014", "StoreUnavailable", "store_locked", id="statement cancelled"),
        pytest.param("XX001", "StoreError", "store_corrupt", id="damaged data"),
        pytest.param("22P05", "ConfigurationError", "store_url", id="text that its encoding lacks"),
        pytest.param("42601", "StoreError", "store", id="anything else"),
    ],
)
def test_what_the_server_says_becomes_a_code(store: PostgresStore, state: str, kind: str, code: str) -> None:
    error = store_error(pg.lookup(state)("words of the server"), store._place)
    assert (type(error).__name__, error.code) == (kind, code)
    assert error.hint
    assert store.url in str(error)


def test_a_deadlock_is_tried_again(store: PostgresStore) -> None:
    record = connected(store)
    tries: list[int] = []

    def work(writing: Any) -> bool:
        tries.append(1)
        if len(tries) == 1:
            raise pg.DeadlockDetected
        return bool(writing.rows("SELECT 1 FROM {S}.connection WHERE id = %s", (record.id,)))

    assert store._write(work)
    assert len(tries) == 2


def test_a_commit_that_the_server_refuses_is_not_in_doubt(store: PostgresStore, sql: Sql) -> None:
    store.store_id()
    sql(
        "CREATE FUNCTION {S}.no() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '40001'; END $$"
    )
    sql(
        "CREATE CONSTRAINT TRIGGER no AFTER INSERT ON {S}.connection DEFERRABLE INITIALLY DEFERRED"
        " FOR EACH ROW EXECUTE FUNCTION {S}.no()"
    )
    assert trouble(lambda: store.create(blank()))[1] == "store_locked"
    assert store.find(blank().id) is None


def test_swap_after_a_lost_answer_finds_its_own_token(postgres: Any, line: Any, made: Any) -> None:
    """What the refresh does after that (R6): it reads, and its token is there."""
    store = made(lined(postgres, line))
    record = held(store, connected(store), "h")
    line.cut_at = b"COMMIT\0"
    new = successor(record, 2)
    expect = Expect.of(record, holder="h", spent=record.refresh_fp)
    assert trouble(lambda: store.swap(new, expect=expect))[1] == "store_answer_lost"
    held_back = store.wait_for_change(record, 30.0)
    assert held_back
    assert seen(store, record).access_fp == new.access_fp
    assert store.swap(new, expect=expect) is None
