"""API keys as the settings show them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from valetkey.engine.api_keys import RATE, SCOPES, ApiKey, Scope
from valetkey.engine.consequences import said_calls
from valetkey.errors import clean
from valetkey.server.times import Moment, ago, until

WARNED: Final[frozenset[Scope]] = frozenset({"read_secret"})
"""Scopes by which tokens leave."""
_DAY: Final = 86400.0
LIVES: Final[dict[str, tuple[str, float | None]]] = {
    "90": ("90 days", 90 * _DAY),
    "30": ("30 days", 30 * _DAY),
    "365": ("1 year", 365 * _DAY),
    "never": ("Never", None),
}
"""After what a new key ends: value of the form's field -> (its words, seconds)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One key in the list.

    Attributes:
        id: For the form that revokes it.
        name: What people call it.
        prefix: What is shown of it.
        scopes: What it may do; True: tokens leave by that.
        owners: To whose connections it is limited.
        limits: To what else.
        used: When it was used last.
        calls: Its calls for tokens in the last 24 hours, in words; empty for none.
        ends: When it ends.
        over: Whether it has ended.
    """

    id: str
    name: str
    prefix: str
    scopes: tuple[tuple[str, bool], ...]
    owners: str
    limits: str
    used: Moment
    calls: str
    ends: Moment
    over: bool


def row(key: ApiKey, now: float, calls: int = 0) -> Row:
    """Return how a key is shown in the list."""
    return Row(
        id=key.id,
        name=key.name,
        prefix=f"{key.prefix}\N{HORIZONTAL ELLIPSIS}",
        scopes=tuple((scope, scope in WARNED) for scope in key.scopes),
        owners=_owners(key),
        limits=", ".join(_limits(key)),
        used=ago(key.last_used_at, now),
        calls=f"{said_calls(calls)} in 24 h" if calls else "",
        ends=until(key.ends_at, now, never="never"),
        over=key.ended(now),
    )


def _owners(key: ApiKey) -> str:
    if not key.owners:
        return "all owners"
    return f"{'owner' if len(key.owners) == 1 else 'owners'} {_some(tuple(map(clean, key.owners)))}"


def _limits(key: ApiKey) -> list[str]:
    parts = [_some(key.credentials)] if key.credentials else []
    parts += [f"from {_some(key.networks)}"] if key.networks else []
    parts += [] if key.identities else ["no identities"]
    return [*parts, *([] if key.rate == RATE else [f"{key.rate} calls a minute"])]


def _some(names: tuple[str, ...]) -> str:
    """Name the first three; a hundred would fill the page."""
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""  # noqa: PLR2004 - said above
    return ", ".join(names[:3]) + more


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A key that was just made.

    Attributes:
        name: What people call it.
        scopes: What it may do; True: tokens leave by that.
        owners: Whose connections it sees.
        credentials: Under which credentials.
        networks: From where it is taken.
        identities: Whether it sees identities.
        rate: Calls a minute.
        ends: When it ends.
    """

    name: str
    scopes: tuple[tuple[str, bool], ...]
    owners: str
    credentials: str
    networks: str
    identities: bool
    rate: int
    ends: Moment


def made(key: ApiKey, now: float) -> Made:
    """Return how a new key is shown."""
    return Made(
        name=key.name,
        scopes=tuple((scope, scope in WARNED) for scope in key.scopes),
        owners=", ".join(map(clean, key.owners)) or "all",
        credentials=", ".join(key.credentials) or "all",
        networks=", ".join(key.networks) or "anywhere",
        identities=key.identities,
        rate=key.rate,
        ends=until(key.ends_at, now, never="never"),
    )


def choices(chosen: tuple[str, ...]) -> list[tuple[str, str, bool, bool]]:
    """Return the scopes of the form: name, words, whether ticked, whether tokens leave by it."""
    return [(scope, words, scope in chosen, scope in WARNED) for scope, words in SCOPES.items()]
