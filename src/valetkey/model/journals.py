"""What the engine keeps on this host of answers that a store elsewhere may not have yet (R6)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from valetkey.values import Value


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class JournalEntry(Value):
    """An answer that cost a refresh token, and what it was bought with: enough to commit it later (R6).

    Attributes:
        env: The environment of the connection.
        connection_id: Which connection.
        incarnation: The incarnation that the answer belongs to.
        version: The version of the record that the refresh token was taken from.
        spent: The fingerprint of that refresh token.
        at: Unix seconds of the answer.
        grant: The new token object, as JSON in clear.
        settled: Whether the store was seen to have it, or to have no use for it.
        place: Where the journal keeps it; empty before it is written.
    """

    env: str
    connection_id: str
    incarnation: int
    version: int
    spent: str
    at: float
    grant: bytes = field(repr=False)
    settled: bool = False
    place: str = ""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class JournalState(Value):
    """How the journal of a store is.

    Attributes:
        waiting: How many answers nobody settled.
        oldest: Unix seconds of the oldest of them; None where there is none.
        sealed_with: How many of them are sealed with which master key, by its id.
        place: The folder in which the journals of this host are; empty where none is kept.
    """

    waiting: int = 0
    oldest: float | None = None
    sealed_with: Mapping[str, int] = field(default_factory=dict[str, int])
    place: str = ""

    @property
    def masters(self) -> frozenset[str]:
        """The ids of the master keys that must be kept for them."""
        return frozenset(self.sealed_with)


class Journal(Protocol):
    """What this host remembers of answers that may not have reached the store (R6).

    It is a net below the store: where it cannot be written, that is logged, and the refresh goes on.
    """

    def write(self, entry: JournalEntry) -> JournalEntry:
        """Keep it, durably, before this returns; returns it with its place."""
        ...

    def settle(self, entry: JournalEntry) -> None:
        """Note that the store has it, or has no use for it.  It is kept for some minutes all the same.

        One that was settled before, and has served once more, goes.
        """
        ...

    def leave(self, entry: JournalEntry) -> None:
        """Note that the store does not answer: it is brought as soon as it does, by this process while it lives."""
        ...

    def entries(self, connection_id: str) -> Sequence[JournalEntry]:
        """Return what is kept of a connection, settled or not, oldest first."""
        ...

    def unsettled(self) -> Sequence[str]:
        """Return the ids of the connections with entries that nobody settled."""
        ...

    def erase(self, connection_id: str) -> None:
        """Remove all that is kept of a connection."""
        ...

    def state(self) -> JournalState:
        """Return how it is: what waits, since when, and which master keys must be kept for it."""
        ...
