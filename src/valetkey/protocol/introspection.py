"""Asking the server whether a token is active, and what it is (RFC 7662)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from valetkey.model.credentials import EMPTY, AppCredentials, OAuth2Credential
from valetkey.protocol.bodies import Members, as_list, read_members, unix_time
from valetkey.protocol.forms import post
from valetkey.protocol.refusals import Refusal, read_refusal
from valetkey.values import Request, Response, Secret

_SUCCESS: Final = range(200, 300)
_NAMED: Final = frozenset(
    {
        *("active", "scope", "client_id", "username", "token_type", "exp", "iat", "nbf", "sub", "aud", "iss", "jti"),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Introspection:
    """What the server says of a token (section 2.2).  Of one that is not active it says nothing else.

    Attributes:
        active: Whether it works now.
        scope: The scopes that it reaches.
        client_id: To which client it was given.
        username: Whose it is, for people.
        token_type: Its type.
        expires_at: Unix seconds at which it ends.
        issued_at: Unix seconds at which it was given.
        not_before: Unix seconds before which it is not taken.
        subject: Whose it is, by the provider's stable id.
        audience: For whom it is.
        issuer: Who gave it.
        jti: Its own id.
        claims: Everything else, as it came: untrusted texts.
    """

    active: bool
    scope: tuple[str, ...] = ()
    client_id: str = ""
    username: str = ""
    token_type: str = ""
    expires_at: float | None = None
    issued_at: float | None = None
    not_before: float | None = None
    subject: str = ""
    audience: tuple[str, ...] = ()
    issuer: str = ""
    jti: str = ""
    claims: Mapping[str, Any] = field(default_factory=lambda: EMPTY)


def introspection_request(credential: OAuth2Credential, app: AppCredentials, *, token: Secret) -> Request:
    """Return the request that asks about an access token (section 2.1), authenticated as at the token endpoint.

    Raises:
        ConfigurationError: See `forms.post`.
    """
    params = {"token": token.reveal(), "token_type_hint": "access_token"}
    return post(credential.introspection_url, params, what="introspection_url", credential=credential, app=app)


def parse_introspection(response: Response, *, credential: OAuth2Credential, now: float) -> Introspection | Refusal:
    """Return what the server says of the token (section 2.2), or what it refused (section 2.3).

    ``active`` must be true or false; an answer that says it in another way is not believed.
    """
    members = read_members(response.body)
    if response.status in _SUCCESS and members is not None and isinstance(members.get("active"), bool):
        return _read(members) if members["active"] is True else Introspection(active=False)
    return read_refusal(response, credential=credential, now=now)


def _read(members: Members) -> Introspection:
    audience = members.get("aud")
    return Introspection(
        active=True,
        scope=tuple(_text(members, "scope").split()),
        client_id=_text(members, "client_id"),
        username=_text(members, "username"),
        token_type=_text(members, "token_type"),
        expires_at=unix_time(members.get("exp")),
        issued_at=unix_time(members.get("iat")),
        not_before=unix_time(members.get("nbf")),
        subject=_text(members, "sub"),
        audience=(audience,) if isinstance(audience, str) else tuple(map(str, as_list(audience))),
        issuer=_text(members, "iss"),
        jti=_text(members, "jti"),
        claims={name: value for name, value in members.items() if name not in _NAMED},
    )


def _text(members: Members, name: str) -> str:
    value = members.get(name)
    return value if isinstance(value, str) else ""
