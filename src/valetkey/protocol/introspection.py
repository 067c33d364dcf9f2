"""Asking the server whether a token is active, and what it is (RFC 7662), and its signed answers (RFC 9701)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, cast

from valetkey.model.credentials import EMPTY, AppCredentials, OAuth2Credential
from valetkey.protocol.bodies import Members, as_list, read_members, unix_time
from valetkey.protocol.forms import post
from valetkey.protocol.id_token import for_us
from valetkey.protocol.refusals import Refusal, read_refusal
from valetkey.protocol.signatures import TokenFlaw, Unverified
from valetkey.values import Request, Response, Secret

SIGNED: Final = "application/token-introspection+jwt"
_TYP: Final = "token-introspection+jwt"
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


def introspection_request(
    credential: OAuth2Credential, app: AppCredentials, *, token: Secret, signed: bool = False
) -> Request:
    """Return the request that asks about an access token (section 2.1), authenticated as at the token endpoint.

    `signed`: the answer shall be signed (RFC 9701 section 4).

    Raises:
        ConfigurationError: See `forms.post`.
    """
    params = {"token": token.reveal(), "token_type_hint": "access_token"}
    request = post(credential.introspection_url, params, what="introspection_url", credential=credential, app=app)
    return replace(request, headers={**request.headers, "Accept": SIGNED}) if signed else request


def is_signed(response: Response) -> bool:
    """Whether an answer is a signed token, by its media type."""
    media_type = response.headers.get("content-type", "").partition(";")[0]
    return response.status in _SUCCESS and media_type.strip().lower() == SIGNED


def read_signed_introspection(parts: Unverified, *, issuer: str, client_id: str) -> Introspection | TokenFlaw:
    """Read a signed answer whose signature holds (RFC 9701 section 5): its type, whose it is, and for whom.

    An access token or an id token of the same server must not pass for one, nor an answer to somebody else.
    """
    typ = parts.header.get("typ")
    if not isinstance(typ, str) or typ.lower().removeprefix("application/") != _TYP:
        return TokenFlaw("malformed", "is a token of another type")
    flaw = for_us(parts.claims, issuer=issuer, client_id=client_id)
    if flaw is not None:
        return flaw
    inside = parts.claims.get("token_introspection")
    issued = parts.claims.get("iat")
    if isinstance(issued, bool) or not isinstance(issued, int | float):
        return TokenFlaw("malformed", "does not say when it was made")
    if not isinstance(inside, dict) or not isinstance(cast("Members", inside).get("active"), bool):
        return TokenFlaw("malformed", "does not say whether the token is active")
    members = cast("Members", inside)
    return _read(members) if members["active"] is True else Introspection(active=False)


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
