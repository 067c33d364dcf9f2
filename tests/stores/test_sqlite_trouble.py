"""Bad input to the SQLite store: each is a clear error with a code and a next step, and nothing is lost."""

from __future__ import annotations

import errno
import os
import resource
import shlex
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from valetkey.errors import ValetkeyError
from valetkey.model.connections import Expect, Query
from valetkey.stores.sqlite import SQLiteStore
from valetkey.testing._contract_base import ENV, connected, held, seen, successor
from valetkey.testing._contract_shared import Child

Sql = Callable[..., list[tuple[Any, ...]]]
AsPlainUser = Callable[[Callable[[], Any]], Any]


def trouble(work: Callable[[], object]) -> tuple[str, str, str, str]:
    """Return kind, code, text and hint of the error that `work` raises."""
    with pytest.raises(ValetkeyError) as caught:
        work()
    error = caught.value
    return type(error).__name__, error.code, str(error), error.hint


# -- not a store -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content", [b"not a database, but a text of some length\n" * 100, b"x" * 4096, b"SQLite format 3\0"]
)
def test_a_file_that_is_no_database_is_kept_as_it_is(store: SQLiteStore, path: Path, content: bytes) -> None:
    path.write_bytes(content)
    kind, code, text, hint = trouble(store.store_id)
    assert (kind, code) == ("StoreError", "store_corrupt")
    assert str(path) in text
    assert f"mv {path} {path}.damaged" in hint
    store.close()
    assert path.read_bytes() == content


