"""Requests to the token endpoint: code, refresh token, client credentials (RFC 6749 sections 4.1.3, 4.4.2 and 6)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from valetkey.errors import ConfigurationError
from valetkey.model.credentials import AppCredentials, OAuth2Credential
from valetkey.protocol.dialects import spelled_out
from valetkey.protocol.forms import merged, post
from valetkey.values import Params, Request, Secret


def code_request(
    credential: OAuth2Credential,
    app: AppCredentials,
    *,
    code: Secret,
    redirect_uri: str,
    verifier: Secret | None,
) -> Request:
    """Return the request that redeems an authorization code.  It is sent once; a code is never used twice.

    Args:
        credential: Which integration.
        app: Its app.
        code: The code from the callback.
        redirect_uri: The very redirect URI of the authorization request (section 4.1.3).
        verifier: The PKCE verifier, where a challenge was sent (RFC 7636 section 4.5).

    Raises:
        ConfigurationError: See `forms.post` and `forms.merged`.
    """
    params: Params = {
        "grant_type": "authorization_code",
        "code": code.reveal(),
        "redirect_uri": credential.redirect_name or redirect_uri,
        "code_verifier": verifier.reveal() if verifier else "",
        "resource": credential.token_resources,
    }
    taken = {name: value for name, value in params.items() if name not in credential.unsent_params}
    return token_request(credential, app, taken, extra=credential.token_params)


def refresh_request(
    credential: OAuth2Credential,
    app: AppCredentials,
    *,
    refresh_token: Secret,
    access_token: Secret | None = None,
    scope: Sequence[str] = (),
) -> Request:
    """Return the request that spends a refresh token, in the dialect that the credential declares.

    `scope` asks for less than was granted; empty asks for the same again, and sends no scope (section 6).
    `access_token` is for the providers that want to see that too.

    Raises:
        ConfigurationError: See `forms.post`, `forms.merged` and `dialects.spelled_out`.
    """
    what = "refresh_url" if credential.refresh_url else "token_url"
    url: str = getattr(credential, what)
    method = credential.refresh_method
    if credential.refresh_request:
        spent = refresh_token if credential.renews_by_access_token else access_token
        tokens = {"refresh_token": refresh_token, "access_token": spent}
        asked = credential.refresh_request
        return spelled_out(credential, app, asked, url=url, what=what, method=method, tokens=tokens)
    params: Params = {
        "grant_type": "refresh_token",
        "refresh_token": refresh_token.reveal(),
        "scope": credential.scope_separator.join(scope),
        "resource": credential.token_resources,
    }
    together = merged(params, credential.refresh_params, what="refresh_params", name=credential.name)
    return post(url, together, what=what, credential=credential, app=app, method=method)


def client_credentials_request(credential: OAuth2Credential, app: AppCredentials, *, scope: Sequence[str]) -> Request:
    """Return the request by which an app gets a token of its own; only a confidential client may (section 4.4).

    Raises:
        ConfigurationError: ``client_public`` when the credential's method is ``none``; see also `forms.post`.
    """
    if credential.client_auth == "none":
        msg = f"{credential.name}: the client credentials grant is for apps with a secret, and client_auth is 'none'"
        hint = f"declare {credential.name!r} with client_auth='client_secret_basic' or 'client_secret_post'"
        raise ConfigurationError(msg, code="client_public", hint=hint)
    params: Params = {
        "grant_type": credential.token_params.get("grant_type", "client_credentials"),
        "scope": credential.scope_separator.join(scope),
        "resource": credential.token_resources,
        "authorization_details": credential.authorization_details,
    }
    return token_request(credential, app, params, extra=credential.token_params)


def token_request(
    credential: OAuth2Credential,
    app: AppCredentials,
    params: Params,
    *,
    extra: Mapping[str, str],
    fresh: Callable[[float], Params] | None = None,
    named: bool = True,
) -> Request:
    """Return an authenticated request to the token endpoint with the parameters of a grant type and declared ones.

    `fresh` and `named` are as in `forms.post`.

    Raises:
        ConfigurationError: See `forms.post` and `forms.merged`.
    """
    together = merged(params, extra, what="token_params", name=credential.name)
    url, method = credential.token_url, credential.token_method
    return post(
        url, together, what="token_url", credential=credential, app=app, fresh=fresh, named=named, method=method
    )
