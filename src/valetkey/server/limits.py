"""How often something may be tried: counted in the store, so that it holds across processes and hosts."""

from __future__ import annotations

import hashlib
import ipaddress
from typing import Final

from valetkey.model.connections import Document
from valetkey.model.ports import Clock, Store

KIND: Final = "tries"
_ROUNDS: Final = 20
_COLLIDED: Final = 1.0
"""Seconds to wait where so many tries came at once that this one could not even be counted."""


class Limits:
    """Counts tries by subject, in windows of time."""

    def __init__(self, store: Store, clock: Clock, env: str) -> None:
        self._store = store
        self._clock = clock
        self._env = env

    def take(self, subject: str, *, limit: int, window: float) -> float:
        """Count one try and return how many seconds to wait; 0: go on.

        The try counts before it is made, so that many at once do not get past the limit.

        Args:
            subject: What is counted, such as ``login:name:mira``; only its hash is stored.
            limit: Tries within a window.
            window: Seconds, from the first try on.
        """
        name = _id(subject)
        for _ in range(_ROUNDS):
            found = self._store.get_document(KIND, name, env=self._env)
            count, began = _read(found) if found else (0, self._clock.now())
            if count >= limit:
                return max(began + window - self._clock.now(), _COLLIDED)
            body = {"count": count + 1, "began": began}
            made = Document(kind=KIND, env=self._env, id=name, body=body, expires_at=began + window)
            if self._store.put_document(made, expect=found.version if found else 0) is not None:
                return 0.0
        return _COLLIDED

    def forget(self, subject: str) -> None:
        """Begin to count anew."""
        self._store.delete_document(KIND, _id(subject), env=self._env)


def network_of(address: str) -> str:
    """Return what an address is counted as: an IPv6 network of 64 bits is one subscriber (RFC 6177)."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is None:
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(getattr(parsed, "ipv4_mapped", None) or parsed)


def _read(found: Document) -> tuple[int, float]:
    return int(found.body.get("count", 0)), float(found.body.get("began", 0.0))


def _id(subject: str) -> str:
    return hashlib.sha256(subject.encode("utf-8", "surrogatepass")).hexdigest()
