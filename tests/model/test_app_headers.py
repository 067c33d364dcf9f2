"""Headers with a secret of the app are declared by where the secret is, or the declaration is refused."""

from __future__ import annotations

from typing import Any

import pytest

from valetkey import ConfigurationError
from valetkey.model.preset_lint import all_mistakes
from valetkey.model.registry import Wiring

URLS = {
    "authorization_url": "https://shop.example/authorize",
    "token_url": "https://shop.example/token",
    "api_hosts": ["api.shop.example"],
}


def declare(**fields: Any) -> Any:
    return Wiring().oauth2_credential("shop", **URLS, **fields)


def test_the_id_of_a_secret_may_follow_the_credentials_name() -> None:
    made = declare(api_header_secrets={"developer-token": "{name}-developer-token", "X-Key": "shared/key"})

    assert made.api_header_secrets == {"developer-token": "shop-developer-token", "X-Key": "shared/key"}


def test_an_empty_id_removes_what_the_preset_says() -> None:
    assert Wiring().oauth2_credential("ads", preset="google-ads").api_header_secrets
    made = Wiring().oauth2_credential("ads", preset="google-ads", api_header_secrets={"developer-token": ""})
    assert made.api_header_secrets == {}


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        pytest.param({"api_header_secrets": {"Authorization": "a"}}, "parameter_reserved", id="authorization"),
        pytest.param({"api_header_secrets": {"Origin": "a"}}, "parameter_reserved", id="means something else"),
        pytest.param({"api_header_secrets": {"a b": "a"}}, "parameter_reserved", id="no name"),
        pytest.param({"api_headers": {"Referer": "{client_secret}"}}, "parameter_reserved", id="template"),
        pytest.param({"api_header_secrets": {"X-Key": "  "}}, "secret_id_missing", id="no id"),
        pytest.param(
            {"api_header_secrets": {"X-Key": "{name}-app-credentials"}}, "secret_id_duplicate", id="of the app"
        ),
        pytest.param({"api_header_secrets": {"X-Key": "shop-oauth-token"}}, "secret_id_duplicate", id="of the token"),
        pytest.param(
            {"api_header_secrets": {"X-Key": "a"}, "api_headers": {"x-key": "1"}}, "parameter_reserved", id="twice"
        ),
        pytest.param(
            {"api_header_secrets": {"X-Key": "a"}, "token_header": "X-Key: {token}"},
            "parameter_reserved",
            id="token_header",
        ),
        pytest.param(
            {
                "api_header_secrets": {"X-Key": "a"},
                "look_ups": [{"url": "https://api.shop.example/me", "params": {"a": "a"}, "headers": {"x-key": "1"}}],
            },
            "parameter_reserved",
            id="look-up",
        ),
    ],
)
def test_what_cannot_be_is_refused(fields: dict[str, Any], code: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        declare(**fields)

    assert caught.value.code == code
    assert caught.value.hint


@pytest.mark.parametrize("secret_id", ["other-app-credentials", "other-oauth-token"])
@pytest.mark.parametrize("turned", [False, True])
def test_what_is_of_another_credential_is_no_header_of_this_one(secret_id: str, turned: bool) -> None:
    wiring = Wiring()
    both: list[tuple[str, dict[str, Any]]] = [("shop", {"api_header_secrets": {"X-Key": secret_id}}), ("other", {})]
    (first, its), (second, fields) = reversed(both) if turned else both
    wiring.oauth2_credential(first, **URLS, **its)

    with pytest.raises(ConfigurationError) as caught:
        wiring.oauth2_credential(second, **URLS, **fields)

    assert caught.value.code == "secret_id_duplicate"


def preset(**credential: Any) -> dict[str, Any]:
    return {"display_name": "Shop", "docs_url": "https://shop.example/docs", "credential": {**URLS, **credential}}


def test_a_preset_names_no_secret_but_those_of_its_credential() -> None:
    wrong = all_mistakes(preset(api_header_secrets={"X-Key": "stripe-key"}))

    assert [(one.field, one.grave) for one in wrong] == [("credential.api_header_secrets", True)]
    assert wrong[0].example == '"X-Key" = "{name}-x-key"'
    assert all_mistakes(preset(api_header_secrets={"X-Key": "{name}-key"})) == []


def test_the_lint_tells_of_secrets_in_clear() -> None:
    wrong = all_mistakes(preset(api_headers={"X-Api-Key": "abc", "X-Version": "7"}))

    assert [(one.field, one.grave) for one in wrong] == [("credential.api_headers", False)]
    assert all_mistakes(preset(api_headers={"X-Api-Key": "{client_id}"})) == []
