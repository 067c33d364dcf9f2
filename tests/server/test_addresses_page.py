"""Addresses that operators set: where people may be sent back to, and where the server is reached."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from valetkey.engine.public import Addresses, addresses, set_addresses
from valetkey.errors import ConfigurationError

PAGE = "/console/settings/environments"


@pytest.fixture
def unset(practice: Any, served: Callable[..., Any]) -> Any:
    """Serve a valet of which nobody said where it is reached."""
    practice.valet._core.base_url = None
    return served()


def save(operator: Any, **fields: str) -> Any:
    operator.get(PAGE)
    return operator.post(PAGE, **fields)


def test_links_may_lead_back_to_what_operators_allow_and_no_longer_to_what_they_took_away(unset: Any) -> None:
    core, operator, valet = unset.server.core, unset.operator(), unset.practice.valet
    back = "https://app.acme.example/settings/done"
    with pytest.raises(ConfigurationError) as caught:
        valet.connect_link("notes", owner="a", return_to=back)
    assert caught.value.code == "server_url_missing"

    saved = save(operator, base_url="https://connect.acme.example/", return_to="https://app.acme.example/settings/\n\n")
    assert saved.status_code == 303
    assert "Saved." in operator.get(saved.headers["location"]).text
    assert "https://app.acme.example/settings/" in operator.get(PAGE).text
    link = valet.connect_link("notes", owner="a", return_to=back)
    assert link.startswith("https://connect.acme.example/connect/")
    assert valet.connect_link("notes", owner="a", return_to="https://connect.acme.example/somewhere")

    assert save(operator, base_url="https://connect.acme.example", return_to="").status_code == 303
    with pytest.raises(ConfigurationError) as caught:
        valet.connect_link("notes", owner="a", return_to=back)
    assert caught.value.code == "return_url_not_allowed"
    told = [event.detail for event in core.store.list_events(env=core.env) if event.kind == "addresses_changed"]
    assert told[0] == {"added": ["https://app.acme.example/settings/"], "public": "https://connect.acme.example"}
    assert told[1] == {"removed": ["https://app.acme.example/settings/"]}


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        pytest.param({"return_to": "javascript:alert(1)"}, "is no address below which", id="script"),
        pytest.param({"return_to": "https://app.example/?next="}, "is no address below which", id="query"),
        pytest.param({"return_to": "http://app.example/"}, "is no address below which", id="not encrypted"),
        pytest.param(
            {"return_to": "\n".join(f"https://a{n}.example/" for n in range(51))}, "and 50 are taken", id="51"
        ),
        pytest.param({"base_url": "http://connect.example"}, "is not encrypted", id="public, not encrypted"),
        pytest.param({"base_url": "connect.example"}, "not the address of a web application", id="public, no address"),
    ],
)
def test_what_is_no_address_is_refused_and_stays_in_the_form(unset: Any, fields: dict[str, str], why: str) -> None:
    answer = save(unset.operator(), **fields)
    assert answer.status_code == 400
    assert why in answer.text
    assert next(iter(fields.values())).splitlines()[0] in answer.text
    assert addresses(unset.server.core.store, unset.server.core.env) == Addresses()


def test_what_code_names_is_read_only_and_goes_on_to_count(served: Callable[..., Any]) -> None:
    site = served(return_urls=["https://code.example/"], base_url="http://localhost:8000")
    core, operator = site.server.core, site.operator()
    page = operator.get(PAGE).text
    assert page.count("read-only here") == 2
    assert 'name="base_url"' not in page
    assert save(operator, base_url="https://sneaky.example", return_to="https://app.example/").status_code == 303
    assert addresses(core.store, core.env) == Addresses(return_urls=("https://app.example/",))
    allowed = site.server.desk.return_urls()
    assert {"http://localhost:8000/", "https://code.example/", "https://app.example/"} <= set(allowed)


def test_each_environment_has_its_own(site: Any) -> None:
    core = site.server.core
    set_addresses(core.store, core.clock, "other", public="", return_urls=["https://other.example/"], by="mira")
    assert addresses(core.store, core.env) == Addresses()
    assert save(site.operator("connections"), return_to="https://x.example/").status_code == 403
