"""Connections, documents and events as Redis keeps them, and back."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Final, cast

from valetkey.model.connections import ConnectionKey, Document, Event, Record, Sealed
from valetkey.model.troubles import Trouble
from valetkey.stores._damage import as_damaged
from valetkey.stores._redis_names import texts_of
from valetkey.stores._rows import (
    CLAIM,
    COLUMNS,
    CorruptRow,
    document_of,
    document_values,
    event_of,
    event_values,
    record_of,
    record_values,
    to_json,
    trouble_of,
)
from valetkey.stores._rules import owner_of, stored_owner

_DAMAGE: Final = "row is not what was written"
_TROUBLE: Final = ("credential", "reason", "error", None, "expires_at", "next_try_at")
_TIMES: Final = frozenset({int, float, type(None)})
_APART: Final = frozenset({"search", "sealed", "key_id"})

FIELDS: Final = ("row", "sealed", "key_id", "rev", "key", "incarnation")
"""The fields of a connection's hash, as they are asked for: an answer without their names is half as long to read."""

LISTED: Final = FIELDS[:3]
"""Those of them that lists need, as long as nothing is damaged."""

_columns_of: Final = itemgetter(*COLUMNS)


@dataclass(frozen=True, slots=True)
class Row:
    """A connection as it was read.

    Attributes:
        record: The connection; where it is damaged, what can be read of it.
        revision: What each write of it replaces by another random value.
        damage: What is wrong with it, empty where nothing is.
    """

    record: Record
    revision: bytes
    damage: str = ""

    def whole(self) -> Record:
        """Return the record, for lists: a damaged one says so."""
        return as_damaged(self.record, self.damage) if self.damage else self.record


def row_fields(record: Record) -> list[str | bytes | int]:
    """Return the fields of a connection's hash, names and values by turns, but for its revision."""
    key, claim = record.key, record.claim
    values = {name: value for name, value in record_values(record).items() if name not in _APART}
    held = (None, None, None, None) if claim is None else (claim.holder, claim.until, "", claim.spending)
    values.update(zip(CLAIM, held, strict=True))
    place = to_json([key.env, key.credential, stored_owner(key.owner), key.account])
    fields: list[str | bytes | int] = ["key", place, "incarnation", record.incarnation, "row", to_json(values)]
    return fields + _sealed_fields(record.sealed)


def row_of(connection_id: str, answer: Sequence[bytes | None], now: float) -> Row | None:
    """Return the connection in the answer to ``HMGET`` of `FIELDS` or `LISTED`, None where there is none."""
    if not any(answer):
        return None
    text, blob, key_id, *rest = answer
    revision, place, incarnation = rest or (None, None, None)
    sealed = None if blob is None else Sealed(blob, (key_id or b"").decode())
    try:
        values = _object(text)
        values.setdefault("sign_in_due_at", None)  # not in rows from before it was known
        values.update(sealed=sealed.blob if sealed else None, key_id=sealed.key_id if sealed else None)
        record = record_of(_columns_of(values), lambda until, _: now >= until)
    except CorruptRow as error:
        return Row(_remains(connection_id, place, incarnation, sealed), revision or b"", str(error))
    except (KeyError, TypeError, ValueError):
        return Row(_remains(connection_id, place, incarnation, sealed), revision or b"", _DAMAGE)
    return Row(record, revision or b"")


def trouble_in(text: bytes, state: str) -> Trouble | None:
    """Return why a connection is not well, from the field ``row`` alone; None: it is in that state no more.

    Raises:
        CorruptRow: It is damaged.
    """
    try:
        values = _object(text)
        if values["state"] != state:
            return None
        found = trouble_of(tuple(1 if name is None else values[name] for name in _TROUBLE))
    except (KeyError, TypeError, ValueError):
        raise CorruptRow(_DAMAGE) from None
    if not _TIMES.issuperset((type(found.ends_at), type(found.next_try_at))):
        raise CorruptRow(_DAMAGE)
    return found


def _remains(connection_id: str, place: bytes | None, incarnation: bytes | None, sealed: Sealed | None) -> Record:
    try:
        env, credential, owner, account = json.loads(place or b"")
        key, number = ConnectionKey(env, credential, owner_of(owner), account), int(incarnation or b"")
    except (TypeError, ValueError):
        key, number = ConnectionKey("", ""), 0
    return Record(id=connection_id, key=key, incarnation=number, sealed=sealed, state="needs_reauth")


# -- documents and events ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Paper:
    """A document as it was read, and what each write of it replaces by another random value."""

    document: Document
    revision: bytes


def document_fields(document: Document) -> list[str | bytes | int]:
    """Return the fields of a document's hash, names and values by turns, but for its revision."""
    kind, env, document_id, version, expires_at, _, body, _ = document_values(document)
    head = to_json([kind, env, document_id, version, expires_at])
    fields: list[str | bytes | int] = ["doc", head, "body", body]
    return fields + _sealed_fields(document.sealed)


def paper_of(answer: Sequence[bytes]) -> Paper | None:
    """Return the document that an ``HGETALL`` found, None where there is none.

    Raises:
        CorruptRow: It is damaged.
    """
    if not answer:
        return None
    fields = _fields(answer)
    sealed = _sealed(fields)
    try:
        kind, env, document_id, version, expires_at = json.loads(fields[b"doc"])
        body = fields[b"body"].decode()
    except (KeyError, TypeError, ValueError):
        msg = "doc is not what was written"
        raise CorruptRow(msg) from None
    secret = (sealed.key_id, body, sealed.blob) if sealed else (None, body, None)
    return Paper(document_of((kind, env, document_id, version, expires_at, *secret)), fields.get(b"rev", b""))


def document_of_member(found: bytes) -> tuple[str, str, str]:
    """Return kind, environment and id of the document that a member names (`document_member`)."""
    kind, env, document_id = texts_of(found[1:])
    return kind, env, document_id


def event_text(event: Event) -> str:
    """Return an event as text, without its number."""
    return to_json(list(event_values(event)))


def event_at(entry: Sequence[Any]) -> Event:
    """Return the event in an entry of a stream."""
    place, fields = entry
    return event_of((int(place.partition(b"-")[0]), *json.loads(fields[1])))


# -- hashes --------------------------------------------------------------------------------------------------------


def _fields(answer: Sequence[bytes]) -> dict[bytes, bytes]:
    return dict(zip(answer[::2], answer[1::2], strict=True))


def _object(text: bytes | None) -> dict[str, Any]:
    value: Any = json.loads((text or b"").decode())
    if not isinstance(value, dict):
        msg = "row is not a JSON object"
        raise CorruptRow(msg)
    return cast("dict[str, Any]", value)


def _sealed_fields(sealed: Sealed | None) -> list[str | bytes | int]:
    return [] if sealed is None else ["sealed", sealed.blob, "key_id", sealed.key_id]


def _sealed(fields: Mapping[bytes, bytes]) -> Sealed | None:
    blob = fields.get(b"sealed")
    return None if blob is None else Sealed(blob, fields.get(b"key_id", b"").decode())
