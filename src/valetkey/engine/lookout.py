"""What a process remembers of claims that others left, and of a store that was away (R6, R10)."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from valetkey.engine.windows import CLAIM_LIFE

_REMEMBERED: Final = 1000


class Lookout:
    """What this process has seen of claims that ran out, and of a store that was away."""

    def __init__(self) -> None:
        self._first: OrderedDict[str, float] = OrderedDict()
        self._away_at = float("-inf")

    def store_away(self, now: float) -> None:
        """Note that the store did not answer."""
        self._away_at = max(self._away_at, now)

    def lately_away(self, now: float) -> bool:
        """Whether the store was away within one claim's life.

        Then holders could not renew their claims, and may just be bringing their answers.
        """
        return now - self._away_at < CLAIM_LIFE

    def seen_for(self, holder: str, now: float) -> float:
        """Return for how many seconds this process has known that the claim of `holder` ran out."""
        first = self._first.setdefault(holder, now)
        while len(self._first) > _REMEMBERED:
            self._first.popitem(last=False)
        return now - first
