"""Buying a first grant: one request, sent once, and what its answer means; then who it is that connected."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Final

from valetkey.engine.api_headers import headers_towards
from valetkey.engine.app_secrets import tried_in_order
from valetkey.engine.id_tokens import claims_of_userinfo
from valetkey.engine.trouble import app_command, connect_command, refused_assertion
from valetkey.engine.world import World
from valetkey.errors import (
    ClientRejected,
    ConnectError,
    ConsentExpired,
    ProviderProtocolError,
    ProviderUnavailable,
    ValetkeyError,
)
from valetkey.logs import get_logger
from valetkey.model.connections import ConnectionKey, Identity
from valetkey.model.credentials import AppCredentials, OAuth2Credential
from valetkey.model.grants import Grant
from valetkey.model.ports import InDoubt, NotSent
from valetkey.protocol.bodies import Members
from valetkey.protocol.certificates import certificate_of
from valetkey.protocol.denials import refused_consent
from valetkey.protocol.id_token import identity_of
from valetkey.protocol.refusals import Kind
from valetkey.protocol.signatures import TokenFlaw
from valetkey.protocol.token_response import Parse, Refusal, TokenSet, parse_token_response
from valetkey.protocol.userinfo import parse_userinfo, userinfo_request
from valetkey.values import Request, Response

_log = get_logger("connect")
EXCHANGE_SECONDS: Final = 30.0
"""How long an answer is listened for: a code is good for one request, so hanging up early would waste it."""
IDENTITY_SECONDS: Final = 10.0


def name_of(credential: OAuth2Credential) -> str:
    """Return the credential's name for people."""
    return credential.display_name or credential.name


def buy(
    world: World,
    credential: OAuth2Credential,
    key: ConnectionKey,
    app: AppCredentials,
    build: Callable[[AppCredentials], Request],
    parse: Parse = parse_token_response,
) -> TokenSet:
    """Send the request that buys a grant for `key`, once, and return what was bought, as `parse` reads the answer.

    A code must never be sent twice (RFC 6749 section 4.1.2), so a lost answer ends the attempt.  One that was refused
    because of the app's secret was not used, and goes out again with the app's next one where it has several.  `build`
    makes the request for the app with one of its secrets.

    Raises:
        ConnectError: Lost answer (``exchange_failed``), refused code (``code_refused``), refused request
            (by the error's own name, else ``authorization_failed``); denied or expired consent as their own classes.
        ClientRejected: The provider does not accept the app.
        ProviderUnavailable: It was not reached, or asked for patience.
    """
    answer = tried_in_order(
        world, key.env, credential, app, lambda one: ask(world, credential, build(one), parse=parse)
    )
    if isinstance(answer, Refusal):
        raise refusal_error(credential, key, answer)
    return answer


def ask(
    world: World, credential: OAuth2Credential, request: Request, *, parse: Parse = parse_token_response
) -> TokenSet | Refusal:
    """Send a request that buys a grant, once, and read the answer; raises where there is none."""
    name = name_of(credential)
    try:
        response = world.endpoint.send(request, deadline=world.clock.monotonic() + EXCHANGE_SECONDS)
    except NotSent as error:
        msg = f"{name} could not be reached: {error}"
        raise ProviderUnavailable(msg, error="unreachable", hint="start again when it can be reached") from error
    except InDoubt as error:
        msg = f"{name} gave no readable answer to the last step of connecting: {error}"
        raise ConnectError(msg, code="exchange_failed", hint="start again") from error
    return parse(response, credential=credential, now=world.clock.now(), request=request)


def refusal_error(credential: OAuth2Credential, key: ConnectionKey, refusal: Refusal) -> ValetkeyError:
    """Return the error for a refusal of what was to buy a grant for `key`."""
    if refusal.kind == "grant" and credential.asserts:
        return refused_assertion(credential, refusal)
    build = _ERRORS.get(refusal.kind)
    if build is not None:
        return build(credential, refusal)
    return (_app_refused if refusal.kind == "client" else _consent_error)(credential, key, refusal)


