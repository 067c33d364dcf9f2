"""Connect links: a page of ours where one account holder connects one account, once.

A link is a document; of its token the store has a hash alone.  Its id sorts the newest first.  Opening it uses up
nothing; leaving for the provider binds it to that browser; a connection uses it up.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from valetkey.engine.places import known_params
from valetkey.engine.trouble import exchange_hint
from valetkey.engine.world import World
from valetkey.errors import ConfigurationError
from valetkey.model.asked_params import check_given
from valetkey.model.connections import ConnectionKey, Document, Event
from valetkey.model.credentials import EMPTY
from valetkey.model.links import Link, NewLink, Outcome, State
from valetkey.model.paging import each_document
from valetkey.values import Secret

KIND: Final = "connect_link"
CURRENT: Final = "connect_link_of"
"""The kind of the documents that name the open link of a key."""
KEPT: Final = 30 * 86400.0
"""Seconds that a link can be looked at after its end."""
SHORTEST: Final = 60.0
LONGEST: Final = 30 * 86400.0
MOMENTS: Final = 1 << 48
MOMENT_LENGTH: Final = 12
_ID: Final = re.compile(r"[0-9a-f]{24}")
_TRIES: Final = 20


def create_link(
    world: World,
    key: ConnectionKey,
    *,
    scopes: Sequence[str] = (),
    only: bool = False,
    return_to: str = "",
    expires_in: float = 1800.0,
    created_by: str = "",
    confirm: bool = False,
    made_with: str = "",
    params: Mapping[str, str] = EMPTY,
    by_program: bool = False,
) -> NewLink:
    """Make a link, and withdraw the open one of the same key: whoever lost theirs gets a new one, and no second.

    `params` are the connection's own; `by_program` says that the program itself gives them, who may name a host too.

    Raises:
        ConfigurationError: `expires_in` is out of range (``expiry_invalid``); nobody signs in for that credential; a
            param may not stand there (``param_invalid``), or only the program may say it (``param_missing``).
        StoreUnavailable: The store does not answer.
    """
    credential = world.credential(key.credential)
    if credential.grant != "authorization_code":
        msg = f"credential {credential.name!r} is an app's own: nobody signs in for it"
        use = f"just use it: valetkey token {credential.name}"
        hint = exchange_hint(credential) if credential.grant == "token_exchange" else use
        raise ConfigurationError(msg, code="consent_not_needed", hint=hint)
    if not SHORTEST <= expires_in <= LONGEST:
        msg = f"expires_in={expires_in!r} is out of range"
        raise ConfigurationError(msg, code="expiry_invalid", hint="use 60 seconds to 30 days, such as expires_in=1800")
    check_given(credential, params, known_params(world, credential, key), by_program=by_program)
    now = world.clock.now()
    secret = secrets.token_urlsafe(24)
    link = Link(
        id=f"{MOMENTS - int(now * 1000):0{MOMENT_LENGTH}x}{secrets.token_hex(6)}",
        key=key,
        state="not_opened",
        scopes=tuple(scopes),
        only=only,
        return_to=return_to,
        created_at=now,
        created_by=created_by or world.actor,
        ends_at=now + expires_in,
        confirm=confirm,
        made_with=made_with,
        params=dict(params),
    )
    token = Secret(link.id + secret)
    stored = _put(world, replace(link, token=_hash(token)), expect=0)
    assert stored is not None  # noqa: S101 - its id is random
    _supersede(world, stored)
    _tell(world, "link_created", stored)
    return NewLink(stored, token)


def link_of_token(world: World, token: str) -> Link | None:
    """Return the link of a token, whatever its state; None where there is none."""
    found = find_link(world, token[:_ID_LENGTH]) if len(token) > _ID_LENGTH else None
    if found is None or not hmac.compare_digest(found.token, _hash(Secret(token))):
        return None
    return found


_ID_LENGTH: Final = 24


def find_link(world: World, link_id: str) -> Link | None:
    """Return the link with that id."""
    document = world.store.get_document(KIND, link_id) if link_id else None
    return None if document is None else _link(document, world.clock.now())


def open_link_of(world: World, key: ConnectionKey) -> Link | None:
    """Return the link by which that connection can be connected, where one is open."""
    pointer = world.store.get_document(CURRENT, _key_id(key))
    found = find_link(world, str(pointer.body["link"])) if pointer else None
    return found if found is not None and found.is_open else None


def is_link_id(text: str) -> bool:
    """Whether a text begins as the id of a link does."""
    return _ID.match(text) is not None


# -- what becomes of it ------------------------------------------------------------------------------------------------


def note_opened(world: World, link: Link) -> Link:
    """Remember that somebody looked at it, for the first time."""
    if link.state != "not_opened":
        return link
    return _changed(world, link.id, lambda now: replace(now, state="opened", opened_at=world.clock.now())) or link


def bind_link(world: World, link_id: str, browser: Secret) -> Link | None:
    """Let this browser, and no other, go on with it; None where it is another's, or not open any more."""

    def bound(link: Link) -> Link:
        return replace(link, browser=_hash(browser), opened_at=link.opened_at or world.clock.now())

    return _changed(world, link_id, bound, only=lambda link: link.is_open and link.browser in {"", _hash(browser)})


