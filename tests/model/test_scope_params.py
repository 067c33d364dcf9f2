"""Scopes that name a host or a tenant are filled with the declared params, by the rules of URLs."""

from __future__ import annotations

from typing import Any

import pytest

from valetkey import ConfigurationError
from valetkey.model.registry import Wiring

RULES = {
    "host": {"pattern": r"[a-z0-9.-]+\.crm\.example", "whole_host": True, "example": "contoso.crm.example"},
    "app": {"pattern": "[0-9a-z-]+", "optional": True},
}


def declare(*scopes: str, **fields: Any) -> Any:
    told = {
        "authorization_url": "https://login.example/authorize",
        "token_url": "https://login.example/token",
        "api_base_url": "https://{host}/api",
        "api_hosts": ["{host}"],
        "url_params": RULES,
        "params": {"host": "contoso.crm.example"},
    }
    return Wiring().oauth2_credential("crm", scopes=list(scopes), **{**told, **fields})


def test_holes_of_scopes_are_filled() -> None:
    params = {"host": "contoso.crm.example", "app": "8f1b"}
    made = declare("https://{host}/.default", "{app}.read", forced_scopes=["api://{app}/use"], params=params)

    assert made.scopes == ("https://contoso.crm.example/.default", "8f1b.read")
    assert made.forced_scopes == ("api://8f1b/use",)
    assert made.all_scopes == (*made.scopes, *made.forced_scopes)


def test_a_param_of_scopes_alone_counts_as_used() -> None:
    urls = {"api_base_url": "https://crm.example", "api_hosts": ["crm.example"], "url_params": {}}

    assert declare("{app}.read", params={"app": "7"}, **urls).scopes == ("7.read",)


@pytest.mark.parametrize(
    ("scope", "params", "code"),
    [
        pytest.param("https://{host}/.default", {"host": "evil.example"}, "param_invalid", id="not the pattern"),
        pytest.param("{app}.read", {"host": "a.crm.example"}, "param_missing", id="left to each connection"),
        pytest.param("{hots}.read", {"host": "a.crm.example"}, "param_missing", id="misspelt"),
        pytest.param("https://{app}/x", {"host": "a.crm.example", "app": "a/b"}, "param_invalid", id="another place"),
    ],
)
def test_what_cannot_be_filled_is_refused(scope: str, params: dict[str, str], code: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        declare(scope, params=params)

    assert caught.value.code == code


def test_a_value_that_would_make_two_scopes_of_one_is_refused() -> None:
    urls = {"api_base_url": "https://crm.example", "api_hosts": ["crm.example"], "url_params": {}}
    with pytest.raises(ConfigurationError) as caught:
        declare("{app}.read", scope_separator=",", params={"app": "a,admin"}, **urls)

    assert caught.value.code == "scopes_malformed"


def test_what_says_other_scopes_needs_no_param_of_the_presets() -> None:
    given = {"tenant": "contoso.com", "host": "nerdio.example.com"}
    made = Wiring().oauth2_credential("nerdio", preset="nerdio", params=given, scopes=["https://x.example/.default"])
    assert made.scopes == ("https://x.example/.default",)

    with pytest.raises(ConfigurationError) as caught:
        Wiring().oauth2_credential("nerdio", preset="nerdio", params=given)
    assert caught.value.code == "param_missing"
    assert "app_id" in caught.value.hint
