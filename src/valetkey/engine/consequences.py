"""What a disconnect or a forgetting would do, worked out without doing it: page, command and API print the same list.

It says what is known beforehand.  What the provider answers in the end stands in `Disconnected`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal, get_args

from valetkey.engine.api_keys import ApiKeys
from valetkey.engine.apps import app_for, client_changed
from valetkey.engine.beside import staying
from valetkey.engine.calls import calls_for_all
from valetkey.engine.discovery import peek
from valetkey.engine.flows import count_flows
from valetkey.engine.holding import count_held
from valetkey.engine.leaving import in_order
from valetkey.engine.links import open_link_of
from valetkey.engine.narrowing import tokens_of
from valetkey.engine.revoking import moment
from valetkey.engine.siblings import siblings
from valetkey.engine.world import World
from valetkey.errors import ConfigurationError
from valetkey.model.connections import ConnectionKey, Query, Record
from valetkey.model.credentials import OAuth2Credential, Reach
from valetkey.model.paging import each_record
from valetkey.model.placing import placed

Place = Literal["provider", "here", "others", "lives", "stays"]
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
class KeyUse:
    """An API key that would lose a connection.

    Attributes:
        name: What people call it.
        prefix: What is shown of it.
        calls: How often it called for this connection in the last 24 hours.
    """

    name: str
    prefix: str
    calls: int


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
        api_keys: Which API keys lose it, the busiest first.
        open_links: Connect links by which it could be connected again.
        sign_ins: Sign-ins under way, and those that wait for a decision.
        refreshing: Whether a refresh is under way.
        lines: All of it in sentences.
    """

    connection: str
    revokes: bool
    reach: Reach | Literal[""]
    others: tuple[str, ...]
    lives_until: float | None
    unknown_end: bool
    api_keys: tuple[KeyUse, ...]
    open_links: int
    sign_ins: int
    refreshing: bool
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
            "api_keys": [asdict(one) for one in self.api_keys],
            "open_links": self.open_links,
            "sign_ins": self.sign_ins,
            "refreshing": self.refreshing,
            "lines": [{"place": line.place, "text": line.text, "more": line.more} for line in self.lines],
        }


def of_disconnect(
    world: World,
    record: Record,
    *,
    discreet: bool = False,
    forgetting: bool = False,
    gone: Collection[str] = (),
) -> Consequences:
    """Work out what disconnecting a connection would do.  Nothing is changed, and no provider asked.

    `discreet` names no other connection and no API key: for those who do not see all of them.  `forgetting` is for an
    owner who is to be forgotten: then links end too, and nothing stays.  `gone` has the ids of those that leave before
    it.
    """
    credential = _declared(world, record.key)
    name = (credential.display_name if credential else "") or record.key.credential
    obstacle, others = _obstacle(world, record, credential, name, gone, discreet=discreet)
    live = record.sealed is not None
    revokes = live and not obstacle
    end = _last_end(world, credential, record)
    lives = live and (end is None or end > world.clock.now())
    keys = () if discreet or not live else _keys(world, record)
    link = open_link_of(world, record.key)
    sign_ins = count_flows(world, lambda key: key == record.key) + count_held(world, record.key)
    refreshing = record.claim is not None and not record.claim.expired
    lines = [
        *_at_provider(name, credential, obstacle, live=live),
        *_here(live=live),
        *([_LOST] if live and not forgetting else []),
        *([losing(keys)] if keys else []),
        *([_sign_ins(sign_ins)] if sign_ins else []),
        *([_link(link.ends_at, forgetting=forgetting)] if link else []),
        *([_handed_out(world, name, end, revokes=revokes)] if lives else []),
        *([_REFRESHING] if refreshing else []),
        *_beside(() if forgetting or discreet or not live else staying(world, credential, record.key)),
        *([] if forgetting else [_STAYS]),
    ]
    return Consequences(
        connection=str(record.key),
        revokes=revokes,
        reach=credential.revocation_reach if credential and revokes else "",
        others=() if discreet else tuple(str(other.key) for other in others),
        lives_until=end if lives else None,
        unknown_end=lives and end is None,
        api_keys=keys,
        open_links=1 if link else 0,
        sign_ins=sign_ins,
        refreshing=refreshing,
        lines=tuple(sorted(lines, key=lambda line: get_args(Place).index(line.place))),
    )


def of_forget(world: World, owner: str, env: str, *, discreet: bool = False) -> tuple[Consequences, ...]:
    """Work out what forgetting an owner would do to each of its connections, in the order in which they leave.

    `discreet` is as in `of_disconnect`.
    """
    gone: set[str] = set()
    found: list[Consequences] = []
    for record in in_order(world, connections_of(world, owner, env)):
        gone.add(record.id)
        found.append(of_disconnect(world, record, discreet=discreet, forgetting=True, gone=gone))
    return tuple(found)


