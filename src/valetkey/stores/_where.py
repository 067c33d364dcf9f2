"""The conditions of a page of connections, for databases: equalities first, then the position, as indexes want them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from valetkey.model.connections import Query
from valetkey.stores._cursor import Position
from valetkey.stores._rules import stored_owner

_ORDER: Final = ("credential", "owner", "account")

_BY_ITSELF: Final = (
    "(CASE WHEN refreshable = 0 THEN expires_at - 604800.0"
    " WHEN refresh_expires_at - coalesce(obtained_at, refresh_expires_at) < 3024000.0"
    " THEN refresh_expires_at - (refresh_expires_at - coalesce(obtained_at, refresh_expires_at)) / 5.0"
    " ELSE refresh_expires_at - 604800.0 END)"
)
FIRST_ATTENTION: Final = _BY_ITSELF
"""What stood in their indexes before `sign_in_due_at` was known."""
ATTENTION: Final = (
    f"(CASE WHEN refreshable <> 0 AND sign_in_due_at <= coalesce({_BY_ITSELF}, sign_in_due_at) THEN sign_in_due_at"
    f" ELSE {_BY_ITSELF} END)"
)
"""`attention_at` of a row that is connected, for SQLite and Postgres; the same words stand in their indexes."""


def standings_statement(table: str, mark: str, only: str = "") -> str:
    """Return the statement for groups of connections that are alike (`model.troubles.Group`), `mark` being a value's.

    Its values: now, now, environment, credential.
    """
    return (
        "SELECT state, reason, error, held, soon, alive, count(*), min(expires_at), max(expires_at) FROM"  # noqa: S608
        " (SELECT state, reason, CASE WHEN failures > 0 THEN error ELSE '' END AS error,"
        " CASE WHEN sealed IS NULL THEN 0 ELSE 1 END AS held,"
        f" CASE WHEN {ATTENTION} < {mark} THEN 1 ELSE 0 END AS soon,"
        f" CASE WHEN expires_at IS NULL THEN 'unknown' WHEN expires_at > {mark} THEN 'ends' ELSE 'ended' END AS alive,"
        f" expires_at FROM {table} WHERE {only}env = {mark} AND credential = {mark}) s"
        " GROUP BY state, reason, error, held, soon, alive"
    )


def order(table: str, *, backwards: bool = False) -> str:
    """Return the columns that connections are listed by; without a table, those of what is put together."""
    return ", ".join(f"{table}{'.' if table else ''}{name}{' DESC' if backwards else ''}" for name in _ORDER)


@dataclass(slots=True)
class Where:
    """Conditions and their values.

    Attributes:
        key: The table in which the key's columns are looked up.
        mark: What stands for a value in a statement.
    """

    key: str
    mark: str = "?"
    fixed: set[str] = field(default_factory=set[str])
    conditions: list[str] = field(default_factory=list[str])
    values: list[Any] = field(default_factory=list[Any])

    def add(self, condition: str, *values: Any) -> None:
        """Demand one more thing."""
        self.conditions.append(condition)
        self.values += values

    def fix(self, column: str, value: str) -> None:
        """Demand that a column of the key has this value."""
        self.add(f"{self.key}.{column} = {self.mark}", value)
        self.fixed.add(column)

    def match(self, query: Query) -> None:
        """Demand all that the query asks for but its search, which each database does in its own way."""
        self.fix("env", query.env)
        if query.missing_scope is not None:
            self.fix("scope", query.missing_scope)
        if query.credential is not None:
            self.fix("credential", query.credential)
        if query.own:
            self.fix("owner", stored_owner(None))
        if query.owner is not None:
            self.fix("owner", stored_owner(query.owner))
        if query.state is not None:
            self.add(f"c.state = {self.mark}", query.state)
        if query.attention_by is not None:
            # All of what the index demands, word for word: so databases see that it holds what is asked for.
            self.add(
                f"c.state = 'connected' AND {ATTENTION} IS NOT NULL AND {ATTENTION} < {self.mark}", query.attention_by
            )

    def beyond(self, position: Position, *, backwards: bool = False) -> None:
        """Go on after a position, or back from it; fixed columns are left out, so that indexes lead there."""
        free = [
            (f"{self.key}.{name}", value)
            for name, value in zip(_ORDER, position, strict=True)
            if name not in self.fixed
        ]
        names = ", ".join(name for name, _ in free)
        marks = ", ".join(self.mark for _ in free)
        self.add(f"({names}) {'<' if backwards else '>'} ({marks})", *(value for _, value in free))
