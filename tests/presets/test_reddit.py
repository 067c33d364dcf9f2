"""Reddit: a permanent grant, errors with status 200, and a refresh token that stays."""

from __future__ import annotations

import pytest

from shared.everywhere import Reply
from shared.scene import Scene, form, well
from valetkey.errors import ConnectError, ProviderError, ReauthorizationRequired

TOKEN = "POST https://www.reddit.com/api/v1/access_token"
REVOKE = "POST https://www.reddit.com/api/v1/revoke_token"
ME = "GET https://oauth.reddit.com/api/v1/me"


@pytest.fixture
def reddit(scene: Scene) -> Scene:
    scene.open("reddit", scopes=["identity", "read"])
    answer = {"token_type": "bearer", "expires_in": 86400, "scope": "identity read"}
    scene.says(
        TOKEN,
        well(access_token="a1", refresh_token="r1", **answer),
        well(access_token="a2", **answer),
    )
    scene.says(ME, well(id="1w72", name="somebody"))
    return scene


def test_permanence_is_asked_for_with_commas_and_answered_with_spaces(reddit: Scene) -> None:
    begun, asked = reddit.start()
    status = reddit.back(begun, asked, code="the-code")

    assert (asked["duration"], asked["scope"]) == ("permanent", "identity,read")
    assert "code_challenge" not in asked
    assert (status.granted, status.missing) == (("identity", "read"), ())
    assert (status.identity.subject, status.identity.login) == ("1w72", "somebody")
    assert reddit.asked[TOKEN][0].headers["authorization"].startswith("Basic ")


def test_a_bad_code_with_status_200_is_a_refusal(scene: Scene) -> None:
    scene.open("reddit")
    scene.says(TOKEN, well(error="invalid_grant"))
    begun, asked = scene.start()

    with pytest.raises((ConnectError, ProviderError), match="invalid_grant"):
        scene.back(begun, asked, code="spent")


def test_the_refresh_token_stays(reddit: Scene) -> None:
    reddit.sign_in()
    reddit.clock.advance(86401)

    assert reddit.token() == "a2"
    assert form(reddit.asked[TOKEN][-1])["refresh_token"] == "r1"


def test_a_refused_refresh_wants_a_person(reddit: Scene) -> None:
    reddit.sign_in()
    reddit.says(TOKEN, Reply(400, {"error": "invalid_grant"}))
    reddit.clock.advance(86401)

    with pytest.raises(ReauthorizationRequired):
        reddit.token()


def test_revoking_is_answered_without_content_and_taken_at_its_word(reddit: Scene) -> None:
    reddit.sign_in()
    reddit.says(REVOKE, Reply(204, {}))

    assert reddit.valet.disconnect("reddit").revoked
    sent = reddit.only(REVOKE)
    assert form(sent)["token"] == "r1"
    assert sent.headers["authorization"].startswith("Basic ")
