"""``valetkey status`` and ``valetkey connections``: what is connected, and what to do about what is not."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import click

from valetkey.cli.commands import command, pass_session, whose
from valetkey.cli.completion import complete_credentials
from valetkey.cli.exits import NOT_WELL, OK, Stop
from valetkey.cli.output import Column, Table, ago, ahead, count, emit
from valetkey.cli.session import BROKEN, Session
from valetkey.cli.shapes import of_status
from valetkey.cli.terminal import Kind, say
from valetkey.engine.status import DAMAGED as BROKEN_ROW
from valetkey.errors import ConfigurationError, clean
from valetkey.model.connections import Connection, ConnectionKey, Query, State, Status, StoredState
from valetkey.model.credentials import OAuth2Credential

STATES: Final[tuple[State, ...]] = (
    "pending",
    "connected",
    "expires_soon",
    "refresh_failing",
    "needs_reauth",
    "app_error",
    "disconnected",
)
_COLOURS: Final[dict[State, Kind]] = {
    "pending": "dim",
    "connected": "good",
    "expires_soon": "warn",
    "refresh_failing": "warn",
    "needs_reauth": "bad",
    "app_error": "bad",
    "disconnected": "dim",
}
_SHORT: Final = {
    "revoked": "access withdrawn",
    "idle_expired": "unused for too long",
    "policy_changed": "a rule changed",
    "no_refresh_token": "ended",
    "lost_in_rotation": "an answer was lost",
    "reuse_detected": "a token was used twice",
    "key_lost": "its key is lost",
    BROKEN_ROW: "its row is damaged",
    BROKEN: "it cannot be opened",
    "unknown": "no longer accepted",
}
_AT_REST: Final = ("pending", "disconnected")
"""States that are nobody's trouble unless the connection is asked for by name."""
_STORED: Final[dict[State, StoredState]] = {
    "pending": "pending",
    "refresh_failing": "refresh_failing",
    "needs_reauth": "needs_reauth",
    "disconnected": "disconnected",
    "connected": "connected",
    "expires_soon": "connected",
}
_SHOWN: Final = 200
_PAGE: Final = 200


# -- status ------------------------------------------------------------------------------------------------------------


@command(
    "status",
    json=True,
    examples=(
        "valetkey status",
        "valetkey status slack --owner ada",
        "valetkey status --check || echo 'a connection wants attention'",
        "valetkey status --json | jq -r '.connections[] | .credential + \" \" + .state'",
    ),
)
@click.argument("name", metavar="[NAME]", required=False, shell_complete=complete_credentials)
@whose
@click.option("--check", is_flag=True, help="Exit with 1 where something needs attention.")
@pass_session
def status(session: Session, *, name: str | None, owner: str | None, account: str, check: bool) -> int:
    """Show what is connected, how it is, and what to do about what is not well.

    Looking changes nothing and asks no provider.  With --check each grant is opened too, for damage shows only then;
    and connections that were never made or were disconnected count only where NAME is given.
    """
    found, more = _wanted(session, name, owner, account)
    if check:
        found = [_opened(session, one) for one in found]
    if session.json:
        emit({"connections": [of_status(one) for one in found], "more": more})
    elif found:
        _table(session, found)
        if more:
            say(f"Only the first {_SHOWN} are shown; all of them: valetkey connections --all")
    else:
        say("Nothing is declared or connected yet.")
        say("  -> valetkey practice, or valetkey providers list")
    return _verdict(found, named=name is not None) if check else OK