def test_a_damaged_database_is_reported_and_kept(store: SQLiteStore, path: Path) -> None:
    for number in range(50):
        connected(store, number)
    store.close()
    content = bytearray(path.read_bytes())
    for page in range(1, len(content) // 4096):
        content[page * 4096 : page * 4096 + 64] = b"\xff" * 64
    path.write_bytes(content)
    _, code, _, _ = trouble(lambda: store.list(Query(env=ENV)))
    assert code == "store_corrupt"
    store.close()
    assert path.read_bytes() == bytes(content)


def test_a_folder_in_the_place_of_the_file(store: SQLiteStore, path: Path) -> None:
    path.mkdir()
    kind, code, text, hint = trouble(store.store_id)
    assert (kind, code) == ("ConfigurationError", "store_path")
    assert str(path) in text
    assert "path of a file" in hint


def test_a_file_in_the_place_of_a_folder(path: Path) -> None:
    path.write_text("a file")
    for below in (path / "valetkey.db", path / "folder" / "valetkey.db"):
        kind, code, _, _ = trouble(SQLiteStore(below).store_id)
        assert (kind, code) == ("ConfigurationError", "store_path")


def test_a_name_that_is_too_long(tmp_path: Path) -> None:
    kind, code, _, _ = trouble(SQLiteStore(tmp_path / ("x" * 300)).store_id)
    assert (kind, code) == ("ConfigurationError", "store_path")


# -- may not, cannot -------------------------------------------------------------------------------------------------


def test_a_folder_that_may_not_be_written(open_folder: Path, as_plain_user: AsPlainUser) -> None:
    folder = open_folder / "locked"
    folder.mkdir(0o755)
    folder.chmod(0o555)
    for path in (folder / "valetkey.db", folder / "below" / "valetkey.db"):
        kind, code, text, hint = as_plain_user(partial(trouble, SQLiteStore(path).store_id))
        assert (kind, code) == ("StoreUnavailable", "store_read_only")
        assert str(path) in text
        assert str(path.parent) in hint
        assert "VALETKEY_HOME" in hint
    assert list(folder.iterdir()) == []


def test_a_file_that_may_not_be_written_or_even_read(open_folder: Path, as_plain_user: AsPlainUser) -> None:
    path = open_folder / "valetkey.db"
    store = SQLiteStore(path)
    record = connected(store)
    store.close()

    def write() -> tuple[str, str, str, str]:
        return trouble(lambda: SQLiteStore(path).note(record.id, incarnation=1, changes={"last_used_at": 1.0}))

    for mode in (0o444, 0o000):
        path.chmod(mode)
        kind, code, text, _ = as_plain_user(write)
        assert (kind, code) == ("StoreUnavailable", "store_read_only"), oct(mode)
        assert str(path) in text
    path.chmod(0o600)
    assert seen(store, record) == record
    store.close()


def test_a_full_disk_changes_nothing_and_is_over_when_there_is_room(store: SQLiteStore) -> None:
    record = held(store, connected(store))
    with store._writer.lend() as handle:
        pages = handle.db.execute("PRAGMA page_count").fetchall()[0][0]
        handle.db.execute(f"PRAGMA max_page_count = {pages}")
    big = replace(successor(record, 2), error_text="x" * 100_000)
    expect = Expect.of(record, holder="holder-1")
    kind, code, text, hint = trouble(lambda: store.swap(big, expect=expect))
    assert (kind, code) == ("StoreUnavailable", "store_full")
    assert str(store.path) in text
    assert f"df -h {store.path.parent}" in hint
    assert seen(store, record) == record
    store.close()
    assert store.swap(big, expect=expect) is not None


@pytest.mark.parametrize(
    ("name", "code"),
    [
        pytest.param("SQLITE_IOERR_WRITE", "store_io", id="I/O error"),
        pytest.param("SQLITE_IOERR_FSYNC", "store_io", id="sync failed"),
        pytest.param("SQLITE_READONLY_DBMOVED", "store_read_only", id="moved"),
        pytest.param("SQLITE_CORRUPT_INDEX", "store_corrupt", id="index"),
        pytest.param("SQLITE_BUSY_SNAPSHOT", "store_locked", id="snapshot"),
        pytest.param("SQLITE_TOOBIG", "store", id="anything else"),
    ],
)
def test_errors_of_sqlite_have_codes(store: SQLiteStore, name: str, code: str) -> None:
    store.store_id()
    error = sqlite3.OperationalError("in SQLite's words")
    error.sqlite_errorcode = getattr(sqlite3, name)
    error.sqlite_errorname = name

    def fail() -> None:
        with store._readers.lend():
            raise error

    _, found, _, hint = trouble(fail)
    assert found == code
    assert hint


def test_an_io_error_on_a_disk_without_room_is_a_full_disk(store: SQLiteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    store.store_id()
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = sqlite3.SQLITE_IOERR_SHMSIZE

    class Room:
        f_bavail, f_frsize = 2, 4096

    monkeypatch.setattr("os.statvfs", lambda _: Room)

    def fail() -> None:
        with store._readers.lend():
            raise error

    assert trouble(fail)[1] == "store_full"


def test_an_io_error_where_even_the_room_cannot_be_told(store: SQLiteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    store.store_id()
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = sqlite3.SQLITE_IOERR_READ

    def statvfs(_: object) -> None:
        raise OSError(errno.EIO, "gone")

    monkeypatch.setattr("os.statvfs", statvfs)

    def fail() -> None:
        with store._readers.lend():
            raise error

    assert trouble(fail)[1] == "store_io"


@pytest.mark.parametrize(
    ("number", "kind", "code"),
    [
        (errno.EACCES, "StoreUnavailable", "store_read_only"),
        (errno.EROFS, "StoreUnavailable", "store_read_only"),
        (errno.ENOSPC, "StoreUnavailable", "store_full"),
        (errno.EDQUOT, "StoreUnavailable", "store_full"),
        (errno.ENOTDIR, "ConfigurationError", "store_path"),
        (errno.ENAMETOOLONG, "ConfigurationError", "store_path"),
        (errno.EIO, "StoreUnavailable", "store_unavailable"),
    ],
    ids=lambda value: errno.errorcode.get(value, value),
)
def test_a_file_that_cannot_be_made(
    store: SQLiteStore, monkeypatch: pytest.MonkeyPatch, number: int, kind: str, code: str
) -> None:
    def refuse(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("os.open", refuse)
    found_kind, found_code, text, hint = trouble(store.store_id)
    assert (found_kind, found_code) == (kind, code)
    assert str(store.path) in text
    assert hint


def test_too_many_open_files(path: Path) -> None:
    def work(_: Child) -> Any:
        store = SQLiteStore(path)
        store.store_id()
        store.close()
        used = max(int(item.name) for item in Path("/proc/self/fd").iterdir())
        filled = [os.open("/dev/null", os.O_RDONLY) for _ in range(used)]
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(filled) + 1, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
        return trouble(lambda: store.find("con_none"))

    kind, code, text, hint = Child(work).result()
    assert (kind, code) == ("StoreUnavailable", "store_unavailable")
    assert str(path) in text
    assert "ulimit -n" in hint


def test_a_connection_that_broke_is_not_used_again(store: SQLiteStore) -> None:
    record = connected(store)

    def break_it() -> None:
        with store._readers.lend() as handle:
            handle.db.close()
            handle.db.execute("SELECT 1")

    assert trouble(break_it)[0] == "StoreError"
    assert seen(store, record) == record


def test_a_store_that_is_locked_for_too_long(path: Path) -> None:
    store = SQLiteStore(path, busy_timeout=0.05)
    record = connected(store)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    kind, code, _, hint = trouble(lambda: store.claim(record, holder="h", life=30.0, spending=""))
    assert (kind, code) == ("StoreUnavailable", "store_locked")
    assert f"fuser {path}" in hint
    assert seen(store, record) == record  # reading goes on
    other.execute("ROLLBACK")
    assert store.claim(record, holder="h", life=30.0, spending="") is not None
    store.close()
    other.close()


def test_a_thread_that_does_not_give_the_writer_back(path: Path) -> None:
    store = SQLiteStore(path, busy_timeout=0.05)
    record = connected(store)
    with store._writer.lend(), ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(trouble, lambda: store.delete(record))
        assert waiting.result()[1] == "store_locked"
    assert store.delete(record)
    store.close()


def test_hints_quote_what_they_are_given(tmp_path: Path) -> None:
    path = tmp_path / "a b'; rm -rf $HOME" / "valetkey.db"
    path.parent.mkdir()
    path.write_bytes(b"no database at all" * 10)
    hint = trouble(SQLiteStore(path).store_id)[3]
    command = hint.partition("empty one: ")[2]
    assert shlex.split(command) == ["mv", str(path), f"{path}.damaged"]
