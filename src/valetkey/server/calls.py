"""Writing down now and then how often API keys called, beside what is going on."""

from __future__ import annotations

import atexit
import os
import threading
import weakref
from contextlib import suppress
from typing import Final

from valetkey.core import Core
from valetkey.engine.calls import Calls
from valetkey.errors import StoreError
from valetkey.logs import get_logger

EVERY: Final = 30.0
"""Seconds for which counts stay in memory, at most."""
_log = get_logger("server")


class CallCounts:
    """The counts of this process, on their way to the store.  A call waits for neither store nor thread."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self.calls = Calls(core.clock, core.env)
        self.reset()
        _everywhere.add(self)

    def reset(self) -> None:
        """Begin anew, as in a forked child."""
        self.calls.reset()
        self._timer: threading.Timer | None = None

    def note(self, connection_id: str, key_id: str) -> None:
        """Count a call."""
        self.calls.note(connection_id, key_id)
        if self._timer is None:
            self._begin()

    def _begin(self) -> None:
        timer = threading.Timer(EVERY, _flush_soon, (weakref.ref(self),))
        timer.daemon = True
        self._timer = timer
        timer.start()

    def flush_soon(self) -> None:
        """Write what was counted, in a flight."""
        self._timer = None
        self._core.flights.call(self._flush)

    def _flush(self) -> None:
        try:
            self.calls.flush(self._core.store)
        except StoreError as error:
            _log.warning("the calls of API keys were not written down: %s", error)
        if self.calls.waiting and self._timer is None:
            self._begin()

    def flush(self, connection_id: str = "") -> None:
        """Write what was counted now, for whoever is about to look; a store that fails is told there."""
        with suppress(StoreError):
            self.calls.flush(self._core.store, connection_id=connection_id)

    def close(self) -> None:
        """Write the rest."""
        if self.calls.waiting:
            self.flush()


def _flush_soon(counts: weakref.ref[CallCounts]) -> None:
    there = counts()
    if there is not None:
        there.flush_soon()


_everywhere: weakref.WeakSet[CallCounts] = weakref.WeakSet()


@atexit.register
def _at_exit() -> None:
    for counts in list(_everywhere):
        with suppress(Exception):  # the program ends: what cannot be written now is lost, and it is only counts
            counts.close()


def _after_fork() -> None:
    for counts in list(_everywhere):
        counts.reset()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
