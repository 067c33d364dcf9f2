"""Connecting a person who is asked on another device (OpenID CIBA Core 1.0, poll mode)."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Final

from valetkey.engine.app_secrets import in_use
from valetkey.engine.connect import incarnation_of, reserved, wanted_scopes
from valetkey.engine.device import ask_for_code, unusable
from valetkey.engine.discovery import complete
from valetkey.engine.exchange import name_of
from valetkey.engine.id_tokens import SignIn, ready
from valetkey.engine.keeping import keep
from valetkey.engine.polling import Poll, poll
from valetkey.engine.proving import new_dpop_key
from valetkey.engine.world import World
from valetkey.errors import ConfigurationError
from valetkey.model.connections import ConnectionKey, Record
from valetkey.model.credentials import OAuth2Credential
from valetkey.protocol.ciba import (
    BackchannelRequest,
    backchannel_request,
    backchannel_token_request,
    parse_backchannel,
)
from valetkey.protocol.refusals import Refusal
from valetkey.values import Request, Secret

_LISTEN: Final = 60.0
"""Seconds that an answer to a poll is waited for: a server may hold it back for 30 (section 10.1.1)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BackchannelFlow:
    """A sign-in that waits for a person's yes on another device.

    Attributes:
        auth_req_id: What is asked with; never shown.
        expires_at: On `Clock.monotonic`: when it ends.
        expires_in: Seconds that it lives, from the start.
        interval: Seconds between two questions.
        incarnation: That of the record when it began.
        dpop_key: The private key that the tokens shall be bound to (RFC 9449).
        acr_values: How the person was to sign in; the id token has to show one of them.
    """

    auth_req_id: Secret
    expires_at: float
    expires_in: float
    interval: float
    incarnation: int = 0
    dpop_key: Secret | None = field(default=None, repr=False)
    acr_values: tuple[str, ...] = ()


def start_backchannel(
    world: World,
    credential: OAuth2Credential,
    key: ConnectionKey,
    *,
    scopes: tuple[str, ...],
    wants: BackchannelRequest,
) -> BackchannelFlow:
    """Have the person asked.  `scopes` are asked for beside the credential's own.

    Raises:
        ConfigurationError: The credential has no endpoint for it (``backchannel_missing``); see also
            `backchannel_request`.
        ProviderUnavailable: The provider did not answer; it can be started again.
        ClientRejected: The provider does not accept the app.
        ConnectError: It refused.
    """
    credential = complete(world, credential)
    if not credential.backchannel_authentication_url:
        msg = f"{name_of(credential)} has no endpoint that is known here for asking a person on another device"
        hint = f"declare backchannel_authentication_url= for {credential.name!r}"
        raise ConfigurationError(msg, code="backchannel_missing", hint=hint)
    app = in_use(world, key.env, credential, world.app(credential))
    incarnation = incarnation_of(world, key)
    request = backchannel_request(credential, app, scopes=wanted_scopes(credential, scopes), wants=wants)
    began = world.clock.monotonic()
    response = ask_for_code(world, credential, request)
    answer = parse_backchannel(response, credential=credential, now=world.clock.now())
    if isinstance(answer, Refusal):
        raise unusable(credential, key, answer, response, "backchannel_authentication_url")
    return BackchannelFlow(
        auth_req_id=answer.auth_req_id,
        expires_at=began + answer.expires_in,
        expires_in=answer.expires_in,
        interval=answer.interval,
        incarnation=incarnation,
        dpop_key=new_dpop_key(credential),
        acr_values=wants.acr_values,
    )


def finish_backchannel(
    world: World,
    credential: OAuth2Credential,
    key: ConnectionKey,
    flow: BackchannelFlow,
    *,
    scopes: tuple[str, ...],
    on_wait: Callable[[float], None] | None = None,
) -> Record:
    """Wait until the person has decided, asking as often as the provider allows, and store the grant.

    Raises:
        ConsentExpired: Nobody answered in time.
        AuthorizationDenied: Access was not given.
        ConnectError: Any other end; see `exchange.refusal_error` and `storing.put_grant`.
    """
    app = in_use(world, key.env, credential, world.app(credential))
    credential = complete(world, credential, lenient=True)
    asked = wanted_scopes(credential, scopes)
    ready(world, credential, asked)
    before = reserved(world, credential, key, since=flow.incarnation)

    def build() -> Request:
        request = backchannel_token_request(credential, app, auth_req_id=flow.auth_req_id)
        return replace(request, dpop_key=flow.dpop_key)

    how = Poll(
        build=build,
        interval=flow.interval,
        expires_at=flow.expires_at,
        late="nobody answered the question",
        listen=_LISTEN,
        from_sending=True,
    )
    with ExitStack() as turn:
        tokens, buying = poll(world, credential, key, how, turn, on_wait)
        sign_in = SignIn(asked={"acr_values": " ".join(flow.acr_values)})
        return keep(world, credential, app, tokens, before, buying, requested=asked, sign_in=sign_in)
