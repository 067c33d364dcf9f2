"""WeChat, Square, Strava, Stack Exchange, Vimeo, Acrobat Sign, LinkedIn and X, quirk by quirk."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import urlsplit

import pytest

from shared.everywhere import Reply
from shared.scene import Scene, body, form, query, well
from valetkey.errors import ClientRejected, ConnectError, ReauthorizationRequired

DAY = 86400

WECHAT = "GET https://api.weixin.qq.com/sns/oauth2/access_token"
WECHAT_REFRESH = "GET https://api.weixin.qq.com/sns/oauth2/refresh_token"


def wechat(scene: Scene, *answers: Reply) -> None:
    scene.open("wechat")
    tokens = {"access_token": "one", "expires_in": 7200, "refresh_token": "r1", "openid": "o1", "scope": "snsapi_base"}
    scene.says(WECHAT, *(answers or (well(**tokens),)))
    scene.says(WECHAT_REFRESH, well(**{**tokens, "access_token": "two"}))


def test_wechat_wants_an_order_a_fragment_and_a_get(scene: Scene) -> None:
    wechat(scene)
    begun, asked = scene.start()
    status = scene.back(begun, asked, code="the-code")

    assert list(asked) == ["appid", "redirect_uri", "response_type", "scope", "state"]
    assert urlsplit(begun.url).fragment == "wechat_redirect"
    sent = scene.only(WECHAT)
    assert (query(sent)["appid"], query(sent)["secret"], query(sent)["code"]) == ("the-app", "the-s3cret", "the-code")
    assert sent.body == b""
    assert (status.state, status.params["openid"]) == ("connected", "o1")


def test_wechats_renewal_names_the_app_and_no_secret(scene: Scene) -> None:
    wechat(scene)
    scene.sign_in()
    scene.clock.advance(7300)

    assert scene.token() == "two"
    assert query(scene.only(WECHAT_REFRESH)) == {
        "appid": "the-app",
        "grant_type": "refresh_token",
        "refresh_token": "r1",
    }


@pytest.mark.parametrize(
    ("code", "error"), [(40029, ConnectError), (40163, ConnectError), (40013, ClientRejected), (40125, ClientRejected)]
)
def test_wechats_errors_have_numbers_and_status_200(scene: Scene, code: int, error: type[Exception]) -> None:
    wechat(scene, well(errcode=code, errmsg="invalid, rid: 5f1a-1b2c"))

    with pytest.raises(error):
        scene.sign_in()


def test_wechats_spent_refresh_token_wants_a_person_and_a_busy_system_does_not(scene: Scene) -> None:
    wechat(scene)
    scene.sign_in()
    scene.clock.advance(7300)
    scene.says(WECHAT_REFRESH, well(errcode=-1, errmsg="system error"))
    with pytest.raises(Exception, match="WeChat"):
        scene.token()
    assert scene.status().state == "refresh_failing"
    scene.says(WECHAT_REFRESH, well(errcode=42002, errmsg="refresh_token expired"))
    scene.clock.advance(600)
    with pytest.raises(ReauthorizationRequired):
        scene.token()


def test_nothing_that_wechat_wants_in_the_query_is_logged(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    wechat(scene)
    with caplog.at_level("DEBUG"):
        scene.sign_in()
        scene.clock.advance(7300)
        scene.token()

    assert "api.weixin.qq.com" in caplog.text
    for secret in ("the-s3cret", "the-code", "r1&", "=r1"):
        assert secret not in caplog.text


SQUARE = "POST https://connect.squareup.com/oauth2/token"


def test_square_tells_the_end_as_a_date_and_keeps_the_refresh_token(scene: Scene) -> None:
    scene.open("squareup")
    end = datetime.now(UTC).timestamp() + 30 * DAY  # by the server's clock, which it says in Date
    date = datetime.fromtimestamp(end, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    answer = {"access_token": "one", "token_type": "bearer", "expires_at": date, "merchant_id": "M1"}
    scene.says(SQUARE, well(**answer, refresh_token="r1", short_lived=False))
    who = {"merchant": {"id": "M1", "business_name": "Some Shop"}}
    scene.says("GET https://connect.squareup.com/v2/merchants/me", Reply(200, who))
    begun, asked = scene.start()
    status = scene.back(begun, asked, code="the-code")

    assert (asked["session"], "code_challenge" in asked) == ("false", False)
    assert body(scene.only(SQUARE))["client_secret"] == "the-s3cret"
    assert status.expires_at == pytest.approx(scene.clock.now() + 30 * DAY, abs=5)
    assert (status.params["merchant_id"], status.identity.name) == ("M1", "Some Shop")
    scene.clock.advance(30 * DAY)
    scene.token()
    assert body(scene.asked[SQUARE][1])["refresh_token"] == "r1"

    scene.says("POST https://connect.squareup.com/oauth2/revoke", well(success=True))
    assert scene.valet.disconnect("squareup").revoked
    sent = scene.only("POST https://connect.squareup.com/oauth2/revoke")
    assert sent.headers["authorization"] == "Client the-s3cret"
    assert body(sent) == {"client_id": "the-app", "access_token": "one"}


STRAVA = "POST https://www.strava.com/api/v3/oauth/token"


def test_strava_rotates_and_takes_the_app_off_the_account(scene: Scene) -> None:
    scene.open("strava", scopes=["read", "activity:read_all"])
    first = {"access_token": "one", "refresh_token": "r1", "expires_in": 21600, "token_type": "Bearer"}
    second = {"access_token": "two", "refresh_token": "r2", "expires_in": 21600, "token_type": "Bearer"}
    scene.says(STRAVA, well(**first, expires_at=1, athlete={"id": 9}), well(**second))
    scene.says("GET https://www.strava.com/api/v3/athlete", well(id=9, username="somebody", firstname="Some"))
    begun, asked = scene.start()
    status = scene.back(begun, asked, code="the-code", scope="read,activity:read_all")

    assert (asked["scope"], asked["approval_prompt"]) == ("read,activity:read_all", "auto")
    assert (status.identity.subject, status.expires_at) == ("9", pytest.approx(scene.clock.now() + 21600))
    scene.clock.advance(21700)
    assert scene.token() == "two"
    scene.says("POST https://www.strava.com/oauth/revoke", well())
    assert scene.valet.disconnect("strava").revoked
    sent = scene.only("POST https://www.strava.com/oauth/revoke")
    assert sent.headers["authorization"].startswith("Basic ")
    assert form(sent) == {"token": "r2", "token_type_hint": "refresh_token"}


STACK = "POST https://stackoverflow.com/oauth/access_token/json"


def test_stack_exchange_calls_the_life_of_a_token_expires(scene: Scene) -> None:
    scene.open("stackexchange", scopes=["read_inbox"])
    scene.says(STACK, well(access_token="one", expires=86400))

    status = scene.sign_in()
    assert (status.state, status.expires_at) == ("expires_soon", pytest.approx(scene.clock.now() + DAY))


def test_with_no_expiry_it_has_no_end(scene: Scene) -> None:
    scene.open("stackexchange")
    scene.says(STACK, well(access_token="one"))

    status = scene.sign_in()
    assert (status.state, status.expires_at) == ("connected", None)


def test_vimeo_deletes_the_token_by_itself(scene: Scene) -> None:
    scene.open("vimeo", scopes=["public", "private"])
    scene.says(
        "POST https://api.vimeo.com/oauth/access_token",
        well(access_token="one", token_type="bearer", scope="public", user={"uri": "/users/5", "name": "Somebody"}),
    )
    scene.says("GET https://api.vimeo.com/me", well(uri="/users/5", name="Somebody"))
    status = scene.sign_in()

    assert (status.identity.subject, status.missing, status.expires_at) == ("/users/5", ("private",), None)
    scene.says("DELETE https://api.vimeo.com/tokens", Reply(204, {}, text=""))
    assert scene.valet.disconnect("vimeo").revoked
    assert scene.only("DELETE https://api.vimeo.com/tokens").headers["authorization"] == "Bearer one"


def test_acrobat_sign_renews_elsewhere_in_the_part_where_the_account_lives(scene: Scene) -> None:
    scene.open("echosign", params={"shard": "eu1"})
    base = "https://api.eu1.adobesign.com"
    scene.says(
        f"POST {base}/oauth/v2/token",
        well(access_token="one", refresh_token="r1", expires_in=3600, token_type="Bearer"),
    )
    scene.says(f"POST {base}/oauth/v2/refresh", well(access_token="two", expires_in=3600, token_type="Bearer"))
    scene.says(f"GET {base}/api/rest/v6/users/me", well(id="9", email="somebody@example.com"))
    scene.says(f"POST {base}/oauth/v2/revoke", Reply(200, {}, text=""))
    begun, asked = scene.start()
    status = scene.back(begun, asked, code="the-code", api_access_point="https://api.na1.adobesign.com/")
    scene.clock.advance(3700)

    assert begun.url.startswith("https://secure.eu1.adobesign.com/public/oauth/v2?")
    assert (status.state, scene.token()) == ("connected", "two")
    assert form(scene.only(f"POST {base}/oauth/v2/refresh"))["refresh_token"] == "r1"
    assert scene.valet.disconnect("echosign").revoked
    assert form(scene.only(f"POST {base}/oauth/v2/revoke")) == {"token": "r1"}


LINKEDIN = "POST https://www.linkedin.com/oauth/v2/accessToken"


def test_linkedins_refresh_token_has_an_end_that_does_not_move(scene: Scene) -> None:
    scene.open("linkedin")
    answer = {"access_token": "one", "expires_in": 60 * DAY, "refresh_token": "r1", "scope": "openid,profile"}
    later = {**answer, "access_token": "two", "refresh_token_expires_in": 300 * DAY}
    scene.says(LINKEDIN, well(**answer, refresh_token_expires_in=365 * DAY), well(**later))
    scene.says("GET https://api.linkedin.com/v2/userinfo", well(sub="L1", name="Some Body"))
    begun, asked = scene.start()
    status = scene.back(begun, asked, code="the-code")

    assert ("code_challenge" in asked, asked["scope"]) == (False, "openid profile")
    assert (status.granted, status.identity.name) == (("openid", "profile"), "Some Body")
    assert status.refresh_expires_at == pytest.approx(scene.clock.now() + 365 * DAY)
    scene.clock.advance(65 * DAY)
    assert scene.token() == "two"
    assert form(scene.asked[LINKEDIN][1])["client_secret"] == "the-s3cret"
    assert scene.status().refresh_expires_at == pytest.approx(scene.clock.now() + 300 * DAY)


def test_linkedins_members_have_no_refresh_token_without_approval(scene: Scene) -> None:
    scene.open("linkedin")
    scene.says(LINKEDIN, well(access_token="one", expires_in=60 * DAY, scope="openid,profile"))
    scene.says("GET https://api.linkedin.com/v2/userinfo", well(sub="L1", name="Some Body"))
    scene.sign_in()
    scene.clock.advance(61 * DAY)

    with pytest.raises(ReauthorizationRequired) as caught:
        scene.token()
    assert caught.value.reason == "no_refresh_token"


X = "POST https://api.x.com/2/oauth2/token"


def test_x_wants_pkce_and_offline_access_and_rotates(scene: Scene) -> None:
    scene.open("twitter-v2")
    answers = [
        well(
            access_token=f"at{n}",
            refresh_token=f"rt{n}",
            expires_in=7200,
            token_type="bearer",
            scope="tweet.read users.read offline.access",
        )
        for n in (1, 2)
    ]
    scene.says(X, *answers)
    me = {"data": {"id": "12", "username": "somebody", "name": "Some Body"}}
    scene.says("GET https://api.x.com/2/users/me", Reply(200, me))
    begun, asked = scene.start()
    status = scene.back(begun, asked, code="the-code")

    assert begun.url.startswith("https://x.com/i/oauth2/authorize?")
    assert (asked["scope"], asked["code_challenge_method"]) == ("tweet.read users.read offline.access", "S256")
    assert (status.identity.login, status.missing) == ("somebody", ())
    scene.clock.advance(7300)
    assert scene.token() == "at2"
    assert form(scene.asked[X][1])["refresh_token"] == "rt1"
    scene.says("POST https://api.x.com/2/oauth2/revoke", well(revoked=True))
    assert scene.valet.disconnect("twitter-v2").revoked
    revoked = [form(sent)["token"] for sent in scene.asked["POST https://api.x.com/2/oauth2/revoke"]]
    assert revoked == ["rt2", "at2"]
