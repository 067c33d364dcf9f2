"""``/v1/events``: as pages, and as a stream of server-sent events."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterable, AsyncIterator
from dataclasses import replace
from http import HTTPStatus
from math import inf
from typing import Annotated, Any, Final

import anyio
from fastapi import APIRouter, Depends, Header, Query, Request
from fastapi.sse import EventSourceResponse, ServerSentEvent
from starlette.concurrency import run_in_threadpool

from valetkey.engine.api_keys import KIND
from valetkey.engine.history import Wanted
from valetkey.errors import ValetkeyError
from valetkey.logs import get_logger
from valetkey.model.connections import Event
from valetkey.server.api import models, shapes
from valetkey.server.api.caller import Caller, Reader
from valetkey.server.api.finding import find_events
from valetkey.server.api.problems import Refusal, problems

router: Final = APIRouter(prefix="/events", tags=["Events"])
LOOK: Final = 0.5
"""Seconds between looks for what is new."""
LASTS: Final = 600.0
"""Seconds after which a stream ends; its reader comes again and goes on where it was."""
MOST_STREAMS: Final = 64
"""How many streams a process serves at once."""
_PAGE: Final = 200
_log = get_logger("server")


@router.get("", summary="List events", responses=problems(404))
def list_events(caller: Reader, wanted: Annotated[models.EventFilter, Query()]) -> models.EventPage:
    """Return what happened to the connections that the key may see, oldest first.

    Scope: `read`.  Go on with `after` of the last answer; there may be more although `items` is short.
    """
    if wanted.connection is not None:
        caller.record(wanted.connection)
    events, after, more = find_events(
        caller.server.core.store,
        caller.key,
        caller.server.core.env,
        after=wanted.after,
        limit=wanted.limit,
        wanted=_wanted(wanted, identities=caller.key.identities),
    )
    items = [shapes.of_event(event, identities=caller.key.identities) for event in events]
    return models.EventPage(items=items, after=after, more=more)


def _wanted(given: models.EventFilter, *, identities: bool) -> Wanted:
    """Return what was asked for.  A search looks at what the key may read, and at nothing else."""
    text = (given.search or "").lower()

    def says(event: Event) -> bool:
        shown = shapes.of_event(event, identities=identities)
        plain = (shown.kind, shown.credential, shown.owner or "", shown.account, shown.actor)
        return any(text in one.lower() for one in (*plain, json.dumps(shown.detail, ensure_ascii=False)))

    everything = Wanted(
        connection_id=given.connection or "",
        credential=given.credential or "",
        owner=given.owner or "",
        kind=given.kind or "",
        origin=given.origin or "",
        since=-inf if given.since is None else given.since,
        until=inf if given.until is None else given.until,
    )
    return replace(everything, also=says) if text else everything


async def _a_place(request: Request) -> AsyncIterator[None]:
    """Hold one of the places for streams."""
    places: anyio.CapacityLimiter = request.app.state.streams
    if places.available_tokens < 1:
        raise Refusal(
            HTTPStatus.SERVICE_UNAVAILABLE,
            "this server has no more room for streams of events",
            code="streams_full",
            hint="read GET /v1/events now and then instead",
            retry_after=10.0,
        )
    async with places:
        yield


_STREAM: Final[dict[str, Any]] = {
    "description": "Server-sent events: `id` is the event's number, `event` its kind, `data` the event as JSON."
}


@router.get(
    "/stream",
    summary="Stream events",
    response_class=EventSourceResponse,
    dependencies=[Depends(_a_place)],
    responses={**problems(), 200: _STREAM},
)
async def stream_events(
    caller: Reader,
    after: Annotated[
        int | None, Query(description="Begin after this number; default: with what is new.", ge=0, le=2**62)
    ] = None,
    last_event_id: Annotated[
        str | None,
        Header(description="What a reader that lost the stream sends: it goes on after that.", pattern=r"^\d{1,18}$"),
    ] = None,
) -> AsyncIterable[ServerSentEvent]:
    """Tell events as they happen.

    Scope: `read`.  A comment comes every 15 seconds while nothing happens.  The stream ends after ten minutes, and when
    its key is revoked or ends; readers come again by themselves, with `Last-Event-ID`.
    """
    given = int(last_event_id) if last_event_id is not None else after
    watch = _Watch(caller, given)
    yield ServerSentEvent(comment="connected", retry=1000)
    ends = time.monotonic() + LASTS
    while time.monotonic() < ends:
        try:
            events = await run_in_threadpool(watch.look)
        except ValetkeyError as error:  # the store is away, say: the reader comes again, and misses nothing
            _log.warning("a stream of events ended: %s", error)
            return
        if events is None:
            return
        for event in events:
            shown = shapes.of_event(event, identities=caller.key.identities)
            yield ServerSentEvent(data=shown, event=shown.kind, id=str(shown.seq))
        await anyio.sleep(LOOK)


class _Watch:
    """Looks for new events; blocking."""

    def __init__(self, caller: Caller, after: int | None) -> None:
        self._caller = caller
        self._store = caller.server.core.store
        self._after = after
        self._mark: object = None

    def _lives(self) -> bool:
        """Whether the key is still good."""
        core, key = self._caller.server.core, self._caller.key
        return not key.ended(core.clock.now()) and self._store.get_document(KIND, key.id, env=core.env) is not None

    def look(self) -> list[Event] | None:
        """Return what is new since the last look; None where the key is good no more."""
        if not self._lives():
            return None
        env = self._caller.server.core.env
        if self._after is None:
            newest = self._store.list_events(env=env, limit=1, newest_first=True)
            self._after = newest[0].seq if newest else 0
        mark = self._store.change_mark()
        if mark == self._mark:
            return []
        events, self._after, more = find_events(self._store, self._caller.key, env, after=self._after, limit=_PAGE)
        self._mark = None if more else mark
        return events
