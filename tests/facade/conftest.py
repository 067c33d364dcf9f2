"""One fixture runs every test of a life cycle over both facades."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from valetkey import AsyncOAuth2Client, AsyncValet, OAuth2Client, Valet
from valetkey.testing import Practice


class Blocking:
    """A valet or client of either colour, called as if it blocked."""

    def __init__(self, target: Any, run: Callable[[Any], Any]) -> None:
        self.target = target
        self._run = run

    def __getattr__(self, name: str) -> Any:
        member = getattr(self.target, name)
        if not inspect.isroutine(member):
            return member

        def call(*args: Any, **kwargs: Any) -> Any:
            result = member(*args, **kwargs)
            if inspect.isawaitable(result):
                result = self._run(result)
            return Blocking(result, self._run) if isinstance(result, OAuth2Client | AsyncOAuth2Client) else result

        return call


class Face:
    """One facade over a practice: its valet, and the loop that it runs on where it needs one."""

    def __init__(self, practice: Practice, colour: str) -> None:
        self.practice = practice
        self.colour = colour
        self._runner = asyncio.Runner() if colour == "async" else None

    @property
    def raw(self) -> Valet | AsyncValet:
        return self.practice.valet if self._runner is None else self.practice.async_valet

    @property
    def valet(self) -> Any:
        return Blocking(self.raw, self.run)

    def client(self, name: str = "notes", **options: Any) -> Any:
        return self.valet.client(name, **options)

    def run(self, awaitable: Any) -> Any:
        async def wait() -> Any:
            return await awaitable

        assert self._runner is not None
        return self._runner.run(wait())

    def close(self) -> None:
        if self._runner is not None:
            self.run(self.practice.async_valet.close())
            self._runner.close()


@pytest.fixture(params=["sync", "async"])
def face(request: pytest.FixtureRequest, practice: Practice) -> Iterator[Face]:
    face = Face(practice, request.param)
    yield face
    face.close()
