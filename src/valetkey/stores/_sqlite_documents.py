"""Documents, data keys and events in the SQLite store."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any, Final

from valetkey.model.connections import Document, Event
from valetkey.model.ports import FORGOTTEN
from valetkey.stores import _rules
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
from valetkey.stores._sqlite_base import SQLiteBase
from valetkey.stores._sqlite_errors import row_corrupt

_ONE: Final = "kind = ? AND env = ? AND id = ?"
_LIVE: Final = "(expires_at IS NULL OR expires_at > ?)"
_GET: Final = f"SELECT {DOCUMENT} FROM document WHERE {_ONE}"  # noqa: S608 - names of ours
_PUT: Final = f"REPLACE INTO document ({DOCUMENT}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608
_DELETE: Final = f"DELETE FROM document WHERE {_ONE}"  # noqa: S608
_APPEND: Final = "INSERT INTO event (" + EVENT.removeprefix("seq, ") + ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608

_FORGET: Final = "UPDATE event SET owner = ?, account = '', detail = ? WHERE env = ? AND owner = ?"
_COUNT_SEALED: Final = (
    "SELECT 'connection', count(*) FROM connection WHERE key_id = ? UNION ALL"  # noqa: S608 - names of ours
    f" SELECT kind, count(*) FROM document WHERE key_id = ? AND {_LIVE} GROUP BY kind"
)

KEPT_EXPIRED: Final = 86400.0
"""Seconds for which an expired document is kept: its version goes on counting if it is put again (`_rules.put`)."""


class SQLiteDocuments(SQLiteBase):
    """The half of the store that knows nothing of connections."""

    # -- documents

    def get_document(self, kind: str, document_id: str, *, env: str = "") -> Document | None:
        """Return it, unless it is absent or past its `expires_at`."""
        rows = self._read(_GET, (kind, env, document_id))
        return _rules.alive(self._document(rows[0]), self.now()) if rows else None

    def put_document(self, document: Document, *, expect: int | None = None) -> Document | None:
        """Store it.  `expect`: the version that must be there now (0: none; None: any).  None: it was not."""
        with self._writing() as db:
            current = self._current(db, document.kind, document.id, document.env)
            stored = _rules.put(current, document, expect=expect, now=self.now())
            if stored is None:
                return None
            self._demand_key(db, document.sealed, document.kind)
            db.execute("DELETE FROM document WHERE expires_at <= ?", (self.now() - KEPT_EXPIRED,))
            db.execute(_PUT, document_values(stored))
        return stored

    def take_document(self, kind: str, document_id: str, *, env: str = "") -> Document | None:
        """Return and remove it in one atomic step: of two takers only one gets it."""
        with self._writing() as db:
            current = self._current(db, kind, document_id, env)
            db.execute(_DELETE, (kind, env, document_id))
        return _rules.alive(current, self.now())

    def delete_document(self, kind: str, document_id: str, *, env: str = "") -> bool:
        """Remove it; False when it was not there.  Works for a damaged one too."""
        with self._writing() as db:
            there = f"SELECT 1 FROM document WHERE {_ONE} AND {_LIVE}"  # noqa: S608
            found = db.execute(there, (kind, env, document_id, self.now())).fetchall()
            db.execute(_DELETE, (kind, env, document_id))
        return bool(found)

    def list_documents(
        self, kind: str, *, env: str | None = "", after: str = "", limit: int = 1000
    ) -> Sequence[Document]:
        """Return documents of a kind in the order of (env, id), those with an id above `after`; env None: of all."""
        scope, values = ("kind = ?", [kind]) if env is None else ("kind = ? AND env = ?", [kind, env])
        statement = f"SELECT {DOCUMENT} FROM document WHERE {scope} AND id > ? AND {_LIVE} ORDER BY env, id LIMIT ?"  # noqa: S608
        rows = self._read(statement, [*values, after, self.now(), limit])
        return tuple(self._document(row) for row in rows)

    def _documents_sealed_with(self, key_id: str, limit: int) -> tuple[Document, ...]:
        statement = f"SELECT {DOCUMENT} FROM document WHERE key_id = ? AND {_LIVE} ORDER BY kind, env, id LIMIT ?"  # noqa: S608
        return tuple(self._document(row) for row in self._read(statement, (key_id, self.now(), limit)))

    def count_sealed(self, key_id: str) -> dict[str, int]:
        """Return how many connections (``connection``) and documents of each kind are sealed with that data key."""
        return {kind: n for kind, n in self._read(_COUNT_SEALED, (key_id, key_id, self.now())) if n}

    def _current(self, db: sqlite3.Connection, kind: str, document_id: str, env: str) -> Document | None:
        rows = db.execute(_GET, (kind, env, document_id)).fetchall()
        return self._document(rows[0]) if rows else None

    def _document(self, row: tuple[Any, ...]) -> Document:
        try:
            return document_of(row)
        except CorruptRow as error:
            kind, env, document_id = row[:3]
            what = f"The {kind} {document_id}"
            raise row_corrupt(self.path, what, str(error), "document", kind=kind, env=env, id=document_id) from None

    # -- data keys

    def retire_key(self, key_id: str) -> bool:
        """Remove the ``data_key`` document with that id if nothing is sealed with it any more, atomically."""
        with self._writing() as db:
            db.execute("DELETE FROM document WHERE key_id = ? AND expires_at <= ?", (key_id, self.now()))
            for table in ("connection", "document"):
                if db.execute(f"SELECT 1 FROM {table} WHERE key_id = ? LIMIT 1", (key_id,)).fetchall():  # noqa: S608
                    return False
            removed = db.execute(_DELETE, (_rules.DATA_KEY, "", key_id)).rowcount
        return removed > 0

    # -- events

    def append_event(self, event: Event) -> int:
        """Append it; returns its number."""
        with self._writing() as db:
            return self._append(db, event)

    @staticmethod
    def _append(db: sqlite3.Connection, event: Event) -> int:
        return db.execute(_APPEND, event_values(event)).lastrowid or 0

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
        """Return events with a number above `after` and below `before`, oldest first unless `newest_first`."""
        values: list[Any] = [env]
        scope = "env = ?"
        if connection_id is not None:
            scope += " AND connection_id = ?"
            values.append(connection_id)
        order = "DESC" if newest_first else "ASC"
        bounds = [max(after, 0), LAST_EVENT if before is None else before, limit]
        statement = f"SELECT {EVENT} FROM event WHERE {scope} AND seq > ? AND seq < ? ORDER BY seq {order} LIMIT ?"  # noqa: S608
        return tuple(event_of(row) for row in self._read(statement, [*values, *bounds]))

    def forget_events(self, *, env: str, owner: str) -> int:
        """Take owner, account and details out of all events about an owner; returns of how many."""
        gone = (_rules.stored_owner(None), to_json(FORGOTTEN), env, _rules.stored_owner(owner))
        with self._writing() as db:
            return db.execute(_FORGET, gone).rowcount
