"""Documents, data keys and events in the Postgres store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from psycopg import errors as pg

from valetkey.model.connections import Document, Event
from valetkey.model.ports import FORGOTTEN
from valetkey.stores import _postgres_errors as trouble
from valetkey.stores import _rules
from valetkey.stores._postgres_base import PostgresBase, Writing
from valetkey.stores._rows import (
    DOCUMENT,
    EVENT,
    LAST_EVENT,
    CorruptRow,
    document_of,
    document_values,
    event_of,
    event_values,
    to_json,
)
from valetkey.stores._rules import stored_owner

_ONE: Final = "kind = %s AND env = %s AND id = %s"
_NOW: Final = "(SELECT {S}.unix_now())"
"""In a query of its own: an index is used for what is the same for all rows."""
_LIVE: Final = f"(expires_at IS NULL OR expires_at > {_NOW})"
_GET: Final = f"SELECT {{S}}.unix_now(), {DOCUMENT} FROM {{S}}.document WHERE {_ONE}"  # noqa: S608 - names of ours
_GET_FRESH: Final = f"{_GET} AND {{S}}.on_primary()"
_GET_LOCKED: Final = f"{_GET} FOR NO KEY UPDATE"
_INSERT: Final = (
    f"INSERT INTO {{S}}.document ({DOCUMENT}) VALUES (%s, %s, %s, %s, %s, %s, %s, %s)"  # noqa: S608
    " ON CONFLICT DO NOTHING"
)
_UPDATE: Final = (
    f"UPDATE {{S}}.document SET version = %s, expires_at = %s, key_id = %s, body = %s, sealed = %s WHERE {_ONE}"  # noqa: S608
)
_DELETE: Final = f"DELETE FROM {{S}}.document WHERE {_ONE}"  # noqa: S608
_FORGET: Final = "UPDATE {S}.event SET owner = %s, account = '', detail = %s WHERE env = %s AND owner = %s"
_TAKE: Final = f"{_DELETE} RETURNING {{S}}.unix_now(), {DOCUMENT}"
_SWEEP: Final = (
    "DELETE FROM {S}.document WHERE ctid = ANY (ARRAY(SELECT ctid FROM {S}.document"  # noqa: S608
    f" WHERE expires_at <= {_NOW} - %s LIMIT 100 FOR UPDATE SKIP LOCKED))"
)
_LISTED: Final = (
    f"SELECT {{S}}.unix_now(), {DOCUMENT} FROM {{S}}.document"  # noqa: S608
    f" WHERE {{S}}.on_primary() AND kind = %s AND (%s::text IS NULL OR env = %s) AND id > %s AND {_LIVE}"
    " ORDER BY env, id LIMIT %s"
)
_SEALED_WITH: Final = (
    f"SELECT {{S}}.unix_now(), {DOCUMENT} FROM {{S}}.document"  # noqa: S608
    f" WHERE {{S}}.on_primary() AND key_id = %s AND {_LIVE} ORDER BY kind, env, id LIMIT %s"
)
_COUNT_SEALED: Final = (
    "SELECT 'connection', count(*) FROM {S}.connection WHERE {S}.on_primary() AND key_id = %s UNION ALL"  # noqa: S608 - names of ours
    f" SELECT kind, count(*) FROM {{S}}.document WHERE {{S}}.on_primary() AND key_id = %s AND {_LIVE} GROUP BY kind"
)

_DATA_KEY_LOCKED: Final = f"SELECT 1 FROM {{S}}.document WHERE {_ONE} FOR UPDATE"  # noqa: S608
_SEALED: Final = "SELECT 1 FROM {{S}}.{} WHERE key_id = %s LIMIT 1"

_NEW: Final = EVENT.removeprefix("seq, ")
_APPEND: Final = (
    "WITH turn AS MATERIALIZED (SELECT pg_advisory_xact_lock_shared(hashtextextended(%s, 1)))"  # noqa: S608
    f" INSERT INTO {{S}}.event ({_NEW}) SELECT %s, %s, %s, %s, %s, %s, %s, %s, %s FROM turn RETURNING seq"
)
"""An event gets its number only with a share of the lock that `_TURN` waits for."""
_TURN: Final = "SELECT pg_advisory_xact_lock(hashtextextended(%s, 1))"
_BRIEFLY: Final = "SET LOCAL lock_timeout = '200ms'"
"""Who waits for that lock holds up those behind."""

KEPT_EXPIRED: Final = 86400.0
"""Seconds for which an expired document is kept: its version goes on counting if it is put again (`_rules.put`)."""


class _NotInTurn(Exception):
    """Somebody with a number does not come to commit."""


class PostgresDocuments(PostgresBase):
    """The half of the store that knows nothing of connections."""

    # -- documents

    def get_document(self, kind: str, document_id: str, *, env: str = "") -> Document | None:
        """Return it, unless it is absent or past its `expires_at`."""
        return self._alive(self._read(_GET_FRESH, (kind, env, document_id)))

    def put_document(self, document: Document, *, expect: int | None = None) -> Document | None:
        """Store it.  `expect`: the version that must be there now (0: none; None: any).  None: it was not."""

        def put(writing: Writing) -> Document | None:
            writing.run(_SWEEP, (KEPT_EXPIRED,))
            while True:
                rows = writing.rows(_GET_LOCKED, (document.kind, document.env, document.id))
                current, now = (self._document(rows[0]), float(rows[0][0])) if rows else (None, 0.0)
                stored = _rules.put(current, document, expect=expect, now=now)
                if stored is None:
                    return None
                writing.demand_key(document.sealed, document.kind)
                if self._put(writing, stored, there=current is not None):
                    return stored

        return self._write(put)

    @staticmethod
    def _put(writing: Writing, stored: Document, *, there: bool) -> bool:
        """Write it down.  False: somebody else has just put the first of that name."""
        kind, env, document_id, *rest = values = document_values(stored)
        if there:
            return bool(writing.run(_UPDATE, (*rest, kind, env, document_id)))
        return bool(writing.run(_INSERT, values))

    def take_document(self, kind: str, document_id: str, *, env: str = "") -> Document | None:
        """Return and remove it in one atomic step: of two takers only one gets it."""
        return self._alive(self._write(lambda writing: writing.rows(_TAKE, (kind, env, document_id))))

    def delete_document(self, kind: str, document_id: str, *, env: str = "") -> bool:
        """Remove it; False when it was not there.  Works for a damaged one too."""
        statement = f"{_DELETE} RETURNING {_LIVE}"
        return any(live for (live,) in self._write(lambda writing: writing.rows(statement, (kind, env, document_id))))

    def list_documents(
        self, kind: str, *, env: str | None = "", after: str = "", limit: int = 1000
    ) -> Sequence[Document]:
        """Return documents of a kind in the order of (env, id), those with an id above `after`; env None: of all."""
        return tuple(self._document(row) for row in self._read(_LISTED, (kind, env, env, after, limit)))

    def _documents_sealed_with(self, key_id: str, limit: int) -> tuple[Document, ...]:
        return tuple(self._document(row) for row in self._read(_SEALED_WITH, (key_id, limit)))

    def count_sealed(self, key_id: str) -> dict[str, int]:
        """Return how many connections (``connection``) and documents of each kind are sealed with that data key."""
        return {kind: n for kind, n in self._read(_COUNT_SEALED, (key_id, key_id)) if n}

    def _alive(self, rows: Sequence[tuple[Any, ...]]) -> Document | None:
        return _rules.alive(self._document(rows[0]), float(rows[0][0])) if rows else None

    def _document(self, row: tuple[Any, ...]) -> Document:
        """Return the document in a row that begins with the time."""
        try:
            return document_of(row[1:])
        except CorruptRow as error:
            kind, env, document_id = row[1:4]
            what = f"The {kind} {document_id}"
            key = {"kind": kind, "env": env, "id": document_id}
            raise trouble.row_corrupt(self._place, what, str(error), "document", **key) from None

    # -- data keys

    def retire_key(self, key_id: str) -> bool:
        """Remove the ``data_key`` document with that id if nothing is sealed with it any more, atomically.

        Whoever writes something sealed holds a share of the key's row until its commit (`Writing.demand_key`), and
        this waits for all of them before it looks.
        """
        name = (_rules.DATA_KEY, "", key_id)

        def retire(writing: Writing) -> bool:
            writing.run(f"DELETE FROM {{S}}.document WHERE key_id = %s AND expires_at <= {_NOW}", (key_id,))  # noqa: S608
            if not writing.rows(_DATA_KEY_LOCKED, name):
                return False
            if any(writing.rows(_SEALED.format(table), (key_id,)) for table in ("connection", "document")):
                return False
            return bool(writing.run(_DELETE, name))

        return self._write(retire)

    # -- events

    def append_event(self, event: Event) -> int:
        """Append it; returns its number."""
        return self._write(lambda writing: self._append(writing, event))

    def _append(self, writing: Writing, event: Event) -> int:
        return int(writing.rows(_APPEND, (self._place.schema, *event_values(event)))[0][0])

    def forget_events(self, *, env: str, owner: str) -> int:
        """Take owner, account and details out of all events about an owner; returns of how many."""
        gone = (stored_owner(None), to_json(FORGOTTEN), env, stored_owner(owner))
        return self._write(lambda writing: writing.run(_FORGET, gone))

    def list_events(
        self,
        *,
        env: str,
        connection_id: str | None = None,
        after: int = 0,
        limit: int = 100,
        newest_first: bool = False,
        before: int | None = None,
    ) -> Sequence[Event]:
        """Return events with a number above `after` and below `before`, oldest first unless `newest_first`.

        Whoever goes on after the last one misses none: those with lower numbers whose transactions are still under
        way are waited for.
        """
        values: list[Any] = [env]
        scope = "env = %s"
        if connection_id is not None:
            scope += " AND connection_id = %s"
            values.append(connection_id)
        order = "DESC" if newest_first else "ASC"
        statement = (
            f"SELECT {EVENT} FROM {{S}}.event WHERE {{S}}.on_primary() AND {scope} AND seq > %s AND seq < %s"  # noqa: S608
            f" ORDER BY seq {order} LIMIT %s"
        )
        values += [after, LAST_EVENT if before is None else before, limit]
        if newest_first:
            return tuple(event_of(row) for row in self._read(statement, values))

        return tuple(event_of(row) for row in self._in_turn(statement, values))

    def _in_turn(self, statement: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        """Read after all who had taken a number have committed; not waiting long for one who does not come to it."""

        def read(writing: Writing) -> list[tuple[Any, ...]]:
            writing.run(_BRIEFLY)
            try:
                writing.rows(_TURN, (self._place.schema,))
            except pg.LockNotAvailable:
                raise _NotInTurn from None
            return writing.rows(statement, values)

        try:
            return self._write(read)
        except _NotInTurn:
            return self._read(statement, values)
