"""Every HTTP client that valetkey has an adapter for, driven alike against real servers on loopback."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import httpx
import httpx2
import pytest
import requests

from shared.api import Api
from valetkey.adapters.aiohttp import middleware
from valetkey.adapters.httpx import HttpxAuth
from valetkey.adapters.requests import RequestsAuth
from valetkey.testing import Practice

TOGETHER = 100


# -- the clients -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Answer:
    """What an HTTP client gave back."""

    status: int
    body: bytes = field(repr=False)


class Driver:
    """An HTTP client with the adapter on it, called as if it blocked; redirects are followed.

    Attributes:
        colour: ``sync`` or ``async``: whose client it stands on.
        sees_hops: Whether the adapter sees each hop of a redirect, and not only the last one.
    """

    colour: str
    sees_hops = True

    def __init__(self, practice: Practice, name: str, scopes: tuple[str, ...]) -> None:
        self.practice = practice
        valet = practice.valet if self.colour == "sync" else practice.async_valet
        self.open(valet.client(name, scopes=scopes))

    def open(self, client: Any) -> None:
        raise NotImplementedError

    def request(self, method: str, url: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Answer:
        raise NotImplementedError

    def get(self, url: str, headers: Mapping[str, str] | None = None) -> Answer:
        return self.request("GET", url, headers=headers)

    def herd(self, url: str) -> list[int]:
        """Send a hundred GET requests at once; return the statuses."""
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError


class Blocking(Driver):
    colour = "sync"

    def herd(self, url: str) -> list[int]:
        together = threading.Barrier(TOGETHER)

        def call(_: int) -> int:
            together.wait()
            return self.get(url).status

        with ThreadPoolExecutor(TOGETHER) as pool:
            return list(pool.map(call, range(TOGETHER)))


class OnRequests(Blocking):
    def open(self, client: Any) -> None:
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.auth = RequestsAuth(client)
        self.session.mount("http://", requests.adapters.HTTPAdapter(pool_maxsize=TOGETHER))

    def request(self, method: str, url: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Answer:
        answer = self.session.request(method, url, data=body, headers=headers)
        return Answer(answer.status_code, answer.content)

    def close(self) -> None:
        self.session.close()


class OnHttpx(Blocking):
    sees_hops = False

    def open(self, client: Any) -> None:
        self.client: Any = httpx.Client(auth=HttpxAuth(client), follow_redirects=True, trust_env=False)

    def request(self, method: str, url: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Answer:
        answer = self.client.request(method, url, content=body, headers=headers)
        return Answer(answer.status_code, answer.content)

    def close(self) -> None:
        self.client.close()


class OnHttpx2(OnHttpx):
    def open(self, client: Any) -> None:
        self.client = httpx2.Client(auth=client.auth, follow_redirects=True, trust_env=False)


class Awaiting(Driver):
    colour = "async"

    def __init__(self, practice: Practice, name: str, scopes: tuple[str, ...]) -> None:
        self.runner = asyncio.Runner()
        super().__init__(practice, name, scopes)

    async def send(self, method: str, url: str, body: Any, headers: Mapping[str, str] | None) -> Answer:
        raise NotImplementedError

    def request(self, method: str, url: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Answer:
        return self.runner.run(self.send(method, url, awaited(body), headers))

    def herd(self, url: str) -> list[int]:
        async def all_of_them() -> list[int]:
            calls = (self.send("GET", url, None, None) for _ in range(TOGETHER))
            return [answer.status for answer in await asyncio.gather(*calls)]

        return self.runner.run(all_of_them())

    async def leave(self) -> None:
        raise NotImplementedError

    def close(self) -> None:
        async def close() -> None:
            await self.leave()
            await self.practice.async_valet.close()

        self.runner.run(close())
        self.runner.close()


class OnHttpxAsync(Awaiting):
    sees_hops = False

    def open(self, client: Any) -> None:
        self.client: Any = httpx.AsyncClient(auth=HttpxAuth(client), follow_redirects=True, trust_env=False)

    async def send(self, method: str, url: str, body: Any, headers: Mapping[str, str] | None) -> Answer:
        answer = await self.client.request(method, url, content=body, headers=headers)
        return Answer(answer.status_code, answer.content)

    async def leave(self) -> None:
        await self.client.aclose()


class OnHttpx2Async(OnHttpxAsync):
    def open(self, client: Any) -> None:
        self.client = httpx2.AsyncClient(auth=client.auth, follow_redirects=True, trust_env=False)


class OnAiohttp(Awaiting):
    def open(self, client: Any) -> None:
        async def session() -> aiohttp.ClientSession:
            return aiohttp.ClientSession(middlewares=(middleware(client),))

        self.session = self.runner.run(session())

    async def send(self, method: str, url: str, body: Any, headers: Mapping[str, str] | None) -> Answer:
        async with self.session.request(method, url, data=body, headers=headers) as answer:
            return Answer(answer.status, await answer.read())

    async def leave(self) -> None:
        await self.session.close()


def awaited(body: Any) -> Any:
    """Return an iterator as asynchronous clients take it; all else as it is."""
    if not isinstance(body, Iterator) or hasattr(body, "read"):
        return body

    async def pieces() -> AsyncIterator[bytes]:
        for piece in body:
            yield piece

    return pieces()


DRIVERS = {
    "requests": OnRequests,
    "httpx": OnHttpx,
    "httpx-async": OnHttpxAsync,
    "aiohttp": OnAiohttp,
    "httpx2": OnHttpx2,
    "httpx2-async": OnHttpx2Async,
}


# -- fixtures ----------------------------------------------------------------------------------------------------------


class World:
    """An API, a second origin that is not the credential's, and the credential ``api`` with a person connected.

    Attributes:
        api: The API.
        other: A second server of the credential: another origin, and the token may go there too.
        foreign: A server of somebody else.
        practice: The authorization server and the valets.
    """

    def __init__(self, practice: Practice) -> None:
        self.practice = practice
        self.provider = practice.provider
        self.api, self.other, self.foreign = Api(practice), Api(practice), Api(practice)
        self.declare()

    def declare(self, name: str = "api", **fields: Any) -> None:
        """Declare a credential of the API, and connect the person, two minutes ago."""
        hosts = [self.api.host, self.other.host]
        self.practice.declare(name, api_hosts=hosts, api_headers={"X-Provider": "theirs"}, **fields)
        self.practice.connect(name)
        self.practice.clock.advance(120)

    def close(self) -> None:
        for server in (self.api, self.other, self.foreign):
            server.close()


@pytest.fixture
def world(practice: Practice) -> Iterator[World]:
    world = World(practice)
    yield world
    world.close()


class Web:
    """Makes drivers of one kind."""

    def __init__(self, kind: type[Driver], world: World) -> None:
        self._kind = kind
        self._world = world
        self._open: list[Driver] = []

    def __call__(self, name: str = "api", scopes: tuple[str, ...] = ()) -> Any:
        driver = self._kind(self._world.practice, name, scopes)
        self._open.append(driver)
        return driver

    def close(self) -> None:
        for driver in self._open:
            driver.close()


@pytest.fixture(params=DRIVERS.values(), ids=DRIVERS)
def drive(request: pytest.FixtureRequest, world: World) -> Iterator[Web]:
    """Give what makes an HTTP client of each kind with the adapter on it."""
    web = Web(request.param, world)
    yield web
    web.close()


@pytest.fixture
def web(drive: Web) -> Any:
    """Give an HTTP client of each kind, with the adapter for the credential ``api`` on it."""
    return drive()
