"""The handles of the SQLite store: shared by threads, closed, given back, left out of forks."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from valetkey.errors import StoreError
from valetkey.stores.sqlite import SQLiteStore
from valetkey.testing._contract_base import connected, seen
from valetkey.testing._contract_shared import Child


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
    handle, _ = store._writer.take()  # as if Ctrl-C had come before it was given back
    handle.db.execute("BEGIN IMMEDIATE")
    assert store.note(record.id, incarnation=1, changes={"last_used_at": 5.0})


def test_a_thread_that_was_interrupted_while_it_opened_a_handle_may_open_another(store: SQLiteStore) -> None:
    record = connected(store)
    store._writer._lent[threading.get_ident()] = None
    assert store.note(record.id, incarnation=1, changes={"last_used_at": 5.0})


def test_an_error_within_a_transaction_undoes_it(store: SQLiteStore) -> None:
    record = connected(store)

    def interrupted(db: sqlite3.Connection) -> None:
        db.execute("DELETE FROM connection")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store._write(interrupted)
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
        def write(db: sqlite3.Connection) -> None:
            db.execute("DELETE FROM connection")
            child.pause()

        SQLiteStore(path)._write(write)

    child = Child(work)
    child.paused()
    assert child.killed() == []
    assert seen(store, record) == record
    assert store.note(record.id, incarnation=1, changes={"last_used_at": 5.0})
    store.close()
