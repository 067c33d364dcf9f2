"""Twins of providers, which stand for every host of the Internet."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from shared.everywhere import Everywhere
from shared.life import Life
from shared.scene import Scene


@pytest.fixture(scope="session")
def everywhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Everywhere]:
    server = Everywhere(tmp_path_factory.mktemp("authority"))
    yield server
    server.close()


@pytest.fixture
def life(
    request: pytest.FixtureRequest, everywhere: Everywhere, colour: Any, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Life]:
    for name, value in everywhere.variables.items():
        monkeypatch.setenv(name, value)
    found = Life(request.param, colour)
    everywhere.answer = found.answer
    yield found
    found.valet.close()


@pytest.fixture
def living(everywhere: Everywhere, colour: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Life]]:
    """Make the life of a preset, declared as the test says."""
    for name, value in everywhere.variables.items():
        monkeypatch.setenv(name, value)
    made: list[Life] = []

    def make(preset: str, **declared: Any) -> Life:
        made.append(Life(preset, colour, **declared))
        everywhere.answer = made[-1].answer
        return made[-1]

    yield make
    for one in made:
        one.valet.close()


@pytest.fixture
def scene(everywhere: Everywhere, colour: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    """A valet that knows one preset, and a provider whose answers a test writes by hand; over both facades."""
    for name, value in everywhere.variables.items():
        monkeypatch.setenv(name, value)
    made = Scene(colour)
    everywhere.answer = made.answer
    yield made
    if made.valet is not None:
        made.valet.close()
