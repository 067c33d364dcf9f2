"""Apple: the client secret is a JWT of the app's key, the answer a form, and the id token says who it is."""

from __future__ import annotations

from typing import Any

import pytest
from joserfc import jwk, jwt

from shared.everywhere import Asked, Reply
from shared.scene import Scene, form
from valetkey.errors import ClientRejected, ConfigurationError, ReauthorizationRequired

TOKEN = "POST https://appleid.apple.com/auth/token"
REVOKE = "POST https://appleid.apple.com/auth/revoke"
HALF_A_YEAR = 15777000
MINE = jwk.ECKey.generate_key("P-256")
THEIRS = jwk.RSAKey.generate_key(2048, {"kid": "apple", "alg": "RS256", "use": "sig"})
KEYED = {"client_id": "com.example.web", "private_key": MINE.as_pem(private=True).decode(), "key_id": "ABC123DEFG"}


class Apple:
    """Apple's token endpoint."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.nonce = ""
        self.secrets: list[str] = []

    def check(self, request: Asked) -> dict[str, str] | None:
        """Return the form of a request whose client secret holds."""
        given = form(request)
        self.secrets.append(given["client_secret"])
        token = jwt.decode(given["client_secret"], MINE, algorithms=["ES256"])
        now, claims = self.scene.clock.now(), token.claims
        assert given["client_id"] == claims["sub"] == "com.example.web"
        assert (claims["iss"], claims["aud"]) == ("TEAM123456", "https://appleid.apple.com")
        assert token.header["kid"] == "ABC123DEFG"
        assert claims["iat"] <= now < claims["exp"] <= now + HALF_A_YEAR
        return given

    def token(self, request: Asked) -> Reply:
        given = self.check(request)
        assert given is not None
        now = int(self.scene.clock.now())
        claims = {"iss": "https://appleid.apple.com", "aud": "com.example.web", "sub": "000.abc", "iat": now}
        claims |= {"exp": now + 86400, "email": "relay@privaterelay.appleid.com"}
        answer: dict[str, Any] = {"access_token": "nothing", "token_type": "Bearer", "expires_in": 3600}
        if given["grant_type"] == "authorization_code":
            answer["refresh_token"] = "r1"
            claims["nonce"] = self.nonce
        else:
            assert given["refresh_token"] == "r1"
        answer["id_token"] = jwt.encode({"alg": "RS256", "kid": "apple"}, claims, THEIRS)
        return Reply(200, answer)


@pytest.fixture
def apple(scene: Scene) -> Apple:
    made = Apple(scene)
    scene.open("apple", app=KEYED, params={"team_id": "TEAM123456"}, scopes=["name", "email"])
    scene.says(TOKEN, made.token)
    scene.publishes(
        THEIRS,
        issuer="https://appleid.apple.com",
        jwks="https://appleid.apple.com/auth/keys",
        authorize="https://appleid.apple.com/auth/authorize",
        token="https://appleid.apple.com/auth/token",
        subject="pairwise",
    )
    return made


def test_the_key_of_the_app_signs_its_secret(scene: Scene, apple: Apple) -> None:
    status, asked = scene.sign_in_at(apple)

    assert (asked["response_mode"], asked["scope"]) == ("form_post", "name email openid")
    assert (status.state, status.identity.subject) == ("connected", "000.abc")
    assert status.identity.email == "relay@privaterelay.appleid.com"


def test_every_refresh_has_a_secret_of_its_own_and_the_refresh_token_stays(scene: Scene, apple: Apple) -> None:
    scene.sign_in_at(apple)
    for _ in range(2):
        scene.clock.advance(86400 * 200)
        assert scene.token() == "nothing"

    assert len(set(apple.secrets)) == len(apple.secrets) == 3


def test_a_person_who_took_it_back_is_noticed(scene: Scene, apple: Apple) -> None:
    scene.sign_in_at(apple)
    scene.says(TOKEN, Reply(400, {"error": "invalid_grant"}))
    scene.clock.advance(3700)

    with pytest.raises(ReauthorizationRequired):
        scene.token()


def test_a_secret_that_apple_does_not_take_is_the_apps_fault(scene: Scene, apple: Apple) -> None:
    scene.says(TOKEN, Reply(400, {"error": "invalid_client"}))

    with pytest.raises(ClientRejected):
        scene.sign_in_at(apple)


def test_revoking_is_signed_too(scene: Scene, apple: Apple) -> None:
    scene.sign_in_at(apple)
    revoked: list[dict[str, str]] = []

    def revoke(request: Asked) -> Reply:
        revoked.append(apple.check(request) or {})
        return Reply(200, {}, text="")

    scene.says(REVOKE, revoke)
    assert scene.valet.disconnect("apple").revoked
    assert revoked[0]["token"] == "r1"


def test_an_app_without_a_key_is_told_so(scene: Scene) -> None:
    scene.open("apple", params={"team_id": "TEAM123456"})
    scene.says("GET https://appleid.apple.com/.well-known/openid-configuration", Reply(404, {}))
    begun, asked = scene.start()

    with pytest.raises(ConfigurationError) as caught:
        scene.back(begun, asked, code="the-code")
    assert caught.value.code == "private_key_missing"
    assert caught.value.hint == "valetkey app add apple --private-key-file FILE --key-id ID"


def test_a_team_id_has_to_be_one(scene: Scene) -> None:
    with pytest.raises(ConfigurationError, match="team_id"):
        scene.open("apple", params={"team_id": "my team"})
