"""Where a connection is: what the console tells of it, and how a person chooses there."""

from __future__ import annotations

import re
from html import unescape
from typing import Any


def connect(practice: Any) -> Any:
    return practice.connect("books", owner="ada")


def test_the_page_lets_an_operator_choose_among_tenants(site: Any, tenants: Any) -> None:
    status = connect(tenants)
    here = f"/console/connections/{status.connection_id}"
    operator = site.operator()
    page = operator.get(here).text
    assert "Acme &lt;Ltd&gt;" in page
    assert "<Ltd>" not in page
    assert ":choices" not in page

    answer = operator.post(f"{here}/look-up", choose_tenant="t-2")

    assert "Looked up." in unescape(operator.get(answer.headers["location"]).text)
    assert tenants.valet.client("books", owner="ada").status().params["tenant"] == "t-2"


def test_a_tenant_that_is_not_there_is_refused_on_the_page(site: Any, tenants: Any) -> None:
    status = connect(tenants)
    here = f"/console/connections/{status.connection_id}"
    operator = site.operator()
    operator.get(here)

    answer = operator.post(f"{here}/look-up", choose_tenant="t-3")

    assert "none of those that were found" in unescape(operator.get(answer.headers["location"]).text)
    assert tenants.valet.client("books", owner="ada").status().params["tenant"] == "t-1"


def test_what_is_not_known_is_told_and_can_be_looked_up_again(site: Any, tenants: Any) -> None:
    tenants.provider.change_answer(1, endpoint="userinfo", tenants=None)  # the identity
    tenants.provider.change_answer(2, endpoint="userinfo", tenants=None)
    status = connect(tenants)
    here = f"/console/connections/{status.connection_id}"
    operator = site.operator()
    assert "Not known yet: <code>tenant</code>" in operator.get(here).text

    operator.post(f"{here}/look-up")

    assert "Not known yet" not in operator.get(here).text


def test_the_wizard_shows_a_closed_set_as_a_list_and_asks_for_nothing_that_comes_by_itself(site: Any) -> None:
    operator = site.operator()
    clio = operator.get("/console/presets/clio").text
    assert re.search('<select class="in in-w"[^>]* name="param_region"', clio)
    assert '<option value="eu">eu (eu.app.clio.com)</option>' in clio
    amazon = operator.get("/console/presets/amazon").text
    assert '<option value="api.amazon.co.jp">api.amazon.co.jp</option>' in amazon
    assert "param_realm_id" not in operator.get("/console/presets/quickbooks").text
    assert " required" not in operator.get("/console/presets/shopify").text.partition("param_shop")[2][:200]


def test_categories_are_written_as_people_write_them(site: Any) -> None:
    page = site.operator().get("/console/new").text
    assert ">CRM</a>" in page
    assert ">E-commerce</a>" in page
    assert not re.search(">(Crm|Iam|Hr|Erp|Ats|Cms|Mcp|E commerce)[<,]", page)
