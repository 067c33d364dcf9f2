"""Checks of what a declaration says about keys, signed requests and what exactly is asked for."""

from __future__ import annotations

import json
from typing import Any, Final, cast
from urllib.parse import urlsplit

from valetkey.model import checks
from valetkey.model.credentials import ASYMMETRIC, OAuth2Credential
from valetkey.model.places import Place

_LONGEST: Final = 2000


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
    if credential.authorization_details:
        _check_details(place, credential.authorization_details)
    if credential.response_mode == "jwt" and not credential.issuer:
        place.refuse(
            "response_mode is jwt, and it is not known whose signature that has to be",
            code="issuer_missing",
            hint=f"write {place.line('issuer', 'https://auth.example.com')} (JARM section 2.4)",
        )


def _check_resource(place: Place, uri: str) -> None:
    try:
        parts = urlsplit(uri)
    except ValueError:
        parts = urlsplit("")
    absolute = parts.scheme and (parts.netloc or parts.path) and "#" not in uri
    if not absolute or len(uri) > _LONGEST or not uri.isprintable():
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
            code="authorization_details_invalid",
            hint='write it as [{"type": "payment_initiation", ...}] (RFC 9396 section 2)',
        )


def _is_detail(one: object) -> bool:
    return isinstance(one, dict) and isinstance(cast("dict[str, Any]", one).get("type"), str)
