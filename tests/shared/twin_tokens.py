"""The token endpoints of a twin: codes are redeemed, grants renewed, and tokens traded for longer ones."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode

from joserfc import jwk, jwt

from shared.everywhere import Asked, Reply
from shared.twin_demands import CLIENT_ID, Refused
from shared.twin_device import DeviceSide
from shared.twin_grant import Dead
from shared.twin_places import put
from valetkey.model.credentials import OAuth2Credential
from valetkey.protocol.device import DEVICE_GRANT

LIFETIME = 3600
LONG_LIFETIME = 5184000
KEY = jwk.RSAKey.generate_key(2048, {"kid": "twin", "alg": "RS256", "use": "sig"})
_OFFLINE = {"offline_access", "offline.access"}
"""Scopes that answers leave out."""


class TokenSide(DeviceSide):
    """What answers token requests.

    Attributes:
        lifetime: Seconds that an access token lives.
        refreshes: Whether grants are renewed: not where tokens have no end.
        tells_lifetime: Whether answers say how long the access token lives.
        lists_scopes: Whether answers have the scopes as a list.
        answers_forms: Whether answers are forms.
        fault: With which standard error token requests are refused; empty: they are not.
    """

    def __init__(self, credential: OAuth2Credential, now: Callable[[], float]) -> None:
        super().__init__(credential, now)
        self._codes: dict[str, dict[str, str]] = {}
        self._nonce: str | None = None
        self._short_token = ""
        usual = LONG_LIFETIME if credential.long_lived_url else LIFETIME
        self.lifetime = int(credential.access_token_lifetime or usual)
        self.refreshes = bool(credential.rotates_refresh_token or credential.access_token_lifetime) or (
            not credential.never_expires
        )
        self.tells_lifetime = not credential.expiry_in_token
        self.lists_scopes = self.answers_forms = False
        self.fault = ""

    # -- requests

    def _token(self, request: Asked, url: str) -> Reply:
        self.seen["token"] += 1
        self._demand(not self.fault, "it goes well", self.fault)
        declared = self.credential
        redeems = "code=" in request.url or b"code=" in request.body
        apart = url == declared.refresh_url and not (redeems and url == declared.token_url)
        if declared.refresh_request and (apart or not (declared.refresh_url or redeems)):
            return self._renew(request)
        method = declared.refresh_method if apart else declared.token_method
        self._demand(request.method == method, f"the token endpoint takes {method}")
        self._demand_headers(request, {"Accept": declared.accept})
        given = self._given(request)
        self._authenticate(request, given, declared.client_auth)
        for name in declared.unsent_params:
            self._demand(name not in given, f"{name} is not sent")
        unnamed = "grant_type" in declared.unsent_params
        grant = "authorization_code" if unnamed and "code" in given else given.get("grant_type")
        if declared.token_resources:
            self._demand(given.get("resource") in declared.token_resources, "the resource is named")
        if declared.by_itself:
            self._ask_for_itself(grant, given)
        elif grant == DEVICE_GRANT and not apart:
            self._ask_for_device(given)
        elif grant == "authorization_code" and not apart:
            self._redeem(given)
        else:
            self._demand(grant == "refresh_token", "grant_type is one that is known", "unsupported_grant_type")
            self._demand(apart or not declared.refresh_url, "a grant is renewed where it is declared")
            self._spend(given.get("refresh_token", ""))
            self._demand_params(given, declared.refresh_params)
        return self._tokens(first=grant != "refresh_token")

    def _ask_for_itself(self, grant: str | None, given: Mapping[str, str]) -> None:
        declared = self.credential
        own_word = declared.token_params.get("grant_type", declared.grant)
        self._demand(grant == own_word, "the app asks for itself", "unsupported_grant_type")
        wanted = declared.scope_separator.join(declared.all_scopes)
        self._demand(given.get("scope", "") == wanted, "the scopes are named", "invalid_scope")
        self._demand_params(given, declared.token_params)

    def _redeem(self, given: Mapping[str, str]) -> None:
        asked = self._codes.pop(given.get("code", ""), None)
        self._demand(asked is not None, "the code is known, and was not spent", "invalid_grant")
        if "redirect_uri" not in self.credential.unsent_params:
            same = given.get("redirect_uri") == (asked or {})["redirect_uri"]
            self._demand(same, "redirect_uri is as it was asked")
        self._nonce = (asked or {}).get("nonce")
        self._verify(asked or {}, given)
        self._demand_params(given, self.credential.token_params)

    def _spend(self, token: str) -> None:
        try:
            self.grant.spend(token)
        except Dead as dead:
            raise Refused(400, "invalid_grant", str(dead)) from None

    def _renew(self, request: Asked) -> Reply:
        """Renew a grant by a request that is spelled out whole: nothing else may be in it."""
        declared = self.credential
        self._demand(request.method == declared.refresh_method, f"a grant is renewed by {declared.refresh_method}")
        given = self._spelled_out(request, declared.refresh_request, declared.refresh_method)
        for name, template in declared.refresh_request.items():
            if template == "{refresh_token}":
                self._spend(given[name])
        return self._tokens(first=False)

    def _lengthen(self, request: Asked) -> Reply:
        self.seen["long_lived"] += 1
        declared = self.credential
        self._demand(request.method == declared.long_lived_method, f"tokens are traded by {declared.long_lived_method}")
        self._demand(bool(self._short_token), "there is a token to trade", "invalid_grant")
        self._spelled_out(request, declared.long_lived_request, declared.long_lived_method)
        self._short_token = ""
        return self._tokens(first=False)

    def _spelled_out(self, request: Asked, templates: Mapping[str, str], method: str) -> dict[str, str]:
        """Demand just these parameters, and return them; whether a refresh token works is looked at later."""
        self._demand_headers(request, {"Accept": self.credential.accept})
        given = self._members(request, "query" if method == "GET" else self.credential.token_request_format)
        works = self.grant.access_token if self.grant.access_token in self.grant.live else ""
        filled = {"access_token": self._short_token or works, "client_id": CLIENT_ID}
        for name, template in templates.items():
            wanted = template
            for hole, value in filled.items():
                wanted = wanted.replace(f"{{{hole}}}", value)
            if template == "{client_secret}":
                self._demand(self._is_secret(given.get(name, "")), f"{name} is the client secret", "invalid_client")
            elif template != "{refresh_token}":
                same = bool(wanted) and given.get(name) == wanted
                self._demand(same, f"{name} is {template}", "invalid_grant")
        self._demand(set(given) == set(templates), "nothing else is sent")
        self._demand("authorization" not in request.headers, "nothing is proved by a header")
        return given

    # -- answers

    def _tokens(self, *, first: bool) -> Reply:
        declared = self.credential
        if first:
            self.grant.begin()
        token = self._new_access_token()
        answer: dict[str, Any] = {"access_token": token, "token_type": "bearer"}
        if first and declared.long_lived_url:
            self._short_token = token
        else:
            self.grant.give_access(token, life=self.lifetime if self.refreshes else None)
        if self.refreshes:
            if self.tells_lifetime:
                answer["expires_in"] = LIFETIME if self._short_token else self.lifetime
            self._refresh(answer, first=first)
        scopes = [*declared.scopes, *declared.forced_scopes]
        if scopes:
            spelled = {asked: answered for answered, asked in declared.scope_aliases.items()}
            unsaid = _OFFLINE if self.refreshes else set[str]()
            answered = list(dict.fromkeys(spelled.get(scope, scope) for scope in scopes if scope not in unsaid))
            answer["scope"] = answered if self.lists_scopes else declared.scope_separator.join(answered)
        if first and declared.issuer and "openid" in scopes:
            answer["id_token"] = self._id_token(self._nonce)
        if first or "." not in declared.answer_paths.get("access_token", ""):
            answer = self._in_places(answer)
        for place in declared.kept_params.values():
            put(answer, place, self.places.known[next(n for n, p in declared.kept_params.items() if p == place)])
        return Reply(200, answer, text=urlencode(answer) if self.answers_forms else None)

    def _refresh(self, answer: dict[str, Any], *, first: bool) -> None:
        """Put in what renews the grant: a refresh token, or nothing where the access token does it itself."""
        declared = self.credential
        if declared.renews_by_access_token or declared.by_itself:
            return
        if first or declared.rotates_refresh_token:
            answer["refresh_token"] = secrets.token_urlsafe(24)
            self.grant.give_refresh(answer["refresh_token"])

    def _new_access_token(self) -> str:
        if not self.credential.expiry_in_token:
            return secrets.token_urlsafe(24)
        claims = {"jti": secrets.token_urlsafe(8), "exp": int(self._now()) + self.lifetime}
        return jwt.encode({"alg": "RS256", "kid": "twin"}, claims, KEY)

    def _id_token(self, nonce: str | None) -> str:
        now = int(self._now())
        claims = {"iss": self.credential.issuer, "sub": "the-subject", "aud": CLIENT_ID, "iat": now, "exp": now + 600}
        return jwt.encode({"alg": "RS256", "kid": "twin"}, {**claims, **({"nonce": nonce} if nonce else {})}, KEY)

    def _in_places(self, answer: Mapping[str, Any]) -> dict[str, Any]:
        """Return an answer with its members where the declaration says, and somebody else's tokens beside them."""
        declared = self.credential
        paths = declared.answer_paths
        said = {**answer, "error": declared.answer_ok[0]} if declared.answer_ok else dict(answer)
        moved: dict[str, Any] = {}
        for name, value in said.items():
            put(moved, paths.get(name, name), value)
        if "." in paths.get("access_token", ""):
            decoys = {"access_token": "somebody-else", "refresh_token": "somebody-else", "expires_in": 86400}
            moved = {**{name: value for name, value in decoys.items() if name in paths}, **moved}
        return moved
