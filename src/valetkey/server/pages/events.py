"""The audit log: who did what, and what the engine did by itself."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response, StreamingResponse

from valetkey.engine.history import KINDS, History
from valetkey.model.connections import Event
from valetkey.model.credentials import OAuth2Credential
from valetkey.server.asking import Ask, get
from valetkey.server.pages.event_filters import LASTS, LogFilters
from valetkey.server.views.events import PLACES, as_csv, as_lines, line
from valetkey.server.views.timeline import Told, told_of

PAGE: Final = 50
HERE: Final = "/console/events"


def show(ask: Ask) -> Response:
    """Show a page of events, the newest first."""
    core, given = ask.server.core, ask.request.query_params
    now, declared = core.clock.now(), _declared(ask)
    filters = LogFilters(given, now)
    history = History(store=core.store, env=core.env, wanted=filters.wanted(declared))
    before, after = _number(given.get("before", "")), _number(given.get("after", ""))
    seen = history.back(before, PAGE) if after is None else history.forth(after, PAGE)
    if after is not None and seen.after is None:  # it may hold few, for others came since: show the newest page whole
        return ask.go(f"{HERE}?{filters.address()}")
    return ask.page(
        "events.html",
        status=400 if filters.trouble else 200,
        lines=[line(event, declared.get(event.credential), now) for event in seen.items],
        filters=filters,
        kinds=[(kind, _title(kind)) for kind in KINDS],
        names=[(name, name) for name in sorted(declared)],
        origins=PLACES,
        lasts=[(name, words) for name, (words, _) in LASTS.items()],
        query=filters.address(),
        next=filters.address(before=seen.before) if seen.before is not None else "",
        previous=filters.address(after=seen.after) if seen.after is not None else "",
        paged=before is not None or after is not None,
        short=seen.short,
    )


def _declared(ask: Ask) -> dict[str, OAuth2Credential]:
    return {credential.name: credential for credential in ask.server.core.credentials()}


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else None  # noqa: PLR2004 - 64 bits


def _title(kind: str) -> str:
    told: Told = told_of(Event(kind=kind, at=0.0), "")
    return told.title


def export(ask: Ask) -> Response:
    """Send all that match as a file: JSON lines, or CSV."""
    core, given = ask.server.core, ask.request.query_params
    filters = LogFilters(given, core.clock.now())
    if filters.trouble:  # a file of something else than what was asked for would be taken for it
        return ask.go(f"{HERE}?{ask.request.url.query}")
    events = History(store=core.store, env=core.env, wanted=filters.wanted(_declared(ask))).all()
    if given.get("as") == "csv":
        body, kind, name = as_csv(events), "text/csv; charset=utf-8", "events.csv"
    else:
        body, kind, name = as_lines(events), "application/x-ndjson", "events.jsonl"
    headers = {"content-disposition": f'attachment; filename="valetkey-{name}"'}
    return StreamingResponse(body, media_type=kind, headers=headers)


ROUTES: Final = [get(HERE, show), get(f"{HERE}/export", export)]
