"""Tokens that an app gets by itself: nobody signs in, and when one has ended the app asks for another."""

from __future__ import annotations

from collections.abc import Sequence

from valetkey.engine.trouble import exchange_hint
from valetkey.engine.world import World
from valetkey.errors import ConfigurationError
from valetkey.forks import late_imports
from valetkey.model.connections import ConnectionKey
from valetkey.model.credentials import AppCredentials, OAuth2Credential
from valetkey.protocol.token_request import client_credentials_request
from valetkey.values import Request


def own_request(
    world: World, credential: OAuth2Credential, app: AppCredentials, key: ConnectionKey, *, scope: Sequence[str]
) -> Request:
    """Return the request by which an app gets a token of its own for a connection, as its credential's grant says.

    Raises:
        ConfigurationError: What it takes is missing; or the grant is another (``exchange_needed``).
    """
    if credential.grant == "client_credentials":
        return client_credentials_request(credential, app, scope=scope)
    if not credential.by_itself:
        msg = f"tokens of {credential.name!r} are got for another token, and nobody said for which"
        raise ConfigurationError(msg, code="exchange_needed", hint=exchange_hint(credential))
    with late_imports:
        from valetkey.protocol.assertion_grants import (  # noqa: PLC0415 - only for those who have assertions
            given_assertion_request,
            jwt_bearer_request,
            subject_for,
        )

    if credential.assertion_secret_id:
        assertion = world.assertion(credential, key)
        return given_assertion_request(credential, app, assertion=assertion, scope=scope, now=world.clock.now())
    subject = subject_for(credential, key.owner, key.account)
    return jwt_bearer_request(credential, app, subject=subject, scope=scope)
