"""`McpAuth` over an MCP server on loopback: who signs in, how often, and what becomes of requests meanwhile."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import httpx2
import pytest

from valetkey import AsyncValet, ConfigurationError, ConnectError, Valet, Wiring
from valetkey.adapters.mcp import McpAuth
from valetkey.secret_services.memory import MemorySecrets
from valetkey.testing import FakeClock, PracticeProvider
from valetkey.testing.provider import DEFAULT_CLIENT_ID, DEFAULT_CLIENT_SECRET

CALLBACK = "http://127.0.0.1:4321/callback/notes"


@dataclass
class Tools:
    """An MCP server, as far as authorization goes.

    Attributes:
        url: Its address.
        issuer: Where people sign in for it.
        takes: Tells whether it takes a token.
        bodies: What was sent to it with a token that it takes.
    """

    url: str
    issuer: str
    takes: Callable[[str], bool] = lambda _: True
    bodies: list[bytes] = field(default_factory=list)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def provider(clock: FakeClock) -> Iterator[PracticeProvider]:
    with PracticeProvider(clock=clock) as provider:
        yield provider


@pytest.fixture
def tools(provider: PracticeProvider) -> Iterator[Tools]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(200, {"resource": tools.url, "authorization_servers": [tools.issuer]})

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            token = self.headers.get("authorization", "").removeprefix("Bearer ")
            if not token or not tools.takes(token):
                where = f"{tools.url.removesuffix('/mcp')}/.well-known/oauth-protected-resource/mcp"
                said = f'Bearer resource_metadata="{where}"' + (', error="invalid_token"' if token else "")
                return self._answer(401, {}, {"www-authenticate": said})
            tools.bodies.append(body)
            return self._answer(200, {"token": token})

        def _answer(self, status: int, body: Any, headers: dict[str, str] | None = None) -> None:
            text = json.dumps(body).encode()
            self.send_response(status)
            for name, value in {**(headers or {}), "content-length": str(len(text))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        tools = Tools(f"http://127.0.0.1:{server.server_port}/mcp", provider.issuer)
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield tools
        server.shutdown()
        thread.join()


@pytest.fixture
def options(tools: Tools, tmp_path: Any, clock: FakeClock) -> dict[str, Any]:
    wiring, secrets = Wiring(), MemorySecrets()
    credential = wiring.oauth2_credential("tools", security_profile="mcp", api_base_url=tools.url)
    app = {"client_id": DEFAULT_CLIENT_ID, "client_secret": DEFAULT_CLIENT_SECRET}
    secrets.set(credential.secret_id, json.dumps(app))
    return {
        "store": tmp_path / "valetkey.db",
        "key": tmp_path / "key",
        "wiring": wiring,
        "secrets": secrets,
        "clock": clock,
    }


def test_many_requests_at_once_have_one_person_sign_in(
    options: dict[str, Any], tools: Tools, provider: PracticeProvider
) -> None:
    visits: list[str] = []

    async def sign_in(url: str) -> str:
        visits.append(url)
        await asyncio.sleep(0)
        return provider.approve(url)

    async def use() -> set[int]:
        async with AsyncValet(**options) as valet:
            auth = McpAuth(valet.client("tools"), sign_in=sign_in, redirect_uri=CALLBACK)
            async with httpx2.AsyncClient(auth=auth) as http:
                answers = await asyncio.gather(*(http.post(tools.url, content=b"x") for _ in range(10)))
                return {answer.status_code for answer in answers}

    assert asyncio.run(use()) == {200}
    assert (len(visits), len(tools.bodies)) == (1, 10)


def test_threads_too_and_a_sign_in_that_fails_fails_for_those_who_waited_for_it(
    options: dict[str, Any], tools: Tools, provider: PracticeProvider
) -> None:
    def no(_: str) -> str:
        raise ConnectError("the person is away", code="connect_cancelled")

    with Valet(**options) as valet, ThreadPoolExecutor(4) as pool:
        client = valet.client("tools")
        with httpx2.Client(auth=McpAuth(client, sign_in=no, redirect_uri=CALLBACK)) as http:
            for one in [pool.submit(http.post, tools.url) for _ in range(4)]:
                with pytest.raises(ConnectError) as caught:
                    one.result()
                assert caught.value.code == "connect_cancelled"
        with httpx2.Client(auth=McpAuth(client, sign_in=provider.approve, redirect_uri=CALLBACK)) as http:
            answers = [pool.submit(http.post, tools.url) for _ in range(4)]
            assert {one.result().status_code for one in answers} == {200}
    assert provider.live_grants == 1


@pytest.mark.conformance("2 authorization-server-migration")
def test_when_the_server_moves_a_person_signs_in_there_and_the_old_grant_goes_nowhere(
    options: dict[str, Any], tools: Tools, provider: PracticeProvider, clock: FakeClock
) -> None:
    with Valet(**options) as valet, PracticeProvider(clock=clock) as new:
        people = {provider.issuer: provider.approve, new.issuer: new.approve}
        auth = McpAuth(
            valet.client("tools"),
            sign_in=lambda url: people[url.partition("/authorize")[0]](url),
            redirect_uri=CALLBACK,
        )
        with httpx2.Client(auth=auth) as http:
            old = http.post(tools.url).json()["token"]
            tools.issuer = new.issuer
            tools.takes = lambda token: token != old
            assert http.post(tools.url, content=b"again").status_code == 200
        assert tools.bodies[-1] == b"again"
        assert (provider.refreshes, new.refreshes) == (0, 0)
        record = valet._core.store.load(valet._desk.key("tools", None, ""))
        assert record is not None
        assert record.issuer == new.issuer


def test_a_body_that_cannot_be_sent_twice_is_sent_once(
    options: dict[str, Any], tools: Tools, provider: PracticeProvider
) -> None:
    with Valet(**options) as valet:
        auth = McpAuth(valet.client("tools"), sign_in=provider.approve, redirect_uri=CALLBACK)
        with httpx2.Client(auth=auth) as http:
            headers = {"content-length": "1"}
            assert http.post(tools.url, content=iter([b"x"]), headers=headers).status_code == 401
            assert http.post(tools.url, content=iter([b"x"]), headers=headers).status_code == 200
    assert tools.bodies == [b"x"]


def test_what_is_no_client_of_an_mcp_server_is_refused(options: dict[str, Any]) -> None:
    options["wiring"].oauth2_credential("plain", issuer="https://as.example")
    with Valet(**options) as valet:
        with pytest.raises(ConfigurationError) as caught:
            McpAuth(valet.client("plain"))
        assert caught.value.code == "profile_unmet"
        with pytest.raises(ConfigurationError) as caught:
            McpAuth("tools")  # type: ignore[arg-type]
        assert caught.value.code == "client_unsuitable"

        async def late(url: str) -> str:
            return url

        auth = McpAuth(valet.client("tools"), sign_in=late, redirect_uri=CALLBACK)
        with httpx2.Client(auth=auth) as http, pytest.raises(ConfigurationError) as caught:
            http.post(options["wiring"].get("tools").api_base_url)
        assert caught.value.code == "client_unsuitable"
