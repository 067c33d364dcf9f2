"""The figures for Prometheus."""

from __future__ import annotations

import re
from typing import Any

import httpx2
import pytest

from valetkey.engine.api_keys import ApiKeys

LINE = re.compile(r'(?P<name>[a-z_]+)(?:\{(?P<labels>[a-z_]+="[^"\n]*"(?:,[a-z_]+="[^"\n]*")*)\})? (?P<value>\d+)')


class Scraper:
    def __init__(self, site: Any) -> None:
        core = site.practice.valet._core
        self._keys = ApiKeys(core.store, core.clock, core.env)
        self._address = f"{site.base}/metrics"
        self._usual = self.key("read")

    def key(self, *scopes: str, **limits: Any) -> str:
        return self._keys.add("prometheus", scopes, **limits)[1].reveal()

    def answer(self, key: str | None) -> httpx2.Response:
        return httpx2.get(self._address, headers={"Authorization": f"Bearer {key}"} if key else {})

    def figures(self) -> dict[tuple[str, str], int]:
        answer = self.answer(self._usual)
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
        found = [LINE.fullmatch(line) for line in answer.text.splitlines() if not line.startswith("# ")]
        assert all(found), answer.text
        return {(line["name"], line["labels"] or ""): int(line["value"]) for line in found if line}


@pytest.fixture
def scraper(site: Any) -> Scraper:
    return Scraper(site)


def test_connections_are_counted_by_state(site: Any, scraper: Scraper) -> None:
    assert scraper.figures()["valetkey_connections", 'state="connected"'] == 0
    for owner in ("ada", "bob", "eve"):
        site.practice.connect("notes", owner=owner)
    site.practice.valet.disconnect("notes", owner="eve")

    figures = scraper.figures()
    assert figures["valetkey_connections", 'state="connected"'] == 2
    assert figures["valetkey_connections", 'state="disconnected"'] == 1
    site.practice.secrets.delete("notes-app-credentials")
    figures = scraper.figures()
    assert figures["valetkey_connections", 'state="app_error"'] == 2
    assert figures["valetkey_apps_failing", ""] == 1


def test_refreshes_and_failures_are_counted_from_the_first_look_on(site: Any, scraper: Scraper) -> None:
    practice = site.practice
    practice.connect("notes")
    assert not any(name == "valetkey_events_total" for name, _ in scraper.figures())

    for _ in range(3):
        practice.clock.advance(3601)
        practice.client().get("/me")
    practice.clock.advance(3601)
    practice.provider.fail_next(status=503)
    assert practice.valet.connections().items[0].state == "connected"
    with pytest.raises(Exception, match="Notes"):
        practice.client().get("/me")

    figures = scraper.figures()
    assert figures["valetkey_events_total", 'kind="refreshed",credential="notes"'] == 3
    assert figures["valetkey_events_total", 'kind="refresh_failed",credential="notes"'] == 1
    assert figures == scraper.figures(), "looking counts nothing twice"


@pytest.mark.parametrize(
    ("scopes", "limits", "status"),
    [
        pytest.param(None, {}, 401, id="no key"),
        pytest.param(["manage"], {}, 403, id="another scope"),
        pytest.param(["read"], {"owners": ["ada"]}, 403, id="a limited key"),
        pytest.param(["read"], {"networks": ["10.0.0.0/8"]}, 403, id="from elsewhere"),
    ],
)
def test_the_figures_are_not_for_everybody(
    scraper: Scraper, scopes: list[str] | None, limits: dict[str, Any], status: int
) -> None:
    answer = scraper.answer(scraper.key(*scopes, **limits) if scopes else None)

    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
