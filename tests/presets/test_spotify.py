"""Spotify: a refresh that brings no refresh token, apps without a secret, and nothing to revoke at."""

from __future__ import annotations

from base64 import b64decode

from shared.scene import Scene, form, well

TOKEN = "POST https://accounts.spotify.com/api/token"
ME = "GET https://api.spotify.com/v1/me"
SCOPES = ("user-read-email", "playlist-read-private")


def opened(scene: Scene, app: dict[str, str] | None = None, **declared: str) -> None:
    scene.open("spotify", app, scopes=list(SCOPES), **declared)
    kept = {"token_type": "Bearer", "expires_in": 3600, "scope": " ".join(SCOPES)}
    scene.says(
        TOKEN,
        well(access_token="a1", refresh_token="r1", **kept),
        well(access_token="a2", **kept),
        well(access_token="a3", refresh_token="r2", **kept),
        well(access_token="a4", **kept),
    )
    scene.says(ME, well(id="wizzler", email="w@example.com", display_name="Wizzler"))


def test_the_code_goes_by_basic_with_its_verifier(scene: Scene) -> None:
    opened(scene)
    begun, asked = scene.start()
    status = scene.back(begun, asked, code="the-code")

    assert (asked["scope"], asked["code_challenge_method"]) == ("user-read-email playlist-read-private", "S256")
    sent = scene.only(TOKEN)
    told = form(sent)
    assert told.pop("code_verifier")
    assert told == {"grant_type": "authorization_code", "code": "the-code", "redirect_uri": asked["redirect_uri"]}
    assert b64decode(sent.headers["authorization"].removeprefix("Basic ")) == b"the-app:the-s3cret"
    assert (status.granted, status.identity.subject) == (SCOPES, "wizzler")


def test_the_old_refresh_token_goes_on_until_another_comes(scene: Scene) -> None:
    opened(scene)
    scene.sign_in()
    for access in ("a2", "a3", "a4"):
        scene.clock.advance(3601)
        assert scene.token() == access

    assert [form(one)["refresh_token"] for one in scene.asked[TOKEN][1:]] == ["r1", "r1", "r2"]


def test_an_app_without_a_secret_names_itself_in_the_body(scene: Scene) -> None:
    opened(scene, {"client_id": "the-app"}, client_auth="none")
    scene.sign_in()
    scene.clock.advance(3601)
    scene.token()

    for sent in scene.asked[TOKEN]:
        assert "authorization" not in sent.headers
        assert form(sent)["client_id"] == "the-app"


def test_there_is_nothing_to_revoke_at_and_that_is_said(scene: Scene) -> None:
    opened(scene)
    scene.sign_in()

    assert not scene.valet.disconnect("spotify").revoked
    assert set(scene.asked) == {TOKEN, ME}
