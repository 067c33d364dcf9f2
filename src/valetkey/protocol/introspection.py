"""Asking whether a token is active (RFC 7662); here only to see whether the server takes the app's secret."""

from __future__ import annotations

from typing import Final

from valetkey.model.credentials import AppCredentials, OAuth2Credential
from valetkey.protocol.bodies import read_members
from valetkey.protocol.forms import post
from valetkey.protocol.refusals import Refusal, read_refusal
from valetkey.values import Request, Response, Secret

_SUCCESS: Final = range(200, 300)


def introspection_request(credential: OAuth2Credential, app: AppCredentials, *, token: Secret) -> Request:
    """Return the request that asks about `token` (section 2.1), authenticated as at the token endpoint.

    Raises:
        ConfigurationError: See `forms.post`.
    """
    params = {"token": token.reveal()}
    return post(credential.introspection_url, params, what="introspection_url", credential=credential, app=app)


def parse_introspection(response: Response, *, credential: OAuth2Credential, now: float) -> bool | Refusal:
    """Return whether the token is active (section 2.2), or what the server refused (section 2.3)."""
    members = read_members(response.body)
    if response.status in _SUCCESS and members is not None and isinstance(members.get("active"), bool):
        return members["active"] is True
    return read_refusal(response, credential=credential, now=now)
