"""Counts of connections in the Redis store: what stands in its sorted sets, which each write keeps in its own step."""

from __future__ import annotations

from collections import Counter
from typing import Final, get_args

from valetkey.model.connections import Counts, State, StoredState
from valetkey.stores._cursor import Position
from valetkey.stores._redis_documents import RedisDocuments
from valetkey.stores._redis_names import after, before, id_and_text, texts_of, within
from valetkey.stores._redis_steps import Step

_STATES: Final[tuple[StoredState, ...]] = get_args(StoredState)


class RedisCounts(RedisDocuments):
    """The part of the store that counts connections."""

    def counts(self, *, env: str, now: float) -> Counts:
        """Return how many connections each credential has in each state."""
        found: dict[tuple[str, State], int] = {}
        for state in _STATES:
            found.update({(credential, state): n for credential, n in self._by_credential(env, state).items()})
        for credential, n in self._soon(env, now).items():
            found[credential, "connected"] = found.get((credential, "connected"), 0) - n
            found[credential, "expires_soon"] = n
        return {place: n for place, n in found.items() if n > 0}

    def _by_credential(self, env: str, state: str) -> dict[str, int]:
        """Count what is in a state by leaping from credential to credential: no member in between is read."""
        key, low, found = self._names.in_state(env, state), b"-", dict[str, int]()
        while True:
            step = Step(self._names)
            step.do("ZRANGEBYLEX", key, low, b"+", "LIMIT", 0, 1)
            (members,) = self._read(step).answers
            if not members:
                return found
            credential = texts_of(members[0])[0]
            first, last = within(credential)
            step = Step(self._names)
            step.do("ZLEXCOUNT", key, first, last)
            found[credential] = int(self._read(step).answers[0])
            low = last

    def _soon(self, env: str, now: float) -> Counter[str]:
        return Counter(texts_of(member)[0] for member in self._wanting(env, now))

    def wanting_ids(self, env: str, by: float, position: Position | None, *, backwards: bool = False) -> list[str]:
        """Return the ids of those that want attention before a time, in order after a position, or back from it."""
        members = sorted(self._wanting(env, by), reverse=backwards)
        if position is not None and backwards:
            end = before(position).removeprefix(b"(")
            members = [member for member in members if member < end]
        elif position is not None:
            bound = after(position).removeprefix(b"(")
            members = [member for member in members if member > bound]
        return [id_and_text(member)[0] for member in members]

    def _wanting(self, env: str, by: float) -> list[bytes]:
        step = Step(self._names)
        step.do("ZRANGEBYSCORE", self._names.attention(env), "-inf", f"({by!r}")
        members: list[bytes] = self._read(step).answers[0]
        return members
