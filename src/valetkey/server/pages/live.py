"""What changes while a page is open, as server-sent events.

A page that hears nothing is still right: it shows its age and can be loaded again.
"""

from __future__ import annotations

import asyncio
import json
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Sequence
from math import inf
from typing import Any, Final

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response, StreamingResponse

from valetkey.engine.history import newest
from valetkey.engine.overview import ACTION, by_state, summed
from valetkey.errors import ValetkeyError
from valetkey.model.connections import Event
from valetkey.server.asking import Ask, get
from valetkey.server.pages.connections import causes_of, declared_in, in_trouble, rows_of
from valetkey.server.pages.detail import find_one, parts_of
from valetkey.server.views.live import causes_parts, row_parts

LOOK_EVERY: Final = 0.5
"""Seconds between two looks: what happens in between is told together."""
PING_EVERY: Final = 15.0
"""Seconds after which a comment keeps proxies from closing the connection."""
CALM: Final = 2.0
"""Seconds between two looks for what no event tells of, however much is written."""
LONGEST: Final = 900.0
"""Seconds after which the browser connects anew, and is asked again who it is."""
MOST: Final = 200
"""How many events are told at a time; where there are more, the page is told to load again."""


def show(ask: Ask) -> Response:
    """Tell what happens from now on, or since the event that the browser heard last, or knew when it was loaded."""
    last = ask.request.headers.get("last-event-id") or ask.request.query_params.get("after", "")
    seen = int(last) if last.isascii() and last.isdecimal() and len(last) < 19 else None  # noqa: PLR2004 - 64 bits
    one = ask.request.query_params.get("connection")
    watch = _List(ask, seen) if one is None else _One(ask, seen, one)
    return StreamingResponse(_stream(watch), media_type="text/event-stream", headers={"x-accel-buffering": "no"})


async def _stream(watch: _Watch) -> AsyncIterator[str]:
    yield "retry: 3000\n\n"
    began = quiet = asyncio.get_running_loop().time()
    while not await watch.ask.request.is_disconnected():
        now = asyncio.get_running_loop().time()
        if now - began > LONGEST:
            return
        try:
            told = await run_in_threadpool(watch.look)
        except ValetkeyError:  # the store is away: the browser tries again
            return
        if told is None:  # they signed out
            return
        if told:
            yield f"id: {watch.seen}\nevent: changes\ndata: {json.dumps(told)}\n\n"
            quiet = now
        elif now - quiet > PING_EVERY:
            yield ": still here\n\n"
            quiet = now
        await asyncio.sleep(LOOK_EVERY)


class _Watch(ABC):
    """Looks for what has changed; blocking.

    Most of it is told by events; what is held against an app is not.  Lengths of time change by themselves, so what is
    told has a sign, which must differ to be told without an event.
    """

    def __init__(self, ask: Ask, seen: int | None) -> None:
        self.ask = ask
        self.seen = newest(ask.server.core.store, ask.server.core.env) if seen is None else seen
        self._mark: object = None
        self._sign: object = None
        self._looked_at = -inf

    def look(self) -> dict[str, Any] | None:
        """Return what is to be told, if anything; None to those who are not signed in any more."""
        core = self.ask.server.core
        if self.ask.server.sessions.find(self.ask.operator.token.reveal()) is None:
            return None
        at = core.store.change_mark()
        if at == self._mark:
            return {}
        events = core.store.list_events(env=core.env, after=self.seen, limit=MOST)
        if not events and time.monotonic() - self._looked_at < CALM:
            return {}
        first, self._looked_at = self._mark is None, time.monotonic()
        self._mark = at
        told, sign = self.told(events)
        changed, self._sign = sign != self._sign and not first, sign
        self.seen = events[-1].seq if events else self.seen
        return {"now": core.clock.now(), **told} if changed or self.concerned(events) else {}

    @abstractmethod
    def told(self, events: Sequence[Event]) -> tuple[dict[str, Any], object]:
        """Return how it is now, and the sign of that."""

    @abstractmethod
    def concerned(self, events: Sequence[Event]) -> bool:
        """Whether events are to be told in any case."""


class _List(_Watch):
    """Looks for the list of connections: its rows, its figures, what is behind them."""

    def told(self, events: Sequence[Event]) -> tuple[dict[str, Any], object]:
        """Return the rows of what events are about, and the rest whole."""
        core = self.ask.server.core
        ids = list(dict.fromkeys(event.connection_id for event in events if event.connection_id))
        declared = declared_in(core)
        sick = core.app_errors(declared.values())
        totals = summed(core.store.counts(env=core.env, now=core.clock.now()), sick)
        states = by_state(totals)
        found = [record for one in ids if (record := core.store.find(one)) is not None]
        causes = causes_of(self.ask, totals, sick, declared)
        counts = {**{str(state): n for state, n in states.items()}, "action": sum(states[state] for state in ACTION)}
        told = {
            "total": sum(totals.values()),
            "counts": counts,
            "causes": causes_parts(self.ask.url, causes, in_trouble(states)),
            "rows": {row.id: row_parts(row) for row in rows_of(self.ask, tuple(found), sick, declared)},
            "changed": ids,
            "many": len(events) == MOST,
        }
        return told, (counts, [(cause.title, cause.n, cause.next_try and cause.next_try.iso) for cause in causes])

    def concerned(self, events: Sequence[Event]) -> bool:
        """Whether there are any."""
        return bool(events)


class _One(_Watch):
    """Looks for the page of one connection."""

    def __init__(self, ask: Ask, seen: int | None, connection_id: str) -> None:
        super().__init__(ask, seen)
        self._id = connection_id

    def told(self, events: Sequence[Event]) -> tuple[dict[str, Any], object]:
        """Return the parts of the page that change; where the connection is gone, that."""
        del events
        there = find_one(self.ask, self._id)
        if there is None:
            return {"gone": True}, None
        record, _, status = there
        sign = (status.state, status.reason, record.error, record.failures, record.next_try_at, record.version)
        return parts_of(self.ask, *there), sign

    def concerned(self, events: Sequence[Event]) -> bool:
        """Whether one of them is about this connection."""
        return any(event.connection_id == self._id for event in events)


ROUTES: Final = [get("/console/live", show)]
