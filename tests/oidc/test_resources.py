"""Tokens for one resource each, out of one grant (RFC 8707 section 2.2): at a real server, over both facades.

The server gives a token for one resource at a time, and rotates the refresh token with each.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from valetkey import ConfigurationError, ConnectError, NotConnected, ReauthorizationRequired

AGES = 400
pytestmark = pytest.mark.conformance("1 resource: one grant")


@pytest.fixture(params=["resource", "resource-dpop"], ids=["bearer", "dpop"])
def suite(program: Any, request: pytest.FixtureRequest) -> Any:
    """A program with a connected grant for two APIs."""
    return _connected(program, request.param)


def _connected(program: Any, client: str, **fields: Any) -> Any:
    program.apis = [f"{program.server.issuer}/{name}" for name in ("resource", "files")]
    known = {"resources": program.apis, "one_token_per_resource": True, "scopes": ["offline_access", "api.read"]}
    redirect = f"http://127.0.0.1:8421/callback/{client}"
    program.declare("suite", client=client, redirect_uri=redirect, userinfo_url="", **{**known, **fields})
    start = program.valet.authorize("suite")
    assert parse_qs(urlsplit(start.url).query)["resource"] == fields.get("resources", program.apis)
    assert program.connect("suite").state == "connected"
    return program


def audience(suite: Any, name: str) -> Any:
    url = f"{suite.server.issuer}/{name}"
    answer = suite.client("suite", resource=url).get(url)
    return answer.json()["aud"] if answer.status_code == 200 else answer.status_code


@pytest.mark.conformance("1 resource: parameter")
def test_one_sign_in_opens_both_and_each_token_opens_one(suite: Any) -> None:
    api, files = suite.apis

    assert [audience(suite, name) for name in ("resource", "files")] == [api, files]
    assert suite.client("suite").get("/resource").json()["aud"] == api, "the grant's own is for the first"
    assert suite.client("suite").get("/files").status_code == 401
    assert suite.client("suite", resource=files).get("/resource").status_code == 401
    assert suite.server.refreshes == (1, 0)
    assert suite.server.count("reuse") == 0


def test_each_is_renewed_by_itself_for_as_long_as_the_grant_lives(suite: Any) -> None:
    for round_ in range(3):
        assert [audience(suite, name) for name in ("resource", "files")] == suite.apis, round_
        suite.clock.advance(AGES)
    assert suite.server.refreshes[1] == suite.server.count("reuse") == 0
    assert suite.client("suite").status().state == "connected"


def test_a_401_of_one_of_them_renews_that_one(suite: Any) -> None:
    audience(suite, "files")
    suite.clock.advance(100)
    suite.server.expire_access_tokens()
    before = suite.server.refreshes[0]

    assert audience(suite, "files") == suite.apis[1]

    assert suite.server.refreshes == (before + 1, 0)
    assert audience(suite, "resource") == suite.apis[0]
    assert suite.server.refreshes == (before + 2, 0)


def test_a_resource_that_was_declared_after_the_sign_in_is_not_asked_for(program: Any) -> None:
    """This server refuses it (``invalid_target``), but spends the refresh token before: the grant would be lost."""
    api, files = (f"{program.server.issuer}/{name}" for name in ("resource", "files"))
    redirect = "http://127.0.0.1:8421/callback/resource"
    program.declare("suite", client="resource", redirect_uri=redirect, userinfo_url="", resources=[api])
    program.connect("suite")
    known = program.wiring._credentials
    known["suite"] = replace(known["suite"], resources=(api, files), one_token_per_resource=True)

    with pytest.raises(ConfigurationError) as caught:
        program.client("suite", resource=files).get_access_token()

    assert caught.value.code == "resource_not_signed_in"
    program.clock.advance(AGES)
    assert program.client("suite").get("/resource").json()["aud"] == api
    assert program.server.refreshes == (1, 0)
    program.connect("suite")
    assert program.client("suite", resource=files).get(files).json()["aud"] == files


def test_a_resource_that_the_server_does_not_know_ends_the_sign_in(program: Any) -> None:
    with pytest.raises(ConnectError) as caught:
        _connected(program, "resource", resources=[f"{program.server.issuer}/resource", "https://unknown.example/"])

    assert caught.value.code == "invalid_target"


def test_a_grant_that_was_taken_back_is_found_dead_by_either(program: Any) -> None:
    suite = _connected(program, "resource")
    suite.server.revoke("resource", suite.tokens("suite")["refresh_token"])

    with pytest.raises(ReauthorizationRequired):
        suite.client("suite", resource=suite.apis[1]).get_access_token()


def test_a_disconnect_takes_them_all_back(program: Any) -> None:
    suite = _connected(program, "resource", revocation_reach="token")
    audience(suite, "files")
    tokens = [suite.client("suite", resource=one).get_access_token().reveal() for one in suite.apis]

    done = suite.client("suite").disconnect()

    assert done.may_live == ()
    assert [suite.server.accepts(token) for token in tokens] == [False, False]
    with pytest.raises(NotConnected):
        suite.client("suite", resource=suite.apis[1]).get_access_token()


@pytest.mark.parametrize("client", ["service", "service-dpop"])
def test_an_app_by_itself_gets_one_for_each(program: Any, client: str) -> None:
    apis = [f"{program.server.issuer}/{name}" for name in ("resource", "files")]
    program.declare("robot", client=client, resources=apis, one_token_per_resource=True)
    clients = [program.client("robot", resource=api) for api in reversed(apis)]

    said = [one.get(api).json()["aud"] for one, api in zip(clients, reversed(apis), strict=True)]

    assert said == [*reversed(apis)]
    assert program.server.count("client_credentials granted") == 2
