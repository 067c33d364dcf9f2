"""The headers that calls of an API carry, with what is of the app: its client id, its secret, and other secrets.

Only credentials that declare such headers load this.  A secret is read when a token is read, and goes to the hosts that
may see the token, nowhere else.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from valetkey.engine.apps import app_for
from valetkey.engine.world import World
from valetkey.errors import ConfigurationError, StoreError
from valetkey.logs import get_logger
from valetkey.model.app_headers import APP_HOLE, fixed, of_app, shows_secret
from valetkey.model.credentials import EMPTY, AppCredentials, OAuth2Credential
from valetkey.protocol.urls import allowed_hosts, host_allowed
from valetkey.values import Secret, Value

_log = get_logger("api_headers")
_VALUE: Final = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")
"""A field value of visible ASCII (RFC 9110 section 5.5)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class ApiHeaders(Value):
    """The headers of one credential's API calls.

    Attributes:
        plain: Those that are no secret.
        secret: Those that are.
        missing: Those that cannot be filled, and why.
    """

    plain: Mapping[str, str]
    secret: Mapping[str, Secret] = field(default_factory=lambda: EMPTY)
    missing: Mapping[str, ConfigurationError] = field(default_factory=lambda: EMPTY)


def api_headers(world: World, credential: OAuth2Credential, env: str, client_id: str) -> ApiHeaders:
    """Return the headers of API calls; what is missing is told, not raised.

    Args:
        world: Where the app and its secrets are.
        credential: Whose API, with the connection's params in it.
        env: The environment.
        client_id: Of the app that the grant belongs to; empty: nobody knows.
    """
    plain, secret, missing = dict(fixed(credential)), dict[str, Secret](), dict[str, ConfigurationError]()
    for name, template in credential.api_headers.items():
        if name in plain:
            continue
        try:
            value = _filled(world, credential, env, client_id, name)
        except ConfigurationError as error:
            missing[name] = error
            continue
        if shows_secret(template):
            secret[name] = value
        else:
            plain[name] = value.reveal()
    for name, secret_id in credential.api_header_secrets.items():
        try:
            secret[name] = _read(world, credential, name, secret_id)
        except ConfigurationError as error:
            missing[name] = error
    return ApiHeaders(plain=plain, secret=secret, missing=missing)


def headers_towards(world: World, credential: OAuth2Credential, url: str, env: str, client_id: str) -> dict[str, str]:
    """Return the headers of a request of the engine's own to `url`: without secrets where the token may not go.

    What cannot be filled is left out: a sign-in does not fail for it, and a call of the API says what is missing.
    """
    if not of_app(credential):
        return dict(credential.api_headers)
    try:
        found = api_headers(world, credential, env, client_id)
    except StoreError as error:
        _log.info("the headers that %s wants could not be read: %s", credential.name, error)
        return dict(fixed(credential))
    if not host_allowed(url, allowed_hosts(credential)):
        return dict(found.plain)
    return {**found.plain, **{name: value.reveal() for name, value in found.secret.items()}}


def _filled(world: World, credential: OAuth2Credential, env: str, client_id: str, name: str) -> Secret:
    """Return a header of the app; the app itself is read only where its id is not known, or its secret is wanted."""
    template = credential.api_headers[name]
    known: dict[str, str] = {"client_id": client_id}
    if shows_secret(template) or not client_id:
        app = app_for(world, env, credential, client_id)
        known = {"client_id": client_id or app.client_id, "client_secret": _client_secret(credential, app, name)}
    return _checked(credential, name, APP_HOLE.sub(lambda hole: known[hole[1]], template))


def _client_secret(credential: OAuth2Credential, app: AppCredentials, name: str) -> str:
    if app.client_secret:
        return app.client_secret.reveal()
    if not shows_secret(credential.api_headers[name]):
        return ""
    raise ConfigurationError(
        f"calls of {credential.name!r} carry the client secret in the header {name}, and the app has none",
        code="header_secret_missing",
        hint=f"valetkey app add {credential.name}",
    )


def _read(world: World, credential: OAuth2Credential, name: str, secret_id: str) -> Secret:
    text = world.secret(secret_id)
    if not text or not text.strip():
        raise ConfigurationError(
            f"calls of {credential.name!r} carry a secret in the header {name}, and there is no secret {secret_id!r}",
            code="header_secret_missing",
            hint=f"valetkey secret set {secret_id}",
        )
    return _checked(credential, name, text.strip())


def _checked(credential: OAuth2Credential, name: str, value: str) -> Secret:
    if _VALUE.fullmatch(value) is None:
        raise ConfigurationError(
            f"what {credential.name!r} is to send in the header {name} holds a character that no header may have",
            code="header_secret_invalid",
            hint="store it anew, as the provider shows it: one line of ASCII",
        )
    return Secret(value)
