"""What a disconnect or a forgetting would do, worked out without doing it: page, command and API print the same list.

It says what is known beforehand.  What the provider answers in the end stands in `Disconnected`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from valetkey.engine.api_keys import ApiKeys
from valetkey.engine.apps import client_changed
from valetkey.engine.revoking import siblings
from valetkey.engine.world import World
from valetkey.errors import ConfigurationError
from valetkey.model.connections import ConnectionKey, Query, Record
from valetkey.model.credentials import OAuth2Credential, Reach

Place = Literal["provider", "here", "others", "lives", "stays"]
_PAGE = 200
_NAMED = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Consequence:
    """One consequence.

    Attributes:
        place: Where: at the ``provider``, ``here``, for ``others``; what ``lives`` on, what ``stays``.
        text: A sentence.
        more: What belongs to it.
        serious: Whether something is lost, or lives on that should not.
    """

    place: Place
    text: str
    more: str = ""
    serious: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Consequences:
    """What a disconnect would do.

    Attributes:
        connection: Which connection, as in messages.
        revokes: Whether the provider would be told.
        reach: What it ends there, where it is told; empty where it is not.
        others: Connections that a revocation would end too.  While there are any, nothing is revoked.
        lives_until: Unix seconds at which an access token that was handed out ends; None: not known, or none lives.
        unknown_end: Whether an access token lives whose end is not known.
        lines: All of it in sentences.
    """

    connection: str
    revokes: bool
    reach: Reach | Literal[""]
    others: tuple[str, ...]
    lives_until: float | None
    unknown_end: bool
    lines: tuple[Consequence, ...]

    def to_object(self) -> dict[str, Any]:
        """Return it as JSON values, the same for command and API."""
        return {
            "connection": self.connection,
            "revokes": self.revokes,
            "reach": self.reach or None,
            "others": list(self.others),
            "lives_until": self.lives_until,
            "unknown_end": self.unknown_end,
            "lines": [{"place": line.place, "text": line.text, "more": line.more} for line in self.lines],
        }


def of_disconnect(world: World, record: Record) -> Consequences:
    """Work out what disconnecting a connection would do.  Nothing is changed, and no provider asked."""
    credential = _declared(world, record.key)
    name = (credential.display_name if credential else "") or record.key.credential
    obstacle, others = _obstacle(world, record, credential, name)
    live = record.sealed is not None
    revokes = live and not obstacle
    end = record.expires_at
    lives = live and (end is None or end > world.clock.now())
    lines = [
        *_at_provider(name, credential, obstacle, live=live),
        *_here(live=live),
        *(_keys(world, record) if live else ()),
        *([_handed_out(world, name, end, revokes=revokes)] if lives else []),
        Consequence(place="stays", text="Id, owner, account and history stay", more="without tokens.", serious=False),
    ]
    return Consequences(
        connection=str(record.key),
        revokes=revokes,
        reach=credential.revocation_reach if credential and revokes else "",
        others=tuple(str(other.key) for other in others),
        lives_until=end if lives else None,
        unknown_end=lives and end is None,
        lines=tuple(lines),
    )


def of_forget(world: World, owner: str, env: str) -> tuple[Consequences, ...]:
    """Work out what forgetting an owner would do to each of its connections."""
    return tuple(of_disconnect(world, record) for record in connections_of(world, owner, env))


def connections_of(world: World, owner: str, env: str) -> Iterator[Record]:
    """Yield all connections of an owner."""
    cursor: str | None = None
    while True:
        page = world.store.list(Query(env=env, owner=owner), cursor=cursor, limit=_PAGE)
        yield from page.items
        cursor = page.cursor
        if cursor is None:
            return


def _declared(world: World, key: ConnectionKey) -> OAuth2Credential | None:
    try:
        return world.credential(key.credential)
    except ConfigurationError:
        return None


def _obstacle(
    world: World, record: Record, credential: OAuth2Credential | None, name: str
) -> tuple[str, tuple[Record, ...]]:
    """Return why nothing would be revoked, empty where it would; and which connections stand in the way."""
    if credential is None:
        return f"{name} is not declared any more, so it cannot be told", ()
    if (trouble := obstacle_of(world, record, credential, name)) or credential.revocation_reach != "user":
        return trouble, ()
    found = {other.id: other for other in siblings(world, record, record.identity) if other.id != record.id}
    names = ", ".join(str(other.key) for other in found.values())
    return (f"it would end {names} too" if found else ""), tuple(found.values())


def obstacle_of(world: World, record: Record, credential: OAuth2Credential, name: str) -> str:
    """Return why the provider would not be told, whatever other connections there are; empty where it would."""
    if not credential.revocation_url:
        return f"{name} has no address for it"
    try:
        app = world.app(credential)
    except ConfigurationError:
        return f"the app credentials of {credential.name!r} cannot be read, so {name} would not listen"
    difference = client_changed(credential, record.client_id, record.issuer, record.token_origin, app.client_id)
    return f"{credential.name!r} now has {difference} than the one that the token was given to" if difference else ""


_REACH = {
    "token": "It ends the tokens of this connection, and nothing else.",
    "grant": "It ends what this app may do with this account through this connection.",
    "user": "It ends everything that this app may do with this account.",
}


def _at_provider(name: str, credential: OAuth2Credential | None, obstacle: str, *, live: bool) -> Iterator[Consequence]:
    if not live:
        yield Consequence(place="provider", text=f"{name} is not told: there is no token to withdraw", serious=False)
    elif obstacle:
        more = f"{obstacle[:1].upper()}{obstacle[1:]}. The account holder can withdraw the access there."
        yield Consequence(place="provider", text=f"Nothing is withdrawn at {name}", more=more)
    else:
        reach = credential.revocation_reach if credential else "grant"
        yield Consequence(place="provider", text=f"{name} is told to withdraw the access", more=_REACH[reach])


def _here(*, live: bool) -> Iterator[Consequence]:
    if live:
        yield Consequence(
            place="here",
            text="The tokens are erased here at once",
            more="This cannot be undone. To connect again, the account holder must allow it again.",
        )
        yield Consequence(
            place="others",
            text="Every program that uses this connection loses it",
            more="From now on its calls fail with NotConnected. A sign-in under way cannot finish.",
        )
    else:
        yield Consequence(place="here", text="A sign-in under way cannot finish", serious=False)


def _keys(world: World, record: Record) -> Iterator[Consequence]:
    """Tell which programs get its tokens over the REST API: by their keys."""
    return losing_keys(world, record.key.env, [record], "its tokens")


def losing_keys(world: World, env: str, records: Sequence[Record], what: str) -> Iterator[Consequence]:
    """Tell which programs get tokens of any of these over the REST API: by their keys."""
    now, places = world.clock.now(), {(record.key.credential, record.key.owner) for record in records}
    names = [
        one.name
        for one in ApiKeys(world.store, world.clock, env).list()
        if one.may("read_secret") and not one.ended(now) and any(one.sees(*place) for place in places)
    ]
    if names:
        whose = "1 API key loses" if len(names) == 1 else f"{len(names)} API keys lose"
        yield Consequence(place="others", text=f"{whose} {what}", more=f"{some_of(names)}.")


def some_of(names: Sequence[str]) -> str:
    """Return a few names, and how many there are beside."""
    more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    return f"{', '.join(names[:_NAMED])}{more}"


def _handed_out(world: World, name: str, end: float | None, *, revokes: bool) -> Consequence:
    left = "for a time that is not known" if end is None else f"for up to {length(end - world.clock.now())} more"
    more = f"{name} may end it at once; not every service checks at each call." if revokes else "Nobody ends it sooner."
    return Consequence(place="lives", text=f"An access token that was handed out may work {left}", more=more)


def length(seconds: float) -> str:
    """Return a span of time in words: days from two days on, and so on."""
    for unit, name in ((86400.0, "days"), (3600.0, "h"), (60.0, "min")):
        if seconds >= 2 * unit or (unit == 60.0 and seconds >= unit):  # noqa: PLR2004
            return f"{int(seconds // unit)} {name}"
    return f"{int(seconds)} s"
