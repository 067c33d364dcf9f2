"""Checks of what a declaration says about keys, signed requests and what exactly is asked for."""

from __future__ import annotations

import json
from typing import Any, Final, cast

from valetkey.model import checks
from valetkey.model.credentials import ASYMMETRIC, OAuth2Credential
from valetkey.model.places import Place
from valetkey.model.resources import is_resource

_OF_ID_TOKENS: Final = ("jwks_url", "id_token_algs", "id_token_audiences")
_BY_FIELD: Final = {"resources": "resource", "authorization_details": "authorization_details"}
"""Fields, and the parameter that each becomes."""


def check_signed(credential: OAuth2Credential, place: Place) -> None:
    """Check algorithms, resources (RFC 8707), details (RFC 9396) and what needs an issuer.

    Raises:
        ConfigurationError: They do not mean anything, or contradict each other.
    """
    checks.choice(place, "dpop_alg", credential.dpop_alg, ASYMMETRIC)
    if credential.signing_alg:
        checks.choice(place, "signing_alg", credential.signing_alg, ASYMMETRIC)
    for uri in credential.resources:
        _check_resource(place, uri)
    if credential.one_token_per_resource and not credential.resources:
        place.refuse(
            "one_token_per_resource is set, and no resources are named",
            code="resources_missing",
            hint=f"write {place.line('resources', ['https://api.example.com/', 'https://files.example.com/'])}",
        )
    if credential.authorization_details:
        _check_details(place, credential.authorization_details)
    if credential.response_mode == "jwt" and not credential.issuer:
        place.refuse(
            "response_mode is jwt, and it is not known whose signature that has to be",
            code="issuer_missing",
            hint=f"write {place.line('issuer', 'https://auth.example.com')} (JARM section 2.4)",
        )
    if credential.signed_introspection and not credential.issuer:
        place.refuse(
            "signed_introspection is set, and it is not known whose signature that has to be",
            code="issuer_missing",
            hint=f"write {place.line('issuer', 'https://auth.example.com')} (RFC 9701 section 5)",
        )


def check_agreement(credential: OAuth2Credential, place: Place) -> None:
    """Check that a declaration does not contradict itself in what it says of keys, requests and answers.

    Raises:
        ConfigurationError: It does.
    """
    _check_issuer(credential, place)
    _check_public(credential, place)
    _check_idle(credential, place)
    _check_certificate(credential, place)
    _check_additional(credential, place)
    if credential.require_par and not (credential.pushed_authorization_url or credential.discovers):
        place.refuse(
            "require_par is true, and it is not known where sign-ins are pushed to",
            code="par_url_missing",
            hint=f"write {place.line('pushed_authorization_url', 'https://auth.example.com/par')} (RFC 9126), "
            "or declare issuer= alone",
        )


def _check_issuer(credential: OAuth2Credential, place: Place) -> None:
    """Check that the issuer is one, and that it is there where id tokens are to be checked."""
    head, document, tail = credential.issuer.partition("/.well-known/")
    if document:
        path = tail.partition("/")[2]
        place.refuse(
            "issuer is the address of a metadata document, not what that document says of its issuer",
            code="url_invalid",
            hint=f"write {place.line('issuer', f'{head}/{path}' if path else head)}, as the document spells it",
        )
    said = [name for name in _OF_ID_TOKENS if getattr(credential, name)]
    if said and not credential.issuer and credential.security_profile != "mcp":
        place.refuse(
            f"{said[0]} is about id tokens, and without an issuer none is looked at",
            code="issuer_missing",
            hint=f"write {place.line('issuer', 'https://auth.example.com')}, or leave {said[0]} out",
        )


def _check_public(credential: OAuth2Credential, place: Place) -> None:
    """Check that nothing is asked of a public client that takes a secret or a proof."""
    if credential.client_auth != "none":
        return
    alg = next((alg for alg in credential.id_token_algs if alg.startswith("HS")), "")
    if alg:
        place.refuse(
            f"id_token_algs names {alg}, whose key is the client secret, and client_auth is none",
            code="client_public",
            hint=f"leave {alg} out of id_token_algs, or write {place.line('client_auth', 'client_secret_basic')}",
        )
    if credential.backchannel_authentication_url:
        place.refuse(
            "only an app that proves itself may have people asked on another device, and client_auth is none",
            code="client_public",
            hint=f"write {place.line('client_auth', 'private_key_jwt')}, or leave backchannel_authentication_url out",
        )


