"""The grant types that the practice provider knows, by their names on the wire."""

from __future__ import annotations

DEVICE_CODE = "urn:ietf:params:oauth:grant-type:device_code"
JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
SAML_BEARER = "urn:ietf:params:oauth:grant-type:saml2-bearer"
TOKEN_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"  # noqa: S105 - a grant type
CIBA = "urn:openid:params:grant-type:ciba"
ASSERTIONS = (JWT_BEARER, SAML_BEARER)
ALL_GRANT_TYPES = (
    *("authorization_code", "refresh_token", "client_credentials", DEVICE_CODE, TOKEN_EXCHANGE, CIBA),
    *ASSERTIONS,
)
