"""The list of connections: its rows, and the strip of states above it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from valetkey.model.connections import Record, State, Status
from valetkey.model.credentials import OAuth2Credential
from valetkey.server.times import Moment, ago, until
from valetkey.server.views.naming import Named, named
from valetkey.server.views.reasons import next_try, why
from valetkey.server.words import NOTHING, STATES, Word

Act = Literal["", "refresh", "retry", "reauthorize", "connect", "fix"]
"""The one thing to do about a connection."""

_ACTS: Final[dict[State, Act]] = {
    "app_error": "fix",
    "needs_reauth": "reauthorize",
    "refresh_failing": "retry",
    "expires_soon": "reauthorize",
    "connected": "refresh",
    "pending": "connect",
    "disconnected": "connect",
}
LIFE: Final = 64
"""How wide the bar of a token's life is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """How much of an access token's life is left, as a bar.

    Attributes:
        left: Its width, up to `LIFE`.
        short: Whether the connection ends with it.
    """

    left: int
    short: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One connection in the list.

    Attributes:
        name: What it is called.
        credential: The name of its credential.
        state: Its state, as programs call it.
        word: How its state is shown.
        why: Why it is so, where it is not well.
        next_try: When it is tried again, where its refresh fails.
        expires: When the access token ends.
        life: How much of its life is left; None where that is not known.
        scopes: How many of the requested scopes were granted.
        short: Whether some are missing.
        used: When it was used last.
        refreshed: When it was refreshed last.
        act: The one thing to do.
        living: Whether it holds a grant that can be refreshed, tested, disconnected.
    """

    name: Named
    credential: str
    state: State
    word: Word
    why: str
    next_try: Moment | None
    expires: Moment
    life: Life | None
    scopes: str
    short: bool
    used: Moment
    refreshed: Moment
    act: Act
    living: bool

    @property
    def id(self) -> str:
        """The connection's id."""
        return self.name.id


def row(status: Status, record: Record, credential: OAuth2Credential | None, now: float) -> Row:
    """Return how a connection is shown in the list."""
    name = named(status.connection, status.identity, credential)
    living = record.sealed is not None
    return Row(
        name=name,
        credential=status.connection.credential,
        state=status.state,
        word=STATES[status.state],
        why=why(status, record, name.provider),
        next_try=next_try(status, record, now),
        expires=expiry(status, now, living=living, lasts=credential is not None and credential.never_expires),
        life=_life(status, record, now),
        scopes=_scopes(status, living=living),
        short=bool(status.missing),
        used=ago(status.last_used_at, now),
        refreshed=ago(status.last_refresh_at, now),
        act=_ACTS[status.state] if status.state != "connected" or status.refreshable else "",
        living=living,
    )


def expiry(status: Status, now: float, *, living: bool, lasts: bool) -> Moment:
    """Return when the access token ends.  One of unknown life is said to last for ever only where the provider's do."""
    if not living:
        return Moment(NOTHING)
    if status.state == "needs_reauth" and (status.expires_at is None or status.expires_at > now):
        return Moment("not used any more")
    if (
        status.expires_at is not None
        and status.expires_at <= now
        and status.state == "connected"
        and status.refreshable
    ):
        return until(status.expires_at, now, never="", over="renewed at next use, ended")
    return until(status.expires_at, now, never="does not expire" if lasts else "no end known")


def _life(status: Status, record: Record, now: float) -> Life | None:
    end, start = status.expires_at, record.obtained_at
    if end is None or start is None or end <= now or end <= start or status.state == "needs_reauth":
        return None
    left = round(LIFE * min((end - now) / (end - start), 1.0))
    return Life(left=max(left, 1), short=status.state == "expires_soon")


def _scopes(status: Status, *, living: bool) -> str:
    asked = len(status.requested)
    return f"{asked - len(status.missing)} of {asked}" if asked and living else NOTHING


# -- the strip ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One of the figures above the list, which is a filter too.

    Attributes:
        wanted: What the filter is called in the address.
        title: Its words.
        word: How its symbol looks.
        n: How many there are.
        more: What that means, in few words.
    """

    wanted: str
    title: str
    word: Word
    n: int
    more: str


def strip(found: Mapping[State, int]) -> tuple[Figure, ...]:
    """Return the figures above the list: trouble first."""
    people, apps = found.get("needs_reauth", 0), found.get("app_error", 0)
    detail = ", ".join([*([f"{people} re-authorize"] if people else []), *([f"{apps} fix app"] if apps else [])])
    notes: tuple[tuple[State, str], ...] = (
        ("refresh_failing", "retrying automatically"),
        ("expires_soon", "need a new sign-in"),
        ("connected", "renewed in time"),
        ("pending", "nobody signed in yet"),
    )
    action = Figure(
        wanted="action",
        title="Needs action",
        word=STATES["needs_reauth"],
        n=people + apps,
        more=detail or "nothing to do",
    )
    rest = (
        Figure(wanted=state, title=STATES[state].title, word=STATES[state], n=n, more=note if n else "none")
        for state, note in notes
        for n in [found.get(state, 0)]
    )
    return (action, *rest)
