"""A row of the list of connections."""

from __future__ import annotations

from dataclasses import dataclass

from valetkey.model.connections import Status
from valetkey.model.credentials import OAuth2Credential
from valetkey.server.times import Moment, ago, until
from valetkey.server.words import NOTHING, OWN, STATES, Word


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One connection in the list.

    Attributes:
        id: The connection's id.
        title: Who it is at the provider; empty where nobody knows.
        place: Provider, owner and account.
        word: How its state is shown.
        why: Why it is so, where it is not well.
        expires: When the access token ends.
        scopes: How many of the requested scopes were granted.
        short: Whether some are missing.
        used: When it was used last.
        refreshed: When it was refreshed last.
    """

    id: str
    title: str
    place: str
    word: Word
    why: str
    expires: Moment
    scopes: str
    short: bool
    used: Moment
    refreshed: Moment


def row(status: Status, credential: OAuth2Credential | None, now: float) -> Row:
    """Return how a connection is shown in the list."""
    return Row(
        id=status.connection.id,
        title=status.identity.title if status.identity else "",
        place=place(status, credential),
        word=STATES[status.state],
        why=status.reason.replace("_", " "),
        expires=until(status.expires_at, now, never="does not expire" if status.granted else NOTHING),
        scopes=_scopes(status),
        short=bool(status.missing),
        used=ago(status.last_used_at, now),
        refreshed=ago(status.last_refresh_at, now),
    )


def _scopes(status: Status) -> str:
    asked = len(status.requested)
    return f"{asked - len(status.missing)} of {asked}" if asked else NOTHING


def place(status: Status, credential: OAuth2Credential | None) -> str:
    """Return provider, owner and account, as they stand under the title."""
    connection = status.connection
    name = (credential.display_name if credential else "") or connection.credential
    whose = f"owner {connection.owner}" if connection.owner is not None else OWN
    return " · ".join([name, whose, *([f"account {connection.account}"] if connection.account else [])])
