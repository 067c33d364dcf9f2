"""Refreshing a selection, or all that match: begun here, looked at here, stopped here."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Final

from starlette.responses import JSONResponse, Response

from valetkey.engine.bulk import Bulk, Job, find_job, stop_job
from valetkey.engine.overview import WorstFirst
from valetkey.model.connections import Event, Record
from valetkey.server.asking import Ask, get, post
from valetkey.server.notices import go_with
from valetkey.server.pages.connections import HERE as LIST
from valetkey.server.pages.connections import Filters
from valetkey.server.pages.detail import actor
from valetkey.server.views.jobs import causes, progress, to_object

HERE: Final = "/console/jobs"
MOST: Final = 1000
"""How many connections can be ticked."""
_PAGE: Final = 500


def begin(ask: Ask) -> Response:
    """Begin to refresh what was ticked, or all that match, and lead to its page."""
    core = ask.server.core
    filters = Filters({name: str(value) for name, value in ask.form.items()})
    ids = [str(one) for one in ask.form.getlist("id")][:MOST]
    every = ask.field("of") == "all"
    if not every and not ids:
        return go_with(ask, f"{LIST}?{filters.address()}", "warn", "Nothing was ticked.")
    records = list(_matching(ask, filters) if every else _chosen(ask, ids))
    if not records:
        return go_with(ask, f"{LIST}?{filters.address()}", "warn", "No connection matches any more.")
    what = _what(len(records), filters) if every else _many(len(records), "ticked ")
    bulk = Bulk.begin(core.acting(actor(ask)), core.env, core.flights.call, what=what, by=actor(ask))
    detail = {"job": bulk.job.id, "connections": len(records)}
    event = Event(kind="refresh_job", at=core.clock.now(), env=core.env, actor=actor(ask), detail=detail)
    core.store.append_event(event)
    # A daemon: the end of the program does not wait for thousands of refreshes, only for those under way.
    threading.Thread(target=bulk.run, args=(records,), name="valetkey-job", daemon=True).start()
    return ask.go(f"{HERE}/{bulk.job.id}")


def _matching(ask: Ask, filters: Filters) -> Iterator[Record]:
    core = ask.server.core
    lists = WorstFirst(
        store=core.store,
        query=filters.query(core.env),
        wanted=filters.wanted,
        sick=core.app_errors(),
        now=core.clock.now(),
    )
    cursor: str | None = None
    while True:
        page = lists.page(cursor, _PAGE)
        yield from page.items
        cursor = page.cursor
        if cursor is None:
            return


def _chosen(ask: Ask, ids: list[str]) -> Iterator[Record]:
    core = ask.server.core
    for connection_id in dict.fromkeys(ids):
        record = core.store.find(connection_id)
        if record is not None and record.key.env == core.env:
            yield record


def _what(n: int, filters: Filters) -> str:
    # Not which owner, and not what was searched for: what a job is called outlives what is forgotten.
    said = ", ".join(
        f"of one {name}" if name == "owner" else "of a search" if name == "q" else f"{name} {value}"
        for name, value in filters.chosen.items()
    )
    return f"{_many(n)}" + (f": {said}" if said else "")


def _many(n: int, which: str = "") -> str:
    return f"1 {which}connection" if n == 1 else f"{n:,} {which}connections"


def _find(ask: Ask) -> Job | None:
    core = ask.server.core
    return find_job(core.world, core.env, str(ask.request.path_params["id"]))


def show(ask: Ask) -> Response:
    """Show how far a job is."""
    job, core = _find(ask), ask.server.core
    if job is None:
        return ask.page("not-found.html", status=404)
    declared = {credential.name: credential for credential in core.credentials()}
    return ask.page("job.html", job=job, causes=causes(job, declared), progress=progress(job, core.clock.now()))


def look(ask: Ask) -> Response:
    """Tell a page that is open how far the job is."""
    job = _find(ask)
    if job is None:
        return JSONResponse({"state": "gone"}, status_code=404)
    return JSONResponse(to_object(job, ask.server.core.clock.now()))


def stop(ask: Ask) -> Response:
    """Have a job begin no further refresh."""
    job, core = _find(ask), ask.server.core
    if job is None:
        return ask.page("not-found.html", status=404)
    stop_job(core.world, core.env, job.id)
    return ask.go(f"{HERE}/{job.id}")


ROUTES: Final = [
    post(HERE, begin),
    get(f"{HERE}/{{id}}", show),
    get(f"{HERE}/{{id}}/progress", look),
    post(f"{HERE}/{{id}}/stop", stop),
]
