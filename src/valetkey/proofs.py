"""DPoP proofs for the servers of an API (RFC 9449 section 7): one for each request, with the nonce its server gave."""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping
from typing import Final

from valetkey.engine.proving import NOTABLE, keep_newest, server_ahead
from valetkey.protocol.dpop import HEADER, given_nonce, proof, target
from valetkey.protocol.signatures import TokenFlaw, take_apart
from valetkey.protocol.signing import SigningKey
from valetkey.protocol.urls import origin
from valetkey.values import Secret


class Nonces:
    """The newest nonce of each server, of one process: a nonce is for the server that gave it (section 8.2).

    And how far each server's clock is from ours, where it refused proofs for that.
    """

    def __init__(self) -> None:
        self._by_server: dict[str, str] = {}
        self._offsets: dict[str, float] = {}

    def of(self, url: str) -> str:
        """Return the nonce for a request to `url`; empty where its server gave none."""
        return self._by_server.get(origin(url), "")

    def hear(self, url: str, headers: Mapping[str, str]) -> None:
        """Keep the nonce that an answer from `url` gives, whatever its status; header names are in lower case."""
        nonce = given_nonce(headers)
        if nonce:
            keep_newest(self._by_server, origin(url), nonce)

    def offset(self, url: str) -> float:
        """Return by how many seconds the clock of a server is ahead of ours, as far as it is known."""
        return self._offsets.get(origin(url), 0.0)

    def learn_clock(self, url: str, headers: Mapping[str, str], now: float) -> bool:
        """Take the time of an answer that refuses a proof; whether it differs from what the proof was made by."""
        ahead = server_ahead(headers, now)
        if ahead is None or abs(ahead - self.offset(url)) <= NOTABLE:
            return False
        keep_newest(self._offsets, origin(url), ahead)
        return True


NONCES: Final = Nonces()
"""Those that this process was given."""


class Proofs:
    """What signs the requests of one access token that is bound to a key."""

    __slots__ = ("_key", "_nonces", "_now", "_token")

    def __init__(self, key: SigningKey, token: Secret, nonces: Nonces, now: Callable[[], float]) -> None:
        self._key = key
        self._token = token
        self._nonces = nonces
        self._now = now

    def put_on(self, headers: MutableMapping[str, str], method: str, url: str) -> None:
        """Put a new proof for this request among its headers."""
        nonce, now = self._nonces.of(url), self._now() + self._nonces.offset(url)
        headers[HEADER] = proof(self._key, method=method, url=url, now=now, nonce=nonce, token=self._token)

    def made_for(self, sent: str | None, method: str, url: str) -> bool:
        """Whether a proof that was sent is for this very request: what a redirect leads to goes with that of before."""
        parts = take_apart(Secret(sent or ""))
        if isinstance(parts, TokenFlaw):
            return False
        return (parts.claims.get("htm"), parts.claims.get("htu")) == (method.upper(), target(url))

    def hear(self, url: str, headers: Mapping[str, str]) -> None:
        """Keep the nonce that an answer gives; header names are in lower case, or the mapping does not care."""
        self._nonces.hear(url, headers)

    def learn_clock(self, url: str, headers: Mapping[str, str]) -> bool:
        """Take the time of an answer that refuses a proof; whether another proof is worth an attempt."""
        return self._nonces.learn_clock(url, headers, self._now())
