"""Exchanging a token for another (RFC 8693)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from urllib.parse import urlsplit

from valetkey.errors import ConfigurationError
from valetkey.model.credentials import AppCredentials, OAuth2Credential
from valetkey.model.exchanges import Exchange
from valetkey.protocol.bodies import read_members
from valetkey.protocol.refusals import UNSUPPORTED_TOKEN_TYPE, Refusal
from valetkey.protocol.token_request import token_request
from valetkey.protocol.token_response import TokenSet, parse_token_response
from valetkey.values import Params, Request, Response, Secret

EXCHANGE_GRANT: Final = "urn:ietf:params:oauth:grant-type:token-exchange"
_TYPES: Final = "urn:ietf:params:oauth:token-type:"
TOKEN_TYPES: Final = ("access_token", "refresh_token", "id_token", "saml1", "saml2", "jwt")
"""The types of section 3 by their last word."""
_NO_ACCESS: Final = frozenset({"refresh_token", "id_token", "saml1", "saml2"})
"""Types that no API takes in its ``Authorization`` header; a ``jwt`` may be an access token (section 3)."""
NOT_APPLICABLE: Final = "n_a"
"""The ``token_type`` of what is no access token (section 2.2.1)."""


def token_type(said: str) -> str:
    """Return a token type as a URI: a word of `TOKEN_TYPES` stands for that of section 3.

    Raises:
        ConfigurationError: It is neither (``token_type_unknown``).
    """
    if said in TOKEN_TYPES:
        return _TYPES + said
    if urlsplit(said).scheme and " " not in said:
        return said
    msg, words = f"{said!r:.80} is no type of a token", ", ".join(TOKEN_TYPES)
    raise ConfigurationError(msg, code="token_type_unknown", hint=f"use one of {words}, or a URI")


def exchange_request(
    credential: OAuth2Credential,
    app: AppCredentials,
    wish: Exchange,
    *,
    subject: Secret,
    actor: Secret | None,
    scope: Sequence[str],
) -> Request:
    """Return the request that exchanges `subject` (section 2.1); `actor` is the token of who acts for it, if any.

    Raises:
        ConfigurationError: A resource is no absolute URI (``resource_invalid``); see also `forms.post`.
    """
    for uri in wish.resource:
        parts = urlsplit(uri)
        if not parts.scheme or not parts.netloc or "#" in uri:
            msg = f"{credential.name}: the resource {uri!r:.200} is no absolute URI, or has a fragment"
            raise ConfigurationError(msg, code="resource_invalid", hint='write it like "https://api.example.com/notes"')
    params: Params = {
        "grant_type": EXCHANGE_GRANT,
        "subject_token": subject.reveal(),
        "subject_token_type": wish.subject_type,
        "actor_token": actor.reveal() if actor else "",
        "actor_token_type": wish.actor_type if actor else "",
        "requested_token_type": wish.requested_type,
        "audience": wish.audience,
        "resource": wish.resource or credential.resources,
        "scope": credential.scope_separator.join(scope),
        "authorization_details": credential.authorization_details,
    }
    return token_request(credential, app, params, extra=credential.token_params)


def parse_exchange_response(
    response: Response, *, credential: OAuth2Credential, now: float, request: Request | None = None
) -> TokenSet | Refusal:
    """Read the answer (section 2.2); never raises.  `now` is Unix seconds.

    ``issued_token_type`` must be there; what is no access token is not taken for one.
    """
    answer = parse_token_response(response, credential=credential, now=now, request=request)
    members = read_members(response.body) or {}
    if isinstance(answer, Refusal):
        if answer.error == UNSUPPORTED_TOKEN_TYPE and str(members.get("token_type")).lower() == NOT_APPLICABLE:
            note = "a token that is no access token: its type is N_A"
            return Refusal(kind="request", error=UNSUPPORTED_TOKEN_TYPE, status=answer.status, note=note)
        return answer
    issued = members.get("issued_token_type")
    if not (isinstance(issued, str) and issued):
        note = "a token without issued_token_type"
        return Refusal(kind="request", error="issued_token_type_missing", status=response.status, note=note)
    if issued.removeprefix(_TYPES) in _NO_ACCESS:
        note = f"a token that is no access token: it was issued as {issued.removeprefix(_TYPES)}"
        return Refusal(kind="request", error=UNSUPPORTED_TOKEN_TYPE, status=response.status, note=note)
    return answer
