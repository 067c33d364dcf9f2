"""The id token: who signed in, as the authorization server says it (OpenID Connect Core sections 2, 3.1.3 and 12.2)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from valetkey.errors import clean
from valetkey.model.connections import Identity
from valetkey.protocol.bodies import Members, as_list
from valetkey.protocol.keys import PublicKey
from valetkey.protocol.signatures import Fault, TokenFlaw, Unverified, take_apart, verified
from valetkey.values import Secret

LEEWAY: Final = 60.0
"""Seconds by which two clocks may differ."""
OLDEST: Final = 86400.0
"""Seconds: a token that was made longer ago was not made for this answer."""
_LONGEST_SUBJECT: Final = 255
"""Characters: Core section 2."""
_MAX_TEXT: Final = 200
_PARTS: Final = {"subject": "sub", "email": "email", "name": "name", "login": "preferred_username"}
_SAME: Final[tuple[Fault, ...]] = ("iss", "sub")
_SAME_WHERE_THERE: Final[tuple[Fault, ...]] = ("auth_time", "nonce")
"""What the id token of a refresh must not change (Core section 12.2); the nonce it may leave out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What an id token has to say.

    Attributes:
        issuer: ``iss``, byte for byte.
        client_id: What ``aud`` must hold.
        algs: The algorithms that it may be signed with.
        audiences: What ``aud`` may hold beside the client id.
        nonce: The nonce that was sent; empty where none was.
        access_token: What ``at_hash`` is made of, where it is there.
        code: What ``c_hash`` is made of, where it is there.
        secret: The client secret.
        max_age: Seconds since the person signed in, where that was asked for.
        acr_values: The authentication contexts that were asked for.
    """

    issuer: str
    client_id: str
    algs: Sequence[str]
    audiences: Sequence[str] = ()
    nonce: str = field(default="", repr=False)
    access_token: Secret | None = None
    code: Secret | None = None
    secret: Secret | None = None
    max_age: float | None = None
    acr_values: Sequence[str] = ()


def parse_id_token(token: Secret, *, keys: Sequence[PublicKey], expected: Expected, now: float) -> Members | TokenFlaw:
    """Return the claims of an id token that holds in every respect, or the first in which it does not.  Never raises.

    `now` is Unix seconds.  The signature is checked always, although it came by TLS from the token endpoint (Core
    section 3.1.3.7 point 6).
    """
    parts = verified(token, keys=keys, algs=expected.algs, secret=expected.secret)
    if isinstance(parts, TokenFlaw):
        return parts
    flaw = (
        _who_and_for_whom(parts.claims, expected)
        or _when(parts.claims, expected, now)
        or _in_answer(parts.claims, expected)
        or _hashes(parts, expected)
    )
    return flaw or parts.claims


def claims_of(token: Secret | None) -> Members | None:
    """Return the claims of an id token that was believed when it was stored; None where it cannot be read."""
    parts = take_apart(token) if token is not None else None
    return parts.claims if isinstance(parts, Unverified) else None


def moved(before: Members, token: Secret) -> TokenFlaw | None:
    """Return in what the id token of a refresh speaks of another sign-in than `before` (Core section 12.2).

    Signature and times are not looked at: whoever it is by, it does not belong to this grant.  A token that cannot be
    read says nothing of the kind.
    """
    now = claims_of(token)
    if now is None:
        return None
    for claim in _SAME:
        if now.get(claim) != before.get(claim):
            return TokenFlaw(claim, f"has another {claim} than that of the sign-in")
    for claim in _SAME_WHERE_THERE:
        if claim in now and claim in before and now[claim] != before[claim]:
            return TokenFlaw(claim, f"has another {claim} than that of the sign-in")
    if any(one not in _audience(now) for one in _audience(before)):
        return TokenFlaw("aud", "has another aud than that of the sign-in")
    return None


def identity_of(claims: Members) -> Identity:
    """Return who it is (Core section 5.1)."""
    texts = {part: value for part, name in _PARTS.items() if isinstance(value := claims.get(name), str)}
    return Identity(**{part: clean(text, _MAX_TEXT) for part, text in texts.items()})


# -- its claims ----------------------------------------------------------------------------------------------------


def for_us(claims: Members, *, issuer: str, client_id: str, audiences: Sequence[str] = ()) -> TokenFlaw | None:
    """Check by whom a signed answer is and for whom (Core sections 3.1.3.7 points 2 to 5, and 5.3.2)."""
    if claims.get("iss") != issuer:
        return TokenFlaw(
            "iss", "is not by the issuer that was asked" if "iss" in claims else "does not say whose it is"
        )
    named = _audience(claims)
    if client_id not in named:
        return TokenFlaw("aud", "is not meant for this app")
    if any(one not in {client_id, *audiences} for one in named if isinstance(one, str)):
        return TokenFlaw("aud", "is meant for others too, whom nobody here trusts")
    if not all(isinstance(one, str) for one in named):
        return TokenFlaw("aud", "names an audience that is no text")
    return None


def _who_and_for_whom(claims: Members, expected: Expected) -> TokenFlaw | None:
    flaw = for_us(claims, issuer=expected.issuer, client_id=expected.client_id, audiences=expected.audiences)
    if flaw is not None:
        return flaw
    if claims.get("azp", expected.client_id) != expected.client_id:
        return TokenFlaw("azp", "was given to another app")
    subject = claims.get("sub")
    if not isinstance(subject, str) or not subject or len(subject) > _LONGEST_SUBJECT:
        return TokenFlaw("sub", "does not say who signed in")
    return None


def _when(claims: Members, expected: Expected, now: float) -> TokenFlaw | None:
    ends, made = _number(claims, "exp"), _number(claims, "iat")
    if ends is None or now >= ends + LEEWAY:
        return TokenFlaw("exp", "does not say when it ends" if ends is None else "has ended")
    if made is None or not now - OLDEST <= made <= now + LEEWAY:
        why = "does not say when it was made" if made is None else "was made long ago, or in the future"
        return TokenFlaw("iat", why)
    if expected.max_age is not None:
        signed_in = _number(claims, "auth_time")
        if signed_in is None or signed_in < now - expected.max_age - LEEWAY:
            return TokenFlaw("auth_time", "stands for a sign-in that is older than was asked for")
    return None


def _in_answer(claims: Members, expected: Expected) -> TokenFlaw | None:
    if expected.nonce:
        said = claims.get("nonce")
        if not isinstance(said, str) or not hmac.compare_digest(said.encode(), expected.nonce.encode()):
            return TokenFlaw("nonce", "does not answer this sign-in: its nonce is missing or another")
    if expected.acr_values and claims.get("acr") not in expected.acr_values:
        return TokenFlaw("acr", "stands for a weaker sign-in than was asked for")
    return None


def _hashes(parts: Unverified, expected: Expected) -> TokenFlaw | None:
    """Compare what ties it to the access token and the code beside it (Core section 3.1.3.8)."""
    pairs: tuple[tuple[Fault, Secret | None], ...] = (("at_hash", expected.access_token), ("c_hash", expected.code))
    for claim, value in pairs:
        said = parts.claims.get(claim)
        if said is None or value is None:
            continue
        wanted = left_half(value, str(parts.header["alg"]))
        if not isinstance(said, str) or not hmac.compare_digest(said.encode(), wanted.encode()):
            return TokenFlaw(claim, "belongs to another token than the one beside it")
    return None


def left_half(value: Secret, alg: str) -> str:
    """Return the hash that ``at_hash`` and ``c_hash`` hold; SHA-512 for Ed25519, which names no other."""
    digest = hashlib.new(f"sha{alg[2:]}" if alg[2:].isdecimal() else "sha512", value.reveal().encode()).digest()
    return base64.urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=").decode()


def _number(claims: Members, name: str) -> float | None:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value) if abs(value) < 1e12 else None  # noqa: PLR2004 - milliseconds are no seconds


def _audience(claims: Members) -> list[object]:
    """Return ``aud``, which is a text or a list (RFC 7519 section 4.1.3), as a list."""
    held = claims.get("aud")
    return [held] if isinstance(held, str) else as_list(held)
