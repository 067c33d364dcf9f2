"""Walks to the provider and back, as a browser without script takes them."""

from __future__ import annotations

import re
from html import unescape
from typing import Any
from urllib.parse import urlsplit

import pytest


class Walk:
    """Somebody in front of a browser: our pages on the one side, the provider's on the other."""

    def __init__(self, site: Any, visitor: Any) -> None:
        self.site = site
        self.provider = site.practice.provider
        self.visitor = visitor

    def begin(self, name: str = "notes", **fields: Any) -> str:
        """Begin in the console; returns the provider's address."""
        self.visitor.get("/console/connections")
        return self.way_out(self.visitor.post(f"/console/connect/{name}", **{"whose": "own", **fields}))

    def connect(self, *, login: str = "ada", **fields: Any) -> Any:
        """Connect from the console; returns what the callback answers."""
        return self.come_back(self.provider.approve(self.begin(**fields), login=login))

    def come_back(self, callback: str) -> Any:
        """Return with the provider's answer, and go to the clean address that a page about a failure has.

        Nothing listens at the port of the pretended public address.
        """
        parts = urlsplit(callback)
        answer = self.visitor.get(f"{parts.path}?{parts.query}")
        assert answer.status_code == 303, "a page stands at the address of the callback"
        clean = answer.headers["location"]
        assert not urlsplit(clean).query or "/callback/" not in clean
        return self.visitor.get(clean) if "/callback/" in clean else answer

    @staticmethod
    def way_out(page: Any) -> str:
        """Return where a page refreshes to: the provider's authorization page."""
        assert page.status_code == 200, page.text
        found = re.search(r'http-equiv="refresh" content="0; url=([^"]+)"', page.text)
        assert found, page.text
        url = unescape(found[1])
        assert f'href="{found[1]}"' in page.text, "the way out needs a link too"
        return url

    @staticmethod
    def title(page: Any) -> str:
        """Return the heading of a page, in plain text."""
        found = re.search(r"<h1[^>]*>(.*?)</h1>", page.text, re.DOTALL)
        assert found, page.text
        return " ".join(unescape(re.sub(r"<[^>]+>", "", found[1])).split())


@pytest.fixture
def walk(site: Any) -> Walk:
    """An operator's walk."""
    return Walk(site, site.operator())


@pytest.fixture
def walker() -> type[Walk]:
    """What makes the walk of anybody."""
    return Walk


@pytest.fixture
def site_of(site_class: Any, practice: Any) -> Any:
    """Return what serves the application with options of the test's own."""
    return lambda **options: site_class(practice, **options)
