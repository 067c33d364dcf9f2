"""Box: refresh tokens for one use, and a revocation that takes the app's secret in the body."""

from __future__ import annotations

import pytest

from shared.everywhere import Reply
from shared.scene import Scene, form, well
from valetkey.errors import ReauthorizationRequired

TOKEN = "POST https://api.box.com/oauth2/token"
REVOKE = "POST https://api.box.com/oauth2/revoke"


@pytest.fixture
def box(scene: Scene) -> Scene:
    scene.open("box")
    scene.says(
        TOKEN,
        well(access_token="a1", refresh_token="r1", expires_in=4123, token_type="bearer", restricted_to=[]),
        well(access_token="a2", refresh_token="r2", expires_in=4123, token_type="bearer", restricted_to=[]),
        Reply(400, {"error": "invalid_grant", "error_description": "Refresh token has expired"}),
    )
    scene.says("GET https://api.box.com/2.0/users/me", well(id="17", name="Some Body", login="s@example.com"))
    return scene


def test_no_scope_is_asked_for_and_each_refresh_token_is_spent_once(box: Scene) -> None:
    begun, asked = box.start()
    status = box.back(begun, asked, code="the-code")
    box.clock.advance(4124)

    assert "scope" not in asked
    assert (status.identity.subject, status.identity.email) == ("17", "s@example.com")
    assert box.token() == "a2"
    assert [form(one).get("refresh_token") for one in box.asked[TOKEN]] == [None, "r1"]

    box.clock.advance(4124)
    with pytest.raises(ReauthorizationRequired):
        box.token()
    assert form(box.asked[TOKEN][-1])["refresh_token"] == "r2"


def test_revoking_sends_id_and_secret_and_one_token(box: Scene) -> None:
    box.sign_in()
    box.says(REVOKE, well())

    assert box.valet.disconnect("box").revoked
    assert form(box.only(REVOKE)) == {"client_id": "the-app", "client_secret": "the-s3cret", "token": "r1"}
