"""How the words of pages begin: sentences with a capital, and what is typed as it stands as it stands."""

from __future__ import annotations

import re

import pytest

from valetkey.model.located import UrlParam
from valetkey.model.presets import load_preset
from valetkey.server.texts import ENGLISH, said
from valetkey.server.views.param_fields import param_fields

NOBODY = ENGLISH["product.unknown"]


def text(key: str, product: str) -> str:
    return re.sub(
        r"<[^>]+>", "", said(key, product=product, provider="Notes", workspace="Contoso", account="a", host="h")
    )


def test_a_sentence_begins_with_a_capital_where_no_brand_is_known() -> None:
    assert "You sign in at Notes. This application never sees your password." in text("connect.password", NOBODY)
    assert text("connect.for", NOBODY).startswith("For the workspace Contoso. This application will be able to")
    assert text("connect.for_nobody", NOBODY).startswith("This application will")
    assert text("connect.title", NOBODY) == "Connect your Notes account to this application"
    for key in ENGLISH:
        if "{product}" in ENGLISH[key]:
            assert not re.search(r"(^|[.?!] )this application", text(key, NOBODY)), key


def test_a_brand_is_written_as_it_is() -> None:
    assert text("connect.for_nobody", "iShop").startswith("iShop will")
    assert ". iShop never sees" in text("connect.password", "iShop")


@pytest.mark.parametrize(
    ("preset", "param", "begins"),
    [
        pytest.param("amazon", "api_host", "api.amazon.com (North America)", id="address"),
        pytest.param("azure-blob-storage", "tenant", "common, organizations", id="default"),
        pytest.param("shopify", "shop", "As in its address: acme", id="words"),
        pytest.param("egnyte", "subdomain", "acme of acme.egnyte.com", id="example"),
    ],
)
def test_only_words_get_a_capital(preset: str, param: str, begins: str) -> None:
    known = load_preset(preset).asked_params

    assert str(param_fields([known[param]], {})[0].hint).startswith(begins)


def test_a_value_of_a_closed_set_stays_as_it_is() -> None:
    rule = UrlParam(name="zone", description="the zone: eu, or what else there is", values={"eu": "e", "us": "u"})

    (field,) = param_fields([rule], {})

    assert (field.label, field.hint) == ("The zone", "eu, or what else there is")
