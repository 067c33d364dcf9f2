"""The parts of the practice provider that a person and a browser see, and what it tells about itself.

Authorization endpoint (RFC 6749 section 3.1, RFC 7636, RFC 9207), verification page (RFC 8628 section 3.3),
metadata (RFC 8414, OpenID Connect Discovery), keys and userinfo.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlencode

from valetkey.testing import _pages as pages
from valetkey.testing._http import Call, Reply
from valetkey.testing._ledger import Client, within
from valetkey.testing._proofs import SIGNED_WITH
from valetkey.testing._refused import Refused, only_once
from valetkey.testing._signing import OPENID_SCOPES
from valetkey.testing._site import Site, bearer, claims

SHOW_PAGE = "x-practice-consent"
"""The header by which the helpers that play the person ask for the consent page, whatever `auto_approve` says."""

_SIGNED = frozenset({"jwt", "query.jwt"})
_ANSWER_SECONDS = 600
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")

Pairs = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """A valid authorization request that waits for the person."""

    client: Client
    redirect_uri: str
    state: str | None
    challenge: str
    scopes: tuple[str, ...]
    nonce: str = ""
    signed: bool = False


class Authorization:
    """The authorization endpoint and its consent page."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._waiting: dict[str, Wish] = {}

    def authorize(self, call: Call) -> Reply:
        """Answer an authorization request: an error page, a redirect, or the consent page.

        Where the client or its redirect URI is not known, nothing is sent there (RFC 6749 section 4.1.2.1).
        """
        pairs = call.query_pairs() if call.method in {"GET", "HEAD"} else call.form_pairs()
        client = self._site.ledger.clients.get(_single(pairs, "client_id") or "")
        redirect_uri = _single(pairs, "redirect_uri")
        if client is None:
            return pages.page(400, "Unknown client", "invalid_request: there is no client with this client_id.")
        if redirect_uri is None or not client.takes_redirect(redirect_uri):
            return pages.page(400, "Unknown redirect URI", "invalid_request: this redirect_uri is not registered.")
        state = _single(pairs, "state")
        try:
            wish = self._wish(client, redirect_uri, state, pairs)
        except Refused as refused:
            members = {"error": refused.error, "error_description": refused.why}
            return self._back(client, redirect_uri, state, members, signed=_signed(dict(pairs)))
        return self._ask(wish, call, _single(pairs, "login_hint") or self._site.login)

    def consent(self, call: Call) -> Reply:
        """Take the answer that the person gave on the consent page; each page can be answered once."""
        form = dict(call.form_pairs())
        with self._site.ledger.lock:
            wish = self._waiting.pop(form.get("request", ""), None)
        if wish is None:
            return pages.page(400, "Too late", "This request is unknown, or it was answered already.")
        return self._decide(
            wish, approve=form.get("decision") == "approve", login=form.get("login") or self._site.login
        )

    def _wish(self, client: Client, redirect_uri: str, state: str | None, pairs: Pairs) -> Wish:
        asked = only_once(pairs)
        if "authorization_code" not in client.grant_types:
            raise Refused(error="unauthorized_client", why="this client may not use authorization codes")
        if asked.get("response_type") != "code":
            raise Refused(error="unsupported_response_type", why="response_type must be code")
        if asked.get("response_mode", "query") not in {"query", *_SIGNED}:
            raise Refused(error="invalid_request", why="response_mode must be query or jwt")
        challenge = self._challenge(asked.get("code_challenge", ""), asked.get("code_challenge_method", "plain"))
        scopes = within(asked.get("scope", ""), client.scopes, OPENID_SCOPES)
        return Wish(
            client=client,
            redirect_uri=redirect_uri,
            state=state,
            challenge=challenge,
            scopes=scopes,
            nonce=asked.get("nonce", ""),
            signed=_signed(asked),
        )

    def _challenge(self, challenge: str, method: str) -> str:
        """Check the PKCE parameters (RFC 7636 sections 4.3 and 4.4.1): S256 or nothing."""
        if not challenge and self._site.ledger.rules.requires_pkce:
            raise Refused(error="invalid_request", why="code_challenge is required")
        if challenge and method != "S256":
            raise Refused(error="invalid_request", why="code_challenge_method must be S256")
        if challenge and not _CHALLENGE.fullmatch(challenge):
            raise Refused(error="invalid_request", why="code_challenge must be 43 characters of base64url")
        return challenge

    def _ask(self, wish: Wish, call: Call, login: str) -> Reply:
        if self._site.ledger.rules.auto_approve and SHOW_PAGE not in call.headers:
            return self._decide(wish, approve=True, login=login)
        request_id = self._site.ledger.mint("request")
        with self._site.ledger.lock:
            self._waiting[request_id] = wish
        action = f"{self._site.issuer}/consent"
        return pages.consent(action, request_id, client=wish.client.client_id, scopes=wish.scopes, login=login)

    def _decide(self, wish: Wish, *, approve: bool, login: str) -> Reply:
        denial = self._site.faults.take_denial() or (None if approve else ("access_denied", "the person said no"))
        if denial is not None:
            members = {"error": denial[0], "error_description": denial[1]}
            return self._back(wish.client, wish.redirect_uri, wish.state, members, signed=wish.signed)
        code = self._site.consents.code_for(
            wish.client,
            redirect_uri=wish.redirect_uri,
            challenge=wish.challenge,
            login=login,
            scopes=self._site.faults.given(wish.scopes),
            nonce=wish.nonce,
        )
        return self._back(wish.client, wish.redirect_uri, wish.state, {"code": code}, signed=wish.signed)

    def _back(
        self, client: Client, redirect_uri: str, state: str | None, members: Mapping[str, str], *, signed: bool
    ) -> Reply:
        """Send the browser back with the answer; the query of the redirect URI stays (RFC 6749 section 3.1.2)."""
        answer = {name: value for name, value in members.items() if value}
        if state is not None:
            answer["state"] = state
        if self._site.ledger.rules.sends_iss:
            answer["iss"] = self._site.issuer
        if signed and self._site.faults.signs_answers:
            answer = {"response": signed_answer(self._site, answer, client)}
        joint = "&" if "?" in redirect_uri else "?"
        return Reply.redirect(redirect_uri + joint + urlencode(self._site.faults.changed("authorization", answer)))


