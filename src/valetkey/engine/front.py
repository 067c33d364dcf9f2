"""The way out to a provider and the way back: what the browser carries, in the clear, signed, or as a reference."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from valetkey.engine.app_secrets import tried_in_order
from valetkey.engine.exchange import name_of, refusal_error
from valetkey.engine.id_tokens import signed_answer
from valetkey.engine.trouble import app_command, connect_command
from valetkey.engine.world import World
from valetkey.errors import ConfigurationError, ConnectError, IssuerMismatch, ProviderUnavailable
from valetkey.model.connections import ConnectionKey
from valetkey.model.credentials import AppCredentials, OAuth2Credential
from valetkey.model.fapi2 import is_fapi2
from valetkey.model.ports import InDoubt, NotSent
from valetkey.protocol.authorization import CallbackParams, callback_of, front_url
from valetkey.protocol.denials import refused_consent
from valetkey.protocol.pushed import Pushed, by_reference, parse_pushed, pushed_request, request_object
from valetkey.protocol.signatures import TokenFlaw
from valetkey.protocol.token_response import Refusal
from valetkey.protocol.urls import require_https
from valetkey.values import Params, Secret

PUSH_SECONDS: Final = 15.0
_SERVER_ERROR: Final = 500
_ANSWER_HINTS: Final[dict[str, str]] = {
    "exp": "check this machine's clock, and start again",
    "alg": "have the server sign its answers to this app in one of these ways (authorization_signed_response_alg)",
    "aud": "check the app's client id, and start again",
}
_PLAIN: Final = frozenset({"client", "transient"})
"""Refusals whose usual words fit a request that was pushed."""


def way_out(
    world: World, credential: OAuth2Credential, key: ConnectionKey, params: Params, *, dpop_key: Secret | None
) -> str:
    """Return the address that the browser opens for an authorization request with these parameters.

    Where the server keeps requests they are pushed (RFC 9126), and never sent in another way where that fails.

    Raises:
        ConfigurationError: The server wants requests pushed, and it is not known where (``par_url_missing``); or the
            app cannot sign.
        ClientRejected: The provider does not accept the app.
        ConnectError: It does not accept the request.
        ProviderUnavailable: It did not answer, or asked for patience.
    """
    if is_fapi2(credential):
        require_https(str(params["redirect_uri"]), what="redirect_uri", name=credential.name)
    if credential.request_object:
        params = request_object(credential, world.app(credential), params, now=world.clock.now())
    if credential.pushed_authorization_url:
        return front_url(credential, by_reference(params, _pushed(world, credential, key, params, dpop_key)))
    if credential.require_par:
        msg = f"{name_of(credential)} takes only sign-ins that are pushed, and it is not known where to"
        hint = f"declare pushed_authorization_url= for {credential.name!r} (RFC 9126)"
        raise ConfigurationError(msg, code="par_url_missing", hint=hint)
    return front_url(credential, params)


def _pushed(
    world: World, credential: OAuth2Credential, key: ConnectionKey, params: Params, dpop_key: Secret | None
) -> Pushed:
    """Push the request, and return what stands for it."""

    def push(app: AppCredentials) -> Pushed | Refusal:
        request = replace(pushed_request(credential, app, params), dpop_key=dpop_key)
        try:
            response = world.endpoint.send(request, deadline=world.clock.monotonic() + PUSH_SECONDS)
        except (NotSent, InDoubt) as error:
            msg = f"{name_of(credential)} could not be told of the sign-in: {error}"
            raise ProviderUnavailable(msg, error="unreachable", hint="start again when it can be reached") from error
        return parse_pushed(response, credential=credential, now=world.clock.now())

    answer = tried_in_order(world, key.env, credential, world.app(credential), push)
    if isinstance(answer, Pushed):
        return answer
    if answer.kind in _PLAIN:
        raise refusal_error(credential, key, answer)
    if answer.status >= _SERVER_ERROR:
        msg = f"{name_of(credential)} is in trouble and did not take the sign-in's request (HTTP {answer.status})"
        raise ProviderUnavailable(msg, status=answer.status, hint="start again in a moment")
    if not answer.error:
        msg = f"{name_of(credential)} gave no readable answer to the sign-in's request (HTTP {answer.status})"
        raise ConnectError(msg, code="authorization_failed", hint="start again")
    again, add = connect_command(key), app_command(credential.name, key.env)
    raise refused_consent(answer.error, answer.description, name=name_of(credential), again=again, add=add)


def way_back(world: World, credential: OAuth2Credential, app: AppCredentials, came: CallbackParams) -> CallbackParams:
    """Return what an answer says, which is what is signed where signed answers were asked for (JARM section 2.4).

    Raises:
        ConnectError: It is not signed (``answer_unsigned``), or its signature or a claim does not hold
            (``answer_invalid``): nothing in it counts.
        IssuerMismatch: Outside it names another server than inside (RFC 9207 section 4).
        ProviderError: It could not be checked.
    """
    if credential.response_mode != "jwt":
        return came
    if came.signed is None or came.code is not None:
        msg = f"the answer of {name_of(credential)} is not signed, and it was asked to be"
        raise ConnectError(msg, code="answer_unsigned", hint="do not go on; start again from the beginning")
    found = signed_answer(world, credential, app, came.signed)
    if isinstance(found, TokenFlaw):
        msg = f"the signed answer of {name_of(credential)} {found.what}, so nothing in it counts"
        raise ConnectError(msg, code="answer_invalid", hint=_ANSWER_HINTS.get(found.fault, "do not go on; start again"))
    inside = callback_of(found)
    if (came.iss and came.iss != inside.iss) or (came.state and came.state != inside.state):
        msg = "the answer names another server or another sign-in outside than inside of what is signed"
        raise IssuerMismatch(msg, hint="do not continue; start again from the beginning")
    return inside
