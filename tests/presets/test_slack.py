"""Slack: two token sets in one answer, commas, errors with status 200."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from shared.scene import Scene, form, well
from valetkey.errors import ClientRejected, ConnectError, ReauthorizationRequired

TOKEN = "POST https://slack.com/api/oauth.v2.access"
WHO = "GET https://slack.com/api/auth.test"
REVOKE = "GET https://slack.com/api/auth.revoke"
BOT = {
    "ok": True,
    "access_token": "xoxb-bot",
    "token_type": "bot",
    "scope": "chat:write,users:read",
    "bot_user_id": "UBOT",
    "app_id": "A1",
    "team": {"id": "T1", "name": "Team"},
    "enterprise": None,
}
PERSON = {"id": "U1", "scope": "search:read", "access_token": "xoxp-person", "token_type": "user"}
ROTATING = {"refresh_token": "xoxe-1-bot", "expires_in": 43200}
PERSON_ROTATING = {**PERSON, "refresh_token": "xoxe-1-person", "expires_in": 43200}


def opened(scene: Scene, preset: str, answer: dict[str, Any], **declared: Any) -> None:
    scene.open(preset, **declared)
    scene.says(TOKEN, well(**answer))
    scene.says(WHO, well(ok=True, user_id="U1", user="somebody", team_id="T1"))


def test_the_bots_token_is_the_one_at_the_top(scene: Scene) -> None:
    opened(scene, "slack", {**BOT, "authed_user": PERSON}, scopes=["chat:write", "users:read"])
    begun, asked = scene.start()
    status = scene.back(begun, asked, code="the-code")

    assert (asked["scope"], "user_scope" in asked, "code_challenge" in asked) == ("chat:write,users:read", False, False)
    assert (status.state, status.granted) == ("connected", ("chat:write", "users:read"))
    assert (status.params["team_id"], status.params["bot_user_id"]) == ("T1", "UBOT")
    assert (status.expires_at, scene.token()) == (None, "xoxb-bot")
    sent = scene.only(TOKEN)
    assert base64.b64decode(sent.headers["authorization"].partition(" ")[2]) == b"the-app:the-s3cret"
    assert "xoxp-person" not in str(status.params)


def test_the_persons_token_is_the_one_in_authed_user(scene: Scene) -> None:
    opened(scene, "slack-user", {**BOT, "authed_user": PERSON}, scopes=["search:read"])
    begun, asked = scene.start()
    status = scene.back(begun, asked, code="the-code")

    assert (asked["user_scope"], "scope" in asked) == ("search:read", False)
    assert (status.state, status.granted, status.params["user_id"]) == ("connected", ("search:read",), "U1")
    assert (status.expires_at, scene.token()) == (None, "xoxp-person")
    assert scene.asked[WHO][0].headers["authorization"] == "Bearer xoxp-person"


def test_the_refresh_token_of_the_bot_is_never_the_persons(scene: Scene) -> None:
    opened(scene, "slack-user", {**BOT, **ROTATING, "authed_user": PERSON}, scopes=["search:read"])

    status = scene.sign_in()
    assert (status.expires_at, status.state) == (None, "connected")
    scene.clock.advance(50000)
    assert scene.token() == "xoxp-person"
    assert len(scene.asked[TOKEN]) == 1


def test_both_rotate_each_by_itself_and_a_refresh_is_answered_flat(scene: Scene) -> None:
    opened(scene, "slack-user", {**BOT, **ROTATING, "authed_user": PERSON_ROTATING}, scopes=["search:read"])
    scene.sign_in()
    renewed = {"ok": True, "access_token": "xoxp-2", "refresh_token": "xoxe-2", "expires_in": 43200}
    scene.says(TOKEN, well(**renewed, token_type="user", scope="search:read", team={"id": "T1", "name": "Team"}))
    scene.clock.advance(43300)

    assert scene.token() == "xoxp-2"
    assert form(scene.asked[TOKEN][1])["refresh_token"] == "xoxe-1-person"
    scene.clock.advance(43300)
    scene.token()
    assert form(scene.asked[TOKEN][2])["refresh_token"] == "xoxe-2"


def test_the_bots_token_rotates_too(scene: Scene) -> None:
    opened(scene, "slack", {**BOT, **ROTATING, "authed_user": PERSON_ROTATING}, scopes=["chat:write"])
    status = scene.sign_in()
    scene.says(TOKEN, well(**{**BOT, "access_token": "xoxb-2", "refresh_token": "xoxe-2", "expires_in": 43200}))
    scene.clock.advance(43300)

    assert status.expires_at == pytest.approx(scene.clock.now() - 43300 + 43200)
    assert scene.token() == "xoxb-2"
    assert form(scene.asked[TOKEN][1])["refresh_token"] == "xoxe-1-bot"


@pytest.mark.parametrize("preset", ["slack", "slack-user"])
def test_a_spent_code_is_refused_with_status_200(scene: Scene, preset: str) -> None:
    opened(scene, preset, {"ok": False, "error": "invalid_code"})

    with pytest.raises(ConnectError) as caught:
        scene.sign_in()
    assert caught.value.code == "code_refused"


def test_a_wrong_secret_is_the_apps_fault(scene: Scene) -> None:
    opened(scene, "slack", {"ok": False, "error": "bad_client_secret"})

    with pytest.raises(ClientRejected):
        scene.sign_in()


def test_a_dead_refresh_token_wants_a_person(scene: Scene) -> None:
    opened(scene, "slack", {**BOT, **ROTATING}, scopes=["chat:write"])
    scene.sign_in()
    scene.says(TOKEN, well(ok=False, error="invalid_refresh_token"))
    scene.clock.advance(43300)

    with pytest.raises(ReauthorizationRequired):
        scene.token()


def test_ok_false_without_a_word_ends_nothing(scene: Scene) -> None:
    opened(scene, "slack", {**BOT, **ROTATING}, scopes=["chat:write"])
    scene.sign_in()
    scene.says(TOKEN, well(ok=False))
    scene.clock.advance(43300)

    with pytest.raises(Exception, match="Slack"):
        scene.token()
    assert scene.status().state == "refresh_failing"


@pytest.mark.parametrize(
    ("answer", "revoked"),
    [
        pytest.param({"ok": True, "revoked": True}, True, id="done"),
        pytest.param({"ok": False, "error": "token_revoked"}, True, id="it was already"),
        pytest.param({"ok": False, "error": "ratelimited"}, False, id="not done"),
    ],
)
def test_revoking_is_told_truthfully(scene: Scene, answer: dict[str, Any], revoked: bool) -> None:
    opened(scene, "slack", BOT, scopes=["chat:write"])
    scene.sign_in()
    scene.says(REVOKE, well(**answer))

    assert bool(scene.valet.disconnect("slack").revoked) is revoked
    assert scene.asked[REVOKE][0].headers["authorization"] == "Bearer xoxb-bot"
