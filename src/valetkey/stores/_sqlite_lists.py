"""The statements that list connections: one page, in order, found by an index."""

from __future__ import annotations

import sqlite3
from typing import Any, Final

from valetkey.model.connections import Query
from valetkey.stores import _sqlite_search
from valetkey.stores._cursor import Position
from valetkey.stores._rows import COLUMNS
from valetkey.stores._where import Where, order

_BY_SCOPE: Final = "missing_scope m CROSS JOIN connection c ON c.id = m.connection_id"
"""CROSS JOIN keeps the order of the tables: the scopes lead, and give their order too."""
_BY_TRIGRAM: Final = (
    "search_trigram CROSS JOIN search_row r ON r.num = search_trigram.rowid CROSS JOIN connection c"
    " ON c.id = r.connection_id"
)
_SELECT: Final = ", ".join(f"c.{name}" for name in COLUMNS)


def page_rows(
    db: sqlite3.Connection, query: Query, after: Position | None, limit: int, *, backwards: bool = False
) -> list[tuple[Any, ...]]:
    """Return up to `limit` rows (`COLUMNS`) after a position, or back from it, all as of one commit."""

    def statement(match: str | None) -> tuple[str, list[Any]]:
        return page_statement(query, after, limit, match, backwards=backwards)

    db.execute("BEGIN")
    try:
        match = _sqlite_search.match(db, query.search.casefold()) if query.search and not _leads(query) else None
        return [] if match == "" else db.execute(*statement(match)).fetchall()
    finally:
        db.execute("ROLLBACK")


def page_statement(
    query: Query, after: Position | None, limit: int, match: str | None = None, *, backwards: bool = False
) -> tuple[str, list[Any]]:
    """Return the statement for up to `limit` rows (`COLUMNS`) after a position, or back from it, and its values.

    Args:
        query: Which rows.
        after: The position.
        limit: How many.
        match: What the index of trigrams is asked for; None: it is not.
        backwards: Whether to read back from the position.
    """
    by_scope = query.missing_scope is not None
    where = Where("m" if by_scope else "c")
    if match is not None:
        where.add("search_trigram MATCH ?", match)
    where.match(query)
    if query.search:
        # Not LIKE: nothing to escape, and both sides are folded alike for all of Unicode.
        where.add("instr(c.search, ?)", query.search.casefold())
    if after is not None:
        where.beyond(after, backwards=backwards)
    tables = _BY_SCOPE if by_scope else f"connection c{_led(query)}" if match is None else _BY_TRIGRAM
    conditions = " AND ".join(where.conditions)
    statement = (
        f"SELECT {_SELECT} FROM {tables} WHERE {conditions} ORDER BY {order(where.key, backwards=backwards)} LIMIT ?"  # noqa: S608 - names of ours
    )
    return statement, [*where.values, limit]


def _leads(query: Query) -> bool:
    """Whether something else than the search leads to few rows."""
    return query.own or query.owner is not None or query.missing_scope is not None


def _led(query: Query) -> str:
    """Return which index leads, where SQLite would not see by itself that it meets the fewest rows."""
    if query.own or query.owner is not None:
        return ""
    if query.search:
        return " INDEXED BY connection_search"
    return " INDEXED BY connection_attention" if query.attention_by is not None else ""
