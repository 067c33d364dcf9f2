"""What a twin answers beside tokens: the API, whose account it is, what a token is, revocation, and metadata."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shared.everywhere import Asked, Reply
from shared.twin_demands import CLIENT_ID, CLIENT_SECRET, Demands
from shared.twin_places import put
from shared.twin_tokens import KEY
from valetkey.model.located import LookUp

WELL_KNOWN = "/.well-known/openid-configuration"


class ApiSide(Demands):
    """What answers whoever has a token, and what tells of tokens."""

    def _served(self, request: Asked, url: str) -> Reply:
        declared = self.credential
        if url == declared.introspection_url:
            return self._introspect(request)
        if (one := self.places.look_up(request.url)) is not None:
            return self._look_up(request, one)
        if url == declared.userinfo_url.partition("?")[0]:
            return self._userinfo(request)
        if (told := self._told(url)) is not None:
            return Reply(200, told)
        return Reply(404, {}) if "/.well-known/" in url else self._api(request)

    # -- calls

    def _userinfo(self, request: Asked) -> Reply:
        self.seen["userinfo"] += 1
        declared = self.credential
        self._demand(request.method == declared.userinfo_method, "userinfo has its own method")
        self._bearer(request)
        self._demand_headers(request, self._known_headers())
        self._demand_secrets(request)
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
        self._demand_secrets(request)
        return Reply(200, self.places.looked_up(one))

    def _api(self, request: Asked) -> Reply:
        self.seen["api"] += 1
        self._bearer(request)
        self._demand(self._is_api(request), f"{request.url.split('/')[2]} is a host of this API")
        self._demand_headers(request, self.credential.api_headers)
        self._demand_secrets(request)
        return Reply(200, {"here": request.url})

    # -- tokens

    def _introspect(self, request: Asked) -> Reply:
        """Say what a token is (RFC 7662)."""
        self.seen["introspection"] += 1
        declared = self.credential
        self._demand(request.method == "POST", "a token is asked about by POST")
        given = self._standard(self._members(request, "form"))
        self._authenticate(request, given, declared.client_auth)
        if given.get("token", "") not in self.grant.live:
            return Reply(200, {"active": False})
        said = {"active": True, "client_id": CLIENT_ID, "sub": "the-subject", "exp": int(self._now()) + 60}
        return Reply(200, {**said, "scope": " ".join(declared.all_scopes)})

    def _revoke(self, request: Asked) -> Reply:
        self.seen["revocation"] += 1
        declared = self.credential
        self._demand_headers(request, {"Accept": declared.accept, **declared.api_headers})
        self._demand_secrets(request)
        given = self._members(request, declared.revocation_format)
        token = self._revoked(request, given)
        allowed = {"access_token": {self.grant.access_token}, "refresh_token": {self.grant.refresh_token}}
        known = allowed.get(declared.revocation_token, {self.grant.access_token, self.grant.refresh_token})
        self._demand(token in known - {""}, "the token to revoke is one that was given", "invalid_token")
        for name, template in declared.revocation_params.items():
            wanted = self.places.fill(template.replace("{client_id}", CLIENT_ID))
            if "{" not in wanted:
                self._demand(given.get(name) == wanted, f"{name} is {wanted}")
        self.grant.revoke(token)
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
            return named[0] if named else self.grant.access_token
        return given.get("token", "")

    # -- metadata

    def _told(self, url: str) -> dict[str, Any] | None:
        """Return what the issuer publishes at a URL: its metadata, its keys, or nothing."""
        declared = self.credential
        if not declared.issuer:
            return None
        keys_at = declared.jwks_url or f"{declared.issuer.rstrip('/')}/keys"
        if url == keys_at:
            return {"keys": [KEY.as_dict(private=False)]}
        if url != declared.issuer.rstrip("/") + WELL_KNOWN:
            return None
        return {
            "issuer": declared.issuer,
            "authorization_endpoint": declared.authorization_url,
            "token_endpoint": declared.token_url,
            "jwks_uri": keys_at,
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
        }
