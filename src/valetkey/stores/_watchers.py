"""Those who watch a store, held so that they can go while the store stays."""

from __future__ import annotations

import weakref
from collections.abc import Callable

from valetkey.model.connections import ConnectionKey

Tell = Callable[[ConnectionKey | None], None]


def weakly(tell: Tell) -> Callable[[], Tell | None]:
    """Return what gives `tell` back while the object lives whose method it is."""
    if hasattr(tell, "__self__") and hasattr(tell, "__func__"):
        return weakref.WeakMethod(tell)
    return lambda: tell
