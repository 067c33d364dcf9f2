"""Layer 6: the test kit: an OAuth provider to practise on, a clock that stands still, and the suite for stores.

Names are imported when they are first used, so that the pytest plugin costs nothing where nobody asks for it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from valetkey.testing.clock import FakeClock
    from valetkey.testing.practice import Practice
    from valetkey.testing.provider import PracticeProvider
    from valetkey.testing.store_contract import StoreContract
    from valetkey.testing.wicked import WickedServer

__all__ = ["FakeClock", "Practice", "PracticeProvider", "StoreContract", "WickedServer"]

_HOMES = {
    "FakeClock": "clock",
    "Practice": "practice",
    "PracticeProvider": "provider",
    "StoreContract": "store_contract",
    "WickedServer": "wicked",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
