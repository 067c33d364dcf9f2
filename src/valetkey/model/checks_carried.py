"""Checks of what calls carry: the access token, where that is not RFC 6750's way, and secrets of the app."""

from __future__ import annotations

import re
from typing import Final, NoReturn

from valetkey.model import checks
from valetkey.model.app_headers import secret_headers
from valetkey.model.credentials import OAuth2Credential
from valetkey.model.places import Place

_HOLE: Final = "{token}"
_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
"""A field name (RFC 9110 section 5.6.2)."""
_VALUE: Final = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")
"""A field value of visible ASCII (RFC 9110 section 5.5)."""
_OTHERS: Final = frozenset(
    {
        *("connection", "cookie", "cookie2", "date", "dpop", "expect", "forwarded", "from", "host", "keep-alive"),
        *("location", "max-forwards", "origin", "pragma", "range", "referer", "set-cookie", "te", "trailer"),
        *("transfer-encoding", "upgrade", "user-agent", "via", "www-authenticate"),
    }
)
_FAMILIES: Final = ("accept", "access-control-", "cache-", "content-", "if-", "proxy-", "sec-", "x-forwarded-")
"""Headers that mean something else to HTTP clients, servers and what is between them."""


def check_token_header(credential: OAuth2Credential, place: Place) -> None:
    """Check that `token_header` is one header that may carry a token, and agrees with the rest.

    Raises:
        ConfigurationError: ``token_header_invalid``: it is no such header; ``parameter_reserved``: `api_headers` or a
            look-up set it too; ``token_header_bound``: how the token is carried is said by DPoP, or by a profile.
    """
    if not credential.token_header:
        return
    name, colon, value = credential.token_header.partition(":")
    if not colon or _NAME.fullmatch(name) is None:
        _refuse(place, "does not begin with the name of a header and a colon")
    if name.lower() in _OTHERS or name.lower().startswith(_FAMILIES):
        _refuse(place, f"names {name}, which is for something else")
    if value.count(_HOLE) != 1 or "{" in (rest := value.replace(_HOLE, "")) or "}" in rest:
        _refuse(place, f"does not hold {_HOLE} once, and no other hole")
    if _VALUE.fullmatch(value.strip(" ")) is None:
        _refuse(place, "holds a character that no header may have")
    _check_alone(credential, place, name)
    _check_bound(credential, place)


def check_api_headers(credential: OAuth2Credential, place: Place) -> None:
    """Check what `api_headers` and `api_header_secrets` say of the app and of its secrets.

    Raises:
        ConfigurationError: ``parameter_reserved``: a header that means something else, or that something else sets too;
            ``secret_id_missing``: a secret has no id; ``secret_id_duplicate``: it is the app's or the token's own.
    """
    field, ids = "api_header_secrets", credential.api_header_secrets
    checks.headers(place, field, ids)
    for name in secret_headers(credential):
        if name.lower() in _OTHERS or name.lower().startswith(_FAMILIES):
            place.refuse(
                f'"{name}" cannot carry a secret: it is for something else',
                code="parameter_reserved",
                hint=f'remove "{name}" from {field if name in ids else "api_headers"}',
            )
    for name, secret_id in ids.items():
        _check_alone(credential, place, name, field)
        if not secret_id.strip():
            place.refuse(
                f"{field}: the header {name} has no secret",
                code="secret_id_missing",
                hint=f"write {place.line(field, {name: f'{credential.name}-{name.lower()}'})}",
            )
        if secret_id in {credential.secret_id, credential.token_secret_id}:
            place.refuse(
                f"{field}: what is kept under {secret_id!r} is not for the header {name}",
                code="secret_id_duplicate",
                hint=f"write {place.line(field, {name: f'{credential.name}-{name.lower()}'})}",
            )


def _check_alone(credential: OAuth2Credential, place: Place, name: str, by: str = "token_header") -> None:
    others = [("api_headers", credential.api_headers), *(("look_ups", one.headers) for one in credential.look_ups)]
    if by == "token_header":
        others.append(("api_header_secrets", credential.api_header_secrets))
    for field, headers in others:
        double = next((other for other in headers if other.lower() == name.lower()), "")
        if double:
            place.refuse(
                f'{field} may not set "{double}": {by} says what stands there',
                code="parameter_reserved",
                hint=f'remove "{double}" from {field}',
            )


def _check_bound(credential: OAuth2Credential, place: Place) -> None:
    by = "sender_constraint dpop" if credential.sender_constraint == "dpop" else ""
    if credential.security_profile != "none":
        by = f"security_profile {credential.security_profile}"
    if by:
        place.refuse(
            f"token_header says how the token is carried, and {by} says it already",
            code="token_header_bound",
            hint=f"leave token_header out, or {by.split()[0]}",
        )


def _refuse(place: Place, problem: str) -> NoReturn:
    raise place.error(
        f"token_header {problem}",
        code="token_header_invalid",
        hint=f"write the whole header, as in {place.line('token_header', 'X-Access-Token: {token}')}",
    )
