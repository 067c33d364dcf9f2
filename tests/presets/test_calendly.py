"""Calendly: Basic for tokens, the body for revocation, refresh tokens that end when they are used, and kept URIs."""

from __future__ import annotations

import pytest

from shared.everywhere import Reply
from shared.scene import Scene, form, well
from valetkey.errors import ReauthorizationRequired

TOKEN = "POST https://auth.calendly.com/oauth/token"
REVOKE = "POST https://auth.calendly.com/oauth/revoke"
ME = "GET https://api.calendly.com/users/me"
OWNER = "https://api.calendly.com/users/EBHAAFHDCAEQTSEZ"
ORGANIZATION = "https://api.calendly.com/organizations/EBHAAFHDCAEQTSEZ"


def opened(scene: Scene, app: dict[str, str] | None = None, **declared: str) -> None:
    scene.open("calendly", app, **declared)
    kept = {"owner": OWNER, "organization": ORGANIZATION, "token_type": "Bearer", "expires_in": 7200}
    scene.says(
        TOKEN,
        well(access_token="a1", refresh_token="r1", scope="users:read", **kept),
        well(access_token="a2", refresh_token="r2", scope="users:read", **kept),
        Reply(400, {"error": "invalid_grant"}),
    )
    scene.says(ME, well(resource={"uri": OWNER, "name": "Some Body", "email": "s@example.com"}))


def test_a_web_app_proves_itself_by_basic_and_what_calls_need_is_kept(scene: Scene) -> None:
    opened(scene)
    begun, asked = scene.start()
    status = scene.back(begun, asked, code="the-code")

    assert (asked["scope"], asked["code_challenge_method"]) == ("users:read", "S256")
    sent = scene.only(TOKEN)
    assert sent.headers["authorization"].startswith("Basic ")
    assert "client_secret" not in form(sent)
    assert (status.params["owner"], status.params["organization"]) == (OWNER, ORGANIZATION)
    assert (status.identity.subject, status.identity.email) == (OWNER, "s@example.com")


def test_a_native_app_sends_its_id_in_the_body(scene: Scene) -> None:
    opened(scene, {"client_id": "the-app"}, client_auth="none")
    scene.sign_in()

    sent = scene.only(TOKEN)
    assert "authorization" not in sent.headers
    assert form(sent)["client_id"] == "the-app"


def test_a_used_refresh_token_is_never_sent_again(scene: Scene) -> None:
    opened(scene)
    scene.sign_in()
    scene.clock.advance(7201)
    assert scene.token() == "a2"
    scene.clock.advance(7201)
    with pytest.raises(ReauthorizationRequired):
        scene.token()

    assert [form(one).get("refresh_token") for one in scene.asked[TOKEN]] == [None, "r1", "r2"]


def test_revoking_wants_id_and_secret_in_the_body(scene: Scene) -> None:
    opened(scene)
    scene.sign_in()
    scene.says(REVOKE, well())

    assert scene.valet.disconnect("calendly").revoked
    sent = scene.only(REVOKE)
    assert "authorization" not in sent.headers
    assert form(sent) == {"client_id": "the-app", "client_secret": "the-s3cret", "token": "r1"}
