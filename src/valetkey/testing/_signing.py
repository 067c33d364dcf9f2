"""How the practice provider signs id tokens, and how it does so wrongly (OpenID Connect Core section 2)."""

from __future__ import annotations

import base64
import json
import secrets
import threading
from collections.abc import Callable, Mapping
from typing import Any, Final

from valetkey.protocol.id_token import left_half
from valetkey.values import Secret

ID_TOKEN_SECONDS: Final = 600
OPENID_SCOPES: Final = ("openid", "profile", "email")
_BITS: Final = 2048
_USUAL: Final = ("ES256", True, True, False, 0, 0)


class SigningKeys:
    """The keys of a practice provider; made when they are first needed.

    Attributes:
        alg: What id tokens are signed with: ``ES256``, ``RS256``, ``EdDSA``; ``HS256`` (the client secret is the key)
            and ``none`` too, which no client should take.
        published: Whether a new key is in the key set at once; False: `publish` puts it there.
        named: Whether tokens say which key they are signed with (``kid``).
        rotates_next: Whether a new key is made, and published, right before the next signature.
        companions: How many more keys of the same kind are in the key set, before the one in use.
        forged: How many of the next id tokens have a signature that does not hold.
    """

    def __init__(self) -> None:
        self.alg, self.published, self.named, self.rotates_next, self.forged, self.companions = _USUAL
        self._lock = threading.Lock()
        self._keys: list[tuple[str, Any]] = []
        self._shown: list[dict[str, Any]] = []

    def behave(self) -> None:
        """Sign as at first; keys that were made stay."""
        self.alg, self.published, self.named, self.rotates_next, self.forged, self.companions = _USUAL
        self.publish()

    def rotate(self) -> None:
        """Sign with a new key from now on; the old ones leave the key set."""
        with self._lock:
            self._keys = []
            self._current()

    def publish(self) -> None:
        """Put the key in use into the key set."""
        with self._lock:
            self._show()

    def members(self) -> dict[str, Any]:
        """Return the key set (RFC 7517 section 5)."""
        with self._lock:
            self._current()
            others = [_shown(_made("ES256"), "ES256") for _ in range(self.companions)]
            return {"keys": [*others, *self._shown]}

    def sign(self, claims: Mapping[str, Any], *, client_secret: str = "", typ: str = "") -> str:
        """Return a signed token with these claims, of this type."""
        with self._lock:
            if self.rotates_next:
                self.rotates_next, self._keys = False, []
            header, key = {"alg": self.alg}, self._current()
            if self.named:
                header["kid"] = key.kid
            if typ:
                header["typ"] = typ
            forged, self.forged = self.forged > 0, max(self.forged - 1, 0)
        token = _signed(header, claims, key, client_secret)
        return f"{token[: token.rindex('.')]}.{_base64url(secrets.token_bytes(64))}" if forged else token

    def _current(self) -> Any:
        """Return the key for the algorithm in use."""
        kind = self.alg if self.alg in {"RS256", "EdDSA"} else "ES256"
        for made_for, key in self._keys:
            if made_for == kind:
                return key
        key = _made(kind)
        self._keys.append((kind, key))
        if self.published:
            self._show()
        return key

    def _show(self) -> None:
        self._shown = [_shown(key, kind) for kind, key in self._keys]


def _shown(key: Any, kind: str) -> dict[str, Any]:
    return {**key.as_dict(private=False), "use": "sig", "alg": kind}


def _made(kind: str) -> Any:
    from joserfc import jwk  # noqa: PLC0415 - only where id tokens are asked for

    parameters: Any = {"kid": secrets.token_urlsafe(6)}
    if kind == "RS256":
        return jwk.RSAKey.generate_key(_BITS, parameters)
    return (
        jwk.OKPKey.generate_key("Ed25519", parameters)
        if kind == "EdDSA"
        else jwk.ECKey.generate_key("P-256", parameters)
    )


def _signed(header: dict[str, str], claims: Mapping[str, Any], key: Any, client_secret: str) -> str:
    from joserfc import jwk, jws  # noqa: PLC0415

    payload = json.dumps(claims).encode()
    alg = header["alg"]
    if alg == "none":
        return f"{_base64url(json.dumps(header).encode())}.{_base64url(payload)}."
    if alg.startswith("HS"):
        key = jwk.import_key({"kty": "oct", "k": _base64url(client_secret.encode())}, "oct")
    if alg == "EdDSA":  # under this name the library warns, for RFC 9864 gave it another
        signing_input = f"{_base64url(json.dumps(header).encode())}.{_base64url(payload)}"
        return f"{signing_input}.{_base64url(key.get_op_key('sign').sign(signing_input.encode()))}"
    return jws.serialize_compact(header, payload, key, algorithms=[alg])


def id_token_claims(
    person: Mapping[str, str], *, issuer: str, client_id: str, access_token: str, alg: str, at: float
) -> dict[str, Any]:
    """Return the claims of an id token that is in order."""
    return {
        **person,
        "iss": issuer,
        "aud": client_id,
        "iat": int(at),
        "exp": int(at) + ID_TOKEN_SECONDS,
        "at_hash": left_half(Secret(access_token), alg),
    }


Sign = Callable[[Any, str], str]
"""Makes the id token of a grant (`Family`) for the access token beside it."""


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
