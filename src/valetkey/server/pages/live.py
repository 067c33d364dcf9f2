"""What changes while a page is open, as server-sent events.

A page that hears nothing is still right: it shows its age and can be loaded again.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any, Final

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response, StreamingResponse

from valetkey.engine.overview import ACTION, by_state, summed
from valetkey.errors import ValetkeyError
from valetkey.server.asking import Ask, get
from valetkey.server.pages.connections import rows_of
from valetkey.server.views.live import row_parts

LOOK_EVERY: Final = 0.5
"""Seconds between two looks: what happens in between is told together."""
PING_EVERY: Final = 15.0
"""Seconds after which a comment keeps proxies from closing the connection."""
LONGEST: Final = 900.0
"""Seconds after which the browser connects anew, and is asked again who it is."""
MOST: Final = 200
"""How many events are told at a time; where there are more, the page is told to load again."""


def show(ask: Ask) -> Response:
    """Tell what happens from now on, or since the event that the browser heard last."""
    last = ask.request.headers.get("last-event-id", "")
    stream = _stream(ask, int(last) if last.isdecimal() and len(last) < 19 else None)  # noqa: PLR2004 - 64 bits
    return StreamingResponse(stream, media_type="text/event-stream", headers={"x-accel-buffering": "no"})


async def _stream(ask: Ask, seen: int | None) -> AsyncIterator[str]:
    yield "retry: 3000\n\n"
    mark: object = None
    began = quiet = asyncio.get_running_loop().time()
    while not await ask.request.is_disconnected():
        now = asyncio.get_running_loop().time()
        if now - began > LONGEST:
            return
        try:
            told, mark, seen = await run_in_threadpool(_look, ask, mark, seen)
        except ValetkeyError:  # the store is away: the browser tries again
            return
        if told is None:  # they signed out
            return
        if told:
            yield f"id: {seen}\nevent: changes\ndata: {json.dumps(told)}\n\n"
            quiet = now
        elif now - quiet > PING_EVERY:
            yield ": still here\n\n"
            quiet = now
        await asyncio.sleep(LOOK_EVERY)


def _look(ask: Ask, mark: object, seen: int | None) -> tuple[dict[str, Any] | None, object, int]:
    """Return what is to be told, if anything, the store's mark, and the number of the last event.

    None is told to those who are not signed in any more.
    """
    store, env = ask.server.core.store, ask.server.core.env
    at = store.change_mark()
    if seen is None:
        newest = store.list_events(env=env, limit=1, newest_first=True)
        return {}, at, newest[0].seq if newest else 0
    if ask.server.sessions.find(ask.operator.token.reveal()) is None:
        return None, at, seen
    if at == mark:
        return {}, mark, seen
    events = store.list_events(env=env, after=seen, limit=MOST)
    if not events:
        return {}, at, seen
    ids = dict.fromkeys(event.connection_id for event in events if event.connection_id)
    return _told(ask, list(ids), many=len(events) == MOST), at, events[-1].seq


def _told(ask: Ask, ids: list[str], *, many: bool) -> dict[str, Any]:
    core = ask.server.core
    now, sick = core.clock.now(), core.app_errors()
    totals = summed(core.store.counts(env=core.env, now=now), sick)
    states = by_state(totals)
    found = [record for one in ids[:MOST] if (record := core.store.find(one)) is not None]
    rows = {row.id: row_parts(row) for row in rows_of(ask, tuple(found), sick)}
    counts: dict[str, int] = {state: n for state, n in states.items()}  # noqa: C416 - a dict of other keys
    counts["action"] = sum(states[state] for state in ACTION)
    return {"now": now, "total": sum(totals.values()), "counts": counts, "rows": rows, "changed": ids, "many": many}


ROUTES: Final = [get("/console/live", show)]
