"""The list of connect links: read back and forth."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

import pytest

from valetkey.engine.link_lists import list_links, list_links_before
from valetkey.engine.links import create_link
from valetkey.model.connections import ConnectionKey
from valetkey.server.pages import links as page_of

LINKS = "/console/links"


def owners(text: str) -> list[str]:
    return re.findall(r'<b class="nm">(\w+)</b>', text)


def make(site: Any, *names: str, apart: float = 0.0) -> None:
    """Make a link for each of these owners, the last is the newest."""
    core = site.practice.valet._core
    for name in names:
        create_link(core.world, ConnectionKey(core.env, "notes", name), expires_in=30 * 86400.0)
        site.practice.clock.advance(apart)


def read_on(operator: Any, rel: str, address: str) -> tuple[list[list[str]], str]:
    """Follow the links of that kind; returns what each page shows, and the address of the last."""
    pages, last = [], address
    while address:
        answer = operator.get(address)
        if answer.status_code == 303:
            answer = operator.get(answer.headers["location"])
        pages.append(owners(answer.text))
        following = re.search(rf'rel="{rel}" href="([^"]+)"', answer.text)
        last, address = address, unescape(following[1]) if following else ""
    return pages, last


@pytest.mark.parametrize("apart", [pytest.param(0.0, id="at once"), pytest.param(86400.0, id="a day each")])
def test_the_list_of_links_is_read_back_and_forth(site: Any, monkeypatch: pytest.MonkeyPatch, apart: float) -> None:
    monkeypatch.setattr(page_of, "PAGE", 2)
    make(site, *"abcdefg", apart=apart)
    core, operator = site.practice.valet._core, site.operator()
    order = [str(link.key.owner) for link in list_links(core.world, core.env)[0]]

    back, last = read_on(operator, "next", LINKS)
    assert back == [order[0:2], order[2:4], order[4:6], order[6:7]]
    forth, _ = read_on(operator, "prev", last)
    assert forth == back[::-1]
    assert 'rel="prev"' not in operator.get(LINKS).text


def test_pages_of_links_keep_what_was_searched_for(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_of, "PAGE", 2)
    make(site, "mine1", "other", "mine2", "mine3", "else", "mine4", "mine5", apart=3600.0)
    operator = site.operator()
    query = f"{LINKS}?q=mine&state=open"

    back, last = read_on(operator, "next", query)
    assert back == [["mine5", "mine4"], ["mine3", "mine2"], ["mine1"]]
    assert read_on(operator, "prev", last)[0] == back[::-1]


def test_a_place_that_is_none_shows_the_newest(site: Any) -> None:
    make(site, "a", "b")
    operator = site.operator()
    for query in ("before=zz", "after=%27", f"before={'g' * 24}"):
        assert sorted(owners(operator.get(f"{LINKS}?{query}").text)) == ["a", "b"], query


def test_the_page_before_is_found_by_reading_little(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    make(site, *(f"o{n}" for n in range(30)), apart=3600.0)
    core = site.practice.valet._core
    everything = list_links(core.world, core.env)[0]
    read: list[str] = []
    found = core.store.list_documents

    def counted(*given: Any, **options: Any) -> Any:
        documents = found(*given, **options)
        read.extend(document.id for document in documents)
        return documents

    monkeypatch.setattr("valetkey.model.paging.DOCUMENTS", 4)
    monkeypatch.setattr(core.store, "list_documents", counted)
    before, more = list_links_before(core.world, core.env, everything[25].id, limit=3)
    assert [link.id for link in before] == [link.id for link in everything[22:25]]
    assert more
    assert everything[0].id not in read
