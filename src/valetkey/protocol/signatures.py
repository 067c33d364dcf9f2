"""Signed tokens that were given to us: JWS compact serialization (RFC 7515), checked by `joserfc`, loaded when needed.

The algorithm is one of ours, never the token's own choice (RFC 8725 section 3.1), and so is the key: what a header
says of keys (``jwk``, ``jku``, ``x5u``) is not looked at.
"""

from __future__ import annotations

import base64
import binascii
import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from valetkey.forks import late_imports
from valetkey.protocol.bodies import Members, as_object, read_json
from valetkey.protocol.keys import PublicKey, candidates
from valetkey.values import Secret

MAX_TOKEN: Final = 64 * 1024
"""Characters."""
_MAX_HEADER: Final = 4096
_MAX_PAYLOAD: Final = 48 * 1024
_MAX_SIGNATURE: Final = 1024
_PARTS: Final = 3
_ENCRYPTED_PARTS: Final = 5

Fault = Literal[
    "malformed", "encrypted", "alg", "key", "signature", "iss", "aud", "azp", "sub", "exp", "iat", "nonce",
    "at_hash", "c_hash", "auth_time", "acr", "missing",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class TokenFlaw:
    """Why a signed token is not believed.

    Attributes:
        fault: What is wrong: ``malformed``, ``alg``, ``key`` (its key is not in the set), ``signature``, or the claim.
        what: The same in words, to be read after "the id token".  Nothing of the token stands in it.
    """

    fault: Fault
    what: str


@dataclass(frozen=True, slots=True)
class Unverified:
    """A token that was taken apart, and not believed yet."""

    header: Members
    claims: Members


def take_apart(token: Secret) -> Unverified | TokenFlaw:
    """Return header and claims of a compact JWS, none of them verified."""
    text = token.reveal()
    if len(text) > MAX_TOKEN:
        return TokenFlaw("malformed", f"is longer than {MAX_TOKEN // 1024} KiB")
    parts = text.split(".")
    if len(parts) == _ENCRYPTED_PARTS:
        return TokenFlaw("encrypted", "is encrypted, which was not asked for")
    if len(parts) != _PARTS:
        return TokenFlaw("malformed", "is no signed token")
    header, claims = (_object(part) for part in parts[:2])
    if header is None or claims is None:
        return TokenFlaw("malformed", "is no readable signed token")
    return Unverified(header, claims)


def verified(
    token: Secret, *, keys: Sequence[PublicKey], algs: Sequence[str], secret: Secret | None = None
) -> Unverified | TokenFlaw:
    """Return header and claims of a token whose signature holds; never raises.

    Args:
        token: The token.
        keys: The public keys of whoever should have signed it.
        algs: The algorithms that it may have.  ``none`` is never one of them.
        secret: The client secret, the key of ``HS256`` and its kin where they are allowed.
    """
    parts = take_apart(token)
    if isinstance(parts, TokenFlaw):
        return parts
    alg, kid = parts.header.get("alg"), parts.header.get("kid", "")
    if not isinstance(alg, str) or alg not in algs or alg.lower() == "none":
        return TokenFlaw("alg", f"is signed in a way that is not allowed here; allowed: {', '.join(algs) or 'nothing'}")
    if "crit" in parts.header or not isinstance(kid, str):
        return TokenFlaw("malformed", "has a header that is not understood")
    if alg.startswith("HS"):
        known = [_secret_key(secret)] if secret is not None else []
    else:
        known = [_public_key(key) for key in candidates(keys, kid=kid, alg=alg)]
    if not known:
        return TokenFlaw("key", "is signed with a key that its server does not name")
    return parts if any(_holds(token, alg, key) for key in known) else _FORGED


_FORGED: Final = TokenFlaw("signature", "has a signature that does not hold")


def _object(part: str) -> Members | None:
    try:
        if not part.isascii() or "=" in part:
            return None
        text = base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True).decode()
        return as_object(read_json(text))
    except (binascii.Error, ValueError):
        return None


def _holds(token: Secret, alg: str, key: Any) -> bool:
    with late_imports:
        from joserfc import jws  # noqa: PLC0415 - heavy, and only for those who have id tokens
        from joserfc.errors import JoseError  # noqa: PLC0415

    if key is None:
        return False
    try:
        jws.deserialize_compact(token.reveal(), key, registry=_registry()(algorithms=[alg], strict_check_header=False))
    except (JoseError, ValueError, TypeError):
        return False
    return True


def _public_key(key: PublicKey) -> Any:
    with late_imports:
        from joserfc import jwk  # noqa: PLC0415
        from joserfc.errors import JoseError  # noqa: PLC0415

    try:
        return jwk.import_key(dict(key.members))
    except (JoseError, ValueError, TypeError):  # numbers that are no point of the curve, say
        return None


def _secret_key(secret: Secret) -> Any:
    with late_imports:
        from joserfc import jwk  # noqa: PLC0415

    # As bytes under a name of its own: a client secret that looks like a PEM key is still only a secret.
    encoded = base64.urlsafe_b64encode(secret.reveal().encode()).rstrip(b"=").decode()
    return jwk.import_key({"kty": "oct", "k": encoded}, "oct")


@functools.cache
def _registry() -> Any:
    with late_imports:
        from joserfc import jws  # noqa: PLC0415

    class Registry(jws.JWSRegistry):
        """Lets through what is allowed here, with bounds of our own, and without warnings to the program."""

        max_header_length = _MAX_HEADER
        max_payload_length = _MAX_PAYLOAD
        max_signature_length = _MAX_SIGNATURE

        def get_alg(self, name: str) -> Any:
            known = self.algorithms.get(name) if name in (self.allowed or ()) else None
            return known or super().get_alg(name)

    return Registry
