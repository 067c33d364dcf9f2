"""Documents, data keys and events in the Redis store."""

from __future__ import annotations

import secrets
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final

from valetkey.errors import StoreError
from valetkey.model.connections import Document, Event
from valetkey.stores import _rules
from valetkey.stores._redis_base import RedisBase
from valetkey.stores._redis_errors import Conflict, row_corrupt
from valetkey.stores._redis_names import (
    CONNECTION_MARK,
    DOCUMENT_MARK,
    document_member,
    ordered,
    texts_of,
    utf8,
    within,
)
from valetkey.stores._redis_rows import (
    Paper,
    document_fields,
    document_of_member,
    event_at,
    event_text,
    paper_of,
)
from valetkey.stores._redis_steps import Commit, Step
from valetkey.stores._rows import CorruptRow

KEPT_EXPIRED: Final = 86400.0
"""Seconds for which an expired document is kept: its version goes on counting if it is put again (`_rules.put`)."""

KEPT_EVENTS: Final = 100_000
"""About how many events are kept of an environment: memory is dearer than disk."""

KEPT_OF_CONNECTION: Final = 1000
"""About how many of them are kept for one connection."""

_TIDIED: Final = 20
_PAGE: Final = 200


class RedisDocuments(RedisBase):
    """The half of the store that knows nothing of connections."""

    # -- documents

    def get_document(self, kind: str, document_id: str, *, env: str = "") -> Document | None:
        """Return it, unless it is absent or past its `expires_at`."""
        paper, now = self._paper(kind, env, document_id)
        return _rules.alive(paper.document, now) if paper else None

    def put_document(self, document: Document, *, expect: int | None = None) -> Document | None:
        """Store it.  `expect`: the version that must be there now (0: none; None: any).  None: it was not."""

        def attempt() -> tuple[Document | None, float]:
            paper, now = self._paper(document.kind, document.env, document.id)
            current = paper.document if paper else None
            stored = _rules.put(current, document, expect=expect, now=now)
            if stored is not None:
                step = self._begun()
                self._demand_key(step, document.sealed, document.kind)
                self._replace_document(step, paper, stored)
                self._commit(step)
            return stored, now

        stored, now = self._settled(attempt)
        if stored is not None and stored.expires_at is not None:
            self._tidy(now)
        return stored

    def take_document(self, kind: str, document_id: str, *, env: str = "") -> Document | None:
        """Return and remove it in one atomic step: of two takers only one gets it."""

        def attempt() -> Document | None:
            paper, now = self._paper(kind, env, document_id)
            if paper is None:
                return None
            step = self._begun()
            self._replace_document(step, paper, None)
            self._commit(step)
            return _rules.alive(paper.document, now)

        return self._settled(attempt)

    def delete_document(self, kind: str, document_id: str, *, env: str = "") -> bool:
        """Remove it; False when it was not there.  Works for a damaged one too."""
        try:
            return self.take_document(kind, document_id, env=env) is not None
        except StoreError as error:
            if error.code != "row_corrupt":
                raise
        step = self._begun()
        self._erase_unread(step, kind, env, document_id)
        self._commit(step)
        return True

    def list_documents(
        self, kind: str, *, env: str | None = "", after: str = "", limit: int = 1000
    ) -> Sequence[Document]:
        """Return documents of a kind in the order of (env, id), those with an id above `after`; env None: of all."""
        low, high = within() if env is None else within(env)
        if env is not None and after:
            low = b"(" + ordered(env) + utf8(after)
        found: list[Document] = []
        while len(found) < limit:
            step = Step(self._names)
            step.do("ZRANGEBYLEX", self._names.documents(kind), low, high, "LIMIT", 0, _PAGE)
            (members,) = self._read(step).answers
            if not members:
                break
            low = b"(" + members[-1]
            places = [(kind, *texts_of(member)) for member in members]
            papers, now = self._papers([place for place in places if place[2] > after])
            found += [paper.document for paper in papers if paper and _rules.alive(paper.document, now)]
            if len(members) < _PAGE:
                break
        return tuple(found[:limit])

    def _paper(self, kind: str, env: str, document_id: str) -> tuple[Paper | None, float]:
        papers, now = self._papers([(kind, env, document_id)])
        return papers[0], now

    def _papers(self, places: Sequence[tuple[str, ...]]) -> tuple[list[Paper | None], float]:
        step = Step(self._names)
        for kind, env, document_id in places:
            step.do("HGETALL", self._names.document(kind, env, document_id))
        seen = self._read(step)
        return [self._whole(place, answer) for place, answer in zip(places, seen.answers, strict=True)], seen.now

    def _whole(self, place: tuple[str, ...], answer: Sequence[bytes]) -> Paper | None:
        kind, env, document_id = place
        try:
            return paper_of(answer)
        except CorruptRow as error:
            key = self._names.document(kind, env, document_id)
            raise row_corrupt(self.url, f"The {kind} {document_id}", str(error), key, kind=kind) from None

    def _replace_document(self, step: Commit, before: Paper | None, new: Document | None) -> None:
        """Let a step put `new` in the place of what was read, if it still is there; None: erase it."""
        document = new or (before.document if before else None)
        assert document is not None  # noqa: S101 - for the type checker: there is something to replace
        key = self._names.document(document.kind, document.env, document.id)
        member = document_member(document)
        step.check(before.revision if before else None, "HGET", key, "rev")
        step.do("DEL", key)
        if before is not None and before.document.sealed is not None:
            step.do("ZREM", self._names.sealed(before.document.sealed.key_id), member)
        if new is not None:
            step.do("HSET", key, "rev", secrets.token_hex(8), *document_fields(new))
            step.do("ZADD", self._names.documents(new.kind), 0, ordered(new.env) + utf8(new.id))
        else:
            step.do("ZREM", self._names.documents(document.kind), ordered(document.env) + utf8(document.id))
        if new is not None and new.sealed is not None:
            step.do("ZADD", self._names.sealed(new.sealed.key_id), 0, member)
        if new is not None and new.expires_at is not None:
            step.do("ZADD", self._names.expiry, new.expires_at, member)
        elif before is not None and before.document.expires_at is not None:
            step.do("ZREM", self._names.expiry, member)

    def _tidy(self, now: float) -> None:
        """Erase some documents that expired long ago; those that cannot be erased now are left for another time."""
        step = Step(self._names)
        step.do("ZRANGEBYSCORE", self._names.expiry, "-inf", now - KEPT_EXPIRED, "WITHSCORES", "LIMIT", 0, _TIDIED)
        with suppress(StoreError):  # the write before it has succeeded: this is no trouble of whoever wrote
            (found,) = self._read(step).answers
            for member, score in zip(found[::2], found[1::2], strict=True):
                with suppress(Conflict):  # it was put anew
                    self._tidy_one(member, score)

    def _tidy_one(self, member: bytes, score: bytes) -> None:
        place = document_of_member(member)
        step = self._begun()
        step.check(score, "ZSCORE", self._names.expiry, member)
        try:
            paper, _ = self._paper(*place)
        except StoreError as error:
            if error.code not in {"row_corrupt", "store_corrupt"}:
                raise
            paper = None
        if paper is None:  # gone, or damaged: nobody needs what it was
            self._erase_unread(step, *place)
        else:
            self._replace_document(step, paper, None)
        self._commit(step, sync=False)

    def _erase_unread(self, step: Commit, kind: str, env: str, document_id: str) -> None:
        """Let a step erase a document of which nothing can be read, and what names it as far as that is known."""
        step.do("DEL", self._names.document(kind, env, document_id))
        step.do("ZREM", self._names.documents(kind), ordered(env) + utf8(document_id))
        step.do("ZREM", self._names.expiry, document_member(Document(kind=kind, env=env, id=document_id)))

    # -- data keys

    def retire_key(self, key_id: str) -> bool:
        """Remove the ``data_key`` document with that id if nothing is sealed with it any more, atomically."""
        return self._settled(lambda: self._retired(key_id))

    def _retired(self, key_id: str) -> bool:
        paper, now = self._paper(_rules.DATA_KEY, "", key_id)
        members = self._sealed_members(key_id)
        step = self._begun()
        if paper is None or not all(self._given_up(step, key_id, member, now) for member in members):
            return False
        if len(members) == _PAGE:  # so many that have expired: some now, and look again
            self._commit(step)
            raise Conflict
        step.check(len(members), "ZCARD", self._names.sealed(key_id))
        self._replace_document(step, paper, None)
        self._commit(step)
        return True

    def _given_up(self, step: Commit, key_id: str, member: bytes, now: float) -> bool:
        """Let a step forget what no longer needs a data key: it has expired, or is gone.  False: it needs it."""
        if member.startswith(CONNECTION_MARK):
            row, look = self._names.row(member[1:].decode()), Step(self._names)
            look.do("HGET", row, "key_id")
            needs = self._read(look).answers[0]
            step.check(needs, "HGET", row, "key_id")
            step.do("ZREM", self._names.sealed(key_id), member)
            return bool(needs != utf8(key_id))
        kind, env, document_id = document_of_member(member)
        paper, _ = self._paper(kind, env, document_id)
        if paper is None:
            step.check(None, "HGET", self._names.document(kind, env, document_id), "rev")
            step.do("ZREM", self._names.sealed(key_id), member)
            return True
        self._replace_document(step, paper, None)
        return _rules.alive(paper.document, now) is None

    def _sealed_members(self, key_id: str, low: bytes = b"-", high: bytes = b"+", limit: int = _PAGE) -> list[bytes]:
        step = Step(self._names)
        step.do("ZRANGEBYLEX", self._names.sealed(key_id), low, high, "LIMIT", 0, limit)
        members: list[bytes] = self._read(step).answers[0]
        return members

    def _documents_sealed_with(self, key_id: str, limit: int) -> tuple[Document, ...]:
        low, found = b"[" + DOCUMENT_MARK, list[Document]()
        while len(found) < limit:
            members = self._sealed_members(key_id, low, b"(" + CONNECTION_MARK)
            if not members:
                break
            low = b"(" + members[-1]
            papers, now = self._papers([document_of_member(member) for member in members])
            found += [paper.document for paper in papers if paper and _rules.alive(paper.document, now)]
        return tuple(found[:limit])

    def count_sealed(self, key_id: str) -> dict[str, int]:
        """Return how many connections (``connection``) and documents of each kind are sealed with that data key."""
        step = Step(self._names)
        step.do("ZLEXCOUNT", self._names.sealed(key_id), b"[" + CONNECTION_MARK, b"+")
        (rows,) = self._read(step).answers
        kinds = [document.kind for document in self._documents_sealed_with(key_id, sys.maxsize)]
        return {**({"connection": int(rows)} if rows else {}), **Counter(kinds)}

    # -- events

    def append_event(self, event: Event) -> int:
        """Append it; returns its number."""
        step = self._begun()
        self._append(step, event)
        return int(self._commit(step))

    def _append(self, step: Commit, event: Event) -> None:
        """Let a step append an event as well."""
        whole, own = self._names.events(event.env), self._names.events(event.env, event.connection_id)
        step.append(event_text(replace(event, seq=0)), (whole, KEPT_EVENTS), (own, KEPT_OF_CONNECTION))

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
        step, stream = Step(self._names), self._names.events(env, connection_id)
        low, high = f"{max(after, 0) + 1}-0", "+" if before is None else f"({max(before, 0)}-0"
        bounds = ("XREVRANGE", stream, high, low) if newest_first else ("XRANGE", stream, low, high)
        step.do(*bounds, "COUNT", limit)
        entries: Sequence[Any] = self._read(step).answers[0]
        return tuple(event_at(entry) for entry in entries)

    def forget_events(self, *, env: str, owner: str) -> int:
        """Remove all events about an owner, for entries of a stream cannot be changed; returns how many."""
        low, gone = 0, 0
        while page := self.list_events(env=env, after=low, limit=_PAGE):
            low = page[-1].seq
            step = self._begun()
            for event in page:
                if event.owner == owner:
                    step.do("XDEL", self._names.events(env), f"{event.seq}-0")
                    step.do("XDEL", self._names.events(env, event.connection_id), f"{event.seq}-0")
                    gone += 1
            self._commit(step)
        return gone
