"""What clients of the practice provider sign: DPoP proofs (RFC 9449) and client assertions (RFC 7523).

Checked with a library, and not with the code of the package: a mistake there would be right here too.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final, cast

from valetkey.testing._http import Call, Reply
from valetkey.testing._ledger import Client, Ledger
from valetkey.testing._refused import Refused

SIGNED_WITH: Final = ("ES256", "PS256", "RS256")
_PROOF_SECONDS: Final = 60.0
_ASSERTION: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


class Proofs:
    """Checks what is signed; each ``jti`` counts once.

    Attributes:
        nonce: What proofs have to hold where `Rules.dpop_nonces` says so; each answer gives a new one.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._seen: set[str] = set()
        self.nonce = ""

    def stamped(self, reply: Reply | None) -> Reply | None:
        """Return an answer with the nonce for the requests from now on, where nonces are wanted."""
        if reply is None or not self._ledger.rules.dpop_nonces:
            return reply
        self.nonce = secrets.token_urlsafe(12)
        return replace(reply, headers={**reply.headers, "DPoP-Nonce": self.nonce})

    def thumbprint(self, call: Call, url: str, *, token: str = "") -> str:
        """Return the thumbprint of the key that a request was proven with; empty where there is no proof.

        Raises:
            Refused: The proof does not hold (``invalid_dpop_proof``), or has not the newest nonce (``use_dpop_nonce``).
        """
        proof = call.headers.get("dpop", "")
        if not proof:
            return ""
        found = _opened(proof)
        if found is None:
            raise Refused(error="invalid_dpop_proof", why="the proof is not signed with the key that it names")
        header, claims, thumbprint = found
        flaw = self._flaw(header, claims, call, url, token)
        if flaw:
            raise Refused(error="invalid_dpop_proof", why=flaw)
        if self._ledger.rules.dpop_nonces and claims.get("nonce") != self.nonce:
            raise Refused(error="use_dpop_nonce", why="put the nonce of this answer into the proof")
        return thumbprint

    def _flaw(self, header: Any, claims: Any, call: Call, url: str, token: str) -> str:
        """Return what is wrong with a proof (RFC 9449 section 4.3)."""
        if header.get("typ") != "dpop+jwt":
            return "typ is not dpop+jwt"
        if (claims.get("htm"), claims.get("htu")) != (call.method, url):
            return "the proof is for another request"
        if abs(claims.get("iat", 0) - self._ledger.now()) > _PROOF_SECONDS:
            return "the proof is from another time"
        if token and claims.get("ath") != _base64url(hashlib.sha256(token.encode()).digest()):
            return "the proof is for another token"
        return "" if self._first(claims) else "the proof was used before"

    def check_assertion(self, client: Client, form: Mapping[str, str], audiences: tuple[str, ...]) -> None:
        """Check a client assertion (RFC 7523 section 3).

        Raises:
            Refused: It does not hold, or it was used before.
        """
        claims = _verified(form.get("client_assertion", ""), client.public_key or {})
        fits = (
            form.get("client_assertion_type") == _ASSERTION
            and claims is not None
            and claims.get("iss") == claims.get("sub") == client.client_id
            and claims.get("aud") in audiences
            and claims.get("exp", 0) > self._ledger.now()
        )
        if not fits or not self._first(claims):
            raise Refused(error="invalid_client", why="the assertion does not hold, or was used before", status=401)

    def _first(self, claims: Any) -> bool:
        jti = claims.get("jti")
        with self._ledger.lock:
            if not isinstance(jti, str) or jti in self._seen:
                return False
            self._seen.add(jti)
        return True


def _opened(proof: str) -> tuple[dict[str, Any], dict[str, Any], str] | None:
    """Return header, claims and thumbprint of a proof that its own key has signed."""
    from joserfc import errors, jwk  # noqa: PLC0415 - only where something is signed

    try:
        header: Any = json.loads(_bytes(proof.partition(".")[0]))
        key = jwk.import_key(header["jwk"])
        claims = _verified(proof, header["jwk"])
    except (ValueError, KeyError, TypeError, errors.JoseError):
        return None
    if claims is None or key.is_private:
        return None
    return header, claims, key.thumbprint()


def _verified(token: str, key: Mapping[str, Any]) -> dict[str, Any] | None:
    from joserfc import errors, jwk, jws  # noqa: PLC0415

    registry = jws.JWSRegistry(algorithms=list(SIGNED_WITH), strict_check_header=False)
    try:
        signed = jws.deserialize_compact(token, jwk.import_key(dict(key)), registry=registry)
        claims: Any = json.loads(signed.payload)
    except (ValueError, KeyError, TypeError, errors.JoseError):
        return None
    return cast("dict[str, Any]", claims) if isinstance(claims, dict) else None


def _bytes(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
