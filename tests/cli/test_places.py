"""Where a connection is, at the command: ``connect --param``, ``look-up``, ``status``."""

from __future__ import annotations

from typing import Any

import pytest

TENANTS = [{"id": "t-1", "name": "Acme\x1b[31m"}, {"id": "t-2", "name": "Zoo"}]


@pytest.fixture
def books(kit: Any) -> Any:
    userinfo = kit.provider.credential_fields()["userinfo_url"]
    choose = {"list": "tenants", "id": "id", "label": "name"}
    look_up = {"url": userinfo, "params": {"tenant": "id", "tenant_name": "name"}, "choose": choose}
    kit.declare("books", api_headers={"X-Tenant": "{tenant}"}, look_ups=[look_up])
    kit.provider.change_answer(endpoint="userinfo", tenants=TENANTS)
    kit.connect("books")
    return kit


def test_look_up_names_all_and_takes_another(books: Any) -> None:
    shown = books.ok("look-up", "books")
    assert "There are several of tenant:" in shown
    assert "* t-1" in shown
    assert "\x1b[31m" not in shown

    books.ok("look-up", "books", "--choose", "tenant=t-2")

    found = books.run("status", "books", "--json").json["connections"][0]
    assert found["params"]["tenant"] == "t-2"
    assert [one["id"] for one in found["choices"]["tenant"]] == ["t-1", "t-2"]


@pytest.mark.parametrize(
    ("choose", "words"),
    [
        pytest.param("tenant=t-3", "none of those that were found", id="not there"),
        pytest.param("tenent=t-1", "nothing that can be chosen", id="misspelt"),
        pytest.param("t-1", "NAME=VALUE", id="no name"),
    ],
)
def test_a_choice_that_cannot_be_is_refused(books: Any, choose: str, words: str) -> None:
    ran = books.run("look-up", "books", "--choose", choose)
    assert ran.code == 2
    assert words in ran.err


def test_a_credential_that_looks_nothing_up_says_so(kit: Any) -> None:
    kit.connect()
    ran = kit.run("look-up", "notes")
    assert ran.code == 2
    assert "there is nothing to look up" in ran.err


def test_a_param_of_a_sign_in_is_checked_before_the_browser_opens(kit: Any) -> None:
    kit.ok(
        "app",
        "add",
        "shopify",
        "--client-id",
        "x",
        "--redirect-uri",
        "https://app.example/cb",
        "--secret-stdin",
        text="s\n",
    )
    ran = kit.run("connect", "shopify", "--paste", "--param", "shop=evil.example/")
    assert ran.code == 2
    assert "shop" in ran.err
    assert "acme" in ran.err
    assert "may stand in the host of a URL" in ran.err
    missing = kit.run("connect", "shopify", "--paste")
    assert missing.code == 2
    assert "{shop}" in missing.err


@pytest.mark.parametrize("typed", ["acme", "acme.myshopify.com", "https://Acme.myshopify.com/admin"])
def test_a_param_of_a_sign_in_is_understood_from_an_address(kit: Any, typed: str) -> None:
    add = ["--client-id", "x", "--redirect-uri", "https://app.example/cb", "--secret-stdin"]
    kit.ok("app", "add", "shopify", *add, text="s\n")

    ran = kit.run("connect", "shopify", "--paste", "--param", f"shop={typed}", text="")

    assert "https://acme.myshopify.com/admin/oauth/authorize?" in ran.err
    assert "[paste_empty]" in ran.err
