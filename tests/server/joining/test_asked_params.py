"""What each connection has of its own: links carry it, and pages ask the person for what is left."""

from __future__ import annotations

import re
from dataclasses import replace
from html import unescape
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from valetkey.engine.link_lists import list_links
from valetkey.engine.preflight import Probe, probe
from valetkey.errors import ConfigurationError
from valetkey.model.ports import NotSent
from valetkey.server.pages import joining, wizard_going

RIGHT = {"param_shop": "acme", "param_region": "eu"}
HOSTILE = [
    *("evil.example", "acme.evil.example", "acme@evil.example", "a/../b", "..", "acme#", "a?b=c", "{shop}", "ac me"),
    *("acme\u2024evil", "\u0430cme", "<script>alert(1)</script>", "a" * 201, "acme%2fevil", "acme\x00"),
]


@pytest.fixture
def visitor(site: Any) -> Any:
    return site.visitor()


def link(shops: Any, **fields: Any) -> str:
    return urlsplit(shops.valet.connect_link("shop", owner="ada", **fields)).path


def the_link(shops: Any) -> Any:
    return list_links(shops.valet._core.world, "test")[0][0]


def told(url: str) -> dict[str, list[str]]:
    """Return what the provider's address was told of the place."""
    found = parse_qs(urlsplit(url).query)
    return {name: found[name] for name in ("shop", "region") if name in found}


def as_it_was(shops: Any) -> None:
    """Demand that a refused answer left nothing behind: no binding, no flow, no row."""
    now = the_link(shops)
    assert (now.state, now.browser, dict(now.answers)) == ("opened", "", {})
    assert shops.valet._core.store.list_documents("flow") == ()
    assert list(shops.valet.connections()) == []


def test_the_page_asks_for_what_the_link_does_not_carry(shops: Any, visitor: Any, walker: Any, site: Any) -> None:
    path = link(shops, params={"region": "us"})
    page = visitor.get(path).text

    assert ">The shop&#39;s name</label>" in page
    assert ">As in its address: acme of acme.shops.example</p>" in page
    assert 'name="param_shop" required' in page
    assert "param_region" not in page
    walk = walker(site, visitor)
    url = walk.way_out(visitor.post(path, do="go", param_shop="acme", param_region="eu"))
    assert told(url) == {"shop": ["acme"], "region": ["us-1"]}, "what the link carries is not the person's to change"

    ended = walk.come_back(walk.provider.approve(url))

    assert walk.title(visitor.get(ended.headers["location"])) == "Shops is connected"
    status = shops.valet.client("shop", owner="ada").status()
    assert (status.state, status.params["shop"], status.params["region"]) == ("connected", "acme", "us")


def test_a_closed_set_is_a_list_and_nothing_is_chosen_for_anybody(shops: Any, visitor: Any) -> None:
    page = visitor.get(link(shops)).text

    found = re.search(r'<select[^>]* name="param_region" required>(.*?)</select>', page)
    assert found
    assert re.findall(r'<option value="([^"]*)"( selected)?>([^<]*)', found[1]) == [
        ("", "", "Choose one"),
        ("eu", "", "eu (eu-1)"),
        ("us", "", "us (us-1)"),
    ]


def test_a_hostile_answer_is_refused_on_the_page_and_leaves_nothing_behind(shops: Any, visitor: Any) -> None:
    path = link(shops)
    visitor.get(path)

    for shop in HOSTILE:
        page = visitor.post(path, do="go", **{**RIGHT, "param_shop": shop})

        assert page.status_code == 400, shop
        assert "This cannot be right" in page.text
        assert 'aria-invalid="true" autofocus' in page.text
        assert "<script>alert" not in page.text
        as_it_was(shops)


def test_an_answer_that_is_missing_is_asked_for_once_more(shops: Any, visitor: Any) -> None:
    path = link(shops)
    visitor.get(path)

    for said, why in (
        ({"param_shop": " "}, "Please fill this in."),
        ({"param_region": "eu-1"}, "Please choose one of the list."),
        ({"param_region": ""}, "Please choose one of the list."),
    ):
        page = visitor.post(path, do="go", **{**RIGHT, **said})

        assert (page.status_code, page.text.count(why)) == (400, 1), said
        as_it_was(shops)


