"""The last net for secrets in the package's own logs."""

from __future__ import annotations

import pytest

from valetkey.logs import redacted


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: Bearer canary",
        "Authorization: OAuth canary",
        "authorization: Zoho-oauthtoken canary",
        "X-Shopify-Access-Token: canary",
        "{'Access-Token': 'canary'}",
        "access_token=canary&state=canary",
        "{'developer-token': 'canary'}",
        "x-api-key: canary",
    ],
)
def test_what_carries_a_token_is_masked_whatever_the_header(text: str) -> None:
    assert "canary" not in redacted(text)
    assert "****" in redacted(text)
