"""What the endpoints of the practice provider share."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from http import HTTPStatus

from valetkey.testing._consents import Consents
from valetkey.testing._faults import Faults
from valetkey.testing._http import Call, Reply
from valetkey.testing._ledger import AccessToken, Family, Ledger
from valetkey.testing._proofs import Proofs
from valetkey.testing._refused import Refused
from valetkey.testing._signing import SigningKeys, id_token_claims
from valetkey.testing._trust import Trust


@dataclass(slots=True, kw_only=True)
class Site:
    """Where the endpoints are, what they remember, and who sits in front of the browser.

    Attributes:
        ledger: Clients, grants, tokens.
        consents: Codes.
        faults: The planned misbehaviour.
        keys: What id tokens are signed with.
        proofs: What clients sign.
        url: The origin, without a slash at its end.
        issuer: The issuer identifier (RFC 8414).
        login: Who consents unless somebody else is named.
        trust: Whose assertions are taken, and for what tokens are exchanged.
        more_metadata: What the metadata says beside the usual.
    """

    ledger: Ledger
    consents: Consents
    faults: Faults
    proofs: Proofs
    keys: SigningKeys = field(default_factory=SigningKeys)
    url: str = ""
    issuer: str = ""
    login: str = "ada"
    trust: Trust = field(default_factory=Trust)
    more_metadata: dict[str, str] = field(default_factory=dict[str, str])


def refusal(refused: Refused) -> Reply:
    """Write an OAuth error (RFC 6749 section 5.2)."""
    body = {"error": refused.error} | ({"error_description": refused.why} if refused.why else {})
    challenge = {"WWW_Authenticate": 'Basic realm="practice"'} if refused.status == HTTPStatus.UNAUTHORIZED else {}
    return Reply.of_json(refused.status, body, **challenge)


def bearer(site: Site, call: Call, scope: str = "", *, aimed: bool = True) -> AccessToken | Reply:
    """Return the access token of a request, or the challenge to answer with (RFC 6750 section 3).

    Args:
        site: The provider.
        call: The request.
        scope: What the token must hold.
        aimed: Whether it must be for this route, where it is for some resources alone (RFC 8707).
    """
    scheme, _, value = call.headers.get("authorization", "").partition(" ")
    if scheme.lower() not in {"bearer", "dpop"}:
        return _challenge(401)
    token = site.ledger.bearer(value.strip())
    if token is None:
        return _challenge(401, "invalid_token", "the access token is unknown, expired or revoked")
    if aimed and not token.opens(site.url + call.path):
        return _challenge(401, "invalid_token", "the access token is for another resource")
    if token.bound_to and (refused := _unproven(site, call, scheme, value.strip(), token)):
        return refused
    if scope and scope not in token.scopes:
        return _challenge(403, "insufficient_scope", "the access token does not reach that far", scope)
    return token


def _unproven(site: Site, call: Call, scheme: str, value: str, token: AccessToken) -> Reply | None:
    """Return the challenge for a bound token that did not come with the proof of its key (RFC 9449 section 7)."""
    try:
        thumbprint = site.proofs.thumbprint(call, site.url + call.path, token=value)
    except Refused as refused:
        challenge = f'DPoP error="{refused.error}", error_description="{refused.why}", algs="ES256"'
        return Reply.of_json(401, {"error": refused.error}, WWW_Authenticate=challenge)
    if scheme.lower() == "dpop" and thumbprint == token.bound_to:
        return None
    return Reply.of_json(401, {"error": "invalid_token"}, WWW_Authenticate='DPoP error="invalid_token", algs="ES256"')


def _challenge(status: int, error: str = "", why: str = "", scope: str = "") -> Reply:
    parts = {"realm": "practice", "error": error, "error_description": why, "scope": scope}
    challenge = "Bearer " + ", ".join(f'{name}="{text}"' for name, text in parts.items() if text)
    return Reply.of_json(status, {"error": error or "unauthorized"}, WWW_Authenticate=challenge)


def id_token(site: Site, family: Family, access_token: str) -> str:
    """Return the id token of a grant, beside this access token (OpenID Connect Core sections 3.1.3.3 and 12.2)."""
    made = id_token_claims(
        person(family),
        issuer=site.issuer,
        client_id=family.client_id,
        access_token=access_token,
        alg=site.keys.alg,
        at=site.ledger.now(),
    )
    made |= {"auth_time": int(family.began_at)} | ({"nonce": family.nonce} if family.nonce else {})
    secret = site.ledger.clients[family.client_id].client_secret or ""
    return site.ledger.remembered(site.keys.sign(site.faults.changed("id_token", made), client_secret=secret))


def claims(token: AccessToken) -> dict[str, str]:
    """Return who a token stands for: a person, or the client itself."""
    return person(token.family)


def person(family: Family) -> dict[str, str]:
    """Return whose grant it is."""
    login = family.login
    if not login:
        return {"sub": family.client_id, "login": family.client_id, "name": family.client_id}
    return {"sub": subject(login), "login": login, "name": login.capitalize(), "email": f"{login}@example.com"}


def subject(login: str) -> str:
    """Return the stable id of a person at this provider."""
    return "user-" + hashlib.sha256(login.encode()).hexdigest()[:16]
