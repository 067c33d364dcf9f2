"""Authorization requests that do not travel by way of the browser: pushed (RFC 9126), or signed (JAR, RFC 9101)."""

from __future__ import annotations

import json
import re
import secrets
from dataclasses import dataclass
from typing import Final

from valetkey.model.credentials import AppCredentials, OAuth2Credential
from valetkey.protocol.bodies import read_members, seconds
from valetkey.protocol.client_authentication import app_key
from valetkey.protocol.forms import post
from valetkey.protocol.refusals import Refusal, read_refusal, refused
from valetkey.protocol.urls import origin
from valetkey.values import Params, Request, Response

_REQUEST_URI: Final = re.compile(r"[\x21-\x7e]{1,1024}")
_JSON: Final = ("claims", "authorization_details")
"""Parameters that are JSON themselves: in a request object they are members, not texts (RFC 9101 section 4)."""
_NUMBERS: Final = frozenset({"max_age"})
"""Those that are numbers there.  A client id or a hint may be all digits, and stays a text (RFC 9101 section 4)."""
OBJECT_SECONDS: Final = 300
"""Seconds that a signed request is good for: a person has to click (FAPI 2.0 Message Signing: at most an hour)."""
_OK: Final = range(200, 300)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pushed:
    """A request that the server keeps.

    Attributes:
        request_uri: What stands for it in the browser, for one use.
        expires_in: Seconds until it is forgotten, where the server says so.
    """

    request_uri: str
    expires_in: float | None


def pushed_request(credential: OAuth2Credential, app: AppCredentials, params: Params) -> Request:
    """Return the request that pushes an authorization request (RFC 9126 section 2.1), authenticated as for tokens.

    Raises:
        ConfigurationError: See `forms.post`.
    """
    return post(credential.pushed_authorization_url, params, what=_FIELD, credential=credential, app=app)


_FIELD: Final = "pushed_authorization_url"


def parse_pushed(response: Response, *, credential: OAuth2Credential, now: float) -> Pushed | Refusal:
    """Read the answer (RFC 9126 sections 2.2 and 2.3); never raises.  `now` is Unix seconds."""
    members = read_members(response.body) if response.status in _OK else None
    if members is None or refused(members):
        return read_refusal(response, credential=credential, now=now)
    uri = members.get("request_uri")
    if not (isinstance(uri, str) and _REQUEST_URI.fullmatch(uri)):
        return Refusal(kind="doubt", status=response.status, note="an answer without a usable request_uri")
    return Pushed(request_uri=uri, expires_in=seconds(members.get("expires_in")))


def request_object(credential: OAuth2Credential, app: AppCredentials, params: Params, *, now: float) -> dict[str, str]:
    """Return the parameters that stand for `params` once they are signed (RFC 9101 section 5): all are inside.

    Raises:
        ConfigurationError: ``private_key_missing``, ``private_key_unreadable``, ``private_key_unfit``.
    """
    key = app_key(credential, app)
    claims: dict[str, object] = {
        **{name: _member(name, value) for name, value in params.items() if value},
        "iss": app.client_id,
        "aud": credential.issuer or origin(credential.authorization_url),
        "jti": secrets.token_urlsafe(16),
        "iat": int(now),
        "nbf": int(now),
        "exp": int(now) + OBJECT_SECONDS,
    }
    signed = key.sign({"typ": "oauth-authz-req+jwt", "kid": key.kid}, claims)
    return {"client_id": app.client_id, "request": signed}


def _member(name: str, value: str | tuple[str, ...]) -> object:
    if isinstance(value, str):
        if name in _JSON:
            return json.loads(value)
        return int(value) if name in _NUMBERS and value.isascii() and value.isdecimal() else value
    return value[0] if len(value) == 1 else list(value)


def by_reference(params: Params, pushed: Pushed) -> dict[str, str]:
    """Return what the browser carries of a request that was pushed: client id and reference alone (section 4)."""
    return {"client_id": str(params["client_id"]), "request_uri": pushed.request_uri}
