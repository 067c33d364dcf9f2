"""ClickUp: no scopes, and one token without end."""

from __future__ import annotations

from shared.scene import Scene, form, well

TOKEN = "POST https://api.clickup.com/api/v2/oauth/token"
ME = "GET https://api.clickup.com/api/v2/user"


def test_one_token_without_scope_and_without_end(scene: Scene) -> None:
    scene.open("clickup")
    scene.says(TOKEN, well(access_token="the-token"))
    scene.says(ME, well(user={"id": 123, "username": "Some Body", "email": "s@example.com"}))
    scene.says("GET https://api.clickup.com/api/v2/team", well(teams=[]))
    begun, asked = scene.start()
    status = scene.back(begun, asked, code="the-code")
    scene.clock.advance(10 * 365 * 86400)
    scene.valet.client("clickup").get("/team")

    assert "scope" not in asked
    sent = form(scene.only(TOKEN))
    assert (sent["client_id"], sent["client_secret"], sent["code"]) == ("the-app", "the-s3cret", "the-code")
    assert (status.identity.subject, status.identity.name) == ("123", "Some Body")
    assert (status.state, status.expires_at) == ("connected", None)
    assert scene.only("GET https://api.clickup.com/api/v2/team").headers["authorization"] == "Bearer the-token"
    assert not scene.valet.disconnect("clickup").revoked
