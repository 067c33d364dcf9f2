"""Apps that register themselves at the wicked server, and manage that (RFC 7591, RFC 7592)."""

from __future__ import annotations

import json
import secrets
import threading
from collections.abc import Mapping
from typing import Any, Final, cast

from valetkey.testing._grant_types import ALL_GRANT_TYPES
from valetkey.testing._http import Call, Reply
from valetkey.testing._ledger import NOTES_SCOPES, Client
from valetkey.testing._site import Site

_NEVER: Final = frozenset(
    {"registration_access_token", "registration_client_uri", "client_secret_expires_at", "client_id_issued_at"}
)
"""What must not be sent back (RFC 7592 section 2.2)."""


class Registrations:
    """``/register`` and, for each client, ``/registered?client=ID``; the token changes with every use."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._lock = threading.Lock()
        self._tokens: dict[str, str] = {}
        self._kept: dict[str, dict[str, Any]] = {}

    def register(self, call: Call) -> Reply:
        """Take an app."""
        asked = _object(call.body)
        if not asked or not isinstance(asked.get("redirect_uris", []), list):
            return Reply.of_json(400, {"error": "invalid_client_metadata"})
        client_id = f"dynamic-{secrets.token_hex(6)}"
        return self._answer(201, client_id, self._taken(client_id, asked))

    def manage(self, call: Call) -> Reply:
        """Read, replace or delete what is registered."""
        client_id = dict(call.query_pairs()).get("client", "")
        with self._lock:
            token = self._tokens.get(client_id)
        if token is None or call.headers.get("authorization") != f"Bearer {token}":
            return Reply.of_json(401, {"error": "invalid_token"})
        if call.method == "DELETE":
            self._gone(client_id)
            return Reply(204)
        if call.method == "GET":
            return self._answer(200, client_id, self._kept[client_id])
        asked = _object(call.body)
        if asked.get("client_id") != client_id or _NEVER & set(asked):
            return Reply.of_json(400, {"error": "invalid_client_metadata"})
        return self._answer(200, client_id, self._taken(client_id, asked))

    def _taken(self, client_id: str, asked: Mapping[str, Any]) -> dict[str, Any]:
        """Register what is asked for, and return what is said about it."""
        method = asked.get("token_endpoint_auth_method", "client_secret_basic")
        known = {name: value for name, value in asked.items() if name not in {"client_id", "client_secret"}}
        before = self._site.ledger.clients.get(client_id)
        secret = None
        if method.startswith("client_secret"):
            secret = (before.client_secret if before else None) or self._site.ledger.mint("dynamic-secret")
        document: Mapping[str, list[Mapping[str, Any]]] = asked.get("jwks") or {}
        keys = document.get("keys", [])
        client = Client(
            client_id=client_id,
            client_secret=secret,
            auth=method,
            redirect_uris=tuple(asked.get("redirect_uris", ())),
            grant_types=ALL_GRANT_TYPES,
            scopes=NOTES_SCOPES,
            public_key=keys[0] if keys else None,
        )
        with self._lock:
            self._site.ledger.clients[client_id] = client
            self._kept[client_id] = known
        return known

    def _answer(self, status: int, client_id: str, known: Mapping[str, Any]) -> Reply:
        with self._lock:
            token = self._tokens[client_id] = self._site.ledger.mint("rat")
        secret = self._site.ledger.clients[client_id].client_secret
        members = {
            **known,
            "client_id": client_id,
            "registration_access_token": token,
            "registration_client_uri": f"{self._site.issuer}/registered?client={client_id}",
            **({"client_secret": secret, "client_secret_expires_at": 0} if secret else {}),
        }
        return self._site.faults.rendered("registration" if status == 201 else "management", status, members)  # noqa: PLR2004

    def _gone(self, client_id: str) -> None:
        with self._lock:
            self._tokens.pop(client_id, None)
            self._kept.pop(client_id, None)
            self._site.ledger.clients.pop(client_id, None)


def _object(body: bytes) -> dict[str, Any]:
    try:
        found: object = json.loads(body)
    except ValueError:
        return {}
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {}
