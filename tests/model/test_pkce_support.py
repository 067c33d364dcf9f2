"""What a provider does with PKCE is told by its preset, and agrees with what is sent."""

from __future__ import annotations

from typing import Any

import pytest

from valetkey.model.preset_lint import all_mistakes
from valetkey.model.presets import BUILT_IN, load_preset

URLS = {
    "authorization_url": "https://shop.example/authorize",
    "token_url": "https://shop.example/token",
    "api_hosts": ["api.shop.example"],
}


def preset(support: Any, **credential: Any) -> dict[str, Any]:
    told = {"display_name": "Shop", "docs_url": "https://shop.example/docs", "pkce_support": support}
    return {**told, "credential": {**URLS, **credential}}


@pytest.mark.parametrize(
    ("support", "pkce", "field"),
    [
        pytest.param("required", True, None, id="required and sent"),
        pytest.param("required", False, "credential.pkce", id="required and not sent"),
        pytest.param("breaks", True, "credential.pkce", id="breaks and sent"),
        pytest.param("breaks", False, None, id="breaks and not sent"),
        pytest.param("ignored", True, None, id="ignored"),
        pytest.param("supported", False, None, id="for apps of another kind"),
        pytest.param("sometimes", True, "pkce_support", id="no such word"),
        pytest.param(True, True, "pkce_support", id="no word"),
    ],
)
def test_it_agrees_with_what_is_sent(support: Any, pkce: bool, field: str | None) -> None:
    wrong = all_mistakes(preset(support, pkce=pkce))

    assert [(one.field, one.grave) for one in wrong] == ([] if field is None else [(field, True)])


def test_members_of_a_family_are_told_of_with_it() -> None:
    assert load_preset("google-calendar").pkce_support == load_preset("google").pkce_support == "supported"
    assert load_preset("shopify").pkce_support == ""


def test_those_that_are_said_to_demand_it_or_to_break_on_it_come_along() -> None:
    told = {path.stem: load_preset(path.stem).pkce_support for path in BUILT_IN.glob("*.toml")}

    assert {name for name, support in told.items() if support == "required"} >= {"airtable", "etsy", "twitter-v2"}
    assert {name for name, support in told.items() if support == "breaks"} >= {"unsplash"}
