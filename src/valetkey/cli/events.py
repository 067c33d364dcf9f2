"""``valetkey events``: what happened."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import islice
from typing import Any, Final

import click

from valetkey.cli.commands import command, pass_session, whose
from valetkey.cli.completion import complete_credentials
from valetkey.cli.events_wanted import filters, wanted_of
from valetkey.cli.exits import Stop
from valetkey.cli.output import Column, Table, emit, emit_line, moment
from valetkey.cli.session import Session
from valetkey.cli.shapes import of_event
from valetkey.cli.terminal import Kind, out, paint, say
from valetkey.engine.history import History, Wanted, newest
from valetkey.errors import clean
from valetkey.model.connections import ConnectionKey, Event

_LOOK: Final = 0.5
_PAGE: Final = 200
_COLOURS: Final[Mapping[str, Kind]] = {
    "connected": "good",
    "imported": "good",
    "refreshed": "good",
    "refresh_failed": "warn",
    "needs_reauth": "bad",
    "revocation_incomplete": "warn",
    "id_token_refused": "warn",
    "disconnected": "dim",
}


@command(
    "events",
    json=True,
    examples=(
        "valetkey events --limit 20",
        "valetkey events slack --owner ada",
        "valetkey events --last 7d --kind needs_reauth --kind refresh_failed",
        "valetkey events --from 2026-11-01 --search invalid_grant --json",
        "valetkey events --follow --json | jq -r .kind",
    ),
)
@click.argument("name", metavar="[NAME]", required=False, shell_complete=complete_credentials)
@whose
@filters
@click.option("--limit", type=click.IntRange(1, 10000), default=50, show_default=True, help="The last so many.")
@click.option("--follow", "-f", is_flag=True, help="Go on and show what happens, until Ctrl-C.")
@pass_session
def events(
    session: Session, /, *, name: str | None, owner: str | None, account: str, limit: int, follow: bool, **chosen: Any
) -> None:
    """Show what happened, of all connections or of the connection NAME, oldest first.

    Without NAME, --owner and --account choose among all connections, as the other filters do.  With --follow and
    --json each event is an object on a line of its own.
    """
    if follow and chosen["until"]:
        msg = "--follow shows what happens from now on, and --to ends before: give one of them."
        raise click.UsageError(msg)
    if name is None:
        wanted = replace(wanted_of(chosen, session.core.clock.now(), account=account), owner=owner or "")
    else:
        wanted = wanted_of(chosen, session.core.clock.now())
        wanted = replace(wanted, connection_id=_id_of(session, session.key_of(name, owner, account)))
    store, env = session.core.store, session.core.env
    seen = newest(store, env)
    found = tuple(islice(History(store=store, env=env, wanted=wanted).all(), limit))[::-1]
    if not follow:
        _show(session, found, filtered=wanted != Wanted())
        return
    for event in found:
        _show_one(session, event)
    for event in _watched(session, wanted, max(seen, found[-1].seq if found else 0)):
        _show_one(session, event)


def _id_of(session: Session, key: ConnectionKey) -> str:
    record = session.core.store.load(key)
    if record is None:
        msg = f"there is no connection {key}, so nothing happened to it"
        raise Stop(msg, code="connection_unknown", hint="see: valetkey connections")
    return record.id


def _watched(session: Session, wanted: Wanted, seen: int) -> Iterator[Event]:
    """Yield those events that are wanted as they happen, for ever."""
    store, connection_id = session.core.store, wanted.connection_id or None
    mark: object = None
    while True:
        now = store.change_mark()
        if now != mark:
            mark = now
            while new := store.list_events(env=session.core.env, connection_id=connection_id, after=seen, limit=_PAGE):
                yield from filter(wanted.takes, new)
                seen = new[-1].seq
        session.core.clock.sleep(_LOOK)


def _show(session: Session, found: tuple[Event, ...], *, filtered: bool) -> None:
    if session.json:
        emit({"events": [of_event(event) for event in found]})
        return
    if not found:
        say("Nothing of that kind happened." if filtered else "Nothing happened yet.")
        return
    table = Table((Column("WHEN"), Column("WHAT"), Column("CONNECTION"), Column("BY"), Column("DETAIL", shrinks=True)))
    for event in found:
        table.add(*_cells(event), colours={1: _COLOURS.get(event.kind, "dim")})
    table.write()


def _show_one(session: Session, event: Event) -> None:
    if session.json:
        emit_line(of_event(event))
        return
    when, what, connection, actor, detail = _cells(event)
    out(f"{when}  {paint(f'{what:14}', _COLOURS.get(what))}  {connection}  {actor}  {detail}".rstrip())
    import sys  # noqa: PLC0415

    sys.stdout.flush()


def _cells(event: Event) -> tuple[str, str, str, str, str]:
    key = ConnectionKey(event.env, event.credential, event.owner, event.account)
    return moment(event.at), clean(event.kind), clean(str(key)), clean(event.actor), _detail(event.detail)


def _detail(detail: Mapping[str, Any]) -> str:
    """Return the details as ``name=value``, without what says nothing."""
    told = {name: value for name, value in detail.items() if value not in (None, "", [], False)}
    return clean(" ".join(f"{name}={_value(value)}" for name, value in told.items()), 200)


def _value(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(str(one) for one in value)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    return str(value).lower() if isinstance(value, bool) else value if isinstance(value, str) else json.dumps(value)
