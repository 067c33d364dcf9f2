"""APIs that want a key of the app beside the token: Etsy the app's own pair, Google Ads and Bungie one apart."""

from __future__ import annotations

import pytest

from shared.scene import Scene, form, well
from valetkey import ConfigurationError

ETSY = "POST https://api.etsy.com/v3/public/oauth/token"
ETSY_API = "GET https://api.etsy.com/v3/application/users/me"
BUNGIE = "POST https://www.bungie.net/platform/app/oauth/token/"
BUNGIE_API = "GET https://www.bungie.net/Platform/User/GetMembershipsForCurrentUser/"
GOOGLE = "POST https://oauth2.googleapis.com/token"
ADS_API = "GET https://googleads.googleapis.com/v21/customers:listAccessibleCustomers"
TOKENS = {"access_token": "a1", "refresh_token": "r1", "expires_in": 3600, "token_type": "Bearer"}


def test_etsy_gets_keystring_and_shared_secret_with_calls_and_no_secret_for_tokens(scene: Scene) -> None:
    scene.open("etsy")
    scene.says(ETSY, well(**TOKENS))
    scene.says(ETSY_API, well(user_id=7))
    scene.sign_in()
    scene.valet.client("etsy").get("/users/me")

    assert scene.only(ETSY_API).headers["x-api-key"] == "the-app:the-s3cret"
    assert "client_secret" not in form(scene.only(ETSY))
    assert "x-api-key" not in scene.only(ETSY).headers


def test_etsy_without_its_shared_secret_says_what_is_missing(scene: Scene) -> None:
    scene.open("etsy", app={"client_id": "the-app"})
    scene.says(ETSY, well(**TOKENS))
    scene.sign_in()

    with pytest.raises(ConfigurationError) as caught:
        scene.valet.client("etsy").get("/users/me")
    assert (caught.value.code, caught.value.hint) == ("header_secret_missing", "valetkey app add etsy")


def test_bungie_gets_the_key_of_the_app(scene: Scene) -> None:
    scene.open("bungie")
    scene.keep("bungie-api-key", "the-key")
    scene.says(BUNGIE, well(**TOKENS, membership_id="7"))
    scene.says(BUNGIE_API, well(Response={}))
    scene.sign_in()
    scene.valet.client("bungie").get("/User/GetMembershipsForCurrentUser/")

    assert scene.only(BUNGIE_API).headers["x-api-key"] == "the-key"


def test_google_ads_gets_the_developer_token_and_the_sign_in_does_not(scene: Scene) -> None:
    scene.open("google-ads", scopes=["https://www.googleapis.com/auth/adwords"], userinfo_url="", issuer="")
    scene.keep("google-ads-developer-token", "the-token-of-developers")
    scene.says(GOOGLE, well(**TOKENS))
    scene.says(ADS_API, well(resourceNames=[]))
    scene.sign_in()
    scene.valet.client("google-ads").get("/v21/customers:listAccessibleCustomers")

    assert scene.only(ADS_API).headers["developer-token"] == "the-token-of-developers"
    assert "developer-token" not in scene.only(GOOGLE).headers
