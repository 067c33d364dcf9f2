"""Asking the server about the access token of a connection (RFC 7662, RFC 9701)."""

from __future__ import annotations

from typing import Final

from valetkey.engine.app_secrets import tried_in_order
from valetkey.engine.apps import app_for
from valetkey.engine.discovery import complete
from valetkey.engine.exchange import name_of
from valetkey.engine.id_tokens import signed_introspection
from valetkey.engine.lifecycle import Want, obtain
from valetkey.engine.trouble import app_command
from valetkey.engine.world import World
from valetkey.errors import (
    ClientRejected,
    ConfigurationError,
    ProviderError,
    ProviderProtocolError,
    ProviderUnavailable,
)
from valetkey.model.connections import ConnectionKey
from valetkey.model.credentials import EMPTY, AppCredentials, OAuth2Credential
from valetkey.model.placing import placed
from valetkey.model.ports import InDoubt, NotSent
from valetkey.protocol.introspection import Introspection, introspection_request, is_signed, parse_introspection
from valetkey.protocol.refusals import Refusal
from valetkey.protocol.signatures import TokenFlaw
from valetkey.values import Response, Secret

_SECONDS: Final = 15.0


def introspect(world: World, key: ConnectionKey, resource: str = "") -> Introspection:
    """Ask the server about the connection's access token, which is refreshed first where it has ended.

    `resource` is for which resource it is (RFC 8707); empty: the grant's own.

    Raises:
        ConfigurationError: Nobody knows where to ask (``introspection_missing``).
        ClientRejected: The server does not accept the app there.
        ProviderUnavailable: It does not answer.
        ProviderProtocolError: It answers with something else, or its signed answer does not hold
            (``introspection_unsigned``, ``introspection_invalid``).
        ValetkeyError: As `obtain` does.
    """
    declared, known = world.credential(key.credential), world.store.load(key)
    credential = complete(world, placed(declared, known.params if known else EMPTY))
    if not credential.introspection_url:
        msg = f"{name_of(credential)} has no introspection endpoint that is known here"
        hint = f"declare introspection_url= for {credential.name!r}"
        raise ConfigurationError(msg, code="introspection_missing", hint=hint)
    held = obtain(world, key, Want(resource=resource))
    token = held.grant.access_token

    def send(app: AppCredentials) -> Introspection | Refusal:
        request = introspection_request(credential, app, token=token, signed=credential.signed_introspection)
        try:
            response = world.endpoint.send(request, deadline=world.clock.monotonic() + _SECONDS)
        except (NotSent, InDoubt) as error:
            msg = f"{name_of(credential)} could not be asked about the token: {error}"
            raise ProviderUnavailable(msg, error="unreachable", hint="try again in a moment") from error
        if is_signed(response):
            return _signed(world, credential, app, response)
        found = parse_introspection(response, credential=credential, now=world.clock.now())
        if credential.signed_introspection and isinstance(found, Introspection):
            msg = f"{name_of(credential)} answered unsigned what it was asked to sign"
            hint = f"ask its operator, or declare {credential.name!r} without signed_introspection"
            raise ProviderProtocolError(msg, code="introspection_unsigned", status=response.status, hint=hint)
        return found

    answer = tried_in_order(
        world, key.env, credential, app_for(world, key.env, credential, held.record.client_id), send
    )
    if isinstance(answer, Refusal):
        raise _error(credential, key, answer)
    return answer


def _signed(world: World, credential: OAuth2Credential, app: AppCredentials, response: Response) -> Introspection:
    answer = Secret(response.body.decode("ascii", "replace").strip())
    found = signed_introspection(world, credential, app, answer)
    if isinstance(found, TokenFlaw):
        msg = f"the answer of {name_of(credential)} about the token {found.what}, so nothing of it was used"
        hint = f"check issuer and introspection_url of {credential.name!r}"
        raise ProviderProtocolError(msg, code="introspection_invalid", status=response.status, hint=hint)
    return found


def _error(credential: OAuth2Credential, key: ConnectionKey, refusal: Refusal) -> ProviderError:
    said = ": ".join(part for part in (refusal.error, refusal.description or refusal.note) if part)
    words = said or f"HTTP {refusal.status}"
    name = name_of(credential)
    if refusal.kind == "client":
        return ClientRejected(
            f"{name} does not let the app of {credential.name!r} ask about tokens ({words})",
            error=refusal.error,
            description=refusal.description,
            status=refusal.status,
            hint=f"check its client id and secret, then: {app_command(credential.name, key.env)}",
        )
    if refusal.retryable and refusal.kind != "doubt":
        msg, again = f"{name} did not say what the token is ({words})", refusal.retry_after
        return ProviderUnavailable(msg, status=refusal.status, retry_after=again, hint="try again in a moment")
    msg = f"{name} gave no usable answer about the token ({words})"
    return ProviderProtocolError(
        msg, error=refusal.error, status=refusal.status, hint=f"check introspection_url of {credential.name!r}"
    )
