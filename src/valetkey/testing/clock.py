"""A clock that stands still until a test moves it."""

from __future__ import annotations

import threading

START = 1_800_000_000.0
"""15 January 2027, 08:00 UTC: any fixed time does."""


class FakeClock:
    """Time by hand: a `Clock` (see ``valetkey.model.ports``) that only moves when it is told to.

    Whoever sleeps on it moves it forward and goes on at once, so a test with back-off, polling or deadlines takes no
    time.  Safe for threads.

    >>> clock = FakeClock()
    >>> clock.advance(3600 - 59)
    >>> clock.now() - START
    3541.0

    Args:
        now: The Unix time, in seconds, at which it starts.
    """

    def __init__(self, now: float = START) -> None:
        self._lock = threading.Lock()
        self._now = float(now)
        self._monotonic = 1000.0
        self._boots = 1

    def now(self) -> float:
        """Return Unix time in seconds."""
        with self._lock:
            return self._now

    def monotonic(self) -> float:
        """Return seconds that never go back."""
        with self._lock:
            return self._monotonic

    def sleep(self, seconds: float) -> None:
        """Move the time forward by `seconds` and return at once; less than nothing counts as nothing."""
        self.advance(max(0.0, seconds))

    def boot_id(self) -> str:
        """Return what names this boot of the pretended machine."""
        with self._lock:
            return f"practice-boot-{self._boots}"

    def advance(self, seconds: float) -> None:
        """Let `seconds` pass, on both clocks.

        Raises:
            ValueError: `seconds` is negative; `set` is what turns the wall clock back.
        """
        if seconds < 0:
            msg = "time does not pass backwards; FakeClock.set() turns the wall clock back"
            raise ValueError(msg)
        with self._lock:
            self._now += seconds
            self._monotonic += seconds

    def set(self, now: float) -> None:
        """Set the wall clock to Unix time `now`, as an administrator does: `monotonic` does not notice."""
        with self._lock:
            self._now = float(now)

    def reboot(self) -> None:
        """Start the pretended machine anew: another `boot_id`, and `monotonic` begins again; `now` goes on."""
        with self._lock:
            self._boots += 1
            self._monotonic = 1.0
