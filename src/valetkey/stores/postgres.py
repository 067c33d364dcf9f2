"""The store for many hosts that already have a PostgreSQL server (13 or newer)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final

from psycopg import errors as pg

from valetkey.errors import StoreError
from valetkey.model.connections import (
    ConnectionKey,
    Counts,
    Document,
    Event,
    Expect,
    Query,
    Record,
    RecordPage,
    Sealed,
    State,
    StoredState,
)
from valetkey.model.troubles import Standings, Trouble
from valetkey.stores import _cursor, _rows, _rules
from valetkey.stores import _postgres_errors as trouble
from valetkey.stores._damage import as_damaged, is_noted, sifted
from valetkey.stores._postgres_base import Writing
from valetkey.stores._postgres_documents import PostgresDocuments
from valetkey.stores._postgres_lists import COLUMN_LIST, COUNTED, OWNERS, STANDINGS, TROUBLES, page_statement
from valetkey.stores._rows import CLAIM, WRITTEN, CorruptRow, changed_values, record_values

_SELECT: Final = f"SELECT {COLUMN_LIST} FROM {{S}}.connection c WHERE"  # noqa: S608 - all statements are made of names of ours
_FRESH: Final = f"{_SELECT} {{S}}.on_primary() AND"
_KEY: Final = "c.env = %s AND c.credential = %s AND c.owner = %s AND c.account = %s"
_DAMAGED: Final = "UPDATE {S}.connection SET state = 'needs_reauth', reason = 'row_corrupt' WHERE id = %s"
_TRIGRAM: Final = 3
"""How many letters it takes for one."""
_BY_ID: Final = f"{_FRESH} c.id = %s"
_BY_KEY: Final = f"{_FRESH} {_KEY}"
_LOCKED: Final = f"{_SELECT} c.id = %s FOR NO KEY UPDATE"
_BY_DATA_KEY: Final = f"{_FRESH} c.key_id = %s LIMIT %s"
_DUE: Final = f"{_FRESH} c.env = %s AND c.due_at <= %s ORDER BY c.due_at LIMIT %s"
_PLACES: Final = ", ".join(f"%({name})s" for name in WRITTEN)
_INSERT: Final = f"INSERT INTO {{S}}.connection ({', '.join(WRITTEN)}) VALUES ({_PLACES}) ON CONFLICT DO NOTHING"  # noqa: S608
_CLAIM: Final = tuple(name for name in CLAIM if name != "claim_boot")
_SET_CLAIM: Final = (
    "UPDATE {S}.connection SET claim_holder = %s, claim_until = {S}.unix_now() + %s, claim_spending = %s, doubt = %s"
    " WHERE id = %s RETURNING claim_until"
)
_NO_CLAIM: Final = ", ".join(f"{name} = NULL" for name in _CLAIM)
_IN_TURN: Final = "SELECT 1 FROM {S}.connection WHERE id = ANY(%s::text[]) ORDER BY id FOR NO KEY UPDATE"
"""Locks many rows in an order that is the same for all: of two who want the same ones, one waits for the other."""
_REKEY: Final = (
    "UPDATE {S}.connection c SET sealed = n.sealed, key_id = n.key_id"
    " FROM unnest(%s::text[], %s::bigint[], %s::bigint[], %s::bytea[], %s::text[], %s::bytea[], %s::text[])"
    " AS n(id, incarnation, version, old, old_key_id, sealed, key_id) WHERE c.id = n.id"
    " AND c.incarnation = n.incarnation AND c.version = n.version AND c.sealed = n.old AND c.key_id = n.old_key_id"
    " RETURNING c.env, c.credential, c.owner, c.account"
)
_DELETE: Final = (
    "DELETE FROM {S}.connection WHERE id = %s AND incarnation = %s RETURNING env, credential, owner, account"
)
_SCOPES: Final = (
    "INSERT INTO {S}.missing_scope (env, scope, credential, owner, account, connection_id)"
    " SELECT %s, scope, %s, %s, %s, %s FROM unnest(%s::text[]) AS scope"
)
_INDEXED: Final = frozenset({"granted", "requested", "env", "credential", "owner", "account"})
"""What the rows of ``missing_scope`` are made of."""


class _Taken(Exception):
    """The other key is taken."""


class PostgresStore(PostgresDocuments):
    """A store in a PostgreSQL database, for processes on any number of hosts.

    Making one costs no I/O: the tables are made when the store is first used, in a schema of their own.  It may be
    used by all threads, and in a forked child.  Claims are measured by the server's clock (R3).  Every commit is
    durable before it counts, and nothing is ever read from a replica.

    Args:
        url: ``postgresql://user:password@host:5432/database``, as libpq reads it (several hosts, ``sslmode`` and so
            on); besides ``schema=`` and ``listen_url=``.
        clock: By which this process waits; the system's clock by default.
        schema: The schema of the tables, ``valetkey`` by default.
        listen_url: Where to listen for changes made by others, if `url` leads to a pooler such as pgbouncer;
            by default what the URL or ``VALETKEY_LISTEN_URL`` says, else `url`.
        pool_size: How many connections this process holds at most, besides the one that listens.

    Raises:
        ConfigurationError: The URL is malformed (``store_url``).
    """

    # -- reading

    def load(self, key: ConnectionKey) -> Record | None:
        """Return the record under `key`, read freshly from the primary, or None."""
        rows = self._read(_BY_KEY, (key.env, *_rules.sort_key(key)))
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
        anywhere = not query.search or self.searches_anywhere(query.search)
        rows = self._read(*page_statement(query, after, limit + 1, backwards=backwards, anywhere=anywhere))
        return sifted(_cursor.page_of(self._listed(rows), limit, cursor, backwards=backwards), query)

    def searches_anywhere(self, search: str = "") -> bool:
        """Whether a search finds any part of a text: where there is no index of trigrams, it finds beginnings only.

        So do one and two letters, which hold no trigram: an index of trigrams would have to be read as a whole.
        """
        if self._server.trigrams is None:
            self._read("SELECT 1")  # each new connection looks
        return bool(self._server.trigrams) and not 0 < len(search.casefold()) < _TRIGRAM

    def due(self, *, env: str, until: float, limit: int = 100) -> tuple[Record, ...]:
        """Return up to `limit` records whose `due_at` is not later than `until`, the most urgent first."""
        return tuple(self._listed(self._read(_DUE, (env, until, limit))))

    def counts(self, *, env: str, now: float) -> Counts:
        """Return how many connections each credential has in each state, as of the last commit."""
        found: dict[tuple[str, State], int] = {}
        for name, state, n in self._read(COUNTED, (env, env, now)):
            found[name, state] = found.get((name, state), 0) + n
        return {place: n for place, n in found.items() if n > 0}

    def standings(self, *, env: str, credential: str, now: float) -> Standings:
        """Return how all connections of a credential are, in groups that are alike."""
        rows = self._read(STANDINGS, (now, now, env, credential))
        ((owners,),) = self._read(OWNERS, (env, credential, _rules.stored_owner(None)))
        return Standings(groups=tuple(map(_rows.group_of, rows)), owners=owners)

    def troubles(self, *, env: str, state: StoredState, limit: int = 200) -> Sequence[Trouble]:
        """Return why connections are in a state: the first `limit` of them, summed."""
        return tuple(map(_rows.trouble_of, self._read(TROUBLES, (env, state, limit))))

    def sealed_with(self, key_id: str, *, limit: int = 100) -> tuple[tuple[Record, ...], tuple[Document, ...]]:
        """Return up to `limit` records and documents sealed with that data key."""
        records = tuple(self._listed(self._read(_BY_DATA_KEY, (key_id, limit))))
        return records, self._documents_sealed_with(key_id, limit)

    def wait_for_change(self, record: Record, timeout: float) -> bool:
        """Return True as soon as the row differs from `record` (claim included) or is gone, False after `timeout` s."""

        def changed() -> bool:
            return _rules.moved_on(self.find(record.id), record)

        return self._waiting.wait_until(changed, record.key, timeout)

    # -- writing

    def create(self, record: Record) -> Record:
        """Store a new record; where its key is taken already, return the one that is there, unchanged."""
        values = record_values(record)

        def create(writing: Writing) -> Record:
            while True:
                rows = writing.rows(_BY_KEY, (record.key.env, *_rules.sort_key(record.key)))
                if rows:
                    return self._record(rows[0])
                writing.demand_key(record.sealed)
                if writing.run(_INSERT, values):
                    self._write_scopes(writing, record)
                    writing.changed.append(record.key)
                    return replace(record, claim=None)
                if writing.rows("SELECT 1 FROM {S}.connection WHERE id = %s", (record.id,)):
                    msg = f"There is a connection with the id {record.id} already, under another key."
                    raise StoreError(msg, code="id_taken", hint="Give each connection a new random id.")

        return self._write(create)

    def claim(
        self, record: Record, *, holder: str, life: float, spending: str, over: str | None = None, dead: bool = False
    ) -> Record | None:
        """Claim the right to spend the grant of `record`, in one transaction (R3); see `Store.claim`."""

        def claim(writing: Writing) -> Record | None:
            row = self._locked(writing, record.id)
            new = _rules.claimed(row, record, holder=holder, until=0.0, spending=spending, over=over, dead=dead)
            return new and self._put_claim(writing, new, life)

        return self._write(claim)

    def renew(self, record: Record, *, holder: str, life: float) -> bool:
        """Prolong the claim of `holder` on the record's incarnation to `life` seconds from now.  False: not held."""

        def renew(writing: Writing) -> bool:
            new = _rules.renewed(self._locked(writing, record.id), record, holder=holder, until=0.0)
            return new is not None and bool(self._put_claim(writing, new, life))

        return self._write(renew)

    def swap(self, new: Record, *, expect: Expect, event: Event | None = None) -> Record | None:
        """Replace the row of ``new.id`` by `new`, if it is still as expected; clears the claim, and appends `event`.

        The key stays the row's own: a rename that happened meanwhile is kept.

        Raises:
            KeyRetired: `new.sealed` names a data key that the store no longer has.
        """

        def swap(writing: Writing) -> Record | None:
            row = self._locked(writing, new.id)
            if row is None or not _rules.as_expected(row, expect):
                return None
            writing.demand_key(new.sealed)
            stored = _rules.swapped(row, new)
            self._update(writing, row, stored, _NO_CLAIM)
            if event is not None:
                self._append(writing, event)
            return stored

        return self._write(swap)

    def note(self, connection_id: str, *, incarnation: int, changes: Mapping[str, Any]) -> bool:
        """Change side facts of that incarnation, whoever holds the claim.  False: that incarnation is gone.

        Raises:
            ValueError: Something else than a side fact is to be changed.
        """

        def note(writing: Writing) -> bool:
            row = self._locked(writing, connection_id)
            if row is None or row.incarnation != incarnation:
                return False
            self._update(writing, row, _rules.noted(row, changes))
            return True

        return self._write(note)

    def rekey(self, anew: Sequence[tuple[Record, Sealed]]) -> int:
        """Put other sealings of the same grants in place, all in one transaction; see `Store.rekey`."""
        rows = [
            (record.id, record.incarnation, record.version, old.blob, old.key_id, sealed.blob, sealed.key_id)
            for record, sealed in anew
            if (old := record.sealed) is not None
        ]
        if not rows:
            return 0
        columns = [list(column) for column in zip(*rows, strict=True)]

        def rekey(writing: Writing) -> int:
            for sealed in _rules.one_of_each_key(anew):
                writing.demand_key(sealed)
            writing.rows(_IN_TURN, (columns[0],))
            return self._changed(writing, writing.rows(_REKEY, columns))

        return self._write(rekey)

    def rename(self, record: Record, key: ConnectionKey, secret_id: str) -> bool:
        """Give the connection another key.  False: the other key is taken, or the row is gone."""

        def rename(writing: Writing) -> bool:
            row = self._locked(writing, record.id)
            if row is None:
                return False
            try:
                self._update(writing, row, replace(row, key=key, secret_id=secret_id))
            except pg.UniqueViolation:
                raise _Taken from None
            return True

        try:
            return self._write(rename)
        except _Taken:
            return False

    def delete(self, record: Record) -> bool:
        """Erase the row with that id and incarnation.  Works for a damaged one too."""

        def delete(writing: Writing) -> bool:
            return bool(self._changed(writing, writing.rows(_DELETE, (record.id, record.incarnation))))

        return self._write(delete)

    # -- rows

    def _locked(self, writing: Writing, connection_id: str) -> Record | None:
        """Return the row as it is now; nobody else writes it before this transaction ends."""
        rows = writing.rows(_LOCKED, (connection_id,))
        return self._record(rows[0]) if rows else None

    @staticmethod
    def _put_claim(writing: Writing, new: Record, life: float) -> Record:
        claim = new.claim
        assert claim is not None  # noqa: S101 - for the type checker: the rules just made it
        values = (claim.holder, life, claim.spending, new.doubt, new.id)
        until = float(writing.rows(_SET_CLAIM, values)[0][0])
        writing.changed.append(new.key)
        return replace(new, claim=replace(claim, until=until))

    def _update(self, writing: Writing, row: Record, new: Record, *more: str) -> None:
        """Write the columns that differ, and no others."""
        values = changed_values(row, new)
        changes = ", ".join([*(f"{name} = %({name})s" for name in values), *more])
        if changes:
            writing.run(f"UPDATE {{S}}.connection SET {changes} WHERE id = %(row)s", {**values, "row": new.id})  # noqa: S608
        if _INDEXED & values.keys():
            writing.run("DELETE FROM {S}.missing_scope WHERE connection_id = %s", (new.id,))
            self._write_scopes(writing, new)
        writing.changed += dict.fromkeys((row.key, new.key))

    @staticmethod
    def _write_scopes(writing: Writing, record: Record) -> None:
        missing = _rules.missing(record)
        if missing:
            place = (record.key.env, *_rules.sort_key(record.key), record.id)
            writing.run(_SCOPES, (*place, list(missing)))

    @staticmethod
    def _changed(writing: Writing, rows: Sequence[tuple[Any, ...]]) -> int:
        """Have the keys in these rows told; return how many they are."""
        writing.changed += [
            ConnectionKey(env, name, _rules.owner_of(owner), account) for env, name, owner, account in rows
        ]
        return len(rows)

    def _record(self, row: tuple[Any, ...]) -> Record:
        try:
            return _rows.record_of(row, _expired)
        except CorruptRow as error:
            what = f"Connection {row[0]}"
            raise trouble.row_corrupt(self._place, what, str(error), "connection", id=row[0]) from None

    def _listed(self, rows: Sequence[tuple[Any, ...]]) -> Sequence[Record]:
        """Return records, the damaged ones too, and note in the state of those that they are."""
        found: list[Record] = []
        for row in rows:
            try:
                found.append(_rows.record_of(row, _expired))
            except CorruptRow as error:
                part = _rows.readable_part(row, _expired)
                found.append(as_damaged(part, str(error)))
                if not is_noted(part):
                    with suppress(StoreError):  # this is no trouble of whoever reads
                        self._write(lambda writing, part=part: writing.run(_DAMAGED, (part.id,)))  # type: ignore[misc]
        return found


def _expired(_until: float, expired: bool) -> bool:
    return expired
