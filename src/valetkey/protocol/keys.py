"""The keys that sign id tokens: a JWK Set (RFC 7517), read leniently, and none of it believed to be strong."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from valetkey.protocol.bodies import Members, as_list, as_object
from valetkey.protocol.metadata import MetadataFlaw, document_members
from valetkey.protocol.urls import require_https
from valetkey.values import Request, Response

_MAX_KEYS: Final = 100
_MAX_TEXT: Final = 4096
_RSA_BITS: Final = 2048
"""FAPI 2.0 Security Profile section 5.4.1; RFC 7518 section 3.3 says the same."""
_PARTS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {"RSA": ("n", "e"), "EC": ("crv", "x", "y"), "OKP": ("crv", "x")}
)
_CURVES: Final = frozenset({"P-256", "P-384", "P-521", "Ed25519"})
_ALGS: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "ES256": ("EC", "P-256"),
        "ES384": ("EC", "P-384"),
        "ES512": ("EC", "P-521"),
        "EdDSA": ("OKP", "Ed25519"),
        "Ed25519": ("OKP", "Ed25519"),
    }
)
_TRIED: Final = 8
"""How many keys a signature is tried with at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicKey:
    """A key that verifies signatures.

    Attributes:
        kid: Its id; empty where it has none.
        alg: The one algorithm that it is for; empty for all that it can do.
        kty: ``RSA``, ``EC`` or ``OKP``.
        crv: Its curve.
        members: Its public members, as of a JWK.
    """

    kid: str
    alg: str
    kty: str
    crv: str
    members: Mapping[str, str] = field(repr=False)

    def fits(self, alg: str) -> bool:
        """Whether a signature of that algorithm may be by this key."""
        kty, crv = _ALGS.get(alg, ("RSA", ""))
        return (self.kty, self.crv) == (kty, crv) and self.alg in {"", alg, _TWIN.get(alg, alg)}


_TWIN: Final = MappingProxyType({"EdDSA": "Ed25519", "Ed25519": "EdDSA"})
"""RFC 9864 gave the algorithm its full name."""


def keys_request(url: str, *, name: str) -> Request:
    """Return the request for a key set; `name` is the credential whose tokens they sign.

    Raises:
        ConfigurationError: See `urls.require_https`.
    """
    require_https(url, what="jwks_url", name=name)
    return Request(method="GET", url=url, headers={"Accept": "application/json, application/jwk-set+json"})


def parse_keys(response: Response, *, url: str) -> tuple[PublicKey, ...] | MetadataFlaw:
    """Read a key set.  Never raises; keys for other uses, of other kinds, or too weak are passed over."""
    members = document_members(response, url)
    if isinstance(members, MetadataFlaw):
        return members
    if not isinstance(members.get("keys"), list):
        return MetadataFlaw(document=url, member="keys", what="is no list")
    read = (_key(key) for key in map(as_object, as_list(members["keys"])[:_MAX_KEYS]) if key is not None)
    return tuple(key for key in read if key is not None)


def candidates(keys: Sequence[PublicKey], *, kid: str, alg: str) -> tuple[PublicKey, ...]:
    """Return the keys to try for a signature: those of its ``kid``, all that fit where it names none.

    Of keys with the same id, kind and algorithm decide (FAPI 2.0 section 5.4.3, OpenID Connect Core 10.1).
    """
    fitting = [key for key in keys if key.fits(alg) and kid in {"", key.kid}]
    return tuple(fitting[:_TRIED])


def _key(members: Members) -> PublicKey | None:
    kty = members.get("kty")
    parts = _PARTS.get(kty) if isinstance(kty, str) else None
    operations = members.get("key_ops")
    if parts is None or members.get("use", "sig") != "sig":
        return None
    if operations is not None and "verify" not in as_list(operations):
        return None
    texts = {name: _text(members, name) for name in ("kty", *parts)}
    if not all(texts.values()) or (texts.get("crv") or "P-256") not in _CURVES or _is_weak(texts):
        return None
    return PublicKey(
        kid=_text(members, "kid"),
        alg=_text(members, "alg"),
        kty=texts["kty"],
        crv=texts.get("crv", ""),
        members=MappingProxyType(texts),
    )


def _text(members: Members, name: str) -> str:
    value = members.get(name)
    return value if isinstance(value, str) and len(value) <= _MAX_TEXT else ""


def _is_weak(texts: Mapping[str, str]) -> bool:
    if "n" not in texts:
        return False
    try:
        modulus = base64.urlsafe_b64decode(texts["n"] + "=" * (-len(texts["n"]) % 4))
    except (binascii.Error, ValueError):
        return True
    return int.from_bytes(modulus).bit_length() < _RSA_BITS
