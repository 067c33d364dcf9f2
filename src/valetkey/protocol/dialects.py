"""Token requests that a declaration spells out whole, for providers that have steps and words of their own for them.

`forms` renames single parameters, `answers` reads what comes back.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from valetkey.model.credentials import AppCredentials, OAuth2Credential, TokenMethod
from valetkey.protocol.certificates import certificate_of
from valetkey.protocol.client_authentication import client_id, client_secret
from valetkey.protocol.forms import written
from valetkey.protocol.urls import require_https
from valetkey.values import Request, Secret

_HOLE: Final = re.compile(r"\{(\w+)\}")


def spelled_out(
    credential: OAuth2Credential,
    app: AppCredentials,
    templates: Mapping[str, str],
    *,
    url: str,
    what: str,
    method: TokenMethod,
    tokens: Mapping[str, Secret | None],
) -> Request:
    """Return a request whose parameters are `templates`, and nothing else: the app proves itself where one says so.

    Args:
        credential: Which integration.
        app: Its app.
        templates: Name -> template, with ``{client_id}``, ``{client_secret}`` and the names of `tokens`.
        url: Where to.
        what: The credential's field that holds it.
        method: The HTTP method.
        tokens: What the templates may name; an absent one is an empty text, and its parameter is left out.

    Raises:
        ConfigurationError: The URL is missing (``url_missing``) or not https (``url_insecure``); the app lacks what a
            template names (``client_id_missing``, ``client_secret_missing``, ``private_key_missing``).
    """
    require_https(url, what=what, name=credential.name)
    certificate = certificate_of(credential, app)
    named = {hole for template in templates.values() for hole in _HOLE.findall(template)}
    known = {name: token.reveal() if token is not None else "" for name, token in tokens.items()}
    if "client_id" in named:
        known["client_id"] = client_id(credential, app)
    if "client_secret" in named and not credential.signed_secret_claims:
        known["client_secret"] = client_secret(credential, app).reveal()

    def made(now: float) -> Request:
        signed = {"client_secret": client_secret(credential, app, now=now).reveal()} if now else {}
        params = {name: _filled(template, {**known, **signed}) for name, template in templates.items()}
        filled = {name: value for name, value in params.items() if value}
        headers = {"Accept": credential.accept}
        return written(credential, url, filled, headers, method=method, certificate=certificate)

    if "client_secret" in named and credential.signed_secret_claims:
        client_secret(credential, app, now=1.0)  # what does not fit is said before anything is sent
        return replace(made(0.0), anew=made)
    return made(0.0)


def _filled(template: str, known: Mapping[str, str]) -> str:
    return _HOLE.sub(lambda hole: known.get(hole[1], ""), template)


def long_lived_request(credential: OAuth2Credential, app: AppCredentials, *, access_token: Secret) -> Request:
    """Return the request that trades the token of a sign-in for one that lives longer.

    Raises:
        ConfigurationError: See `spelled_out`.
    """
    return spelled_out(
        credential,
        app,
        credential.long_lived_request,
        url=credential.long_lived_url,
        what="long_lived_url",
        method=credential.long_lived_method,
        tokens={"access_token": access_token},
    )
