"""Twitch: scopes as a list or a text, and a revocation without secret that calls unknown tokens a mistake."""

from __future__ import annotations

from typing import Any

import pytest

from shared.everywhere import Reply
from shared.scene import Scene, form, well

TOKEN = "POST https://id.twitch.tv/oauth2/token"
REVOKE = "POST https://id.twitch.tv/oauth2/revoke"
ME = "GET https://id.twitch.tv/oauth2/userinfo"


def opened(scene: Scene, scope: Any) -> None:
    scene.open("twitch", scopes=["openid", "chat:read"])
    scene.says(
        TOKEN,
        well(access_token="a1", refresh_token="r1", expires_in=14124, scope=scope, token_type="bearer"),
        well(access_token="a2", refresh_token="r2", expires_in=14124, scope="chat:read openid", token_type="bearer"),
    )
    scene.says(ME, well(sub="44322889", preferred_username="somebody", iss="https://id.twitch.tv/oauth2"))


@pytest.mark.parametrize(
    "scope",
    [
        pytest.param(["chat:read", "openid"], id="list"),
        pytest.param("chat:read openid", id="text"),
    ],
)
def test_scopes_are_read_in_both_forms(scene: Scene, scope: Any) -> None:
    opened(scene, scope)
    status = scene.sign_in()

    assert sorted(status.granted) == ["chat:read", "openid"]
    assert not status.missing
    assert (status.identity.subject, status.identity.login) == ("44322889", "somebody")
    assert form(scene.only(TOKEN))["client_secret"] == "the-s3cret"


def test_whatever_refresh_token_comes_back_is_kept(scene: Scene) -> None:
    opened(scene, ["chat:read", "openid"])
    scene.sign_in()
    for _ in range(2):
        scene.clock.advance(14125)
        assert scene.token() == "a2"

    assert [form(one).get("refresh_token") for one in scene.asked[TOKEN]] == [None, "r1", "r2"]


@pytest.mark.parametrize(
    ("answer", "revoked"),
    [
        pytest.param(Reply(200, {}), True, id="revoked"),
        pytest.param(Reply(400, {"status": 400, "message": "Invalid token"}), True, id="gone before"),
        pytest.param(Reply(404, {"status": 404, "message": "client does not exist"}), False, id="wrong app"),
    ],
)
def test_revoking_sends_id_and_token_and_no_secret(scene: Scene, answer: Reply, revoked: bool) -> None:
    opened(scene, ["chat:read", "openid"])
    scene.sign_in()
    scene.says(REVOKE, answer)
    done = scene.valet.disconnect("twitch")

    sent = scene.asked[REVOKE][0]
    assert form(sent) == {"client_id": "the-app", "token": "a1"}
    assert "authorization" not in sent.headers
    assert bool(done.revoked) is revoked


def test_the_api_gets_the_client_id_of_the_app(scene: Scene) -> None:
    scene.open("twitch")
    scene.says(TOKEN, well(access_token="a1", refresh_token="r1", expires_in=14124, scope=["openid"]))
    scene.says(ME, well(sub="44322889", preferred_username="somebody"))
    scene.says("GET https://api.twitch.tv/helix/users", well(data=[]))
    scene.sign_in()
    scene.valet.client("twitch").get("/users")

    sent = scene.only("GET https://api.twitch.tv/helix/users")
    assert (sent.headers["client-id"], sent.headers["authorization"]) == ("the-app", "Bearer a1")
