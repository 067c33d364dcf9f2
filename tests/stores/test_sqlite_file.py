"""The file of the SQLite store: private, made late, opened again, checked, migrated."""

from __future__ import annotations

import logging
import os
import sqlite3
import stat
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from valetkey.errors import StoreError, StoreUnavailable
from valetkey.model.connections import Record
from valetkey.stores import _rows, _sqlite_file, _sqlite_schema
from valetkey.stores._bell import Bell
from valetkey.stores.sqlite import SQLiteStore
from valetkey.testing._contract_base import connected, held, seen
from valetkey.testing._contract_shared import Child
from valetkey.testing.clock import FakeClock

Sql = Callable[..., list[tuple[Any, ...]]]


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture(params=[0o000, 0o022, 0o077, 0o777], ids=oct)
def umask(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[int]:
    assert tmp_path.exists()
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def test_making_a_store_touches_nothing(tmp_path: Path) -> None:
    store = SQLiteStore(tmp_path / "folder" / "valetkey.db")
    assert store.now() > 0
    store.close()
    assert not (tmp_path / "folder").exists()


@pytest.mark.usefixtures("umask")
def test_file_and_folders_are_for_their_user_alone_whatever_the_umask(tmp_path: Path) -> None:
    store = SQLiteStore(tmp_path / "one" / "two" / "valetkey.db")
    connected(store)
    found = {item.name: mode(item) for item in (tmp_path / "one").rglob("*")}
    assert found == {"two": 0o700, "valetkey.db": 0o600, "valetkey.db-wal": 0o600, "valetkey.db-shm": 0o600}
    assert mode(tmp_path / "one") == 0o700
    store.close()


def test_a_folder_that_is_there_keeps_its_mode(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    store = SQLiteStore(tmp_path / "valetkey.db")
    store.store_id()
    store.close()
    assert mode(tmp_path) == 0o755


def test_a_file_that_others_can_read_is_pointed_out_once(
    store: SQLiteStore, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store.store_id()
    store.close()
    path.chmod(0o644)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            store.find("con_none")
            store.close()
    assert [record.getMessage() for record in caplog.records] == [
        f"{path} can be read or written by others (mode 644): chmod 600 {path}"
    ]
    assert mode(path) == 0o644


def test_each_connection_syncs_every_commit_and_logs_ahead(store: SQLiteStore) -> None:
    with store._writing() as db:
        settings = {
            name: db.execute(f"PRAGMA {name}").fetchall()[0][0]
            for name in ("journal_mode", "synchronous", "foreign_keys", "secure_delete", "fullfsync")
        }
    full, on = 2, 1
    assert settings == {
        "journal_mode": "wal",
        "synchronous": full,
        "foreign_keys": on,
        "secure_delete": on,
        "fullfsync": on,
    }


def test_a_copy_that_was_made_without_the_log_gets_it_again(store: SQLiteStore, sql: Sql) -> None:
    store.store_id()
    store.close()
    assert sql("PRAGMA journal_mode = DELETE") == [("delete",)]
    store.store_id()
    store.find("con_none")
    store.close()
    assert sql("PRAGMA journal_mode") == [("wal",)]


@pytest.mark.parametrize("name", ["a b.db", "a%20b?c#d.db", "\N{SNOWMAN}.db", "it's.db", "\udcff.db"])
def test_any_file_name_will_do(tmp_path: Path, name: str) -> None:
    store = SQLiteStore(tmp_path / name)
    record = connected(store)
    assert seen(store, record) == record
    store.close()
    assert [item.name for item in tmp_path.iterdir() if item.is_file()] == [name]


def test_the_path_is_kept_when_the_program_changes_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    store = SQLiteStore("valetkey.db")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    store.store_id()
    store.close()
    assert (tmp_path / "valetkey.db").exists()


def test_a_tilde_is_the_home_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert SQLiteStore("~/x.db").path == tmp_path / "x.db"


def test_the_url_says_where_it_is() -> None:
    assert SQLiteStore("/srv/a b/valetkey.db").url == "sqlite:///srv/a%20b/valetkey.db"


# -- handles ---------------------------------------------------------------------------------------------------------


def open_files(path: Path) -> int:
    links = list(Path("/proc/self/fd").iterdir())
    return sum(str(path) in str(link.readlink()) for link in links if link.is_symlink())


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="looks at /proc")
def test_closing_closes_all_handles_and_threads_leave_none_behind(store: SQLiteStore, path: Path) -> None:
    record = connected(store)
    store.change_mark()
    with ThreadPoolExecutor(16) as threads:
        for _ in threads.map(lambda _: seen(store, record), range(200)):
            continue
    assert 0 < open_files(path) <= 3 * (4 + 1 + 1)  # file, log and index of four readers, a writer and a watcher
    store.close()
    assert open_files(path) == 0


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="looks at /proc")
def test_a_handle_in_use_while_the_store_is_closed_is_closed_after_it(store: SQLiteStore, path: Path) -> None:
    record = connected(store)
    store.close()
    with store._readers.lend() as handle:
        store.close()
        assert handle.db.execute("SELECT id FROM connection").fetchall() == [(record.id,)]
    assert open_files(path) == 0


def test_a_store_that_nobody_closed_leaves_no_warning(tmp_path: Path) -> None:
    program = """
        import sys, threading
        from valetkey.stores.sqlite import SQLiteStore

        def use(path):
            store = SQLiteStore(path)
            store.store_id(), store.change_mark()
            thread = threading.Thread(target=store.find, args=("con_1",))
            thread.start()
            thread.join()
            return store

        use(sys.argv[1])
        left = use(sys.argv[1])
    """
    command = [sys.executable, "-X", "dev", "-W", "error", "-c", textwrap.dedent(program), str(tmp_path / "v.db")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert [item.name for item in tmp_path.iterdir() if item.is_file()] == ["v.db"]  # the log was written back


def test_a_thread_that_was_interrupted_gets_the_writer_back(store: SQLiteStore) -> None:
    record = connected(store)
    handle, _ = store._writer._take()  # as if Ctrl-C had come before it was given back
    handle.db.execute("BEGIN IMMEDIATE")
    assert store.note(record.id, incarnation=1, changes={"last_used_at": 5.0})


def test_a_thread_that_was_interrupted_while_it_opened_a_handle_may_open_another(store: SQLiteStore) -> None:
    record = connected(store)
    store._writer._lent[threading.get_ident()] = None
    assert store.note(record.id, incarnation=1, changes={"last_used_at": 5.0})


def test_an_error_within_a_transaction_undoes_it(store: SQLiteStore) -> None:
    record = connected(store)

    def interrupted() -> None:
        with store._writing() as db:
            db.execute("DELETE FROM connection")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert seen(store, record) == record
    assert store.note(record.id, incarnation=1, changes={"last_used_at": 5.0})


def test_a_file_that_took_the_place_of_the_first_is_used_from_then_on(tmp_path: Path, store: SQLiteStore) -> None:
    other = SQLiteStore(tmp_path / "backup.db")
    record, name = connected(other, 7), other.store_id()
    other.close()
    connected(store, 1)
    assert store.store_id() != name
    mark = store.change_mark()
    for suffix in ("-wal", "-shm"):
        store.path.with_name(store.path.name + suffix).unlink()
    (tmp_path / "backup.db").replace(store.path)
    assert store.change_mark() != mark
    assert store.store_id() == name
    assert seen(store, record) == record
    assert store.note(record.id, incarnation=1, changes={"last_used_at": 5.0})
    assert store.find("con_0001") is None


def test_a_child_forked_in_the_middle_of_a_write_refuses_to_go_on(path: Path) -> None:
    store = SQLiteStore(path, busy_timeout=0.05)
    record = connected(store)

    def work(_: Child) -> tuple[str, str]:
        try:
            store.find(record.id)
        except StoreError as error:
            return error.code, error.hint
        return "", ""

    inside, leave = threading.Event(), threading.Event()

    def write() -> None:
        with store._readers.lend():
            inside.set()
            leave.wait(60)

    thread = threading.Thread(target=write)
    thread.start()
    inside.wait(60)
    try:
        code, hint = Child(work).result()
    finally:
        leave.set()
        thread.join()
    assert code == "store_forked"
    assert "fork" in hint.lower()
    assert seen(store, record) == record
    store.close()


def test_a_fork_that_was_interrupted_before_it_came_to_rest_harms_neither_side(
    store: SQLiteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = connected(store)
    monkeypatch.setattr(store._writer, "before_fork", partial(interrupt, store._writer))

    def work(_: Child) -> str:
        try:
            store.note(record.id, incarnation=1, changes={"last_used_at": 5.0})
        except StoreError as error:
            return error.code
        return ""

    with warnings_of_hooks() as told:
        assert Child(work).result() == "store_forked"
    assert told == [KeyboardInterrupt]
    monkeypatch.undo()
    assert store.note(record.id, incarnation=1, changes={"last_used_at": 5.0})
    assert Child(work).result() == ""


def interrupt(pool: object) -> None:
    assert pool is not None
    raise KeyboardInterrupt


@contextmanager
def warnings_of_hooks() -> Iterator[list[object]]:
    """Note what is raised where nobody can catch it."""
    told: list[object] = []
    before = sys.unraisablehook
    sys.unraisablehook = lambda unraisable: told.append(unraisable.exc_type)
    try:
        yield told
    finally:
        sys.unraisablehook = before


def test_a_process_that_dies_in_the_middle_of_a_write_leaves_nothing_of_it_and_no_lock(path: Path) -> None:
    store = SQLiteStore(path, busy_timeout=1.0)
    record = connected(store)

    def work(child: Child) -> None:
        with SQLiteStore(path)._writing() as db:
            db.execute("DELETE FROM connection")
            child.pause()

    child = Child(work)
    child.paused()
    assert child.killed() == []
    assert seen(store, record) == record
    assert store.note(record.id, incarnation=1, changes={"last_used_at": 5.0})
    store.close()


# -- schema ----------------------------------------------------------------------------------------------------------


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
    assert sql("PRAGMA user_version") == [(3,)]
    assert sql("SELECT colour FROM connection") == [("red",)]


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
    assert sql("PRAGMA user_version") == [(1,)]
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
