"""An owner's own accounts, in words for people who do not know what a token is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

from valetkey.errors import clean
from valetkey.model.connections import State, Status
from valetkey.model.credentials import OAuth2Credential
from valetkey.server.times import Moment, ago
from valetkey.server.views.providers import Provider, provider

Standing = Literal["connected", "sign_in", "paused", "not"]
STANDINGS: Final[dict[State, Standing]] = {
    "connected": "connected",
    "expires_soon": "connected",
    "needs_reauth": "sign_in",
    "app_error": "paused",
    "refresh_failing": "paused",
    "pending": "not",
    "disconnected": "not",
}
CHIPS: Final[dict[Standing, tuple[str, str]]] = {
    "connected": ("ok", "st-ok"),
    "sign_in": ("broken", "st-bad"),
    "paused": ("retry", "st-retry"),
    "not": ("ring", "st-none"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One connected account.

    Attributes:
        id: The connection's id.
        title: Who it is at the provider; empty where nobody knows.
        label: What the owner calls it.
        standing: How it stands.
        used: When it was used last; None where it was not.
        refreshable: Whether it can be refreshed by hand.
    """

    id: str
    title: str
    label: str
    standing: Standing
    used: Moment | None
    refreshable: bool

    @property
    def icon(self) -> str:
        """The symbol of its state."""
        return CHIPS[self.standing][0]

    @property
    def tone(self) -> str:
        """The class of its state."""
        return CHIPS[self.standing][1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelf:
    """The accounts at one provider; none where nothing is connected there."""

    provider: Provider
    description: str
    accounts: tuple[Account, ...]

    @property
    def connected(self) -> bool:
        """Whether anything is connected here."""
        return bool(self.accounts)


def shelves(credentials: Iterable[OAuth2Credential], statuses: Iterable[Status], now: float) -> tuple[Shelf, ...]:
    """Return an owner's accounts by provider, those with accounts first."""
    found = list(statuses)
    every = [
        Shelf(
            provider=provider(credential),
            description=clean(credential.description, 200),
            accounts=tuple(_account(s, now) for s in found if _belongs(s, credential)),
        )
        for credential in credentials
    ]
    return tuple(sorted(every, key=lambda shelf: (not shelf.connected, shelf.provider.name.lower())))


def _belongs(status: Status, credential: OAuth2Credential) -> bool:
    return status.connection.credential == credential.name and STANDINGS[status.state] != "not"


def _account(status: Status, now: float) -> Account:
    standing = STANDINGS[status.state]
    return Account(
        id=status.connection_id,
        title=clean(status.identity.title, 120) if status.identity else "",
        label=status.connection.account,
        standing=standing,
        used=ago(status.last_used_at, now) if status.last_used_at is not None else None,
        refreshable=status.refreshable and standing == "connected",
    )
