"""A connection's whole life at the twin of its provider."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from shared.everywhere import Asked, Reply
from shared.twin import Twin
from shared.twin_demands import APP_KEY, CLIENT_ID, CLIENT_SECRET, secret_of
from valetkey import AsyncValet, Valet
from valetkey.keys.memory import MemoryKeys
from valetkey.model.credentials import OAuth2Credential
from valetkey.model.presets import load_preset
from valetkey.model.wiring import Wiring
from valetkey.secret_services.memory import MemorySecrets
from valetkey.stores.memory import MemoryStore
from valetkey.testing import FakeClock

_LOST = 502


def app_of(credential: OAuth2Credential) -> dict[str, str]:
    """Return the app that the twin knows, as it is kept: with its secret, or with the key that signs it."""
    if not credential.signed_secret_claims:
        return {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
    return {"client_id": CLIENT_ID, "private_key": APP_KEY.as_pem(private=True).decode(), "key_id": "APPKEY1234"}


def tells(credential: OAuth2Credential) -> bool:
    """Whether the provider says who connected."""
    return bool(credential.userinfo_url or (credential.issuer and "openid" in credential.all_scopes))


class Life:
    """A valet, over either facade, that knows one provider: its twin; `beside`: on the store of another life.

    All is in memory, for what a store does is tested elsewhere, and a file for each life would cost most of its time.
    """

    def __init__(self, preset: str, colour: Any, *, beside: Life | None = None, **declared: Any) -> None:
        rules = load_preset(preset).url_params.items()
        examples = {name: rule.example or rule.default for name, rule in rules if not rule.optional}
        wiring, secrets = Wiring(), MemorySecrets()
        credential = wiring.oauth2_credential(
            preset=preset, params={**examples, **declared.pop("params", {})}, **declared
        )
        secrets.set(credential.secret_id, json.dumps(app_of(credential)))
        for secret_id in credential.api_header_secrets.values():
            secrets.set(secret_id, secret_of(secret_id))
        self.name = credential.name
        self.clock = beside.clock if beside else FakeClock()
        self._store, self._keys = (
            (beside._store, beside._keys) if beside else (MemoryStore(clock=self.clock), MemoryKeys())
        )
        self.twin = Twin(credential, self.clock.now)
        self.asked: list[Asked] = []
        self.change: Callable[[Asked, Reply], Reply] = lambda _, reply: reply
        self.instead: Callable[[Asked], Reply | None] = lambda _: None
        self.raw = (Valet if colour.name == "sync" else AsyncValet)(
            self._store,
            key=self._keys,
            wiring=wiring,
            secrets=secrets,
            base_url="https://app.example",
            clock=self.clock,
        )
        self.valet = colour.blocking(self.raw)

    def connect(self) -> Any:
        """Connect as somebody does who says what this provider wants to be told."""
        return self.valet.connect(self.name) if self.twin.credential.by_itself else self.sign_in()

    def call(self) -> int:
        answer = self.valet.client(self.name).get("/things")
        assert str(answer.url) == f"{self.twin.credential.api_base_url.rstrip('/')}/things"
        return int(answer.status_code)

    def answer(self, request: Asked) -> Reply:
        """Answer as the twin does, but for what a test changes, and remember who was asked what."""
        self.asked.append(request)
        reply = self.instead(request)
        return self.change(request, self.twin.answer(request)) if reply is None else reply

    def grow_old(self) -> None:
        """Let time pass until the access token has to be renewed, which may still do it where it renews itself."""
        by_itself = self.twin.credential.renews_by_access_token
        self.clock.advance(self.twin.lifetime * 0.95 if by_itself else self.twin.lifetime + 1)

    def status(self) -> Any:
        return self.valet.client(self.name).status()

    def fail(self, *statuses: int) -> None:
        """Let the next answers to token requests have these statuses, and say nothing else.

        Of a 502 the provider knows nothing: it did what it was asked for.  Of others it does.
        """
        declared, left = self.twin.credential, list(statuses)
        urls = {url.partition("?")[0] for url in (declared.token_url, declared.refresh_url)}

        def instead(request: Asked) -> Reply | None:
            if not left or request.url.partition("?")[0] not in urls:
                return None
            status = left.pop(0)
            if status == _LOST:
                self.twin.answer(request)
            return Reply(status, {}, text="<html></html>")

        self.instead = instead

    def asked_at(self, path: str) -> list[Asked]:
        """Return the requests to URLs that end with a path."""
        return [one for one in self.asked if urlsplit(one.url).path.endswith(path)]

    @property
    def hosts(self) -> set[str]:
        """All hosts that were asked anything."""
        return {urlsplit(one.url).netloc for one in self.asked}

    def sign_in(self, params: Mapping[str, str] | None = None, change: Callable[[str], str] = str, **whose: Any) -> Any:
        """Connect; `change` is what somebody makes of the address that the browser comes back to."""
        start = self.valet.authorize(self.name, params=self.twin.places.given if params is None else params, **whose)
        came = change(self.twin.approve(start.url))
        return self.valet.finish(came, binding=start.binding, owner=whose.get("owner"))
