"""`token_header` is one header that may carry a token, or the declaration is refused."""

from __future__ import annotations

from typing import Any

import pytest

from valetkey.errors import ConfigurationError
from valetkey.model.settings import from_declaration, to_declaration
from valetkey.model.wiring import Wiring
from valetkey.protocol.bearer import carrier

URLS = {"authorization_url": "https://auth.example.com/authorize", "token_url": "https://auth.example.com/token"}


def declare(**fields: Any) -> Any:
    return Wiring().oauth2_credential("site", **{**URLS, **fields})


@pytest.mark.parametrize(
    ("header", "name", "value"),
    [
        ("", "Authorization", "Bearer {token}"),
        ("X-Shopify-Access-Token: {token}", "X-Shopify-Access-Token", "{token}"),
        ("Access-Token:{token}", "Access-Token", "{token}"),
        ("Authorization: Zoho-oauthtoken {token}", "Authorization", "Zoho-oauthtoken {token}"),
        ("aUTHORIZATION: OAuth {token}", "Authorization", "OAuth {token}"),
        ('X.Key~1: token="{token}", v=2', "X.Key~1", 'token="{token}", v=2'),
    ],
)
def test_it_is_kept_and_read(header: str, name: str, value: str) -> None:
    made = declare(token_header=header)

    assert carrier(made) == (name, value)
    assert from_declaration("site", to_declaration(made)) == made


def test_a_token_that_is_bound_to_a_key_goes_as_rfc_9449_says() -> None:
    assert carrier(declare(token_header="X-Key: {token}"), bound=True) == ("Authorization", "DPoP {token}")


@pytest.mark.parametrize(
    "header",
    [
        pytest.param("X-Key", id="no value"),
        pytest.param("X-Key:", id="empty value"),
        pytest.param(": {token}", id="no name"),
        pytest.param("X Key: {token}", id="a space in the name"),
        pytest.param("X-Key : {token}", id="a space behind the name"),
        pytest.param("X-Schlüssel: {token}", id="a name not in ASCII"),
        pytest.param("X-Key({token}): {token}", id="brackets in the name"),
        pytest.param("{token}: {token}", id="the token as the name"),
        pytest.param("X-Key: secret", id="no token"),
        pytest.param("X-Key: {token}{token}", id="the token twice"),
        pytest.param("X-Key: {token} {shop}", id="another hole"),
        pytest.param("X-Key: {{token}}", id="more braces"),
        pytest.param("X-Key: {token} ä", id="a value not in ASCII"),
        *(
            pytest.param(f"{name}: {{token}}", id=name)
            for name in (
                *("Cookie", "Set-Cookie", "HOST", "Content-Length", "content-type", "Transfer-Encoding", "Connection"),
                *("Proxy-Authorization", "DPoP", "User-Agent", "Accept", "Accept-Encoding", "Referer", "Origin"),
                *("If-Match", "Sec-Fetch-Mode", "X-Forwarded-For", "Access-Control-Request-Method"),
            )
        ),
    ],
)
def test_what_is_no_header_for_a_token_is_refused(header: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        declare(token_header=header)

    assert caught.value.code == "token_header_invalid"
    assert "{token}" in caught.value.hint


@pytest.mark.parametrize("header", ["X-Key: {token}\r\nX-Other: 1", "X-Key: {token}\n", "X-Key: \x00{token}"])
def test_more_than_one_header_is_refused(header: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        declare(token_header=header)

    assert caught.value.code == "text_invalid"


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        pytest.param({"sender_constraint": "dpop"}, "token_header_bound", id="dpop"),
        pytest.param(
            {"security_profile": "mcp", "api_base_url": "https://m.example", "registration": "manual"},
            "token_header_bound",
            id="mcp",
        ),
        pytest.param({"api_headers": {"x-key": "1"}}, "parameter_reserved", id="api_headers"),
        pytest.param(
            {"look_ups": [{"url": "https://auth.example.com/x", "params": {"id": "id"}, "headers": {"X-KEY": "1"}}]},
            "parameter_reserved",
            id="look_ups",
        ),
    ],
)
def test_what_contradicts_it_is_refused(fields: dict[str, Any], code: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        declare(token_header="X-Key: {token}", **fields)

    assert caught.value.code == code
    assert caught.value.hint


def test_a_certificate_goes_with_it() -> None:
    assert declare(token_header="X-Key: {token}", sender_constraint="mtls").carries_certificate
