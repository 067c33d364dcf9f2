"""Checks of what a declaration says about providers with words, places and steps of their own for tokens."""

from __future__ import annotations

import re
from typing import Final

from valetkey.model import checks
from valetkey.model.credentials import OAuth2Credential
from valetkey.model.places import Place

PARAMETERS: Final = (
    *("client_id", "client_secret", "code", "code_challenge", "code_challenge_method", "code_verifier", "device_code"),
    *("grant_type", "redirect_uri", "refresh_token", "response_code", "response_type", "scope", "state"),
)
"""The standard parameters that a provider may have other names for (RFC 6749, RFC 7636, RFC 8628)."""
UNSENT: Final = ("grant_type", "redirect_uri")
MEMBERS: Final = (
    *("access_token", "error", "error_description", "expires_in", "id_token", "refresh_token"),
    *("refresh_token_expires_in", "scope", "token_type"),
)
"""The members of a token answer that may stand elsewhere."""
_TEMPLATES: Final = {
    "refresh_request": ("access_token", "client_id", "client_secret", "refresh_token"),
    "long_lived_request": ("access_token", "client_id", "client_secret"),
    "signed_secret_claims": ("client_id",),
}
_HOLE: Final = re.compile(r"\{(\w*)\}")
_PATH: Final = re.compile(r"[^.\s]+(?:\.[^.\s]+){0,7}")
_FRAGMENT: Final = re.compile(r"[A-Za-z0-9._~-]*")
_NAME: Final = re.compile(r"[\x21-\x7e]{0,200}")
_SIGNED: Final = frozenset({"iat", "exp", "sub"})
_BY_SECRET: Final = ("client_secret_basic", "client_secret_post")


def check_dialects(credential: OAuth2Credential, place: Place) -> None:
    """Check names, paths, templates and methods, and that they agree with each other.

    Raises:
        ConfigurationError: They do not mean anything, or contradict each other.
    """
    _check_names(credential, place)
    _check_paths(credential, place)
    for field, holes in _TEMPLATES.items():
        _check_templates(credential, place, field, holes)
    _check_methods(credential, place)
    _check_renewal(credential, place)
    _check_long_lived(credential, place)
    _check_secret(credential, place)
    if credential.beside and (credential.beside == credential.name or not credential.signs_in):
        why = "itself" if credential.beside == credential.name else f"grant is {credential.grant}: nobody signs in"
        place.refuse(
            f"beside names what no sign-in brings: {why}",
            code="beside_unfit",
            hint="name another credential of the same app, or leave beside out",
        )
    if not _FRAGMENT.fullmatch(credential.authorization_fragment):
        place.refuse(
            "authorization_fragment is no plain word",
            code="text_invalid",
            hint=f"write {place.line('authorization_fragment', 'redirect')}, without the #",
        )
    if not _NAME.fullmatch(credential.redirect_name):
        place.refuse(
            "redirect_name is no name",
            code="text_invalid",
            hint=f"write {place.line('redirect_name', 'Acme-AcmeShop-wxyzab')}, without spaces",
        )
    if credential.pkce_encoding != "base64url" and not credential.pkce:
        _unused(place, "pkce_encoding", "PKCE is off", place.line("pkce", True))


def _check_names(credential: OAuth2Credential, place: Place) -> None:
    names = credential.param_names
    for name in names:
        checks.choice(place, "param_names", name, PARAMETERS)
    for name in credential.unsent_params:
        checks.choice(place, "unsent_params", name, UNSENT)
    theirs = [*names.values()]
    double = next((name for name in theirs if theirs.count(name) > 1 or (name in PARAMETERS and name not in names)), "")
    if double:
        place.refuse(
            f'param_names gives the name "{double:.60}" to two parameters',
            code="parameter_reserved",
            hint="write the name that the provider's documentation has for each",
        )
    for field in ("additional_params", "token_params", "refresh_params"):
        checks.without(place, field, getattr(credential, field), frozenset(name.lower() for name in theirs))


