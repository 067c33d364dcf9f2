"""What an account holder is asked for, in plain words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from valetkey.server.views.providers import Provider

_ICONS: Final = (
    ("user", ("openid", "profile", "user", "email", "identity", "me")),
    ("cal", ("calendar", "event")),
    ("folder", ("drive", "file", "document", "sheet", "repo")),
    ("mail", ("mail", "message", "chat", "channel")),
)


@dataclass(frozen=True, slots=True)
class Asked:
    """One thing that is asked for, in plain words, and its symbol."""

    icon: str
    text: str


def asked(scopes: tuple[str, ...], provider: Provider, other: str) -> tuple[Asked, ...]:
    """Return what is asked for; `other` stands once for all of which nobody knows the meaning."""
    known = dict.fromkeys(
        Asked(icon(scope), provider.meanings[scope]) for scope in scopes if scope in provider.meanings
    )
    rest = [Asked("key", other)] if not scopes or any(scope not in provider.meanings for scope in scopes) else []
    return (*known, *rest)


def icon(scope: str) -> str:
    """Return the symbol for a scope, by its name."""
    name = scope.lower()
    return next((symbol for symbol, words in _ICONS if any(word in name for word in words)), "key")
