"""TikTok: other names, a challenge in hex, and answers that are wrapped."""

from __future__ import annotations

import hashlib
from email.utils import formatdate

import pytest

from shared.everywhere import Reply
from shared.scene import Scene, body, form, well
from valetkey.errors import AuthorizationDenied, ConnectError, ProviderUnavailable, ReauthorizationRequired

TOKEN = "POST https://open.tiktokapis.com/v2/oauth/token/"
ADS = "POST https://business-api.tiktok.com/open_api/v1.3/oauth2/access_token/"
ME = {"data": {"user": {"open_id": "op", "display_name": "Somebody"}}, "error": {"code": "ok", "message": ""}}


def tokens(access: str, refresh: str) -> Reply:
    return well(
        access_token=access,
        refresh_token=refresh,
        expires_in=7200,
        refresh_expires_in=15552000,
        open_id="op",
        scope="user.info.basic,video.list",
        token_type="Bearer",
    )


def open_personal(scene: Scene) -> None:
    scene.open("tiktok-personal", scopes=["user.info.basic", "video.list"])
    scene.says(TOKEN, tokens("one", "r1"), tokens("two", "r2"))
    scene.says("GET https://open.tiktokapis.com/v2/user/info/", Reply(200, ME))


def test_a_client_key_and_a_challenge_in_hex(scene: Scene) -> None:
    open_personal(scene)
    begun, asked = scene.start()
    status = scene.back(begun, asked, code="the-code")
    given = form(scene.only(TOKEN))

    assert begun.url.startswith("https://www.tiktok.com/v2/auth/authorize/?client_key=the-app&")
    assert asked["scope"] == "user.info.basic,video.list"
    assert asked["code_challenge"] == hashlib.sha256(given["code_verifier"].encode()).hexdigest()
    assert asked["code_challenge_method"] == "S256"
    assert (given["client_key"], given["client_secret"], given["code"]) == ("the-app", "the-s3cret", "the-code")
    assert "client_id" not in {*asked, *given}
    assert (status.state, status.identity.subject, status.identity.name) == ("connected", "op", "Somebody")
    assert (status.granted, status.params["open_id"]) == (("user.info.basic", "video.list"), "op")
    assert status.refresh_expires_at == pytest.approx(scene.clock.now() + 15552000)


def test_each_refresh_brings_the_next_refresh_token(scene: Scene) -> None:
    open_personal(scene)
    scene.sign_in()
    scene.clock.advance(7300)

    assert scene.token() == "two"
    refreshed = form(scene.asked[TOKEN][1])
    assert refreshed == {
        "grant_type": "refresh_token",
        "refresh_token": "r1",
        "client_key": "the-app",
        "client_secret": "the-s3cret",
    }
    scene.clock.advance(7300)
    scene.token()
    assert form(scene.asked[TOKEN][2])["refresh_token"] == "r2"


def test_an_error_with_status_200_is_an_error(scene: Scene) -> None:
    open_personal(scene)
    scene.says(TOKEN, well(error="invalid_grant", error_description="Authorization code is expired.", log_id="2026"))

    with pytest.raises(ConnectError) as caught:
        scene.sign_in()
    assert caught.value.code == "code_refused"


def test_a_refresh_token_that_was_taken_back_wants_a_person(scene: Scene) -> None:
    open_personal(scene)
    scene.sign_in()
    scene.says(TOKEN, well(error="invalid_grant", error_description="Refresh token is invalid or expired."))
    scene.clock.advance(7300)

    with pytest.raises(ReauthorizationRequired):
        scene.token()


def test_a_limit_says_when_it_ends(scene: Scene) -> None:
    open_personal(scene)
    scene.sign_in()
    server = int(scene.clock.now()) - 86400  # its clock is slow, which its Date says
    reset = {"Date": formatdate(server, usegmt=True), "X-RateLimit-Reset": str(server + 500)}
    scene.says(TOKEN, Reply(429, {"error": "rate_limit_exceeded"}, headers=reset), tokens("two", "r2"))
    scene.clock.advance(7300)

    with pytest.raises(ProviderUnavailable):
        scene.token()
    assert scene.status().next_try_at == scene.clock.now() + 500
    scene.clock.advance(501)
    assert scene.token() == "two"


def test_revoking_names_the_client_key(scene: Scene) -> None:
    open_personal(scene)
    scene.sign_in()
    scene.says("POST https://open.tiktokapis.com/v2/oauth/revoke/", well())

    assert scene.valet.disconnect("tiktok-personal").revoked
    given = form(scene.only("POST https://open.tiktokapis.com/v2/oauth/revoke/"))
    assert given == {"client_key": "the-app", "client_secret": "the-s3cret", "token": "one"}


def test_a_person_who_says_no(scene: Scene) -> None:
    open_personal(scene)
    begun, asked = scene.start()

    with pytest.raises(AuthorizationDenied):
        scene.back(begun, asked, error="access_denied", error_description="User canceled")


def open_ads(scene: Scene) -> None:
    scene.open("tiktok-ads")
    wrapped = {"access_token": "advertisers", "scope": [4], "advertiser_ids": ["7"]}
    scene.says(ADS, well(code=0, message="OK", request_id="2026", data=wrapped))


def test_an_advertisers_code_is_called_auth_code_both_ways(scene: Scene) -> None:
    open_ads(scene)
    begun, asked = scene.start()
    status = scene.back(begun, asked, auth_code="the-code", code_type="x")

    assert begun.url.startswith("https://business-api.tiktok.com/portal/auth?app_id=the-app&")
    assert body(scene.only(ADS)) == {"app_id": "the-app", "secret": "the-s3cret", "auth_code": "the-code"}
    assert (status.state, status.expires_at, scene.token()) == ("connected", None, "advertisers")
    assert "the-code" not in str(status.params)


def test_calls_for_an_advertiser_carry_the_token_in_a_header_of_its_own(scene: Scene) -> None:
    open_ads(scene)
    begun, asked = scene.start()
    scene.back(begun, asked, auth_code="the-code", code_type="x")
    listed = "GET https://business-api.tiktok.com/open_api/v1.3/oauth2/advertiser/get/"
    scene.says(listed, well(code=0, data={"list": []}))

    assert scene.valet.client(scene.name).get("/oauth2/advertiser/get/").status_code == 200
    assert scene.only(listed).headers["access-token"] == "advertisers"
    assert "authorization" not in scene.only(listed).headers


def test_a_code_other_than_zero_is_an_error_though_the_status_is_200(scene: Scene) -> None:
    open_ads(scene)
    scene.says(ADS, well(code=40110, message="The auth code has been used.", data={}))
    begun, asked = scene.start()

    with pytest.raises(ConnectError) as caught:
        scene.back(begun, asked, auth_code="the-code")
    assert caught.value.code == "code_refused"
    assert "the-code" not in str(caught.value)
