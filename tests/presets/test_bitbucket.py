"""Bitbucket: scopes of the consumer, answered in two spellings, and refresh tokens that rotate since May 2026."""

from __future__ import annotations

import pytest

from shared.scene import Scene, form, well

TOKEN = "POST https://bitbucket.org/site/oauth2/access_token"
ME = "GET https://api.bitbucket.org/2.0/user"


@pytest.mark.parametrize("member", ["scope", "scopes"])
def test_scopes_come_under_the_new_name_and_the_old(scene: Scene, member: str) -> None:
    scene.open("bitbucket")
    answer = {member: "account repository", "token_type": "bearer", "expires_in": 7200}
    scene.says(TOKEN, well(access_token="a1", refresh_token="r1", **answer))
    scene.says(ME, well(uuid="{b3}", username="somebody", display_name="Some Body"))
    begun, asked = scene.start()
    status = scene.back(begun, asked, code="the-code")

    assert "scope" not in asked
    assert status.granted == ("account", "repository")
    assert (status.identity.subject, status.identity.login) == ("{b3}", "somebody")
    assert scene.only(TOKEN).headers["authorization"].startswith("Basic ")


def test_each_refresh_gives_another_refresh_token(scene: Scene) -> None:
    scene.open("bitbucket")
    scene.says(
        TOKEN,
        *(well(access_token=f"a{n}", refresh_token=f"r{n}", expires_in=7200, scope="account") for n in (1, 2, 3)),
    )
    scene.says(ME, well(uuid="{b3}", username="somebody"))
    scene.sign_in()
    for wanted in ("a2", "a3"):
        scene.clock.advance(7201)
        assert scene.token() == wanted

    assert [form(one).get("refresh_token") for one in scene.asked[TOKEN]] == [None, "r1", "r2"]


def test_the_token_goes_into_the_header_alone(scene: Scene) -> None:
    scene.open("bitbucket")
    scene.says(TOKEN, well(access_token="a1", refresh_token="r1", expires_in=7200))
    scene.says(ME, well(uuid="{b3}", username="somebody"))
    scene.says("GET https://api.bitbucket.org/2.0/repositories", well(values=[]))
    scene.sign_in()
    scene.valet.client("bitbucket").get("/repositories")

    sent = scene.only("GET https://api.bitbucket.org/2.0/repositories")
    assert sent.headers["authorization"] == "Bearer a1"
    assert "a1" not in sent.url
