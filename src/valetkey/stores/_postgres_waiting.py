"""Waiting for one connection to change: woken by news of it where there are news, else looking ever less often."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from typing import Final

from valetkey import forks
from valetkey.model.connections import ConnectionKey
from valetkey.model.ports import Clock
from valetkey.stores._bell import Bell

_FIRST: Final = 0.01
_LONGEST: Final = 0.1
"""Seconds between two looks while nobody tells of changes."""
_DISTRUST: Final = 1.0
"""Seconds after which one looks though no news came."""


class Waiting:
    """Those of this process who wait.

    Args:
        clock: By which they wait.
        listens: Whether `stir` is called for every change at present, whoever made it.
    """

    def __init__(self, clock: Clock, *, listens: Callable[[], bool]) -> None:
        self._clock = clock
        self._listens = listens
        self._bell = Bell(clock)
        self._lock = threading.Lock()
        self._waiters: Counter[ConnectionKey] = Counter()
        self._news: Counter[ConnectionKey] = Counter()
        forks.register(self)

    def stir(self, key: ConnectionKey | None) -> None:
        """Have those look who wait for this connection; None: all of them."""
        with self._lock:
            keys = list(self._waiters) if key is None else [key] if key in self._waiters else []
            for one in keys:
                self._news[one] += 1
        if keys:
            self._bell.ring()

    def wait_until(self, changed: Callable[[], bool], key: ConnectionKey, timeout: float) -> bool:
        """Return True as soon as `changed()`, which asks the store, is true; False after `timeout` seconds."""
        looked: tuple[float, int] = (float("-inf"), -1)

        def look() -> bool:
            nonlocal looked
            now, news = self._clock.monotonic(), self._news[key]
            if news == looked[1] and self._listens() and now - looked[0] < _DISTRUST:
                return False
            looked = (now, news)
            return changed()

        self._join(key, 1)
        try:
            return self._bell.wait_until(look, timeout, first=_FIRST, longest=_LONGEST)
        finally:
            self._join(key, -1)

    def _join(self, key: ConnectionKey, step: int) -> None:
        with self._lock:
            self._waiters[key] += step
            if self._waiters[key] <= 0:
                del self._waiters[key]
                self._news.pop(key, None)

    def before_fork(self) -> None:
        """Let nobody hold the lock over the fork."""
        self._lock.acquire()

    def after_fork(self, *, in_child: bool) -> None:
        """Go on; in the child nobody waits any more."""
        if in_child:
            self._lock = threading.Lock()
            self._waiters, self._news = Counter(), Counter()
        else:
            self._lock.release()
