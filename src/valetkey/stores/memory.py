"""A store in memory, for tests and for programs that connect anew each time they run."""

from __future__ import annotations

import copy
import json
import secrets
import threading
from collections import Counter
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from valetkey import forks
from valetkey.clock import SystemClock
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
    StoredState,
    altered,
)
from valetkey.model.ports import FORGOTTEN, Clock, KeyRetired
from valetkey.model.troubles import Standings, Trouble
from valetkey.stores import _cursor, _rules
from valetkey.stores._attention import counted, grouped, reasoned
from valetkey.stores._bell import Bell

_DocumentKey = tuple[str, str, str]


class MemoryStore:
    """A store that lives and dies with its process, and is not shared with a forked child: that gets a copy.

    Safe for threads.  Claims are measured by `Clock.monotonic`.

    Args:
        clock: Time; the system's clock by default.
    """

    url: str = "memory:"
    local: bool = True

    def __init__(self, *, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._bell = Bell(self._clock)
        self._lock = threading.RLock()
        self._id = secrets.token_hex(16)
        self._commits = 0
        self._records: dict[str, Record] = {}
        self._ids: dict[ConnectionKey, str] = {}
        self._documents: dict[_DocumentKey, Document] = {}
        self._events: list[Event] = []
        forks.register(self)

    def store_id(self) -> str:
        """Return the id that the store got when it was made."""
        return self._id

    def now(self) -> float:
        """Return Unix seconds."""
        return self._clock.now()

    def close(self) -> None:
        """Do nothing: there are no handles, and what is stored stays."""

    def change_mark(self) -> object:
        """Return the count of commits."""
        return self._commits

    # -- connections

    def load(self, key: ConnectionKey) -> Record | None:
        """Return the record under `key`, or None."""
        with self._lock:
            return self._row(self._ids.get(key, ""))

    def find(self, connection_id: str) -> Record | None:
        """Return the record with that id, or None."""
        with self._lock:
            return self._row(connection_id)

    def create(self, record: Record) -> Record:
        """Store a new record; where its key is taken already, return the one that is there, unchanged."""
        with self._writing():
            there = self.load(record.key)
            if there is not None:
                return there
            if record.id in self._records:
                msg = f"There is a connection with the id {record.id} already, under another key."
                raise StoreError(msg, code="id_taken", hint="Give each connection a new random id.")
            self._demand_key(record.sealed)
            return self._put(altered(record, claim=None))

    def claim(
        self, record: Record, *, holder: str, life: float, spending: str, over: str | None = None, dead: bool = False
    ) -> Record | None:
        """Claim the right to spend the grant of `record`, in one atomic step (R3); see `Store.claim`."""
        with self._writing():
            until = self._clock.monotonic() + life
            row = self._row(record.id)
            new = _rules.claimed(row, record, holder=holder, until=until, spending=spending, over=over, dead=dead)
            return None if new is None else self._put(new)

    def renew(self, record: Record, *, holder: str, life: float) -> bool:
        """Prolong the claim of `holder` on the record's incarnation to `life` seconds from now.  False: not held."""
        with self._writing():
            until = self._clock.monotonic() + life
            new = _rules.renewed(self._row(record.id), record, holder=holder, until=until)
            return new is not None and bool(self._put(new))

    def swap(self, new: Record, *, expect: Expect, event: Event | None = None) -> Record | None:
        """Replace the row of ``new.id`` by `new`, if it is still as expected; clears the claim, and appends `event`.

        The key stays the row's own: a rename that happened meanwhile is kept.

        Raises:
            KeyRetired: `new.sealed` names a data key that the store no longer has.
        """
        with self._writing():
            row = self._row(new.id)
            if row is None or not _rules.as_expected(row, expect):
                return None
            self._demand_key(new.sealed)
            if event is not None:
                self._append(event)
            return self._put(_rules.swapped(row, new))

    def note(self, connection_id: str, *, incarnation: int, changes: Mapping[str, Any]) -> bool:
        """Change side facts of that incarnation, whoever holds the claim.  False: that incarnation is gone.

        Raises:
            ValueError: Something else than a side fact is to be changed.
        """
        with self._writing():
            row = self._row(connection_id)
            if row is None or row.incarnation != incarnation:
                return False
            self._put(_rules.noted(row, changes))
            return True

    def rekey(self, anew: Sequence[tuple[Record, Sealed]]) -> int:
        """Put other sealings of the same grants in place; return for how many what was seen still held."""
        with self._writing():
            return sum(self._rekey_one(record, sealed) for record, sealed in anew)

    def _rekey_one(self, record: Record, sealed: Sealed) -> bool:
        new = _rules.rekeyed(self._row(record.id), record, sealed)
        if new is not None:
            self._demand_key(sealed)
            self._put(new)
        return new is not None

    def rename(self, record: Record, key: ConnectionKey, secret_id: str) -> bool:
        """Give the connection another key.  False: the other key is taken, or the row is gone."""
        with self._writing():
            row = self._row(record.id)
            if row is None or self._ids.get(key, row.id) != row.id:
                return False
            del self._ids[row.key]
            self._put(altered(row, key=key, secret_id=secret_id))
            return True

    def delete(self, record: Record) -> bool:
        """Erase the row with that id and incarnation."""
        with self._writing():
            row = self._records.get(record.id)
            if row is None or row.incarnation != record.incarnation:
                return False
            del self._records[row.id], self._ids[row.key]
            return True

    def list(self, query: Query, *, cursor: str | None = None, limit: int = 100, backwards: bool = False) -> RecordPage:
        """Return one page, in the order of (credential, owner, account, id).  A bad cursor is a ConfigurationError."""
        after = None if cursor is None else _cursor.decode(cursor)
        with self._lock:
            found = [(_rules.sort_key(r.key), r.id) for r in self._records.values() if _rules.matches(r, query)]
            left = [place for place in found if after is None or (place[0] < after if backwards else place[0] > after)]
            names = [name for _, name in sorted(left, reverse=backwards)[: limit + 1]]
            rows = [row for name in names if (row := self._row(name)) is not None]
        return _cursor.page_of(rows, limit, cursor, backwards=backwards)

    def due(self, *, env: str, until: float, limit: int = 100) -> Sequence[Record]:
        """Return up to `limit` records whose `due_at` is not later than `until`, the most urgent first."""
        with self._lock:
            moments = [
                (record.due_at, record.id)
                for record in self._records.values()
                if record.key.env == env and record.due_at is not None and record.due_at <= until
            ]
            return tuple(row for _, name in sorted(moments)[:limit] if (row := self._row(name)) is not None)

    def counts(self, *, env: str, now: float) -> Counts:
        """Return how many connections each credential has in each state."""
        with self._lock:
            return counted((record for record in self._records.values() if record.key.env == env), now)

    def troubles(self, *, env: str, state: StoredState, limit: int = 200) -> Sequence[Trouble]:
        """Return why connections are in a state: the first `limit` of them, summed."""
        return reasoned(self.list(Query(env=env, state=state), limit=limit).items)

    def searches_anywhere(self, search: str = "") -> bool:  # noqa: ARG002 - the protocol's
        """Return True: a search finds any part of a text."""
        return True

    def standings(self, *, env: str, credential: str, now: float) -> Standings:
        """Return how all connections of a credential are, in groups that are alike."""
        with self._lock:
            keys = (env, credential)
            return grouped((one for one in self._records.values() if (one.key.env, one.key.credential) == keys), now)

    def watch(self, tell: Callable[[ConnectionKey | None], None]) -> None:
        """Do nothing: nobody else changes what is in this process's memory."""

    def listens(self) -> bool:
        """Return False: whoever wants to know of changes looks."""
        return False

    def wait_for_change(self, record: Record, timeout: float) -> bool:
        """Return True as soon as the row differs from `record` (claim included) or is gone, False after `timeout` s."""

        def changed() -> bool:
            return _rules.moved_on(self.find(record.id), record)

        return self._bell.wait_until(changed, timeout)

    # -- documents

    def get_document(self, kind: str, document_id: str, *, env: str = "") -> Document | None:
        """Return it, unless it is absent or past its `expires_at`."""
        with self._lock:
            found = _rules.alive(self._documents.get((kind, env, document_id)), self.now())
            return copy.deepcopy(found)

    def put_document(self, document: Document, *, expect: int | None = None) -> Document | None:
        """Store it.  `expect`: the version that must be there now (0: none; None: any).  None: it was not."""
        place = (document.kind, document.env, document.id)
        body = json.loads(json.dumps(dict(document.body)))  # as any store that writes it down would give it back
        with self._writing():
            current = self._documents.get(place)
            stored = _rules.put(current, replace(document, body=body), expect=expect, now=self.now())
            if stored is None:
                return None
            self._demand_key(document.sealed, document.kind)
            self._documents[place] = stored
            return copy.deepcopy(stored)

    def take_document(self, kind: str, document_id: str, *, env: str = "") -> Document | None:
        """Return and remove it in one atomic step: of two takers only one gets it."""
        with self._writing():
            return _rules.alive(self._documents.pop((kind, env, document_id), None), self.now())

    def delete_document(self, kind: str, document_id: str, *, env: str = "") -> bool:
        """Remove it; False when it was not there."""
        return self.take_document(kind, document_id, env=env) is not None

    def list_documents(
        self, kind: str, *, env: str | None = "", after: str = "", limit: int = 1000
    ) -> Sequence[Document]:
        """Return documents of a kind in the order of (env, id), those with an id above `after`; env None: of all."""
        found = self._live_documents(lambda d: d.kind == kind and env in {None, d.env} and d.id > after)
        return found[:limit]

    def _live_documents(self, wanted: Callable[[Document], bool]) -> tuple[Document, ...]:
        with self._lock:
            now = self.now()
            found = [d for d in self._documents.values() if _rules.alive(d, now) and wanted(d)]
            return tuple(copy.deepcopy(d) for d in sorted(found, key=lambda d: (d.kind, d.env, d.id)))

    # -- data keys

    def sealed_with(self, key_id: str, *, limit: int = 100) -> tuple[tuple[Record, ...], tuple[Document, ...]]:
        """Return up to `limit` records and documents sealed with that data key."""
        with self._lock:
            names = sorted(r.id for r in self._records.values() if r.sealed and r.sealed.key_id == key_id)
            records = tuple(row for name in names[:limit] if (row := self._row(name)) is not None)
            return records, self._live_documents(lambda d: d.sealed is not None and d.sealed.key_id == key_id)[:limit]

    def count_sealed(self, key_id: str) -> dict[str, int]:
        """Return how many connections (``connection``) and documents of each kind are sealed with that data key."""
        with self._lock:
            rows = sum(1 for r in self._records.values() if r.sealed and r.sealed.key_id == key_id)
            kinds = [d.kind for d in self._live_documents(lambda d: d.sealed is not None and d.sealed.key_id == key_id)]
        return {**({"connection": rows} if rows else {}), **Counter(kinds)}

    def retire_key(self, key_id: str) -> bool:
        """Remove the ``data_key`` document with that id if nothing is sealed with it any more, atomically."""
        with self._writing():
            records, documents = self.sealed_with(key_id, limit=1)
            if records or documents:
                return False
            return self._documents.pop((_rules.DATA_KEY, "", key_id), None) is not None

    def _demand_key(self, sealed: Sealed | None, kind: str = "") -> None:
        key_id = _rules.data_key_of(sealed, kind)
        if key_id and (_rules.DATA_KEY, "", key_id) not in self._documents:
            msg = f"the store has no data key {key_id}"
            raise KeyRetired(msg)

    # -- events

    def append_event(self, event: Event) -> int:
        """Append it; returns its number."""
        with self._writing():
            return self._append(event)

    def _append(self, event: Event) -> int:
        detail = json.loads(json.dumps(dict(event.detail)))
        number = len(self._events) + 1
        self._events.append(replace(event, seq=number, detail=detail))
        return number

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
        with self._lock:
            later = self._events[max(after, 0) : None if before is None else max(before - 1, 0)]
            found = [e for e in later if e.env == env and connection_id in {None, e.connection_id}]
            chosen = found[::-1][:limit] if newest_first else found[:limit]
            return tuple(copy.deepcopy(event) for event in chosen)

    def forget_events(self, *, env: str, owner: str) -> int:
        """Take owner, account and details out of all events about an owner; returns of how many."""
        with self._writing():
            found = [at for at, event in enumerate(self._events) if (event.env, event.owner) == (env, owner)]
            for at in found:
                self._events[at] = replace(self._events[at], owner=None, account="", detail=FORGOTTEN)
            return len(found)

    # -- inside

    @contextmanager
    def _writing(self) -> Generator[None]:
        with self._lock:
            yield
            self._commits += 1
        self._bell.ring()

    def _row(self, connection_id: str) -> Record | None:
        """Return the record as it is now, with mappings of its own."""
        record = self._records.get(connection_id)
        if record is None:
            return None
        claim = record.claim
        if claim is not None:
            claim = replace(claim, expired=self._clock.monotonic() >= claim.until)
        return altered(record, claim=claim, params=dict(record.params), tags=dict(record.tags))

    def _put(self, record: Record) -> Record:
        """Store the record; what is returned shares nothing with it."""
        self._records[record.id] = altered(record, params=dict(record.params), tags=dict(record.tags))
        self._ids[record.key] = record.id
        return record

    def before_fork(self) -> None:
        """Let no write be half done in the child's copy."""
        self._lock.acquire()

    def after_fork(self, *, in_child: bool) -> None:
        """Go on; in the child with a lock of its own."""
        if in_child:
            self._lock = threading.RLock()
        else:
            self._lock.release()
