"""Doing the same to a selection, or to all that match: asked here, begun here, looked at here, stopped here."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import Final

from starlette.responses import JSONResponse, Response

from valetkey.engine.bulk import Act, Bulk, Job, JobKind, find_job, stop_job
from valetkey.engine.bulk_acts import Linking, disconnecting, has_links, refreshing, take_links
from valetkey.engine.consequences_of_many import many, of_disconnects
from valetkey.engine.leaving import leaves_last
from valetkey.engine.overview import WorstFirst
from valetkey.model.connections import Event, Record
from valetkey.server.addresses import home
from valetkey.server.asking import Ask, get, post
from valetkey.server.notices import go_with, told
from valetkey.server.pages.connections import HERE as LIST
from valetkey.server.pages.connections import Filters
from valetkey.server.pages.detail import actor
from valetkey.server.pages.links import LIVES
from valetkey.server.views.jobs import SAID, causes, links_file, progress, title, to_object

HERE: Final = "/console/jobs"
MOST: Final = 1000
"""How many connections can be ticked, and for how many one job makes links: they are kept in one piece."""
_PAGE: Final = 500


class _Nothing(Exception):
    """There is nothing to begin with; the answer says why."""

    def __init__(self, answer: Response) -> None:
        super().__init__()
        self.answer = answer


class _Wanted:
    """What a form asks for: what was ticked, or all that match."""

    def __init__(self, ask: Ask) -> None:
        self.filters = Filters({name: str(value) for name, value in ask.form.items()})
        self.ids = list(dict.fromkeys(str(one) for one in ask.form.getlist("id")))[:MOST]
        self.every = ask.field("of") == "all"
        if not self.every and not self.ids:
            raise _Nothing(self.back(ask, "Nothing was ticked."))
        self.records = tuple(_matching(ask, self.filters) if self.every else _chosen(ask, self.ids))
        if not self.records:
            raise _Nothing(self.back(ask, "No connection matches any more."))

    def back(self, ask: Ask, why: str) -> Response:
        return go_with(ask, f"{LIST}?{self.filters.address()}", "warn", why)

    @property
    def what(self) -> str:
        return _what(len(self.records), self.filters) if self.every else _many(len(self.records), "ticked ")


def _with(do: Callable[[Ask, _Wanted], Response]) -> Callable[[Ask], Response]:
    def handle(ask: Ask) -> Response:
        try:
            wanted = _Wanted(ask)
        except _Nothing as nothing:
            return nothing.answer
        return do(ask, wanted)

    return handle


def begin(ask: Ask, wanted: _Wanted) -> Response:
    """Begin to refresh, and lead to the job's page."""
    return _begun(ask, wanted, "refresh", refreshing(ask.server.core.acting(actor(ask))))


def _never(_: Record) -> bool:
    return False


def _begun(
    ask: Ask, wanted: _Wanted, kind: JobKind, act: Act, over: Callable[[Job], None] = lambda _: None
) -> Response:
    core = ask.server.core
    acting = core.acting(actor(ask))
    last = partial(leaves_last, acting) if kind == "disconnect" else _never
    bulk = Bulk.begin(acting, core.env, core.flights.call, act, kind=kind, what=wanted.what, by=actor(ask), last=last)
    _note(ask, f"{kind}_job", job=bulk.job.id, connections=len(wanted.records))
    # A daemon: the end of the program does not wait for thousands of connections, only for those under way.
    run = threading.Thread(
        target=bulk.run, args=(wanted.records,), kwargs={"over": over}, name="valetkey-job", daemon=True
    )
    run.start()
    return ask.go(f"{HERE}/{bulk.job.id}")


def _note(ask: Ask, kind: str, **detail: object) -> None:
    core = ask.server.core
    core.store.append_event(Event(kind=kind, at=core.clock.now(), env=core.env, actor=actor(ask), detail=detail))


def ask_links(ask: Ask, wanted: _Wanted) -> Response:
    """Ask how long the links shall live."""
    if len(wanted.records) > MOST:
        return wanted.back(ask, f"One job makes links for {MOST:,} connections at most: narrow what is listed.")
    return ask.page("job-links.html", wanted=wanted, n=len(wanted.records), lives=LIVES)


def begin_links(ask: Ask, wanted: _Wanted) -> Response:
    """Begin to make a connect link for each."""
    if len(wanted.records) > MOST:
        return ask_links(ask, wanted)
    core, desk, by = ask.server.core, ask.server.desk, actor(ask)
    life = float(ask.field("expires_in") if ask.field("expires_in") in LIVES else "86400")
    acting = core.acting(by)
    linking = Linking(
        world=acting,
        env=core.env,
        make=lambda key: desk.new_link(key, (), None, life, world=acting, created_by=by),
    )
    return _begun(ask, wanted, "links", linking.act, linking.keep)


