"""All writes of a process to one SQLite file: those that wait for each other share one transaction, and one sync.

A synced commit costs more than what most writes do between its begin and its end.  So whoever gets the writer takes
along what all others wait with, commits once, and each gets a result of its own, or an error of its own.
"""

from __future__ import annotations

import sqlite3
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, TypeVar, cast

from valetkey import forks
from valetkey.stores._sqlite_errors import locked, store_error
from valetkey.stores._sqlite_pool import Pool

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], Any]
MOST: Final = 256
"""How many writes share one commit at most: each of them waits for all the others."""


class _Group:
    """Writes of one transaction.

    Attributes:
        over: Whether they are settled: it was committed, or its commit failed.
        error: What the commit failed with.
    """

    __slots__ = ("error", "over")

    def __init__(self) -> None:
        self.over = False
        self.error: sqlite3.Error | None = None


class _Write:
    """One write that somebody waits for.

    Attributes:
        work: What it does; run anew where the transaction that it was in was undone.
        alone: Whether it gets a transaction of its own: one of its group failed before the commit.
        group: What it was run in last.
        result: What it returned there: to be told only when that is committed.
    """

    __slots__ = ("alone", "group", "result", "work")

    def __init__(self, work: Work) -> None:
        self.work = work
        self.alone = False
        self.group: _Group | None = None
        self.result: Any = None

    def settled(self) -> bool:
        return self.group is not None and self.group.over


class Writer:
    """Runs writes in durable transactions that hold the file's write lock from their start.

    Args:
        pool: The one connection that writes.
        committed: Called after each commit.
    """

    def __init__(self, pool: Pool, committed: Callable[[], object]) -> None:
        self._pool = pool
        self._committed = committed
        self._start_anew()
        forks.register(self)

    def write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work` in a transaction, and return what it returned once that is committed and synced.

        It may be run in another thread, and again where the first transaction was undone: it must do nothing but read
        and write through the connection that it is given.

        Raises:
            StoreUnavailable: The writer did not become free in time (``store_locked``), or as SQLite's errors are told.
        """
        self._pool.reclaim()
        write = _Write(work)
        self._waiting.append(write)
        try:
            self._take_turn(write)
            while not write.settled():
                self._lead(write)
        except BaseException:
            self._withdraw(write)
            raise
        finally:
            with suppress(RuntimeError):  # it is not ours: its turn did not come
                self._turn.release()
        return cast("T", self._outcome(write))

    def _take_turn(self, write: _Write) -> None:
        """Wait until nobody else writes; longer where the write is under way already, for how it ends is to be told."""
        patience = self._pool.patience
        if self._turn.acquire(timeout=patience):
            return
        if self._withdraw(write) or not self._turn.acquire(timeout=patience):
            raise locked(self._pool.path)

    def _withdraw(self, write: _Write) -> bool:
        """Take it out of the queue; False: another thread has begun it, or has done it."""
        try:
            self._waiting.remove(write)
        except ValueError:
            return False
        return True

    def _lead(self, own: _Write) -> None:
        """Commit this write together with all that wait: those whose turn comes later find theirs settled.

        What an interrupt of this thread leaves unsettled is undone, and led by whoever waits for it.
        """
        with self._pool.lend() as handle:
            handle.db.execute("BEGIN IMMEDIATE")
            writes = [own] if own.alone else self._together(own)  # others came while it waited for another process
            group = _Group()
            try:
                for write in writes:
                    write.group = group
                    write.result = write.work(handle.db)
            except Exception:
                if len(writes) == 1:
                    raise
                for write in writes:
                    write.alone = True  # whose error it is comes out then
                return
            _commit(handle.db, group)
        self._committed()

    def _together(self, own: _Write) -> list[_Write]:
        writes = [own]
        with suppress(IndexError):  # the queue is empty
            while len(writes) < MOST:
                write = self._waiting.popleft()
                if write is not own and not write.settled():
                    writes.append(write)
        return writes

    def _outcome(self, write: _Write) -> Any:
        error = write.group.error if write.group is not None else None
        if error is not None:
            raise store_error(error, self._pool.path) from error
        return write.result

    # -- forking

    def _start_anew(self) -> None:
        # A lock that knows its thread: an interrupt may come between our getting it and our learning so.
        self._turn = threading.RLock()
        self._waiting: deque[_Write] = deque()

    def before_fork(self) -> None:
        """Do nothing: the pool comes to rest."""

    def after_fork(self, *, in_child: bool) -> None:
        """Let the child begin with nobody waiting."""
        if in_child:
            self._start_anew()


def _commit(db: sqlite3.Connection, group: _Group) -> None:
    """Commit, and settle the writes of the group: also where an interrupt comes right after the commit."""
    try:
        db.execute("COMMIT")
    except sqlite3.Error as error:
        group.error = error
        raise
    finally:
        group.over = group.error is not None or not db.in_transaction
