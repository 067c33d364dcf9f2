"""Writes that wait for each other: one commit for all, and for each a result, or an error, of its own."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from valetkey.errors import StoreError, StoreUnavailable
from valetkey.stores._sqlite_writer import _commit, _Group
from valetkey.stores.sqlite import SQLiteStore
from valetkey.testing._contract_base import connected
from valetkey.testing._contract_shared import Child

Write = Callable[[sqlite3.Connection], Any]
PATIENCE = 60.0


def together(store: SQLiteStore, *writes: Write) -> list[Future[Any]]:
    """Have several threads write, all of which wait when the first of them gets its turn."""
    writer = store._writes
    futures: list[Future[Any]] = []
    with ThreadPoolExecutor(len(writes)) as threads, writer._turn:
        for count, write in enumerate(writes, 1):
            futures.append(threads.submit(store._write, write))
            wait_until(lambda count=count: len(writer._waiting) == count)
    return futures


def wait_until(true: Callable[[], bool]) -> None:
    pause = threading.Event()
    for _ in range(int(PATIENCE / 0.001)):
        if true():
            return
        pause.wait(0.001)
    pytest.fail("what was waited for did not come")


def naming(number: int) -> Write:
    """Return a write that leaves its mark in the row of that number, and returns how many rows it changed."""
    statement = "UPDATE connection SET error_text = ? WHERE id = ?"
    return lambda db: db.execute(statement, (f"mark-{number}", f"con_{number:04}")).rowcount


def marks(store: SQLiteStore) -> list[str]:
    return [row[0] for row in store._read("SELECT error_text FROM connection WHERE error_text != '' ORDER BY id")]


@pytest.fixture
def store(path: Path) -> SQLiteStore:
    store = SQLiteStore(path)
    for number in (1, 2, 3):
        connected(store, number)
    return store


def test_writes_that_wait_share_one_commit_and_none_is_done_before_it(store: SQLiteStore) -> None:
    commits = store._bell.rings
    early: list[list[str]] = []

    def last(db: sqlite3.Connection) -> int:
        early.append(marks(store))  # as any other connection sees it
        return cast("int", naming(3)(db))

    futures = together(store, naming(1), naming(2), last)
    assert [future.result() for future in futures] == [1, 1, 1]
    assert marks(store) == ["mark-1", "mark-2", "mark-3"]
    assert (store._bell.rings - commits, early) == (1, [[]])
    store.close()


def test_one_that_fails_is_undone_and_fails_alone(store: SQLiteStore) -> None:
    def failing(db: sqlite3.Connection) -> None:
        naming(2)(db)
        raise StoreError("no", code="id_taken")

    first, second, third = together(store, naming(1), failing, naming(3))
    assert (first.result(), third.result()) == (1, 1)
    assert isinstance(second.exception(), StoreError)
    assert marks(store) == ["mark-1", "mark-3"]
    broken, good = together(store, lambda db: db.execute("SELECT nonsense"), naming(2))
    assert "nonsense" in str(broken.exception())
    assert (good.result(), marks(store)) == (1, ["mark-1", "mark-2", "mark-3"])
    store.close()


def test_a_commit_that_fails_is_told_to_all_and_nothing_of_it_is_stored(store: SQLiteStore) -> None:
    def orphaned(db: sqlite3.Connection) -> None:
        db.execute("CREATE TABLE parent (id INTEGER PRIMARY KEY)")
        db.execute("CREATE TABLE child (id REFERENCES parent (id) DEFERRABLE INITIALLY DEFERRED)")
        db.execute("INSERT INTO child VALUES (1)")  # what only the commit looks at

    futures = together(store, naming(1), orphaned, naming(3))
    errors = [future.exception() for future in futures]
    assert [isinstance(error, StoreError) for error in errors] == [True, True, True]
    assert len(set(map(id, errors))) == len(errors)  # each its own, for a traceback grows where it is raised
    assert marks(store) == []
    assert store._write(naming(2)) == 1
    assert marks(store) == ["mark-2"]
    store.close()


def test_when_the_thread_that_leads_is_interrupted_the_others_are_not_done_and_go_on_without_it(
    store: SQLiteStore,
) -> None:
    runs: list[bool] = []

    def interrupting(db: sqlite3.Connection) -> int:
        runs.append(marks(store) != [])
        if len(runs) == 1:
            raise KeyboardInterrupt  # comes to the leader, whatever it is running
        return cast("int", naming(2)(db))

    futures = together(store, naming(1), interrupting, naming(3))
    led = [isinstance(future.exception(), KeyboardInterrupt) for future in futures]  # whoever was first at the lock
    assert led.count(True) == 1
    assert [future.result() for future, leader in zip(futures, led, strict=True) if not leader] == [1, 1]
    assert runs[0] is False, "nothing was committed before the interrupt"
    assert len(runs) == (1 if led[1] else 2), "the others' writes were undone, and made anew"
    assert marks(store) == [f"mark-{number}" for number, leader in enumerate(led, 1) if not leader]
    store.close()


def test_an_interrupt_right_after_the_commit_leaves_the_others_done() -> None:
    """Else a claim would be made a second time, and found to be taken."""
    group = _Group()
    db = SimpleNamespace(in_transaction=True)

    def execute(statement: str) -> None:
        assert statement == "COMMIT"
        db.in_transaction = False
        raise KeyboardInterrupt

    db.execute = execute
    with pytest.raises(KeyboardInterrupt):
        _commit(cast("sqlite3.Connection", db), group)
    assert (group.over, group.error) == (True, None)


def test_a_process_that_is_killed_in_the_middle_of_a_group_leaves_nothing_of_it(store: SQLiteStore, path: Path) -> None:
    store.close()

    def work(child: Child) -> list[int]:
        mine = SQLiteStore(path)

        def last(db: sqlite3.Connection) -> int:
            done = cast("int", naming(3)(db))
            child.pause()
            return done

        return [future.result() for future in together(mine, naming(1), naming(2), last)]

    child = Child(work)
    child.paused()
    assert marks(store) == []
    assert child.killed() == []
    assert marks(store) == []
    assert store._write(naming(2)) == 1
    store.close()


def test_who_waited_too_long_gives_up_and_its_write_is_never_made(path: Path) -> None:
    store = SQLiteStore(path, busy_timeout=0.02)
    connected(store, 1)
    with store._writes._turn, ThreadPoolExecutor(1) as threads:
        error = threads.submit(store._write, naming(1)).exception(PATIENCE)
        assert isinstance(error, StoreUnavailable)
        assert error.code == "store_locked"
    store._write(lambda db: db.execute("SELECT 1").fetchall())
    assert marks(store) == []
    store.close()


def test_a_child_forked_while_writes_wait_has_a_writer_of_its_own(store: SQLiteStore) -> None:
    taken, leave = threading.Event(), threading.Event()

    def hold() -> None:
        with store._writes._turn:
            taken.set()
            leave.wait(PATIENCE)

    with ThreadPoolExecutor(2) as threads:
        threads.submit(hold)
        taken.wait(PATIENCE)
        waiting = threads.submit(store._write, naming(1))
        wait_until(lambda: len(store._writes._waiting) == 1)
        try:
            assert Child(lambda _: (store._write(naming(2)), marks(store))).result() == (1, ["mark-2"])
        finally:
            leave.set()
        assert waiting.result(PATIENCE) == 1
    assert marks(store) == ["mark-1", "mark-2"]
    store.close()
