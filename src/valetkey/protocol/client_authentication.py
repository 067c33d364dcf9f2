"""How the app proves itself at the token endpoint (RFC 6749 section 2.3): one method a request, never in the URL."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from urllib.parse import quote_plus

from valetkey.errors import ConfigurationError
from valetkey.model.credentials import AppCredentials, ClientAuth, OAuth2Credential
from valetkey.values import Secret


def authenticate(
    credential: OAuth2Credential,
    app: AppCredentials,
    params: Mapping[str, str],
    headers: Mapping[str, str],
    *,
    method: ClientAuth | None = None,
) -> tuple[dict[str, str], dict[str, str]]:
    """Return `params` and `headers` with the app's proof added, by the credential's method or by `method`.

    ``client_secret_basic`` puts id and secret into the Authorization header only; ``client_secret_post`` puts both
    into the body; ``none`` puts the id into the body, which RFC 6749 sections 3.2.1 and 4.1.3 demand of a request
    without authentication.

    Raises:
        ConfigurationError: ``client_id_missing``, ``client_secret_missing`` (with a method that needs one).
    """
    method = method or credential.client_auth
    known_as = client_id(credential, app)
    if method == "none":
        return {**params, "client_id": known_as}, dict(headers)
    secret = client_secret(credential, app).reveal()
    if method == "client_secret_post":
        return {**params, "client_id": known_as, "client_secret": secret}, dict(headers)
    return dict(params), {**headers, "Authorization": _basic(known_as, secret, raw=credential.basic_raw)}


def client_id(credential: OAuth2Credential, app: AppCredentials) -> str:
    """Return the app's client id.

    Raises:
        ConfigurationError: ``client_id_missing``: it is empty.
    """
    if not app.client_id:
        raise _missing(credential, "client id", "client_id_missing")
    return app.client_id


def client_secret(credential: OAuth2Credential, app: AppCredentials) -> Secret:
    """Return the app's client secret.

    Raises:
        ConfigurationError: ``client_secret_missing``: there is none.
    """
    if not app.client_secret:
        raise _missing(credential, "client secret", "client_secret_missing")
    return app.client_secret


def _basic(client_id: str, secret: str, *, raw: bool) -> str:
    """Join id and secret as section 2.3.1 says: form-encoded first, so that a colon in the id does no harm."""
    pair = f"{client_id}:{secret}" if raw else f"{quote_plus(client_id)}:{quote_plus(secret)}"
    return "Basic " + base64.b64encode(pair.encode()).decode("ascii")


def _missing(credential: OAuth2Credential, thing: str, code: str) -> ConfigurationError:
    title = credential.display_name or credential.name
    msg = f"the app of {title} has no {thing}, and this request needs one"
    return ConfigurationError(msg, code=code, hint=f"valetkey app add {credential.name}")
