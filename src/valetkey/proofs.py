"""DPoP proofs for the servers of an API (RFC 9449 section 7): one for each request, with the nonce its server gave."""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping
from typing import Final

from valetkey.protocol.dpop import HEADER, given_nonce, proof
from valetkey.protocol.signing import SigningKey
from valetkey.protocol.urls import origin
from valetkey.values import Secret

_MOST_SERVERS: Final = 1000


class Nonces:
    """The newest nonce of each server, of one process: a nonce is for the server that gave it (section 8.2)."""

    def __init__(self) -> None:
        self._by_server: dict[str, str] = {}

    def of(self, url: str) -> str:
        """Return the nonce for a request to `url`; empty where its server gave none."""
        return self._by_server.get(origin(url), "")

    def hear(self, url: str, headers: Mapping[str, str]) -> None:
        """Keep the nonce that an answer from `url` gives, whatever its status; header names are in lower case."""
        nonce = given_nonce(headers)
        if not nonce:
            return
        while len(self._by_server) >= _MOST_SERVERS:
            self._by_server.pop(next(iter(self._by_server)), None)
        self._by_server[origin(url)] = nonce


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
        made = proof(self._key, method=method, url=url, now=self._now(), nonce=self._nonces.of(url), token=self._token)
        headers[HEADER] = made

    def hear(self, url: str, headers: Mapping[str, str]) -> None:
        """Keep the nonce that an answer gives; header names are in lower case, or the mapping does not care."""
        self._nonces.hear(url, headers)
