"""Programs that call the REST API of a site."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from valetkey.engine.api_keys import SCOPES, ApiKey, ApiKeys


class Program:
    """A program with an API key.

    Attributes:
        key: Its key, as it was made.
        secret: The whole text of the key.
        http: What sends.
    """

    def __init__(self, base: str, key: ApiKey, secret: str) -> None:
        self.key = key
        self.secret = secret
        self.http = httpx2.Client(base_url=f"{base}/v1", headers={"Authorization": f"Bearer {secret}"}, timeout=30)
        self.get, self.post, self.patch = self.http.get, self.http.post, self.http.patch

    def token(self, connection_id: str, **options: Any) -> httpx2.Response:
        return self.post(f"/connections/{connection_id}/token", **options)

    def ids(self, **query: Any) -> list[str]:
        """Return the ids of all connections that it sees, page by page."""
        found: list[str] = []
        cursor: str | None = None
        while True:
            answer = self.get("/connections", params={**query, **({"cursor": cursor} if cursor else {})})
            assert answer.status_code == 200, answer.text
            page = answer.json()
            assert len(page["items"]) <= query.get("limit", 100)
            found += [item["id"] for item in page["items"]]
            cursor = page["cursor"]
            if cursor is None:
                return found


class Api:
    """The API of a site, and the programs that call it."""

    def __init__(self, site: Any) -> None:
        self.site = site
        self.practice = site.practice
        core = site.practice.valet._core
        self.core = core
        self.keys = ApiKeys(core.store, core.clock, core.env)
        self._programs: list[Program] = []

    def program(self, *scopes: str, **limits: Any) -> Program:
        """Return a program whose key has these scopes, or all."""
        key, secret = self.keys.add("a program", scopes or list(SCOPES), **limits)
        self._programs.append(Program(self.site.base, key, secret.reveal()))
        return self._programs[-1]

    def close(self) -> None:
        for program in self._programs:
            program.http.close()


@pytest.fixture
def api(site: Any) -> Iterator[Api]:
    api = Api(site)
    yield api
    api.close()
