"""Notion: Basic beside a JSON body, no scopes and no expires_in, a version with every call, and one token revoked."""

from __future__ import annotations

from base64 import b64decode
from typing import Any

from shared.everywhere import Asked
from shared.scene import Scene, body, well

TOKEN = "POST https://api.notion.com/v1/oauth/token"
REVOKE = "POST https://api.notion.com/v1/oauth/revoke"
ME = "GET https://api.notion.com/v1/users/me"
SOMEBODY = {"name": "Some Body", "person": {"email": "s@example.com"}}


def opened(scene: Scene, **last: Any) -> None:
    scene.open("notion")
    kept = {"token_type": "bearer", "bot_id": "b1", "workspace_id": "w1", "workspace_name": "Home"}
    scene.says(
        TOKEN,
        well(access_token="a1", refresh_token="r1", **kept),
        well(access_token="a2", refresh_token="r2", **kept, **last),
    )
    scene.says(ME, well(object="user", id="b1", bot={"owner": {"type": "user", "user": SOMEBODY}}))


def basic(sent: Asked) -> bytes:
    return b64decode(sent.headers["authorization"].removeprefix("Basic "))


def test_the_code_is_exchanged_by_basic_and_json_and_the_workspace_is_kept(scene: Scene) -> None:
    opened(scene)
    begun, asked = scene.start()
    status = scene.back(begun, asked, code="the-code")

    assert (asked["owner"], asked.get("scope")) == ("user", None)
    sent = scene.only(TOKEN)
    assert basic(sent) == b"the-app:the-s3cret"
    told = body(sent)
    assert told.pop("code_verifier")
    assert told == {"grant_type": "authorization_code", "code": "the-code", "redirect_uri": asked["redirect_uri"]}
    assert (status.params["workspace_id"], status.params["bot_id"]) == ("w1", "b1")
    assert status.identity.email == "s@example.com"
    assert scene.only(ME).headers["notion-version"] == "2025-09-03"


def test_a_refresh_is_json_too_and_brings_the_next_refresh_token(scene: Scene) -> None:
    opened(scene)
    scene.sign_in()
    scene.refresh()
    scene.refresh()

    told = [body(one) for one in scene.asked[TOKEN][1:]]
    assert told == [{"grant_type": "refresh_token", "refresh_token": one} for one in ("r1", "r2")]


def test_revoking_names_the_access_token_and_the_version(scene: Scene) -> None:
    opened(scene)
    scene.sign_in()
    scene.says(REVOKE, well(request_id="3c90c3cc"))

    scene.valet.disconnect("notion")
    sent = scene.only(REVOKE)
    assert (basic(sent), body(sent)) == (b"the-app:the-s3cret", {"token": "a1"})
    assert sent.headers["notion-version"] == "2025-09-03"
