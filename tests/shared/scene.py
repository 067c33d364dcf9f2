"""Scenes: a valet that knows one preset, and a provider whose answers a test writes by hand, as they are documented."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, urlencode

from shared.everywhere import Asked, Reply
from valetkey import AsyncValet, Valet
from valetkey.keys.memory import MemoryKeys
from valetkey.model.wiring import Wiring
from valetkey.secret_services.memory import MemorySecrets
from valetkey.testing import FakeClock

APP = {"client_id": "the-app", "client_secret": "the-s3cret"}
Answers = Reply | Callable[[Asked], Reply]


def query(asked: Asked) -> dict[str, str]:
    """Return what the query of a request says."""
    return dict(parse_qsl(asked.url.partition("?")[2], keep_blank_values=True, strict_parsing=True))


def form(asked: Asked) -> dict[str, str]:
    """Return what the form of a request says."""
    assert asked.headers["content-type"] == "application/x-www-form-urlencoded"
    return dict(parse_qsl(asked.body.decode(), keep_blank_values=True, strict_parsing=True))


def body(asked: Asked) -> Any:
    """Return what the JSON of a request says."""
    assert asked.headers["content-type"] == "application/json"
    return json.loads(asked.body)


def well(**members: Any) -> Reply:
    """Return an answer with status 200."""
    return Reply(200, members)


class Scene:
    """What happens between one valet and one provider.

    Attributes:
        colour: Over which facade: ``sync`` or ``async``.
        clock: The valet's.
        asked: All requests, by method and address without query: ``POST https://as.example/token``.
    """

    def __init__(self, colour: Any) -> None:
        self.clock = FakeClock()
        self.asked: dict[str, list[Asked]] = {}
        self.name = ""
        self._says: dict[str, list[Answers]] = {}
        self.colour = str(colour.name)
        self._colour = colour
        self._wiring, self._secrets = Wiring(), MemorySecrets()
        self.valet: Any = None

    def open(self, preset: str, app: dict[str, str] | None = None, **declared: Any) -> Any:
        """Declare the preset, and return the credential."""
        credential = self._wiring.oauth2_credential(preset=preset, **declared)
        self._secrets.set(credential.secret_id, json.dumps(app or APP))
        self.name = credential.name
        self.valet = self._colour.blocking(
            (Valet if self._colour.name == "sync" else AsyncValet)(
                "memory:",
                key=MemoryKeys(),
                wiring=self._wiring,
                secrets=self._secrets,
                base_url="https://app.example",
                clock=self.clock,
            )
        )
        return credential

    def also(self, name: str, preset: str, **declared: Any) -> Any:
        """Declare another credential."""
        return self._wiring.oauth2_credential(name, preset=preset, **declared)

    def keep(self, secret_id: str, value: str) -> None:
        """Keep a secret beside the app."""
        self._secrets.set(secret_id, value)

    def says(self, what: str, *answers: Answers) -> None:
        """Let the provider answer requests to ``METHOD URL`` with these in turn, and with the last one for ever."""
        self._says[what] = list(answers)

    def publishes(self, key: Any, *, issuer: str, jwks: str, authorize: str, token: str, subject: str) -> None:
        """Let the provider publish its OpenID metadata, and the key that signs its id tokens."""
        metadata = {
            "issuer": issuer,
            "authorization_endpoint": authorize,
            "token_endpoint": token,
            "jwks_uri": jwks,
            "response_types_supported": ["code"],
            "subject_types_supported": [subject],
            "id_token_signing_alg_values_supported": ["RS256"],
        }
        self.says(f"GET {issuer}/.well-known/openid-configuration", Reply(200, metadata))
        self.says(f"GET {jwks}", Reply(200, {"keys": [key.as_dict(private=False)]}))

    def sign_in_at(self, provider: Any) -> tuple[Any, dict[str, str]]:
        """Sign in at a provider that puts our ``nonce`` into its id token; return its status, and what we asked."""
        begun, asked = self.start()
        provider.nonce = asked["nonce"]
        return self.back(begun, asked, code="the-code"), asked

    def answer(self, request: Asked) -> Reply:
        what = f"{request.method} {request.url.partition('?')[0]}"
        self.asked.setdefault(what, []).append(request)
        answers = self._says.get(what)
        if answers is None:
            return Reply(404, {"error": f"nobody answers {what}"})
        found = answers.pop(0) if len(answers) > 1 else answers[0]
        return found if isinstance(found, Reply) else found(request)

    def start(self, **options: Any) -> tuple[Any, dict[str, str]]:
        """Begin a sign-in; return it with what its address asks for."""
        begun = self.valet.authorize(self.name, **options)
        url = begun.url.partition("#")[0]
        return begun, dict(parse_qsl(url.partition("?")[2], keep_blank_values=True, strict_parsing=True))

    def back(self, begun: Any, asked: dict[str, str], *, mark: str = "", **said: str) -> Any:
        """Come back from the provider with what it `said`; `mark` is what stands behind the address."""
        answer = urlencode({"state": asked["state"], **said})
        return self.valet.finish(f"{asked['redirect_uri']}?{answer}{mark}", binding=begun.binding)

    def sign_in(self, **options: Any) -> Any:
        """Sign in with a code."""
        begun, asked = self.start(**options)
        return self.back(begun, asked, code="the-code")

    def token(self) -> str:
        """Return a usable access token."""
        return str(self.valet.client(self.name).get_access_token().reveal())

    def status(self) -> Any:
        return self.valet.client(self.name).status()

    def refresh(self) -> Any:
        return self.valet.client(self.name).refresh()

    def only(self, what: str) -> Asked:
        """Return the one request that went there."""
        (one,) = self.asked[what]
        return one
