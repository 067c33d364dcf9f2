"""Facebook, Instagram and Threads: no refresh tokens, but trades of one token for another."""

from __future__ import annotations

from typing import Any

import pytest

from shared.everywhere import Asked, Reply
from shared.scene import Scene, form, query, well
from valetkey.errors import ConnectError, ReauthorizationRequired
from valetkey.testing._contract_base import at_once

DAY = 86400
LONG = 5183944
GRAPH = "https://graph.facebook.com/v25.0"
FB_TOKEN = f"GET {GRAPH}/oauth/access_token"
IG_CODE = "POST https://api.instagram.com/oauth/access_token"
IG_TRADE = "GET https://graph.instagram.com/access_token"
IG_RENEW = "GET https://graph.instagram.com/refresh_access_token"
TH_CODE = "POST https://graph.threads.net/oauth/access_token"
TH_TRADE = "GET https://graph.threads.net/access_token"
TH_RENEW = "GET https://graph.threads.net/refresh_access_token"


def facebook(request: Asked) -> Reply:
    """Answer as the one endpoint of the Graph API does: by grant_type."""
    asked = query(request)
    if asked.get("grant_type") == "fb_exchange_token":
        assert set(asked) == {"grant_type", "client_id", "client_secret", "fb_exchange_token"}
        assert (asked["client_id"], asked["client_secret"]) == ("the-app", "the-s3cret")
        return well(access_token=f"{asked['fb_exchange_token']}-long", token_type="bearer", expires_in=LONG)
    assert (asked["code"], asked["client_secret"]) == ("the-code", "the-s3cret")
    return well(access_token="short", token_type="bearer", expires_in=5000)


def open_facebook(scene: Scene) -> None:
    scene.open("facebook")
    scene.says(FB_TOKEN, facebook)
    scene.says(f"GET {GRAPH}/me", well(id="10", name="Somebody", email="somebody@example.com"))


def test_facebooks_token_of_hours_is_traded_at_once(scene: Scene) -> None:
    open_facebook(scene)
    begun, asked = scene.start()
    status = scene.back(begun, asked, code="the-code", mark="#_=_")

    assert (status.state, status.identity.subject, status.identity.email) == ("connected", "10", "somebody@example.com")
    assert asked["scope"] == "public_profile"
    assert scene.token() == "short-long"
    assert status.expires_at == pytest.approx(scene.clock.now() + LONG)
    assert [request.body for request in scene.asked[FB_TOKEN]] == [b"", b""]
    assert scene.asked[f"GET {GRAPH}/me"][0].headers["authorization"] == "Bearer short-long"


def test_facebooks_token_of_weeks_is_renewed_early_by_itself(scene: Scene) -> None:
    open_facebook(scene)
    scene.sign_in()
    scene.clock.advance(20 * DAY)
    assert scene.token() == "short-long"
    scene.clock.advance(36 * DAY)

    assert scene.token() == "short-long-long"
    assert query(scene.asked[FB_TOKEN][2])["fb_exchange_token"] == "short-long"
    assert scene.status().state == "connected"


def test_many_callers_renew_it_once(scene: Scene) -> None:
    open_facebook(scene)
    scene.sign_in()
    scene.clock.advance(56 * DAY)

    tokens = at_once(*[scene.token] * 20) if scene.colour == "sync" else [scene.token() for _ in range(20)]

    assert tokens == ["short-long-long"] * 20
    assert len(scene.asked[FB_TOKEN]) == 3


def test_facebooks_error_190_is_the_final_word(scene: Scene) -> None:
    open_facebook(scene)
    scene.sign_in()
    error = {"message": "The session has been invalidated", "type": "OAuthException", "code": 190, "error_subcode": 460}
    scene.says(FB_TOKEN, Reply(400, {"error": error}))
    scene.clock.advance(56 * DAY)

    with pytest.raises(ReauthorizationRequired):
        scene.refresh()
    assert scene.status().state == "needs_reauth"


def test_facebooks_trouble_leaves_the_token_that_lives(scene: Scene) -> None:
    open_facebook(scene)
    scene.sign_in()
    error = {"message": "Please retry", "type": "OAuthException", "code": 2}
    scene.says(FB_TOKEN, Reply(500, {"error": error}))
    scene.clock.advance(56 * DAY)

    assert scene.token() == "short-long"
    assert scene.status().state in {"connected", "refresh_failing", "expires_soon"}


def test_a_lost_answer_to_the_trade_is_asked_for_again(scene: Scene) -> None:
    open_facebook(scene)
    lost = Reply(502, {}, text="<html>bad gateway</html>")
    scene.says(FB_TOKEN, facebook, lost, lost, facebook)

    assert scene.sign_in().state == "connected"
    assert scene.token() == "short-long"
    assert len(scene.asked[FB_TOKEN]) == 4


