"""Declarations: what a program says once, at import, about the integrations and secrets it uses.

`wire_oauth2_credential` and `wire_secret` write into the registry of the process; a `Wiring` of one's own does the same
for those who want no global.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Never

from valetkey.model.credentials import (
    AssertionAudience,
    ClientAuth,
    GrantType,
    Loopback,
    LoopbackHost,
    OAuth2Credential,
    OnReuse,
    PkceEncoding,
    Reach,
    RegistrationWay,
    ResponseMode,
    RevocationAuth,
    RevocationFormat,
    RevocationMethod,
    RevocationToken,
    SecretCheck,
    SecurityProfile,
    SenderConstraint,
    TokenMethod,
    TokenRequestFormat,
    UserinfoMethod,
)
from valetkey.model.names import check_account, check_env, check_owner, current_env, find_credential
from valetkey.model.registry import Wiring, declare
from valetkey.model.secrets import SecretDeclaration

__all__ = [
    "SecretDeclaration",
    "Wiring",
    "check_account",
    "check_env",
    "check_owner",
    "current_env",
    "declare",
    "default_wiring",
    "find_credential",
    "reset_default_wiring",
    "wire_oauth2_credential",
    "wire_secret",
]

# -- the registry of the process ---------------------------------------------------------------------------------------

_default = Wiring()


def default_wiring() -> Wiring:
    """Return the registry that `wire_oauth2_credential` and `wire_secret` write into."""
    return _default


def reset_default_wiring() -> None:
    """Forget all declarations of this process.  For tests."""
    global _default  # noqa: PLW0603 - the one registry that the design names
    _default = Wiring()


def wire_secret(
    name: str,
    *,
    display_name: str = "",
    description: str = "",
    schema: type[Any] | None = None,
    secret_id: str | None = None,
    **unknown: Never,
) -> SecretDeclaration:
    """Declare a secret.

    Args:
        name: Its key.
        display_name: Its name for people; the name, when left out.
        description: What the program uses it for.
        schema: What its value looks like: a dataclass, or a pydantic model.  Values are checked against it when they
            are set and when they are read.  None: plain text.
        secret_id: Under which id the secret service keeps it; the name, when left out.
        issuer: The issuer identifier; it stands for all URLs that are not declared.
        unknown: Nothing else is taken.

    Raises:
        ConfigurationError: A field is wrong, or the name is declared already, otherwise.
    """
    for field in unknown:
        from valetkey.model.places import Place, did_you_mean  # noqa: PLC0415 - only on the way to an error

        known = ("display_name", "description", "schema", "secret_id")
        Place(f'secret "{name}"').refuse(
            f'there is no field "{field:.60}"{did_you_mean(field, known)}',
            code="field_unknown",
            hint=f"remove {field:.60}; a secret has: {', '.join(known)}",
        )
    return default_wiring().secret(
        name, display_name=display_name, description=description, schema=schema, secret_id=secret_id
    )


def wire_oauth2_credential(  # noqa: D417 - the fields are described at OAuth2Credential, once
    name: str | None = None,
    *,
    preset: str | None = None,
    params: Mapping[str, str] | None = None,
    display_name: str | None = None,
    description: str | None = None,
    secret_id: str | None = None,
    token_secret_id: str | None = None,
    authorization_url: str | None = None,
    token_url: str | None = None,
    scopes: Sequence[str] | None = None,
    pkce: bool | None = None,
    additional_params: Mapping[str, str] | None = None,
    beside: str | None = None,
    per_owner: bool | None = None,
    api_hosts: Sequence[str] | None = None,
    api_base_url: str | None = None,
    api_headers: Mapping[str, str] | None = None,
    api_header_secrets: Mapping[str, str] | None = None,
    token_header: str | None = None,
    verify: str | None = None,
    issuer: str | None = None,
    iss_advertised: bool | None = None,
    security_profile: SecurityProfile | None = None,
    registration: RegistrationWay | None = None,
    registration_url: str | None = None,
    client_metadata: Mapping[str, Any] | None = None,
    client_id_metadata_url: str | None = None,
    jwks_url: str | None = None,
    id_token_algs: Sequence[str] | None = None,
    id_token_audiences: Sequence[str] | None = None,
    grant: GrantType | None = None,
    assertion_subject: str | None = None,
    assertion_claims: Mapping[str, str] | None = None,
    grant_audience: str | None = None,
    backchannel_authentication_url: str | None = None,
    assertion_secret_id: str | None = None,
    client_auth: ClientAuth | None = None,
    assertion_audience: AssertionAudience | None = None,
    assertion_typ: str | None = None,
    signing_alg: str | None = None,
    sender_constraint: SenderConstraint | None = None,
    dpop_alg: str | None = None,
    pushed_authorization_url: str | None = None,
    require_par: bool | None = None,
    request_object: bool | None = None,
    response_mode: ResponseMode | None = None,
    authorization_details: str | None = None,
    resources: Sequence[str] | None = None,
    one_token_per_resource: bool | None = None,
    basic_raw: bool | None = None,
    device_authorization_url: str | None = None,
    redirect_uri: str | None = None,
    loopback: Loopback | None = None,
    loopback_host: LoopbackHost | None = None,
    forced_scopes: Sequence[str] | None = None,
    scope_separator: str | None = None,
    scope_aliases: Mapping[str, str] | None = None,
    token_params: Mapping[str, str] | None = None,
    refresh_params: Mapping[str, str] | None = None,
    redirect_name: str | None = None,
    param_names: Mapping[str, str] | None = None,
    unsent_params: Sequence[str] | None = None,
    pkce_encoding: PkceEncoding | None = None,
    authorization_fragment: str | None = None,
    token_method: TokenMethod | None = None,
    refresh_url: str | None = None,
    refresh_method: TokenMethod | None = None,
    refresh_request: Mapping[str, str] | None = None,
    long_lived_url: str | None = None,
    long_lived_method: TokenMethod | None = None,
    long_lived_request: Mapping[str, str] | None = None,
    answer_paths: Mapping[str, str] | None = None,
    answer_ok: Sequence[str] | None = None,
    rate_limit_reset: Sequence[str] | None = None,
    signed_secret_claims: Mapping[str, str] | None = None,
    token_request_format: TokenRequestFormat | None = None,
    accept: str | None = None,
    url_params: Mapping[str, Mapping[str, Any]] | None = None,
    kept_params: Mapping[str, str] | None = None,
    callback_params: Mapping[str, str] | None = None,
    callback_hmac: str | None = None,
    callback_equals: Mapping[str, str] | None = None,
    look_ups: Sequence[Mapping[str, Any]] | None = None,
    introspection_url: str | None = None,
    signed_introspection: bool | None = None,
    secret_check: SecretCheck | None = None,
    userinfo_url: str | None = None,
    userinfo_method: UserinfoMethod | None = None,
    userinfo_body: str | None = None,
    identity: Mapping[str, str] | None = None,
    buffer: float | None = None,
    access_token_lifetime: float | None = None,
    refresh_token_lifetime: float | None = None,
    refresh_token_max_lifetime: float | None = None,
    expiry_in_token: bool | None = None,
    never_expires: bool | None = None,
    retry_in_doubt: bool | None = None,
    rotates_refresh_token: bool | None = None,
    refresh_grace: float | None = None,
    refresh_ends_access_token: bool | None = None,
    on_reuse: OnReuse | None = None,
    refresh_on_403: bool | None = None,
    revocation_url: str | None = None,
    revocation_method: RevocationMethod | None = None,
    revocation_format: RevocationFormat | None = None,
    revocation_auth: RevocationAuth | None = None,
    revocation_token: RevocationToken | None = None,
    revocation_params: Mapping[str, str] | None = None,
    revocation_gone: Sequence[str] | None = None,
    revocation_reach: Reach | None = None,
    error_aliases: Mapping[str, str] | None = None,
    **unknown: Never,
) -> OAuth2Credential:
    """Declare an OAuth2 integration.

    With a `preset` the provider's URLs, hosts and quirks are known, and a name and scopes are all it needs; without
    one, give `issuer`, whose metadata names the URLs, or `authorization_url` and `token_url`.  What is left out (or
    None) is the preset's, else the default that `OAuth2Credential` documents; tables (`additional_params`, `identity`,
    ...) are merged with the preset's name by name, and an empty value removes one.

    Declaring the same again changes nothing, so a module may be imported twice.

    Args:
        name: Its key, as in ``valet.client("github")``; the preset's id, when left out.
        preset: The provider, as `valetkey providers search` knows it.
        params: Parameters of the URLs, such as ``{"tenant": "contoso.com"}``.
        display_name: Its name for people; the preset's, or the name, when left out.
        description: What the program uses it for.
        secret_id: Where the app credentials are kept; ``<name>-app-credentials`` when left out.
        token_secret_id: Where the token object is kept; ``<name>-oauth-token`` when left out.
        authorization_url: The authorization endpoint.
        token_url: The token endpoint.
        scopes: What to ask for, as a list.
        pkce: Whether PKCE is used; on unless a preset knows that the provider breaks on it.
        additional_params: Further parameters of the authorization URL.
        per_owner: Whether every call has to name an owner.
        api_hosts: The hosts that may see the access token; the preset's, else those of the endpoints.
        unknown: Nothing else is taken.

    The other keywords are the fields of `OAuth2Credential` of the same name, described there.

    Raises:
        ConfigurationError: A field is wrong, or the name is declared already, otherwise.  The message names the
            declaration, the hint says the edit.
    """
    given = dict(locals())
    del given["name"], given["unknown"]
    return default_wiring().oauth2_credential(name, **{**given, **unknown})
