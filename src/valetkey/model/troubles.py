"""Why connections are not well, and how all of an app are, summed up for who has to act."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from valetkey.values import Value

Alive = Literal["ends", "ended", "unknown", "unread"]
"""Of an access token: it still works and its end is known; it has ended; its end is not known; it was not looked at."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Trouble(Value):
    """Why connections are not well: those of one credential, with one reason and one error.

    Attributes:
        credential: Of which credential.
        reason: Why a person must sign in again, as in `Record`.
        error: What a refresh met last, as in `Record`.
        n: How many there are.
        ends_at: When the first of their access tokens ends, in Unix seconds; None: none does.
        next_try_at: When the first of them is tried again; None: at its next use.
    """

    credential: str
    reason: str = ""
    error: str = ""
    n: int = 1
    ends_at: float | None = None
    next_try_at: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Group(Value):
    """Connections of one credential that are alike.

    Attributes:
        state: The state that their records hold.
        reason: Why a person must sign in again, as in `Record`.
        error: What a refresh met last, where one failed.
        held: Whether they hold a grant.
        soon: Whether they want attention, were they connected (`attention_at`).
        alive: How their access tokens are.
        n: How many there are.
        first_end: When the first of their access tokens ends, in Unix seconds; None: none does.
        last_end: When the last of them ends.
    """

    state: str
    reason: str = ""
    error: str = ""
    held: bool = False
    soon: bool = False
    alive: Alive = "unknown"
    n: int = 1
    first_end: float | None = None
    last_end: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Standings(Value):
    """How all connections of a credential are.

    Attributes:
        groups: All of them, in groups.
        owners: How many owners those have that hold a grant.
        unread: How many connections were counted only: of the ends of their tokens and their owners nothing is said.
    """

    groups: tuple[Group, ...] = ()
    owners: int = 0
    unread: int = 0
