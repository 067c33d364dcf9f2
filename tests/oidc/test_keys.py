"""Apps that prove themselves by a key, and tokens bound to one, at a real authorization server, over both facades."""

from __future__ import annotations

import json
from typing import Any

import pytest

from valetkey import ConfigurationError
from valetkey.protocol.signing import generate_key
from valetkey.values import Secret

SIGNED = ["secretjwt", "pkjwt", "dpop", "pkjwt-dpop"]
AGES = 400
"""More seconds than an access token lives, and than a server lets a clock be wrong."""


@pytest.mark.conformance(
    "0 1",
    "1 DPoP: scheme and proof",
    "1 DPoP: nonces",
    "1 client authentication: new assertion for every attempt",
    "1 DPoP: key kept",
)
@pytest.mark.parametrize("name", SIGNED)
def test_a_whole_life_with_something_signed_for_each_attempt(program: Any, name: str) -> None:
    """The clock of the program is minutes ahead after the first refresh: how far, it learns from the server."""
    program.server.switch(nonce=1)
    program.connect(name)
    bound = name.endswith("dpop")
    first = program.tokens(name)
    assert first["token_type"].lower() == ("dpop" if bound else "bearer")
    assert ("dpop_key" in first) is bound
    seen = {first["refresh_token"]}
    for _ in range(2):
        assert [program.call(name).status_code for _ in range(2)] == [200, 200]
        program.clock.advance(AGES)
        seen.add(program.tokens(name)["refresh_token"])
    assert program.call(name).status_code == 200
    last = program.tokens(name)
    assert last.get("dpop_key") == first.get("dpop_key"), "a refresh token of a public client is bound to its key"
    assert (len(seen), program.server.refreshes, program.server.count("reuse")) == (2, (2, 0), 0)

    done = program.client(name).disconnect()

    assert done.revoked == ("refresh_token", "access_token")
    assert not program.server.accepts(last["access_token"])


@pytest.mark.conformance("1 DPoP: nonce is no retry")
def test_a_nonce_does_not_use_up_the_retry_after_a_401(program: Any) -> None:
    program.server.switch(nonce=1)
    program.connect("dpop")
    assert program.call("dpop").status_code == 200
    program.clock.advance(61)  # a younger token that is refused is not refreshed at once (R11)
    program.server.expire_access_tokens()

    assert program.call("dpop").status_code == 200
    assert program.server.refreshes == (1, 0)


@pytest.mark.conformance("1 DPoP: dpop_jkt")
def test_a_bound_token_is_of_no_use_to_others(program: Any) -> None:
    program.connect("dpop")
    assert program.call("dpop").status_code == 200
    assert not program.server.accepts(program.tokens("dpop")["access_token"])


@pytest.mark.conformance("1 DPoP: proof per request")
def test_other_http_clients_prove_each_request_too(program: Any) -> None:
    program.server.switch(nonce=1)
    program.connect("dpop")
    client, url = program.client("dpop").target, f"{program.server.issuer}/resource"
    if program.colour.name == "sync":
        import requests

        from valetkey.adapters.requests import RequestsAuth

        with requests.Session() as session:
            session.auth = RequestsAuth(client)
            got = [session.get(url, params={"q": "1"}).status_code for _ in range(3)]
    else:
        import aiohttp

        from valetkey.adapters.aiohttp import middleware

        async def calls() -> list[int]:
            async with aiohttp.ClientSession(middlewares=(middleware(client),)) as session:
                return [(await session.get(url, params={"q": "1"})).status for _ in range(3)]

        got = program.colour.run(calls())
    assert got == [200, 200, 200]


def test_an_app_of_its_own_gets_bound_tokens(program: Any) -> None:
    program.server.switch(nonce=1)
    assert program.call("service-dpop").status_code == 200
    program.clock.advance(AGES)
    assert program.call("service-dpop").status_code == 200
    assert program.tokens("service-dpop")["token_type"] == "DPoP"


def test_a_key_that_cannot_be_read_is_told_before_anything_is_sent(program: Any) -> None:
    program.secrets.set("pkjwt-app-credentials", json.dumps({"client_id": "pkjwt", "private_key": "hunter2"}))
    start = program.valet.authorize("pkjwt")
    from_person = start.url  # the address holds no proof of the app
    assert "client_assertion" not in from_person
    with pytest.raises(ConfigurationError) as caught:
        program.connect("pkjwt")
    assert caught.value.code == "private_key_unreadable"
    assert "hunter2" not in str(caught.value)
    assert program.server.count("tokens") == 0


def test_an_app_without_a_key_is_told_what_is_missing(program: Any) -> None:
    program.secrets.set("pkjwt-app-credentials", json.dumps({"client_id": "pkjwt"}))
    with pytest.raises(ConfigurationError) as caught:
        program.connect("pkjwt")
    assert caught.value.code == "private_key_missing"


def test_a_key_changes_the_fingerprint_of_the_app() -> None:
    from valetkey import AppCredentials

    one, other = (AppCredentials(client_id="a", private_key=Secret(key)) for key in "xy")
    assert len({one.fingerprint(), other.fingerprint(), AppCredentials(client_id="a").fingerprint()}) == 3


@pytest.mark.conformance("1 client authentication: new assertion for every attempt")
def test_a_key_is_replaced_without_downtime(program: Any) -> None:
    """One that the provider does not know is dropped, and nothing has changed; one that it knows follows."""
    program.connect("pkjwt")
    apps = program.raw.apps if program.colour.name == "sync" else None
    replace = apps.replace_secret if apps else lambda *args: program.colour.run(program.raw.apps.replace_secret(*args))
    kid = _kid_in_use(program)

    for key, expected in ((generate_key("ES256").reveal(), kid), (program.server.clients["pkjwt"]["next_key"], "next")):
        assert replace("pkjwt", key).state == "waiting"
        assert _kid_in_use(program) == kid, "until it has worked once, the one in use stays"
        program.clock.advance(AGES)
        assert program.call("pkjwt").status_code == 200
        assert _kid_in_use(program) == expected

    program.clock.advance(AGES)
    assert program.call("pkjwt").status_code == 200
    assert program.server.count("reuse") == 0


def _kid_in_use(program: Any) -> str:
    kept = json.loads(program.secrets.get("pkjwt-app-credentials"))["private_key"]
    return str(json.loads(kept)["kid"])
