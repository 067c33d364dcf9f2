"""Why connections are not well, summed up for who has to act."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
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
