"""How often API keys may call: so many times a minute, counted in this process."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

MINUTE: Final = 60.0
_MANY: Final = 10_000


class Windows:
    """Counts calls in windows of a minute, which begin with their first call."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._now = monotonic
        self._lock = threading.Lock()
        self._counts: dict[str, tuple[float, int]] = {}

    def wait(self, name: str, rate: int) -> float:
        """Count a call; return 0.0 where it is within `rate`, else the seconds until calls are taken again."""
        now = self._now()
        with self._lock:
            began, count = self._counts.get(name, (now, 0))
            if not 0 <= now - began < MINUTE:
                began, count = now, 0
            if count >= rate:
                return began + MINUTE - now
            self._counts[name] = began, count + 1
            if len(self._counts) > _MANY:
                self._forget(now)
        return 0.0

    def _forget(self, now: float) -> None:
        self._counts = {name: kept for name, kept in self._counts.items() if 0 <= now - kept[0] < MINUTE}
