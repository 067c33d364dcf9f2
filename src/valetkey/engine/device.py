"""Connecting without a browser on this device: the device authorization grant (RFC 8628)."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Final

from valetkey.engine.app_secrets import in_use
from valetkey.engine.connect import incarnation_of, reserved, wanted_scopes
from valetkey.engine.discovery import complete
from valetkey.engine.exchange import name_of, refusal_error
from valetkey.engine.id_tokens import ready
from valetkey.engine.keeping import keep
from valetkey.engine.polling import Poll, poll
from valetkey.engine.proving import new_dpop_key
from valetkey.engine.registering import ready_client
from valetkey.engine.resources import asking
from valetkey.engine.world import World
from valetkey.errors import ConfigurationError, ProviderProtocolError, ProviderUnavailable
from valetkey.model.connections import ConnectionKey, Record
from valetkey.model.credentials import OAuth2Credential
from valetkey.model.ports import InDoubt, NotSent
from valetkey.protocol.device import (
    DeviceAuthorization,
    device_authorization_request,
    device_token_request,
    parse_device_authorization,
)
from valetkey.protocol.token_response import Refusal
from valetkey.values import Request, Response, Secret

_SEND_SECONDS: Final = 15.0
_SERVER_ERROR: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceFlow:
    """A sign-in that waits for a person to enter a code somewhere.

    Attributes:
        user_code: What the person enters; to be shown always.
        verification_uri: Where.
        verification_uri_complete: The same with the code in it; empty where the provider gives none.
        expires_at: On `Clock.monotonic`: when the codes end.
        expires_in: Seconds that the codes live, from the start.
        interval: Seconds between two questions.
        device_code: What is asked with; never shown.
        incarnation: That of the record when it began.
        dpop_key: The private key that the tokens shall be bound to (RFC 9449).
    """

    user_code: str
    verification_uri: str
    verification_uri_complete: str
    expires_at: float
    expires_in: float
    interval: float
    device_code: Secret
    incarnation: int = 0
    dpop_key: Secret | None = None


def start_device(
    world: World, credential: OAuth2Credential, key: ConnectionKey, *, scopes: tuple[str, ...]
) -> DeviceFlow:
    """Ask the provider for a code to show.  `scopes` are asked for beside the credential's own.

    Raises:
        ConfigurationError: The credential has no device authorization endpoint (``device_flow_missing``).
        ProviderUnavailable: The provider did not answer; it can be started again.
        ClientRejected: The provider does not accept the app.
        ConnectError: It refused.
    """
    credential = complete(world, credential, anew=True)
    if not credential.device_authorization_url:
        msg = f"{name_of(credential)} has no device authorization endpoint that is known here"
        other = "" if credential.response_mode == "form_post" else "connect with --paste, or "
        hint = f"{other}declare device_authorization_url= for {credential.name!r}"
        raise ConfigurationError(msg, code="device_flow_missing", hint=hint)
    credential, app = ready_client(world, key.env, credential)
    credential, asked = asking(world, credential, key, wanted_scopes(credential, scopes))
    app = in_use(world, key.env, credential, app)
    incarnation = incarnation_of(world, key)
    request = device_authorization_request(credential, app, scopes=asked)
    began = world.clock.monotonic()
    response = ask_for_code(world, credential, request)
    answer = parse_device_authorization(response, credential=credential, now=world.clock.now())
    if isinstance(answer, Refusal):
        raise unusable(credential, key, answer, response, "device_authorization_url")
    return replace(_flow(answer, began, incarnation), dpop_key=new_dpop_key(credential))


def finish_device(
    world: World,
    credential: OAuth2Credential,
    key: ConnectionKey,
    flow: DeviceFlow,
    *,
    scopes: tuple[str, ...],
    on_wait: Callable[[float], None] | None = None,
) -> Record:
    """Wait until the person has decided, asking as often as the provider allows, and store the grant.

    `on_wait` is called before each wait with the seconds left.

    Raises:
        ConsentExpired: Nobody entered the code in time.
        AuthorizationDenied: Access was not given.
        ConnectError: Any other end; see `exchange.refusal_error` and `storing.put_grant`.
    """
    app = in_use(world, key.env, credential, world.app(credential))
    credential = complete(world, credential, lenient=True)
    ready(world, credential, wanted_scopes(credential, scopes))
    before = reserved(world, credential, key, since=flow.incarnation)

    def build() -> Request:
        return replace(device_token_request(credential, app, device_code=flow.device_code), dpop_key=flow.dpop_key)

    late = "nobody entered the code"
    how = Poll(build=build, interval=flow.interval, expires_at=flow.expires_at, late=late)
    with ExitStack() as turn:
        tokens, buying = poll(world, credential, key, how, turn, on_wait)
        return keep(world, credential, app, tokens, before, buying, requested=wanted_scopes(credential, scopes))


def ask_for_code(world: World, credential: OAuth2Credential, request: Request) -> Response:
    """Send the request that begins; raises ProviderUnavailable where no answer comes."""
    try:
        return world.endpoint.send(request, deadline=world.clock.monotonic() + _SEND_SECONDS)
    except (NotSent, InDoubt) as error:
        msg = f"{name_of(credential)} could not be asked for a code: {error}"
        raise ProviderUnavailable(msg, error="unreachable", hint="start again when it can be reached") from error


def unusable(
    credential: OAuth2Credential, key: ConnectionKey, refusal: Refusal, response: Response, what: str
) -> Exception:
    """Return the error for an answer that begins nothing; `what` is the credential's field that names the endpoint."""
    if refusal.kind not in {"doubt", "unclear"}:
        return refusal_error(credential, key, refusal)
    msg = f"{name_of(credential)} gave no usable code: {refusal.note or f'HTTP {response.status}'}"
    if response.status >= _SERVER_ERROR:
        return ProviderUnavailable(msg, status=response.status, hint="start again in a moment")
    hint = f"check {what} of {credential.name!r}"
    return ProviderProtocolError(msg, status=response.status, hint=hint)


def _flow(answer: DeviceAuthorization, began: float, incarnation: int) -> DeviceFlow:
    return DeviceFlow(
        user_code=answer.user_code,
        verification_uri=answer.verification_uri,
        verification_uri_complete=answer.verification_uri_complete or "",
        expires_at=began + answer.expires_in,
        expires_in=answer.expires_in,
        interval=answer.interval,
        device_code=answer.device_code,
        incarnation=incarnation,
    )
