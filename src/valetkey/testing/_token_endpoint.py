"""The back channel of the practice provider: what clients call with their own credentials.

Token endpoint (RFC 6749 section 3.2), device authorization (RFC 8628 section 3.1) and revocation (RFC 7009).
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote_plus

from valetkey.testing._grant_types import CIBA, DEVICE_CODE, JWT_BEARER, SAML_BEARER, TOKEN_EXCHANGE
from valetkey.testing._http import Call, Reply
from valetkey.testing._ledger import Client, within
from valetkey.testing._refused import Refused, only_once, required
from valetkey.testing._signing import OPENID_SCOPES
from valetkey.testing._site import Site, person, refusal
from valetkey.testing._trust import by_assertion, by_auth_req_id, by_exchange, may_be_nameless

Form = Mapping[str, str]
_TYP = "token-introspection+jwt"
_SIGNED = f"application/{_TYP}"
_ANOTHER = "https://another.example/"


def token(site: Site, call: Call) -> Reply:
    """Answer a token request (RFC 6749 sections 4.1.3, 4.4.2 and 6; RFC 8628 section 3.4)."""
    try:
        form = read_form(call)
        if may_be_nameless(call, form):
            return site.faults.rendered("token", 200, by_assertion(site, None, form), "issued")
        client = authenticate(site, call, form)
        grant_type = _allowed_grant_type(client, form)
        thumbprint = site.proofs.thumbprint(call, f"{site.issuer}/token")
        targets = _targets(site, form)
        members = _aimed(site, _granted(site, client, grant_type, form), targets)
        members = site.ledger.bind(members, thumbprint)
    except Refused as refused:
        return refusal(refused)
    note = "refreshed" if grant_type == "refresh_token" else "issued"
    return site.faults.rendered("token", 200, members, note)


def revoke(site: Site, call: Call) -> Reply:
    """Revoke a token; 200 also for one that is unknown (RFC 7009 section 2.2)."""
    try:
        form = read_form(call)
        client = authenticate(site, call, form)
        ended = site.ledger.revoke(client, required(form, "token"))
    except Refused as refused:
        return refusal(refused)
    site.ledger.tally.add("revocations")
    return Reply(200, b"", {"Cache-Control": "no-store"}, "revoked" if ended else "")


def introspect(site: Site, call: Call) -> Reply:
    """Tell whether an access token is active, and what it is (RFC 7662 section 2.2); signed if asked so (RFC 9701)."""
    try:
        form = read_form(call)
        client = authenticate(site, call, form)
        token = site.ledger.active(client, required(form, "token"))
    except Refused as refused:
        return refusal(refused)
    members: dict[str, Any] = {"active": token is not None}
    if token is not None:
        members |= {"scope": " ".join(token.scopes), "client_id": client.client_id, "token_type": "Bearer"}
        members |= {"exp": int(token.expires_at), "iss": site.issuer}
        members |= {"sub": person(token.family)["sub"]}
    if _SIGNED in call.headers.get("accept", ""):
        signed = {"iss": site.issuer, "aud": client.client_id, "iat": int(site.ledger.now())}
        inside = site.faults.changed("introspection", members)
        claims = site.faults.changed("signed_introspection", {**signed, "token_introspection": inside})
        typ = str(claims.pop("typ", _TYP))
        return Reply(
            200, site.keys.sign(claims, typ=typ).encode(), {"Content-Type": _SIGNED, "Cache-Control": "no-store"}
        )
    return site.faults.rendered("introspection", 200, members)


def device_authorization(site: Site, call: Call) -> Reply:
    """Start a device flow (RFC 8628 section 3.2)."""
    try:
        form = read_form(call)
        client = authenticate(site, call, form)
        must_allow(client, DEVICE_CODE)
        device_code, waiting = site.consents.start_device(
            client, within(form.get("scope", ""), client.scopes, OPENID_SCOPES)
        )
    except Refused as refused:
        return refusal(refused)
    page = f"{site.issuer}/device"
    members = {
        "device_code": device_code,
        "user_code": waiting.user_code,
        "verification_uri": page,
        "verification_uri_complete": f"{page}?user_code={waiting.user_code}",
        "expires_in": int(site.ledger.rules.device_code_lifetime),
        "interval": int(waiting.interval),
    }
    return site.faults.rendered("device_authorization", 200, members)


def authenticate(site: Site, call: Call, form: Form) -> Client:
    """Return the client that sent a request, by the one method that is registered for it (RFC 6749 section 2.3).

    Raises:
        Refused: More than one method was used, or the client did not prove itself.
    """
    header = call.headers.get("authorization", "")
    if header and "client_secret" in form:
        raise Refused(error="invalid_request", why="more than one client authentication method")
    if header:
        method, (client_id, secret) = "client_secret_basic", _basic(header)
    elif "client_assertion" in form:
        return _by_assertion(site, form)
    else:
        method = "client_secret_post" if "client_secret" in form else "none"
        client_id, secret = form.get("client_id", ""), form.get("client_secret", "")
    if form.get("client_id", client_id) != client_id:
        raise Refused(error="invalid_request", why="two client ids")
    client = site.ledger.clients.get(client_id)
    if client is None or client.auth != method or not _its_secret(client, secret):
        raise Refused(error="invalid_client", why="client authentication failed", status=401)
    return client


def _its_secret(client: Client, secret: str) -> bool:
    return any(_same(secret, known) for known in (client.client_secret or "", *client.more_secrets))


def _by_assertion(site: Site, form: Form) -> Client:
    client = site.ledger.clients.get(form.get("client_id", ""))
    if client is None or client.auth != "private_key_jwt":
        raise Refused(error="invalid_client", why="client authentication failed", status=401)
    site.proofs.check_assertion(client, form, (site.issuer, f"{site.issuer}/token"))
    return client


def _basic(header: str) -> tuple[str, str]:
    """Read HTTP Basic, whose halves are form-encoded (RFC 6749 section 2.3.1)."""
    scheme, _, encoded = header.partition(" ")
    try:
        client_id, colon, secret = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        scheme, client_id, colon, secret = "", "", "", ""
    if scheme.lower() != "basic" or not colon:
        raise Refused(error="invalid_client", why="unreadable Authorization header", status=401)
    return unquote_plus(client_id), unquote_plus(secret)


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())


def read_form(call: Call) -> Form:
    if not call.is_form:
        raise Refused(error="invalid_request", why="the body must be application/x-www-form-urlencoded")
    return only_once(call.form_pairs())


def _allowed_grant_type(client: Client, form: Form) -> str:
    grant_type = required(form, "grant_type")
    if grant_type not in _GRANTS:
        raise Refused(error="unsupported_grant_type", why="no such grant type here")
    must_allow(client, grant_type)
    return grant_type


def _targets(site: Site, form: Form) -> tuple[str, ...]:
    """Return the resources that the token is to be for (RFC 8707 section 2); none where this provider knows of none.

    Raises:
        Refused: One is unknown here, or they are too many for one token.
    """
    asked, known = tuple(form.get("resource", "").split()), site.trust.targets
    if not asked or not known:
        return ()
    if any(target not in known for target in asked):
        raise Refused(error="invalid_target", why="no tokens for this resource here")
    if len(asked) > 1 and site.ledger.rules.one_resource:
        raise Refused(error="invalid_target", why="a token is for one resource here")
    if len(asked) == 1 and site.ledger.rules.for_one_resource == "refused":
        raise Refused(error="invalid_target", why="no tokens for this resource today")
    return asked


def _aimed(site: Site, members: dict[str, Any], targets: tuple[str, ...]) -> dict[str, Any]:
    """Let a token that was granted be for its resources; or do to it what is planned (`Rules.for_one_resource`)."""
    planned = site.ledger.rules.for_one_resource if len(targets) == 1 else "right"
    if planned == "refused_late":
        raise Refused(error="invalid_target", why="no tokens for this resource, as was found out too late")
    return site.ledger.aim(members, (_ANOTHER,) if planned == "another" else targets)


def must_allow(client: Client, grant_type: str) -> None:
    if grant_type not in client.grant_types:
        raise Refused(error="unauthorized_client", why="this client may not use this grant type")


def _granted(site: Site, client: Client, grant_type: str, form: Form) -> dict[str, Any]:
    return _GRANTS[grant_type](site, client, form)


def _by_code(site: Site, client: Client, form: Form) -> dict[str, Any]:
    return site.consents.exchange(
        client,
        code=required(form, "code"),
        redirect_uri=form.get("redirect_uri", ""),
        verifier=form.get("code_verifier", ""),
    )


def _by_refresh_token(site: Site, client: Client, form: Form) -> dict[str, Any]:
    return site.ledger.refresh(client, required(form, "refresh_token"), form.get("scope", ""))


def _by_client(site: Site, client: Client, form: Form) -> dict[str, Any]:
    """Grant to the client itself: confidential ones only, and no refresh token (RFC 6749 section 4.4)."""
    if client.auth == "none":
        raise Refused(error="unauthorized_client", why="a public client cannot prove that it is itself")
    family = site.ledger.open_family(client, "", within(form.get("scope", ""), client.scopes))
    return site.ledger.issue(family, refresh=False)


def _by_device_code(site: Site, client: Client, form: Form) -> dict[str, Any]:
    return site.consents.poll_device(client, required(form, "device_code"))


_GRANTS = {
    "authorization_code": _by_code,
    "refresh_token": _by_refresh_token,
    "client_credentials": _by_client,
    DEVICE_CODE: _by_device_code,
    CIBA: by_auth_req_id,
    TOKEN_EXCHANGE: by_exchange,
    JWT_BEARER: by_assertion,
    SAML_BEARER: by_assertion,
}
