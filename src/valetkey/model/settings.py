"""From what a program, a file or a record says to an `OAuth2Credential`: every field checked, and their agreement."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, Field, fields
from typing import Any, Final, cast, get_args

from valetkey.model import checks, checks_placed, credentials, profiles
from valetkey.model.app_headers import named_ids
from valetkey.model.checks_carried import check_api_headers, check_token_header
from valetkey.model.checks_dialects import check_dialects
from valetkey.model.checks_signed import check_agreement, check_signed
from valetkey.model.credentials import EMPTY, OAuth2Credential, Source
from valetkey.model.fapi2 import check_profile
from valetkey.model.holes import fill_urls
from valetkey.model.json_tables import json_table, plain_json
from valetkey.model.located import LookUp, UrlParam
from valetkey.model.places import Place, did_you_mean
from valetkey.model.profiles import follow

_FIELDS: Final[Mapping[str, Field[Any]]] = {f.name: f for f in fields(OAuth2Credential)}
SETTINGS: Final[tuple[str, ...]] = tuple(name for name in _FIELDS if name not in {"name", "source"})
"""What a declaration may set: every field of `OAuth2Credential` but its name and who declared it."""
URLS: Final = (
    "authorization_url",
    "token_url",
    "device_authorization_url",
    "backchannel_authentication_url",
    "revocation_url",
    "introspection_url",
    "userinfo_url",
    "verify",
    "jwks_url",
    "pushed_authorization_url",
    "registration_url",
    "client_id_metadata_url",
    "refresh_url",
    "long_lived_url",
    "issuer",
    "api_base_url",
)
ID_TOKEN_ALGS: Final = (*credentials.ASYMMETRIC, "HS256", "HS384", "HS512")
_ASSERTED: Final = ("jwt_bearer", "saml2_bearer")
_IDENTITY: Final = ("subject", "email", "name", "login")
_POSITIVE: Final = ("access_token_lifetime", "refresh_token_lifetime", "refresh_token_max_lifetime")
_OWN = frozenset({"client_id", "client_secret", "client_assertion", "client_assertion_type"})
RESERVED: Final[Mapping[str, frozenset[str]]] = {
    "additional_params": _OWN
    | {
        "code_challenge",
        "code_challenge_method",
        "dpop_jkt",
        "nonce",
        "redirect_uri",
        "request",
        "request_uri",
        "response_type",
        "scope",
        "state",
    },
    "token_params": _OWN | {"assertion", "code", "code_verifier", "grant_type", "redirect_uri"},
    "assertion_claims": frozenset({"aud", "exp", "iat", "jti", "sub"}),
    "refresh_params": _OWN | {"grant_type", "refresh_token"},
    "client_metadata": _OWN
    | {
        "application_type",
        "client_id_issued_at",
        "client_secret_expires_at",
        "dpop_bound_access_tokens",
        "grant_types",
        "redirect_uris",
        "registration_access_token",
        "registration_client_uri",
        "response_types",
        "scope",
        "token_endpoint_auth_method",
    },
}
"""What the protocol sets itself: RFC 6749 sections 4.1.1, 4.1.3 and 6, RFC 7636 section 4.3, RFC 9101, 7523, 7591."""


def unknown_field(place: Place, name: str) -> Exception:
    """Return the error for a field that no declaration has."""
    if name in {"client_id", "client_secret"}:
        return place.error(
            f"{name} is not part of a declaration: app credentials are kept as a secret",
            code="field_unknown",
            hint="run `valetkey app add` for this credential, or set VALETKEY_<NAME>_CLIENT_ID and _CLIENT_SECRET",
        )
    near = did_you_mean(name, SETTINGS)
    return place.error(
        f'there is no field "{name:.60}"{near}',
        code="field_unknown",
        hint=f"rename it as suggested, or remove {name:.60}" if near else f"remove {name:.60}",
    )


def known_fields(place: Place, given: Iterable[str]) -> None:
    """Check that every given field exists.

    Raises:
        ConfigurationError: ``field_unknown``, with the nearest field.
    """
    for name in given:
        if name not in SETTINGS:
            raise unknown_field(place, str(name))


def build(
    name: str,
    given: Mapping[str, object],
    *,
    place: Place,
    source: Source = "code",
    base: Mapping[str, object] = EMPTY,
    rules: Mapping[str, UrlParam] = EMPTY,
) -> OAuth2Credential:
    """Make the credential from what is `given`, on the `base` of a preset, whose URL parameters obey `rules`.

    None means "not given".  Tables are merged with those of the base, name by name; an empty value removes one.
    Everything else that is given replaces what the base says.

    Raises:
        ConfigurationError: Anything is wrong with it.
    """
    known_fields(place, given)
    values = {field: typed(place, field, value) for field, value in base.items()}
    for field, value in given.items():
        if value is not None:
            values[field] = _merged(field, values, typed(place, field, value))
    fill_urls(place, values, rules, URLS)
    follow(values)
    if "api_header_secrets" in values:
        values["api_header_secrets"] = checks.frozen(named_ids(values["api_header_secrets"], name))
    values.setdefault("secret_id", f"{name}-app-credentials")
    values.setdefault("token_secret_id", f"{name}-oauth-token")
    values["display_name"] = values.get("display_name") or name
    if values.get("grant") in _ASSERTED:
        values.setdefault("client_auth", "none")  # the assertion says who it is (RFC 7521 section 4.1)
    return checked(OAuth2Credential(name=name, source=source, **values), place)


def typed(place: Place, field: str, value: object) -> Any:
    """Return `value` as the field's annotation wants it."""
    kind = str(_FIELDS[field].type)
    check = _TYPES.get(kind)
    if check is not None:
        return check(place, field, value)
    return checks.choice(place, field, value, choices(field))


