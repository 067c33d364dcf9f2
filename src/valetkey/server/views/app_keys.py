"""The key pairs of an app, as its page shows them."""

from __future__ import annotations

from typing import Any, Final

from valetkey.app_keys import jwks_path, keys_of
from valetkey.errors import ConfigurationError, StoreError, StoreUnavailable
from valetkey.model.credentials import OAuth2Credential
from valetkey.protocol.client_authentication import app_key
from valetkey.server.addresses import home
from valetkey.server.asking import Ask

BY_KEY: Final = "private_key_jwt"
WORDS: Final = {"in_use": "In use", "new": "New, being tried", "next": "Waits to be used", "old": "Fallback"}


def shown_keys(ask: Ask, credential: OAuth2Credential) -> dict[str, Any]:
    """Return what the page of an app shows of its keys; empty where it proves itself by something else."""
    if credential.client_auth != BY_KEY:
        return {"key_pairs": None, "known_as": _known_as(ask, credential)}
    try:
        found = keys_of(ask.server.core, credential)
    except StoreUnavailable:
        raise
    except (ConfigurationError, StoreError):  # how the app is says it
        found = ()
    return {"known_as": "", "key_pairs": found, "key_words": WORDS, "key_set_url": home(ask) + jwks_path(credential)}


def _known_as(ask: Ask, credential: OAuth2Credential) -> str:
    """Return the id of the key that signs the client secret; empty where none does, or it cannot be read."""
    if not credential.signed_secret_claims:
        return ""
    try:
        return app_key(credential, ask.server.core.app(credential)).kid
    except StoreUnavailable:
        raise
    except (ConfigurationError, StoreError):
        return ""
