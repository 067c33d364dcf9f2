"""Connections to a Postgres store, shared by the threads of a process, and left alone by a forked child."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from typing import Any, Final, TypeVar

import psycopg

from valetkey import forks
from valetkey.clock import SystemClock
from valetkey.errors import ValetkeyError
from valetkey.stores._postgres_errors import Slow, lost

T = TypeVar("T")
PATIENCE: Final = 10.0
"""Seconds that a statement may take, and that a thread waits for a free connection."""

_clock: Final = SystemClock()
_inherited: Final[list[psycopg.Connection[Any]]] = []
"""Connections that a forked child inherited open.  They are kept, so that nothing ever closes them."""


class Connection(psycopg.Connection[tuple[Any, ...]]):
    """A connection on which nothing takes longer than its patience: a server that is frozen is as good as gone."""

    patience: float = PATIENCE

    def wait(self, gen: Any, *args: Any, **kwargs: Any) -> Any:
        """Drive a statement.

        Raises:
            Slow: It takes too long.
        """
        return super().wait(_bounded(gen, _clock.monotonic() + self.patience), *args, **kwargs)


def _bounded(gen: Generator[Any, Any, T], end: float) -> Generator[Any, Any, T]:
    """Do what `gen` does, which says what it waits for and is told when that is so; until `end`."""
    try:
        wanted = next(gen)
        while True:
            ready = yield wanted
            if ready:
                wanted = gen.send(ready)
            elif _clock.monotonic() > end:
                msg = "the server did not answer in time"
                raise Slow(msg)
    except StopIteration as done:
        result: T = done.value
        return result


def leave_to_parent(connection: psycopg.Connection[Any]) -> None:
    """In a forked child: let go of the parent's socket without a word to the server.

    The connection object is kept and never used or closed.  But its descriptor must not stay: while a child holds the
    socket open, the server would not notice that the parent has died, and would keep its locks.
    """
    _inherited.append(connection)
    with suppress(OSError, psycopg.Error):
        nothing = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        try:
            os.dup2(nothing, connection.fileno(), inheritable=False)
        finally:
            os.close(nothing)


class Pool:
    """At most `limit` connections, lent to one user at a time; further users queue.

    Args:
        connect: Opens a connection.
        limit: How many there may be.
        busy: Makes the error for one who waited too long.
    """

    def __init__(self, connect: Callable[[], Connection], *, limit: int, busy: Callable[[], ValetkeyError]) -> None:
        self._connect = connect
        self._limit = limit
        self._busy = busy
        self._state = threading.Condition()
        self._idle: list[Connection] = []
        self._lent: dict[int, Connection | None] = {}  # by thread; None while it is being opened
        self._epoch = 0
        forks.register(self)

    @contextmanager
    def lend(self) -> Generator[Connection]:
        """Lend a connection; one that an error or an interrupt left in a transaction does not come back.

        Raises:
            StoreUnavailable: None became free in time, or none can be opened.
        """
        connection, epoch = self._take()
        try:
            yield connection
        except psycopg.Error as error:
            if lost(error):
                self._drop(connection)
            raise
        finally:
            self._give(connection, epoch)

    def close(self) -> None:
        """Close the connections; those that are lent are closed when they come back."""
        with self._state:
            self._epoch += 1
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    # -- lending

    def _take(self) -> tuple[Connection, int]:
        me = threading.get_ident()
        with self._state:
            self._reclaim(me)
            if not self._state.wait_for(lambda: len(self._lent) < self._limit, PATIENCE):
                raise self._busy()
            epoch = self._epoch
            self._lent[me] = connection = self._idle.pop() if self._idle else None
        return connection or self._open(me), epoch

    def _reclaim(self, me: int) -> None:
        """Take back what this thread has already: no thread borrows twice, so an interrupt kept it from giving back."""
        if me in self._lent:
            forgotten = self._lent.pop(me)
            if forgotten is not None:
                forgotten.close()

    def _open(self, me: int) -> Connection:
        try:
            connection = self._connect()
        except BaseException:
            self._vacate()
            raise
        self._lent[me] = connection
        return connection

    def _drop(self, connection: Connection) -> None:
        """Close a connection that was lost, and those that idle: what ended the one will have ended the others."""
        connection.close()
        self.close()

    def _give(self, connection: Connection, epoch: int) -> None:
        keep = not connection.closed and connection.pgconn.transaction_status == psycopg.pq.TransactionStatus.IDLE
        with self._state:
            if keep and epoch == self._epoch:
                self._idle.append(connection)
            else:
                connection.close()
        self._vacate()

    def _vacate(self) -> None:
        with self._state:
            self._lent.pop(threading.get_ident(), None)
            self._state.notify()

    # -- forking

    def before_fork(self) -> None:
        """Let nobody hold the lock over the fork.  What is lent stays lent: its socket is the parent's alone."""
        self._state.acquire()

    def after_fork(self, *, in_child: bool) -> None:
        """Go on; the child with nothing of its parent's."""
        if not in_child:
            self._state.release()
            return
        for connection in [*self._lent.values(), *self._idle]:
            if connection is not None:
                leave_to_parent(connection)
        self._state = threading.Condition()
        self._lent, self._idle = {}, []
