"""Discord: forms by Basic, the server named by the token answer, and a revocation that ends the authorization."""

from __future__ import annotations

from base64 import b64decode

from shared.everywhere import Asked
from shared.scene import Scene, form, well

TOKEN = "POST https://discord.com/api/oauth2/token"
REVOKE = "POST https://discord.com/api/oauth2/token/revoke"
ME = "GET https://discord.com/api/users/@me"


def opened(scene: Scene) -> None:
    scene.open("discord", scopes=["identify", "email"])
    kept = {"token_type": "Bearer", "expires_in": 604800, "scope": "identify email", "guild": {"id": "41", "name": "G"}}
    scene.says(
        TOKEN, well(access_token="a1", refresh_token="r1", **kept), well(access_token="a2", refresh_token="r2", **kept)
    )
    scene.says(ME, well(id="80351110224678912", username="nelly", global_name="Nelly", email="n@example.com"))


def basic(sent: Asked) -> bytes:
    return b64decode(sent.headers["authorization"].removeprefix("Basic "))


def test_the_code_goes_as_a_form_and_the_answers_server_counts(scene: Scene) -> None:
    opened(scene)
    begun, asked = scene.start()
    status = scene.back(begun, asked, code="the-code", guild_id="99")

    assert (asked["scope"], asked["code_challenge_method"]) == ("identify email", "S256")
    sent = scene.only(TOKEN)
    told = form(sent)
    assert told.pop("code_verifier")
    assert told == {"grant_type": "authorization_code", "code": "the-code", "redirect_uri": asked["redirect_uri"]}
    assert basic(sent) == b"the-app:the-s3cret"
    assert status.params["guild_id"] == "41"
    assert (status.identity.subject, status.identity.login) == ("80351110224678912", "nelly")


def test_a_refresh_after_a_week_brings_the_next_refresh_token(scene: Scene) -> None:
    opened(scene)
    scene.sign_in()
    for _ in range(2):
        scene.clock.advance(604801)
        assert scene.token() == "a2"

    assert [form(one)["refresh_token"] for one in scene.asked[TOKEN][1:]] == ["r1", "r2"]


def test_one_revocation_as_a_form_ends_all_tokens(scene: Scene) -> None:
    opened(scene)
    scene.sign_in()
    scene.says(REVOKE, well())

    assert scene.valet.disconnect("discord").revoked
    sent = scene.only(REVOKE)
    assert form(sent) == {"token": "r1", "token_type_hint": "refresh_token"}
    assert basic(sent) == b"the-app:the-s3cret"
