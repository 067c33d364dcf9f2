"""Google: a refresh token on the first consent only, fewer scopes than asked, one revocation for all."""

from __future__ import annotations

from typing import Any

import pytest
from joserfc import jwk, jwt

from shared.everywhere import Asked, Reply
from shared.scene import Scene, form, well
from valetkey.errors import ReauthorizationRequired

TOKEN = "POST https://oauth2.googleapis.com/token"
REVOKE = "POST https://oauth2.googleapis.com/revoke"
ME = "GET https://openidconnect.googleapis.com/v1/userinfo"
CALENDAR = "https://www.googleapis.com/auth/calendar.readonly"
FILES = "https://www.googleapis.com/auth/drive.readonly"
KEY = jwk.RSAKey.generate_key(2048, {"kid": "google", "alg": "RS256", "use": "sig"})


class Google:
    """Google's token endpoint: it gives a refresh token on the first consent, or where it is asked for consent."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.nonce = ""
        self.consented = False
        self.granted = ""

    def token(self, request: Asked) -> Reply:
        given = form(request)
        answer: dict[str, Any] = {"access_token": "ya29", "expires_in": 3599, "token_type": "Bearer"}
        answer["scope"] = self.granted
        if given["grant_type"] == "authorization_code":
            if not self.consented:
                answer["refresh_token"] = "1//refresh"
            self.consented = True
            now = int(self.scene.clock.now())
            claims = {
                "iss": "https://accounts.google.com",
                "sub": "110",
                "aud": "the-app",
                "iat": now,
                "exp": now + 3600,
            }
            answer["id_token"] = jwt.encode({"alg": "RS256", "kid": "google"}, {**claims, "nonce": self.nonce}, KEY)
        else:
            assert given["refresh_token"] == "1//refresh"
        return Reply(200, answer)


@pytest.fixture
def google(scene: Scene) -> Google:
    made = Google(scene)
    scene.open("google", scopes=["openid", "email", CALENDAR, FILES])
    scene.says(TOKEN, made.token)
    scene.says(ME, well(sub="110", email="somebody@example.com", name="Some Body"))
    scene.publishes(
        KEY,
        issuer="https://accounts.google.com",
        jwks="https://www.googleapis.com/oauth2/v3/certs",
        authorize="https://accounts.google.com/o/oauth2/v2/auth",
        token="https://oauth2.googleapis.com/token",
        subject="public",
    )
    made.granted = f"openid https://www.googleapis.com/auth/userinfo.email {CALENDAR} {FILES}"
    return made


def test_it_is_asked_for_consent_so_that_a_refresh_token_comes(scene: Scene, google: Google) -> None:
    status, asked = scene.sign_in_at(google)

    assert (asked["access_type"], asked["prompt"]) == ("offline", "consent")
    assert (status.state, status.missing, status.identity.email) == ("connected", (), "somebody@example.com")
    scene.clock.advance(3600)
    assert scene.token() == "ya29"
    assert form(scene.asked[TOKEN][1])["grant_type"] == "refresh_token"


def test_without_a_refresh_token_the_connection_says_how_long_it_lasts(scene: Scene, google: Google) -> None:
    google.consented = True  # somebody gave consent before, and prompt=consent was not obeyed
    status, _ = scene.sign_in_at(google)

    assert status.state == "expires_soon"
    scene.clock.advance(3600)
    with pytest.raises(ReauthorizationRequired) as caught:
        scene.token()
    assert caught.value.reason == "no_refresh_token"


def test_a_person_may_untick_scopes(scene: Scene, google: Google) -> None:
    google.granted = f"openid https://www.googleapis.com/auth/userinfo.email {CALENDAR}"
    status, _ = scene.sign_in_at(google)

    assert status.missing == (FILES,)
    assert status.state == "connected"


def test_invalid_grant_wants_a_person_and_server_trouble_does_not(scene: Scene, google: Google) -> None:
    scene.sign_in_at(google)
    scene.clock.advance(3600)
    scene.says(TOKEN, Reply(503, {"error": "backend_error"}))
    with pytest.raises(Exception, match="Google"):
        scene.token()
    assert scene.status().state == "refresh_failing"
    scene.says(TOKEN, Reply(400, {"error": "invalid_grant", "error_description": "Token has been expired or revoked."}))
    scene.clock.advance(600)
    with pytest.raises(ReauthorizationRequired):
        scene.token()


def test_revoking_sends_the_refresh_token_as_a_form(scene: Scene, google: Google) -> None:
    scene.sign_in_at(google)
    scene.says(REVOKE, well())

    assert scene.valet.disconnect("google").revoked
    assert form(scene.only(REVOKE))["token"] == "1//refresh"
