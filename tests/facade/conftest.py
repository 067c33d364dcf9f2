"""One fixture runs every test of a life cycle over both facades."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from valetkey import AsyncValet, Valet
from valetkey.testing import Practice


class Face:
    """One facade over a practice: its valet, called as if it blocked."""

    def __init__(self, practice: Practice, colour: Any) -> None:
        self.practice = practice
        self.colour = colour.name
        self.run = colour.run
        self._blocking = colour.blocking

    @property
    def raw(self) -> Valet | AsyncValet:
        return self.practice.valet if self.colour == "sync" else self.practice.async_valet

    @property
    def valet(self) -> Any:
        return self._blocking(self.raw)

    def client(self, name: str = "notes", **options: Any) -> Any:
        return self.valet.client(name, **options)


@pytest.fixture
def face(colour: Any, practice: Practice) -> Iterator[Face]:
    face = Face(practice, colour)
    yield face
    face.valet.close()