def _check_paths(credential: OAuth2Credential, place: Place) -> None:
    for name, path in credential.answer_paths.items():
        checks.choice(place, "answer_paths", name, MEMBERS)
        if _PATH.fullmatch(path) is None:
            place.refuse(
                f'answer_paths: "{path:.60}" is no path to a member',
                code="text_invalid",
                hint=f"write {place.line('answer_paths', {name: f'data.{name}'})}",
            )
    checks.headers(place, "rate_limit_reset", dict.fromkeys(credential.rate_limit_reset, ""))


def _check_templates(credential: OAuth2Credential, place: Place, field: str, holes: tuple[str, ...]) -> None:
    known = ", ".join(f"{{{hole}}}" for hole in holes)
    for name, template in getattr(credential, field).items():
        strange = next((hole for hole in _HOLE.findall(template) if hole not in holes), None)
        if strange is not None:
            place.refuse(
                f'{field}: "{name:.60}" waits for {{{strange:.60}}}, which nobody fills in',
                code="template_unknown",
                hint=f"write text, and of these what is wanted: {known}",
            )


def _check_methods(credential: OAuth2Credential, place: Place) -> None:
    """Check that a body is not described where there is none."""
    in_query = credential.token_method != "POST"  # noqa: S105 - a method
    if in_query and credential.token_request_format != "form":  # noqa: S105 - a format
        _unused(
            place, "token_request_format", "token_method is GET: it has no body", place.line("token_method", "POST")
        )
    renews = credential.refresh_url or credential.refresh_request or in_query
    if credential.refresh_method != "POST" and not renews:
        _unused(
            place,
            "refresh_method",
            "nothing is said of how grants are renewed",
            place.line("refresh_url", "https://auth.example.com/refresh"),
        )
    said = [name for name in ("refresh_url", "refresh_request") if getattr(credential, name)]
    if said and not credential.signs_in:
        place.refuse(
            f"{said[0]} is about grants that people sign in for, and grant is {credential.grant}",
            code="grant_mismatch",
            hint=f"leave {said[0]} out: tokens of an app itself are asked for anew at token_url",
        )


def _check_renewal(credential: OAuth2Credential, place: Place) -> None:
    """Check that a request that is spelled out renews something, and that nothing else is said beside it."""
    if not credential.refresh_request:
        return
    said = "".join(credential.refresh_request.values())
    if "{refresh_token}" not in said and "{access_token}" not in said:
        place.refuse(
            "refresh_request names neither {refresh_token} nor {access_token}, so it would renew nothing",
            code="template_unknown",
            hint=f"write {place.line('refresh_request', {'refresh_token': '{refresh_token}'})} and what goes with it",
        )
    if credential.refresh_params:
        _unused(place, "refresh_params", "refresh_request says all that is sent", "all in refresh_request")
    if credential.resources:
        _unused(place, "resources", "refresh_request says all that is sent", "no refresh_request")


def _check_long_lived(credential: OAuth2Credential, place: Place) -> None:
    """Check that what trades a token for one that lives longer is there, and takes one."""
    url, asked = credential.long_lived_url, credential.long_lived_request
    if not url and (asked or credential.long_lived_method != "POST"):
        said = "long_lived_request" if asked else "long_lived_method"
        _unused(
            place, said, "there is no long_lived_url", place.line("long_lived_url", "https://api.example.com/token")
        )
    if url and "{access_token}" not in "".join(asked.values()):
        place.refuse(
            "long_lived_request does not name {access_token}, so nothing would be traded at long_lived_url",
            code="template_unknown",
            hint=f"write {place.line('long_lived_request', {'access_token': '{access_token}'})} and what goes with it",
        )


def _check_secret(credential: OAuth2Credential, place: Place) -> None:
    """Check that a signed client secret is sent, and that what is set for each is not declared."""
    claims = credential.signed_secret_claims
    if not claims:
        return
    checks.without(place, "signed_secret_claims", claims, _SIGNED)
    if credential.client_auth not in _BY_SECRET:
        _unused(
            place,
            "signed_secret_claims",
            f"no secret is sent: client_auth is {credential.client_auth}",
            place.line("client_auth", "client_secret_post"),
        )


def _unused(place: Place, field: str, why: str, instead: str) -> None:
    place.refuse(
        f"{field} says something that is never done: {why}",
        code="setting_unused",
        hint=f"leave {field} out, or write {instead}",
    )
