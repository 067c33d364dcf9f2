"""The life of a connection at a real authorization server, over both facades: sign in, call, refresh, disconnect."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from valetkey import ConnectError, NotConnected, ReauthorizationRequired, ScopesMissing

CLIENTS = [
    pytest.param("basic", id="client_secret_basic"),
    pytest.param("post", id="client_secret_post, one redirect URI to the letter"),
    pytest.param("public", id="public client"),
    pytest.param("odd", id="odd characters in client id and secret"),
]
AGES = 400
"""More seconds than an access token lives."""


def code_of(callback: str) -> str:
    return parse_qs(urlsplit(callback).query)["code"][0]


@pytest.mark.conformance("1 core: Basic encoding", "1 native: public")
@pytest.mark.parametrize("name", CLIENTS)
def test_a_whole_life(program: Any, name: str) -> None:
    server = program.server
    status = program.connect(name)
    assert (status.state, status.refreshable) == ("connected", True)
    assert program.call(name).json()["client_id"] == server.app(name)["client_id"]
    first = program.tokens(name)

    seen = {first["refresh_token"]}
    for _ in range(3):
        program.clock.advance(AGES)
        assert program.call(name).status_code == 200
        seen.add(program.tokens(name)["refresh_token"])
    assert len(seen) == 4, "the server rotates, and each successor was kept"
    assert (server.refreshes, server.count("reuse")) == ((3, 0), 0)

    last = program.tokens(name)
    assert server.accepts(last["access_token"])
    done = program.client(name).disconnect()

    assert done.revoked == ("refresh_token", "access_token")
    assert done.told == f"Disconnected. {name} confirmed that the token is revoked."
    assert not server.accepts(last["access_token"])
    assert not server.accepts(first["access_token"])
    assert program.client(name).status().state == "disconnected"
    with pytest.raises(NotConnected):
        program.call(name)


@pytest.mark.conformance("1 revocation: request")
def test_the_refresh_token_is_dead_at_the_server_after_a_disconnect(program: Any) -> None:
    program.connect("public")
    held = program.tokens("public")

    program.client("public").disconnect()

    assert program.server.spend("public", held["refresh_token"]) == (400, "invalid_grant")
    assert program.server.count("reuse") == 0, "it is revoked, not merely used up"
    assert program.tokens("public") == {}


@pytest.mark.conformance("1 core: PKCE", "1 core: state")
def test_what_the_browser_opens_asks_as_the_rfcs_say(program: Any) -> None:
    start = program.valet.authorize("basic", scopes=["api.write"])

    asked = parse_qs(urlsplit(start.url).query)
    assert asked["response_type"] == ["code"]
    assert asked["code_challenge_method"] == ["S256"]
    assert asked["redirect_uri"] == ["http://127.0.0.1:8421/callback/basic"]
    assert asked["scope"] == ["openid offline_access profile email api.read api.write"]
    assert len(asked["state"][0]) == len(asked["code_challenge"][0]) == 43


def test_without_pkce_this_server_signs_nobody_in(program: Any) -> None:
    program.declare("careless", client="basic", pkce=False, redirect_uri="http://127.0.0.1:8421/callback/basic")

    with pytest.raises(ConnectError) as caught:
        program.connect("careless")

    assert caught.value.code == "invalid_request"
    assert "PKCE" in str(caught.value)
    assert program.client("careless").status().state == "pending"


@pytest.mark.conformance("1 core: PKCE")
def test_the_code_of_another_sign_in_does_not_fit_the_verifier(program: Any, person: Any) -> None:
    """An injected code (RFC 9700 section 4.5): the browser brings our state and somebody else's code."""
    ours, theirs = program.valet.authorize("basic"), program.valet.authorize("basic")
    callback, other = person().sign_in(ours.url), person("mallory").sign_in(theirs.url)
    injected = callback.replace(code_of(callback), code_of(other))

    with pytest.raises(ConnectError) as caught:
        program.valet.finish(injected, binding=ours.binding)

    assert caught.value.code == "code_refused"
    assert program.server.count("tokens") == 0
    assert program.client("basic").status().state == "pending"


def test_the_identity_is_read_from_userinfo(program: Any, person: Any) -> None:
    status = program.connect("basic", person("carol"))

    assert (status.identity.subject, status.identity.name) == ("carol", "Person carol")
    assert status.identity.title == "carol@example.test"


@pytest.mark.parametrize(
    ("prompt", "refused", "missing"),
    [
        pytest.param("consent", (), (), id="all were granted"),
        pytest.param("consent", ("email", "api.read"), ("email", "api.read"), id="the person refused some"),
        # Without a prompt for consent the server's answer does not name offline_access, and brings a refresh token.
        pytest.param("login", (), (), id="the server left one away that it granted"),
    ],
)
def test_scopes_are_those_that_were_granted(
    program: Any, person: Any, prompt: str, refused: tuple[str, ...], missing: tuple[str, ...]
) -> None:
    program.declare(
        "some",
        client="basic",
        additional_params={"prompt": prompt},
        redirect_uri="http://127.0.0.1:8421/callback/basic",
    )

    status = program.connect("some", person(refuses=refused))

    assert set(status.granted) == {"openid", "offline_access", "profile", "email", "api.read"} - set(missing)
    assert status.missing == missing
    if missing:
        with pytest.raises(ScopesMissing) as caught:
            program.client("some", scopes=missing).get("/resource")
        assert caught.value.missing == missing


@pytest.mark.conformance("0 5")
def test_a_stale_refresh_token_sent_elsewhere_kills_the_grant_and_connecting_again_heals(program: Any) -> None:
    before = program.connect("public").connection_id
    stolen = program.tokens("public")["refresh_token"]
    program.clock.advance(AGES)
    assert program.call("public").status_code == 200

    assert program.server.spend("public", stolen) == (400, "invalid_grant")
    assert program.server.count("reuse") == 1
    program.clock.advance(AGES)
    for _ in range(2):
        with pytest.raises(ReauthorizationRequired) as caught:
            program.call("public")

    assert caught.value.hint == "run: valetkey connect public --env test"
    assert program.client("public").status().state == "needs_reauth"
    assert program.server.refreshes == (1, 2), "one of the two refusals was the thief's: ours was asked for once"

    again = program.connect("public")
    assert (again.connection_id, again.state) == (before, "connected")
    program.clock.advance(AGES)
    assert program.call("public").status_code == 200


def test_a_401_is_healed_by_one_refresh(program: Any) -> None:
    program.connect("public")
    program.clock.advance(90)
    program.server.expire_access_tokens()

    assert program.call("public").status_code == 200
    assert (program.server.refreshes, program.server.count("calls")) == ((1, 0), 2)


def test_a_401_after_a_revocation_elsewhere_asks_for_the_person(program: Any) -> None:
    program.connect("public")
    program.clock.advance(90)
    program.server.revoke("public", program.tokens("public")["access_token"])  # which ends the whole grant here

    with pytest.raises(ReauthorizationRequired):
        program.call("public")

    assert (program.server.refreshes, program.server.count("calls")) == ((0, 1), 1)
    assert program.client("public").status().state == "needs_reauth"


def test_two_people_are_two_connections(program: Any, person: Any) -> None:
    program.connect("basic", person("alice"), owner="1")
    program.connect("basic", person("bob"), owner="2")

    said = {owner: program.client("basic", owner=owner).get("/resource").json()["sub"] for owner in ("1", "2")}

    assert said == {"1": "alice", "2": "bob"}
    program.client("basic", owner="1").disconnect()
    assert program.client("basic", owner="2").get("/resource").status_code == 200
