"""Lists of connect links, page by page, in both directions."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

from valetkey.engine.links import MOMENT_LENGTH, MOMENTS, every_link
from valetkey.engine.world import World
from valetkey.model.links import Link

_CLOCKS: Final = 3600.0
"""Seconds by which clocks of hosts may differ."""
_FIRST_SPAN: Final = 60_000
"""Milliseconds that the first look back goes over; each further one over eight times as many."""


def list_links(
    world: World, env: str, *, wanted: Callable[[Link], bool] = lambda _: True, after: str = "", limit: int = 50
) -> tuple[list[Link], str]:
    """Return a page of links, the newest first, and where the next one begins (empty: this is the last)."""
    found: list[Link] = []
    for link in every_link(world, after):
        if link.key.env == env and wanted(link):
            if len(found) == limit:
                return found, found[-1].id
            found.append(link)
    return found, ""


def list_links_before(
    world: World, env: str, before: str, *, wanted: Callable[[Link], bool] = lambda _: True, limit: int = 50
) -> tuple[list[Link], bool]:
    """Return the page of links that ends before an id, the newest first, and whether others stand before it.

    Stores list documents forwards only; ids hold the moment, so this begins a while before, and sooner if few match.
    """
    newest = MOMENTS - int((world.clock.now() + _CLOCKS) * 1000)
    moment = int(before[:MOMENT_LENGTH], 16)
    span = _FIRST_SPAN
    while True:
        begin = moment - span
        after = f"{begin:0{MOMENT_LENGTH}x}" if begin > newest else ""
        nearest: deque[Link] = deque(maxlen=limit + 1)
        for link in every_link(world, after):
            if link.id >= before:
                break
            if link.key.env == env and wanted(link):
                nearest.append(link)
        if len(nearest) > limit or not after:
            return list(nearest)[-limit:], len(nearest) > limit
        span *= 8
