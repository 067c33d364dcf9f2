"""Gates: how much a worker has under way at one provider host, or for one app, and when it asks there again.

Times are on the monotonic clock, so that a wall clock that is set neither shuts a gate for long nor opens it.
"""

from __future__ import annotations

import random
from typing import Final

TOLERATED: Final = 1
"""Failures in a row that say nothing about a host yet: one connection may be odd."""
FIRST_PAUSE: Final = 2.0
LONGEST_PAUSE: Final = 30.0
"""Seconds between two looks whether a host is back, at most: so all is well soon after an outage."""


class Gate:
    """Lets so many through at once; after trouble nobody for a while, then one to look, then all again.

    What was under way when the gate shut neither shuts it for longer nor opens it again.

    Args:
        limit: How many may be under way at once.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.under_way = 0
        self.opens_at = float("-inf")
        self.trial = False
        self.failures = 0
        self._width = float(limit)
        self._shut = 0

    def lets_in(self, now: float) -> bool:
        """Whether one more may be started."""
        most = 1 if self.trial else int(self._width)
        return now >= self.opens_at and self.under_way < most

    def enter(self) -> int:
        """Count one in; returns what it has to bring along to `well` and `unwell`."""
        self.under_way += 1
        return self._shut

    def leave(self) -> None:
        """Count one out."""
        self.under_way -= 1

    def well(self, ticket: int) -> bool:
        """Note a success; True: the gate was shut, and is open again."""
        if ticket != self._shut:
            return False
        reopened, self.trial = self.trial, False
        self.failures = 0
        self._width = min(self._width + 1.0 / self._width, float(self.limit))
        return reopened

    def unwell(self, ticket: int, now: float, *, busy: bool, wait: float = 0.0) -> bool:
        """Note a failure.

        Args:
            ticket: What `enter` gave.
            now: The time.
            busy: Whether the host says that it is asked too much or is down, which needs no second failure to be
                believed.
            wait: Seconds for which it asks to be left alone.

        Returns:
            Whether the gate was open and is shut now.
        """
        if ticket != self._shut:
            self.opens_at = max(self.opens_at, now + wait)
            return False
        self.failures += 1
        if busy:
            self._width = max(self._width / 2.0, 1.0)
        elif self.failures <= TOLERATED:
            return False
        pause = min(FIRST_PAUSE * 2.0 ** min(self.failures - 1, 8), LONGEST_PAUSE)
        pause *= random.uniform(0.5, 1.0)  # noqa: S311 - spreads the looks of several workers, guards nothing
        return self.shut(now, max(pause, wait))

    def shut(self, now: float, pause: float) -> bool:
        """Let nobody in for `pause` seconds, and then one to look; True: it was open."""
        was_open, self.trial = not self.trial, True
        self.opens_at = max(self.opens_at, now + pause)
        self._shut += 1
        return was_open
