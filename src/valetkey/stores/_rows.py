"""Records, documents and events as rows of a database, and back: what the SQLite and the Postgres store share."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import lru_cache
from operator import attrgetter, itemgetter
from typing import Any, Final, cast

from valetkey.model.connections import (
    Claim,
    ConnectionKey,
    Document,
    Event,
    Identity,
    Record,
    Sealed,
    assembled,
)
from valetkey.model.troubles import Group, Trouble
from valetkey.stores._rules import owner_of, search_text, stored_owner

PLAIN: Final[tuple[str, ...]] = (
    "id",
    "incarnation",
    "version",
    "doubt",
    "state",
    "reason",
    "error",
    "error_text",
    "failures",
    "next_try_at",
    "cooldown_until",
    "expires_at",
    "refresh_expires_at",
    "sign_in_due_at",
    "obtained_at",
    "learnt_lifetime",
    "client_id",
    "issuer",
    "token_origin",
    "access_fp",
    "refresh_fp",
    "secret_id",
    "created_at",
    "connected_at",
    "last_refresh_at",
    "last_used_at",
    "due_at",
)
"""The members of a record that are columns as they are."""

_plain_of: Final = attrgetter(*PLAIN)

_NUMBERS: Final = tuple(
    (at, name)
    for at, name in enumerate(PLAIN)
    if name in {"incarnation", "version", "doubt", "failures", "learnt_lifetime", "next_try_at", "cooldown_until"}
    or name.endswith(("_at", "_until"))
)
"""Where in a row numbers are: SQLite lets any column hold anything."""
_numbers_of: Final = itemgetter(*(at for at, _ in _NUMBERS))
_NUMERIC: Final = frozenset({int, float, type(None)})

_KEY: Final = ("env", "credential", "owner", "account")
CLAIM: Final = ("claim_holder", "claim_until", "claim_boot", "claim_spending")
_TEXTS: Final = ("granted", "requested", "identity", "params", "tags")
_DERIVED: Final = ("refreshable", "search", "key_id", "sealed")

_PARTS: Final[Mapping[str, Callable[[Any], dict[str, Any]]]] = {
    "key": lambda key: {
        "env": key.env,
        "credential": key.credential,
        "owner": stored_owner(key.owner),
        "account": key.account,
    },
    "granted": lambda scopes: {"granted": to_json(list(scopes))},
    "requested": lambda scopes: {"requested": to_json(list(scopes))},
    "identity": lambda identity: {"identity": identity_text(identity)},
    "params": lambda params: {"params": to_json(dict(params))},
    "tags": lambda tags: {"tags": to_json(dict(tags))},
    "refreshable": lambda refreshable: {"refreshable": int(refreshable)},
    "sealed": lambda sealed: {
        "key_id": sealed.key_id if sealed else None,
        "sealed": sealed.blob if sealed else None,
    },
}
"""How the other members of a record become columns."""

COLUMNS: Final = (*PLAIN, *_KEY, *CLAIM, *_TEXTS, "refreshable", "key_id", "sealed")
"""The columns of a record, in the order in which `record_of` takes them."""

WRITTEN: Final = (*PLAIN, *_KEY, *_TEXTS, *_DERIVED)
"""The columns that `record_values` gives: all but the claim."""

_KEY_AT: Final = len(PLAIN)
_TEXTS_AT: Final = _KEY_AT + len(_KEY) + len(CLAIM)
_REST_AT: Final = _TEXTS_AT + len(_TEXTS)


Expired = Callable[[float, Any], bool]
"""Tells whether a claim has run out: from ``claim_until``, and from what the store reads as ``claim_boot``."""


class CorruptRow(Exception):
    """A column does not hold what it should."""


# -- records -------------------------------------------------------------------------------------------------------


def record_values(record: Record) -> dict[str, Any]:
    """Return the columns of a record, all but those of its claim."""
    values: dict[str, Any] = {name: getattr(record, name) for name in PLAIN}
    for member, columns in _PARTS.items():
        values.update(columns(getattr(record, member)))
    values["search"] = search_text(record)
    return values


def trouble_of(row: tuple[Any, ...]) -> Trouble:
    """Return why connections are not well, as ``TROUBLES`` of a store reads it."""
    credential, reason, error, n, ends_at, next_try_at = row
    return Trouble(credential=credential, reason=reason, error=error, n=n, ends_at=ends_at, next_try_at=next_try_at)


def changed_values(row: Record, new: Record) -> dict[str, Any]:
    """Return those columns of `new` that differ from those of `row`, found without writing out what is the same."""
    values = {name: now for name, was, now in zip(PLAIN, _plain_of(row), _plain_of(new), strict=True) if now != was}
    for member, columns in _PARTS.items():
        before, after = getattr(row, member), getattr(new, member)
        if after != before:
            old = columns(before)
            values.update({name: value for name, value in columns(after).items() if value != old[name]})
    if (new.key, new.identity) != (row.key, row.identity):
        values["search"] = search_text(new)
    return values


def record_of(row: tuple[Any, ...], expired: Expired) -> Record:
    """Return the record that a row (`COLUMNS`) holds.

    Raises:
        CorruptRow: One of its JSON columns is broken, or a number is none.
    """
    if not _NUMERIC.issuperset(map(type, _numbers_of(row))):
        _demand_numbers(row)
    granted, requested, identity, params, tags = row[_TEXTS_AT:_REST_AT]
    members = _clear_part(row, expired)
    members["granted"] = _strings(granted, "granted")
    members["requested"] = _strings(requested, "requested")
    members["identity"] = _identity(identity)
    members["params"] = _mapping(params, "params")
    members["tags"] = _mapping(tags, "tags")
    return assembled(members)


def _demand_numbers(row: tuple[Any, ...]) -> None:
    for at, name in _NUMBERS:
        if isinstance(row[at], (str, bytes)):
            msg = f"{name} is not a number"
            raise CorruptRow(msg)


def readable_part(row: tuple[Any, ...], expired: Expired) -> Record:
    """Return a record of everything but the JSON columns, and without numbers that are none."""
    members = _clear_part(row, expired)
    for at, name in _NUMBERS:
        if isinstance(row[at], (str, bytes)):
            members[name] = None if name.endswith(("_at", "_until", "_lifetime")) else 0
    return Record(**members)


def _clear_part(row: tuple[Any, ...], expired: Expired) -> dict[str, Any]:
    members: dict[str, Any] = dict(zip(PLAIN, row, strict=False))
    env, credential, owner, account, holder, until, boot, spending = row[_KEY_AT:_TEXTS_AT]
    refreshable, key_id, sealed = row[_REST_AT:]
    members["key"] = ConnectionKey(env, credential, owner_of(owner), account)
    members["claim"] = (
        None if holder is None else Claim(holder=holder, until=until, spending=spending, expired=expired(until, boot))
    )
    members["refreshable"] = bool(refreshable)
    members["sealed"] = None if sealed is None else Sealed(sealed, key_id)
    return members


def identity_text(identity: Identity | None) -> str | None:
    """Return an identity as JSON, None for none."""
    if identity is None:
        return None
    return to_json({name: getattr(identity, name) for name in ("subject", "email", "name", "login")})


def _identity(text: str | None) -> Identity | None:
    if text is None:
        return None
    known = _mapping(text, "identity").get
    return Identity(
        subject=str(known("subject", "")),
        email=str(known("email", "")),
        name=str(known("name", "")),
        login=str(known("login", "")),
    )


def group_of(row: tuple[Any, ...]) -> Group:
    """Return the group that a row of `_where.standings_statement` tells of."""
    state, reason, error, held, soon, alive, n, first, last = row
    return Group(
        state=state,
        reason=reason,
        error=error,
        held=bool(held),
        soon=bool(soon),
        alive=alive,
        n=n,
        first_end=first,
        last_end=last,
    )


# -- documents and events ------------------------------------------------------------------------------------------

DOCUMENT: Final = "kind, env, id, version, expires_at, key_id, body, sealed"
"""The columns that `document_of` takes."""

LAST_EVENT: Final = 2**63 - 1
"""A number that no event has: databases count in 64 bits."""

EVENT: Final = "seq, env, connection_id, kind, at, credential, owner, account, actor, detail"
"""The columns that `event_of` takes."""


def document_values(document: Document) -> tuple[Any, ...]:
    """Return the columns of a document (`DOCUMENT`)."""
    sealed = document.sealed
    return (
        document.kind,
        document.env,
        document.id,
        document.version,
        document.expires_at,
        sealed.key_id if sealed else None,
        to_json(dict(document.body)),
        sealed.blob if sealed else None,
    )


def document_of(row: tuple[Any, ...]) -> Document:
    """Return the document that a row (`DOCUMENT`) holds.

    Raises:
        CorruptRow: Its body is broken.
    """
    kind, env, document_id, version, expires_at, key_id, body, sealed = row
    return Document(
        kind=kind,
        env=env,
        id=document_id,
        version=version,
        expires_at=expires_at,
        body=_mapping(body, "body"),
        sealed=None if sealed is None else Sealed(sealed, key_id),
    )


def event_values(event: Event) -> tuple[Any, ...]:
    """Return the columns of an event (`EVENT`) without its number."""
    owner, detail = stored_owner(event.owner), to_json(dict(event.detail))
    return (
        event.env,
        event.connection_id,
        event.kind,
        event.at,
        event.credential,
        owner,
        event.account,
        event.actor,
        detail,
    )


def event_of(row: tuple[Any, ...]) -> Event:
    """Return the event that a row (`EVENT`) holds; one whose detail is broken tells so there."""
    seq, env, connection_id, kind, at, credential, owner, account, actor, text = row
    try:
        detail = _mapping(text, "detail")
    except CorruptRow as error:
        detail = {"unreadable": str(error)}
    return Event(
        seq=seq,
        env=env,
        connection_id=connection_id,
        kind=kind,
        at=at,
        credential=credential,
        owner=owner_of(owner),
        account=account,
        actor=actor,
        detail=detail,
    )


# -- JSON ----------------------------------------------------------------------------------------------------------


_encode: Final = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode


def to_json(value: object) -> str:
    """Return the JSON text of plain values."""
    return _encode(value)


def _load(text: Any, name: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, TypeError):
        msg = f"{name} is not JSON"
        raise CorruptRow(msg) from None


def _mapping(text: Any, name: str) -> Mapping[str, Any]:
    value: Any = {} if text == "{}" else _load(text, name)
    if not isinstance(value, dict):
        msg = f"{name} is not a JSON object"
        raise CorruptRow(msg)
    return cast("dict[str, Any]", value)


def _strings(text: Any, name: str) -> tuple[str, ...]:
    try:
        items = _items(text)
    except (ValueError, TypeError):
        msg = f"{name} is not JSON"
        raise CorruptRow(msg) from None
    if items is None:
        msg = f"{name} is not a JSON array of strings"
        raise CorruptRow(msg)
    return items


@lru_cache(maxsize=1024)
def _items(text: str) -> tuple[str, ...] | None:
    """Return the strings of a JSON array, None where it is none; most connections have the same scopes."""
    value: Any = json.loads(text)
    items: list[Any] = value if isinstance(value, list) else [None]  # pyright: ignore[reportUnknownVariableType]
    return tuple(items) if all(isinstance(item, str) for item in items) else None
