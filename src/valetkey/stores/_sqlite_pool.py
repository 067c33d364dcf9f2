"""Connections to a SQLite store, shared by the threads of a process and closed before it forks."""

from __future__ import annotations

import atexit
import itertools
import sqlite3
import threading
import weakref
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Final

from valetkey import forks
from valetkey.errors import StoreUnavailable
from valetkey.stores._sqlite_errors import BUSY, locked, primary_code, store_error
from valetkey.stores._sqlite_file import DatabaseFile
from valetkey.stores._texts import bad_text

_QUEUE: Final = 4
"""How many times the busy time-out a thread waits for other threads: a herd of them on a slow disk is no error."""

_serials: Final = itertools.count(1)
_inherited: Final[list[Handle]] = []
"""Handles that a forked child inherited open.  They are kept, so that nothing ever closes them."""


@dataclass(frozen=True, slots=True, eq=False)
class Handle:
    """An open connection, which file it is of, and a number that no other connection of this process has."""

    db: sqlite3.Connection
    file: tuple[int, int] | None
    serial: int


class _Abandoned:
    """Handles of pools that nobody has any more, closed by the next use of any pool, or before the next fork.

    They are not closed where the garbage is collected: that may be at any moment, in the middle of a fork too.
    """

    def __init__(self) -> None:
        self.handles: deque[Handle] = deque()
        forks.register(self)

    def close(self) -> None:
        """Close them all."""
        with suppress(IndexError):  # another thread took the last one
            while self.handles:
                self.handles.pop().db.close()

    def before_fork(self) -> None:
        """Close them, for a child must inherit none."""
        self.close()

    def after_fork(self, *, in_child: bool) -> None:
        """Do nothing: none is left."""


_abandoned: Final = _Abandoned()
atexit.register(_abandoned.close)  # called after the finalizers, for they are registered later


