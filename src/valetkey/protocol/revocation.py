"""Giving a token back (RFC 7009)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal
from urllib.parse import quote, urlencode

from valetkey.errors import ConfigurationError
from valetkey.model.app_headers import fixed
from valetkey.model.credentials import EMPTY, AppCredentials, OAuth2Credential, RevocationAuth
from valetkey.protocol.bearer import carried
from valetkey.protocol.bodies import read_members, retry_after
from valetkey.protocol.certificates import certificate_of
from valetkey.protocol.client_authentication import authenticate, can_sign, client_id, client_secret
from valetkey.protocol.forms import encoded, renamed
from valetkey.protocol.refusals import error_words, refused
from valetkey.protocol.texts import provider_text
from valetkey.protocol.urls import require_https
from valetkey.values import Params, Request, Response, Secret

Hint = Literal["refresh_token", "access_token"]

_STANDARD: Final = {"token": "{token}", "token_type_hint": "{token_type_hint}"}
_NAME: Final = re.compile(r"\{(\w+)\}")
_GONE: Final = frozenset({"invalid_token", "token_revoked"})
_SUCCESS: Final = range(200, 300)
_SERVER_ERROR: Final = 500
_UNKNOWN: Final = OAuth2Credential(name="")


@dataclass(frozen=True, slots=True)
class Revoked:
    """The provider confirms that the token is dead, by this request or before it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StillLives:
    """The token may still work (section 2.2.1).

    Attributes:
        retry_after: Seconds after which another try makes sense, at most an hour; None when nobody said.
        error: The error code, or ``http_503`` and the like where the answer names none.
    """

    retry_after: float | None = None
    error: str = ""


def revocation_request(
    credential: OAuth2Credential,
    app: AppCredentials,
    *,
    token: Secret,
    hint: Hint,
    access_token: Secret | None = None,
    dpop_key: Secret | None = None,
    params: Mapping[str, str] = EMPTY,
    api_headers: Mapping[str, str] | None = None,
) -> Request:
    """Return the request that revokes `token` (section 2.1), in the dialect that the credential declares.

    Revoke the refresh token first: the server should then take its access tokens along.

    Args:
        credential: Which integration.
        app: Its app.
        token: What to revoke.
        hint: What it is.
        access_token: The access token of the grant, for providers that want it as proof; by default `token`.
        dpop_key: The key that it is bound to; then it goes with the scheme ``DPoP`` and a proof (RFC 9449 section 7).
        params: The connection's params, for templates.
        api_headers: The API's headers with what is of the app; None: those that are declared whole.

    Raises:
        ConfigurationError: ``url_missing``, ``url_invalid``, ``url_insecure``, ``client_id_missing``,
            ``client_secret_missing``, or ``revocation_param_missing`` when a template names an unknown param.
    """
    known = {**params, "token": token.reveal(), "token_type_hint": hint, "client_id": client_id(credential, app)}
    url = credential.revocation_url.replace("{client_id}", quote(known["client_id"], safe=""))
    require_https(url, what="revocation_url", name=credential.name)
    templates = credential.revocation_params or _STANDARD
    wanted = {name: _filled(template, known, credential) for name, template in templates.items()}

    certificate = certificate_of(credential, app)
    key = dpop_key if credential.revocation_auth == "access_token" else None

    def made(now: float, *, auth: RevocationAuth | None = None) -> Request:
        by_token = access_token or token
        proof, headers = _proof(credential, app, auth or credential.revocation_auth, now, by_token, bound=bool(key))
        with_it = fixed(credential) if api_headers is None else api_headers
        request = _written(credential, url, {**wanted, **proof}, {**with_it, **headers})
        return replace(request, dpop_key=key, certificate=certificate)

    if _signs(credential, app):
        return replace(made(0.0, auth="none"), anew=made)
    return made(0.0)


def parse_revocation(
    response: Response, *, credential: OAuth2Credential = _UNKNOWN, now: float | None = None
) -> Revoked | StillLives:
    """Read the answer of the revocation endpoint (section 2.2); never raises.

    Any 2xx is a confirmation, also for a token that the server does not know, whatever the body holds; but for one
    that says in so many words that it did not do it (Slack: ``"ok": false``).  `credential` names further answers
    that mean "gone already"; `now` (Unix seconds) is for a ``Retry-After`` date from a server without a clock.
    """
    members = read_members(response.body) or {}
    if response.status in _SUCCESS and not refused(members):
        return Revoked()
    said = error_words(members)
    gone = _GONE.union(credential.revocation_gone)
    answer = [str(response.status), *said, _as_code(members.get("message"))]
    if response.status < _SERVER_ERROR and not gone.isdisjoint(answer):
        return Revoked()
    error = said[0] if said else f"http_{response.status}"
    return StillLives(retry_after=retry_after(response.headers, now), error=error)


def _written(credential: OAuth2Credential, url: str, members: Params, headers: Mapping[str, str]) -> Request:
    """Return the request with its members where the provider wants them."""
    headers = {"Accept": credential.accept, **headers}
    method, how = credential.revocation_method, credential.revocation_format
    if how == "none":
        return Request(method=method, url=url, headers=headers)
    if how == "query":
        return Request(method=method, url=url, query=urlencode(members), headers=headers)
    content_type, body = encoded(members, how)
    return Request(method=method, url=url, headers={**headers, "Content-Type": content_type}, body=body)


def _proof(
    credential: OAuth2Credential, app: AppCredentials, auth: RevocationAuth, now: float, token: Secret, *, bound: bool
) -> tuple[Params, dict[str, str]]:
    """Return the parameters and the headers that authenticate a revocation."""
    match auth:
        case "none":
            return {}, {}
        case "access_token":
            return {}, carried(credential, token, bound=bound)
        case "client_secret_bearer" | "client_secret_client":
            scheme = "Bearer" if auth == "client_secret_bearer" else "Client"
            return {}, {"Authorization": f"{scheme} {client_secret(credential, app, now=now).reveal()}"}
        case "client":
            params, headers = authenticate(credential, app, {}, {}, now=now)
        case method:
            params, headers = authenticate(credential, app, {}, {}, method=method, now=now)
    return renamed(credential, params), headers


def _signs(credential: OAuth2Credential, app: AppCredentials) -> bool:
    """Whether the proof is signed for every attempt."""
    auth = credential.revocation_auth
    if credential.signed_secret_claims and auth not in {"none", "access_token"}:
        return True
    return auth == "client" and can_sign(credential, app)


def _filled(template: str, known: Mapping[str, str], credential: OAuth2Credential) -> str:
    def value(name: re.Match[str]) -> str:
        if name[1] not in known:
            msg = f"{credential.name}: revocation_params name {name[0]}, which this connection does not have"
            hint = f"declare it in kept_params or params of {credential.name!r}, and connect again"
            raise ConfigurationError(msg, code="revocation_param_missing", hint=hint)
        return known[name[1]]

    return _NAME.sub(value, template)


def _as_code(message: object) -> str:
    """Return words as a code: Twitch says ``{"status": 400, "message": "Invalid token"}``."""
    return re.sub(r"[^a-z0-9]+", "_", provider_text(message, 64).lower()).strip("_")
