"""Private keys that are typed into forms: sealed as a client secret is, and never put into a page again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from valetkey.engine.app_keys import described
from valetkey.errors import ConfigurationError
from valetkey.model.credentials import AppCredentials, OAuth2Credential
from valetkey.protocol.signing import named_key
from valetkey.server.asking import Ask
from valetkey.values import Secret

LONGEST: Final = 8192
_LONGEST_ID: Final = 200


def proves_by_key(fields: Mapping[str, Any]) -> bool:
    """Whether an app of a declaration with these fields proves itself by a key."""
    return fields.get("client_auth") == "private_key_jwt" or bool(fields.get("signed_secret_claims"))


def key_fields(ask: Ask, *, by_key: bool, signs: bool) -> dict[str, Any]:
    """Return what a form asks of a key; `signs`: the key signs the client secret, so there is no app without it."""
    return {"by_key": by_key, "signs": signs, "key_id": ask.field("key_id")[:_LONGEST_ID]}


def with_typed_key(ask: Ask, credential: OAuth2Credential, app: AppCredentials) -> AppCredentials:
    """Return the app with the key that was typed; it keeps the one that it has where none was.

    Raises:
        ConfigurationError: It is no key that this app may have; or there is none, and no app without one.
    """
    if ask.field("private_key").strip():
        return replace(app, private_key=typed_key(ask, credential), key_id="")
    if credential.signed_secret_claims and app.private_key is None:
        typed_key(ask, credential)
    return app


def typed_key(ask: Ask, credential: OAuth2Credential) -> Secret:
    """Return the private key that was typed, under the id that was typed with it.

    Raises:
        ConfigurationError: It is missing (``private_key_missing``), cannot be read, or may not sign
            (``private_key_unreadable``, ``private_key_unfit``); its id is missing (``private_key_id_missing``).
    """
    text, kid = ask.field("private_key").strip(), ask.field("key_id").strip()
    if not text:
        hint = "paste the whole file that the provider gave you, with its first and last line"
        raise ConfigurationError("the private key is missing", code="private_key_missing", hint=hint)
    if len(text) > LONGEST or len(kid) > _LONGEST_ID or not kid.isprintable():
        msg = "the private key or its ID is not one: it is too long, or holds what cannot be seen"
        raise ConfigurationError(msg, code="private_key_unreadable", hint="copy it again")
    key = Secret(text)
    if not kid and credential.signed_secret_claims and not text.startswith("{"):
        msg = "the key ID is missing"
        raise ConfigurationError(msg, code="private_key_id_missing", hint="copy it from where you made the key")
    described(credential, key, "next")
    return named_key(key, alg=credential.signing_alg, kid=kid, name=credential.name) if kid else key