def connections_of(world: World, owner: str, env: str) -> Iterator[Record]:
    """Return all connections of an owner."""
    return each_record(world.store, Query(env=env, owner=owner))


def _declared(world: World, key: ConnectionKey) -> OAuth2Credential | None:
    try:
        return peek(world, world.credential(key.credential))
    except ConfigurationError:
        return None


def _last_end(world: World, credential: OAuth2Credential | None, record: Record) -> float | None:
    """Return when the last access token of a grant ends, those of resources among them; None: that is not known."""
    tokens = tokens_of(world, credential, record) if credential else ()
    ends = [record.expires_at, *(token.expires_at for token in tokens)]
    known = [end for end in ends if end is not None]
    return max(known) if len(known) == len(ends) else None


def _obstacle(
    world: World,
    record: Record,
    credential: OAuth2Credential | None,
    name: str,
    gone: Collection[str],
    *,
    discreet: bool,
) -> tuple[str, tuple[Record, ...]]:
    """Return why nothing would be revoked, empty where it would; and which connections stand in the way."""
    if credential is None:
        return f"{name} is not declared any more, so it cannot be told", ()
    if (trouble := obstacle_of(world, record, credential, name)) or credential.revocation_reach != "user":
        return trouble, ()
    beside = siblings(world, record, record.identity)
    found = {other.id: other for other in beside if other.id != record.id and other.id not in gone}
    names = "other connections" if discreet else ", ".join(str(other.key) for other in found.values())
    return (f"it would end {names} too" if found else ""), tuple(found.values())


def obstacle_of(world: World, record: Record, credential: OAuth2Credential, name: str) -> str:
    """Return why the provider would not be told, whatever other connections there are; empty where it would."""
    credential = placed(credential, record.params)
    if not credential.revocation_url:
        return f"{name} has no address for it"
    try:
        app = app_for(world, record.key.env, credential, record.client_id)
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
    else:
        yield Consequence(place="here", text="There is no token here to erase", serious=False)


_LOST: Final = Consequence(
    place="others",
    text="Every program that uses this connection loses it",
    more="From now on its calls fail with NotConnected.",
)
_REFRESHING: Final = Consequence(
    place="lives",
    text="A refresh is under way",
    more="The token that it brings is revoked when it arrives, by the process that gets it.",
)
_STAYS: Final = Consequence(
    place="stays", text="Id, owner, account and history stay", more="without tokens.", serious=False
)


def _beside(names: Sequence[str]) -> Iterator[Consequence]:
    for name in names:
        more = "It came with the same sign-in and has a token of its own: disconnect it too if that is meant."
        yield Consequence(place="stays", text=f"{name} stays connected", more=more)


def _keys(world: World, record: Record) -> tuple[KeyUse, ...]:
    """Tell which programs get its tokens over the REST API: by their keys, with their calls."""
    return keys_that_lose(world, record.key.env, [record])


def keys_that_lose(world: World, env: str, records: Sequence[Record]) -> tuple[KeyUse, ...]:
    """Tell which programs get tokens of any of these over the REST API: by their keys, busiest first."""
    now, places = world.clock.now(), {(record.key.credential, record.key.owner) for record in records}
    calls = calls_for_all(world.store, env, [record.id for record in records], now)
    losing = [
        KeyUse(name=one.name, prefix=one.prefix, calls=calls[one.id])
        for one in ApiKeys(world.store, world.clock, env).list()
        if one.may("read_secret") and not one.ended(now) and any(one.sees(*place) for place in places)
    ]
    return tuple(sorted(losing, key=lambda one: -one.calls))


def losing(keys: Sequence[KeyUse], what: str = "its tokens") -> Consequence:
    """Return in a sentence that these keys lose `what`."""
    named = some_of([f"{one.name} ({said_calls(one.calls)})" for one in keys])
    whose = "1 API key loses" if len(keys) == 1 else f"{len(keys)} API keys lose"
    return Consequence(place="others", text=f"{whose} {what}", more=f"Calls of the last 24 h: {named}.")


def some_of(names: Sequence[str]) -> str:
    """Return a few names, and how many there are beside."""
    more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    return f"{', '.join(names[:_NAMED])}{more}"


def said_calls(calls: int) -> str:
    """Return a number of calls in words."""
    return "no calls" if not calls else "1 call" if calls == 1 else f"{calls:,} calls"


def _sign_ins(count: int) -> Consequence:
    text = "1 sign-in under way cannot finish" if count == 1 else f"{count} sign-ins under way cannot finish"
    return Consequence(place="others", text=text, more="What waits for a decision is given back.")


def _link(ends_at: float, *, forgetting: bool) -> Consequence:
    if forgetting:
        return Consequence(place="others", text="1 open connect link is erased", more="It leads nowhere any more.")
    text = f"1 connect link stays open until {moment(ends_at)}"
    return Consequence(place="stays", text=text, more="Whoever has it can connect again, unless it is withdrawn.")


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
