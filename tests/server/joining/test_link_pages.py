"""Connect links in the console: shown once, listed by state, withdrawn."""

from __future__ import annotations

import re
from html import unescape
from typing import Any
from urllib.parse import urlsplit

import pytest

from valetkey.engine.link_lists import list_links
from valetkey.engine.links import create_link
from valetkey.model.connections import ConnectionKey


def nonce(page: Any) -> str:
    found = re.search(r'name="nonce" value="([^"]+)"', page.text)
    assert found
    return found[1]


def create(walk: Any, **fields: Any) -> tuple[Any, dict[str, Any]]:
    page = walk.visitor.get("/console/links/new")
    form = {"credential": "notes", "whose": "owner", "owner": "hooli", "expires_in": "86400", "nonce": nonce(page)}
    form |= fields
    return walk.visitor.post("/console/links", **form), form


def address(page: Any) -> str:
    found = re.search(r'<code id="lnk">([^<]+)</code>', page.text)
    assert found, page.text
    return unescape(found[1])


def test_an_owner_that_turns_the_text_around_is_shown_without_it_everywhere(walk: Any) -> None:
    owner = "hooli\u202e<b>"
    core = walk.site.practice.valet._core
    create_link(core.world, ConnectionKey("test", "notes", owner, "work\u202e"))  # from before they were refused
    record = core.store.find(walk.site.practice.connect("notes", owner="kept").connection_id)
    assert core.store.rename(record, ConnectionKey("test", "notes", owner), "elsewhere")
    visitor = walk.visitor
    shown = [visitor.get("/console/links"), visitor.get("/console/owner", params={"id": owner})]

    for one in shown:
        assert "hooli &lt;b&gt;" in one.text
        assert "\u202e" not in one.text
    assert "hooli &lt;b&gt;" in visitor.get("/console/owner/forget", params={"id": owner}).text
    assert visitor.post("/console/owner/forget", id=owner, confirm="hooli <b>").status_code == 303


def test_a_link_is_shown_in_one_answer_only(walk: Any) -> None:
    page, form = create(walk)

    link = address(page)
    assert page.status_code == 200
    assert page.headers["cache-control"] == "no-store"
    again = walk.visitor.post("/console/links", **form)
    assert (again.status_code, again.headers["location"]) == (303, "/console/links")
    assert len(list_links(walk.site.practice.valet._core.world, "test")[0]) == 1
    token = link.rpartition("/")[2]
    assert token not in walk.visitor.get("/console/links").text


def test_a_link_of_the_console_connects(walk: Any, site: Any, walker: Any) -> None:
    page, _ = create(walk, account="work")
    holder = walker(site, site.visitor())
    path = urlsplit(address(page)).path
    holder.visitor.get(path)
    url = holder.way_out(holder.visitor.post(path, do="go"))

    holder.come_back(holder.provider.approve(url))

    (status,) = walk.site.practice.valet.connections()
    assert (status.connection.owner, status.connection.account, status.state) == ("hooli", "work", "connected")
    listed = walk.visitor.get("/console/links?state=used").text
    assert f"/console/connections/{status.connection_id}" in listed
    (made,) = [e for e in walk.site.practice.valet.events() if e.kind == "link_created"]
    assert made.actor == "login link"


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        pytest.param({"owner": ""}, "the owner is empty", id="owner"),
        pytest.param({"return_to": "https://attacker.example/"}, "not among the addresses", id="return address"),
        pytest.param({"credential": "nothing"}, "nothing", id="credential"),
    ],
)
def test_a_form_that_is_wrong_makes_no_link_and_keeps_what_was_typed(walk: Any, fields: Any, said: str) -> None:
    page, _ = create(walk, account="work", **fields)

    assert (page.status_code, said in page.text) == (400, True)
    assert 'value="work"' in page.text
    assert not list_links(walk.site.practice.valet._core.world, "test")[0]


def test_a_link_is_withdrawn(walk: Any, site: Any) -> None:
    page, _ = create(walk)
    (link,) = list_links(walk.site.practice.valet._core.world, "test")[0]
    walk.visitor.get("/console/links")

    walk.visitor.post(f"/console/links/{link.id}/withdraw")

    assert site.visitor().get(urlsplit(address(page)).path).status_code == 410
    listed = walk.visitor.get("/console/links").text
    assert "Withdrawn" in listed
    assert "?credential=notes&owner=hooli" in unescape(listed)


def test_links_are_found_by_owner_and_state(walk: Any) -> None:
    create(walk)
    create(walk, owner="globex")

    page = walk.visitor.get("/console/links?q=globex").text
    assert ("globex</b>" in page, "hooli</b>" in page) == (True, False)
    assert "globex</b>" not in walk.visitor.get("/console/links?state=used").text


def test_a_link_for_a_connection_is_filled_in(walk: Any) -> None:
    status = walk.site.practice.connect("notes", owner="u1", account="work")

    page = walk.visitor.get(f"/console/links/new?connection={status.connection_id}").text

    assert 'value="u1"' in page
    assert 'value="work"' in page


def test_making_links_takes_more_than_looking(site: Any, walker: Any) -> None:
    onlooker = walker(site, site.operator("look"))

    assert onlooker.visitor.get("/console/links").status_code == 200
    assert onlooker.visitor.get("/console/links/new").status_code == 403
    onlooker.visitor.get("/console/links")
    assert onlooker.visitor.post("/console/links", credential="notes", whose="own").status_code == 403
