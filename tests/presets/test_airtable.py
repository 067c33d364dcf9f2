"""Airtable: PKCE and a scope always, and a refresh that ends the access token in use."""

from __future__ import annotations

import pytest

from shared.everywhere import Reply
from shared.scene import Scene, form, well
from shared.waiting import settle
from valetkey.errors import ReauthorizationRequired

TOKEN = "POST https://airtable.com/oauth2/v1/token"
ME = "GET https://api.airtable.com/v0/meta/whoami"


@pytest.fixture
def airtable(scene: Scene) -> Scene:
    scene.open("airtable")
    answer = {"token_type": "Bearer", "scope": "data.records:read", "expires_in": 3600, "refresh_expires_in": 5184000}
    scene.says(
        TOKEN,
        well(access_token="a1", refresh_token="r1", **answer),
        well(access_token="a2", refresh_token="r2", **answer),
        Reply(400, {"error": "invalid_grant"}),
    )
    scene.says(ME, well(id="usr1", scopes=["data.records:read"]))
    return scene


def test_pkce_state_and_a_scope_are_sent_and_the_app_proves_itself_by_basic(airtable: Scene) -> None:
    begun, asked = airtable.start()
    status = airtable.back(begun, asked, code="the-code")

    assert (asked["code_challenge_method"], asked["scope"]) == ("S256", "data.records:read")
    assert len(asked["state"]) >= 16
    sent = airtable.asked[TOKEN][0]
    assert sent.headers["authorization"].startswith("Basic ")
    assert "code_verifier" in form(sent)
    assert (status.identity.subject, status.identity.email) == ("usr1", "")


def test_a_public_app_sends_its_id_in_the_body_and_no_header(scene: Scene) -> None:
    scene.open("airtable", {"client_id": "the-app"}, client_auth="none")
    scene.says(TOKEN, well(access_token="a1", refresh_token="r1", expires_in=3600))
    scene.says(ME, well(id="usr1"))
    scene.sign_in()

    sent = scene.only(TOKEN)
    assert "authorization" not in sent.headers
    assert form(sent)["client_id"] == "the-app"


def test_nothing_is_refreshed_ahead_of_its_time(airtable: Scene) -> None:
    airtable.sign_in()
    airtable.clock.advance(3600 - 70)  # in the window in which others are refreshed in the background

    assert airtable.token() == "a1"
    settle(airtable.valet)
    assert len(airtable.asked[TOKEN]) == 1

    airtable.clock.advance(71)
    assert airtable.token() == "a2"


def test_a_used_refresh_token_wants_a_person(airtable: Scene) -> None:
    airtable.sign_in()
    airtable.clock.advance(3601)
    assert airtable.token() == "a2"
    airtable.clock.advance(3601)
    with pytest.raises(ReauthorizationRequired):
        airtable.token()


def test_nothing_is_said_to_be_revoked(airtable: Scene) -> None:
    airtable.sign_in()

    assert not airtable.valet.disconnect("airtable").revoked
