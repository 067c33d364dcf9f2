"""Figma: grants are renewed at a URL of their own, and the refresh token stays."""

from __future__ import annotations

import base64

import pytest

from shared.everywhere import Reply
from shared.scene import Scene, form, well
from valetkey.errors import ReauthorizationRequired

TOKEN = "POST https://api.figma.com/v1/oauth/token"
REFRESH = "POST https://api.figma.com/v1/oauth/refresh"


def opened(scene: Scene, preset: str = "figma") -> None:
    scene.open(preset, scopes=["current_user:read", "file_content:read"])
    scene.says(TOKEN, well(access_token="one", refresh_token="r1", expires_in=7776000, user_id_string="5"))
    scene.says(REFRESH, well(access_token="two", expires_in=7776000))
    scene.says("GET https://api.figma.com/v1/me", well(id="5", email="somebody@example.com", handle="somebody"))


@pytest.mark.parametrize("preset", ["figma", "figjam"])
def test_a_refresh_goes_elsewhere_and_the_refresh_token_stays(scene: Scene, preset: str) -> None:
    opened(scene, preset)
    begun, asked = scene.start()
    status = scene.back(begun, asked, code="the-code")

    assert asked["scope"] == "current_user:read,file_content:read"
    assert (status.state, status.identity.email) == ("connected", "somebody@example.com")
    for times in (1, 2):
        scene.clock.advance(7776001)
        assert scene.token() == "two"
        sent = scene.asked[REFRESH][-1]
        assert form(sent)["refresh_token"] == "r1"
        assert base64.b64decode(sent.headers["authorization"].partition(" ")[2]) == b"the-app:the-s3cret"
        assert (len(scene.asked[REFRESH]), len(scene.asked[TOKEN])) == (times, 1)


def test_a_refused_refresh_wants_a_person(scene: Scene) -> None:
    opened(scene)
    scene.sign_in()
    scene.says(REFRESH, Reply(400, {"error": "invalid_grant", "error_description": "Invalid refresh token"}))
    scene.clock.advance(7776001)

    with pytest.raises(ReauthorizationRequired):
        scene.token()


def test_nothing_is_said_to_be_revoked(scene: Scene) -> None:
    opened(scene)
    scene.sign_in()

    assert not scene.valet.disconnect("figma").revoked