class Pool:
    """At most `limit` connections, lent to one user at a time; further users queue.

    A pool of one is a lock as well: all writes of a process go through such a pool, one after the other, instead of
    waking each other up at the file's lock.
    """

    def __init__(self, file: DatabaseFile, *, limit: int) -> None:
        self.path = file.path
        self.patience = _QUEUE * file.busy_timeout
        self._file = file
        self._limit = limit
        self._lock = threading.Lock()
        self._state = threading.Condition(self._lock)
        self._idle: list[Handle] = []
        self._lent: dict[int, Handle | None] = {}  # by thread; None while it is being opened
        self._epoch = 0
        self._resting = False
        self._stranded = False
        forks.register(self)
        weakref.finalize(self, _abandon, self._idle)  # registered last, so called first: no fork falls between the two

    def lend(self) -> Loan:
        """Lend a connection for a ``with`` block; errors of SQLite in it come out as those of valetkey.

        Raises:
            StoreUnavailable: None became free in time, or none can be opened.
        """
        return Loan(self)

    def close(self) -> None:
        """Close the connections; those that are lent are closed when they come back."""
        with self._lock:  # which a fork takes too
            self._epoch += 1
            self._close_idle()

    # -- lending

    def take(self) -> tuple[Handle, int]:
        """Take a connection, and the number under which it is given back; see `lend`."""
        me = threading.get_ident()
        with self._lock:
            self._reclaim(me)
            if not self._free() and not self._state.wait_for(self._free, self.patience):
                raise locked(self.path)
            if self._stranded:
                raise self._unsafe()
            epoch = self._epoch
            self._lent[me] = handle = self._idle.pop() if self._idle else None
        if _abandoned.handles:
            _abandoned.close()
        while handle is not None and handle.file != self._file.identity():
            handle = self._another(me, handle)
        return handle or self._open(me), epoch

    def reclaim(self) -> None:
        """Let others have what an interrupt kept this thread from giving back."""
        me = threading.get_ident()
        if me in self._lent:
            with self._lock:
                self._reclaim(me)
                self._vacate()

    def _reclaim(self, me: int) -> None:
        """Take back what this thread has already: no thread borrows twice, so an interrupt kept it from giving back."""
        if me in self._lent:
            lost = self._lent.pop(me)
            if lost is not None:
                lost.db.close()

    def _free(self) -> bool:
        return not self._resting and len(self._lent) < self._limit

    def _another(self, me: int, outdated: Handle) -> Handle | None:
        """Return another idle connection, for another file lies at the path now: a restored backup, say."""
        with self._lock:
            self._lent[me] = handle = self._idle.pop() if self._idle else None
        outdated.db.close()
        return handle

    def _open(self, me: int) -> Handle:
        try:
            db = self._file.open()
        except BaseException:
            with self._lock:
                self._vacate()
            raise
        self._lent[me] = handle = Handle(db, self._file.identity(), next(_serials))
        return handle

    def give(self, handle: Handle, epoch: int, *, healthy: bool) -> None:
        """Give a connection back; one that is not `healthy` is closed."""
        keep = healthy and (not handle.db.in_transaction or self._at_rest(handle))
        with self._lock:
            if keep and epoch == self._epoch and not self._resting:
                self._idle.append(handle)
            else:
                handle.db.close()
            self._vacate()

    def _vacate(self) -> None:
        """Let the next one have the place of this thread; a fork waits for all of them."""
        self._lent.pop(threading.get_ident(), None)
        if self._resting:
            self._state.notify_all()
        else:
            self._state.notify()

    @staticmethod
    def _at_rest(handle: Handle) -> bool:
        """End what an error or an interrupt left open; False where even that fails."""
        try:
            handle.db.rollback()
        except sqlite3.Error:
            return False
        return True

    def _close_idle(self) -> None:
        while self._idle:
            self._idle.pop().db.close()

    # -- forking

    def before_fork(self) -> None:
        """Wait until nothing is lent, and close what is idle (see `valetkey.forks`)."""
        self._state.acquire()
        self._resting = True
        self._reclaim(threading.get_ident())
        self._state.wait_for(lambda: not self._lent, 2 * self._file.busy_timeout)
        self._close_idle()

    def after_fork(self, *, in_child: bool) -> None:
        """Go on; the child with nothing of its parent's."""
        if in_child:
            self._start_anew()
            return
        self._resting = False
        self._state.notify_all()
        self._state.release()

    def _start_anew(self) -> None:
        inherited = [*self._lent.values(), *self._idle]
        _inherited.extend(handle for handle in inherited if handle is not None)
        self._stranded = self._stranded or bool(inherited)
        self._lock = threading.Lock()
        self._state = threading.Condition(self._lock)
        self._lent, self._resting = {}, False
        self._idle.clear()  # the list itself stays: it is what is told apart when the pool is gone

    def _unsafe(self) -> StoreUnavailable:
        return StoreUnavailable(
            f"This process was forked while its parent was at work in {self._file.path}; it could lose data there.",
            code="store_forked",
            hint="Fork before the store is in use, or start the process anew instead of forking it.",
        )


def _abandon(idle: list[Handle]) -> None:
    with suppress(IndexError):  # another thread may take the last one
        while idle:
            _abandoned.handles.append(idle.pop())


class Loan:
    """A connection that is lent for a ``with`` block; a class of its own, for a generator costs more than the loan."""

    __slots__ = ("_lent", "_pool")
    _lent: tuple[Handle, int]

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def __enter__(self) -> Handle:
        self._lent = self._pool.take()
        return self._lent[0]

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        handle, epoch = self._lent
        broken = isinstance(error, sqlite3.Error) and primary_code(error) not in BUSY
        self._pool.give(handle, epoch, healthy=not broken)
        if isinstance(error, sqlite3.Error):
            raise store_error(error, self._pool.path) from error
        if isinstance(error, UnicodeEncodeError):  # half of a surrogate pair
            raise bad_text() from error
