"""The console's lists, a detail and the audit log over a store elsewhere, looked at page by page."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import pytest

from shared.site import Site
from valetkey.errors import ReauthorizationRequired
from valetkey.keys.files import FileKeys
from valetkey.server.pages import connections
from valetkey.testing import Practice

LIST = "/console/connections"


class PracticeOver(Practice):
    """A practice on a store that keeps its own time, which is this machine's."""

    def __init__(self, folder: Path, url: str) -> None:
        self._url = url
        FileKeys(folder / "key", can_create=True).create()
        super().__init__(folder)
        self.clock.set(time.time())

    def _options(self) -> dict[str, Any]:
        return {**super()._options(), "store": self._url}


def walk_through(url: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Look at all of it, and fail where it is not what it should be."""
    monkeypatch.setattr(connections, "PAGE", 2)
    with PracticeOver(folder, url) as practice, Site(practice) as site:
        for owner in "abcd":
            practice.connect(owner=owner, login="carol" if owner == "c" else owner)
        practice.connect(owner="e", login="Zo\N{LATIN SMALL LETTER E WITH DIAERESIS}")
        practice.provider.revoke("carol")
        with pytest.raises(ReauthorizationRequired):
            practice.client(owner="c").refresh()
        operator = site.operator()

        text = operator.get(LIST).text
        assert re.search(r'data-count="action">1<', text)
        assert "Access withdrawn at Notes" in text
        pages = [owners(text)]
        while found := following(text, "next"):
            text = operator.get(found).text
            pages.append(owners(text))
        assert pages == [["c", "a"], ["b", "d"], ["e"]]
        text = operator.get(following(text, "prev")).text
        assert owners(text) == ["b", "d"]
        assert following(text, "next")
        assert operator.get(following(text, "prev")).headers["location"] == f"{LIST}?"
        assert owners(operator.get(f"{LIST}?state=needs_reauth").text) == ["c"]
        assert owners(operator.get(f"{LIST}?owner=d").text) == ["d"]
        assert owners(operator.get(f"{LIST}?q=ZO%C3%8B").text) == ["e"]

        status = practice.client(owner="c").status()
        detail = operator.get(f"{LIST}/{status.connection_id}").text
        assert "Needs re-authorization" in detail
        assert "carol@example.com" in detail
        log = operator.get("/console/events?owner=c").text
        assert "owner c" in log
        assert "owner d" not in log


def owners(text: str) -> list[str]:
    """Return whose connections a page lists."""
    return re.findall(r"<p>Notes · owner (\w+)</p>", text)


def following(text: str, rel: str) -> str:
    """Return the address of the page after or before this one; empty where there is none."""
    found = re.search(rf'rel="{rel}" href="([^"]+)"', text)
    return found[1].replace("&amp;", "&") if found else ""
