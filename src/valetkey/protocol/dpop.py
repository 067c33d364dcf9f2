"""DPoP (RFC 9449): proofs that whoever sends a token has the key that it is bound to."""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from valetkey.protocol.signing import SigningKey
from valetkey.values import Secret

SCHEME: Final = "DPoP"
HEADER: Final = "DPoP"
NONCE_HEADER: Final = "dpop-nonce"
"""In lower case, as `Response` has it."""
_MAX_NONCE: Final = 1024


def proof(key: SigningKey, *, method: str, url: str, now: float, nonce: str = "", token: Secret | None = None) -> str:
    """Return a proof for one request (section 4.2); each attempt needs a new one.

    Args:
        key: The key that the token is, or will be, bound to.
        method: The request's HTTP method.
        url: Its URL; query and fragment are left out, as ``htu`` wants it.
        now: Unix seconds, by the server's clock where its offset is known.
        nonce: The newest that this very server gave; empty where it gave none.
        token: The access token that goes with it, for ``ath``; None at the authorization server.
    """
    claims: dict[str, object] = {
        "jti": secrets.token_urlsafe(16),
        "htm": method.upper(),
        "htu": target(url),
        "iat": int(now),
    }
    if token is not None:
        digest = hashlib.sha256(token.reveal().encode("ascii")).digest()
        claims["ath"] = base64.urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")
    if nonce:
        claims["nonce"] = nonce
    return key.sign({"typ": "dpop+jwt", "jwk": dict(key.public)}, claims)


def target(url: str) -> str:
    """Return a URL as ``htu`` has it: without query and fragment, scheme and host in lower case, no default port."""
    parts = urlsplit(url)
    host = (parts.hostname or "").lower()
    host = f"[{host}]" if ":" in host else host
    default = {"https": 443, "http": 80}.get(parts.scheme.lower())
    port = f":{parts.port}" if parts.port is not None and parts.port != default else ""
    return f"{parts.scheme.lower()}://{host}{port}{parts.path or '/'}"


def token_in(headers: Mapping[str, str]) -> Secret | None:
    """Return the bound access token that a request carries, None where it carries none."""
    scheme, _, token = headers.get("Authorization", "").partition(" ")
    return Secret(token) if scheme == SCHEME and token else None


def given_nonce(headers: Mapping[str, str]) -> str:
    """Return the nonce that an answer gives for later requests (section 8.2), from any status; empty: none.

    Args:
        headers: Of the answer, names in lower case.
    """
    nonce = headers.get(NONCE_HEADER, "")
    return nonce if 0 < len(nonce) <= _MAX_NONCE and nonce.isascii() and nonce.isprintable() else ""