def test_somebody_who_would_rather_not_need_not_say_anything(shops: Any, visitor: Any) -> None:
    path = link(shops)
    assert 'value="decline" formnovalidate' in visitor.get(path).text
    assert visitor.post(path, do="decline").status_code == 303
    assert the_link(shops).state == "declined"


def test_who_tries_again_finds_what_they_said(shops: Any, visitor: Any, walker: Any, site: Any) -> None:
    path, walk = link(shops), walker(site, visitor)
    visitor.get(path)
    shops.provider.fail_next(status=500)
    ended = walk.come_back(walk.provider.approve(walk.way_out(visitor.post(path, do="go", **RIGHT))))
    outcome = visitor.get(ended.headers["location"])
    again = re.search(r'action="(/connect/again/[^"]+)"', outcome.text)
    assert again, outcome.text

    page = visitor.post(again[1], do="go")

    assert page.status_code == 200
    assert 'value="acme" maxlength' in page.text
    assert '<option value="eu" selected>' in page.text
    assert "look at this once more" not in page.text
    url = walk.way_out(visitor.post(again[1], do="go", param_shop="zoo", param_region="us"))
    assert told(url) == {"shop": ["zoo"], "region": ["us-1"]}


def test_a_connection_that_is_there_is_asked_for_nothing(shops: Any, visitor: Any, walker: Any, site: Any) -> None:
    path, walk = link(shops), walker(site, visitor)
    visitor.get(path)
    walk.come_back(walk.provider.approve(walk.way_out(visitor.post(path, do="go", **RIGHT))))
    visitor.client.cookies.clear()

    newer = link(shops)

    assert "param_" not in visitor.get(newer).text
    url = walk.way_out(visitor.post(newer, do="go", param_shop="evil"))
    assert told(url) == {"shop": ["acme"], "region": ["eu-1"]}