def is_bound_to(link: Link, browser: Secret | None) -> bool:
    """Whether this is the browser that the link is bound to."""
    return browser is not None and bool(link.browser) and hmac.compare_digest(link.browser, _hash(browser))


def note_left(world: World, link_id: str, answers: Mapping[str, str] = EMPTY) -> Link | None:
    """Remember that the person left for the provider, and what they said before."""
    left: dict[str, Any] = {"state": "at_provider", "left_at": world.clock.now(), "outcome": "", "request_id": ""}
    left["answers"] = dict(answers)
    return _changed(world, link_id, lambda link: replace(link, **left), only=lambda link: link.is_open)


def note_to_confirm(world: World, link_id: str, held_id: str, until: float) -> Link | None:
    """Remember that the sign-in waits for the application's word."""
    waits = _changed(
        world,
        link_id,
        lambda link: replace(link, state="to_confirm", outcome="", request_id="", held=held_id, held_until=until),
        only=lambda link: link.state not in {"used", "withdrawn"},
    )
    if waits is not None:
        _tell(world, "link_to_confirm", waits)
    return waits


def note_declined(world: World, link_id: str) -> Link | None:
    """Remember that the person would rather not."""
    declined = _changed(
        world,
        link_id,
        lambda link: replace(link, state="declined", outcome="declined"),
        only=lambda link: link.is_open,
    )
    if declined is not None:
        _tell(world, "link_declined", declined)
    return declined


def note_failed(
    world: World, link_id: str, outcome: Outcome, request_id: str = "", *, connection_id: str = ""
) -> Link | None:
    """Remember that a try came to nothing, or to less than was asked for; the link stays open until its end."""
    state: State = "declined" if outcome == "denied" else "withdrawn" if outcome == "wrong_user" else "opened"
    return _changed(
        world,
        link_id,
        lambda link: replace(
            link,
            state=state,
            outcome=outcome,
            request_id=request_id,
            connection_id=connection_id or link.connection_id,
            ended_at=world.clock.now() if state == "withdrawn" else None,
        ),
        only=lambda link: link.is_open,
    )


def note_used(world: World, link_id: str, connection_id: str, outcome: Outcome = "connected") -> Link | None:
    """Use it up: it led to a connection."""
    used: dict[str, Any] = {"state": "used", "ended_at": world.clock.now(), "outcome": outcome}
    used |= {"connection_id": connection_id, "request_id": ""}
    done = _changed(
        world, link_id, lambda link: replace(link, **used), only=lambda link: link.state not in {"used", "withdrawn"}
    )
    if done is not None:
        _tell(world, "link_used", done)
    return done


def withdraw_link(world: World, link_id: str) -> Link | None:
    """End it; None where it had ended already."""
    gone = _changed(
        world,
        link_id,
        lambda link: replace(link, state="withdrawn", ended_at=world.clock.now()),
        only=lambda link: link.is_open,
    )
    if gone is not None:
        _tell(world, "link_withdrawn", gone)
    return gone


