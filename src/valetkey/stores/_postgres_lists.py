"""The statements that list connections: one page, in order, found by an index."""

from __future__ import annotations

from typing import Any, Final

from valetkey.model.connections import Query
from valetkey.stores._cursor import Position
from valetkey.stores._postgres_schema import BEGINNINGS, LONGEST
from valetkey.stores._rows import COLUMNS
from valetkey.stores._where import ATTENTION, Where, order, standings_statement

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

STANDINGS: Final = standings_statement("{S}.connection", "%s", "{S}.on_primary() AND ")
OWNERS: Final = (
    "SELECT count(DISTINCT owner) FROM {S}.connection"
    " WHERE {S}.on_primary() AND env = %s AND credential = %s AND owner <> %s AND sealed IS NOT NULL"
)

_BY_SCOPE: Final = "{S}.missing_scope m JOIN {S}.connection c ON c.id = m.connection_id"
_BY_SEARCH: Final = "{S}.search_text s JOIN {S}.connection c ON c.id = s.connection_id"
_BY_ATTENTION: Final = (
    "(SELECT * FROM {S}.connection c WHERE c.env = %s AND c.state = 'connected'"  # noqa: S608 - names of ours
    f" AND {ATTENTION} IS NOT NULL AND {ATTENTION} < %s OFFSET 0) c"
)
"""OFFSET 0 has these looked up first, by their index: they are few, which PostgreSQL does not know."""
_ALL: Final = "{S}.connection c"
_SPECIAL: Final = str.maketrans({"\\": r"\\", "%": r"\%", "_": r"\_"})

MOST: Final = 2000
"""How many of those that a search finds are put in order.  Of more, a page is full soon if all are read in order."""
_NAMED: Final = "SELECT env, credential, owner, account, connection_id, search FROM {S}.search_text WHERE env = %s"
_ANYWHERE: Final = f"{_NAMED} AND search LIKE %s LIMIT {MOST + 1}"
_BEGUN: Final = " UNION ALL ".join(f"({_NAMED} AND {line} LIKE %s LIMIT {MOST + 1})" for line in BEGINNINGS)
_FEW: Final = (
    "(SELECT DISTINCT * FROM found) s CROSS JOIN LATERAL"
    " (SELECT * FROM {S}.connection WHERE id = s.connection_id OFFSET 0) c"
)
"""OFFSET 0 has them looked up one by one: PostgreSQL does not know how few they are."""
_HOW_MANY: Final = "(SELECT count(*) FROM found)"


def page_statement(
    query: Query, after: Position | None, limit: int, *, backwards: bool = False, anywhere: bool = True
) -> tuple[str, list[Any]]:
    """Return the statement for up to `limit` rows (`COLUMN_LIST`) after a position, or back from it, and its values.

    Args:
        query: Which rows.
        after: The position.
        limit: How many.
        backwards: Whether to read back from the position.
        anywhere: Whether a search finds any part of a text, by trigrams; else it finds beginnings only.
    """
    by_scope = query.missing_scope is not None
    # Whose connections it searches are few where an owner or a lack leads to them: they are looked at one by one.
    by_search = bool(query.search) and not (by_scope or query.own or query.owner is not None)
    where = Where("m" if by_scope else "s" if by_search else "c", "%s")
    where.match(query)
    if query.search:
        # strpos, whose sides are folded alike for all of Unicode: nothing to escape, and nothing that PostgreSQL takes
        # for so rare that it would rather read all and sort it than go along the order.
        text, looked_at = query.search.casefold(), f"{'s' if by_search else 'c'}.search"
        if not anywhere:
            text, looked_at = f"\n{text}", f"E'\\n' || {looked_at}"
        where.add(f"strpos({looked_at}, %s) > 0", text)
    if after is not None:
        where.beyond(after, backwards=backwards)
    if by_search:
        return _search(query, where, limit, backwards=backwards, anywhere=anywhere)
    by_attention = query.attention_by is not None and not by_scope
    tables = _BY_SCOPE if by_scope else _BY_ATTENTION if by_attention else _ALL
    first = [query.env, query.attention_by] if by_attention else []
    return _select(tables, where, backwards=backwards), [*first, *where.values, limit]


def _select(tables: str, where: Where, *, backwards: bool) -> str:
    conditions = " AND ".join(where.conditions)
    return (
        f"SELECT {COLUMN_LIST} FROM {tables} WHERE {{S}}.on_primary() AND {conditions}"  # noqa: S608 - names of ours
        f" ORDER BY {order(where.key, backwards=backwards)} LIMIT %s"
    )


def _search(query: Query, where: Where, limit: int, *, backwards: bool, anywhere: bool) -> tuple[str, list[Any]]:
    """Return the statement of a search.

    Whether it finds much is known only when it runs.  Of the two parts one is left out then, before it reads anything:
    few are found by an index and put in order; of many, those in order are looked at until the page is full.
    """
    text = (query.search or "").casefold()
    if anywhere:
        found, values = _ANYWHERE, [query.env, f"%{text.translate(_SPECIAL)}%"]
    else:
        found = f"SELECT * FROM ({_BEGUN}) b LIMIT {MOST + 1}"  # noqa: S608 - names of ours
        values = [query.env, f"{text[:LONGEST].translate(_SPECIAL)}%"] * len(BEGINNINGS)
    selects: list[str] = []
    for tables, when in ((_FEW, f"{_HOW_MANY} <= {MOST}"), (_BY_SEARCH, f"{_HOW_MANY} > {MOST}")):
        one = Where(where.key, where.mark, where.fixed, [when, *where.conditions])
        selects.append(f"({_select(tables, one, backwards=backwards)})")
    statement = (
        f"WITH found AS MATERIALIZED ({found}) {' UNION ALL '.join(selects)} ORDER BY {order('', backwards=backwards)}"
    )
    return statement, [*values, *([*where.values, limit] * len(selects))]
