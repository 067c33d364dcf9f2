"""How often programs called for a connection in the last 24 hours, by API key: who would lose it (SPEC section 6).

A call costs a number in memory.  The numbers are written down now and then, one document for each connection and key,
one for each credential and key, and one for each key; a document goes by itself a day after the last call.  Hours are
counted whole, so "the last 24 hours" begins with the hour in which it was 24 hours ago.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import takewhile
from typing import Final

from valetkey.errors import StoreUnavailable
from valetkey.model.connections import Document
from valetkey.model.paging import each_document
from valetkey.model.ports import Clock, Store

KIND: Final = "api_calls"
BY_KEY: Final = "api_calls_of_key"
BY_APP: Final = "api_calls_of_app"
HOUR: Final = 3600.0
HOURS: Final = 24
MOST: Final = 20_000
"""Pairs of connection and key that are counted in memory; calls of further ones are not, until these are written."""
ROUND: Final = 500
"""Pairs that are written in one go."""
_TRIES: Final = 5
_FEW: Final = 20
"""Connections whose counts are read one by one; for more of them all counts are gone through."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Which API key called for which connection."""

    connection_id: str
    key_id: str

    @property
    def name(self) -> str:
        """The id of its document: those of one connection stand together."""
        return f"{self.connection_id}.{self.key_id}"


class Calls:
    """Counts the calls of one process.  Safe for threads; nothing but `flush` touches the store."""

    def __init__(self, clock: Clock, env: str) -> None:
        self._clock = clock
        self._env = env
        self.reset()

    def reset(self) -> None:
        """Begin with none: in a forked child they are the parent's to write."""
        self._lock = threading.Lock()
        self._counts: dict[Pair, Counter[int]] = {}

    def note(self, connection_id: str, key_id: str) -> None:
        """Count a call."""
        hour = int(self._clock.now() // HOUR)
        pair = Pair(connection_id, key_id)
        with self._lock:
            counted = self._counts.get(pair)
            if counted is None:
                if len(self._counts) >= MOST:
                    return
                counted = self._counts[pair] = Counter()
            counted[hour] += 1

    @property
    def waiting(self) -> int:
        """How many pairs have calls that are not written yet."""
        return len(self._counts)

    def flush(self, store: Store, *, connection_id: str = "") -> None:
        """Write what was counted, of one connection or up to `ROUND` pairs; it is kept where the store fails.

        Raises:
            StoreUnavailable: The store does not answer.
        """
        taken = self._taken(connection_id)
        sums: dict[tuple[str, str], Counter[int]] = {}
        try:
            for pair in list(taken):
                credential = _written(store, self._env, pair, taken[pair], self._clock.now())
                if credential:
                    for place in ((BY_KEY, pair.key_id), (BY_APP, f"{credential}.{pair.key_id}")):
                        sums.setdefault(place, Counter()).update(taken[pair])
                del taken[pair]
            for (kind, name), counted in sums.items():
                _add(store, kind, self._env, name, counted, self._clock.now())
        finally:
            self._put_back(taken)

    def _taken(self, connection_id: str) -> dict[Pair, Counter[int]]:
        with self._lock:
            wanted = [pair for pair in self._counts if connection_id in {"", pair.connection_id}]
            return {pair: self._counts.pop(pair) for pair in wanted[:ROUND]}

    def _put_back(self, left: Mapping[Pair, Counter[int]]) -> None:
        with self._lock:
            for pair, counted in left.items():
                self._counts.setdefault(pair, Counter()).update(counted)


def calls_for(store: Store, env: str, connection_id: str, now: float) -> dict[str, int]:
    """Return how often each API key, by id, called for a connection in the last 24 hours."""
    found = {one.id.rpartition(".")[2]: _sum(one, now) for one in _of(store, env, connection_id)}
    return {key_id: count for key_id, count in found.items() if count}


def calls_for_all(store: Store, env: str, connection_ids: Collection[str], now: float) -> Counter[str]:
    """Return how often each API key, by id, called for any of these connections in the last 24 hours."""
    summed: Counter[str] = Counter()
    if len(connection_ids) <= _FEW:
        for connection_id in connection_ids:
            summed.update(calls_for(store, env, connection_id, now))
        return summed
    wanted = frozenset(connection_ids)
    for document in each_document(store, KIND, env=env):
        connection_id, _, key_id = document.id.rpartition(".")
        if connection_id in wanted:
            summed[key_id] += _sum(document, now)
    return summed


def calls_by_key(store: Store, env: str, now: float) -> dict[str, int]:
    """Return how often each API key, by id, called in the last 24 hours."""
    return {one.id: _sum(one, now) for one in each_document(store, BY_KEY, env=env)}


def calls_of_app(store: Store, env: str, credential: str, now: float) -> dict[str, int]:
    """Return how often each API key, by id, called for connections of a credential in the last 24 hours."""
    found: dict[str, int] = {}
    for document in _of(store, env, credential, BY_APP):
        name, _, key_id = document.id.rpartition(".")
        if name == credential and (count := _sum(document, now)):
            found[key_id] = count
    return found


def drop_calls(store: Store, env: str, connection_id: str) -> None:
    """Erase the counts of a connection."""
    for document in list(_of(store, env, connection_id)):
        store.delete_document(KIND, document.id, env=env)


def _of(store: Store, env: str, name: str, kind: str = KIND) -> Iterator[Document]:
    mark = f"{name}."
    return takewhile(lambda one: one.id.startswith(mark), each_document(store, kind, env=env, after=mark))


def _written(store: Store, env: str, pair: Pair, counted: Mapping[int, int], now: float) -> str:
    """Write the calls for a connection, and return its credential.

    Nothing is left of one that is gone, nor of one that goes meanwhile; its credential is empty then.
    """
    _add(store, KIND, env, pair.name, counted, now)
    there = store.find(pair.connection_id)
    if there is None:
        store.delete_document(KIND, pair.name, env=env)
    return "" if there is None else there.key.credential


def _add(store: Store, kind: str, env: str, name: str, counted: Mapping[int, int], now: float) -> None:
    """Add to a document; other processes add to it too."""
    expires_at = store.now() + (HOURS + 1) * HOUR
    for _ in range(_TRIES):
        known = store.get_document(kind, name, env=env)
        hours = Counter({hour: count for hour, count in _hours(known).items() if _lately(hour, now)})
        hours.update(counted)
        body = {"hours": {str(hour): count for hour, count in hours.items()}}
        new = Document(kind=kind, env=env, id=name, body=body, expires_at=expires_at)
        if store.put_document(new, expect=known.version if known else 0) is not None:
            return
    msg = "the counts of calls could not be written: others write them all the time"
    raise StoreUnavailable(msg, hint="it is tried again by itself")


def _hours(known: Document | None) -> dict[int, int]:
    return {} if known is None else {int(hour): int(count) for hour, count in known.body["hours"].items()}


def _lately(hour: int, now: float) -> bool:
    return hour >= int(now // HOUR) - HOURS


def _sum(document: Document, now: float) -> int:
    return sum(count for hour, count in _hours(document).items() if _lately(hour, now))