def _check_idle(credential: OAuth2Credential, place: Place) -> None:
    """Check that what is said of keys is about something that is done."""
    signs = (
        credential.client_auth == "private_key_jwt"
        or credential.request_object
        or credential.registers
        or credential.grant == "jwt_bearer"
        or bool(credential.signed_secret_claims)
    )
    if credential.signing_alg and not signs:
        place.refuse(
            "signing_alg is about what the app's private key signs, and it signs nothing",
            code="setting_unused",
            hint=f"write {place.line('client_auth', 'private_key_jwt')}, or leave signing_alg out",
        )
    if credential.dpop_alg != "ES256" and credential.sender_constraint != "dpop":
        place.refuse(
            "dpop_alg is about DPoP proofs, and there are none",
            code="setting_unused",
            hint=f"write {place.line('sender_constraint', 'dpop')}, or leave dpop_alg out",
        )


def _check_certificate(credential: OAuth2Credential, place: Place) -> None:
    """Check that where the app shows its certificate there is TLS to show it in (RFC 8705 section 2)."""
    if credential.carries_certificate and credential.token_url.startswith("http:"):
        uses = "sender_constraint is mtls" if credential.sender_constraint == "mtls" else credential.client_auth
        place.refuse(
            f"{uses}: the app shows its certificate in TLS, and token_url is plain http, where there is none",
            code="url_insecure",
            hint="write token_url with https://, on this machine too; or have the app prove itself by a key: "
            f"{place.line('client_auth', 'private_key_jwt')}",
        )


def _check_additional(credential: OAuth2Credential, place: Place) -> None:
    """Check those of the additional parameters whose values mean something here too."""
    given = credential.additional_params
    if given.get("response_mode", "query") not in {"query", "form_post"}:
        place.refuse(
            f'additional_params asks for the response_mode "{given["response_mode"]:.40}", which nobody would read',
            code="parameter_reserved",
            hint=f"write {place.line('response_mode', 'jwt')} or {place.line('response_mode', 'form_post')} instead",
        )
    for field, name in _BY_FIELD.items():
        if getattr(credential, field) and name in given:
            place.refuse(
                f'additional_params may not set "{name}": {field} says it already',
                code="parameter_reserved",
                hint=f'remove "{name}" from additional_params',
            )
    age = given.get("max_age", "0")
    if not (age.isascii() and age.isdecimal()):
        place.refuse(
            f'additional_params: max_age is "{age:.40}", and has to be a number of seconds',
            code="number_invalid",
            hint=f"write {place.line('additional_params', {'max_age': '3600'})}",
        )
    for name in ("claims", "authorization_details"):
        if name in given and not _is_json(given[name]):
            place.refuse(
                f"additional_params: {name} is no JSON",
                code="text_invalid",
                hint=f"write {name} as the JSON text of an object or a list",
            )


def _is_json(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict | list)
    except (ValueError, RecursionError):
        return False


def _check_resource(place: Place, uri: str) -> None:
    if not is_resource(uri):
        place.refuse(
            f'resources names "{uri:.60}", which is no absolute URI without a fragment',
            code="url_invalid",
            hint=f"write {place.line('resources', ['https://api.example.com/'])} (RFC 8707 section 2)",
        )


def _check_details(place: Place, text: str) -> None:
    try:
        found: Any = json.loads(text)
    except ValueError:
        found = None
    listed = cast("list[object]", found if isinstance(found, list) else [])
    if not listed or not all(_is_detail(one) for one in listed):
        place.refuse(
            "authorization_details is no JSON list of objects with a type each",
            code="authorization_details_untyped",
            hint='write it as [{"type": "payment_initiation", ...}] (RFC 9396 section 2)',
        )


def _is_detail(one: object) -> bool:
    kind = cast("dict[str, Any]", one).get("type") if isinstance(one, dict) else None
    return isinstance(kind, str) and bool(kind)
