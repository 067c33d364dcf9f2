"""How the app proves itself at the token endpoint: one method a request, never in the URL.

RFC 6749 section 2.3 (a secret), RFC 7523 section 2.2 and OpenID Connect Core section 9 (an assertion), RFC 8705
section 2 (a certificate).
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, cast, get_args
from urllib.parse import quote_plus

from valetkey.errors import ConfigurationError
from valetkey.forks import late_imports
from valetkey.model.credentials import AppCredentials, ClientAuth, OAuth2Credential
from valetkey.model.fapi2 import METHODS, allowed_algs, is_fapi2
from valetkey.protocol.certificates import BY_CERTIFICATE
from valetkey.values import Params, Secret

if TYPE_CHECKING:
    from valetkey.protocol.signing import SigningKey

SIGNED: Final = frozenset({"client_secret_jwt", "private_key_jwt"})
"""The methods that sign something new for every attempt."""
_BY_SECRET: Final = frozenset({"client_secret_basic", "client_secret_post"})
_METHODS: Final = get_args(ClientAuth)


def authenticate(
    credential: OAuth2Credential,
    app: AppCredentials,
    params: Params,
    headers: Mapping[str, str],
    *,
    method: ClientAuth | None = None,
    now: float = 0.0,
) -> tuple[dict[str, str | tuple[str, ...]], dict[str, str]]:
    """Return `params` and `headers` with the app's proof added, by the credential's method or by `method`.

    ``client_secret_basic`` puts id and secret into the Authorization header only; ``client_secret_post`` puts both
    into the body; ``client_secret_jwt`` and ``private_key_jwt`` put a new assertion, made at `now` (Unix seconds), into
    the body; ``none`` puts the id into the body, which RFC 6749 sections 3.2.1 and 4.1.3 demand of a request without
    authentication, and so do the methods by certificate (RFC 8705 section 2): that one is the connection's.

    Raises:
        ConfigurationError: ``client_id_missing``, ``client_secret_missing``, ``private_key_missing`` (with a method
            that needs one), ``private_key_unreadable``, ``private_key_unfit``.
    """
    method = method or method_of(credential, app)
    known_as = client_id(credential, app)
    if method == "none" or method in BY_CERTIFICATE:
        return {**params, "client_id": known_as}, dict(headers)
    if method in SIGNED:
        return {**params, **_assertion(credential, app, method, known_as, now)}, dict(headers)
    secret = client_secret(credential, app, now=now).reveal()
    if method == "client_secret_post":
        return {**params, "client_id": known_as, "client_secret": secret}, dict(headers)
    return dict(params), {**headers, "Authorization": _basic(known_as, secret, raw=credential.basic_raw)}


def method_of(credential: OAuth2Credential, app: AppCredentials) -> ClientAuth:
    """Return how an app proves itself: as it was registered, where its profile takes that, else as declared."""
    taken = METHODS if is_fapi2(credential) else _METHODS
    return cast("ClientAuth", app.client_auth) if app.client_auth in taken else credential.client_auth


def can_sign(credential: OAuth2Credential, app: AppCredentials, method: ClientAuth | None = None) -> bool:
    """Whether the app's proof is signed for every attempt; looks whether it can be.

    Raises:
        ConfigurationError: As `authenticate`.
    """
    method = method or method_of(credential, app)
    if credential.signed_secret_claims and method in _BY_SECRET:
        client_id(credential, app)
        app_key(credential, app)
        return True
    if method not in SIGNED:
        return False
    client_id(credential, app)
    _signer(credential, app, method)
    return True


def client_id(credential: OAuth2Credential, app: AppCredentials) -> str:
    """Return the app's client id.

    Raises:
        ConfigurationError: ``client_id_missing``: it is empty.
    """
    if not app.client_id:
        raise _missing(credential, "client id", "client_id_missing")
    return app.client_id


def client_secret(credential: OAuth2Credential, app: AppCredentials, *, now: float = 0.0) -> Secret:
    """Return the app's client secret, or one that its key signs at `now` (Unix seconds) where that is the secret.

    Raises:
        ConfigurationError: ``client_secret_missing``: there is none; ``private_key_missing``: see `app_key`.
    """
    if credential.signed_secret_claims:
        with late_imports:
            from valetkey.protocol.assertions import signed_secret  # noqa: PLC0415 - only for those who sign

        known_as = client_id(credential, app)
        key, claims = app_key(credential, app), credential.signed_secret_claims
        return signed_secret(key, client_id=known_as, claims=claims, now=now)
    if not app.client_secret:
        raise _missing(credential, "client secret", "client_secret_missing")
    return app.client_secret


def _assertion(
    credential: OAuth2Credential, app: AppCredentials, method: ClientAuth, known_as: str, now: float
) -> dict[str, str]:
    with late_imports:
        from valetkey.protocol.assertions import client_assertion  # noqa: PLC0415 - only for those who sign

    audience = credential.issuer if credential.assertion_audience == "issuer" else ""
    return client_assertion(
        _signer(credential, app, method),
        client_id=known_as,
        audience=audience or credential.token_url,
        now=now,
        typ=credential.assertion_typ,
    )


def _signer(credential: OAuth2Credential, app: AppCredentials, method: ClientAuth) -> SigningKey | Secret:
    """Return what signs the app's assertions: its key, or its secret."""
    if method == "client_secret_jwt":
        return client_secret(credential, app)
    return app_key(credential, app)


def app_key(credential: OAuth2Credential, app: AppCredentials) -> SigningKey:
    """Return the private key of an app.

    Raises:
        ConfigurationError: ``private_key_missing``, ``private_key_unreadable``, ``private_key_unfit``.
    """
    if not app.private_key:
        given = "add {} --private-key-file FILE --key-id ID" if credential.signed_secret_claims else "make-key {}"
        raise _missing(credential, "private key", "private_key_missing", do=given)
    with late_imports:
        from valetkey.protocol.signing import read_key  # noqa: PLC0415 - only for those who sign

    alg, allowed, kid = credential.signing_alg, allowed_algs(credential), app.key_id
    return read_key(app.private_key, alg=alg, allowed=allowed, what="private_key", name=credential.name, kid=kid)


def _basic(client_id: str, secret: str, *, raw: bool) -> str:
    """Join id and secret as section 2.3.1 says: form-encoded first, so that a colon in the id does no harm."""
    pair = f"{client_id}:{secret}" if raw else f"{quote_plus(client_id)}:{quote_plus(secret)}"
    return "Basic " + base64.b64encode(pair.encode()).decode("ascii")


def _missing(credential: OAuth2Credential, thing: str, code: str, *, do: str = "add {}") -> ConfigurationError:
    title = credential.display_name or credential.name
    msg = f"the app of {title} has no {thing}, and this request needs one"
    return ConfigurationError(msg, code=code, hint=f"valetkey app {do.format(credential.name)}")
