"""One owner: its connections and latest events; and forgetting it for good."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from valetkey.engine.consequences import Consequence, of_forget
from valetkey.engine.history import History, Wanted
from valetkey.engine.overview import ACTION, WorstFirst
from valetkey.errors import ConfigurationError, ValetkeyError, clean
from valetkey.model.connections import Event, Query
from valetkey.model.credentials import OAuth2Credential
from valetkey.model.wiring import check_owner
from valetkey.server.asking import Ask, get, post
from valetkey.server.notices import go_after, go_with, told
from valetkey.server.pages.connections import declared_in, rows_of
from valetkey.server.pages.detail import actor
from valetkey.server.views.timeline import timeline

HERE: Final = "/console/owner"
PAGE: Final = 100
LATELY: Final = 8


def _owner(ask: Ask) -> str:
    """Return the owner that address or form names; empty where it is none."""
    given = ask.field("id") or ask.request.query_params.get("id") or None
    try:
        return check_owner(given, OAuth2Credential(name="any"), kept=True) or ""
    except ConfigurationError:
        return ""


def show(ask: Ask) -> Response:
    """Show what an owner has."""
    core, owner = ask.server.core, _owner(ask)
    declared = declared_in(core)
    now, sick = core.clock.now(), core.app_errors(declared.values())
    lists = WorstFirst(store=core.store, query=Query(env=core.env, owner=owner), sick=sick, now=now)
    after, before = (ask.request.query_params.get(name, "") for name in ("after", "before"))
    found = lists.page(before or after or None, PAGE, backwards=bool(before)) if owner else None
    seen = History(store=core.store, env=core.env, wanted=Wanted(owner=owner)).back(None, LATELY) if owner else None
    if found is None or seen is None or not (found.items or seen.items):
        return ask.page("not-found.html", status=404)
    rows = rows_of(ask, found.items, sick, declared)
    return ask.page(
        "owner.html",
        owner=owner,
        rows=rows,
        before=found.before,
        next=found.cursor,
        action=sum(row.state in ACTION for row in rows),
        lately=timeline(seen.items, "the provider", now),
        told=told(ask),
    )


def confirm(ask: Ask) -> Response:
    """Show what forgetting an owner would do, and ask for its id."""
    return _asked(ask, "")


def _asked(ask: Ask, trouble: str) -> Response:
    core, owner = ask.server.core, _owner(ask)
    ask.server.calls.flush()
    found = of_forget(core.world, owner, core.env) if owner else ()
    if not found:
        return ask.page("not-found.html", status=404)
    return ask.page(
        "owner-forget.html",
        status=422 if trouble else 200,
        owner=owner,
        n=len(found),
        consequences=[(one.connection, [line for line in one.lines if _own(line)]) for one in found],
        trouble=trouble,
    )


def _own(line: Consequence) -> bool:
    """Whether a consequence of a disconnect is one of forgetting too, and differs between connections."""
    return line.place in {"provider", "others", "lives"}


def forget(ask: Ask) -> Response:
    """Withdraw and erase everything of an owner, once its id was typed."""
    core, owner = ask.server.core, _owner(ask)
    if not owner or ask.field("confirm") not in {owner, clean(owner)}:  # the second is what the page could show of it
        return _asked(ask, "That is not the id of this owner. Nothing was changed.")
    try:
        done = core.call(lambda: ask.server.desk.forget(owner, actor=actor(ask)))
    except ValetkeyError as error:
        return go_after(ask, "/console/connections", error)
    living = sum(bool(one.may_live) for one in done)
    now = core.clock.now()
    detail = {"connections": len(done), "may_live": living}
    core.store.append_event(Event(kind="owner_forgotten", at=now, env=core.env, actor=actor(ask), detail=detail))
    said = " ".join(dict.fromkeys(one.told for one in done))
    return go_with(ask, "/console/connections", "warn" if living else "ok", "The owner is forgotten.", said)


ROUTES: Final = [
    get(HERE, show),
    get(f"{HERE}/forget", confirm, grade="everything", fresh=True),
    post(f"{HERE}/forget", forget, grade="everything", fresh=True),
]
