"""Private keys of ours, and what they sign: JWS in compact form (RFC 7515) by `joserfc`, which is loaded when needed.

A key is a JWK (RFC 7517) or a PEM text.  It is read once in a process; what is read does not show itself.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from typing import Any, Final, cast, final

from valetkey.errors import ConfigurationError
from valetkey.forks import late_imports
from valetkey.values import Secret

ALGORITHMS: Final = (
    *("ES256", "ES384", "ES512", "PS256", "PS384", "PS512", "RS256", "RS384", "RS512"),
    *("EdDSA", "Ed25519"),
)
"""What our keys may sign with: never ``none``, never with a key that others have too (RFC 8725 section 3.2)."""
_BY_CURVE: Final[Mapping[str, tuple[str, ...]]] = {
    "P-256": ("ES256",),
    "P-384": ("ES384",),
    "P-521": ("ES512",),
    "Ed25519": ("EdDSA", "Ed25519"),
}
_BY_RSA: Final = ("RS256", "PS256", "RS384", "PS384", "RS512", "PS512")
_RSA_BITS: Final = 2048
_TOO_SHORT: Final = f"is too short: RSA keys have at least {_RSA_BITS} bits"
_MAKE: Final = "valetkey app make-key NAME"
_NAMED: Final = ("kid", "alg")
_PUBLIC: Final = ("kty", "crv", "x", "y", "n", "e")


@final
class SigningKey:
    """A private key.  Made by `read_key`; it tells its public half only.

    Attributes:
        alg: The algorithm that it signs with.
        kid: Its id: what its JWK says, else its thumbprint.
        thumbprint: Of its public half (RFC 7638, SHA-256), as ``dpop_jkt`` and ``cnf.jkt`` have it.
        public: Its public half: the members of a JWK that RFC 7638 counts.
    """

    __slots__ = ("_key", "alg", "kid", "public", "thumbprint")

    def __init__(self, key: Any, *, alg: str, kid: str) -> None:
        members = key.as_dict(private=False)
        self._key = key
        self.alg = alg
        self.public: Mapping[str, str] = {name: members[name] for name in _PUBLIC if name in members}
        self.thumbprint: str = key.thumbprint()
        self.kid = kid or self.thumbprint

    def __repr__(self) -> str:
        return f"SigningKey(alg={self.alg!r}, kid={self.kid!r})"

    def public_jwk(self) -> dict[str, str]:
        """Return what a JWK Set shows of it: its public half, and what it is for."""
        return {**self.public, "kid": self.kid, "alg": self.alg, "use": "sig"}

    def private_jwk(self) -> Secret:
        """Return all of it, with its id: as the JSON text of a JWK."""
        return Secret(json.dumps({**self._key.as_dict(private=True), "kid": self.kid, "alg": self.alg}))

    def sign(self, header: Mapping[str, object], claims: Mapping[str, object]) -> str:
        """Return a JWT with these claims; ``alg`` is put into the header."""
        with late_imports:
            from joserfc import jws  # noqa: PLC0415 - heavy, and only for those who have a key

        payload = json.dumps(dict(claims), separators=(",", ":")).encode()
        return jws.serialize_compact({"alg": self.alg, **header}, payload, self._key, registry=_registry(self.alg))


def read_key(
    text: Secret, *, alg: str = "", allowed: tuple[str, ...] = (), what: str, name: str, kid: str = ""
) -> SigningKey:
    """Return the private key in `text`, a JWK or PEM.

    Args:
        text: The key.
        alg: The algorithm to sign with; empty: what the JWK says, else what suits the key (``RS256`` for RSA).
        allowed: The algorithms that the credential's security profile takes; empty: all.
        what: Which setting it is, for errors.
        name: The credential that it belongs to, for errors.
        kid: Its id, where others gave it one; empty: what the JWK says, else its thumbprint.

    Raises:
        ConfigurationError: ``private_key_unreadable``: it is no private key, encrypted, or too weak;
            ``private_key_unfit``: it cannot sign with `alg`, or may not.
    """
    try:
        return _read(text, alg, allowed, kid)
    except _Unfit as error:
        msg, hint = f"{name}: {what} {error}", f"choose one of these, or make a key for it: {_MAKE}"
        raise ConfigurationError(msg, code="private_key_unfit", hint=hint) from None
    except _Unreadable as error:
        msg, hint = f"{name}: {what} {error}", f"give a private key as PEM or as a JWK; a new one: {_MAKE}"
        raise ConfigurationError(msg, code="private_key_unreadable", hint=hint) from None


def named_key(text: Secret, *, alg: str = "", kid: str, name: str) -> Secret:
    """Return the private key in `text` as a JWK that has this id.  Arguments and errors are those of `read_key`."""
    return read_key(text, alg=alg, what="private_key", name=name, kid=kid).private_jwk()


def generate_key(alg: str = "ES256") -> Secret:
    """Return a new private key, as the JSON text of a JWK with ``kid`` and ``alg``.

    Raises:
        ConfigurationError: ``private_key_unfit``: there is no such algorithm.
    """
    with late_imports:
        from joserfc import jwk  # noqa: PLC0415

    if alg not in ALGORITHMS:
        msg = f"there is no algorithm {alg!r} to make a key for"
        raise ConfigurationError(msg, code="private_key_unfit", hint=f"choose one of {', '.join(ALGORITHMS)}")
    curve = next((crv for crv, algs in _BY_CURVE.items() if alg in algs), "")
    kty = "RSA" if not curve else "OKP" if curve == "Ed25519" else "EC"
    key = cast("Any", jwk.generate_key(kty, curve or _RSA_BITS, private=True, auto_kid=False))  # type: ignore[call-overload]
    return Secret(json.dumps({**key.as_dict(private=True), "kid": key.thumbprint(), "alg": alg}))


class _Unreadable(Exception):
    """Why a text is no key to sign with; nothing of it."""


class _Unfit(Exception):
    """What a key cannot sign with."""


@functools.lru_cache(maxsize=256)
def _read(text: Secret, alg: str, allowed: tuple[str, ...] = (), kid: str = "") -> SigningKey:
    key, members = _imported(text)
    able = tuple(one for one in _able(members) if one in allowed or not allowed)
    if not able:
        raise _Unfit(f"is a key that signs with {', '.join(_able(members))}, and what may is {', '.join(allowed)}")
    wanted = alg or members.get("alg", "") or able[0]
    if wanted not in able:
        raise _Unfit(f"cannot sign with {wanted}; it can with {', '.join(able)}")
    return SigningKey(key, alg=wanted, kid=kid or members.get("kid", ""))


def _imported(text: Secret) -> tuple[Any, dict[str, str]]:
    with late_imports:
        from joserfc import jwk  # noqa: PLC0415
        from joserfc.errors import JoseError  # noqa: PLC0415

    plain = text.reveal().strip()
    if "ENCRYPTED" in plain[:80] or "Proc-Type: 4,ENCRYPTED" in plain[:200]:
        raise _Unreadable("is encrypted with a password, and there is nobody to ask for it")
    try:
        given = _jwk_members(plain)
        key = jwk.import_key(given) if given else _of_pem(plain)
        private = bool(key.is_private)
    except (JoseError, ValueError, TypeError, KeyError, RecursionError):
        raise _Unreadable("is no readable private key") from None
    if not private:
        raise _Unreadable("is a public key; what signs is the private one")
    texts = {name: str(given.get(name, "")) for name in _NAMED}
    return key, {**texts, "kty": str(key.key_type), "crv": str(key.as_dict(private=False).get("crv", ""))}


def _jwk_members(plain: str) -> dict[str, Any]:
    """Return the members of a JWK; empty where the text is none, and so may be a PEM."""
    if not plain.startswith("{"):
        return {}
    members = json.loads(plain)
    if members.get("kty") not in {"RSA", "EC", "OKP"}:
        raise _Unreadable("is no key pair: its kty is none of RSA, EC and OKP")
    size = len(str(members.get("n", ""))) * 6
    if members["kty"] == "RSA" and size < _RSA_BITS:
        raise _Unreadable(_TOO_SHORT)
    return dict(members)


def _of_pem(plain: str) -> Any:
    with late_imports:
        from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa  # noqa: PLC0415
        from cryptography.hazmat.primitives.serialization import load_pem_private_key  # noqa: PLC0415
        from joserfc import jwk  # noqa: PLC0415

    if "PRIVATE KEY-----" not in plain:
        raise _Unreadable("holds no private key")
    loaded = load_pem_private_key(plain.encode(), password=None)
    kinds: dict[type[object], str] = {
        ec.EllipticCurvePrivateKey: "EC",
        ed25519.Ed25519PrivateKey: "OKP",
        rsa.RSAPrivateKey: "RSA",
    }
    kty = next((name for kind, name in kinds.items() if isinstance(loaded, kind)), None)
    if kty is None:
        raise _Unreadable("is a key of a kind that signs no tokens; use EC, RSA or Ed25519")
    if isinstance(loaded, rsa.RSAPrivateKey) and loaded.key_size < _RSA_BITS:
        raise _Unreadable(_TOO_SHORT)
    return jwk.import_key(plain, kty)  # type: ignore[call-overload]


def _able(members: Mapping[str, str]) -> tuple[str, ...]:
    if members["kty"] == "RSA":
        return _BY_RSA
    able = _BY_CURVE.get(members["crv"])
    if able is None:
        raise _Unreadable(f"is on a curve that is not used for this ({members['crv']})")
    return able


@functools.cache
def _registry(alg: str) -> Any:
    with late_imports:
        from joserfc import jws  # noqa: PLC0415

    class Registry(jws.JWSRegistry):
        """Lets one algorithm through, and does not warn the program of what its provider's standard demands."""

        def get_alg(self, name: str) -> Any:
            return self.algorithms[name] if name in (self.allowed or ()) else super().get_alg(name)

    return Registry(algorithms=[alg], strict_check_header=False)
