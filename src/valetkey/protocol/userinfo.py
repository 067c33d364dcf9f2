"""Who it is at the provider: the userinfo request and its answer (OpenID Connect Core section 5.3, and dialects)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from valetkey.errors import ConfigurationError, clean
from valetkey.model.app_headers import fixed
from valetkey.model.connections import Identity
from valetkey.model.credentials import OAuth2Credential
from valetkey.model.grants import Grant
from valetkey.protocol.bearer import carried
from valetkey.protocol.bodies import dotted, read_members
from valetkey.protocol.refusals import refused
from valetkey.protocol.urls import allowed_hosts, host_allowed, require_https
from valetkey.values import Request, Response, Secret

_OPENID: Final[Mapping[str, str]] = {"subject": "sub", "email": "email", "name": "name", "login": "preferred_username"}
_MAX_TEXT: Final = 200
_SUCCESS: Final = range(200, 300)


def userinfo_request(
    credential: OAuth2Credential,
    grant: Grant,
    *,
    certificate: Secret | None = None,
    api_headers: Mapping[str, str] | None = None,
) -> Request | None:
    """Return the request for the identity behind `grant`, or None where the credential has no userinfo URL.

    Args:
        credential: Which integration.
        grant: The grant.
        certificate: What the token is bound to (RFC 8705 section 3); None: nothing.
        api_headers: The API's headers with what is of the app; None: those that are declared whole.

    Raises:
        ConfigurationError: See `urls.require_https`.
    """
    if not credential.userinfo_url:
        return None
    require_https(credential.userinfo_url, what="userinfo_url", name=credential.name)
    headers = {"Accept": "application/json", **(fixed(credential) if api_headers is None else api_headers)}
    if credential.userinfo_body:
        headers["Content-Type"] = "application/json"
    return Request(
        method=credential.userinfo_method,
        url=credential.userinfo_url,
        headers={**headers, **carried(credential, grant.access_token, bound=grant.dpop_key is not None)},
        body=credential.userinfo_body.encode(),
        dpop_key=grant.dpop_key,
        certificate=certificate,
    )


def verify_request(
    credential: OAuth2Credential,
    grant: Grant,
    *,
    certificate: Secret | None = None,
    api_headers: Mapping[str, str] | None = None,
) -> Request | None:
    """Return the request for one harmless call, or None where the credential names none (`OAuth2Credential.verify`).

    The arguments are those of `userinfo_request`.

    Raises:
        ConfigurationError: See `urls.require_https`; ``verify_elsewhere``: the token may not go there.
    """
    if not credential.verify:
        return None
    require_https(credential.verify, what="verify", name=credential.name)
    if not host_allowed(credential.verify, allowed_hosts(credential)):
        raise ConfigurationError(
            f'credential "{credential.name}": verify is on a host that may not see the token',
            code="verify_elsewhere",
            hint="add its host to api_hosts, or leave verify out",
        )
    token = carried(credential, grant.access_token, bound=grant.dpop_key is not None)
    headers = fixed(credential) if api_headers is None else api_headers
    return Request(
        method="GET",
        url=credential.verify,
        headers={"Accept": "application/json", **headers, **token},
        dpop_key=grant.dpop_key,
        certificate=certificate,
    )


def parse_userinfo(response: Response, *, credential: OAuth2Credential, subject: str = "") -> Identity | None:
    """Read the identity; None when the answer holds none, or one of another person.  Never raises.

    `subject` is the ``sub`` of the id token: that of the answer must be equal (OpenID Connect Core section 5.3.2).

    ``credential.identity`` says where each part stands, as a dotted path (``data.0.email``); what it does not name
    is looked for under the names of OpenID Connect.  An empty path leaves a part out.
    """
    members = read_members(response.body) if response.status in _SUCCESS else None
    if members is None or refused(members):
        return None
    if subject and members.get("sub") != subject:
        return None
    paths = {**_OPENID, **credential.identity}
    texts = {part: clean(dotted(members, paths[part]), _MAX_TEXT) for part in _OPENID}
    identity = Identity(**texts)
    return identity if identity.title else None
