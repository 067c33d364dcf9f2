"""Dropbox: offline access by a parameter, a refresh token that stays, and a revocation by the bearer itself."""

from __future__ import annotations

from shared.everywhere import Reply
from shared.scene import Scene, form, well

TOKEN = "POST https://api.dropboxapi.com/oauth2/token"
REVOKE = "POST https://api.dropboxapi.com/2/auth/token/revoke"
ME = "POST https://api.dropboxapi.com/2/users/get_current_account"


def opened(scene: Scene) -> None:
    scene.open("dropbox", scopes=["account_info.read", "files.content.read"])
    life = {"token_type": "bearer", "expires_in": 14400}
    first = {"account_id": "dbid:AAH4f99", "uid": "12345", "scope": "account_info.read files.content.read"}
    scene.says(TOKEN, well(access_token="sl.1", refresh_token="r1", **life, **first), well(access_token="sl.2", **life))
    scene.says(ME, well(account_id="dbid:AAH4f99", email="f@example.com", name={"display_name": "Franz F."}))


def test_offline_access_is_asked_for_and_the_account_is_read_by_a_post_of_null(scene: Scene) -> None:
    opened(scene)
    begun, asked = scene.start()
    status = scene.back(begun, asked, code="the-code")

    assert (asked["token_access_type"], asked["scope"]) == ("offline", "account_info.read files.content.read")
    told = form(scene.only(TOKEN))
    assert (told["client_id"], told["client_secret"]) == ("the-app", "the-s3cret")
    assert scene.only(ME).body == b"null"
    assert scene.only(ME).headers["authorization"] == "Bearer sl.1"
    assert (status.identity.subject, status.identity.name) == ("dbid:AAH4f99", "Franz F.")
    assert status.params["account_id"] == "dbid:AAH4f99"


def test_the_refresh_token_stays(scene: Scene) -> None:
    opened(scene)
    scene.sign_in()
    for _ in range(2):
        scene.clock.advance(14401)
        assert scene.token() == "sl.2"

    assert [form(one)["refresh_token"] for one in scene.asked[TOKEN][1:]] == ["r1", "r1"]


def test_a_revocation_carries_the_access_token_and_nothing_else(scene: Scene) -> None:
    opened(scene)
    scene.sign_in()
    scene.says(REVOKE, Reply(200, {}))

    assert scene.valet.disconnect("dropbox").revoked
    sent = scene.only(REVOKE)
    assert (sent.headers["authorization"], sent.body) == ("Bearer sl.1", b"")
