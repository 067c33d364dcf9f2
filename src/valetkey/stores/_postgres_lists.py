"""The statements that list connections: one page, in order, found by an index."""

from __future__ import annotations

from typing import Any, Final

from valetkey.model.connections import Query
from valetkey.stores._cursor import Position
from valetkey.stores._rows import COLUMNS
from valetkey.stores._where import ATTENTION, Where, order

COLUMN_LIST: Final = ", ".join(
    "c.claim_until <= {S}.unix_now()" if name == "claim_boot" else f"c.{name}" for name in COLUMNS
)
"""The columns of a record.  Where SQLite has the boot that a claim was made in, here stands whether it has run out."""

COUNTED: Final = (
    "SELECT credential, state, n FROM {S}.state_count WHERE {S}.on_primary() AND env = %s"  # noqa: S608 - names of ours
    " UNION ALL SELECT s.credential, v.state, v.sign * s.n FROM"
    " (SELECT credential, count(*) AS n FROM {S}.connection c WHERE c.env = %s AND c.state = 'connected'"
    f" AND {ATTENTION} IS NOT NULL AND {ATTENTION} < %s GROUP BY credential) s"
    " CROSS JOIN (VALUES ('expires_soon', 1), ('connected', -1)) AS v (state, sign)"
)
"""The counts by credential and state; those that want attention are moved from one state to the other."""

TROUBLES: Final = (
    "SELECT credential, reason, error, count(*), min(expires_at), min(next_try_at) FROM"
    " (SELECT credential, reason, error, expires_at, next_try_at FROM {S}.connection"
    " WHERE {S}.on_primary() AND env = %s AND state = %s"
    " ORDER BY credential, owner, account LIMIT %s) s GROUP BY credential, reason, error"
)
"""Why connections are in a state: narrow, for a page that asks often."""

_BY_SCOPE: Final = "{S}.missing_scope m JOIN {S}.connection c ON c.id = m.connection_id"
_BY_SEARCH: Final = "{S}.search_text s JOIN {S}.connection c ON c.id = s.connection_id"
_BY_ATTENTION: Final = (
    "(SELECT * FROM {S}.connection c WHERE c.env = %s AND c.state = 'connected'"  # noqa: S608 - names of ours
    f" AND {ATTENTION} IS NOT NULL AND {ATTENTION} < %s OFFSET 0) c"
)
"""OFFSET 0 has these looked up first, by their index: they are few, which PostgreSQL does not know."""
_ALL: Final = "{S}.connection c"
_SPECIAL: Final = str.maketrans({"\\": r"\\", "%": r"\%", "_": r"\_"})


def page_statement(
    query: Query, after: Position | None, limit: int, *, backwards: bool = False
) -> tuple[str, list[Any]]:
    """Return the statement for up to `limit` rows (`COLUMN_LIST`) after a position, or back from it, and its values."""
    by_scope = query.missing_scope is not None
    # Whose connections it searches are few where an owner or a lack leads to them: they are looked at one by one.
    by_search = bool(query.search) and not (by_scope or query.own or query.owner is not None)
    where = Where("m" if by_scope else "s" if by_search else "c", "%s")
    where.match(query)
    if query.search:
        # LIKE, for trigrams can answer it.  Both sides are folded alike, for all of Unicode.
        searched = "s" if by_search else "c"
        where.add(f"{searched}.search LIKE %s", f"%{query.search.casefold().translate(_SPECIAL)}%")
    if after is not None:
        where.beyond(after, backwards=backwards)
    by_attention = query.attention_by is not None and not (by_scope or by_search)
    tables = _BY_SCOPE if by_scope else _BY_SEARCH if by_search else _BY_ATTENTION if by_attention else _ALL
    conditions = " AND ".join(where.conditions)
    statement = (
        f"SELECT {COLUMN_LIST} FROM {tables} WHERE {{S}}.on_primary() AND {conditions}"  # noqa: S608 - names of ours
        f" ORDER BY {order(where.key, backwards=backwards)} LIMIT %s"
    )
    first = [query.env, query.attention_by] if by_attention else []
    return statement, [*first, *where.values, limit]
