"""The schema of the SQLite store: made, checked, brought forward; and how its file is opened."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from valetkey.errors import StoreError, StoreUnavailable
from valetkey.model.connections import Expect, Record
from valetkey.stores import _rows, _sqlite_file, _sqlite_schema
from valetkey.stores._bell import Bell
from valetkey.stores.sqlite import SQLiteStore
from valetkey.testing._contract_base import connected, held, seen
from valetkey.testing.clock import FakeClock

Sql = Callable[..., list[tuple[Any, ...]]]


def test_every_member_of_a_record_has_a_column() -> None:
    others = {"key", "claim", "refreshable", "sealed", *_rows._TEXTS}
    assert {field.name for field in fields(Record)} == {*_rows.PLAIN, *others}


def test_every_column_is_read_and_written(store: SQLiteStore, sql: Sql) -> None:
    store.store_id()
    columns = {row[1] for row in sql("PRAGMA table_info(connection)")}
    assert columns == {*_rows.COLUMNS, "search"}
    assert columns == {*_rows.WRITTEN, *_rows.CLAIM}


def test_a_new_store_has_the_current_schema_and_our_mark(store: SQLiteStore, sql: Sql) -> None:
    store.store_id()
    assert sql("PRAGMA user_version") == [(len(_sqlite_schema.MIGRATIONS),)]
    assert sql("PRAGMA application_id") == [(int.from_bytes(b"vkey"),)]


def test_an_older_store_is_brought_forward_and_keeps_what_it_holds(
    store: SQLiteStore, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    record, name = held(store, connected(store)), store.store_id()
    store.close()
    steps = (
        ("ALTER TABLE connection ADD COLUMN colour TEXT NOT NULL DEFAULT 'blue'",),
        ("CREATE INDEX connection_colour ON connection (colour)", "UPDATE connection SET colour = 'red'"),
    )
    monkeypatch.setattr(_sqlite_schema, "MIGRATIONS", (*_sqlite_schema.MIGRATIONS, *steps))
    assert seen(store, record) == record
    assert store.store_id() == name
    store.close()
    assert sql("PRAGMA user_version") == [(len(_sqlite_schema.MIGRATIONS),)]
    assert sql("SELECT colour FROM connection") == [("red",)]


def test_a_store_from_before_sign_ins_were_due_counts_them_from_the_next_refresh_on(
    store: SQLiteStore, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as past:
        past.setattr(_sqlite_schema, "MIGRATIONS", _sqlite_schema.MIGRATIONS[:2])
        assert store.store_id()
        sql("ALTER TABLE connection ADD COLUMN sign_in_due_at REAL")
        record = connected(store)
        sql("ALTER TABLE connection DROP COLUMN sign_in_due_at")
        store.close()
    place = (record.key.credential, "expires_soon")
    assert place not in store.counts(env=record.key.env, now=2000.0)
    refreshed = replace(seen(store, record), refreshable=True, refresh_expires_at=9e9, sign_in_due_at=1999.0)
    assert store.swap(refreshed, expect=Expect.of(record)) is not None
    assert store.counts(env=record.key.env, now=2000.0)[place] == 1


def test_a_step_that_fails_leaves_the_store_as_it_was(
    store: SQLiteStore, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = connected(store)
    store.close()
    steps = (("ALTER TABLE connection ADD COLUMN colour TEXT", "UPDATE nothing SET colour = 'red'"),)
    with monkeypatch.context() as patch:
        patch.setattr(_sqlite_schema, "MIGRATIONS", (*_sqlite_schema.MIGRATIONS, *steps))
        with pytest.raises(StoreError):
            store.find(record.id)
    assert sql("PRAGMA user_version") == [(len(_sqlite_schema.MIGRATIONS),)]
    assert seen(store, record) == record


def test_a_newer_store_is_refused_and_left_alone(store: SQLiteStore, sql: Sql, path: Path) -> None:
    connected(store)
    store.close()
    sql("PRAGMA user_version = 99")
    before = path.read_bytes()
    with pytest.raises(StoreError) as caught:
        store.list_documents("flow")
    assert caught.value.code == "store_newer"
    assert "pip install --upgrade valetkey" in caught.value.hint
    assert "99" in str(caught.value)
    store.close()
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "statement", ["CREATE TABLE bookmarks (url TEXT)", "PRAGMA user_version = 1", "PRAGMA application_id = 7"]
)
def test_the_database_of_another_program_is_left_alone(
    store: SQLiteStore, sql: Sql, path: Path, statement: str
) -> None:
    sql(statement)
    before = path.read_bytes()
    with pytest.raises(StoreError) as caught:
        store.store_id()
    assert caught.value.code == "store_foreign"
    assert path.read_bytes() == before


def test_an_empty_file_becomes_a_store(store: SQLiteStore, path: Path) -> None:
    path.touch(0o600)
    record = connected(store)
    assert seen(store, record) == record


def test_a_store_that_another_process_makes_at_this_moment_is_no_foreign_one(
    store: SQLiteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = connected(store)
    store.close()
    real = _sqlite_file._pragma
    early = ["user_version", "application_id"]  # were read before its commit, the tables after it

    def pragma(connection: sqlite3.Connection, text: str) -> str:
        if early and text == early[0]:
            early.pop(0)
            return "0"
        return real(connection, text)

    monkeypatch.setattr(_sqlite_file, "_pragma", pragma)
    assert seen(store, record) == record
    assert not early


def test_file_and_folder_that_another_process_makes_at_this_moment_are_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "folder" / "valetkey.db"
    other = SQLiteStore(path)
    record = connected(other)
    other.close()
    before = [path, path.parent]  # both were looked for before they were there
    real = Path.exists

    def exists(self: Path) -> bool:
        if self in before:
            before.remove(self)
            return False
        return real(self)

    monkeypatch.setattr(Path, "exists", exists)
    store = SQLiteStore(path)
    assert seen(store, record) == record
    assert not before
    store.close()


def test_one_that_waits_reads_the_row_only_after_a_commit(store: SQLiteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    record = connected(store)
    looks: list[str] = []
    real = store.find

    def find(connection_id: str) -> Record | None:
        looks.append(connection_id)
        return real(connection_id)

    monkeypatch.setattr(store, "find", find)
    store._bell = Bell(FakeClock())
    assert store.wait_for_change(record, 10.0) is False
    assert len(looks) == 1


def test_a_commit_of_this_process_wakes_at_once(store: SQLiteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    record = connected(store)
    real = store._bell._nap
    napping = threading.Event()

    def nap(_: float, rings: int) -> None:
        napping.set()
        real(60.0, rings)  # only the bell ends it

    monkeypatch.setattr(store._bell, "_nap", nap)
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(store.wait_for_change, record, 60.0)
        assert napping.wait(60)
        held(store, record)
        assert waiting.result(30) is True


@pytest.fixture
def log_refused(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Let SQLite refuse to turn its log on without waiting, as it does now and then; the list says how often."""
    times = [0]
    real = _sqlite_file._pragma

    def pragma(connection: sqlite3.Connection, text: str) -> str:
        if text == "journal_mode = WAL" and times[0] > 0:
            times[0] -= 1
            error = sqlite3.OperationalError("database is locked")
            error.sqlite_errorcode = sqlite3.SQLITE_BUSY
            raise error
        return real(connection, text)

    monkeypatch.setattr(_sqlite_file, "_pragma", pragma)
    return times


