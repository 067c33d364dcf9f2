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
    "docs_url": "https://shop.example/docs",
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
        pytest.param(lambda d: d.pop("display_name"), "display_name: it is missing", id="no name"),
        pytest.param(lambda d: d.pop("credential"), "[credential] is missing", id="no credential"),
        pytest.param(lambda d: d.update(displayname="x"), 'did you mean "display_name"', id="unknown member"),
        pytest.param(lambda d: d.update(category="x"), "category: it is a list of texts; category = ", id="category"),
        pytest.param(lambda d: d.update(docs_url=5), "docs_url: it is a text", id="text"),
        pytest.param(lambda d: d.update(credential=[]), "credential: it is a table", id="credential"),
        pytest.param(
            lambda d: d.update(register_labels={"client_id": 1}),
            "client_id: it is a text",
            id="label type",
        ),
        pytest.param(lambda d: d.update(register_labels={"clientid": "x"}), 'did you mean "client_id"', id="label"),
        pytest.param(lambda d: d.update(docs_url="http://a.example"), "docs_url: it does not start", id="http docs"),
        pytest.param(
            lambda d: d.update(verified={"level": "sure", "date": "2026-11"}),
            "verified.level: it is one",
            id="level",
        ),
        pytest.param(
            lambda d: d.update(verified={"level": "documentation"}),
            "verified.date: it is",
            id="no date",
        ),
        pytest.param(lambda d: d.update(verified={"date": "2026-13"}), "verified.date: it is", id="bad date"),
        pytest.param(
            lambda d: d.update(verified={"date": "2026-11", "by": "x"}),
            "verified.by: there is no",
            id="verified member",
        ),
        pytest.param(lambda d: d["quirks"].append({"text": "x"}), "quirks.2: it has no text", id="no source"),
        pytest.param(
            lambda d: d["quirks"].append({"text": "x", "url": "y"}),
            "quirks.2.url: there is no",
            id="quirk member",
        ),
        pytest.param(lambda d: d["sources"].update(tokenurl="https://a.b"), 'did you mean "token_url"', id="fact"),
        pytest.param(
            lambda d: d["sources"].update(secret_id="https://a.example"),
            "sources.secret_id: there",
            id="no fact",
        ),
        pytest.param(lambda d: d["sources"].update(token_url=""), "sources.token_url: it is empty", id="empty source"),
        pytest.param(lambda d: d.update(sources=["https://a.example"]), "sources: it is a table", id="sources"),
        pytest.param(lambda d: d.update(quirks={}), "quirks: it is a list of tables", id="quirks"),
        pytest.param(lambda d: d.update(params=[]), "params: it is a table of tables", id="params"),
        pytest.param(lambda d: d.update(params={"shop": "x"}), "params.shop: it is a table; ", id="param"),
        pytest.param(
            lambda d: d["params"]["shop"].update(patern="x"),
            "params.shop.patern: there",
            id="param member",
        ),
        pytest.param(
            lambda d: d["params"]["shop"].update(whole_host="yes"),
            "whole_host: it is true or",
            id="param flag",
        ),
        pytest.param(
            lambda d: d["params"]["shop"].update(pattern="["),
            "shop.pattern: it is no reg",
            id="regex",
        ),
        pytest.param(lambda d: d["params"]["shop"].update(pattern=".*"), "the pattern lets", id="loose"),
        pytest.param(lambda d: d["params"]["shop"].update(pattern="[a-z.]+"), "lets '..' through", id="dots"),
        pytest.param(
            lambda d: d["params"]["shop"].update(default="A!"),
            "default: 'A!' does not",
            id="default",
        ),
        pytest.param(lambda d: d["params"].pop("shop"), "missing_param|nothing says|not given", id="unknown hole"),
        pytest.param(
            lambda d: d["credential"].update(secret_id="x"),
            "credential.secret_id: ",
            id="secret id",
        ),
        pytest.param(lambda d: d["credential"].update(per_owner=True), "per_owner is for the program", id="owner"),
        pytest.param(lambda d: d["credential"].update(token_uri="x"), 'did you mean "token_url"', id="field"),
        pytest.param(lambda d: d["credential"].update(token_url="http://a.example/"), "https://", id="http"),
        pytest.param(lambda d: d["credential"].update(pkce="no"), "credential.pkce: pkce is str", id="field type"),
        pytest.param(lambda d: d["credential"].pop("token_url"), "credential.token_url: ", id="no token URL"),
        pytest.param(lambda d: d["credential"].pop("api_hosts"), "credential.api_hosts: it is missing", id="no hosts"),
        pytest.param(
            lambda d: d["credential"].update(error_aliases={"x": "invalid_grand"}),
            'error_aliases.x: "invalid_grand" is no standard error; did you mean "invalid_grant"',
            id="alias",
        ),
    ],
)
def test_a_mistake_in_a_preset_is_named(change: Change, mistake: str) -> None:
    data = copy.deepcopy(GOOD)
    change(data)
    if data.get("params") == {}:
        data["credential"]["token_url"] = "https://a.example/{other}"
    found = [*map(str, lint_preset(data))]
    assert any(any(part in line for part in mistake.split("|")) for line in found), found
