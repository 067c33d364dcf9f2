"""Tokens for one resource out of a grant for several (RFC 8707): which a declaration allows to be asked for."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from valetkey.errors import ConfigurationError, clean
from valetkey.model.credentials import OAuth2Credential

_LONGEST: Final = 2000


def is_resource(uri: object) -> bool:
    """Whether it is an absolute URI without a fragment (RFC 8707 section 2)."""
    if not isinstance(uri, str) or len(uri) > _LONGEST or not uri.isprintable() or " " in uri or "#" in uri:
        return False
    try:
        parts = urlsplit(uri)
    except ValueError:
        return False
    return bool(parts.scheme and (parts.netloc or parts.path))


def check_resource(credential: OAuth2Credential, resource: object) -> str:
    """Return the resource for which a caller wants a token, after checking that the declaration lists it, as it is.

    What lies below one that is listed is another resource: servers that were not asked for it at the sign-in refuse it,
    and oidc-provider 9.13 spends the refresh token before it does.

    Raises:
        ConfigurationError: It is no absolute URI (``resource_invalid``), the declaration does not list it
            (``resource_undeclared``), or tokens of this credential are exchanged, each for what it is for
            (``resource_of_exchange``).
    """
    name = credential.name
    if not is_resource(resource):
        msg = f"{name}: resource={clean(str(resource), 100)!r} is no absolute URI, or has a fragment"
        raise ConfigurationError(msg, code="resource_invalid", hint='write it as "https://api.example.com/"')
    uri = str(resource)
    if credential.grant == "token_exchange":
        msg = f"{name}: what is exchanged is for the resource that the exchange names"
        hint = f"valet.exchange({name!r}, subject=..., resource=[{uri!r}])"
        raise ConfigurationError(msg, code="resource_of_exchange", hint=hint)
    if uri not in credential.resources:
        msg = f"{name}: no token is asked for {clean(uri, 200)!r}, which its declaration does not list"
        hint = f"if it is meant: wire_oauth2_credential({name!r}, resources={[*credential.resources, uri]!r})"
        raise ConfigurationError(msg, code="resource_undeclared", hint=hint)
    return uri


def aimed(credential: OAuth2Credential, resource: str) -> str:
    """Return the resource that a token has to be bought for by itself; empty: the grant's own token is for it alone.

    Raises:
        ConfigurationError: As `check_resource` does.
    """
    return "" if not resource or check_resource(credential, resource) in _own(credential) else resource


def home(credential: OAuth2Credential, resource: str = "") -> str:
    """Return the one resource that a token is for, empty where it may be for several or nobody knows.

    `resource` is what was asked for; empty: it is the grant's own token.
    """
    return resource or (credential.resources[0] if credential.one_token_per_resource else "")


def _own(credential: OAuth2Credential) -> tuple[str, ...]:
    """Return the resource that the grant's own token is for, where it is for one alone."""
    asked = credential.token_resources
    return asked if len(asked) == 1 else ()
