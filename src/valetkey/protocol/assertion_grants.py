"""Tokens for an assertion: one that the app signs (RFC 7523), or one that somebody else made (RFC 7522, RFC 7523)."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from valetkey.errors import ConfigurationError
from valetkey.forks import late_imports
from valetkey.model.credentials import AppCredentials, OAuth2Credential
from valetkey.protocol.bodies import as_object, read_json, unix_time
from valetkey.protocol.client_authentication import app_key, client_id
from valetkey.protocol.token_request import token_request
from valetkey.values import Params, Request, Secret

JWT_GRANT: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"
SAML_GRANT: Final = "urn:ietf:params:oauth:grant-type:saml2-bearer"
_SCOPE: Final = "{scope}"
_JWT: Final = re.compile(r"[A-Za-z0-9_-]+\.([A-Za-z0-9_-]+)\.[A-Za-z0-9_-]*")
_ASSERTION: Final = re.compile(r"\s*(?:<\?xml[^>]{0,200}\?>\s*)?<(?:[\w.-]{1,60}:)?Assertion[\s>]")
_ENDS: Final = re.compile(r"""NotOnOrAfter\s*=\s*["']([^"']{10,40})["']""")


def jwt_bearer_request(
    credential: OAuth2Credential, app: AppCredentials, *, subject: str, scope: Sequence[str]
) -> Request:
    """Return the request for a token by an assertion that the app signs (RFC 7523 sections 2.1 and 3), anew each time.

    Args:
        credential: Which integration.
        app: Who signs: its client id is the issuer, unless ``assertion_claims`` names another.
        subject: For whom; empty: for the issuer itself.
        scope: What is asked for.

    Raises:
        ConfigurationError: The app has no key that can sign; see also `forms.post`.
    """
    key, issuer = app_key(credential, app), client_id(credential, app)
    scopes = credential.scope_separator.join(scope)
    said = {name: value.replace(_SCOPE, scopes) for name, value in credential.assertion_claims.items()}
    inside = any(_SCOPE in value for value in credential.assertion_claims.values())
    audience = {"token_url": credential.token_url, "issuer": credential.issuer}
    whom = audience.get(credential.grant_audience, credential.grant_audience)

    def fresh(now: float) -> Params:
        with late_imports:
            from valetkey.protocol.assertions import assertion_claims, signed_by_key  # noqa: PLC0415

        iss = said.get("iss", issuer)
        claims = assertion_claims(issuer=iss, subject=subject or iss, audience=whom, now=now)
        return {"assertion": signed_by_key(key, "JWT", {**claims, **said})}

    params: Params = {
        "grant_type": JWT_GRANT,
        "scope": "" if inside else scopes,
        "resource": credential.token_resources,
        "authorization_details": credential.authorization_details,
    }
    extra = credential.token_params
    return replace(token_request(credential, app, params, extra=extra, fresh=fresh, named=False), dated=True)


def given_assertion_request(
    credential: OAuth2Credential, app: AppCredentials, *, assertion: Secret, scope: Sequence[str], now: float
) -> Request:
    """Return the request for a token by an assertion that somebody else made.

    A SAML assertion may come as XML or in base64; it goes out in base64url, without padding and line breaks (RFC 7522
    section 2.1).  Nothing is looked at but its end.

    Raises:
        ConfigurationError: It is none (``assertion_invalid``), or it has ended (``assertion_expired``); see also
            `forms.post`.
    """
    saml = credential.grant == "saml2_bearer"
    text = _saml(credential, assertion, now) if saml else _jwt(credential, assertion, now)
    params: Params = {
        "grant_type": SAML_GRANT if saml else JWT_GRANT,
        "assertion": text,
        "scope": credential.scope_separator.join(scope),
        "resource": credential.token_resources,
        "authorization_details": credential.authorization_details,
    }
    return token_request(credential, app, params, extra=credential.token_params, named=False)


def subject_for(credential: OAuth2Credential, owner: str | None, account: str) -> str:
    """Return for whom the assertions of a connection ask.

    Raises:
        ConfigurationError: It is the connection's owner or account, and it has none (``assertion_subject_missing``).
    """
    said = credential.assertion_subject
    for hole, value in (("{owner}", owner or ""), ("{account}", account)):
        if hole in said and not value:
            what = hole.strip("{}")
            msg = f"the tokens of {credential.name!r} are for the {what} of a connection, and this one has none"
            hint = f'valet.client({credential.name!r}, {what}="...")'
            raise ConfigurationError(msg, code="assertion_subject_missing", hint=hint)
        said = said.replace(hole, value)
    return said


def _jwt(credential: OAuth2Credential, assertion: Secret, now: float) -> str:
    text = assertion.reveal().strip()
    found = _JWT.fullmatch(text)
    if found is None:
        raise _invalid(credential, "is no signed JWT")
    try:
        payload = base64.urlsafe_b64decode(found[1] + "=" * (-len(found[1]) % 4)).decode()
        claims = as_object(read_json(payload))
    except ValueError:
        claims = None
    if claims is None:
        raise _invalid(credential, "is no signed JWT")
    end = unix_time(claims.get("exp"))
    if end is not None and now >= end:
        raise _expired(credential)
    return text


def _saml(credential: OAuth2Credential, assertion: Secret, now: float) -> str:
    text = assertion.reveal().strip()
    try:
        xml = text if text.startswith("<") else _decoded(text)
    except ValueError:
        raise _invalid(credential, "is neither XML nor base64") from None
    if _ASSERTION.match(xml) is None:
        raise _invalid(credential, "is no SAML assertion: its outermost element is another")
    ends = [end for end in map(_moment, _ENDS.findall(xml)) if end is not None]
    if ends and now >= min(ends):
        raise _expired(credential)
    return base64.urlsafe_b64encode(xml.encode()).rstrip(b"=").decode("ascii")


def _decoded(text: str) -> str:
    plain = "".join(text.split()).rstrip("=").translate(str.maketrans("-_", "+/"))
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True).decode()
    except binascii.Error as error:
        raise ValueError(str(error)) from None


def _moment(text: str) -> float | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _invalid(credential: OAuth2Credential, why: str) -> ConfigurationError:
    msg = f"the assertion of {credential.name!r} {why}"
    hint = f"look at what gives it: the secret {credential.assertion_secret_id!r}"
    return ConfigurationError(msg, code="assertion_invalid", hint=hint)


def _expired(credential: OAuth2Credential) -> ConfigurationError:
    msg = f"the assertion of {credential.name!r} has ended; nothing was sent"
    hint = f"give a new one as the secret {credential.assertion_secret_id!r}, and check this machine's clock"
    return ConfigurationError(msg, code="assertion_expired", hint=hint)