def ask_disconnect(ask: Ask, wanted: _Wanted) -> Response:
    """Say what disconnecting these would do, and ask for their number."""
    return _asked(ask, wanted, "")


def _asked(ask: Ask, wanted: _Wanted, trouble: str) -> Response:
    core = ask.server.core
    total = core.call(lambda: of_disconnects(core.world, core.env, wanted.records))
    return ask.page(
        "job-disconnect.html",
        status=422 if trouble else 200,
        wanted=wanted,
        n=len(wanted.records),
        total=total,
        trouble=trouble,
    )


def begin_disconnect(ask: Ask, wanted: _Wanted) -> Response:
    """Begin to disconnect, once their number was typed."""
    n = len(wanted.records)
    if ask.field("confirm").strip().replace(",", "") != str(n):
        return _asked(ask, wanted, f"That is not their number, which is {n:,} now. Nothing was changed.")
    return _begun(ask, wanted, "disconnect", disconnecting(ask.server.core.acting(actor(ask))))


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
    for connection_id in ids:
        record = core.store.find(connection_id)
        if record is not None and record.key.env == core.env:
            yield record


def _what(n: int, filters: Filters) -> str:
    # Not which owner, and not what was searched for: what a job is called outlives what is forgotten.
    said = ", ".join(
        f"of one {name}" if name == "owner" else "of a search" if name == "q" else f"{name} {value}"
        for name, value in filters.chosen.items()
    )
    return many(n) + (f": {said}" if said else "")


def _many(n: int, which: str) -> str:
    return many(n).replace(" ", f" {which}", 1)


def _find(ask: Ask) -> Job | None:
    core = ask.server.core
    return find_job(core.world, core.env, str(ask.request.path_params["id"]))


def show(ask: Ask) -> Response:
    """Show how far a job is."""
    job, core = _find(ask), ask.server.core
    if job is None:
        return ask.page("not-found.html", status=404)
    declared = {credential.name: credential for credential in core.credentials()}
    return ask.page(
        "job.html",
        job=job,
        title=title(job),
        name=SAID[job.kind].name,
        causes=causes(job, declared),
        progress=progress(job, core.store.now()),
        links=job.state != "running" and has_links(core.world, core.env, job.id),
        told=told(ask),
    )


def look(ask: Ask) -> Response:
    """Tell a page that is open how far the job is."""
    job = _find(ask)
    if job is None:
        return JSONResponse({"state": "gone"}, status_code=404)
    return JSONResponse(to_object(job, ask.server.core.store.now()))


def stop(ask: Ask) -> Response:
    """Have a job begin with no further connection."""
    job, core = _find(ask), ask.server.core
    if job is None:
        return ask.page("not-found.html", status=404)
    stop_job(core.world, core.env, job.id)
    return ask.go(f"{HERE}/{job.id}")


def fetch_links(ask: Ask) -> Response:
    """Hand out the addresses that a job made, once, as a file; nobody can show them again."""
    job, core = _find(ask), ask.server.core
    if job is None:
        return ask.page("not-found.html", status=404)
    declared = {credential.name: credential for credential in core.credentials()}
    made = core.call(lambda: list(take_links(core.world, core.env, job.id)))
    if not made:
        why = "The links were downloaded before. Create others: that withdraws these."
        return go_with(ask, f"{HERE}/{job.id}", "warn", "There is nothing to download.", why)
    _note(ask, "links_fetched", job=job.id, connections=len(made))
    headers = {"cache-control": "no-store", "content-disposition": f'attachment; filename="connect-links-{job.id}.csv"'}
    return Response(links_file(made, declared, f"{home(ask)}/connect/"), media_type="text/csv", headers=headers)


def back(ask: Ask) -> Response:
    """Lead to the list: what was asked on such a page is gone when it is opened anew, after a sign-in say."""
    return ask.go(LIST)


ROUTES: Final = [
    post(HERE, _with(begin)),
    get(f"{HERE}/ask/{{what}}", back),
    post(f"{HERE}/ask/links", _with(ask_links)),
    post(f"{HERE}/ask/disconnect", _with(ask_disconnect), fresh=True),
    post(f"{HERE}/links", _with(begin_links)),
    post(f"{HERE}/disconnect", _with(begin_disconnect), fresh=True),
    get(f"{HERE}/{{id}}", show),
    get(f"{HERE}/{{id}}/progress", look),
    post(f"{HERE}/{{id}}/stop", stop),
    post(f"{HERE}/{{id}}/links", fetch_links),
]
