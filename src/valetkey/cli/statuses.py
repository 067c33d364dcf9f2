"""What the commands that show connections share: a table of them, and whose are meant."""

from __future__ import annotations

from typing import Final

from valetkey.cli.exits import Stop
from valetkey.cli.output import Column, Table, ahead
from valetkey.cli.session import Session
from valetkey.cli.terminal import Kind
from valetkey.errors import ConfigurationError, clean
from valetkey.model.connections import State, Status
from valetkey.model.credentials import OAuth2Credential

_COLOURS: Final[dict[State, Kind]] = {
    "pending": "dim",
    "connected": "good",
    "expires_soon": "warn",
    "refresh_failing": "warn",
    "needs_reauth": "bad",
    "app_error": "bad",
    "disconnected": "dim",
}


class StatusTable:
    """Connections, a row each: whose they are and how they are, and `more` columns behind these."""

    def __init__(self, session: Session, *more: Column) -> None:
        self._session = session
        self._now = session.core.clock.now()
        self._table = Table(
            (
                Column("CREDENTIAL"),
                Column("OWNER", shrinks=True, optional=True),
                Column("ACCOUNT", shrinks=True, optional=True),
                Column("IDENTITY", shrinks=True),
                Column("STATE"),
                Column("EXPIRES"),
                *more,
            )
        )

    def add(self, one: Status, *more: str, below: str = "", note: str = "") -> None:
        """Add a row, with the cells of the columns behind, and a `note` and the next step `below` it."""
        connection = one.connection
        self._table.add(
            connection.credential,
            clean(connection.owner or ""),
            clean(connection.account),
            clean(one.identity.title) if one.identity else "",
            one.state,
            _expiry(self._session, one, self._now),
            *more,
            colours={4: _COLOURS[one.state]},
            below=below,
            note=note,
        )

    def write(self) -> None:
        """Print it."""
        self._table.write()


def _expiry(session: Session, one: Status, now: float) -> str:
    """Return when the access token ends, in a few words."""
    if one.state not in {"connected", "expires_soon", "refresh_failing", "app_error"} or not one.connection.id:
        return ""
    if one.expires_at is None:
        known = session.known(one.connection.credential).never_expires
        return "never" if known else "unknown"
    if one.expires_at <= now and one.refreshable:
        return "on use"
    return ahead(one.expires_at, now)


def checked_owner(owner: str | None) -> str | None:
    """Return the owner, of whichever credential.

    Raises:
        Stop: It is none, such as an empty one (``owner_invalid``).
    """
    from valetkey.model.wiring import check_owner  # noqa: PLC0415

    try:
        return check_owner(owner, OAuth2Credential(name=""), kept=True)
    except ConfigurationError as error:
        raise Stop(str(error).partition(": ")[2], code=error.code) from None