def read_identity(
    world: World,
    credential: OAuth2Credential,
    key: ConnectionKey,
    grant: Grant,
    *,
    app: AppCredentials,
    claims: Members | None = None,
) -> Identity | None:
    """Ask the provider who connected.  None when it does not say: that never fails a connect.

    `claims` are those of the id token, which were checked.  Userinfo has to speak of the same person, else it is not
    used (OpenID Connect Core section 5.3.2); what it leaves out is taken from them.
    """
    signed_in = identity_of(claims) if claims is not None else None
    try:
        with_it = headers_towards(world, credential, credential.userinfo_url, key.env, app.client_id)
        certificate = certificate_of(credential, app)
        request = userinfo_request(credential, grant, certificate=certificate, api_headers=with_it)
        if request is None:
            return signed_in
        response = world.endpoint.send(request, deadline=world.clock.monotonic() + IDENTITY_SECONDS)
        response = _unsigned(world, credential, app, response)
        asked = parse_userinfo(response, credential=credential, subject=signed_in.subject if signed_in else "")
    except (NotSent, InDoubt, ValetkeyError) as error:
        _log.info("the identity behind %s could not be read: %s", key, error)
        return signed_in
    if asked is None or signed_in is None:
        return asked or signed_in
    return Identity(**{part: text or getattr(signed_in, part) for part, text in asdict(asked).items()})


def _unsigned(world: World, credential: OAuth2Credential, app: AppCredentials, response: Response) -> Response:
    """Return a userinfo answer as JSON; one that is signed is checked first, and is an error if that fails."""
    if not response.headers.get("content-type", "").lower().startswith("application/jwt"):
        return response
    claims = claims_of_userinfo(world, credential, app, response.body.decode("ascii", "replace").strip())
    if isinstance(claims, TokenFlaw):
        msg = f"the signed userinfo answer {claims.what}"
        raise ProviderProtocolError(msg, hint=f"check userinfo_url of {credential.name!r}")
    return replace(response, body=json.dumps(claims).encode())


def _code_refused(credential: OAuth2Credential, refusal: Refusal) -> ConnectError:
    said = f"it took too long or was used twice ({_said(refusal)})"
    msg = f"{name_of(credential)} did not accept the sign-in's answer: {said}"
    return ConnectError(msg, code="code_refused", hint="start again; if it repeats, check this machine's clock")


def _app_refused(credential: OAuth2Credential, key: ConnectionKey, refusal: Refusal) -> ClientRejected:
    return ClientRejected(
        f"{name_of(credential)} does not accept the app credentials of {credential.name!r} ({_said(refusal)})",
        error=refusal.error,
        description=refusal.description,
        status=refusal.status,
        hint=f"check the client id and secret, then: {app_command(credential.name, key.env)}",
    )


def _not_now(credential: OAuth2Credential, refusal: Refusal) -> ProviderUnavailable:
    return ProviderUnavailable(
        f"{name_of(credential)} asks for patience ({_said(refusal)})",
        error=refusal.error,
        description=refusal.description,
        status=refusal.status,
        retry_after=refusal.retry_after,
        hint="start again in a moment",
    )


def _unreadable(credential: OAuth2Credential, refusal: Refusal) -> ConnectError:
    msg = f"{name_of(credential)} gave no readable answer to the last step of connecting ({_said(refusal)})"
    return ConnectError(msg, code="exchange_failed", hint="start again")


def _elsewhere(credential: OAuth2Credential, refusal: Refusal) -> ProviderProtocolError:
    return ProviderProtocolError(
        f"the token endpoint of {name_of(credential)} points elsewhere; nothing was sent there",
        status=refusal.status,
        hint=f"check token_url of {credential.name!r}",
    )


def _too_late(credential: OAuth2Credential, refusal: Refusal) -> ConsentExpired:
    msg = f"the code of {name_of(credential)} ran out before anybody entered it ({_said(refusal)})"
    return ConsentExpired(msg, hint="start again")


def _consent_error(credential: OAuth2Credential, key: ConnectionKey, refusal: Refusal) -> ValetkeyError:
    """Word a denial, or a request that the provider does not take, as it is worded in a callback."""
    again, add = connect_command(key), app_command(credential.name, key.env)
    said = refusal.description or refusal.note
    return refused_consent(refusal.error, said, name=credential.name, again=again, add=add)


_ERRORS: Final[dict[Kind, Callable[[OAuth2Credential, Refusal], ValetkeyError]]] = {
    "grant": _code_refused,
    "transient": _not_now,
    "doubt": _unreadable,
    "unclear": _unreadable,
    "redirect": _elsewhere,
    "expired": _too_late,
}


def _said(refusal: Refusal) -> str:
    words = ": ".join(part for part in (refusal.error, refusal.description or refusal.note) if part)
    return words or f"HTTP {refusal.status}"
