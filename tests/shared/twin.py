"""A provider's twin: an authorization server and an API that have the shape which a credential declares.

It demands what the declaration says that the provider demands (how the app proves itself, form or JSON, PKCE, the
parameters, how a token is revoked and whose account it is), refuses anything else and says why, and answers in the
provider's form.  `Everywhere` brings it the requests.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from joserfc import jwk, jwt
from joserfc.errors import JoseError

from shared.everywhere import Asked, Reply
from shared.twin_places import Places, put
from valetkey.model.credentials import OAuth2Credential
from valetkey.model.located import LookUp

CLIENT_ID = "twin-client"
CLIENT_SECRET = "twin-secret:with odd+characters"
LIFETIME = 3600
LONG_LIFETIME = 5184000
APP_KEY = jwk.ECKey.generate_key("P-256", {"kid": "APPKEY1234", "alg": "ES256"})
KEY = jwk.RSAKey.generate_key(2048, {"kid": "twin", "alg": "RS256", "use": "sig"})
WELL_KNOWN = "/.well-known/openid-configuration"
_OFFLINE = {"offline_access", "offline.access"}
"""Scopes that answers leave out."""


class Refused(Exception):
    """A request is not as the declaration says that the provider wants it."""

    def __init__(self, status: int, error: str, why: str) -> None:
        super().__init__(why)
        self.status, self.error = status, error


class Twin:
    """The twin of one provider.

    Attributes:
        seen: How often each endpoint was called: ``token`` (renewals too), ``long_lived``, ``revocation``,
            ``userinfo``, ``api``.
        lifetime: Seconds that an access token lives.
        refusals: Why requests were refused, each in a sentence.
        live: The access tokens that the API takes.
        word_for_dead: What this provider says for ``invalid_grant``.
    """

    def __init__(self, credential: OAuth2Credential, now: Callable[[], float]) -> None:
        self.places = Places(credential)
        self.credential = self.places.filled()
        self._now = now
        self._nonce: str | None = None
        self.seen: Counter[str] = Counter()
        self.refusals: list[str] = []
        self.live: set[str] = set()
        self.word_for_dead = "invalid_grant"
        self._codes: dict[str, dict[str, str]] = {}
        self._refresh_token = ""
        self._access_token = ""
        self._short_token = ""
        usual = LONG_LIFETIME if credential.long_lived_url else LIFETIME
        self.lifetime = int(credential.access_token_lifetime or usual)
        self.refreshes = bool(credential.rotates_refresh_token or credential.access_token_lifetime) or (
            not credential.never_expires
        )

    # -- the person

    def approve(self, url: str) -> str:
        """Look at an authorization request as the provider would, say yes, and return where the browser goes."""
        declared = self.credential
        url, _, fragment = url.partition("#")
        assert fragment == declared.authorization_fragment
        where, _, query = url.partition("?")
        asked = self._standard(dict(parse_qsl(query, keep_blank_values=True, strict_parsing=True)))
        assert where == self.places.front().partition("?")[0]
        assert (asked["response_type"], asked["client_id"]) == ("code", CLIENT_ID)
        assert asked.get("code_challenge_method") == ("S256" if declared.pkce else None)
        wanted = [*declared.scopes, *(s for s in declared.forced_scopes if s not in declared.scopes)]
        assert asked.get("scope", "").split(declared.scope_separator) == (wanted or [""])
        for name, value in declared.additional_params.items():
            assert asked[name] == value, name
        code = secrets.token_urlsafe(24)
        self._codes[code] = asked
        answer = {declared.param_names.get("code", "code"): code, "state": asked["state"]}
        if declared.iss_advertised:
            answer["iss"] = declared.issuer
        return f"{asked['redirect_uri']}?{urlencode(self.places.callback(answer, CLIENT_SECRET))}"

    def end(self) -> None:
        """End the grant here, as a person does who takes the app off the account."""
        self.live.clear()
        self._refresh_token = ""

    # -- requests

    def answer(self, request: Asked) -> Reply:
        """Answer a request, to whatever host it goes."""
        try:
            return self._routed(request)
        except Refused as refused:
            self.refusals.append(str(refused))
            said: dict[str, Any] = {}
            error = self.word_for_dead if refused.error == "invalid_grant" else refused.error
            for name, text in (("error", error), ("error_description", str(refused))):
                put(said, self.credential.answer_paths.get(name, name), text)
            return Reply(refused.status, said)

    def _routed(self, request: Asked) -> Reply:
        declared = self.credential
        url = request.url.partition("?")[0]
        revocation = declared.revocation_url.replace("{client_id}", CLIENT_ID)
        if revocation and url == revocation.partition("?")[0] and request.method == declared.revocation_method:
            return self._revoke(request)
        if url in {declared.token_url, declared.refresh_url, declared.long_lived_url}:
            trades = url == declared.long_lived_url and (self._short_token or url != declared.token_url)
            return self._lengthen(request) if trades else self._token(request, url)
        if (one := self.places.look_up(request.url)) is not None:
            return self._look_up(request, one)
        if url == declared.userinfo_url.partition("?")[0]:
            return self._userinfo(request)
        known = (
            {declared.issuer.rstrip("/") + WELL_KNOWN: self._metadata, self._jwks_url: self._keys}
            if declared.issuer
            else {}
        )
        if url in known:
            return Reply(200, known[url]())
        return Reply(404, {}) if "/.well-known/" in url else self._api(request)

    def _keys(self) -> dict[str, Any]:
        return {"keys": [KEY.as_dict(private=False)]}

    @property
    def _jwks_url(self) -> str:
        return self.credential.jwks_url or f"{self.credential.issuer.rstrip('/')}/keys"

    def _metadata(self) -> dict[str, Any]:
        return {
            "issuer": self.credential.issuer,
            "authorization_endpoint": self.credential.authorization_url,
            "token_endpoint": self.credential.token_url,
            "jwks_uri": self._jwks_url,
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
        }

    def _id_token(self, nonce: str | None) -> str:
        now = int(self._now())
        claims = {"iss": self.credential.issuer, "sub": "the-subject", "aud": CLIENT_ID, "iat": now, "exp": now + 600}
        return jwt.encode({"alg": "RS256", "kid": "twin"}, {**claims, **({"nonce": nonce} if nonce else {})}, KEY)

    def _token(self, request: Asked, url: str) -> Reply:
        self.seen["token"] += 1
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
            self._demand(grant == declared.grant, "the app asks for itself", "unsupported_grant_type")
            wanted = declared.scope_separator.join(declared.all_scopes)
            self._demand(given.get("scope", "") == wanted, "the scopes are named", "invalid_scope")
            self._demand_params(given, declared.token_params)
        elif grant == "authorization_code" and not apart:
            asked = self._codes.pop(given.get("code", ""), None)
            self._demand(asked is not None, "the code is known, and was not spent", "invalid_grant")
            if "redirect_uri" not in declared.unsent_params:
                same = given.get("redirect_uri") == (asked or {})["redirect_uri"]
                self._demand(same, "redirect_uri is as it was asked")
            self._nonce = (asked or {}).get("nonce")
            self._verify(asked or {}, given)
            self._demand_params(given, self.credential.token_params)
        else:
            self._demand(grant == "refresh_token", "grant_type is one that is known", "unsupported_grant_type")
            self._demand(apart or not declared.refresh_url, "a grant is renewed where it is declared")
            known = bool(self._refresh_token) and given.get("refresh_token") == self._refresh_token
            self._demand(known, "the refresh token is the latest one", "invalid_grant")
            self._demand_params(given, self.credential.refresh_params)
        return self._tokens(first=grant == "authorization_code")

    def _renew(self, request: Asked) -> Reply:
        """Renew a grant by a request that is spelled out whole: nothing else may be in it."""
        declared = self.credential
        self._demand(request.method == declared.refresh_method, f"a grant is renewed by {declared.refresh_method}")
        self._demand(bool(self._refresh_token), "there is a grant to renew", "invalid_grant")
        self._spelled_out(request, declared.refresh_request, declared.refresh_method)
        return self._tokens(first=False)

    def _lengthen(self, request: Asked) -> Reply:
        self.seen["long_lived"] += 1
        declared = self.credential
        self._demand(request.method == declared.long_lived_method, f"tokens are traded by {declared.long_lived_method}")
        self._demand(bool(self._short_token), "there is a token to trade", "invalid_grant")
        self._access_token = self._short_token
        self._spelled_out(request, declared.long_lived_request, declared.long_lived_method)
        self._short_token = ""
        return self._tokens(first=False)

    def _spelled_out(self, request: Asked, templates: Mapping[str, str], method: str) -> None:
        self._demand_headers(request, {"Accept": self.credential.accept})
        given = self._members(request, "query" if method == "GET" else self.credential.token_request_format)
        filled = {"access_token": self._access_token, "refresh_token": self._refresh_token, "client_id": CLIENT_ID}
        for name, template in templates.items():
            wanted = template
            for hole, value in filled.items():
                wanted = wanted.replace(f"{{{hole}}}", value)
            if template == "{client_secret}":
                self._demand(self._is_secret(given.get(name, "")), f"{name} is the client secret", "invalid_client")
            else:
                self._demand(given.get(name) == wanted, f"{name} is {template}", "invalid_grant")
        self._demand(set(given) == set(templates), "nothing else is sent")
        self._demand("authorization" not in request.headers, "nothing is proved by a header")

    def _tokens(self, *, first: bool) -> Reply:
        declared = self.credential
        if not first:
            self.live.clear()
        self._access_token = self._new_access_token()
        answer: dict[str, Any] = {"access_token": self._access_token, "token_type": "bearer"}
        if first and declared.long_lived_url:
            self._short_token = self._access_token
        else:
            self.live.add(self._access_token)
        if self.refreshes:
            if not declared.expiry_in_token:
                answer["expires_in"] = LIFETIME if self._short_token else self.lifetime
            self._refresh(answer, first=first)
        scopes = [*declared.scopes, *declared.forced_scopes]
        if scopes:
            spelled = {asked: answered for answered, asked in declared.scope_aliases.items()}
            answered = dict.fromkeys(spelled.get(scope, scope) for scope in scopes if scope not in _OFFLINE)
            answer["scope"] = declared.scope_separator.join(answered)
        if first and declared.issuer and "openid" in scopes:
            answer["id_token"] = self._id_token(self._nonce)
        if first or "." not in declared.answer_paths.get("access_token", ""):
            answer = self._in_places(answer)
        for place in declared.kept_params.values():
            put(answer, place, self.places.known[next(n for n, p in declared.kept_params.items() if p == place)])
        return Reply(200, answer)

    def _refresh(self, answer: dict[str, Any], *, first: bool) -> None:
        """Put in what renews the grant: a refresh token, or nothing where the access token does it itself."""
        declared = self.credential
        if declared.renews_by_access_token:
            self._refresh_token = self._access_token
        elif not declared.by_itself and (first or declared.rotates_refresh_token):
            self._refresh_token = answer["refresh_token"] = secrets.token_urlsafe(24)

    def _new_access_token(self) -> str:
        if not self.credential.expiry_in_token:
            return secrets.token_urlsafe(24)
        claims = {"jti": secrets.token_urlsafe(8), "exp": int(self._now()) + self.lifetime}
        return jwt.encode({"alg": "RS256", "kid": "twin"}, claims, KEY)

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

    def _revoke(self, request: Asked) -> Reply:
        self.seen["revocation"] += 1
        declared = self.credential
        self._demand_headers(request, {"Accept": declared.accept, **declared.api_headers})
        given = self._members(request, declared.revocation_format)
        token = self._revoked(request, given)
        allowed = {"access_token": {self._access_token}, "refresh_token": {self._refresh_token}}
        known = allowed.get(declared.revocation_token, {self._access_token, self._refresh_token})
        self._demand(token in known - {""}, "the token to revoke is one that was given", "invalid_token")
        for name, template in declared.revocation_params.items():
            wanted = template.replace("{client_id}", CLIENT_ID)
            wanted = self.places.fill(wanted)
            if "{" not in wanted:
                self._demand(given.get(name) == wanted, f"{name} is {wanted}")
        self.end()
        return Reply(200, {"ok": True})

    def _revoked(self, request: Asked, given: Mapping[str, str]) -> str:
        """Return the token to revoke, having looked at how the app, or the token itself, proves it."""
        declared = self.credential
        carried = request.headers.get("authorization", "")
        match declared.revocation_auth:
            case "client":
                self._authenticate(request, self._standard(dict(given)), declared.client_auth)
            case "client_secret_basic" | "client_secret_post" as method:
                self._authenticate(request, self._standard(dict(given)), method)
            case "client_secret_bearer":
                self._demand(carried == f"Bearer {CLIENT_SECRET}", "the secret is the bearer")
            case "client_secret_client":
                self._demand(carried == f"Client {CLIENT_SECRET}", "the secret stands with the scheme Client")
            case "access_token":
                self._bearer(request)
            case _:
                self._demand(not carried, "nothing is proved")
        named = [given[name] for name, text in declared.revocation_params.items() if text == "{token}"]
        if named or declared.revocation_params or declared.revocation_format == "none":
            return named[0] if named else self._access_token
        return given.get("token", "")

    def _userinfo(self, request: Asked) -> Reply:
        self.seen["userinfo"] += 1
        declared = self.credential
        self._demand(request.method == declared.userinfo_method, "userinfo has its own method")
        self._bearer(request)
        self._demand_headers(request, self._known_headers())
        self._demand(request.body.decode() == declared.userinfo_body, "userinfo is asked by its own body")
        if declared.userinfo_body:
            self._demand_headers(request, {"Content-Type": "application/json"})
        answer: dict[str, Any] = {"ok": True}
        for name, place in declared.identity.items():
            put(answer, place, f"the-{name}" if name != "email" else "somebody@example.com")
        one = self.places.look_up(request.url)
        return Reply(200, answer if one is None else {**answer, **self.places.looked_up(one)})

    def _look_up(self, request: Asked, one: LookUp) -> Reply:
        self.seen["look_up"] += 1
        if request.url == self.credential.userinfo_url:
            return self._userinfo(request)
        self._demand(request.method == "GET", "a look-up is a GET")
        self._bearer(request)
        self._demand_headers(request, {**self._known_headers(), **one.headers})
        return Reply(200, self.places.looked_up(one))

    def _api(self, request: Asked) -> Reply:
        self.seen["api"] += 1
        self._bearer(request)
        host = request.url.split("/")[2]
        allowed = any(host == one or (one[:1] == "*" and host.endswith(one[1:])) for one in self.credential.api_hosts)
        self._demand(allowed, f"{host} is a host of this API")
        self._demand_headers(request, self.credential.api_headers)
        return Reply(200, {"here": request.url})

    # -- what is demanded

    def _demand(self, holds: bool, what: str, error: str = "invalid_request") -> None:
        if not holds:
            raise Refused(400, error, f"not so: {what}")

    def _standard(self, given: dict[str, str]) -> dict[str, str]:
        """Return parameters by their standard names, by which those that have another name here do not come."""
        names = self.credential.param_names
        for ours, theirs in names.items():
            self._demand(ours not in given or ours in names.values(), f"{ours} is called {theirs}")
        back = {theirs: ours for ours, theirs in names.items()}
        return {back.get(name, name): value for name, value in given.items()}

    def _given(self, request: Asked) -> dict[str, str]:
        """Return the parameters of a token request by their standard names."""
        if request.method == "GET":
            self._demand(not request.body, "all is in the query")
            return self._standard(self._members(request, "query"))
        return self._standard(self._members(request, self.credential.token_request_format))

    def _is_secret(self, text: str) -> bool:
        claims = self.credential.signed_secret_claims
        if not claims:
            return text == CLIENT_SECRET
        try:
            token = jwt.decode(text, APP_KEY, algorithms=["ES256"])
        except (JoseError, ValueError):
            return False
        said = {name: value.replace("{client_id}", CLIENT_ID) for name, value in claims.items()}
        now = self._now()
        in_time = token.claims["iat"] <= now < token.claims["exp"] <= now + 15777000
        known = token.header["kid"] == "APPKEY1234" and token.claims["sub"] == CLIENT_ID
        return in_time and known and all(token.claims.get(name) == value for name, value in said.items())

    def _demand_headers(self, request: Asked, wanted: Mapping[str, str]) -> None:
        for name, value in wanted.items():
            self._demand(request.headers.get(name.lower()) == value, f"the header {name} is {value}")

    def _known_headers(self) -> dict[str, str]:
        """Return the headers of the API that do not wait for what a look-up is about to tell."""
        late = {f"{{{name}}}" for one in self.places.declared.look_ups for name in one.params}
        declared = self.places.declared.api_headers.items()
        known = [name for name, text in declared if not any(hole in text for hole in late)]
        return {name: self.credential.api_headers[name] for name in known}

    def _demand_params(self, given: Mapping[str, str], wanted: Mapping[str, str]) -> None:
        for name, value in wanted.items():
            self._demand(given.get(name) == value, f"{name} is {value}")

    def _bearer(self, request: Asked) -> None:
        name, _, form = (self.credential.token_header or "Authorization: Bearer {token}").partition(": ")
        carried = request.headers.get(name.lower(), "")
        if carried not in {form.replace("{token}", token) for token in self.live}:
            raise Refused(401, "invalid_token", f"not so: {name} is {form}, and the token is live")
        if name.lower() != "authorization":
            self._demand("authorization" not in request.headers, f"the token stands in {name} alone")

    def _authenticate(self, request: Asked, given: Mapping[str, str], method: str) -> None:
        carried = request.headers.get("authorization", "")
        if method == "client_secret_basic":
            scheme, _, text = carried.partition(" ")
            found = base64.b64decode(text).decode().split(":", 1) if scheme == "Basic" else []
            if not self.credential.basic_raw:
                found = [unquote(part.replace("+", " ")) for part in found]
            self._demand(found == [CLIENT_ID, CLIENT_SECRET], "the app proves itself by Basic", "invalid_client")
            self._demand("client_secret" not in given, "the secret comes once")
            return
        self._demand(not carried.startswith("Basic"), "the app does not prove itself by Basic", "invalid_client")
        known = given.get("client_id") == CLIENT_ID
        if method == "client_secret_post":
            known = known and self._is_secret(given.get("client_secret", ""))
        self._demand(known, f"the app proves itself by {method}", "invalid_client")

    def _verify(self, asked: Mapping[str, str], given: Mapping[str, str]) -> None:
        if not self.credential.pkce:
            self._demand("code_verifier" not in given, "no PKCE is sent")
            return
        digest = hashlib.sha256(given.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        if self.credential.pkce_encoding == "hex":
            challenge = digest.hex()
        self._demand(challenge == asked["code_challenge"], "the code verifier fits", "invalid_grant")

    def _members(self, request: Asked, how: str) -> dict[str, str]:
        content = request.headers.get("content-type", "")
        if how == "json":
            self._demand(content.startswith("application/json"), "the body is JSON")
            return {name: str(value) for name, value in json.loads(request.body).items()}
        if how == "query":
            return dict(parse_qsl(urlsplit(request.url).query))
        if how == "none":
            return {}
        self._demand(content.startswith("application/x-www-form-urlencoded"), "the body is a form")
        return dict(parse_qsl(request.body.decode(), keep_blank_values=True))
