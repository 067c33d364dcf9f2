"""How each client is held, by its documentation: one small adapter per client, all callers sharing one client object.

A token is what a token endpoint answered; ``expired`` makes the client believe that it ran out ten seconds ago.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

os.environ["OAUTHLIB_INSECURE_TRANSPORT"] = os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"  # http, on loopback

APP = ("cid", "CLIENT-SECRET-1")
PARALLEL = 200


def lasting(token: Mapping[str, Any], *, expired: bool) -> dict[str, Any]:
    return {**token, "expires_at": int(time.time()) + (-10 if expired else 3600)}


class PersonNeeded(RuntimeError):
    """The client gave up on its grant and wants somebody to sign in again: nobody is here."""


class Peer:
    """One client, holding one grant.

    Attributes:
        colour: Whether `get` is awaited.
        own_store: Whether it brings storage for several processes; else a hook of it writes a JSON file.
        store: That file or folder, where processes share one.
    """

    colour: ClassVar[Literal["sync", "async"]]
    own_store: ClassVar[bool] = False
    store: Path | None = None

    def make(self, base: str, token: Mapping[str, Any] | None, *, expired: bool = False) -> Self:
        """Make the client; `token` None: it is in its own store."""
        raise NotImplementedError

    def open(self) -> None:
        """Make what wants a running event loop, where `make` leaves that to the first call."""

    def get(self, url: str) -> Any:
        """Call the API, and return the status (or an awaitable of it)."""
        raise NotImplementedError

    def refresh_token(self) -> str | None:
        """Return the refresh token that the client holds now."""
        raise NotImplementedError

    def objects(self) -> list[Any]:
        """Return what a program holds and may print: the client, its token, its settings."""
        raise NotImplementedError

    def close(self) -> Any:
        """Let go of everything; may have to be awaited."""

    def save(self, token: Mapping[str, Any], *_: Any, **__: Any) -> None:
        """Write a token as a user would in the client's hook."""
        if self.store is not None:
            self.store.write_text(json.dumps(dict(token)))