def choices(field: str) -> tuple[str, ...]:
    """Return the words that a field with a closed set of words takes."""
    return cast("tuple[str, ...]", get_args(getattr(credentials, str(_FIELDS[field].type))))


_TYPES: Final[Mapping[str, Callable[[Place, str, object], Any]]] = {
    "str": checks.text,
    "bool": checks.flag,
    "bool | None": checks.flag,
    "float | None": checks.seconds,
    "tuple[str, ...]": checks.words,
    "Mapping[str, str]": checks.table,
    "Mapping[str, Any]": json_table,
    "tuple[UrlParam, ...]": checks_placed.url_params,
    "tuple[LookUp, ...]": checks_placed.look_ups,
    "OnReuse | None": lambda place, field, value: checks.choice(place, field, value, get_args(credentials.OnReuse)),
}


def _merged(field: str, values: Mapping[str, Any], value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    both = {**values.get(field, EMPTY), **cast("Mapping[str, str]", value)}
    keep_empty = field == "identity"  # there an empty path leaves a part out
    return checks.frozen({name: member for name, member in both.items() if member != "" or keep_empty})


def checked(credential: OAuth2Credential, place: Place) -> OAuth2Credential:
    """Return the credential if its fields mean something and agree with each other.

    Raises:
        ConfigurationError: They do not.
    """
    _check_urls(credential, place)
    _check_secrets(credential, place)
    _check_flow(credential, place)
    profiles.check(credential, place)
    _check_assertion(credential, place)
    _check_scopes(credential, place)
    _check_tables(credential, place)
    _check_numbers(credential, place)
    check_dialects(credential, place)
    check_signed(credential, place)
    check_agreement(credential, place)
    check_token_header(credential, place)
    check_api_headers(credential, place)
    check_profile(credential, place)
    return credential


def _check_urls(credential: OAuth2Credential, place: Place) -> None:
    for field in URLS:
        value: str = getattr(credential, field)
        if value:
            check = checks.identifier_url if field in {"issuer", "api_base_url"} else checks.url
            value = checks_placed.sample(credential, value)
            check(place, field, value.replace("{client_id}", "client_id") if field == "revocation_url" else value)
    if credential.redirect_uri:
        checks.redirect_uri(place, "redirect_uri", credential.redirect_uri)
    hosts = tuple(checks_placed.sample(credential, host, "host") for host in credential.api_hosts)
    checks.hosts(place, "api_hosts", hosts)
    checks_placed.check_placed(credential, place)


def _check_secrets(credential: OAuth2Credential, place: Place) -> None:
    for field in ("secret_id", "token_secret_id"):
        if not getattr(credential, field).strip():
            default = f"{credential.name}-{'app-credentials' if field == 'secret_id' else 'oauth-token'}"
            place.refuse(
                f"{field} is empty",
                code="secret_id_missing",
                hint=f"write {place.line(field, default)}, or leave {field} out: that is its default",
            )
    if credential.secret_id == credential.token_secret_id:
        place.refuse(
            "secret_id and token_secret_id are the same: the token would overwrite the app credentials",
            code="secret_id_duplicate",
            hint=f"write {place.line('token_secret_id', f'{credential.name}-oauth-token')}",
        )


def _check_flow(credential: OAuth2Credential, place: Place) -> None:
    if not credential.token_url and not credential.discovers:
        raise _missing(place, "token_url", "token")
    if credential.grant == "authorization_code":
        urls = (
            credential.authorization_url,
            credential.device_authorization_url,
            credential.backchannel_authentication_url,
        )
        if not any(urls) and not credential.discovers:
            raise _missing(place, "authorization_url", "authorize")
        if credential.client_auth == "none" and not credential.pkce:
            place.refuse(
                "a public client (client_auth none) without PKCE could have its codes stolen",
                code="client_public",
                hint=f"write {place.line('pkce', True)} (RFC 9700 section 2.1.1)",
            )
    elif credential.grant == "client_credentials" and credential.client_auth == "none":
        place.refuse(
            "the client credentials grant needs a client that can prove itself, and client_auth is none",
            code="client_public",
            hint=f"write {place.line('client_auth', 'client_secret_basic')} (RFC 6749 section 4.4)",
        )


def _check_assertion(credential: OAuth2Credential, place: Place) -> None:
    """Check what is said about assertions: that there are any, and that somebody makes them."""
    if credential.grant == "saml2_bearer" and not credential.assertion_secret_id:
        place.refuse(
            "assertion_secret_id is missing: valetkey makes no SAML assertions, it passes them on",
            code="assertion_missing",
            hint=f"write {place.line('assertion_secret_id', f'{credential.name}-assertion')}, and keep it there",
        )
    if credential.grant == "jwt_bearer" and credential.grant_audience == "issuer" and not credential.issuer:
        place.refuse(
            "grant_audience is issuer, and there is none",
            code="grant_mismatch",
            hint=f"write {place.line('issuer', 'https://auth.example.com')}, or leave grant_audience out",
        )
    said = [name for name in ("assertion_subject", "assertion_claims") if getattr(credential, name)]
    signs = credential.grant == "jwt_bearer" and not credential.assertion_secret_id
    if said and not signs:
        place.refuse(
            f"{said[0]} is about assertions that the app signs, and it signs none",
            code="grant_mismatch",
            hint=f"write {place.line('grant', 'jwt_bearer')} without assertion_secret_id, or leave {said[0]} out",
        )


def _missing(place: Place, field: str, path: str) -> Exception:
    return place.error(
        f"{field} is missing",
        code="url_missing",
        hint=f"write {place.line(field, f'https://auth.example.com/{path}')}, "
        f"{place.line('issuer', 'https://auth.example.com')} if `valetkey providers discover` finds its metadata, "
        f"or {place.line('preset', '...')} if `valetkey providers search` knows the provider",
    )


def _check_scopes(credential: OAuth2Credential, place: Place) -> None:
    if not credential.scope_separator:
        place.refuse(
            "scope_separator is empty",
            code="text_invalid",
            hint=f"write {place.line('scope_separator', ' ')}, or leave it out",
        )
    for field in ("scopes", "forced_scopes"):
        checks.scopes(place, field, getattr(credential, field), credential.scope_separator)


def _check_tables(credential: OAuth2Credential, place: Place) -> None:
    for field, reserved in RESERVED.items():
        own_word = field == "token_params" and credential.grant == "client_credentials"
        kept = reserved - {"grant_type"} if own_word else reserved
        checks.without(place, field, getattr(credential, field), kept)
    for name in credential.id_token_algs:
        checks.choice(place, "id_token_algs", name, ID_TOKEN_ALGS)
    checks.headers(place, "api_headers", credential.api_headers)
    for name in credential.identity:
        checks.choice(place, "identity", name, _IDENTITY)


def _check_numbers(credential: OAuth2Credential, place: Place) -> None:
    for field in _POSITIVE:
        if getattr(credential, field) == 0:
            place.refuse(
                f"{field} is 0, so nothing would ever be valid",
                code="number_invalid",
                hint=f"write {place.line(field, 3600)}, or leave {field} out",
            )


# -- as a record in the store -----------------------------------------------------------------------------------------


def to_declaration(credential: OAuth2Credential) -> dict[str, Any]:
    """Return the declaration as JSON values: fields that differ from their defaults, without the name."""
    return {
        name: _plain(value)
        for name, field in _FIELDS.items()
        if name != "name" and (value := getattr(credential, name)) != _default(field)
    }


def from_declaration(name: str, declaration: Mapping[str, Any], *, source: Source | None = None) -> OAuth2Credential:
    """Read what `to_declaration` wrote, perhaps in a newer version: fields unknown here are passed over.

    Presets were taken in when it was declared: they are not looked at again.

    Raises:
        ConfigurationError: Its fields do not pass the checks.
    """
    place = Place(f'credential "{name}"', "the record of it in the store")
    values = {
        field: typed(place, field, declaration[field]) for field in SETTINGS if declaration.get(field) is not None
    }
    recorded = declaration.get("source", "code")
    who = source or (recorded if recorded in choices("source") else "command")
    return checked(OAuth2Credential(name=name, source=cast("Source", who), **values), place)


def _default(field: Field[Any]) -> object:
    return field.default if field.default_factory is MISSING else field.default_factory()


def _plain(value: object) -> object:
    if isinstance(value, tuple):
        return [_plain(one) for one in cast("tuple[object, ...]", value)]
    if isinstance(value, UrlParam | LookUp):
        named = {f.name: getattr(value, f.name) for f in fields(value)}
        return {name: _plain(member) for name, member in named.items() if member}
    return plain_json(value)
