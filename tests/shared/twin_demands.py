"""What a twin demands of a request: how the app proves itself, where parameters stand and what they are called.

All of it follows from the declaration; what is not so is refused, and the refusal says what it should be.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections import Counter
from collections.abc import Callable, Mapping
from urllib.parse import parse_qsl, unquote, urlsplit

from joserfc import jwk, jwt
from joserfc.errors import JoseError

from shared.everywhere import Asked
from shared.twin_grant import Grant
from shared.twin_places import Places
from valetkey.model.credentials import OAuth2Credential

CLIENT_ID = "twin-client"
CLIENT_SECRET = "twin-secret:with odd+characters"
APP_KEY = jwk.ECKey.generate_key("P-256", {"kid": "APPKEY1234", "alg": "ES256"})


def secret_of(secret_id: str) -> str:
    """Return what is kept under the id of a header's secret."""
    return f"the value of {secret_id}"


class Refused(Exception):
    """A request is not as the declaration says that the provider wants it."""

    def __init__(self, status: int, error: str, why: str) -> None:
        super().__init__(why)
        self.status, self.error = status, error


class Demands:
    """What a provider looks at before it answers.

    Attributes:
        credential: The declaration, its holes filled.
        places: What fills them.
        grant: The one grant that this provider gives.
        seen: How often each endpoint was called: ``token`` (renewals too), ``long_lived``, ``revocation``,
            ``userinfo``, ``look_up``, ``api``, ``device``, ``introspection``.
    """

    def __init__(self, credential: OAuth2Credential, now: Callable[[], float]) -> None:
        self.places = Places(credential, {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET})
        self.credential = self.places.filled()
        self.grant = Grant(self.credential, now)
        self.seen: Counter[str] = Counter()
        self._now = now

    def _demand(self, holds: bool, what: str, error: str = "invalid_request") -> None:
        if not holds:
            raise Refused(400, error, f"not so: {what}")

    # -- parameters and headers

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

    def _demand_headers(self, request: Asked, wanted: Mapping[str, str]) -> None:
        for name, value in wanted.items():
            self._demand(request.headers.get(name.lower()) == value, f"the header {name} is {value}")

    def _known_headers(self) -> dict[str, str]:
        """Return the headers of the API that do not wait for what a look-up is about to tell."""
        late = {f"{{{name}}}" for one in self.places.declared.look_ups for name in one.params}
        declared = self.places.declared.api_headers.items()
        known = [name for name, text in declared if not any(hole in text for hole in late)]
        return {name: self.credential.api_headers[name] for name in known}

    def _is_api(self, request: Asked) -> bool:
        host = request.url.split("/")[2]
        return any(host == one or (one[:1] == "*" and host.endswith(one[1:])) for one in self.credential.api_hosts)

    def _demand_secrets(self, request: Asked) -> None:
        """Demand the secrets that go with calls where the API is, and that they come nowhere else."""
        for name, secret_id in self.credential.api_header_secrets.items():
            wanted = secret_of(secret_id) if self._is_api(request) else None
            self._demand(request.headers.get(name.lower()) == wanted, f"the header {name} is its secret, at the API")

    def _demand_params(self, given: Mapping[str, str], wanted: Mapping[str, str]) -> None:
        for name, value in wanted.items():
            self._demand(given.get(name) == value, f"{name} is {value}")

    # -- proofs

    def _bearer(self, request: Asked) -> None:
        name, _, form = (self.credential.token_header or "Authorization: Bearer {token}").partition(": ")
        carried = request.headers.get(name.lower(), "")
        if carried not in {form.replace("{token}", token) for token in self.grant.live}:
            status = 403 if self.credential.refresh_on_403 else 401
            raise Refused(status, "invalid_token", f"not so: {name} is {form}, and the token is live")
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

    def _verify(self, asked: Mapping[str, str], given: Mapping[str, str]) -> None:
        """Demand the verifier of the challenge (RFC 7636), where there was one."""
        if not self.credential.pkce:
            self._demand("code_verifier" not in given, "no PKCE is sent")
            return
        digest = hashlib.sha256(given.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        if self.credential.pkce_encoding == "hex":
            challenge = digest.hex()
        self._demand(challenge == asked["code_challenge"], "the code verifier fits", "invalid_grant")
