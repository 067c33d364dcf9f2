"""Servers that repeat what they were sent, in the words of a refusal."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs

import pytest

from valetkey.model.credentials import AppCredentials, OAuth2Credential
from valetkey.protocol.refusals import Refusal
from valetkey.protocol.token_request import refresh_request
from valetkey.protocol.token_response import TokenSet, parse_token_response
from valetkey.values import Request, Response, Secret

APP = AppCredentials(client_id="an-app", client_secret=Secret("open sesame, please"))
TOKEN = Secret("plain-words")


def asked(**fields: Any) -> tuple[OAuth2Credential, Request]:
    site = OAuth2Credential(name="site", token_url="https://as.example/token", **fields)
    return site, refresh_request(site, APP, refresh_token=TOKEN)


def read(site: OAuth2Credential, request: Request, body: str, status: int = 400) -> TokenSet | Refusal:
    response = Response(status=status, headers={}, body=body.encode())
    return parse_token_response(response, credential=site, now=1.8e9, request=request)


@pytest.mark.parametrize("client_auth", ["client_secret_post", "client_secret_basic"])
@pytest.mark.parametrize("token_request_format", ["form", "json"])
def test_a_secret_of_the_request_is_masked_where_the_refusal_repeats_it(
    client_auth: str, token_request_format: str
) -> None:
    site, request = asked(client_auth=client_auth, token_request_format=token_request_format)
    words = "we got open sesame, please and plain-words of an-app"
    answer = read(site, request, f'{{"error": "invalid_grant", "error_description": "{words}"}}')

    assert isinstance(answer, Refusal)
    assert (answer.error, answer.description) == ("invalid_grant", "we got **** and **** of an-app")


def test_the_header_of_basic_authentication_is_masked_too() -> None:
    site, request = asked(client_auth="client_secret_basic")
    sent = request.headers["Authorization"]
    answer = read(site, request, f'{{"error": "invalid_client", "error_description": "not {sent}"}}')

    assert isinstance(answer, Refusal)
    assert sent.partition(" ")[2] not in answer.description


def test_a_refresh_token_that_comes_back_with_a_new_access_token_stays_what_it_is() -> None:
    site, request = asked(client_auth="client_secret_post")
    answer = read(site, request, '{"access_token": "new", "refresh_token": "plain-words"}', status=200)

    assert isinstance(answer, TokenSet)
    assert answer.refresh_token == TOKEN


def test_a_short_secret_does_not_mask_half_of_the_words() -> None:
    site, _ = asked()
    request = Request(method="POST", url=site.token_url, body=b"client_secret=is")
    answer = read(site, request, '{"error": "invalid_grant", "error_description": "it is over"}')

    assert isinstance(answer, Refusal)
    assert answer.description == "it is over"
    assert parse_qs(request.body.decode()) == {"client_secret": ["is"]}