def signed_answer(site: Site, answer: Mapping[str, str], client: Client) -> str:
    """Return an answer as one signed token (JARM section 2.1)."""
    claims = {**answer, "iss": site.issuer, "aud": client.client_id, "exp": int(site.ledger.now()) + _ANSWER_SECONDS}
    signed = site.keys.sign(site.faults.changed("jarm", claims), client_secret=client.client_secret or "")
    return site.ledger.remembered(signed)


def _signed(asked: Mapping[str, str]) -> bool:
    return asked.get("response_mode", "") in _SIGNED


def device_page(site: Site, call: Call) -> Reply:
    """Show the page for a user code, or take the person's answer there."""
    if call.method != "POST":
        typed = dict(call.query_pairs()).get("user_code", "")
        return pages.device(f"{site.issuer}/device", typed, login=site.login)
    form = dict(call.form_pairs())
    waiting = site.consents.find_device(form.get("user_code", ""))
    if waiting is None:
        return pages.page(400, "Unknown code", "No device waits under this code any more. Check it, or start anew.")
    approved = form.get("decision") == "approve" and site.faults.take_denial() is None
    scopes = site.faults.given(waiting.scopes) if approved else None
    site.consents.decide_device(waiting, login=form.get("login") or site.login, scopes=scopes)
    said = "The device is connected." if approved else "The device was not connected."
    return pages.page(200, said, "You can close this page and go back to it.")


def welcome(site: Site, client_id: str) -> Reply:
    """Show what this is."""
    return pages.page(
        200,
        "Practice provider",
        "An OAuth provider to practise on: everything is in memory and gone when it stops.",
        f"Issuer: {site.issuer}. Client: {client_id}. Its API: {site.url}/notes.",
    )


def metadata(site: Site, call: Call) -> Reply:  # noqa: ARG001 - the same signature as the other endpoints
    """Tell what this authorization server can do (RFC 8414 section 2)."""
    methods = ["client_secret_basic", "client_secret_post", "private_key_jwt", "none"]
    members = {
        "issuer": site.issuer,
        "authorization_endpoint": f"{site.issuer}/authorize",
        "token_endpoint": f"{site.issuer}/token",
        "revocation_endpoint": f"{site.issuer}/revoke",
        "introspection_endpoint": f"{site.issuer}/introspect",
        "device_authorization_endpoint": f"{site.issuer}/device_authorization",
        "userinfo_endpoint": f"{site.issuer}/userinfo",
        "backchannel_authentication_endpoint": f"{site.issuer}/bc-authorize",
        "backchannel_token_delivery_modes_supported": ["poll"],
        "jwks_uri": f"{site.issuer}/jwks",
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256", "RS256", "EdDSA"],
        "scopes_supported": sorted({s for c in site.ledger.clients.values() for s in (*c.scopes, *OPENID_SCOPES)}),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query", "jwt"],
        "authorization_signing_alg_values_supported": ["ES256", "RS256", "EdDSA"],
        "dpop_signing_alg_values_supported": list(SIGNED_WITH),
        "token_endpoint_auth_signing_alg_values_supported": list(SIGNED_WITH),
        "grant_types_supported": sorted({g for c in site.ledger.clients.values() for g in c.grant_types}),
        "token_endpoint_auth_methods_supported": methods,
        "revocation_endpoint_auth_methods_supported": methods,
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": site.ledger.rules.sends_iss,
        **site.more_metadata,
    }
    return _kept(site.faults.rendered("discovery", 200, members))


def _kept(reply: Reply) -> Reply:
    """Let caches keep what everybody may know, for an hour."""
    kept = {name: value for name, value in reply.headers.items() if name != "Pragma"}
    return replace(reply, headers={**kept, "Cache-Control": "max-age=3600"})


def jwks(site: Site, call: Call) -> Reply:  # noqa: ARG001 - the same signature as the other endpoints
    """Tell the keys that id tokens are signed with (RFC 7517)."""
    return _kept(site.faults.rendered("jwks", 200, site.keys.members()))


def userinfo(site: Site, call: Call) -> Reply:
    """Tell who an access token stands for."""
    token = bearer(site, call, aimed=False)
    return token if isinstance(token, Reply) else site.faults.rendered("userinfo", 200, claims(token))


def _single(pairs: Pairs, name: str) -> str | None:
    """Return a parameter that came exactly once."""
    values = [value for key, value in pairs if key == name]
    return values[0] if len(values) == 1 else None
