"""The store in Redis or Valkey: for many processes on many hosts.

How a write is atomic: the row is read, `_rules` decides in Python, and one Lua script makes sure that nothing of what
was decided from has changed, and only then writes row, indexes and event and tells of it (``_redis_steps``).  If it has
changed, all is decided again.  So the rules stand in one place for all stores, and the script is short enough to be
believed.  The other ways were weighed: rules in Lua would be written twice, and lists fold case as Python does; WATCH
and MULTI bind a transaction to one connection and take a round trip more for each key.  A script works on a cluster as
well: all keys of a store carry one hash tag, and all that it touches are handed to it.

Time is the server's: each read begins with ``TIME``.  A claim that was found expired cannot be prolonged unseen, for
that changes the row.  The server has no clock but that of the wall: when it is set forward, claims run out early, and
when it is set back, late.

Nothing is read from a replica, and nothing is sent twice.  A commit waits until it is in the append-only file on disk
where the server has one and can tell (``WAITAOF``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from typing import Any, Final

from valetkey.errors import StoreError
from valetkey.model.connections import (
    ConnectionKey,
    Document,
    Event,
    Expect,
    Query,
    Record,
    RecordPage,
    Sealed,
    StoredState,
)
from valetkey.model.troubles import Group, Standings, Trouble
from valetkey.stores import _cursor, _rules
from valetkey.stores._attention import grouped, reasoned, together, wants_attention
from valetkey.stores._damage import sifted
from valetkey.stores._redis_connections import RedisConnections
from valetkey.stores._redis_errors import Conflict
from valetkey.stores._redis_lists import Walk, walk
from valetkey.stores._redis_names import CONNECTION_MARK
from valetkey.stores._redis_rows import Row, trouble_in
from valetkey.stores._redis_steps import Commit, Step
from valetkey.stores._rows import CorruptRow

_FIRST_LOOK: Final = 0.005
_LONGEST_LOOK: Final = 0.1
_GROWTH: Final = 1.5
_LISTENING_LOOK: Final = 1.0
"""Seconds after which a row that is waited for is read although nothing was heard of it."""

READ_MOST: Final = 1000
"""How many of an app's connections that are well are read for the ends of their tokens."""
_READ_AT_ONCE: Final = 200
_LOOKS: Final = 8
"""How often a key is followed that leads to a row which has another key meanwhile."""


