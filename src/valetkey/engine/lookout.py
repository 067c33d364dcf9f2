"""What a process remembers of claims that others left, and of a store that was away (R6, R10)."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from valetkey.engine.windows import CLAIM_LIFE
from valetkey.model.connections import Claim

_REMEMBERED: Final = 1000


class Lookout:
    """What this process has seen of claims that ran out, and of a store that was away."""

    def __init__(self) -> None:
        self._first: OrderedDict[tuple[str, float], float] = OrderedDict()
        self.away = False
        self._back_at = float("-inf")

    def store_away(self) -> None:
        """Note that the store did not answer."""
        self.away = True

    def store_back(self, now: float) -> None:
        """Note that it answers again."""
        self.away, self._back_at = False, now

    def lately_away(self, now: float) -> bool:
        """Whether the store is away, or came back less than one claim's life ago, as far as this process has seen.

        Then holders could not renew their claims, and may just be bringing their answers.
        """
        return self.away or now - self._back_at < CLAIM_LIFE

    def seen_for(self, claim: Claim, now: float) -> float:
        """Return for how many seconds this process has known that `claim` ran out, as it was last renewed."""
        first = self._first.setdefault((claim.holder, claim.until), now)
        while len(self._first) > _REMEMBERED:
            self._first.popitem(last=False)
        return now - first
