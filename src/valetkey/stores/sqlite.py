"""The embedded store: one SQLite file, for all processes of one host."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final

from valetkey.errors import StoreError
from valetkey.model.connections import ConnectionKey, Document, Event, Expect, Query, Record, RecordPage, Sealed
from valetkey.stores import _cursor, _rows, _rules
from valetkey.stores._damage import as_damaged, is_noted, sifted
from valetkey.stores._rows import CLAIM, COLUMNS, WRITTEN, CorruptRow, changed_values, record_values
from valetkey.stores._sqlite_counts import SQLiteCounts
from valetkey.stores._sqlite_documents import SQLiteDocuments
from valetkey.stores._sqlite_errors import row_corrupt
from valetkey.stores._sqlite_lists import page_rows

_SELECT: Final = f"SELECT {', '.join(COLUMNS)} FROM connection"  # noqa: S608 - all statements are made of names of ours
_DAMAGED: Final = "UPDATE connection SET state = 'needs_reauth', reason = 'row_corrupt' WHERE id = ?"
_BY_ID: Final = f"{_SELECT} WHERE id = ?"
_BY_KEY: Final = f"{_SELECT} WHERE env = ? AND credential = ? AND owner = ? AND account = ?"
_BY_DATA_KEY: Final = f"{_SELECT} WHERE key_id = ? LIMIT ?"
_DUE: Final = f"{_SELECT} WHERE env = ? AND due_at <= ? ORDER BY due_at LIMIT ?"
_PLACES: Final = ", ".join(f":{name}" for name in WRITTEN)
_INSERT: Final = f"INSERT INTO connection ({', '.join(WRITTEN)}) VALUES ({_PLACES})"  # noqa: S608
_SET_CLAIM: Final = ", ".join(f"{name} = ?" for name in (*CLAIM, "doubt"))
_CLAIMED: Final = f"UPDATE connection SET {_SET_CLAIM} WHERE id = ?"  # noqa: S608
_NO_CLAIM: Final = ", ".join(f"{name} = NULL" for name in CLAIM)
_REKEY: Final = (
    "UPDATE connection SET sealed = ?, key_id = ?"
    " WHERE id = ? AND incarnation = ? AND version = ? AND sealed = ? AND key_id = ?"
)


class SQLiteStore(SQLiteCounts, SQLiteDocuments):
    """A store in one SQLite file: write-ahead log, every commit synced to disk, readable by its user alone.

    Making one costs no I/O: the file and its folder are made when the store is first used.  It may be used by all
    threads, by many processes of one host at once, and in a forked child.  Not on a network file system; and nothing
    else in the process may open the file, for closing it again would drop SQLite's locks.

    Claims are measured by `Clock.monotonic`, so that setting the wall clock neither frees nor prolongs them, and
    bound to the boot of the machine (R10).

    Args:
        path: The file.
        clock: Time; the system's clock by default.
        busy_timeout: Seconds to wait while another process writes, before `StoreUnavailable` (``store_locked``).
    """

    # -- reading

    def load(self, key: ConnectionKey) -> Record | None:
        """Return the record under `key`, read freshly, or None."""
        values = (key.env, *_rules.sort_key(key))
        rows = self._read(_BY_KEY, values)
        return self._record(rows[0]) if rows else None

    def find(self, connection_id: str) -> Record | None:
        """Return the record with that id, or None."""
        rows = self._read(_BY_ID, (connection_id,))
        return self._record(rows[0]) if rows else None

    def list(self, query: Query, *, cursor: str | None = None, limit: int = 100, backwards: bool = False) -> RecordPage:
        """Return one page, in the order of (credential, owner, account, id).

        A damaged row is listed with what can be read of it and the error ``row_corrupt``, as one that needs a person:
        it must not hide the rest.  Its own state is set to that as soon as it is met, so that filters and counts agree.
        """
        after = None if cursor is None else _cursor.decode(cursor)
        with self._readers.lend() as handle:
            rows = page_rows(handle.db, query, after, limit + 1, backwards=backwards)
        return sifted(_cursor.page_of(self._listed(rows), limit, cursor, backwards=backwards), query)

    def due(self, *, env: str, until: float, limit: int = 100) -> tuple[Record, ...]:
        """Return up to `limit` records whose `due_at` is not later than `until`, the most urgent first."""
        return tuple(self._listed(self._read(_DUE, (env, until, limit))))

    def sealed_with(self, key_id: str, *, limit: int = 100) -> tuple[tuple[Record, ...], tuple[Document, ...]]:
        """Return up to `limit` records and documents sealed with that data key."""
        records = tuple(self._listed(self._read(_BY_DATA_KEY, (key_id, limit))))
        return records, self._documents_sealed_with(key_id, limit)

    def wait_for_change(self, record: Record, timeout: float) -> bool:
        """Return True as soon as the row differs from `record` (claim included) or is gone, False after `timeout` s."""
        seen: object = None

        def changed() -> bool:
            nonlocal seen
            mark = self.change_mark()  # taken before the row is read: a commit in between is seen next time
            if mark == seen:
                return False
            seen = mark
            return _rules.moved_on(self.find(record.id), record)

        return self._bell.wait_until(changed, timeout)

    def searches_anywhere(self, search: str = "") -> bool:  # noqa: ARG002 - the protocol's
        """Return True: a search finds any part of a text."""
        return True

    def watch(self, tell: Callable[[ConnectionKey | None], None]) -> None:
        """Do nothing: SQLite tells nobody of changes, `change_mark` does."""

    def listens(self) -> bool:
        """Return False: whoever wants to know of changes looks."""
        return False

    # -- writing

    def create(self, record: Record) -> Record:
        """Store a new record; where its key is taken already, return the one that is there, unchanged."""

        def work(db: sqlite3.Connection) -> Record:
            values = (record.key.env, *_rules.sort_key(record.key))
            rows = db.execute(_BY_KEY, values).fetchall()
            if rows:
                return self._record(rows[0])
            if db.execute("SELECT 1 FROM connection WHERE id = ?", (record.id,)).fetchall():
                msg = f"There is a connection with the id {record.id} already, under another key."
                raise StoreError(msg, code="id_taken", hint="Give each connection a new random id.")
            self._demand_key(db, record.sealed)
            db.execute(_INSERT, record_values(record))
            return replace(record, claim=None)

        return self._write(work)

    def claim(
        self, record: Record, *, holder: str, life: float, spending: str, over: str | None = None, dead: bool = False
    ) -> Record | None:
        """Claim the right to spend the grant of `record`, in one transaction (R3); see `Store.claim`."""

        def work(db: sqlite3.Connection) -> Record | None:
            row = self._locked(db, record.id)
            until = self._clock.monotonic() + life
            new = _rules.claimed(row, record, holder=holder, until=until, spending=spending, over=over, dead=dead)
            return self._put_claim(db, new)

        return self._write(work)

    def renew(self, record: Record, *, holder: str, life: float) -> bool:
        """Prolong the claim of `holder` on the record's incarnation to `life` seconds from now.  False: not held."""

        def work(db: sqlite3.Connection) -> bool:
            row = self._locked(db, record.id)
            until = self._clock.monotonic() + life
            return self._put_claim(db, _rules.renewed(row, record, holder=holder, until=until)) is not None

        return self._write(work)

    def swap(self, new: Record, *, expect: Expect, event: Event | None = None) -> Record | None:
        """Replace the row of ``new.id`` by `new`, if it is still as expected; clears the claim, and appends `event`.

        The key stays the row's own: a rename that happened meanwhile is kept.

        Raises:
            KeyRetired: `new.sealed` names a data key that the store no longer has.
        """

        def work(db: sqlite3.Connection) -> Record | None:
            row = self._locked(db, new.id)
            if row is None or not _rules.as_expected(row, expect):
                return None
            self._demand_key(db, new.sealed)
            stored = _rules.swapped(row, new)
            self._update(db, row, stored, _NO_CLAIM)
            if event is not None:
                self._append(db, event)
            return stored

        return self._write(work)

    def note(self, connection_id: str, *, incarnation: int, changes: Mapping[str, Any]) -> bool:
        """Change side facts of that incarnation, whoever holds the claim.  False: that incarnation is gone.

        Raises:
            ValueError: Something else than a side fact is to be changed.
        """

        def work(db: sqlite3.Connection) -> bool:
            row = self._locked(db, connection_id)
            if row is None or row.incarnation != incarnation:
                return False
            self._update(db, row, _rules.noted(row, changes))
            return True

        return self._write(work)

    def rekey(self, anew: Sequence[tuple[Record, Sealed]]) -> int:
        """Put other sealings of the same grants in place, all in one transaction; see `Store.rekey`."""
        rows = [
            (sealed.blob, sealed.key_id, record.id, record.incarnation, record.version, old.blob, old.key_id)
            for record, sealed in anew
            if (old := record.sealed) is not None
        ]

        def work(db: sqlite3.Connection) -> int:
            for sealed in _rules.one_of_each_key(anew):
                self._demand_key(db, sealed)
            return db.executemany(_REKEY, rows).rowcount if rows else 0

        return self._write(work)

    def rename(self, record: Record, key: ConnectionKey, secret_id: str) -> bool:
        """Give the connection another key.  False: the other key is taken, or the row is gone."""

        def work(db: sqlite3.Connection) -> bool:
            row = self._locked(db, record.id)
            taken = db.execute(_BY_KEY, (key.env, *_rules.sort_key(key))).fetchall()
            if row is None or (taken and row.key != key):
                return False
            self._update(db, row, replace(row, key=key, secret_id=secret_id))
            return True

        return self._write(work)

    def delete(self, record: Record) -> bool:
        """Erase the row with that id and incarnation.  Works for a damaged one too."""
        statement = "DELETE FROM connection WHERE id = ? AND incarnation = ?"
        return self._write(lambda db: db.execute(statement, (record.id, record.incarnation)).rowcount) > 0

    # -- rows

    def _locked(self, db: sqlite3.Connection, connection_id: str) -> Record | None:
        """Return the row as it is now, within a transaction that nobody else writes in."""
        rows = db.execute(_BY_ID, (connection_id,)).fetchall()
        return self._record(rows[0]) if rows else None

    def _put_claim(self, db: sqlite3.Connection, new: Record | None) -> Record | None:
        """Write the claim that the rules allowed; None: they did not."""
        if new is None or new.claim is None:
            return None
        claim = new.claim
        db.execute(_CLAIMED, (claim.holder, claim.until, self._clock.boot_id(), claim.spending, new.doubt, new.id))
        return new

    @staticmethod
    def _update(db: sqlite3.Connection, row: Record, new: Record, *more: str) -> None:
        """Write the columns that differ, and no others: SQLite rewrites the index of each column that is named."""
        values = changed_values(row, new)
        changes = ", ".join([*(f"{name} = :{name}" for name in values), *more])
        if changes:
            db.execute(f"UPDATE connection SET {changes} WHERE id = :row", {**values, "row": new.id})  # noqa: S608

    def _record(self, row: tuple[Any, ...]) -> Record:
        try:
            return _rows.record_of(row, self._expired)
        except CorruptRow as error:
            raise row_corrupt(self.path, f"Connection {row[0]}", str(error), "connection", id=row[0]) from None

    def _expired(self, until: float, boot: str) -> bool:
        # Measured from the boot of the machine (R10): a claim of another boot has run out, for its holder is gone.
        return self._clock.monotonic() >= until or boot != self._clock.boot_id()

    def _listed(self, rows: Sequence[tuple[Any, ...]]) -> Sequence[Record]:
        """Return records, the damaged ones too, and note in the state of those that they are."""
        found: list[Record] = []
        for row in rows:
            try:
                found.append(_rows.record_of(row, self._expired))
            except CorruptRow as error:
                part = _rows.readable_part(row, self._expired)
                found.append(as_damaged(part, str(error)))
                if not is_noted(part):
                    with suppress(StoreError):  # this is no trouble of whoever reads
                        self._write(lambda db, part=part: db.execute(_DAMAGED, (part.id,)))  # type: ignore[misc]
        return found
