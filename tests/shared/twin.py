"""A provider's twin: an authorization server and an API that have the shape which a credential declares.

It demands what the declaration says that the provider demands (how the app proves itself, form or JSON, PKCE, the
parameters, how a token is revoked and whose account it is), refuses anything else and says why, and answers in the
provider's form.  Its tokens live, rotate and die as declared.  `Everywhere` brings it the requests.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, urlencode

from shared.everywhere import Asked, Reply
from shared.twin_api import ApiSide
from shared.twin_demands import CLIENT_ID, CLIENT_SECRET, Refused
from shared.twin_places import put
from shared.twin_tokens import TokenSide
from valetkey.model.credentials import OAuth2Credential

RETURNS = "https://app.example/callback/{}"
"""Where the browser comes back to, at providers that have a name of their own for it."""


class Twin(TokenSide, ApiSide):
    """The twin of one provider.

    Attributes:
        refusals: Why requests were refused, each in a sentence.
        words: What this provider says for a standard error.
        error_status: The status of refusals; 0: that of the standards.
        explains: Whether refusals say why.
    """

    def __init__(self, credential: OAuth2Credential, now: Callable[[], float]) -> None:
        super().__init__(credential, now)
        self.refusals: list[str] = []
        self.words: dict[str, str] = {}
        self.error_status = 0
        self.explains = True

    @property
    def live(self) -> set[str]:
        """The access tokens that the API takes."""
        return self.grant.live

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
        names = declared.param_names
        answer = {names.get("response_code", names.get("code", "code")): code, "state": asked["state"]}
        if declared.iss_advertised:
            answer["iss"] = declared.issuer
        assert not declared.redirect_name or asked["redirect_uri"] == declared.redirect_name
        back = RETURNS.format(declared.name) if declared.redirect_name else asked["redirect_uri"]
        return f"{back}?{urlencode(self.places.callback(answer, CLIENT_SECRET))}"

    def end(self) -> None:
        """End the grant here, as a person does who takes the app off the account."""
        self.grant.end()

    # -- requests

    def answer(self, request: Asked) -> Reply:
        """Answer a request, to whatever host it goes."""
        try:
            return self._routed(request)
        except Refused as refused:
            self.refusals.append(str(refused))
            said: dict[str, Any] = {}
            error = self.words.get(refused.error, refused.error)
            put(said, self.credential.answer_paths.get("error", "error"), error)
            if self.explains:
                put(said, self.credential.answer_paths.get("error_description", "error_description"), str(refused))
            return Reply(self.error_status or refused.status, said)

    def _routed(self, request: Asked) -> Reply:
        declared = self.credential
        url, of_token = request.url.partition("?")[0], declared.token_url.partition("?")
        if of_token[1] and url == of_token[0]:
            said = set(self._members(request, "query").items())
            self._demand(said >= set(parse_qsl(of_token[2])), "the query of the token endpoint stands")
            url = declared.token_url
        revocation = declared.revocation_url.replace("{client_id}", CLIENT_ID)
        if revocation and url == revocation.partition("?")[0] and request.method == declared.revocation_method:
            return self._revoke(request)
        if url in {declared.token_url, declared.refresh_url, declared.long_lived_url}:
            trades = url == declared.long_lived_url and (self._short_token or url != declared.token_url)
            return self._lengthen(request) if trades else self._token(request, url)
        if url == declared.device_authorization_url:
            return self._begin_device(request)
        return self._served(request, url)
