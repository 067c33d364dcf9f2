"""The statements that list connections: one page, in order, found by an index."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from valetkey.model.connections import Query
from valetkey.stores._cursor import Position
from valetkey.stores._rows import COLUMNS
from valetkey.stores._rules import stored_owner

_ORDER: Final = ("credential", "owner", "account")
_BY_SCOPE: Final = "missing_scope m CROSS JOIN connection c ON c.id = m.connection_id"
"""CROSS JOIN keeps the order of the tables: the scopes lead, and give their order too."""
_BY_SEARCH: Final = "connection c INDEXED BY connection_search"
_SELECT: Final = ", ".join(f"c.{name}" for name in COLUMNS)


@dataclass(slots=True)
class _Where:
    """Conditions and their values.  `key` is the table in which the key's columns are looked up."""

    key: str
    fixed: set[str] = field(default_factory=set[str])
    conditions: list[str] = field(default_factory=list[str])
    values: list[Any] = field(default_factory=list[Any])

    def add(self, condition: str, *values: Any) -> None:
        self.conditions.append(condition)
        self.values += values

    def fix(self, column: str, value: str) -> None:
        self.add(f"{self.key}.{column} = ?", value)
        self.fixed.add(column)

    def after(self, position: Position) -> None:
        """Go on after a position; columns that are fixed are left out, so that the index leads straight there."""
        free = [
            (f"{self.key}.{name}", value)
            for name, value in zip(_ORDER, position, strict=True)
            if name not in self.fixed
        ]
        names = ", ".join(name for name, _ in free)
        marks = ", ".join("?" for _ in free)
        self.add(f"({names}) > ({marks})", *(value for _, value in free))


def page_statement(query: Query, after: Position | None, limit: int) -> tuple[str, list[Any]]:
    """Return the statement for up to `limit` rows (`COLUMNS`) after a position, and its values."""
    by_scope = query.missing_scope is not None
    where = _Where("m" if by_scope else "c")
    where.fix("env", query.env)
    if query.missing_scope is not None:
        where.fix("scope", query.missing_scope)
    _filter(where, query)
    if after is not None:
        where.after(after)
    one_owner = query.own or query.owner is not None
    tables = _BY_SCOPE if by_scope else _BY_SEARCH if query.search and not one_owner else "connection c"
    order = ", ".join(f"{where.key}.{name}" for name in _ORDER)
    conditions = " AND ".join(where.conditions)
    return f"SELECT {_SELECT} FROM {tables} WHERE {conditions} ORDER BY {order} LIMIT ?", [*where.values, limit]  # noqa: S608 - names of ours


def _filter(where: _Where, query: Query) -> None:
    if query.credential is not None:
        where.fix("credential", query.credential)
    if query.own:
        where.fix("owner", stored_owner(None))
    if query.owner is not None:
        where.fix("owner", stored_owner(query.owner))
    if query.state is not None:
        where.add("c.state = ?", query.state)
    if query.search:
        # Not LIKE: nothing to escape, and both sides are folded alike for all of Unicode.
        where.add("instr(c.search, ?)", query.search.casefold())
