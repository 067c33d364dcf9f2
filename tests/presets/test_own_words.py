"""QQ, Weibo, DingTalk, Untappd, Zoom's own grant: providers whose requests have words of their own."""

from __future__ import annotations

import pytest

from shared.scene import Scene, body, form, query, well
from valetkey.errors import ConnectError


def test_qq_is_asked_by_get_for_json_and_says_who_it_is_beside_the_token(scene: Scene) -> None:
    scene.open("qq")
    token = "GET https://graph.qq.com/oauth2.0/token"
    life = {"expires_in": "7776000"}
    scene.says(
        token,
        well(access_token="one", refresh_token="r1", openid="OPEN", **life),
        well(access_token="two", refresh_token="r2", **life),
    )
    status = scene.sign_in()
    asked = query(scene.asked[token][0])

    assert (asked["fmt"], asked["need_openid"], asked["client_secret"]) == ("json", "1", "the-s3cret")
    assert status.params["openid"] == "OPEN"
    assert status.expires_at == pytest.approx(scene.clock.now() + 7776000)
    scene.clock.advance(7776001)
    assert scene.token() == "two"
    assert query(scene.asked[token][1])["fmt"] == "json"
    assert scene.status().params["openid"] == "OPEN"


def test_an_error_of_qq_with_status_200_is_an_error(scene: Scene) -> None:
    scene.open("qq")
    scene.says("GET https://graph.qq.com/oauth2.0/token", well(error=100020, error_description="code is reused error"))

    with pytest.raises(ConnectError) as caught:
        scene.sign_in()
    assert caught.value.code == "code_refused"


def test_weibo_says_who_it_is_gives_no_refresh_token_and_is_called_with_a_scheme_of_its_own(scene: Scene) -> None:
    scene.open("weibo")
    scene.says(
        "POST https://api.weibo.com/oauth2/access_token",
        well(access_token="one", expires_in=157679999, remind_in="157679999", uid="12341234", isRealName="true"),
    )
    shown, out = "GET https://api.weibo.com/2/users/show.json", "POST https://api.weibo.com/oauth2/revokeoauth2"
    scene.says(shown, well(screen_name="somebody"))
    scene.says(out, well(result="true"))

    assert scene.sign_in().params["uid"] == "12341234"
    assert scene.valet.client("weibo").get("/users/show.json", params={"uid": "12341234"}).status_code == 200
    assert scene.only(shown).headers["authorization"] == "OAuth2 one"
    assert scene.valet.disconnect("weibo").revoked
    assert form(scene.only(out)) == {"access_token": "one"}


def test_dingtalk_calls_the_code_otherwise_in_the_callback_than_in_the_request(scene: Scene) -> None:
    scene.open("dingtalk")
    token = "POST https://api.dingtalk.com/v1.0/oauth2/userAccessToken"
    me = "GET https://api.dingtalk.com/v1.0/contact/users/me"
    scene.says(
        token,
        well(accessToken="one", refreshToken="r1", expireIn=7200, corpId="corp"),
        well(accessToken="two", refreshToken="r2", expireIn=7200),
    )
    scene.says(me, well(unionId="union", nick="Somebody"))
    begun, asked = scene.start()
    status = scene.back(begun, asked, authCode="the-code")

    assert body(scene.only(token)) == {
        "clientId": "the-app",
        "clientSecret": "the-s3cret",
        "code": "the-code",
        "grantType": "authorization_code",
    }
    assert scene.only(me).headers["x-acs-dingtalk-access-token"] == "one"
    assert (status.identity.subject, status.params["corp_id"]) == ("union", "corp")
    scene.clock.advance(7300)
    assert scene.token() == "two"
    assert body(scene.asked[token][1]) == {
        "clientId": "the-app",
        "clientSecret": "the-s3cret",
        "grantType": "refresh_token",
        "refreshToken": "r1",
    }


def test_untappd_calls_the_redirect_uri_a_url_and_wraps_its_answer(scene: Scene) -> None:
    scene.open("untappd")
    token = "GET https://untappd.com/oauth/authorize/"
    scene.says(token, well(meta={"http_code": 200}, response={"access_token": "one"}))
    begun, asked = scene.start()
    status = scene.back(begun, {**asked, "redirect_uri": asked["redirect_url"]}, code="the-code")

    assert "redirect_uri" not in asked
    given = query(scene.only(token))
    assert (given["redirect_url"], given["response_type"]) == (asked["redirect_url"], "code")
    assert "grant_type" not in given
    assert (status.state, status.expires_at, scene.token()) == ("connected", None, "one")


def test_zoom_names_the_account_and_a_grant_of_its_own(scene: Scene) -> None:
    scene.open("zoom-cc", params={"account_id": "Ab1cD2"})
    token = "POST https://zoom.us/oauth/token"
    scene.says(token, well(access_token="one", expires_in=3600, token_type="bearer", scope="user:read:user:admin"))

    assert scene.valet.connect("zoom-cc").state == "connected"
    assert query(scene.only(token)) == {"account_id": "Ab1cD2"}
    assert form(scene.only(token)) == {"grant_type": "account_credentials"}
    assert scene.only(token).headers["authorization"].startswith("Basic ")
