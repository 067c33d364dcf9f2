"""The statements that list connections: one page, in order, found by an index."""

from __future__ import annotations

from typing import Any, Final

from valetkey.model.connections import Query
from valetkey.stores._cursor import Position
from valetkey.stores._rows import COLUMNS
from valetkey.stores._where import Where, order

_BY_SCOPE: Final = "missing_scope m CROSS JOIN connection c ON c.id = m.connection_id"
"""CROSS JOIN keeps the order of the tables: the scopes lead, and give their order too."""
_SELECT: Final = ", ".join(f"c.{name}" for name in COLUMNS)


def page_statement(query: Query, after: Position | None, limit: int) -> tuple[str, list[Any]]:
    """Return the statement for up to `limit` rows (`COLUMNS`) after a position, and its values."""
    by_scope = query.missing_scope is not None
    where = Where("m" if by_scope else "c")
    where.match(query)
    if query.search:
        # Not LIKE: nothing to escape, and both sides are folded alike for all of Unicode.
        where.add("instr(c.search, ?)", query.search.casefold())
    if after is not None:
        where.after(after)
    tables = _BY_SCOPE if by_scope else f"connection c{_led(query)}"
    conditions = " AND ".join(where.conditions)
    statement = f"SELECT {_SELECT} FROM {tables} WHERE {conditions} ORDER BY {order(where.key)} LIMIT ?"  # noqa: S608 - names of ours
    return statement, [*where.values, limit]


def _led(query: Query) -> str:
    """Return which index leads, where SQLite would not see by itself that it meets the fewest rows."""
    if query.own or query.owner is not None:
        return ""
    if query.search:
        return " INDEXED BY connection_search"
    return " INDEXED BY connection_attention" if query.attention_by is not None else ""
