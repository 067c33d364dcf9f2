from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from valetkey.model.presets import lint_preset

GOOD: dict[str, Any] = {
    "display_name": "Shop",
    "category": ["commerce"],
    "register_url": "https://shop.example/apps",
    "register_labels": {"client_id": "Key"},
    "well_known_scopes": {"read": "Read"},
    "params": {"shop": {"pattern": "[a-z0-9-]+", "example": "acme"}},
    "sources": {"token_url": "https://shop.example/docs", "register_url": "shop/shop: README.md"},
    "verified": {"level": "documentation", "date": "2026-11"},
    "quirks": [{"text": "It is odd.", "source": "https://shop.example/docs"}],
    "credential": {
        "authorization_url": "https://{shop}.shop.example/a",
        "token_url": "https://{shop}.shop.example/t",
        "api_hosts": ["{shop}.shop.example"],
        "error_aliases": {"bad_token": "invalid_grant"},
    },
}


def test_a_good_preset_lints_clean() -> None:
    assert lint_preset(GOOD) == []


Change = Callable[[dict[str, Any]], Any]


@pytest.mark.parametrize(
    ("change", "mistake"),
    [
        pytest.param(lambda d: d.pop("display_name"), "display_name is missing", id="no name"),
        pytest.param(lambda d: d.pop("credential"), "[credential] is missing", id="no credential"),
        pytest.param(lambda d: d.update(displayname="x"), 'did you mean "display_name"', id="unknown member"),
        pytest.param(lambda d: d.update(category="x"), "category is not of the form", id="category"),
        pytest.param(lambda d: d.update(docs_url=5), "docs_url is not of the form", id="text"),
        pytest.param(lambda d: d.update(credential=[]), "credential is not of the form", id="credential"),
        pytest.param(lambda d: d.update(register_labels={"client_id": 1}), "register_labels is not", id="label type"),
        pytest.param(lambda d: d.update(register_labels={"clientid": "x"}), 'did you mean "client_id"', id="label"),
        pytest.param(lambda d: d.update(docs_url="http://a.example"), "docs_url does not start", id="http docs"),
        pytest.param(lambda d: d.update(verified={"level": "sure", "date": "2026-11"}), "level is one of", id="level"),
        pytest.param(lambda d: d.update(verified={"level": "documentation"}), "a year and a month", id="no date"),
        pytest.param(lambda d: d.update(verified={"date": "2026-13"}), "a year and a month", id="bad date"),
        pytest.param(lambda d: d.update(verified={"date": "2026-11", "by": "x"}), "verified", id="verified member"),
        pytest.param(lambda d: d["quirks"].append({"text": "x"}), "quirk 2 has no text or no source", id="no source"),
        pytest.param(lambda d: d["quirks"].append({"text": "x", "url": "y"}), "quirks is not", id="quirk member"),
        pytest.param(lambda d: d["sources"].update(tokenurl="https://a.b"), 'did you mean "token_url"', id="fact"),
        pytest.param(lambda d: d["sources"].update(secret_id="https://a.example"), "there is no fact", id="no fact"),
        pytest.param(lambda d: d["sources"].update(token_url=""), "sources: token_url is empty", id="empty source"),
        pytest.param(lambda d: d.update(sources=["https://a.example"]), "sources is not of the form", id="sources"),
        pytest.param(lambda d: d.update(quirks={}), "quirks is not of the form", id="quirks"),
        pytest.param(lambda d: d.update(params=[]), "params is not of the form", id="params"),
        pytest.param(lambda d: d.update(params={"shop": "x"}), "params is not of the form", id="param"),
        pytest.param(lambda d: d["params"]["shop"].update(patern="x"), "params is not of the form", id="param member"),
        pytest.param(lambda d: d["params"]["shop"].update(whole_host="yes"), "params is not", id="param flag"),
        pytest.param(lambda d: d["params"]["shop"].update(pattern="["), "no regular expression", id="regex"),
        pytest.param(lambda d: d["params"]["shop"].update(pattern=".*"), "the pattern lets", id="loose"),
        pytest.param(lambda d: d["params"]["shop"].update(pattern="[a-z.]+"), "lets '..' through", id="dots"),
        pytest.param(lambda d: d["params"]["shop"].update(default="A!"), "does not match the pattern", id="default"),
        pytest.param(lambda d: d["params"].pop("shop"), "missing_param|nothing says|not given", id="unknown hole"),
        pytest.param(lambda d: d["credential"].update(secret_id="x"), "secret_id is for the program", id="secret id"),
        pytest.param(lambda d: d["credential"].update(per_owner=True), "per_owner is for the program", id="owner"),
        pytest.param(lambda d: d["credential"].update(token_uri="x"), 'did you mean "token_url"', id="field"),
        pytest.param(lambda d: d["credential"].update(token_url="http://a.example/"), "https://", id="http"),
        pytest.param(lambda d: d["credential"].update(pkce="no"), "pkce is str", id="field type"),
        pytest.param(lambda d: d["credential"].pop("token_url"), "token_url is missing", id="no token URL"),
        pytest.param(lambda d: d["credential"].pop("api_hosts"), "api_hosts is missing", id="no hosts"),
        pytest.param(
            lambda d: d["credential"].update(error_aliases={"x": "invalid_grand"}), "no standard error", id="alias"
        ),
    ],
)
def test_a_mistake_in_a_preset_is_named(change: Change, mistake: str) -> None:
    data = copy.deepcopy(GOOD)
    change(data)
    if data.get("params") == {}:
        data["credential"]["token_url"] = "https://a.example/{other}"
    found = lint_preset(data)
    assert any(any(part in line for part in mistake.split("|")) for line in found), found
