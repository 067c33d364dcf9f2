"""Tokens for something else: an assertion (RFC 7522, RFC 7523), another token (RFC 8693), a yes on a phone (CIBA)."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from valetkey.testing._consents import DeviceRequest
from valetkey.testing._grant_types import JWT_BEARER, SAML_BEARER
from valetkey.testing._ledger import NOTES_SCOPES, Client, within
from valetkey.testing._refused import Refused, required

if TYPE_CHECKING:
    from valetkey.testing._http import Call
    from valetkey.testing._site import Site

Form = Mapping[str, str]
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105 - a token type
_BASE64URL = re.compile(r"[A-Za-z0-9_-]+")
_NAME = re.compile(r"<(?:\w+:)?NameID>([^<]+)</")
_AUDIENCE = re.compile(r"<(?:\w+:)?Audience>([^<]+)</")
_SKEW = 60.0
_LONGEST = 3600.0


@dataclass(slots=True, kw_only=True)
class Trust:
    """Whose assertions are taken, what tokens may be exchanged for, and who is being asked on a phone.

    Attributes:
        keys: The public keys by issuer.
        targets: Audiences and resources that tokens may be exchanged or asked for.
        seen: The ``jti`` of assertions that were taken.
        asked: Who is being asked, by login.
        user_codes: The codes that have to come with a request to ask somebody, by login.
    """

    keys: dict[str, Mapping[str, Any]] = field(default_factory=dict[str, Mapping[str, Any]])
    targets: set[str] = field(default_factory=set[str])
    seen: set[str] = field(default_factory=set[str])
    asked: dict[str, DeviceRequest] = field(default_factory=dict[str, DeviceRequest])
    user_codes: dict[str, str] = field(default_factory=dict[str, str])


def may_be_nameless(call: Call, form: Form) -> bool:
    """Whether a request names no client, and need not: its assertion says who it is (RFC 7521 section 4.1)."""
    named = "authorization" in call.headers or "client_id" in form or "client_assertion" in form
    return not named and form.get("grant_type") in (JWT_BEARER, SAML_BEARER)


def by_assertion(site: Site, client: Client | None, form: Form) -> dict[str, Any]:
    """Grant for an assertion: no refresh token (RFC 7521 section 4.1)."""
    given = required(form, "assertion")
    if form["grant_type"] == JWT_BEARER:
        issuer, subject, scope = _checked_jwt(site, given)
    else:
        issuer, subject, scope = *_checked_saml(site, given), ""
    whose = client or Client(client_id=issuer, auth="none")
    login = "" if subject == issuer else subject
    scopes = within(form.get("scope", "") or scope, client.scopes if client else NOTES_SCOPES)
    return site.ledger.issue(site.ledger.open_family(whose, login, scopes), refresh=False)


def _checked_jwt(site: Site, text: str) -> tuple[str, str, str]:
    from joserfc import jwk, jws  # noqa: PLC0415 - only where there are assertions
    from joserfc.errors import JoseError  # noqa: PLC0415

    try:
        claims = json.loads(base64.urlsafe_b64decode(text.split(".")[1] + "=="))
        key = jwk.import_key(dict(site.trust.keys[claims["iss"]]))
        jws.deserialize_compact(text, key, algorithms=["ES256", "RS256", "PS256"])
    except (JoseError, ValueError, KeyError, IndexError):
        raise _refused("the signature is of nobody who is trusted here") from None
    now, end = site.ledger.now(), claims.get("exp", 0)
    if not now < end <= now + _LONGEST or claims.get("iat", now) > now + _SKEW:
        raise _refused("the assertion is not of this time: check iat and exp")
    if claims.get("aud") not in (f"{site.issuer}/token", site.issuer):
        raise _refused("the assertion is for somebody else: check aud")
    if claims.get("jti") in site.trust.seen:
        raise _refused("the assertion was used before")
    site.trust.seen.add(claims.get("jti", text))
    return claims["iss"], claims["sub"], claims.get("scope", "")


def _checked_saml(site: Site, text: str) -> tuple[str, str]:
    """Read a SAML assertion; this provider checks no signature of it."""
    if _BASE64URL.fullmatch(text) is None:
        raise Refused(error="invalid_request", why="the assertion is not in base64url without padding")
    xml = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode(errors="replace")
    name, audience = _NAME.search(xml), _AUDIENCE.search(xml)
    if name is None or audience is None or audience[1] != site.issuer:
        raise _refused("the assertion names nobody, or is for somebody else")
    return "saml", name[1]


def _refused(why: str) -> Refused:
    return Refused(error="invalid_grant", why=why)


def by_exchange(site: Site, client: Client, form: Form) -> dict[str, Any]:
    """Exchange an access token of this provider for another (RFC 8693 section 2)."""
    required(form, "subject_token_type")
    subject = site.ledger.bearer(required(form, "subject_token"))
    if ("actor_token" in form) != ("actor_token_type" in form):
        raise Refused(error="invalid_request", why="actor_token and actor_token_type go together")
    if subject is None or ("actor_token" in form and site.ledger.bearer(form["actor_token"]) is None):
        raise Refused(error="invalid_request", why="the subject token or the actor token is not valid")
    wanted = [*form.get("resource", "").split(), *([form["audience"]] if "audience" in form else [])]
    if any(target not in site.trust.targets for target in wanted):
        raise Refused(error="invalid_target", why="no tokens for this target here")
    family = site.ledger.open_family(client, subject.family.login, within(form.get("scope", ""), subject.scopes))
    answer = site.ledger.issue(family, refresh=False)
    kind = form.get("requested_token_type", ACCESS_TOKEN)
    usable = {} if kind == ACCESS_TOKEN else {"token_type": "N_A"}
    return {**answer, "issued_token_type": kind, **usable}


def by_auth_req_id(site: Site, client: Client, form: Form) -> dict[str, Any]:
    """Answer a poll for a person's decision (OpenID CIBA Core section 10.1)."""
    return site.consents.poll_device(client, required(form, "auth_req_id"))