@pytest.mark.parametrize(
    "params",
    [
        pytest.param({"shop": "evil.example/"}, id="hostile"),
        pytest.param({"shop": ""}, id="empty"),
        pytest.param({"region": "eu-1"}, id="of no closed set"),
        pytest.param({"shpo": "acme"}, id="unknown"),
    ],
)
def test_no_link_is_made_with_a_param_that_may_not_stand_there(shops: Any, params: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        shops.valet.connect_link("shop", params=params)
    assert caught.value.code == "param_invalid"
    assert list_links(shops.valet._core.world, "test")[0] == []


# -- where a param is part of a host -----------------------------------------------------------------------------------


@pytest.fixture
def shopify(practice: Any) -> Any:
    declared = practice.wiring.oauth2_credential("shopify", preset="shopify", scopes=["read_products"])
    practice.secrets.set(declared.secret_id, '{"client_id": "c", "client_secret": "s"}')
    return urlsplit(practice.valet.connect_link("shopify", owner="ada")).path


def test_an_address_is_understood_as_the_shop_that_it_is_of(shopify: str, site: Any, walker: Any) -> None:
    visitor = site.visitor()
    visitor.get(shopify)
    for typed in ("acme", " ACME ", "https://acme.myshopify.com/admin", "Acme.MyShopify.com"):
        url = walker.way_out(visitor.post(shopify, do="go", param_shop=typed))
        assert urlsplit(url).netloc == "acme.myshopify.com"


def test_no_address_leads_to_another_host(shopify: str, site: Any) -> None:
    visitor = site.visitor()
    visitor.get(shopify)
    for typed in (
        *("evil.example", "https://evil.example/acme.myshopify.com", "acme.myshopify.com@evil.example"),
        *("acme.myshopify.com.evil.example", "a.b.myshopify.com", "https://acme.myshopify.com:8443/", "-a"),
    ):
        answer = visitor.post(shopify, do="go", param_shop=typed)
        assert (answer.status_code, "refresh" in answer.text) == (400, False), typed


@pytest.fixture
def anywhere(practice: Any) -> Any:
    """Return a practice with a credential whose sign-ins name a whole host: of a service that people run themselves."""
    declared = practice.wiring.oauth2_credential(
        "anywhere",
        authorization_url="https://{host}/authorize",
        token_url="https://{host}/token",
        api_hosts=["{host}"],
        url_params=[{"name": "host", "whole_host": True, "optional": True, "example": "git.example.com"}],
    )
    practice.secrets.set(declared.secret_id, '{"client_id": "c", "client_secret": "s"}')
    return practice


def test_nobody_at_a_browser_names_the_host(anywhere: Any, site: Any, walker: Any) -> None:
    with pytest.raises(ConfigurationError) as caught:
        anywhere.valet.connect_link("anywhere")
    assert caught.value.code == "param_missing"

    path = urlsplit(anywhere.valet.connect_link("anywhere", params={"host": "git.example.com"})).path
    visitor = site.visitor()
    assert "param_" not in visitor.get(path).text
    url = walker.way_out(visitor.post(path, do="go", param_host="evil.example"))
    assert urlsplit(url).netloc == "git.example.com"

    operator = site.operator()
    assert "param_host" not in operator.get("/console/links/new?credential=anywhere").text
    nonce = re.search(r'name="nonce" value="([^"]+)"', operator.get("/console/links/new?credential=anywhere").text)
    assert nonce
    fields = {"credential": "anywhere", "whose": "own", "expires_in": "1800", "nonce": nonce[1]}
    assert operator.post("/console/links", param_host="evil.example", **fields).status_code == 400


def test_a_new_link_is_offered_only_where_the_console_can_make_it(anywhere: Any, site: Any) -> None:
    anywhere.valet.connect_link("anywhere", owner="ada", params={"host": "git.example.com"})
    anywhere.valet.connect_link("notes", owner="ada")
    operator = site.operator()
    for link in list_links(anywhere.valet._core.world, "test")[0]:
        operator.get("/console/links")
        operator.post(f"/console/links/{link.id}/withdraw")

    page = operator.get("/console/links").text

    assert re.findall(r"/console/links/new\?credential=([a-z]+)", page) == ["notes"]
    assert page.count("Only your program can make another") == 1


# -- operators ---------------------------------------------------------------------------------------------------------


def form(site: Any, **fields: Any) -> tuple[Any, httpx2.Response]:
    operator = site.operator()
    nonce = re.search(r'name="nonce" value="([^"]+)"', operator.get("/console/links/new?credential=shop").text)
    assert nonce
    given = {"credential": "shop", "owner": "ada", "whose": "owner", "expires_in": "1800", "nonce": nonce[1], **fields}
    return operator, operator.post("/console/links", **given)


def test_an_operator_says_what_the_link_shall_carry(shops: Any, site: Any) -> None:
    _, answer = form(site, param_shop="Acme", param_region="")

    page = unescape(answer.text)
    assert answer.status_code == 200
    assert 'params={<span class="s">"shop"</span>: <span class="s">"acme"</span>}' in page
    assert dict(the_link(shops).params) == {"shop": "acme"}


def test_what_an_operator_says_wrongly_is_told_at_the_field(shops: Any, site: Any) -> None:
    _, answer = form(site, param_shop="evil.example", param_region="")

    assert answer.status_code == 400
    assert "Leave it empty to have the person asked." in answer.text
    assert "This cannot be right" in answer.text
    assert list_links(shops.valet._core.world, "test")[0] == []


@pytest.mark.usefixtures("shops")
def test_the_wizard_asks_for_what_the_sign_in_waits_for(site: Any) -> None:
    operator = site.operator()
    page = operator.get("/console/new/shop/scopes").text
    assert 'name="param_shop" required' in page
    refused = operator.post("/console/new/shop/connect", whose="own", param_shop="a/b", param_region="eu")
    assert (refused.status_code, "This cannot be right" in refused.text) == (400, True)

    answer = operator.post("/console/new/shop/connect", whose="own", **RIGHT)

    url = re.search(r'href="([^"]+/authorize[^"]+)"', answer.text)
    assert url, answer.text
    assert told(unescape(url[1])) == {"shop": ["acme"], "region": ["eu-1"]}


@pytest.mark.usefixtures("shops")
def test_the_owners_own_page_asks_too(site_of: Any, walker: Any) -> None:
    with site_of(product="Acme CRM", current_owner=lambda _: "ada") as site:
        visitor = site.visitor()
        visitor.get("/accounts")
        page = visitor.post("/accounts/connect/shop", account="work")
        assert (page.status_code, walker.title(page)) == (200, "Connect your Shops account")
        assert "cannot be right" not in page.text
        refused = visitor.post("/accounts/connect/shop", account="work", param_shop="a/b", param_region="eu")
        assert (refused.status_code, 'name="account" value="work"' in refused.text) == (400, True)

        url = walker.way_out(visitor.post("/accounts/connect/shop", account="work", **RIGHT))

        assert told(url) == {"shop": ["acme"], "region": ["eu-1"]}


class Unreachable:
    """An endpoint that notes where it was to send, and sends nothing."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def send(self, request: Any, **_: Any) -> Any:
        self.asked.append(request.url)
        raise NotSent("nobody listens")


@pytest.mark.usefixtures("shopify")
def test_what_is_looked_at_before_leaving_is_the_place_itself(site: Any, monkeypatch: Any) -> None:
    endpoint = Unreachable()
    monkeypatch.setattr(
        wizard_going, "probe", lambda world, credential: probe(replace(world, endpoint=endpoint), credential)
    )
    operator = site.operator()
    operator.get("/console/new/shopify/scopes")

    page = unescape(operator.post("/console/new/shopify/connect", whose="own", param_shop="Acme.myshopify.com").text)

    assert endpoint.asked == ["https://acme.myshopify.com/"]
    assert "did not answer when we looked: nobody listens" in page
    assert "{shop}" not in page


def test_where_a_code_is_refused_the_clock_of_the_place_is_asked(shops: Any, walk: Any, monkeypatch: Any) -> None:
    asked: list[str] = []

    def looked(_: Any, credential: Any) -> Probe:
        asked.append(credential.authorization_url)
        return Probe(answers=True, clock_off=90.0)

    monkeypatch.setattr(joining, "probe", looked)
    url = walk.begin("shop", **RIGHT)
    shops.provider.fail_next(status=400, error="invalid_grant")

    walk.come_back(walk.provider.approve(url))

    assert asked
    assert [urlsplit(one).query for one in asked] == ["shop=acme&region=eu-1"] * len(asked)


@pytest.mark.parametrize(
    ("shop", "why"),
    [pytest.param("a/b", "This cannot be right", id="wrong"), pytest.param("", "Please fill this in.", id="empty")],
)
def test_a_try_from_elsewhere_in_the_console_is_told_at_the_field(shops: Any, site: Any, shop: str, why: str) -> None:
    operator = site.operator()
    operator.get("/console/connections")

    page = operator.post("/console/connect/shop", whose="owner", owner="ada", param_shop=shop, param_region="eu")

    assert page.status_code == 400
    assert page.text.count(why) == 1
    assert 'name="param_shop" required' in page.text
    assert 'value="ada"' in page.text
    assert "params=" not in page.text
    assert not [event for event in shops.valet.events() if event.kind == "connect_failed"]


def test_who_starts_again_after_a_failure_need_not_say_the_place_again(shops: Any, walk: Any) -> None:
    url = walk.begin("shop", **RIGHT)
    shops.provider.fail_next(status=400, error="invalid_grant")
    page = walk.come_back(walk.provider.approve(url))

    fields = dict(re.findall(r'type="hidden" name="(param_[a-z]+)" value="([^"]*)"', page.text))

    assert fields == RIGHT
    assert told(walk.begin("shop", **fields)) == {"shop": ["acme"], "region": ["eu-1"]}