def drop_links(world: World, wanted: Callable[[ConnectionKey], bool]) -> int:
    """Erase the links of all keys that `wanted` says; returns how many."""
    doomed = [link for link in every_link(world) if wanted(link.key)]
    for place in {_key_id(link.key) for link in doomed}:
        world.store.delete_document(CURRENT, place)
    return sum(world.store.delete_document(KIND, link.id) for link in doomed)


# -- inside ------------------------------------------------------------------------------------------------------------


def _supersede(world: World, link: Link) -> None:
    """Name this link as the one of its key, and withdraw the one that was."""
    place = _key_id(link.key)
    for _ in range(_TRIES):
        known = world.store.get_document(CURRENT, place)
        pointer = Document(kind=CURRENT, id=place, body={"link": link.id}, expires_at=link.ends_at)
        if world.store.put_document(pointer, expect=known.version if known else 0) is None:
            continue
        if known is not None:
            withdraw_link(world, str(known.body["link"]))
        return


def _changed(
    world: World, link_id: str, change: Callable[[Link], Link], *, only: Callable[[Link], bool] = lambda _: True
) -> Link | None:
    """Change a link as it is now, by compare-and-swap; None where it is gone, or `only` says no."""
    for _ in range(_TRIES):
        link = find_link(world, link_id)
        if link is None or not only(link):
            return None
        stored = _put(world, change(link), expect=link.version)
        if stored is not None:
            return stored
    return None


def _put(world: World, link: Link, *, expect: int) -> Link | None:
    stored = world.store.put_document(_document(link), expect=expect)
    return None if stored is None else _link(stored, world.clock.now())


def _document(link: Link) -> Document:
    key = link.key
    body = {
        "env": key.env,
        "credential": key.credential,
        "owner": key.owner,
        "account": key.account,
        "scopes": list(link.scopes),
        "params": dict(link.params),
        "answers": dict(link.answers),
        **{name: getattr(link, name) for name in _PLAIN},
    }
    return Document(kind=KIND, id=link.id, body=body, expires_at=link.ends_at + KEPT)


_PLAIN: Final = (
    *("state", "only", "return_to", "created_at", "created_by", "ends_at", "opened_at", "left_at", "ended_at"),
    *("outcome", "request_id", "connection_id", "browser", "token", "confirm", "made_with", "held", "held_until"),
)


def _link(document: Document, now: float) -> Link:
    body: Mapping[str, Any] = document.body
    link = Link(
        id=document.id,
        key=ConnectionKey(body["env"], body["credential"], body["owner"], body["account"]),
        scopes=tuple(body["scopes"]),
        params=body.get("params", EMPTY),
        answers=body.get("answers", EMPTY),
        version=document.version,
        **{name: body[name] for name in _PLAIN if name in body},
    )
    if link.state == "to_confirm":
        if now < (link.held_until or 0.0):
            return link
        link = replace(link, state="opened", outcome="unconfirmed")
    return replace(link, state="expired") if link.is_open and now >= link.ends_at else link


def every_link(world: World, after: str = "") -> Iterator[Link]:
    """Yield the links of all environments after that id, the newest first."""
    now = world.clock.now()
    return (_link(document, now) for document in each_document(world.store, KIND, after=after))


def _key_id(key: ConnectionKey) -> str:
    parts = (key.env, key.credential, "" if key.owner is None else f"o{key.owner}", key.account)
    return hashlib.sha256("".join(f"{len(part)}:{part}" for part in parts).encode("utf-8", "surrogatepass")).hexdigest()


def _hash(secret: Secret) -> str:
    return hashlib.sha256(b"valetkey:link:" + secret.reveal().encode("utf-8", "surrogatepass")).hexdigest()


def _tell(world: World, kind: str, link: Link) -> None:
    key = link.key
    world.store.append_event(
        Event(
            kind=kind,
            at=world.clock.now(),
            env=key.env,
            connection_id=link.connection_id,
            credential=key.credential,
            owner=key.owner,
            account=key.account,
            actor=world.actor,
            detail={"link": link.id},
        )
    )
