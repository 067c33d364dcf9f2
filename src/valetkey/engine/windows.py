"""When a token counts as expired, when it is refreshed ahead, and how long to wait after a failure (R1, R12)."""

from __future__ import annotations

from dataclasses import dataclass

from valetkey.forks import late_imports
from valetkey.model.connections import SOON, Record
from valetkey.model.credentials import OAuth2Credential
from valetkey.values import Value

CLAIM_LIFE = 30.0
"""Seconds that a claim lives unless renewed, at most."""
SHORTEST_CLAIM = 4.0
"""Seconds that a claim lives at least."""
DEADLINE = 15.0
"""Seconds that a caller waits for a refresh, and within which a claim must be used: half the claim's life (R4)."""
SEND_MARGIN = 1.0
"""Seconds of the deadline that must be left when a refresh token is sent."""
LISTEN = 60.0
"""Seconds that a flight listens for an answer: it may carry the only successor (R4)."""
STILL = 2.0
"""Seconds that a run-out claim must be seen unchanged before it is taken over (R10)."""
YOUNG = 60.0
"""Seconds of a token's youth in which a 401 does not refresh it (R11)."""

BUFFER = 60.0
SOFT_WINDOW = 600.0
LONGEST_BACKOFF = 300.0
RENEWAL_AHEAD = 0.5
"""The part of its life, at most, by which a token that is renewed by itself is renewed ahead: it dies of disuse."""
RENEWAL_BUFFER = 0.1
"""The part of its life by which it counts as expired before its end: then also programs that live for a moment do."""
KEEP_ALIVE = 0.75
"""The part of a refresh token's life after which a worker refreshes it although nobody asks."""
LEAST_LIFE = 5.0
"""Seconds that a worker lets any token live: where a buffer is longer than a token's whole life it would spin."""


def claim_life(credential: OAuth2Credential) -> float:
    """Return seconds that a claim lives unless renewed.

    Half of the time in which the provider still takes a spent token, where that is known: then who takes over from a
    dead holder still gets a successor for it.
    """
    grace = credential.refresh_grace
    return CLAIM_LIFE if not grace else min(CLAIM_LIFE, max(grace / 2, SHORTEST_CLAIM))


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Windows(Value):
    """The moments in a token's life, in Unix seconds; None: not known, so only a 401 will tell.

    Attributes:
        soft: From here on it is refreshed in the background while all go on with it.
        due: From here on it counts as expired.
        end: When it really ends.
    """

    soft: float | None
    due: float | None
    end: float | None


def windows(record: Record, credential: OAuth2Credential) -> Windows:
    """Work out the windows of the record's access token (R1)."""
    end = record.expires_at
    if end is None:
        return Windows(None, None, None)
    life = max(end - (record.obtained_at or end), 0.0)
    by_itself = credential.renews_by_access_token
    usual = RENEWAL_BUFFER * life if by_itself else min(BUFFER, 0.2 * life)
    due = end - (usual if credential.buffer is None else credential.buffer)
    ahead = (RENEWAL_AHEAD - RENEWAL_BUFFER) * life if by_itself else min(SOFT_WINDOW, 0.1 * life)
    soft = due - ahead * (0.5 + 0.5 * _jitter(record))
    if credential.refresh_ends_access_token:
        soft = due  # a refresh ahead would take the token away from calls under way
    return Windows(soft, due, end)


def due_at(record: Record, credential: OAuth2Credential) -> float | None:
    """Work out when a worker should refresh a grant: ahead of need, and before its refresh token dies of disuse.

    None: there is nothing to spend, or nothing is known to end.
    """
    if not record.refresh_fp:
        return None
    keep_alive = _keep_alive(record, credential)
    moments = [moment for moment in (windows(record, credential).soft, keep_alive) if moment is not None]
    return max(min(moments), (record.obtained_at or 0.0) + LEAST_LIFE) if moments else None


def sign_in_by(record: Record, credential: OAuth2Credential) -> float | None:
    """Work out when a person must sign in again, however often the grant is refreshed; None: that is not known."""
    most = credential.refresh_token_max_lifetime
    if most is None or record.connected_at is None or not record.refresh_fp:
        return None
    return record.connected_at + most


def sign_in_due(record: Record, credential: OAuth2Credential) -> float | None:
    """Work out from when on people are told of it: a week before, or in the last fifth of a shorter life."""
    end = sign_in_by(record, credential)
    return None if end is None else end - min(SOON, (credential.refresh_token_max_lifetime or 0.0) / 5)


def _keep_alive(record: Record, credential: OAuth2Credential) -> float | None:
    if record.refresh_expires_at is None:
        return None
    end = sign_in_by(record, credential)
    if end is not None and record.refresh_expires_at >= end:
        return None  # no use keeps it alive any longer
    life = max(record.refresh_expires_at - (record.obtained_at or record.refresh_expires_at), 0.0)
    return record.refresh_expires_at - (1.0 - KEEP_ALIVE) * life * (0.5 + 0.5 * _jitter(record))


def _jitter(record: Record) -> float:
    """Return 0 to 1, fixed per token: a thousand tokens of one minute are not all refreshed in one second."""
    return int(record.access_fp[:4] or "0", 16) / 0xFFFF


def backoff(failures: int) -> float:
    """Return seconds to wait after that many failures in a row: doubling from 2, at most 5 minutes, with jitter."""
    with late_imports:
        import random  # noqa: PLC0415 - failures are rare

    ceiling = min(2.0 ** min(failures, 16), LONGEST_BACKOFF)
    return ceiling * random.uniform(0.5, 1.0)  # noqa: S311 - spreads load, guards nothing