def _wanted(session: Session, name: str | None, owner: str | None, account: str) -> tuple[list[Status], bool]:
    """Return the statuses that were asked for, and whether there are more."""
    if name is not None and account:
        return [session.core.status(session.key_of(name, owner, account))], False
    declared = [session.credential(name)] if name is not None else list(session.core.credentials())
    query = Query(env=session.core.env, credential=name, owner=_checked(owner))
    page = session.statuses(query, None, _SHOWN)
    found = [one for one in page.items if not account or one.connection.account == account]
    if owner is None and page.cursor is None:
        seen = {one.connection.credential for one in found}
        found += [_unconnected(session, credential) for credential in declared if credential.name not in seen]
        found.sort(key=lambda one: one.connection.credential)
    if owner is not None and name is not None and not found:
        found = [session.core.status(session.key_of(name, owner, account))]
    return found, page.cursor is not None


def _checked(owner: str | None) -> str | None:
    """Return the owner, of whichever credential.

    Raises:
        Stop: It is none, such as an empty one (``owner_invalid``).
    """
    from valetkey.model.wiring import check_owner  # noqa: PLC0415

    try:
        return check_owner(owner, OAuth2Credential(name=""))
    except ConfigurationError as error:
        raise Stop(str(error).partition(": ")[2], code=error.code) from None


def _unconnected(session: Session, credential: OAuth2Credential) -> Status:
    """Return the status of a declared credential under which nobody connected yet."""
    key = ConnectionKey(session.core.env, credential.name)
    return Status(
        connection=Connection("", key.credential, env=key.env),
        state="pending",
        hint=_first_step(session, credential),
        requested=credential.all_scopes,
    )


def _first_step(session: Session, credential: OAuth2Credential) -> str:
    try:
        session.core.app(credential)
    except ConfigurationError as error:
        return f"run: valetkey app add {credential.name}" if error.code == "app_missing" else error.hint
    owner = " --owner ID" if credential.per_owner else ""
    return f"run: valetkey connect {credential.name}{owner}"


def _table(session: Session, found: list[Status]) -> None:
    now = session.core.clock.now()
    table = Table(
        (
            Column("CREDENTIAL"),
            Column("OWNER", shrinks=True, optional=True),
            Column("ACCOUNT", shrinks=True, optional=True),
            Column("IDENTITY", shrinks=True),
            Column("STATE"),
            Column("EXPIRES"),
            Column("GRANTED", shrinks=True),
            Column("LAST REFRESH"),
        )
    )
    for one in found:
        connection = one.connection
        table.add(
            connection.credential,
            clean(connection.owner or ""),
            clean(connection.account),
            clean(one.identity.title) if one.identity else "",
            one.state,
            expiry(session, one, now),
            clean(", ".join(one.granted)),
            _last_refresh(session, one, now),
            colours={4: _COLOURS[one.state]},
            below="" if one.state in {"connected", "disconnected"} else clean(one.hint.removeprefix("run: "), 500),
        )
    table.write()


def expiry(session: Session, one: Status, now: float) -> str:
    """Return when the access token ends, in a few words."""
    if one.state not in {"connected", "expires_soon", "refresh_failing", "app_error"} or not one.connection.id:
        return ""
    if one.expires_at is None:
        known = session.known(one.connection.credential).never_expires
        return "never" if known else "unknown"
    if one.expires_at <= now and one.refreshable:
        return "on use"
    return ahead(one.expires_at, now)


def _last_refresh(session: Session, one: Status, now: float) -> str:
    if one.state == "needs_reauth":
        why = _SHORT.get(one.reason, _SHORT["unknown"])
        at = None if one.reason in {BROKEN, BROKEN_ROW} else _refused_at(session, one)
        return f"refused {ago(at, now)}: {why}" if at else why
    if one.state == "refresh_failing":
        waits = (one.next_try_at or now) - now
        return "failing, next try on use" + (f", {ahead(one.next_try_at, now)}" if waits >= 1 else "")
    return ago(one.last_refresh_at, now)


def _refused_at(session: Session, one: Status) -> float | None:
    events = session.core.store.list_events(
        env=one.connection.env, connection_id=one.connection.id, limit=20, newest_first=True
    )
    return next((event.at for event in events if event.kind == "needs_reauth"), None)


