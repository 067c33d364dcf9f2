"""Connections as hashes in Redis, and the sorted sets that lead to them."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Sequence
from typing import Final, get_args

from valetkey.model.connections import ConnectionKey, Event, Record, Sealed, StoredState, attention_at
from valetkey.stores import _rules
from valetkey.stores._redis_counts import RedisCounts
from valetkey.stores._redis_errors import row_corrupt
from valetkey.stores._redis_lists import Walk
from valetkey.stores._redis_names import connection_member, id_in, member, searched, utf8
from valetkey.stores._redis_rows import FIELDS, LISTED, Row, row_fields, row_of
from valetkey.stores._redis_steps import Commit, Step

_ROWS: Final = 200
"""How many rows are read at a time."""


class RedisConnections(RedisCounts):
    """How rows are read, replaced and found."""

    def _changed(
        self,
        connection_id: str,
        decide: Callable[[Record | None, float], Record | None],
        *,
        event: Event | None = None,
        sealed: Sealed | None = None,
    ) -> Record | None:
        """Put in the place of a row what `decide` makes of it by the server's time; None where it makes nothing."""

        def attempt() -> Record | None:
            row, now = self._row(connection_id)
            new = decide(None if row is None else self._healthy(row), now)
            if row is None or new is None:
                return None
            step = self._begun()
            self._demand_key(step, sealed)
            self._put(step, row, new)
            if event is not None:
                self._append(step, event)
            self._commit(step, connection_id, new.key)
            return new

        return self._settled(attempt)

    def _put(self, step: Commit, before: Row | None, new: Record | None) -> None:
        """Let a step put `new` in the place of what was read, if that still is there; None: erase it."""
        old = before.record if before else None
        some = new or old
        assert some is not None  # noqa: S101 - for the type checker: there is something to replace
        key = self._names.row(some.id)
        step.check(before.revision if before else None, "HGET", key, "rev")
        step.do("DEL", key)
        if new is not None:
            step.do("HSET", key, "rev", secrets.token_hex(8), *row_fields(new))
        self._put_name(step, old, new)
        was = self._indexed(old) if old else {}
        now = self._indexed(new) if new else {}
        for (index, found), _ in was.items() - now.items():
            if (index, found) not in now:
                step.do("ZREM", index, found)
        for (index, found), score in now.items() - was.items():
            step.do("ZADD", index, score, found)
        if old is not None and (new is None or new.key != old.key):
            step.do("DEL", self._names.pointer(old.key))
        if new is not None and (old is None or new.key != old.key):
            step.do("SET", self._names.pointer(new.key), new.id)

    def _put_name(self, step: Commit, old: Record | None, new: Record | None) -> None:
        """Let a step put a new name in the place of an old one, where they differ."""
        was, now = (None if one is None else (one.key.env, member(one)) for one in (old, new))
        if old is not None and was != now:
            step.strike(self._names.leaves(old.key.env), member(old))
        if new is not None and (old is None or was != now or searched(old) != searched(new)):
            step.enter(self._names.leaves(new.key.env), member(new), searched(new))

    def _indexed(self, record: Record) -> dict[tuple[bytes, bytes], float]:
        """Return where a record stands: sorted sets and members, with their scores."""
        names, env, place = self._names, record.key.env, member(record)
        places: dict[tuple[bytes, bytes], float] = {
            (names.owned(env, record.key.owner), place): 0,
            (names.in_state(env, record.state), place): 0,
        }
        places.update({(names.lacking(env, scope), place): 0 for scope in _rules.missing(record)})
        if record.sealed is not None:
            places[names.sealed(record.sealed.key_id), connection_member(record.id)] = 0
        if record.due_at is not None:
            places[names.due(env), utf8(record.id)] = record.due_at
        if (moment := attention_at(record)) is not None:
            places[names.attention(env), place] = moment
        return places

    def _note_damage(self, record: Record) -> None:
        """Put a damaged row with those that need a person, in whichever state it stood, unless it is there."""
        env, place = record.key.env, member(record)
        look = Step(self._names)
        look.do("ZSCORE", self._names.in_state(env, "needs_reauth"), place)
        if not env or self._read(look).answers[0] is not None:
            return
        step = self._begun()
        for state in get_args(StoredState):
            step.do("ZREM", self._names.in_state(env, state), place)
        step.do("ZREM", self._names.attention(env), place)
        step.do("ZADD", self._names.in_state(env, "needs_reauth"), 0, place)
        self._commit(step, record.id, record.key)

    def _pointed(self, key: ConnectionKey) -> str | None:
        """Return the id of the connection with that key."""
        step = Step(self._names)
        step.do("GET", self._names.pointer(key))
        found: bytes | None = self._read(step).answers[0]
        return None if found is None else found.decode()

    def _row(self, connection_id: str) -> tuple[Row | None, float]:
        step = Step(self._names)
        step.do("HMGET", self._names.row(connection_id), *FIELDS)
        seen = self._read(step)
        return row_of(connection_id, seen.answers[0], seen.now), seen.now

    def _rows(self, ids: Sequence[str]) -> Iterator[Row]:
        """Yield those connections that are there, to be replaced; they are read as they are needed."""
        yield from (row for _, row in self._parts(ids, FIELDS) if row is not None)

    def _listed_rows(self, ids: Sequence[str]) -> Iterator[Row]:
        """Yield those connections that are there, for a list; they are read as they are needed."""
        for name, part in self._parts(ids, LISTED):
            row = part if part is not None and not part.damage else self._row(name)[0]
            if row is not None:
                yield row

    def _parts(self, ids: Sequence[str], fields: Sequence[str]) -> Iterator[tuple[str, Row | None]]:
        for at in range(0, len(ids), _ROWS):
            step, some = Step(self._names), ids[at : at + _ROWS]
            step.each([self._names.row(connection_id) for connection_id in some], *fields)
            seen = self._read(step)
            for name, answer in zip(some, seen.answers[0], strict=True):
                yield name, row_of(name, answer, seen.now)

    def _stride(self, route: Walk) -> tuple[list[str], Walk | None]:
        """Go one step of a walk: return the ids that were met, and the rest of the walk."""
        step = Step(self._names)
        route.ask(step)
        members, bound = route.answered(self._read(step).answers[0])
        return [id_in(found) for found in members], route.beyond(bound) if bound else None

    def _healthy(self, row: Row) -> Record:
        if row.damage:
            name = row.record.id
            raise row_corrupt(self.url, f"Connection {name}", row.damage, self._names.row(name))
        return row.record
