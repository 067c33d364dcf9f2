"""What a process knows of authorization servers: their metadata and keys, each fetched once for all who ask at once."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from valetkey.errors import ProviderError

LONGEST: Final = 86400.0
SHORTEST: Final = 300.0
USUAL: Final = 3600.0
"""Seconds that a document is good for, where its server does not say, and the bounds of what it may say."""
_FIRST_PAUSE: Final = 5.0
_LONGEST_PAUSE: Final = 60.0
_MOST: Final = 1000


@dataclass(slots=True)
class Shelf:
    """The place of one document.

    Attributes:
        door: Held while it is fetched.
        value: What was read; None: nothing yet.
        fetched_at: When, in Unix seconds.
        fresh_for: Seconds that it is good for.
        error: Why the last fetch came to nothing; None: it came to something.
        failures: How many in a row.
        retry_at: Unix seconds before which it is not tried again.
        forced_at: When it was last to be fetched anew although it was fresh, in Unix seconds.
    """

    door: threading.Lock
    value: Any = None
    fetched_at: float = 0.0
    fresh_for: float = 0.0
    error: ProviderError | None = None
    failures: int = 0
    retry_at: float = 0.0
    forced_at: float = float("-inf")

    def put(self, value: Any, *, at: float, fresh_for: float) -> None:
        """Keep what was read."""
        self.value, self.fetched_at, self.fresh_for = value, at, fresh_for
        self.error, self.failures, self.retry_at = None, 0, 0.0

    def fail(self, error: ProviderError, *, now: float) -> None:
        """Remember that it could not be read, so that a herd does not ask a server that is down each for itself."""
        self.failures += 1
        self.error = error
        self.retry_at = now + min(_FIRST_PAUSE * 2 ** (self.failures - 1), _LONGEST_PAUSE)

    def is_fresh(self, now: float) -> bool:
        """Whether what is here is good as it is; a clock that was set back makes it old."""
        return self.value is not None and 0 <= now - self.fetched_at < self.fresh_for

    def lately_failed(self, now: float) -> ProviderError | None:
        """Return the error of the last fetch while it is too early for the next."""
        if self.error is None or not 0 < self.retry_at - now <= _LONGEST_PAUSE:
            return None
        error = copy.copy(self.error)
        error.retry_after = self.retry_at - now
        return error


class Servers:
    """The documents that this process has read.  Safe for threads; a forked child starts with a new one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._shelves: dict[str, Shelf] = {}

    def shelf(self, name: str) -> Shelf:
        """Return the place of the document with that name."""
        with self._lock:
            while len(self._shelves) >= _MOST and name not in self._shelves:
                del self._shelves[next(iter(self._shelves))]
            return self._shelves.setdefault(name, Shelf(threading.Lock()))


def fresh_for(headers: Any) -> float:
    """Return for how many seconds an answer says that it is good (RFC 9111 section 5.2.2.1), within bounds."""
    words = [word.strip().lower() for word in str(headers.get("cache-control", "")).split(",")]
    ages = [word.partition("=")[2].strip('"') for word in words if word.startswith("max-age=")]
    if "no-store" in words or "no-cache" in words:
        return SHORTEST
    stated = next((float(age) for age in ages if age.isdecimal() and len(age) <= 9), USUAL)  # noqa: PLR2004 - 30 years
    return min(max(stated, SHORTEST), LONGEST)


def once(
    shelf: Shelf, now: Callable[[], float], fetch: Callable[[], None], *, known: Callable[[], bool] | None = None
) -> None:
    """Have `fetch` fill the shelf unless it is fresh, or `known` says that somebody else filled it meanwhile.

    Raises:
        ProviderError: It could not be read, now or a moment ago.
    """
    good = known or (lambda: shelf.is_fresh(now()))
    if good():
        return
    with shelf.door:
        if good():
            return
        if (failed := shelf.lately_failed(now())) is not None:
            raise failed
        try:
            fetch()
        except ProviderError as error:
            shelf.fail(error, now=now())
            raise
