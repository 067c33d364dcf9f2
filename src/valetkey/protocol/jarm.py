"""Authorization answers that are signed: JWT Secured Authorization Response Mode (JARM)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from valetkey.protocol.bodies import Members
from valetkey.protocol.id_token import LEEWAY, for_us
from valetkey.protocol.keys import PublicKey
from valetkey.protocol.signatures import TokenFlaw, Unverified, take_apart, verified
from valetkey.values import Secret

_MAX_VALUE: Final = 8192


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedAnswer:
    """What a signed answer has to say.

    Attributes:
        issuer: ``iss``, byte for byte.
        client_id: ``aud``.
        algs: The algorithms that it may be signed with; ``none`` is never one of them.
    """

    issuer: str
    client_id: str
    algs: Sequence[str]


def state_in(answer: Secret) -> str:
    """Return the state that an answer claims, to find out who has to have signed it.  It proves nothing."""
    parts = take_apart(answer)
    state = parts.claims.get("state") if isinstance(parts, Unverified) else None
    return state if isinstance(state, str) and len(state) <= _MAX_VALUE else ""


def parse_signed_answer(
    answer: Secret, *, keys: Sequence[PublicKey], expected: SignedAnswer, secret: Secret | None, now: float
) -> dict[str, str] | TokenFlaw:
    """Return the parameters inside, or why none of them counts (JARM section 2.4).  Never raises.

    `secret` is the client secret, for the algorithms whose key it is; `now` is Unix seconds.
    """
    parts = verified(answer, keys=keys, algs=expected.algs, secret=secret)
    if isinstance(parts, TokenFlaw):
        return parts
    claims = parts.claims
    flaw = for_us(claims, issuer=expected.issuer, client_id=expected.client_id) or _when(claims, now)
    return flaw or _texts(claims)


def _when(claims: Members, now: float) -> TokenFlaw | None:
    end = claims.get("exp")
    if isinstance(end, bool) or not isinstance(end, int | float):
        return TokenFlaw("exp", "does not say until when it is good")
    return None if now < end + LEEWAY else TokenFlaw("exp", "is too old")


def _texts(claims: Members) -> dict[str, str]:
    """Return the members that an answer in the clear would have; ``iss`` stays, to be checked once more."""
    return {
        name: value
        for name, value in claims.items()
        if name not in {"aud", "exp"} and isinstance(value, str) and len(value) <= _MAX_VALUE
    }
