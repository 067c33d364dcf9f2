"""Pages of connections: which sorted set leads to them, and from where to where it is read."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from valetkey.model.connections import Query
from valetkey.stores._cursor import Position
from valetkey.stores._redis_names import Names, after, before, within

_MANY: Final = 2000
"""How many members are looked at at a time, where only few of them match: the server does nothing else meanwhile."""
_GROWTH: Final = 5


@dataclass(frozen=True, slots=True)
class Walk:
    """A sorted set to read in order.

    Attributes:
        key: The sorted set.
        low: Where to begin.
        high: Where to end.
        wanted: How many to find at a time.
        search: What the text of a member must hold, folded; empty where members have none.
        patience: How many members to look at for that, where those are more.
        backwards: Whether it goes from the end to the beginning.
    """

    key: bytes
    low: bytes
    high: bytes
    wanted: int
    search: str = ""
    patience: int = 0
    backwards: bool = False

    @property
    def step(self) -> int:
        """How many members to look at next: more each time, where a search finds little."""
        return max(self.wanted, min(self.patience, _MANY))

    def after(self, last: bytes) -> Walk:
        """Return the rest of the walk after a member."""
        patience = self.step * _GROWTH if self.search else 0
        if self.backwards:
            return replace(self, high=b"(" + last, patience=patience)
        return replace(self, low=b"(" + last, patience=patience)


def walk(names: Names, query: Query, position: Position | None, limit: int, *, backwards: bool = False) -> Walk:
    """Return the shortest walk that meets all that a query asks for; not all that it meets is."""
    low, high = within() if query.credential is None else within(query.credential)
    if position is not None and backwards and (query.credential is None or position[0] <= query.credential):
        high = before(position)
    if position is not None and not backwards and (query.credential is None or position[0] >= query.credential):
        low = after(position)
    key, search = names.index(query.env), ""
    if query.missing_scope is not None:
        key = names.lacking(query.env, query.missing_scope)
    elif query.owner is not None or query.own:
        key = names.owned(query.env, query.owner)
    elif query.search:
        search = query.search.casefold()
    elif query.state is not None:
        key = names.in_state(query.env, query.state)
    return Walk(key, low, high, limit, search, backwards=backwards)
