"""Asana: a refresh token that comes once and stays, and a revocation that takes no other token."""

from __future__ import annotations

import pytest

from shared.scene import Scene, form, well

TOKEN = "POST https://app.asana.com/-/oauth_token"
REVOKE = "POST https://app.asana.com/-/oauth_revoke"
ME = "GET https://app.asana.com/api/1.0/users/me"


@pytest.fixture
def asana(scene: Scene) -> Scene:
    scene.open("asana")
    person = {"id": 4673218951, "name": "Some Body", "email": "s@example.com"}
    scene.says(
        TOKEN,
        well(access_token="a1", refresh_token="r1", expires_in=3600, token_type="bearer", data=person),
        well(access_token="a2", expires_in=3600, token_type="bearer", data=person),
        well(access_token="a3", expires_in=3600, token_type="bearer", data=person),
    )
    scene.says(ME, well(data={"gid": "4673218951", "name": "Some Body", "email": "s@example.com"}))
    return scene


def test_the_refresh_token_of_the_sign_in_goes_on(asana: Scene) -> None:
    status = asana.sign_in()
    for wanted in ("a2", "a3"):
        asana.clock.advance(3601)
        assert asana.token() == wanted

    assert (status.identity.subject, status.identity.email) == ("4673218951", "s@example.com")
    assert [form(one).get("refresh_token") for one in asana.asked[TOKEN]] == [None, "r1", "r1"]
    assert all(form(one)["client_secret"] == "the-s3cret" for one in asana.asked[TOKEN])


def test_the_refresh_token_is_what_is_revoked(asana: Scene) -> None:
    asana.sign_in()
    asana.says(REVOKE, well())

    assert asana.valet.disconnect("asana").revoked
    assert form(asana.only(REVOKE)) == {"client_id": "the-app", "client_secret": "the-s3cret", "token": "r1"}


def test_state_and_pkce_are_always_sent(asana: Scene) -> None:
    _, asked = asana.start()

    assert asked["state"]
    assert (asked["code_challenge_method"], len(asked["code_challenge"])) == ("S256", 43)