def test_a_log_that_cannot_be_turned_on_at_once_is_tried_again(path: Path, log_refused: list[int]) -> None:
    log_refused[0] = 5
    store = SQLiteStore(path, clock=FakeClock())
    record = connected(store)
    assert seen(store, record) == record
    assert log_refused == [0]
    store.close()


def test_a_log_that_cannot_be_turned_on_in_time_is_a_locked_store(path: Path, log_refused: list[int]) -> None:
    log_refused[0] = 10**6
    store = SQLiteStore(path, clock=FakeClock(), busy_timeout=2.0)
    with pytest.raises(StoreUnavailable) as caught:
        store.store_id()
    assert caught.value.code == "store_locked"


def test_a_file_system_without_shared_memory_is_pointed_out_once(
    store: SQLiteStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    real = _sqlite_file._pragma

    def pragma(connection: sqlite3.Connection, text: str) -> str:
        return real(connection, "journal_mode" if text == "journal_mode = WAL" else text)

    monkeypatch.setattr(_sqlite_file, "_pragma", pragma)
    record = connected(store)
    assert store.wait_for_change(record, 0.0) is False
    assert seen(store, held(store, record)).claim is not None
    assert [record.getMessage() for record in caplog.records] == [
        f"{store.path} lies on a file system without shared memory: slower, and for one host only"
    ]
