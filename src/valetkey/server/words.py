"""What states are called and how they look: the same words on every page."""

from __future__ import annotations

from collections.abc import Iterable
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
ACRONYMS: Final = frozenset({"api", "ats", "cms", "crm", "erp", "hr", "iam", "mcp", "tos", "uri", "url", "id"})
"""Parts of names that are letters and no words."""
_WRITTEN: Final = {"e-commerce": "e-commerce", "e-signature": "e-signatures", "dev-tools": "developer tools"}


def in_words(name: str) -> str:
    """Return the name of a field or category as people write it: ``tos_uri`` is "TOS URI"."""
    words = _WRITTEN.get(name) or " ".join(
        word.upper() if word in ACRONYMS else word for word in name.replace("_", " ").replace("-", " ").split()
    )
    return f"{words[:1].upper()}{words[1:]}"


def topics(categories: Iterable[str]) -> str:
    """Return what a provider is about, in words: ``["crm", "e-commerce"]`` is "CRM, e-commerce"."""
    first, *more = [in_words(name) for name in categories] or [""]
    return ", ".join(
        [first, *(word if word.split()[0].isupper() else f"{word[:1].lower()}{word[1:]}" for word in more)]
    )