class RedisStore(RedisConnections):
    """A store in Redis 6.2 or newer, or Valkey, shared by all hosts that reach the server.

    Making one costs no I/O.  It may be used by all threads, and in a forked child.

    Args:
        url: ``redis://user:password@host:6379/0``, ``rediss://`` for TLS, ``valkey://``, ``valkeys://`` or
            ``unix:///run/redis.sock?db=0``.  Options: ``name`` of the store in that database, ``ssl_ca_certs``,
            ``ssl_ca_path``, ``ssl_certfile``, ``ssl_keyfile``, ``client_name``, ``allow_eviction``,
            ``allow_volatile``.
        clock: Time for waiting; claims and expiry go by the server's.
        timeout: Seconds for connecting and for each answer.

    Raises:
        ConfigurationError: The URL cannot be (``store_url``).
    """

    # -- reading

    def load(self, key: ConnectionKey) -> Record | None:
        """Return the record under `key`, read from the primary, or None."""
        for _ in range(_LOOKS):  # renamed between the two readings: look again
            connection_id = self._pointed(key)
            row = self._row(connection_id)[0] if connection_id else None
            if row is None or row.damage or row.record.key == key:
                return None if row is None else self._healthy(row)
        return None

    def find(self, connection_id: str) -> Record | None:
        """Return the record with that id, or None."""
        row, _ = self._row(connection_id)
        return None if row is None else self._healthy(row)

    def list(self, query: Query, *, cursor: str | None = None, limit: int = 100, backwards: bool = False) -> RecordPage:
        """Return one page, in the order of (credential, owner, account, id).

        A damaged row is listed with what can be read of it and the error ``row_corrupt``, as one that needs a person:
        it must not hide the rest.  It is put with those as soon as it is met, so that filters and counts agree.
        """
        position = None if cursor is None else _cursor.decode(cursor)
        found: list[Record] = []
        route: Walk | None = None
        if query.attention_by is None:
            route = walk(self._names, query, position, limit + 1, backwards=backwards)
        else:
            ids = self.wanting_ids(query.env, query.attention_by, position, backwards=backwards)
            found += islice(self._listed(ids, query), limit + 1)
        while route is not None and len(found) <= limit:
            ids, route = self._stride(route)
            found += islice(self._listed(ids, query), limit + 1 - len(found))
        return sifted(_cursor.page_of(found, limit, cursor, backwards=backwards), query)

    def _listed(self, ids: Sequence[str], query: Query) -> Iterator[Record]:
        """Yield those that a query asks for, the damaged ones too, which are put with those that need a person."""
        for row in self._listed_rows(ids):
            if _listed(row, query):
                if row.damage and query.state != "needs_reauth":
                    with suppress(StoreError, Conflict):  # this is no trouble of whoever reads
                        self._note_damage(row.record)
                yield row.whole()

    def troubles(self, *, env: str, state: StoredState, limit: int = 200) -> Sequence[Trouble]:
        """Return why connections are in a state: the first `limit` of them, summed."""
        query = Query(env=env, state=state)
        step, (ids, _) = Step(self._names), self._stride(walk(self._names, query, None, limit))
        step.each([self._names.row(connection_id) for connection_id in ids], "row")  # what is sealed is half of it
        found: Sequence[Sequence[bytes | None]] = self._read(step).answers[0]
        try:
            return together(filter(None, (trouble_in(text, state) for (text,) in found if text is not None)))
        except CorruptRow:
            return reasoned(self.list(query, limit=limit).items)

    def searches_anywhere(self, search: str = "") -> bool:  # noqa: ARG002 - the protocol's
        """Return True: a search finds any part of a text."""
        return True

    def standings(self, *, env: str, credential: str, now: float) -> Standings:
        """Return how all connections of a credential are, in groups that are alike.

        Those that are not well are read; those that are, up to a number, beyond which they are counted only.
        """
        read: list[Record] = []
        groups: list[Group] = []
        unread = 0
        for state, n in self.in_states(env, credential).items():
            if state in {"pending", "disconnected"}:
                groups.append(Group(state=state, n=n))
                continue
            found = self._some(
                Query(env=env, credential=credential, state=state), READ_MOST if state == "connected" else n
            )
            rest = max(n - len(found), 0)
            read += found
            if rest:
                seen = sum(wants_attention(record, now) for record in found)
                soon = min(max(self.soon(env, credential, now) - seen, 0), rest) if state == "connected" else 0
                parts = ((True, soon), (False, rest - soon))
                groups += [Group(state=state, held=True, soon=ends, alive="unread", n=n) for ends, n in parts if n]
                unread += rest
        told = grouped(read, now)
        return Standings(groups=(*told.groups, *groups), owners=told.owners, unread=unread)

    def _some(self, query: Query, most: int) -> Sequence[Record]:
        """Return the first `most` that a query finds."""
        found: list[Record] = []
        cursor: str | None = None
        while len(found) < most:
            page = self.list(query, cursor=cursor, limit=min(most - len(found), _READ_AT_ONCE))
            found += page.items
            cursor = page.cursor
            if cursor is None:
                break
        return found

    def due(self, *, env: str, until: float, limit: int = 100) -> tuple[Record, ...]:
        """Return up to `limit` records whose `due_at` is not later than `until`, the most urgent first."""
        step = Step(self._names)
        step.do("ZRANGEBYSCORE", self._names.due(env), "-inf", until, "LIMIT", 0, limit)
        (ids,) = self._read(step).answers
        records = [row.whole() for row in self._listed_rows([found.decode() for found in ids])]
        late = [record for record in records if record.due_at is not None and record.due_at <= until]
        return tuple(sorted(late, key=lambda record: (record.due_at or 0.0, record.id)))

    def sealed_with(self, key_id: str, *, limit: int = 100) -> tuple[tuple[Record, ...], tuple[Document, ...]]:
        """Return up to `limit` records and documents sealed with that data key."""
        members = self._sealed_members(key_id, b"[" + CONNECTION_MARK, b"+", limit)
        rows = self._listed_rows([found[1:].decode() for found in members])
        records = tuple(row.whole() for row in rows if row.record.sealed and row.record.sealed.key_id == key_id)
        return records, self._documents_sealed_with(key_id, limit)

    def wait_for_change(self, record: Record, timeout: float) -> bool:
        """Return True as soon as the row differs from `record` (claim included) or is gone, False after `timeout` s.

        While the store listens, the row is read when something was heard of it; else again and again.
        """
        with self._ear.attend(record.id) as count:
            patience = _Patience(self._clock.monotonic, count, self.listens)

            def changed() -> bool:
                if not patience.over():
                    return False
                return _rules.moved_on(self.find(record.id), record)

            return self._bell.wait_until(changed, timeout)

    # -- writing

    def create(self, record: Record) -> Record:
        """Store a new record; where its key is taken already, return the one that is there, unchanged."""
        new = replace(record, claim=None)

        def attempt() -> Record:
            pointed = self._pointed(record.key)
            there = self._row(pointed)[0] if pointed else None
            if there is not None:
                return self._healthy(there)
            if pointed != record.id and self._row(record.id)[0] is not None:
                msg = f"There is a connection with the id {record.id} already, under another key."
                raise StoreError(msg, code="id_taken", hint="Give each connection a new random id.")
            step = self._begun()
            step.check(pointed, "GET", self._names.pointer(record.key))
            if pointed:
                step.check(None, "HGET", self._names.row(pointed), "rev")
            self._demand_key(step, record.sealed)
            self._put(step, None, new)
            self._commit(step, record.id, record.key)
            return new

        return self._settled(attempt)

    def claim(
        self, record: Record, *, holder: str, life: float, spending: str, over: str | None = None, dead: bool = False
    ) -> Record | None:
        """Claim the right to spend the grant of `record`, in one atomic step by the server's clock (R3)."""

        def decide(row: Record | None, now: float) -> Record | None:
            until = now + life
            return _rules.claimed(row, record, holder=holder, until=until, spending=spending, over=over, dead=dead)

        return self._changed(record.id, decide)

    def renew(self, record: Record, *, holder: str, life: float) -> bool:
        """Prolong the claim of `holder` on the record's incarnation to `life` seconds from now.  False: not held."""

        def decide(row: Record | None, now: float) -> Record | None:
            return _rules.renewed(row, record, holder=holder, until=now + life)

        return self._changed(record.id, decide) is not None

    def swap(self, new: Record, *, expect: Expect, event: Event | None = None) -> Record | None:
        """Replace the row of ``new.id`` by `new`, if it is still as expected; clears the claim, and appends `event`.

        The key stays the row's own: a rename that happened meanwhile is kept.

        Raises:
            KeyRetired: `new.sealed` names a data key that the store no longer has.
        """

        def decide(row: Record | None, _: float) -> Record | None:
            return _rules.swapped(row, new) if row is not None and _rules.as_expected(row, expect) else None

        return self._changed(new.id, decide, event=event, sealed=new.sealed)

    def note(self, connection_id: str, *, incarnation: int, changes: Mapping[str, Any]) -> bool:
        """Change side facts of that incarnation, whoever holds the claim.  False: that incarnation is gone.

        Raises:
            ValueError: Something else than a side fact is to be changed.
        """

        def decide(row: Record | None, _: float) -> Record | None:
            return None if row is None or row.incarnation != incarnation else _rules.noted(row, changes)

        return self._changed(connection_id, decide) is not None

    def rekey(self, anew: Sequence[tuple[Record, Sealed]]) -> int:
        """Put other sealings of the same grants in place, in steps that are sent together; see `Store.rekey`."""
        done, left = 0, list(anew)

        def attempt() -> int:
            nonlocal done, left
            rows = {row.record.id: row for row in self._rows([record.id for record, _ in left])}
            steps = [step for record, sealed in left if (step := self._rekeying(rows.get(record.id), record, sealed))]
            overtaken = self._commit_all(steps)
            done += len(steps) - len(overtaken)
            left = [(record, sealed) for record, sealed in left if record.id in overtaken]
            if left:
                raise Conflict
            return done

        return self._settled(attempt)

    def _rekeying(self, row: Row | None, record: Record, sealed: Sealed) -> tuple[Commit, Record] | None:
        """Return the step that puts another sealing in place, None where the row has moved on."""
        new = _rules.rekeyed(None if row is None else self._healthy(row), record, sealed)
        if new is None:
            return None
        step = self._begun()
        self._demand_key(step, sealed)
        self._put(step, row, new)
        return step, new

    def rename(self, record: Record, key: ConnectionKey, secret_id: str) -> bool:
        """Give the connection another key.  False: the other key is taken, or the row is gone."""

        def attempt() -> bool:
            pointed = self._pointed(key)
            row, _ = self._row(record.id)
            if row is None or (pointed not in {None, record.id} and self._row(pointed or "")[0] is not None):
                return False
            old = self._healthy(row)
            step = self._begun()
            step.check(pointed, "GET", self._names.pointer(key))
            self._put(step, row, replace(old, key=key, secret_id=secret_id))
            self._commit(step, record.id, *dict.fromkeys([old.key, key]))
            return True

        return self._settled(attempt)

    def delete(self, record: Record) -> bool:
        """Erase the row with that id and incarnation.  Works for a damaged one too."""

        def attempt() -> bool:
            row, _ = self._row(record.id)
            if row is None or row.record.incarnation != record.incarnation:
                return False
            step = self._begun()
            self._put(step, row, None)
            self._commit(step, record.id, row.record.key)
            return True

        return self._settled(attempt)


class _Patience:
    """When a row that is waited for is to be read again."""

    def __init__(self, now: Callable[[], float], count: Callable[[], int], listening: Callable[[], bool]) -> None:
        self._now = now
        self._count = count
        self._listening = listening
        self._seen = -1
        self._next = 0.0
        self._pause = _FIRST_LOOK

    def over(self) -> bool:
        """Whether it is time: something was heard of it, or long enough nothing."""
        now, count = self._now(), self._count()
        if count == self._seen and now < self._next:
            return False
        self._seen = count
        self._next = now + (_LISTENING_LOOK if self._listening() else self._pause)
        self._pause = min(self._pause * _GROWTH, _LONGEST_LOOK)
        return True


def _listed(row: Row, query: Query) -> bool:
    """Whether a row is one that a query asks for; of a damaged one, only its key is known."""
    return _rules.matches(row.record, query) or (bool(row.damage) and row.record.key.env == query.env)
