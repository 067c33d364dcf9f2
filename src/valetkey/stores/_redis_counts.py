"""Counts of connections in the Redis store: what stands in its sorted sets, which each write keeps in its own step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, get_args

from valetkey.model.connections import Counts, State, StoredState
from valetkey.stores._cursor import Position
from valetkey.stores._redis_documents import RedisDocuments
from valetkey.stores._redis_names import after, before, id_in, texts_of, within
from valetkey.stores._redis_steps import Step

_STATES: Final[tuple[StoredState, ...]] = get_args(StoredState)


class RedisCounts(RedisDocuments):
    """The part of the store that counts connections."""

    def counts(self, *, env: str, now: float) -> Counts:
        """Return how many connections each credential has in each state."""
        step = Step(self._names)
        for state in _STATES:
            step.tally(self._names.in_state(env, state))
        step.tally(self._names.attention(env), below=now)
        *tallies, soon = map(_by_credential, self._read(step).answers)
        found: dict[tuple[str, State], int] = {}
        for state, tally in zip(_STATES, tallies, strict=True):
            found.update({(credential, state): n for credential, n in tally.items()})
        for credential, n in soon.items():
            found[credential, "connected"] = found.get((credential, "connected"), 0) - n
            found[credential, "expires_soon"] = n
        return {place: n for place, n in found.items() if n > 0}

    def in_states(self, env: str, credential: str) -> dict[StoredState, int]:
        """Return how many connections of a credential are in each state; those that are none are left out."""
        step = Step(self._names)
        first, last = within(credential)
        for state in _STATES:
            step.do("ZLEXCOUNT", self._names.in_state(env, state), first, last)
        return {state: int(n) for state, n in zip(_STATES, self._read(step).answers, strict=True) if int(n)}

    def soon(self, env: str, credential: str, now: float) -> int:
        """Return how many connections of a credential want attention."""
        step = Step(self._names)
        step.tally(self._names.attention(env), below=now)
        return _by_credential(self._read(step).answers[0]).get(credential, 0)

    def wanting_ids(self, env: str, by: float, position: Position | None, *, backwards: bool = False) -> list[str]:
        """Return the ids of those that want attention before a time, in order after a position, or back from it."""
        members = sorted(self._wanting(env, by), reverse=backwards)
        if position is not None and backwards:
            end = before(position).removeprefix(b"(")
            members = [member for member in members if member < end]
        elif position is not None:
            bound = after(position).removeprefix(b"(")
            members = [member for member in members if member > bound]
        return [id_in(member) for member in members]

    def _wanting(self, env: str, by: float) -> list[bytes]:
        step = Step(self._names)
        step.do("ZRANGEBYSCORE", self._names.attention(env), "-inf", f"({by!r}")
        members: list[bytes] = self._read(step).answers[0]
        return members


def _by_credential(tally: Sequence[Any]) -> dict[str, int]:
    return {texts_of(first)[0]: int(n) for first, n in zip(tally[::2], tally[1::2], strict=True)}