def _opened(session: Session, one: Status) -> Status:
    """Return the status with what opening the grant shows."""
    error = session.damage(one.connection.key) if one.connection.id and one.reason != BROKEN_ROW else None
    if error is None:
        return one
    return replace(one, state="needs_reauth", reason=error.code, hint=error.hint)


def _verdict(found: list[Status], *, named: bool) -> int:
    unwell = [one for one in found if one.state != "connected" and (named or one.state not in _AT_REST)]
    return NOT_WELL if unwell else OK


# -- connections -------------------------------------------------------------------------------------------------------


@command(
    "connections",
    json=True,
    examples=(
        "valetkey connections --state needs_reauth",
        "valetkey connections --search ada@example.com",
        "valetkey connections --credential google --limit 20",
        "valetkey connections --all --json | jq '.connections | length'",
    ),
)
@click.option("--credential", metavar="NAME", help="Only of this credential.", shell_complete=complete_credentials)
@click.option("--owner", metavar="ID", help="Only of this owner.")
@click.option("--state", type=click.Choice(STATES), help="Only in this state.")
@click.option("--search", metavar="TEXT", help="Whose credential, owner, account or identity holds this text.")
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True, help="How many at most.")
@click.option("--cursor", metavar="TEXT", help="Go on where the last page ended.")
@click.option("--all", "everything", is_flag=True, help="All pages.")
@pass_session
def connections(
    session: Session,
    *,
    credential: str | None,
    owner: str | None,
    state: State | None,
    search: str | None,
    limit: int,
    cursor: str | None,
    everything: bool,
) -> None:
    """List connections, in the order of credential, owner and account."""
    if credential is not None:
        session.credential(credential)
    query = Query(
        env=session.core.env,
        credential=credential,
        owner=_checked(owner),
        state=_STORED.get(state) if state else None,
        search=search,
    )
    found, after = _page(session, query, state, cursor, None if everything else limit)
    if session.json:
        emit({"connections": [of_status(one) for one in found], "cursor": after})
    else:
        _listing(session, found, after)


def _page(
    session: Session, query: Query, state: State | None, cursor: str | None, limit: int | None
) -> tuple[list[Status], str | None]:
    """Return up to `limit` connections in that state (None: all there are), and the cursor that goes on behind them.

    Some states depend on the clock and on the app, so the store does not know them: they are looked for page by page.
    """
    found: list[Status] = []
    while True:
        page = session.statuses(query, cursor, _PAGE)
        wanted = [number for number, one in enumerate(page.items) if state in {None, one.state}]
        left = len(wanted) if limit is None else limit - len(found)
        if len(wanted) > left or (len(wanted) == left and limit is not None):
            # the same page again, but only so far: for the cursor behind the last one
            page = session.statuses(query, cursor, wanted[left - 1] + 1)
            return [*found, *(one for one in page.items if state in {None, one.state})], page.cursor
        found += [page.items[number] for number in wanted]
        cursor = page.cursor
        if cursor is None:
            return found, None


def _listing(session: Session, found: list[Status], after: str | None) -> None:
    now = session.core.clock.now()
    table = Table(
        (
            Column("CREDENTIAL"),
            Column("OWNER", shrinks=True, optional=True),
            Column("ACCOUNT", shrinks=True, optional=True),
            Column("IDENTITY", shrinks=True),
            Column("STATE"),
            Column("EXPIRES"),
            Column("LAST USED"),
            Column("ID"),
        )
    )
    for one in found:
        connection = one.connection
        table.add(
            connection.credential,
            clean(connection.owner or ""),
            clean(connection.account),
            clean(one.identity.title) if one.identity else "",
            one.state,
            expiry(session, one, now),
            ago(one.last_used_at, now),
            connection.id,
            colours={4: _COLOURS[one.state]},
        )
    if found:
        table.write()
    say(count(len(found), "connection") + (", and there are more" if after else ""))
    if after:
        say(f"  -> valetkey connections --cursor {after}")
