"""Zoom: rotating refresh tokens, Basic, a revocation by the access token, and a base of the account's own region."""

from __future__ import annotations

import pytest

from shared.everywhere import Reply
from shared.scene import Scene, form, well
from valetkey.errors import ReauthorizationRequired

TOKEN = "POST https://zoom.us/oauth/token"
REVOKE = "POST https://zoom.us/oauth/revoke"


@pytest.fixture
def zoom(scene: Scene) -> Scene:
    scene.open("zoom")
    answer = {
        "token_type": "bearer",
        "expires_in": 3599,
        "scope": "user:read:user",
        "api_url": "https://api-eu.zoom.us",
    }
    scene.says(
        TOKEN,
        well(access_token="a1", refresh_token="r1", **answer),
        well(access_token="a2", refresh_token="r2", **answer),
        Reply(400, {"reason": "Invalid Token!", "error": "invalid_grant", "code": 4735}),
    )
    scene.says("GET https://api.zoom.us/v2/users/me", well(id="z8", email="s@example.com", display_name="Some Body"))
    return scene


def test_scopes_are_the_apps_and_the_region_is_kept(zoom: Scene) -> None:
    begun, asked = zoom.start()
    status = zoom.back(begun, asked, code="the-code")

    assert "scope" not in asked
    assert asked["code_challenge_method"] == "S256"
    assert zoom.asked[TOKEN][0].headers["authorization"].startswith("Basic ")
    assert (status.identity.subject, status.params["api_url"]) == ("z8", "https://api-eu.zoom.us")
    assert status.granted == ("user:read:user",)


def test_the_old_refresh_token_is_not_used_again_and_a_rotated_one_wants_a_person(zoom: Scene) -> None:
    zoom.sign_in()
    zoom.clock.advance(3600)
    assert zoom.token() == "a2"
    zoom.clock.advance(3600)
    with pytest.raises(ReauthorizationRequired):
        zoom.token()

    assert [form(one).get("refresh_token") for one in zoom.asked[TOKEN]] == [None, "r1", "r2"]


def test_revoking_takes_the_access_token(zoom: Scene) -> None:
    zoom.sign_in()
    zoom.says(REVOKE, well(status="success"))

    assert zoom.valet.disconnect("zoom").revoked
    assert form(zoom.only(REVOKE)) == {"token": "a1"}
    assert zoom.only(REVOKE).headers["authorization"].startswith("Basic ")
