"""Forms that are taken once: a browser that sends one again, on reload say, gets the list and not a second secret."""

from __future__ import annotations

import secrets
from hashlib import sha256
from typing import Final

from valetkey.model.connections import Document
from valetkey.model.ports import Clock, Store
from valetkey.server.settings import SESSION_LIFE

KIND: Final = "form_sent"


def nonce() -> str:
    """Return what a form carries to be known again."""
    return secrets.token_urlsafe(16)


def first_time(store: Store, clock: Clock, given: str) -> bool:
    """Whether a form was never sent before; from now on it was.  One without a nonce is none of ours."""
    if not given:
        return False
    name = sha256(given.encode("utf-8", "surrogatepass")).hexdigest()
    document = Document(kind=KIND, id=name, expires_at=clock.now() + SESSION_LIFE)
    return store.put_document(document, expect=0) is not None
