"""Callbacks that a provider seals: which are taken, and which are not."""

from __future__ import annotations

import hashlib
import hmac
from urllib.parse import urlencode

import pytest

from valetkey.errors import ConnectError
from valetkey.protocol.callbacks import is_sealed, parameters
from valetkey.values import Secret

SECRET = Secret("hush")
WHERE = "https://app.example/callback/shopify"


def sealed(text: str) -> str:
    return hmac.new(b"hush", text.encode(), hashlib.sha256).hexdigest()


def test_the_example_of_the_providers_documentation_is_taken() -> None:
    # the published example of a sealed callback, whose secret is "hush" (shopify.dev, verify the installation request)
    text = "code=0907a61c0c8d55e99db179b68161bc00&shop=some-shop.myshopify.com"
    text += "&state=0.6784241404160823&timestamp=1337178173"
    came = f"{WHERE}?{text}&hmac=700e2dadb827fcc8609e9d5ce208b2e9cdaab9df07390d2cbca10d7c328fc4bf"
    assert is_sealed(came, "hmac", SECRET)


@pytest.mark.parametrize("host", ["YWNtZQ==", "a/b", "a&b", "50%"])
def test_both_ways_to_write_what_is_sealed_are_taken(host: str) -> None:
    pairs = [("code", "x"), ("host", host)]
    plain = "&".join(f"{name}={value.replace('%', '%25').replace('&', '%26')}" for name, value in pairs)
    for text in (urlencode(pairs), plain):
        assert is_sealed(f"{WHERE}?{urlencode(pairs)}&hmac={sealed(text)}", "hmac", SECRET)


@pytest.mark.parametrize(
    "query",
    [
        pytest.param(f"code=y&hmac={sealed('code=x')}", id="another code"),
        pytest.param("code=x&hmac=", id="an empty seal"),
        pytest.param("code=x", id="none"),
        pytest.param(f"code=x&hmac={sealed('code=x')[:-1]}", id="cut"),
        pytest.param("code=x&hmac=\u00e9", id="not of this world"),
    ],
)
def test_another_seal_is_none(query: str) -> None:
    assert not is_sealed(f"{WHERE}?{query}", "hmac", SECRET)


@pytest.mark.parametrize("query", ["", "a=1&a=2", "&".join(f"p{n}=1" for n in range(200))])
def test_what_parsers_could_read_differently_is_refused(query: str) -> None:
    with pytest.raises(ConnectError) as caught:
        parameters(f"{WHERE}?{query}")
    assert caught.value.code == "callback_malformed"
