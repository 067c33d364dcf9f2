"""The second request of a sign-in, which trades a token of an hour for one of weeks (Facebook, Instagram, Threads)."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from valetkey.engine.app_secrets import tried_in_order
from valetkey.engine.exchange import ask, refusal_error
from valetkey.engine.world import World
from valetkey.errors import ConnectError, ProviderUnavailable
from valetkey.model.connections import ConnectionKey
from valetkey.model.credentials import AppCredentials, OAuth2Credential
from valetkey.protocol.dialects import long_lived_request
from valetkey.protocol.token_response import Refusal, TokenSet

_PAUSES: Final = (1.0, 2.0)
"""Seconds before the second and before the third try, which is the last."""


def lengthened(
    world: World, credential: OAuth2Credential, key: ConnectionKey, app: AppCredentials, tokens: TokenSet
) -> TokenSet:
    """Return what the short-lived token of a sign-in was traded for.

    The trade spends nothing, so it is tried again where the provider is not there or its answer is lost.  What the
    second answer does not say is taken from the first: scopes, and what came with the token.

    Raises:
        ConnectError: The provider refused it, or its answers could not be read (``exchange_failed``).
        ClientRejected: It does not accept the app.
        ProviderUnavailable: It was not reached, three times.
    """
    for pause in _PAUSES:
        answer = _unless_out_of_reach(world, credential, key, app, tokens)
        if answer is not None and not (isinstance(answer, Refusal) and answer.retryable):
            break
        world.clock.sleep(pause)
    else:
        answer = _traded(world, credential, key, app, tokens)
    if isinstance(answer, TokenSet):
        return _joined(tokens, answer)
    raise refusal_error(credential, key, answer)


def _unless_out_of_reach(
    world: World, credential: OAuth2Credential, key: ConnectionKey, app: AppCredentials, tokens: TokenSet
) -> TokenSet | Refusal | None:
    try:
        return _traded(world, credential, key, app, tokens)
    except (ProviderUnavailable, ConnectError):
        return None


def _traded(
    world: World, credential: OAuth2Credential, key: ConnectionKey, app: AppCredentials, tokens: TokenSet
) -> TokenSet | Refusal:
    def trade(one: AppCredentials) -> TokenSet | Refusal:
        return ask(world, credential, long_lived_request(credential, one, access_token=tokens.access_token))

    return tried_in_order(world, key.env, credential, app, trade)


def _joined(first: TokenSet, second: TokenSet) -> TokenSet:
    return replace(
        second,
        refresh_token=second.refresh_token or first.refresh_token,
        refresh_expires_in=second.refresh_expires_in or first.refresh_expires_in,
        scope=second.scope or first.scope,
        id_token=second.id_token or first.id_token,
        extra={**second.extra, **first.extra},
    )
