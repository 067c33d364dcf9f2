"""Linear: scopes asked for with commas and answered with spaces, and a revocation whose token is in the header."""

from __future__ import annotations

import pytest

from shared.everywhere import Reply
from shared.scene import Scene, body, form, well

TOKEN = "POST https://api.linear.app/oauth/token"
REVOKE = "POST https://api.linear.app/oauth/revoke"
API = "POST https://api.linear.app/graphql"


def opened(scene: Scene, scope: object = "read write") -> None:
    scene.open("linear", scopes=["read", "write"])
    kept = {"token_type": "Bearer", "expires_in": 86399, "scope": scope}
    scene.says(
        TOKEN, well(access_token="a1", refresh_token="r1", **kept), well(access_token="a2", refresh_token="r2", **kept)
    )
    scene.says(API, well(data={"viewer": {"id": "u1", "name": "Some Body", "email": "s@example.com"}}))


@pytest.mark.parametrize("scope", ["read write", ["read", "write"]])
def test_scopes_are_asked_for_with_commas_and_answered_with_spaces_or_as_a_list(scene: Scene, scope: object) -> None:
    opened(scene, scope)
    begun, asked = scene.start()
    status = scene.back(begun, asked, code="the-code")

    assert (asked["scope"], asked["prompt"], asked["code_challenge_method"]) == ("read,write", "consent", "S256")
    told = form(scene.only(TOKEN))
    assert (told["client_id"], told["client_secret"], told["code"]) == ("the-app", "the-s3cret", "the-code")
    assert set(status.granted) == {"read", "write"}
    assert status.identity.subject == "u1"
    assert body(scene.only(API)) == {"query": "{ viewer { id name email } }"}


def test_a_refresh_after_a_day_brings_the_next_refresh_token(scene: Scene) -> None:
    opened(scene)
    scene.sign_in()
    for _ in range(2):
        scene.clock.advance(86400)
        assert scene.token() == "a2"

    assert [form(one)["refresh_token"] for one in scene.asked[TOKEN][1:]] == ["r1", "r2"]


@pytest.mark.parametrize("status", [200, 400, 401])
def test_the_access_token_in_the_header_is_revoked_or_was_before(scene: Scene, status: int) -> None:
    opened(scene)
    scene.sign_in()
    scene.says(REVOKE, Reply(status, {}))

    assert scene.valet.disconnect("linear").revoked
    sent = scene.only(REVOKE)
    assert (sent.headers["authorization"], sent.body) == ("Bearer a1", b"")
