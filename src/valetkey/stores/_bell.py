"""Waiting for a change: woken at once by this process, and looking every few milliseconds for others."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

from valetkey import forks
from valetkey.clock import SystemClock
from valetkey.model.ports import Clock

_FIRST: Final = 0.002
_LONGEST: Final = 0.025
_GROWTH: Final = 1.5


class Bell:
    """Rung after each commit of this process.

    By the system's clock, waiting is waiting for the bell.  Another clock is asked to `sleep` instead, so that a test
    decides how time passes.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._real = isinstance(clock, SystemClock)
        self._state = threading.Condition()
        self.rings = 0
        forks.register(self)

    def ring(self) -> None:
        """Wake all that wait."""
        with self._state:
            self.rings += 1
            self._state.notify_all()

    def wait_until(
        self, changed: Callable[[], bool], timeout: float, *, first: float = _FIRST, longest: float = _LONGEST
    ) -> bool:
        """Return True as soon as `changed()` is true, False after `timeout` seconds.

        Whoever does not ring is looked for after `first` seconds, and at growing intervals of up to `longest`.
        """
        deadline = self._clock.monotonic() + timeout
        nap = first
        while True:
            rings = self.rings
            if changed():
                return True
            left = deadline - self._clock.monotonic()
            if left <= 0:
                return False
            self._nap(min(nap, left), rings)
            nap = min(nap * _GROWTH, longest)

    def _nap(self, seconds: float, rings: int) -> None:
        if not self._real:
            self._clock.sleep(seconds)
            return
        with self._state:
            self._state.wait_for(lambda: self.rings != rings, seconds)

    def before_fork(self) -> None:
        """Let nobody hold the lock over the fork."""
        self._state.acquire()

    def after_fork(self, *, in_child: bool) -> None:
        """Go on; in the child nobody waits any more."""
        if in_child:
            self._state = threading.Condition()
        else:
            self._state.release()
