"""One connection: how it is, why, what happened to it, and what can be done."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from starlette.responses import Response

from valetkey.engine.api_keys import ApiKeys
from valetkey.engine.calls import calls_for
from valetkey.engine.consequences import of_disconnect
from valetkey.engine.history import newest
from valetkey.engine.looking_up import look_up_again
from valetkey.engine.narrowing import tokens_of
from valetkey.engine.probing import probe
from valetkey.engine.status import status_of
from valetkey.engine.world import event_about
from valetkey.errors import ValetkeyError
from valetkey.model.choices import choices_of
from valetkey.model.connections import Record, Status
from valetkey.model.credentials import OAuth2Credential
from valetkey.model.names import DEFAULT_ENV, folder_of_env
from valetkey.model.placing import unplaced
from valetkey.server.asking import Ask, get, post
from valetkey.server.notices import go_after, go_with, told
from valetkey.server.times import until
from valetkey.server.views.banners import banner
from valetkey.server.views.detail import (
    Fact,
    call_facts,
    figures,
    identity_facts,
    scope_count,
    scopes,
    storage_facts,
)
from valetkey.server.views.live import page_parts
from valetkey.server.views.naming import named
from valetkey.server.views.plot import plot
from valetkey.server.views.snippet import snippet
from valetkey.server.views.timeline import timeline
from valetkey.server.words import STATES
from valetkey.stores import default_path

EVENTS: Final = 400
"""How many of the latest events the plot is drawn from."""
SHOWN: Final = 12
"""How many lines of the timeline are shown."""
AT: Final = "/console/connections/{id}"

Found = tuple[Record, OAuth2Credential, Status]


def find_one(ask: Ask, connection_id: str) -> Found | None:
    """Return a connection by its id; None where it is none of this environment."""
    core = ask.server.core
    record = core.store.find(connection_id)
    if record is None or record.key.env != core.env:
        return None
    credential = next((one for one in core.credentials() if one.name == record.key.credential), None)
    known = credential or OAuth2Credential(name=record.key.credential)
    error = core.app_errors().get(known.name, "")
    return record, known, status_of(record.key, record, known, now=core.clock.now(), app_error=error)


def found(handler: Callable[[Ask, Record, OAuth2Credential, Status], Response]) -> Callable[[Ask], Response]:
    """Return a handler that is given the connection, and answers 404 where there is none."""

    def handle(ask: Ask) -> Response:
        there = find_one(ask, str(ask.request.path_params["id"]))
        return ask.page("not-found.html", status=404) if there is None else handler(ask, *there)

    return handle


def show(ask: Ask, record: Record, credential: OAuth2Credential, status: Status) -> Response:
    """Show everything about one connection."""
    core, now = ask.server.core, ask.server.core.clock.now()
    heard = newest(core.store, core.env)
    events = core.store.list_events(env=core.env, connection_id=record.id, limit=EVENTS, newest_first=True)
    name = named(record.connection, record.identity, credential)
    lines = timeline(events, name.provider, now)
    return ask.page(
        "connection.html",
        name=name,
        record=record,
        how=status,
        word=STATES[status.state],
        living=record.sealed is not None,
        now=now,
        heard=heard,
        told=told(ask),
        banner=banner(status, record, events, name.provider, now),
        figures=figures(status, record, events, credential, now),
        plot=plot(record, events, now),
        snippet=snippet(record.key, credential, place_of(ask)),
        timeline=lines[:SHOWN],
        events=len(events),
        more_events=len(events) == EVENTS,
        scopes=scopes(status, record),
        scope_count=scope_count(status, record),
        identity=identity_facts(status, record, now),
        choices=choices_of(record.params),
        unknown=unplaced(credential, record.params) if record.sealed is not None else (),
        looks_up=bool(credential.look_ups) and record.sealed is not None,
        storage=storage_facts(record, credential, store_name(ask), tokens_of(core.world, credential, record)),
        calls=_calls(ask, record),
        testable=bool(credential.userinfo_url) or credential.discovers,
    )


def parts_of(ask: Ask, record: Record, credential: OAuth2Credential, status: Status) -> dict[str, Any]:
    """Return what of its page changes while that is open."""
    core, now = ask.server.core, ask.server.core.clock.now()
    events = core.store.list_events(env=core.env, connection_id=record.id, limit=EVENTS, newest_first=True)
    provider = named(record.connection, record.identity, credential).provider
    return page_parts(
        STATES[status.state],
        banner(status, record, events, provider, now),
        figures(status, record, events, credential, now),
    )


def _calls(ask: Ask, record: Record) -> tuple[Fact, ...]:
    """Return which API keys called for it lately."""
    core, counts = ask.server.core, ask.server.calls
    counts.flush(record.id)
    found = calls_for(core.store, core.env, record.id, core.clock.now())
    names = {key.id: key.name for key in ApiKeys(core.store, core.clock, core.env).list()} if found else {}
    return call_facts(found, names)


def place_of(ask: Ask) -> str:
    """Return where the store is, for a program; empty where it would be found by itself."""
    core = ask.server.core
    path = getattr(core.store, "path", None)
    if path is None:
        return core.store.url
    try:
        usual = default_path()
    except ValetkeyError:
        return str(path)
    if core.env != DEFAULT_ENV:
        usual = usual.parent / "environments" / folder_of_env(core.env) / usual.name
    return "" if path == usual else str(path)


def store_name(ask: Ask) -> str:
    """Return what kind of store it is."""
    kind = ask.server.core.store.url.partition(":")[0]
    return {"sqlite": "SQLite", "postgresql": "PostgreSQL", "redis": "Redis", "memory": "in memory"}.get(kind, kind)


def refresh(ask: Ask, record: Record, credential: OAuth2Credential, status: Status) -> Response:
    """Refresh now, in a flight, and tell what came of it."""
    del credential, status
    core, here = ask.server.core, AT.format(id=record.id)
    note(ask, "refresh_asked", record)
    try:
        core.source(record.key).refresh(actor(ask))
    except ValetkeyError as error:
        return go_after(ask, here, error)
    new = core.store.find(record.id) or record
    end = until(new.expires_at, core.clock.now(), never="at a time that is not known")
    return go_with(ask, here, "ok", "Refreshed.", f"The new access token ends {end.said}.")


def test(ask: Ask, record: Record, credential: OAuth2Credential, status: Status) -> Response:
    """Make one harmless call."""
    del credential, status
    core, here = ask.server.core, AT.format(id=record.id)
    try:
        result = core.call(lambda: probe(core.acting(actor(ask)), record.key))
    except ValetkeyError as error:
        return go_after(ask, here, error)
    who = f"The token is that of {result.identity.title}." if result.identity else ""
    return go_with(ask, here, "ok" if result.ok else "warn" if not result.possible else "bad", result.said, who)


def look_up(ask: Ask, record: Record, credential: OAuth2Credential, status: Status) -> Response:
    """Look up anew what the connection has to know of itself, with the entry that was chosen."""
    del status
    core, here = ask.server.core, AT.format(id=record.id)
    names = [one.name for one in credential.look_ups if one.choose]
    chosen = {name: value for name in names if (value := ask.field(f"choose_{name}").strip())}
    try:
        new = core.call(lambda: look_up_again(core.acting(actor(ask)), record.key, chosen))
    except ValetkeyError as error:
        return go_after(ask, here, error)
    left = unplaced(credential, new.params)
    if left:
        return go_with(ask, here, "warn", "Not all of it could be looked up.", f"Still not known: {', '.join(left)}.")
    return go_with(ask, here, "ok", "Looked up.", "Calls go where the connection says from now on.")


def confirm(ask: Ask, record: Record, credential: OAuth2Credential, status: Status) -> Response:
    """Show what a disconnect would do."""
    name = named(record.connection, record.identity, credential)
    if record.sealed is None and status.state == "disconnected":
        return go_with(ask, AT.format(id=record.id), "warn", "It is disconnected already.")
    ask.server.calls.flush(record.id)
    return ask.page("disconnect.html", name=name, consequences=of_disconnect(ask.server.core.world, record))


def disconnect(ask: Ask, record: Record, credential: OAuth2Credential, status: Status) -> Response:
    """Disconnect, and tell what was withdrawn and what may live on."""
    del credential, status
    core, here = ask.server.core, AT.format(id=record.id)
    try:
        done = core.call(lambda: core.disconnect(record.key, actor=actor(ask)))
    except ValetkeyError as error:
        return go_after(ask, here, error)
    place = here if done.record is not None else "/console/connections"
    return go_with(ask, place, "warn" if done.may_live else "ok", done.told)


def actor(ask: Ask) -> str:
    """Return who does it, for events."""
    return ask.operator.operator


def note(ask: Ask, kind: str, record: Record, **detail: object) -> None:
    """Record who asked for what."""
    core = ask.server.core
    core.store.append_event(event_about(core.acting(actor(ask)), kind, record, **detail))


ROUTES: Final = [
    get(AT, found(show)),
    post(f"{AT}/refresh", found(refresh)),
    post(f"{AT}/test", found(test)),
    post(f"{AT}/look-up", found(look_up)),
    get(f"{AT}/disconnect", found(confirm), grade="connections"),
    post(f"{AT}/disconnect", found(disconnect)),
]
