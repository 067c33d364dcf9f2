"""Pages of connections: what leads to them, and from where to where it is read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from valetkey.model.connections import Query
from valetkey.stores._cursor import Position
from valetkey.stores._redis_names import Leaves, Names, after, before, within
from valetkey.stores._redis_steps import Step

_MANY: Final = 400
"""How many leaves are looked at at a time, where only few names match: the server does nothing else meanwhile."""


@dataclass(frozen=True, slots=True)
class Walk:
    """A sorted set to read in order, or the leaves of an environment.

    Attributes:
        way: Which.
        low: Where to begin.
        high: Where to end.
        wanted: How many to find at a time.
        search: What must stand in the text of each, folded; a sorted set has no texts.
        backwards: Whether it goes from the end to the beginning.
    """

    way: bytes | Leaves
    low: bytes
    high: bytes
    wanted: int
    search: str = ""
    backwards: bool = False

    def ask(self, step: Step) -> None:
        """Let a step read the next part."""
        if isinstance(self.way, Leaves):
            step.seek(self.way, self.low, self.high, self.search, self.wanted, _MANY, backwards=self.backwards)
        elif self.backwards:
            step.do("ZREVRANGEBYLEX", self.way, self.high, self.low, "LIMIT", 0, self.wanted)
        else:
            step.do("ZRANGEBYLEX", self.way, self.low, self.high, "LIMIT", 0, self.wanted)

    def answered(self, answer: Any) -> tuple[Sequence[bytes], bytes | None]:
        """Return the members in an answer to what was asked, and the bound of what follows them, None for nothing."""
        if isinstance(self.way, Leaves):
            members, bound = answer
            return members, bound
        return answer, b"(" + answer[-1] if len(answer) == self.wanted else None

    def beyond(self, bound: bytes) -> Walk:
        """Return the rest of the walk, from a bound on."""
        return replace(self, high=bound) if self.backwards else replace(self, low=bound)


def walk(names: Names, query: Query, position: Position | None, limit: int, *, backwards: bool = False) -> Walk:
    """Return the shortest walk that meets all that a query asks for; not all that it meets is."""
    low, high = within() if query.credential is None else within(query.credential)
    if position is not None and backwards and (query.credential is None or position[0] <= query.credential):
        high = before(position)
    if position is not None and not backwards and (query.credential is None or position[0] >= query.credential):
        low = after(position)
    way: bytes | Leaves = names.leaves(query.env)
    search = ""
    if query.missing_scope is not None:
        way = names.lacking(query.env, query.missing_scope)
    elif query.owner is not None or query.own:
        way = names.owned(query.env, query.owner)
    elif query.search:
        search = query.search.casefold()
    elif query.state is not None:
        way = names.in_state(query.env, query.state)
    return Walk(way, low, high, limit, search, backwards=backwards)
