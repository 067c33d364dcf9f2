"""The pytest plugin: the fixtures ``practice``, ``practice_provider`` and ``wicked_server``.

pytest finds it by its entry point, in every project that has valetkey installed; so it imports nothing of weight
before a test asks for a fixture.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from valetkey.testing.practice import Practice
    from valetkey.testing.provider import PracticeProvider
    from valetkey.testing.wicked import WickedServer


@pytest.fixture
def practice(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Practice]:
    """Give a practice provider, a clock that stands still, and real valets on a store in a temporary folder."""
    from valetkey.testing.practice import Practice  # noqa: PLC0415 - only for tests that ask for it

    with Practice(tmp_path_factory.mktemp("practice")) as practice:
        yield practice


@pytest.fixture
def practice_provider() -> Iterator[PracticeProvider]:
    """Give a running practice provider by the system's clock, alone."""
    from valetkey.testing.provider import PracticeProvider  # noqa: PLC0415 - only for tests that ask for it

    with PracticeProvider() as provider:
        yield provider


@pytest.fixture
def wicked_server() -> Iterator[WickedServer]:
    """Give a running server that behaves until it is told otherwise, by the system's clock, alone."""
    from valetkey.testing.wicked import WickedServer  # noqa: PLC0415

    with WickedServer() as server:
        yield server
