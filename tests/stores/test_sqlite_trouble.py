"""Bad input to the SQLite store: each is a clear error with a code and a next step, and nothing is lost."""

from __future__ import annotations

import errno
import os
import resource
import shlex
import sqlite3
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from valetkey.errors import ConfigurationError, StoreError, StoreUnavailable, ValetkeyError
from valetkey.model.connections import Document, Event, Expect, Query, Record
from valetkey.stores.sqlite import SQLiteStore
from valetkey.testing._contract_base import ENV, at, blank, connected, held, ids, seen, successor
from valetkey.testing._contract_shared import Child
from valetkey.testing.clock import FakeClock

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
    big = replace(successor(record, 2), tags={"big": "x" * 100_000})
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


# -- damaged rows ----------------------------------------------------------------------------------------------------


BROKEN = [
    pytest.param(column, text, id=f"{column} {name}")
    for column in ("granted", "requested", "identity", "params", "tags")
    for name, text in [("cut off", '["a", '), ("of another kind", "7"), ("no text", b"\xff\xfe")]
]


@pytest.fixture
def damaged(store: SQLiteStore, sql: Sql) -> Callable[[str, object], Record]:
    def damage(column: str, text: object) -> Record:
        connected(store, 1)
        record = connected(store, 2)
        connected(store, 3)
        sql("DROP TRIGGER connection_scopes")
        sql(f"UPDATE connection SET {column} = ? WHERE id = ?", text, record.id)  # noqa: S608
        return record

    return damage


@pytest.mark.parametrize(("column", "text"), BROKEN)
def test_a_damaged_row_is_named_and_the_others_are_read(
    store: SQLiteStore, damaged: Callable[[str, object], Record], column: str, text: object
) -> None:
    record = damaged(column, text)
    for look in (lambda: store.load(record.key), lambda: store.find(record.id)):
        kind, code, message, hint = trouble(look)
        assert (kind, code) == ("StoreError", "row_corrupt")
        assert record.id in message
        assert column in message
        assert record.id in hint
    assert store.find("con_0001") is not None
    page = store.list(Query(env=ENV))
    assert ids(page.items) == ["con_0001", "con_0002", "con_0003"]
    assert [item.error for item in page.items] == ["", "row_corrupt", ""]
    assert page.items[1].sealed == record.sealed


def test_a_damaged_row_is_never_overwritten(
    store: SQLiteStore, sql: Sql, damaged: Callable[[str, object], Record]
) -> None:
    record = damaged("tags", "{")
    listed = store.list(Query(env=ENV)).items[1]
    before = sql("SELECT * FROM connection WHERE id = ?", record.id)
    writes: list[Callable[[], object]] = [
        lambda: store.claim(record, holder="h", life=30.0, spending=""),
        lambda: store.renew(record, holder="h", life=30.0),
        lambda: store.swap(successor(listed, 2), expect=Expect.of(record)),
        lambda: store.note(record.id, incarnation=1, changes={"last_used_at": 1.0}),
        lambda: store.rename(record, at("slack"), "elsewhere"),
        lambda: store.create(blank(9, key=record.key)),
    ]
    assert [trouble(write)[1] for write in writes] == ["row_corrupt"] * len(writes)
    assert sql("SELECT * FROM connection WHERE id = ?", record.id) == before
    assert store.delete(listed)
    assert ids(store.list(Query(env=ENV)).items) == ["con_0001", "con_0003"]


def test_the_hint_for_a_damaged_row_removes_it_and_no_other(
    store: SQLiteStore, sql: Sql, damaged: Callable[[str, object], Record]
) -> None:
    record = damaged("tags", "{")
    name, file, statement = shlex.split(trouble(lambda: store.find(record.id))[3].partition("this row: ")[2])
    assert (name, file) == ("sqlite3", str(store.path))
    sql(statement)
    assert ids(store.list(Query(env=ENV)).items) == ["con_0001", "con_0003"]


