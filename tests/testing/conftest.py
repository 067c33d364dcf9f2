"""A practice provider on a clock that stands still, and an app that talks to it in raw HTTP."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, quote_plus, urlencode, urlsplit

import httpx2
import pytest

from valetkey.testing import FakeClock, PracticeProvider
from valetkey.testing.provider import DEFAULT_CLIENT_ID, DEFAULT_CLIENT_SECRET

REDIRECT_URI = "http://127.0.0.1:5050/callback"
VERIFIER = "v" * 43


class App:
    """A client in raw HTTP, without a line of the package: what it sends is what the test says."""

    redirect_uri = REDIRECT_URI
    verifier = VERIFIER

    def __init__(self, provider: PracticeProvider, http: httpx2.Client) -> None:
        self.provider = provider
        self.http = http
        self.client_id = DEFAULT_CLIENT_ID
        self.client_secret = DEFAULT_CLIENT_SECRET

    @staticmethod
    def challenge(verifier: str = VERIFIER) -> str:
        return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()

    def basic(self, client_id: str | None = None, secret: str | None = None) -> dict[str, str]:
        pair = f"{quote_plus(client_id or self.client_id)}:{quote_plus(secret or self.client_secret)}"
        return {"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}

    def authorization_url(self, **changes: str | None) -> str:
        wanted: dict[str, str | None] = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": self.redirect_uri,
            "scope": "notes.read notes.write",
            "state": "st/ate +1",
            "code_challenge": self.challenge(),
            "code_challenge_method": "S256",
        }
        query = {name: value for name, value in {**wanted, **changes}.items() if value is not None}
        return f"{self.provider.issuer}/authorize?{urlencode(query)}"

    def ask(self, **changes: str | None) -> httpx2.Response:
        return self.http.get(self.authorization_url(**changes))

    def answer_of(self, response: httpx2.Response) -> dict[str, str]:
        """Return the parameters that the browser carries back."""
        assert response.status_code == 303, response.text
        return self.parameters(response.headers["Location"])

    @staticmethod
    def parameters(url: str) -> dict[str, str]:
        return {name: values[0] for name, values in parse_qs(urlsplit(url).query, strict_parsing=True).items()}

    def code(self, **changes: str | None) -> str:
        return self.answer_of(self.ask(**changes))["code"]

    def post(self, path: str, form: dict[str, Any], headers: dict[str, str] | None = None) -> httpx2.Response:
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        proof = self.basic() if headers is None else headers
        return self.http.post(self.provider.issuer + path, content=urlencode(form, doseq=True), headers=kind | proof)

    def token(self, headers: dict[str, str] | None = None, **form: Any) -> httpx2.Response:
        return self.post("/token", form, headers)

    def exchange(self, code: str, headers: dict[str, str] | None = None, **changes: Any) -> httpx2.Response:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.redirect_uri,
            "code_verifier": self.verifier,
            **changes,
        }
        return self.token(headers, **{name: value for name, value in form.items() if value is not None})

    def refresh(self, refresh_token: str, **form: Any) -> httpx2.Response:
        return self.token(grant_type="refresh_token", refresh_token=refresh_token, **form)

    def connect(self, **changes: str | None) -> dict[str, Any]:
        """Return the members of a first token answer."""
        answer = self.exchange(self.code(**changes))
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def get(self, path: str, access_token: str) -> httpx2.Response:
        return self.http.get(self.provider.url + path, headers={"Authorization": f"Bearer {access_token}"})


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def provider(clock: FakeClock) -> Iterator[PracticeProvider]:
    with PracticeProvider(clock=clock) as provider:
        yield provider


@pytest.fixture
def http() -> Iterator[httpx2.Client]:
    with httpx2.Client(trust_env=False) as client:
        yield client


@pytest.fixture
def app(provider: PracticeProvider, http: httpx2.Client) -> App:
    return App(provider, http)
