"""The web face over a practice, served for real on loopback."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from shared.places import declare_shop
from shared.site import Site

TENANTS = [{"id": "t-1", "name": "Acme <Ltd>"}, {"id": "t-2", "name": "Zoo"}]


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


@pytest.fixture
def tenants(site: Site) -> Any:
    """Return a practice whose connections ("books") are of a tenant, which userinfo lists."""
    practice = site.practice
    fields = practice.provider.credential_fields()
    practice.declare(
        "books",
        api_headers={"X-Tenant": "{tenant}"},
        look_ups=[
            {
                "url": fields["userinfo_url"],
                "params": {"tenant": "id", "tenant_name": "name"},
                "choose": {"list": "tenants", "id": "id", "label": "name"},
            }
        ],
    )
    practice.provider.change_answer(endpoint="userinfo", tenants=TENANTS)
    return practice


@pytest.fixture
def shops(practice: Any) -> Any:
    """Return a practice whose credential "shop" is told its shop and its region at each sign-in."""
    return declare_shop(practice)
