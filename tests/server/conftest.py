"""The web face over a practice, served for real on loopback."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from shared.site import Site


@pytest.fixture(scope="session", autouse=True)
def _cheap_passwords() -> Iterator[None]:
    """Hash passwords with little work: the tests sign in a thousand times."""
    from argon2 import PasswordHasher

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("valetkey.server.passwords._hasher", PasswordHasher(time_cost=1, memory_cost=64, parallelism=1))
        yield


@pytest.fixture
def served(practice: Any) -> Iterator[Callable[..., Site]]:
    """Serve the application with settings of the test's own."""
    sites: list[Site] = []

    def serve(**options: Any) -> Site:
        sites.append(Site(practice, **options).__enter__())
        return sites[-1]

    yield serve
    for site in sites:
        site.__exit__()


@pytest.fixture
def site(practice: Any) -> Iterator[Site]:
    with Site(practice) as site:
        yield site


@pytest.fixture
def site_class() -> type[Site]:
    return Site