def test_a_damaged_document_is_named_and_can_be_removed_as_the_hint_says(store: SQLiteStore, sql: Sql) -> None:
    odd = 'it\'s $(touch /tmp/x) "quoted"'
    for document_id in ("a", odd):
        store.put_document(Document(kind="secret", id=document_id, env="prod", body={"n": 1}))
    sql("UPDATE document SET body = '[1]' WHERE id <> 'a'")
    _, code, text, hint = trouble(lambda: store.get_document("secret", odd, env="prod"))
    assert code == "row_corrupt"
    assert odd in text
    assert trouble(lambda: store.list_documents("secret", env="prod"))[1] == "row_corrupt"
    assert store.get_document("secret", "a", env="prod") is not None
    command = hint.partition("this row: ")[2]
    printed = subprocess.run(["sh", "-c", f"printf %s {command.partition(' ')[2]}"], capture_output=True, check=True)
    assert printed.stdout.decode() == str(store.path) + shlex.split(command)[2]
    sql(shlex.split(command)[2])
    assert [d.id for d in store.list_documents("secret", env="prod")] == ["a"]


def test_an_event_whose_detail_is_damaged_hides_no_other(store: SQLiteStore, sql: Sql) -> None:
    for number in range(3):
        store.append_event(Event(kind="refreshed", at=1.0, env=ENV, detail={"n": number}))
    sql("UPDATE event SET detail = '{' WHERE seq = 2")
    assert [event.detail for event in store.list_events(env=ENV)] == [
        {"n": 0},
        {"unreadable": "detail is not JSON"},
        {"n": 2},
    ]


def test_an_id_that_is_taken_under_another_key(store: SQLiteStore) -> None:
    record = connected(store)
    kind, code, _, _ = trouble(lambda: store.create(replace(record, key=at("slack"))))
    assert (kind, code) == ("StoreError", "id_taken")


def test_only_side_facts_can_be_noted(store: SQLiteStore) -> None:
    record = connected(store)
    with pytest.raises(ValueError, match="not state, version"):
        store.note(record.id, incarnation=1, changes={"tags": {}, "version": 2, "state": "pending"})
    assert seen(store, record) == record


@pytest.mark.parametrize("owner", ["\ud800", "a\udcff"])
def test_text_that_is_no_text_is_refused(store: SQLiteStore, owner: str) -> None:
    kind, code, text, hint = trouble(lambda: store.create(replace(blank(), key=at("github", owner))))
    assert (kind, code) == ("ConfigurationError", "bad_text")
    assert (text + hint).encode()
    assert store.list(Query(env=ENV)).items == ()


def test_a_bad_cursor_says_what_to_do(store: SQLiteStore) -> None:
    with pytest.raises(ConfigurationError) as caught:
        store.list(Query(env=ENV), cursor="bad")
    assert caught.value.code == "bad_cursor"
    assert caught.value.hint


# -- claims and the machine ------------------------------------------------------------------------------------------


def test_a_claim_of_another_boot_has_run_out(path: Path) -> None:
    clock = FakeClock()
    store = SQLiteStore(path, clock=clock)
    record = held(store, connected(store), "before", life=10**9)
    clock.reboot()
    claim = seen(store, record).claim
    assert claim is not None
    assert claim.expired
    assert store.claim(record, holder="after", life=30.0, spending="") is None
    taken = store.claim(record, holder="after", life=30.0, spending="", over="before")
    assert taken is not None
    assert seen(store, record) == taken
    store.close()


def test_a_claim_renewed_after_a_reboot_holds(path: Path) -> None:
    clock = FakeClock()
    store = SQLiteStore(path, clock=clock)
    record = held(store, connected(store), "holder-1")
    clock.reboot()
    assert store.renew(record, holder="holder-1", life=30.0)
    claim = seen(store, record).claim
    assert claim is not None
    assert not claim.expired
    store.close()


def test_unavailable_is_what_a_caller_may_wait_for() -> None:
    assert issubclass(StoreUnavailable, StoreError)