def test_a_refused_trade_connects_nothing(scene: Scene) -> None:
    open_facebook(scene)
    error = {"message": "Invalid OAuth access token.", "type": "OAuthException", "code": 190}
    scene.says(FB_TOKEN, facebook, Reply(400, {"error": error}))

    with pytest.raises(ConnectError):
        scene.sign_in()
    assert len(scene.asked[FB_TOKEN]) == 2
    assert scene.status().state == "pending"


def test_disconnecting_takes_the_app_off_the_account(scene: Scene) -> None:
    open_facebook(scene)
    scene.sign_in()
    scene.says(f"DELETE {GRAPH}/me/permissions", Reply(200, {"success": True}))

    done = scene.valet.disconnect("facebook")
    assert done.revoked
    assert scene.only(f"DELETE {GRAPH}/me/permissions").headers["authorization"] == "Bearer short-long"


def test_another_version_of_the_graph_api_is_a_param(scene: Scene) -> None:
    credential = scene.open("meta-marketing-api", params={"version": "v24.0"})

    assert credential.token_url == credential.long_lived_url == "https://graph.facebook.com/v24.0/oauth/access_token"
    assert credential.authorization_url == "https://www.facebook.com/v24.0/dialog/oauth"
    assert credential.scopes == ("public_profile", "ads_read")


def open_instagram(scene: Scene, **code: Any) -> None:
    scene.open("instagram")
    listed = {"data": [{"access_token": "short", "user_id": "17", "permissions": "instagram_business_basic"}]}
    scene.says(IG_CODE, Reply(200, code or listed))
    scene.says(IG_TRADE, well(access_token="long", token_type="bearer", expires_in=LONG))
    scene.says(IG_RENEW, well(access_token="longer", token_type="bearer", expires_in=LONG))
    scene.says("GET https://graph.instagram.com/me", well(id="18", username="somebody", name="Some Body"))


def test_instagrams_sign_in_trades_a_token_from_a_list(scene: Scene) -> None:
    open_instagram(scene)
    begun, asked = scene.start()
    status = scene.back(begun, asked, code="the-code", mark="#_")

    assert (status.state, status.granted) == ("connected", ("instagram_business_basic",))
    assert (status.identity.login, status.params["user_id"]) == ("somebody", "17")
    given = form(scene.only(IG_CODE))
    assert (given["code"], given["client_id"], given["client_secret"]) == ("the-code", "the-app", "the-s3cret")
    assert query(scene.only(IG_TRADE)) == {
        "grant_type": "ig_exchange_token",
        "client_secret": "the-s3cret",
        "access_token": "short",
    }
    assert scene.token() == "long"


def test_instagrams_older_answer_is_flat(scene: Scene) -> None:
    open_instagram(scene, access_token="short", user_id=17)

    assert scene.sign_in().state == "connected"
    assert query(scene.only(IG_TRADE))["access_token"] == "short"
    assert scene.token() == "long"


def test_instagrams_token_renews_itself_without_the_secret(scene: Scene) -> None:
    open_instagram(scene)
    scene.sign_in()
    scene.clock.advance(56 * DAY)

    assert scene.token() == "longer"
    assert query(scene.only(IG_RENEW)) == {"grant_type": "ig_refresh_token", "access_token": "long"}


def test_a_token_younger_than_a_day_is_refused_a_renewal_and_lives_on(scene: Scene) -> None:
    open_instagram(scene)
    scene.sign_in()
    error = {"message": "token is too young", "type": "IGApiException", "code": 452}
    scene.says(IG_RENEW, Reply(400, {"error": error}))

    with pytest.raises(Exception, match="452"):
        scene.refresh()
    assert scene.token() == "long"
    assert scene.status().state != "needs_reauth"


def test_a_token_that_has_ended_cannot_be_renewed(scene: Scene) -> None:
    open_instagram(scene)
    scene.sign_in()
    scene.says(IG_RENEW, Reply(400, {"error": {"message": "expired", "type": "OAuthException", "code": 190}}))
    scene.clock.advance(61 * DAY)

    with pytest.raises(ReauthorizationRequired):
        scene.token()


def test_threads_asks_for_what_a_renewal_needs(scene: Scene) -> None:
    scene.open("threads")
    scene.says(TH_CODE, well(access_token="short", user_id=5))
    scene.says(TH_TRADE, well(access_token="long", token_type="bearer", expires_in=LONG))
    scene.says(TH_RENEW, well(access_token="longer", token_type="bearer", expires_in=LONG))
    scene.says("GET https://graph.threads.net/v1.0/me", well(id="5", username="somebody"))
    begun, asked = scene.start(scopes=["threads_content_publish"])
    status = scene.back(begun, asked, code="the-code")
    scene.clock.advance(56 * DAY)

    assert begun.url.startswith("https://threads.com/oauth/authorize?")
    assert asked["scope"] == "threads_basic,threads_content_publish"
    assert (status.state, scene.token()) == ("connected", "longer")
    assert query(scene.only(TH_TRADE))["grant_type"] == "th_exchange_token"
    assert query(scene.only(TH_RENEW)) == {"grant_type": "th_refresh_token", "access_token": "long"}
    assert not scene.valet.disconnect("threads").revoked
