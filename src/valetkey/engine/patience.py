"""Patience with a store that does not answer for a moment, where what is in hand exists nowhere else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

from valetkey.engine.world import World
from valetkey.errors import StoreUnavailable

T = TypeVar("T")
STORE_SECONDS: Final = 10.0
"""How long a store that does not answer is tried."""


def patiently(world: World, step: Callable[[], T], *, until: float | None = None) -> T:
    """Do it, and again for some seconds where the store does not answer; `until` is on the monotonic clock."""
    give_up = world.clock.monotonic() + STORE_SECONDS if until is None else until
    while True:
        try:
            return step()
        except StoreUnavailable:
            world.lookout.store_away()
            if world.clock.monotonic() >= give_up:
                raise
            world.clock.sleep(0.5)
