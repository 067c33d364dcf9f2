"""ServiceNow: instances with hosts of their own, and lifetimes of their own."""

from __future__ import annotations

import pytest

from shared.scene import Scene, form, well
from valetkey.errors import ReauthorizationRequired

HOST = "dev12345.service-now.com"
TOKEN = f"POST https://{HOST}/oauth_token.do"
ANSWER = {"scope": "useraccount", "token_type": "Bearer"}


def test_a_private_client_sends_its_secret_in_the_body_and_the_answer_says_how_long(scene: Scene) -> None:
    scene.open("servicenow", params={"host": HOST})
    scene.says(
        TOKEN,
        well(access_token="a1", refresh_token="r1", expires_in=1799, **ANSWER),
        well(access_token="a2", refresh_token="r1", expires_in=1799, **ANSWER),
    )
    begun, asked = scene.start()
    scene.back(begun, asked, code="the-code")

    assert begun.url.startswith(f"https://{HOST}/oauth_auth.do?")
    assert asked["state"]
    assert form(scene.only(TOKEN))["client_secret"] == "the-s3cret"
    scene.clock.advance(1800)
    assert scene.token() == "a2"


def test_a_public_client_uses_pkce_and_wants_a_person_when_its_token_ends(scene: Scene) -> None:
    scene.open("servicenow", {"client_id": "the-app"}, params={"host": HOST}, client_auth="none")
    scene.says(TOKEN, well(access_token="a1", expires_in=1799, **ANSWER))
    begun, asked = scene.start()
    status = scene.back(begun, asked, code="the-code")

    assert asked["code_challenge_method"] == "S256"
    assert "code_verifier" in form(scene.only(TOKEN))
    assert status.state == "expires_soon"
    scene.clock.advance(1800)
    with pytest.raises(ReauthorizationRequired) as caught:
        scene.token()
    assert caught.value.reason == "no_refresh_token"


def test_calls_go_to_the_instance(scene: Scene) -> None:
    scene.open("servicenow", params={"host": HOST})
    scene.says(TOKEN, well(access_token="a1", refresh_token="r1", expires_in=1799, **ANSWER))
    scene.says(f"GET https://{HOST}/api/now/table/incident", well(result=[]))
    scene.sign_in()

    assert scene.valet.client("servicenow").get("/table/incident").status_code == 200
