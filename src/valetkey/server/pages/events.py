"""The audit log: who did what, and what the engine did by itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import urlencode

from starlette.responses import Response, StreamingResponse

from valetkey.engine.history import Wanted, all_back, look_back
from valetkey.model.connections import Event
from valetkey.server.asking import Ask, get
from valetkey.server.views.events import KINDS, as_csv, as_lines, line
from valetkey.server.views.timeline import Told, told_of

PAGE: Final = 50
HERE: Final = "/console/events"
FILTERS: Final = ("connection", "credential", "owner", "kind", "actor")


def _chosen(given: Mapping[str, str]) -> dict[str, str]:
    return {name: value.strip() for name in FILTERS if (value := given.get(name, "")).strip()}


def _wanted(chosen: Mapping[str, str]) -> Wanted:
    return Wanted(
        connection_id=chosen.get("connection", ""),
        credential=chosen.get("credential", ""),
        owner=chosen.get("owner", ""),
        kind=chosen.get("kind", ""),
        actor=chosen.get("actor", ""),
    )


def show(ask: Ask) -> Response:
    """Show a page of events, the newest first."""
    core, given = ask.server.core, ask.request.query_params
    chosen = _chosen(given)
    before = given.get("before", "")
    at = int(before) if before.isdecimal() and len(before) < 19 else None  # noqa: PLR2004 - 64 bits
    seen = look_back(core.store, core.env, _wanted(chosen), before=at, limit=PAGE)
    declared = {credential.name: credential for credential in core.credentials()}
    now = core.clock.now()
    return ask.page(
        "events.html",
        lines=[line(event, declared.get(event.credential), now) for event in seen.items],
        chosen={name: chosen.get(name, "") for name in FILTERS},
        kinds=[(kind, _title(kind)) for kind in KINDS],
        credentials=sorted(declared),
        filters=urlencode(chosen),
        next=urlencode({**chosen, "before": seen.before}) if seen.before is not None else "",
        paged=at is not None,
        short=seen.short,
    )


def _title(kind: str) -> str:
    told: Told = told_of(Event(kind=kind, at=0.0), "")
    return told.title


def export(ask: Ask) -> Response:
    """Send all that match as a file: JSON lines, or CSV."""
    core, given = ask.server.core, ask.request.query_params
    events = all_back(core.store, core.env, _wanted(_chosen(given)))
    if given.get("as") == "csv":
        body, kind, name = as_csv(events), "text/csv; charset=utf-8", "events.csv"
    else:
        body, kind, name = as_lines(events), "application/x-ndjson", "events.jsonl"
    headers = {"content-disposition": f'attachment; filename="valetkey-{name}"'}
    return StreamingResponse(body, media_type=kind, headers=headers)


ROUTES: Final = [get(HERE, show), get(f"{HERE}/export", export)]
