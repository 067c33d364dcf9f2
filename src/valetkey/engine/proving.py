"""The last step before a request leaves: what is good for one attempt is made for this attempt.

Client assertions and DPoP proofs are signed anew each time, the whole request with them, for a server remembers both
(RFC 7523 section 3, RFC 9449 section 11.1).  Nonces are kept per server, and so is how far its clock is from ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final, TypeVar

from valetkey.forks import late_imports
from valetkey.logs import get_logger
from valetkey.model.credentials import OAuth2Credential
from valetkey.model.ports import Clock, TokenEndpoint
from valetkey.protocol.bodies import read_members, server_time
from valetkey.protocol.urls import origin
from valetkey.values import Request, Response, Secret

_log = get_logger("proving")
T = TypeVar("T")
NONCE_WANTED: Final = "use_dpop_nonce"
_CLOCK_ERRORS: Final = frozenset({"invalid_client", "invalid_dpop_proof"})
"""What servers say to something signed that seems to be from another time, among other reasons."""
_ASSERTION_REFUSED: Final = "invalid_grant"
"""What they say to such an assertion where it asks for a grant (RFC 7521 section 4.1.1)."""
_REFUSALS: Final = (400, 401)
NOTABLE: Final = 5.0
"""Seconds of difference between two clocks that are worth an attempt."""
_FARTHEST: Final = 86400.0
_MOST_ORIGINS: Final = 1000


def new_dpop_key(credential: OAuth2Credential) -> Secret | None:
    """Return a key for tokens that are still to be got, None where the credential's are bearer tokens."""
    if credential.sender_constraint != "dpop":
        return None
    with late_imports:
        from valetkey.protocol.signing import generate_key  # noqa: PLC0415 - only for those who bind tokens

    return generate_key(credential.dpop_alg)


def thumbprint(key: Secret | None) -> str:
    """Return what an authorization request says of the key (RFC 9449 section 10); empty where there is none."""
    if key is None:
        return ""
    with late_imports:
        from valetkey.protocol.signing import read_key  # noqa: PLC0415

    return read_key(key, what="the DPoP key", name="this connection").thumbprint


class Prover:
    """A way to authorization servers that signs what has to be signed for each attempt.

    A server that asks for a nonce, or whose clock is far from ours, gets the request once more, made anew: it refused
    before it looked at what the request carries, so no code and no refresh token was spent.
    """

    def __init__(self, endpoint: TokenEndpoint, clock: Clock) -> None:
        self._endpoint = endpoint
        self._clock = clock
        self._nonces: dict[str, str] = {}
        self._offsets: dict[str, float] = {}

    def send(self, request: Request, *, deadline: float) -> Response:
        """Send it; see `TokenEndpoint.send`."""
        if request.anew is None and request.dpop_key is None:
            return self._endpoint.send(request, deadline=deadline)
        server = origin(request.url)
        nonce, offset = self._nonces.get(server, ""), self._offsets.get(server, 0.0)
        response = self._attempt(request, server, deadline)
        if self._differs(request, response, server, nonce, offset):
            _log.debug("%s wants the request with %s", server, "another nonce or another time")
            response = self._attempt(request, server, deadline)
        return response

    def _attempt(self, request: Request, server: str, deadline: float) -> Response:
        with late_imports:
            from valetkey.protocol.dpop import given_nonce  # noqa: PLC0415 - only for what is signed

        made = self._made(request, server)
        response = self._endpoint.send(made, deadline=deadline)
        if request.dpop_key is not None and (nonce := given_nonce(response.headers)):
            keep_newest(self._nonces, server, nonce)
        return response

    def _made(self, request: Request, server: str) -> Request:
        now = self._clock.now() + self._offsets.get(server, 0.0)
        made = request if request.anew is None else replace(request.anew(now), send_by=request.send_by)
        if request.dpop_key is None:
            return made
        with late_imports:
            from valetkey.protocol.dpop import HEADER, proof, token_in  # noqa: PLC0415
            from valetkey.protocol.signing import read_key  # noqa: PLC0415

        key = read_key(request.dpop_key, what="the DPoP key", name=server)
        nonce, token = self._nonces.get(server, ""), token_in(made.headers)
        signed = proof(key, method=made.method, url=made.url, now=now, nonce=nonce, token=token)
        return replace(made, headers={**made.headers, HEADER: signed})

    def _differs(self, request: Request, response: Response, server: str, nonce: str, offset: float) -> bool:
        """Whether the answer refuses the attempt for what another attempt would have otherwise."""
        if response.status not in _REFUSALS:
            return False
        error = (read_members(response.body) or {}).get("error")
        if error == NONCE_WANTED and request.dpop_key is not None:
            return self._nonces.get(server, "") != nonce
        if error not in _CLOCK_ERRORS and not (request.dated and error == _ASSERTION_REFUSED):
            return False
        self._learn_clock(response, server)
        return abs(self._offsets.get(server, 0.0) - offset) > NOTABLE

    def _learn_clock(self, response: Response, server: str) -> None:
        ahead = server_ahead(response.headers, self._clock.now())
        if ahead is not None:
            keep_newest(self._offsets, server, ahead)


def server_ahead(headers: Mapping[str, str], now: float) -> float | None:
    """Return by how many seconds a server's clock is ahead of ours; None where it does not say, or absurdly."""
    theirs = server_time(headers)
    return None if theirs is None or abs(theirs - now) > _FARTHEST else theirs - now


def keep_newest(known: dict[str, T], server: str, value: T) -> None:
    """Remember something of a server, in the place of the oldest where there are too many."""
    while len(known) >= _MOST_ORIGINS and server not in known:
        known.pop(next(iter(known)), None)
    known[server] = value
