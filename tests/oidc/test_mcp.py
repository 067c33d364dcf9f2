"""An MCP server's authorization at a real server: the life of a connection with `McpAuth`, over both facades."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from valetkey import AsyncValet, NotConnected, ScopesMissing, Valet
from valetkey.adapters.mcp import McpAuth

conformance = pytest.mark.conformance
CALLBACK = "http://127.0.0.1:8421/callback/tools"
one_facade = pytest.mark.parametrize("colour", ["sync"], indirect=True)
"""Where nothing depends on the facade."""


class Caller:
    """A program that calls the server's tools, and the person who signs in for it.

    Attributes:
        asked: The parameters of every sign-in.
        refuses: What the person does not grant.
    """

    def __init__(self, program: Any, person: Any) -> None:
        self.program = program
        self.asked: list[dict[str, list[str]]] = []
        self.refuses: tuple[str, ...] = ()
        self._person = person
        self._ends: list[Callable[[], object]] = []
        program.wiring.oauth2_credential(
            "tools", security_profile="mcp", api_base_url=f"{program.server.issuer}/resource"
        )

    def sign_in(self, url: str) -> str:
        self.asked.append(parse_qs(urlsplit(url).query))
        callback: str = self._person(refuses=self.refuses).sign_in(url)
        return callback

    def http(self, valet: Any = None, sign_in: bool | Callable[[str], str] | None = None) -> Any:
        client = (valet or self.program.raw).client("tools")
        auth = McpAuth(client, sign_in=self.sign_in if sign_in is None else sign_in, redirect_uri=CALLBACK)
        if self.program.colour.name == "sync":
            http: Any = httpx2.Client(auth=auth)
            self._ends.append(http.close)
        else:
            http = self.program.colour.blocking(httpx2.AsyncClient(auth=auth))
            self._ends.append(http.aclose)
        return http

    def close(self) -> None:
        for end in self._ends:
            end()

    @property
    def url(self) -> str:
        return f"{self.program.server.issuer}/resource"


@pytest.fixture
def caller(program: Any, person: Any) -> Iterator[Caller]:
    caller = Caller(program, person)
    yield caller
    caller.close()


@conformance(
    "1 metadata: resource",
    "1 metadata: scope choice",
    "1 metadata: offline_access",
    "1 metadata: order",
    "1 core: challenges",
)
def test_a_connection_lives_on_after_one_sign_in(caller: Caller, tmp_path: Any) -> None:
    program, server = caller.program, caller.program.server
    http = caller.http()
    first = http.get(caller.url)
    assert first.status_code == 200
    assert first.json()["aud"] == caller.url, "the token is for that server alone"
    assert set(caller.asked[0]) == {"client_id", "request_uri"}, "pushed, as the server can"
    assert program.client("tools").status().requested == ("api.read", "offline_access")
    http.get(caller.url)
    program.clock.advance(61)
    server.expire_access_tokens()
    assert http.get(caller.url).status_code == 200
    assert (len(caller.asked), server.refreshes) == (1, (1, 0)), "a refresh, and no person"

    expires_at = program.client("tools").status().expires_at
    cls = Valet if program.colour.name == "sync" else AsyncValet
    later = cls(
        tmp_path / "valetkey.db",
        key=tmp_path / "key",
        env="test",
        wiring=program.wiring,
        secrets=program.secrets,
        clock=program.clock,
    )
    assert caller.http(later).get(caller.url).status_code == 200
    status = program.colour.blocking(later).client("tools").status()
    assert status.expires_at == expires_at, "another process knows when it ends"
    assert len(caller.asked) == 1
    program.colour.blocking(later).close()


@conformance("1 metadata: scope choice", "2 scope-step-up", "2 scope-retry-limit")
def test_more_scopes_are_asked_for_once_and_with_those_that_are_there(caller: Caller) -> None:
    http, server = caller.http(), caller.program.server
    http.get(caller.url)
    server.switch(write=1)
    assert http.get(caller.url).status_code == 200
    assert len(caller.asked) == 2
    assert set(caller.program.client("tools").status().requested) == {"api.read", "api.write", "offline_access"}


@conformance("2 scope-retry-limit")
@one_facade
def test_scopes_that_are_not_granted_are_asked_for_once(caller: Caller) -> None:
    http, server = caller.http(), caller.program.server
    http.get(caller.url)
    server.switch(write=1)
    caller.refuses = ("api.write",)
    for _ in range(3):
        with pytest.raises(ScopesMissing) as caught:
            http.get(caller.url)
        assert caught.value.missing == ("api.write",)
    assert len(caller.asked) == 2


@one_facade
def test_where_nobody_can_sign_in_the_error_says_so_and_elsewhere_the_scopes_are_known(caller: Caller) -> None:
    with pytest.raises(NotConnected):
        caller.http(sign_in=False).get(caller.url)
    caller.program.connect("tools")
    assert caller.http(sign_in=False).get(caller.url).status_code == 200
    assert caller.asked == []
