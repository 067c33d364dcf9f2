"""``valetkey connections``: all that is connected, page by page."""

from __future__ import annotations

from typing import Final

import click

from valetkey.cli.commands import command, pass_session
from valetkey.cli.completion import complete_credentials
from valetkey.cli.output import Column, ago, count, emit
from valetkey.cli.session import Session
from valetkey.cli.shapes import of_status
from valetkey.cli.statuses import StatusTable, checked_owner
from valetkey.cli.terminal import say
from valetkey.model.connections import Query, State, Status, StoredState

STATES: Final[tuple[State, ...]] = (
    "pending",
    "connected",
    "expires_soon",
    "refresh_failing",
    "needs_reauth",
    "app_error",
    "disconnected",
)
_STORED: Final[dict[State, StoredState]] = {
    "pending": "pending",
    "refresh_failing": "refresh_failing",
    "needs_reauth": "needs_reauth",
    "disconnected": "disconnected",
    "connected": "connected",
    "expires_soon": "connected",
}
_PAGE: Final = 200
_SEARCH: Final = (
    "Whose credential, owner, account or identity holds this text; or begins with it, in PostgreSQL without pg_trgm."
)


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
@click.option("--search", metavar="TEXT", help=_SEARCH)
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
        owner=checked_owner(owner),
        state=_STORED.get(state) if state else None,
        search=search,
    )
    found, after = _page(session, query, state, cursor, None if everything else limit)
    if session.json:
        emit({"connections": [of_status(one) for one in found], "cursor": after})
    else:
        _listing(session, found, after)
        store = session.core.store
        if search and not store.searches_anywhere():
            say("only beginnings are found in this store: PostgreSQL has no index of trigrams (pg_trgm) there")
        elif search and not store.searches_anywhere(search):
            say("one or two letters are found at beginnings only in this store")


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
    table = StatusTable(session, Column("LAST USED"), Column("ID"))
    for one in found:
        table.add(one, ago(one.last_used_at, now), one.connection.id)
    if found:
        table.write()
    say(count(len(found), "connection") + (", and there are more" if after else ""))
    if after:
        say(f"  -> valetkey connections --cursor {after}")
