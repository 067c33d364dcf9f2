"""JWTs by which an app proves itself or asks for a token (RFC 7523), fresh for every attempt."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping
from typing import Final

from valetkey.protocol.signing import SigningKey
from valetkey.values import Secret

ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
"""RFC 7523 section 2.2."""
CLIENT_TYP: Final = "client-authentication+jwt"
"""The ``typ`` of RFC 7523bis section 4; servers that know the older text alone want ``JWT``."""
LIFETIME: Final = 60
"""Seconds that an assertion is good for: it is sent at once."""
SECRET_LIFETIME: Final = 300
"""Seconds that a signed client secret is good for."""


def assertion_claims(
    *, issuer: str, subject: str, audience: str, now: float, lifetime: float = LIFETIME
) -> dict[str, object]:
    """Return the claims of an assertion (RFC 7523 section 3): ``jti`` is new each time.

    Args:
        issuer: Who signs: the client id, or the service account.
        subject: For whom: the client id, or the user.
        audience: The authorization server: its issuer, or its token endpoint where the issuer is not known.
        now: Unix seconds, by the server's clock where its offset is known.
        lifetime: Seconds until it ends.
    """
    return {
        "iss": issuer,
        "sub": subject,
        "aud": audience,
        "jti": secrets.token_urlsafe(16),
        "iat": int(now),
        "exp": int(now + lifetime),
    }


def client_assertion(
    key: SigningKey | Secret, *, client_id: str, audience: str, now: float, typ: str = CLIENT_TYP
) -> dict[str, str]:
    """Return the parameters that authenticate the client: ``private_key_jwt``, or ``client_secret_jwt`` for a secret.

    RFC 7523 section 2.2; iss and sub are the client id, and the audience is one string (FAPI 2.0 section 5.3.3.1).
    """
    claims = assertion_claims(issuer=client_id, subject=client_id, audience=audience, now=now)
    signed = signed_by_secret(key, typ, claims) if isinstance(key, Secret) else signed_by_key(key, typ, claims)
    return {"client_id": client_id, "client_assertion_type": ASSERTION_TYPE, "client_assertion": signed}


def signed_secret(key: SigningKey, *, client_id: str, claims: Mapping[str, str], now: float) -> Secret:
    """Return a client secret that is a JWT of the app's key (Sign in with Apple): it is good for a few minutes.

    `claims` are texts in which ``{client_id}`` stands for the app's; ``iat``, ``exp`` and ``sub`` come from here.
    """
    said = {name: text.replace("{client_id}", client_id) for name, text in claims.items()}
    times = {"iat": int(now), "exp": int(now + SECRET_LIFETIME), "sub": client_id}
    return Secret(signed_by_key(key, "JWT", {**said, **times}))


def signed_by_key(key: SigningKey, typ: str, claims: Mapping[str, object]) -> str:
    """Return a JWT of `claims`, signed, with the key's id in its header."""
    return key.sign({"typ": typ, "kid": key.kid}, claims)


def signed_by_secret(secret: Secret, typ: str, claims: Mapping[str, object]) -> str:
    """Return a JWT of `claims` under HS256 with the client secret (OpenID Connect Core section 9).

    The octets of the secret's UTF-8 text are the key (section 10.1), however short: its length is the provider's.
    """
    header = {"typ": typ, "alg": "HS256"}
    signed = b".".join(_base64url(json.dumps(part, separators=(",", ":")).encode()) for part in (header, dict(claims)))
    mac = hmac.new(secret.reveal().encode(), signed, hashlib.sha256).digest()
    return (signed + b"." + _base64url(mac)).decode("ascii")


def _base64url(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")
