"""What states are called and how they look: the same words on every page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from valetkey.model.connections import State


@dataclass(frozen=True, slots=True)
class Word:
    """How a state is shown.

    Attributes:
        title: The words of its chip.
        icon: The name of its symbol.
        tone: The class of its chip.
        colour: The class of its symbol where it stands alone.
    """

    title: str
    icon: str
    tone: str
    colour: str = ""


STATES: Final[dict[State, Word]] = {
    "app_error": Word("App needs fixing", "broken", "st-bad", "c-bad"),
    "needs_reauth": Word("Needs re-authorization", "broken", "st-bad", "c-bad"),
    "refresh_failing": Word("Refresh failing", "retry", "st-retry", "c-retry"),
    "expires_soon": Word("Expires soon", "clock", "st-warn", "c-warn"),
    "connected": Word("Connected", "ok", "st-ok", "c-ok"),
    "pending": Word("Never connected", "ring", "st-none"),
    "disconnected": Word("Disconnected", "off", "st-none"),
}

NOTHING: Final = "\u2013"
"""A dash, where there is nothing to say."""
OWN: Final = "your program\u2019s own"
"""Whose a connection without owner is."""
