"""Requests to the endpoints that an app calls itself: a POST with a form (RFC 6749 section 3.2) or, for a few, JSON.

A few providers have names of their own for the parameters, or want a GET.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final
from urllib.parse import quote_plus

from valetkey.errors import ConfigurationError
from valetkey.model.credentials import AppCredentials, ClientAuth, OAuth2Credential, TokenMethod, TokenRequestFormat
from valetkey.protocol.certificates import certificate_of
from valetkey.protocol.client_authentication import authenticate, can_sign
from valetkey.protocol.urls import require_https
from valetkey.values import Params, Request, Secret

_PLAIN: Final = re.compile(r"[A-Za-z0-9_.~\-]*")
"""What no form has to quote."""


def post(
    url: str,
    params: Params,
    *,
    what: str,
    credential: OAuth2Credential,
    app: AppCredentials,
    fresh: Callable[[float], Params] | None = None,
    named: bool = True,
    method: TokenMethod = "POST",
) -> Request:
    """Return an authenticated POST to `url`, which is the credential's field `what`; its query is kept.

    With the `method` ``GET`` the parameters go into the query, for the few providers that want it so.

    Parameters without a value are left out: RFC 6749 section 3.2 has them count as absent.

    Where the app proves itself by something signed, the request is made anew for every attempt; and so it is where
    `fresh` makes further parameters at a Unix time.  Without `named` an app that does not prove itself does not say its
    client id either (RFC 7521 section 4.1).

    Raises:
        ConfigurationError: The URL is missing (``url_missing``) or not https (``url_insecure``), or the app cannot
            prove itself; see `client_authentication.authenticate`.
    """
    require_https(url, what=what, name=credential.name)
    filled = {name: value for name, value in params.items() if value}
    certificate = certificate_of(credential, app)

    def made(now: float, *, proof: ClientAuth | None = None) -> Request:
        accept = {"Accept": credential.accept}
        together = {**filled, **fresh(now)} if fresh is not None and now else filled
        silent = not named and (proof or credential.client_auth) == "none"
        authenticated, headers = (
            (together, accept) if silent else authenticate(credential, app, together, accept, method=proof, now=now)
        )
        spoken = renamed(credential, authenticated)
        return written(credential, url, spoken, headers, method=method, certificate=certificate)

    if can_sign(credential, app):
        return replace(made(0.0, proof="none"), anew=made)
    return replace(made(0.0), anew=made) if fresh is not None else made(0.0)


def written(
    credential: OAuth2Credential,
    url: str,
    params: Params,
    headers: Mapping[str, str],
    *,
    method: TokenMethod = "POST",
    certificate: Secret | None = None,
) -> Request:
    """Return a request with `params` where its method has them: in the body, or in the query."""
    if method == "GET":
        query = encoded(params, "form")[1].decode("ascii")
        return Request(method=method, url=url, query=query, headers=headers, certificate=certificate)
    content_type, body = encoded(params, credential.token_request_format)
    headers = {**headers, "Content-Type": content_type}
    return Request(method=method, url=url, headers=headers, body=body, certificate=certificate)


def renamed(
    credential: OAuth2Credential, params: Mapping[str, str | tuple[str, ...]]
) -> dict[str, str | tuple[str, ...]]:
    """Return `params` by the names that the provider has for them, as declared in ``param_names``."""
    names = credential.param_names
    return {names.get(name, name): value for name, value in params.items()} if names else dict(params)


def encoded(params: Params, how: TokenRequestFormat) -> tuple[str, bytes]:
    """Return the content type and the bytes of a body that holds `params`."""
    if how == "json":
        return "application/json", json.dumps(dict(params)).encode()
    pairs = [f"{_quoted(name)}={_quoted(value)}" for name, values in params.items() for value in _each(values)]
    return "application/x-www-form-urlencoded", "&".join(pairs).encode()


def _each(values: str | tuple[str, ...]) -> tuple[str, ...]:
    return (values,) if isinstance(values, str) else values


def _quoted(text: str) -> str:
    """Return a text as it stands in a form; most names and tokens stand there as they are, and that is seen at once."""
    return text if _PLAIN.fullmatch(text) else quote_plus(text)


def merged(params: Params, extra: Mapping[str, str], *, what: str, name: str) -> dict[str, str | tuple[str, ...]]:
    """Return `params` with the declared `extra` parameters, each name once (RFC 6749 section 3.1).

    Raises:
        ConfigurationError: Code ``parameter_reserved``: `extra`, the field `what` of the credential `name`, sets a
            parameter of the protocol to another value.
    """
    for key, value in extra.items():
        if params.get(key) and params[key] != value:
            msg = f"{name}: {what} sets {key!r}, which is a parameter of the protocol itself"
            raise ConfigurationError(msg, code="parameter_reserved", hint=f"remove {key!r} from {what} of {name!r}")
    return {**extra, **{key: value for key, value in params.items() if value}}
