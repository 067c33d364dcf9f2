"""Who it is at the provider: the userinfo request and its answer (OpenID Connect Core section 5.3, and dialects)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from valetkey.errors import clean
from valetkey.model.connections import Identity
from valetkey.model.credentials import OAuth2Credential
from valetkey.model.grants import Grant
from valetkey.protocol.bodies import as_list, as_object, read_members
from valetkey.protocol.refusals import refused
from valetkey.protocol.urls import require_https
from valetkey.values import Request, Response

_OPENID: Final[Mapping[str, str]] = {"subject": "sub", "email": "email", "name": "name", "login": "preferred_username"}
_MAX_TEXT: Final = 200
_MAX_DEPTH: Final = 8
_SUCCESS: Final = range(200, 300)


def userinfo_request(credential: OAuth2Credential, grant: Grant) -> Request:
    """Return the request for the identity behind `grant`.

    Raises:
        ConfigurationError: See `urls.require_https`.
    """
    require_https(credential.userinfo_url, what="userinfo_url", name=credential.name)
    headers = {"Accept": "application/json", "Authorization": f"Bearer {grant.access_token.reveal()}"}
    return Request(method="GET", url=credential.userinfo_url, headers=headers)


def parse_userinfo(response: Response, *, credential: OAuth2Credential) -> Identity | None:
    """Read the identity; None when the answer holds none.  Never raises.

    ``credential.identity`` says where each part stands, as a dotted path (``data.0.email``); what it does not name
    is looked for under the names of OpenID Connect.  An empty path leaves a part out.
    """
    members = read_members(response.body) if response.status in _SUCCESS else None
    if members is None or refused(members):
        return None
    paths = {**_OPENID, **credential.identity}
    subject, email, name, login = (_at(members, paths[part]) for part in ("subject", "email", "name", "login"))
    identity = Identity(subject=subject, email=email, name=name, login=login)
    return identity if identity.title else None


def _at(members: object, path: str) -> str:
    """Return the text or number at a dotted path, cleaned and capped; empty when there is none."""
    value = members
    for step in path.split(".", _MAX_DEPTH) if path else ():
        value = _member(value, step)
    if not path or isinstance(value, bool) or not isinstance(value, (str, int)):
        return ""
    return clean(value, _MAX_TEXT)


def _member(value: object, step: str) -> object:
    items = as_list(value)
    if step.isdecimal() and int(step) < len(items):
        return items[int(step)]
    return (as_object(value) or {}).get(step)
