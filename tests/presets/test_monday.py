"""monday.com: no expires_in, for the access token says itself when it ends."""

from __future__ import annotations

import base64
import json

import pytest

from shared.everywhere import Reply
from shared.scene import Scene, body, well
from valetkey.errors import ReauthorizationRequired

TOKEN = "POST https://auth.monday.com/oauth_ms/oauth/token"
API = "POST https://api.monday.com/v2"
REVOKE = "POST https://auth.monday.com/oauth_ms/oauth/revoke"


def access(end: float) -> str:
    parts = ({"alg": "HS256"}, {"tid": 1, "exp": int(end)})
    text = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts]
    return ".".join([*text, "c2lnbmF0dXJl"])


def opened(scene: Scene) -> None:
    scene.open("monday", scopes=["me:read", "boards:read"])
    now = scene.clock.now()
    answers = [
        well(
            access_token=access(now + life), refresh_token=f"r{life}", token_type="Bearer", scope="me:read boards:read"
        )
        for life in (1800, 9000)
    ]
    scene.says(TOKEN, *answers)
    scene.says(API, well(data={"me": {"id": "7", "name": "Some Body", "email": "somebody@example.com"}}))


def test_the_end_is_read_from_the_token(scene: Scene) -> None:
    opened(scene)
    status = scene.sign_in()

    assert status.expires_at == pytest.approx(scene.clock.now() + 1800, abs=1)
    assert (status.state, status.identity.email) == ("connected", "somebody@example.com")
    given = body(scene.only(TOKEN))
    assert (given["client_id"], given["client_secret"], given["code"]) == ("the-app", "the-s3cret", "the-code")
    assert given["code_verifier"]
    assert body(scene.asked[API][0]) == {"query": "{ me { id name email } }"}


def test_it_is_refreshed_when_the_token_says_so_and_the_refresh_token_rotates(scene: Scene) -> None:
    opened(scene)
    scene.sign_in()
    first = scene.token()
    scene.clock.advance(1500)
    assert scene.token() == first
    scene.clock.advance(290)

    assert scene.token() != first
    assert body(scene.asked[TOKEN][1])["refresh_token"] == "r1800"
    assert scene.status().expires_at == pytest.approx(scene.clock.now() - 1790 + 9000, abs=1)


def test_a_spent_refresh_token_wants_a_person(scene: Scene) -> None:
    opened(scene)
    scene.sign_in()
    scene.says(TOKEN, Reply(400, {"error": "invalid_grant"}))
    scene.clock.advance(1900)

    with pytest.raises(ReauthorizationRequired):
        scene.token()


def test_revoking_is_json_too(scene: Scene) -> None:
    opened(scene)
    scene.sign_in()
    scene.says(REVOKE, well(success=True))

    assert scene.valet.disconnect("monday").revoked
    assert body(scene.asked[REVOKE][0])["token"] == "r1800"
    assert body(scene.asked[REVOKE][0])["client_secret"] == "the-s3cret"
