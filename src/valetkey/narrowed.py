"""The sources of one connection's tokens for one resource each (RFC 8707), and the turns that its flights take."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from valetkey.engine.windows import DEADLINE

if TYPE_CHECKING:
    from valetkey.model.connections import Record
    from valetkey.source import TokenSource


class Narrowed:
    """What a connection's source has beside itself once somebody asks for one resource.

    Flights for several resources of a connection spend the same refresh token, one after the other.  The claim sees to
    that, between processes too; but who waits for a claim watches the store.  Within a process they take turns here.
    """

    __slots__ = ("_lock", "_sources")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sources: WeakValueDictionary[str, TokenSource] = WeakValueDictionary()

    def source(self, resource: str, make: Callable[[], TokenSource]) -> TokenSource:
        """Return the source for a resource, made where there is none."""
        source = self._sources.get(resource)
        if source is None:
            source = self._sources[resource] = make()
        return source

    def hear(self, record: Record | None) -> None:
        """Have all of them look again; see `TokenSource.hear`."""
        for source in list(self._sources.values()):
            source.hear(record)

    def expire(self) -> None:
        """Have all of them look whether their token still is the current one."""
        for source in list(self._sources.values()):
            source.expire()

    def after_fork(self) -> None:
        """Let go of a turn that was inherited: who had it is not here."""
        self._lock = threading.Lock()

    @contextmanager
    def turn(self) -> Generator[None]:
        """Wait for the flights of this connection that are under way here, though not for ever: a claim is safe too."""
        lock = self._lock
        mine = lock.acquire(timeout=DEADLINE)
        try:
            yield
        finally:
            if mine:
                lock.release()
