"""GitLab: instances that people run themselves, and refresh tokens that rotate."""

from __future__ import annotations

import pytest

from shared.scene import Scene, form, well
from valetkey import HostNotAllowed

HOST = "gitlab.example.com"
TOKEN = f"POST https://{HOST}/oauth/token"
REVOKE = f"POST https://{HOST}/oauth/revoke"
ME = f"GET https://{HOST}/api/v4/user"


def opened(scene: Scene) -> None:
    scene.open("gitlab", params={"host": HOST}, scopes=["read_api"])
    life = {"token_type": "Bearer", "expires_in": 7200, "scope": "read_api", "created_at": 1607635748}
    scene.says(
        TOKEN, well(access_token="a1", refresh_token="r1", **life), well(access_token="a2", refresh_token="r2", **life)
    )
    scene.says(ME, well(id=42, username="tanuki", name="Tanuki", email="t@example.com"))


def test_all_goes_to_the_instance_and_the_token_to_no_other(scene: Scene) -> None:
    opened(scene)
    begun, asked = scene.start()
    status = scene.back(begun, asked, code="the-code")

    assert begun.url.startswith(f"https://{HOST}/oauth/authorize?")
    assert asked["code_challenge_method"] == "S256"
    told = form(scene.only(TOKEN))
    assert (told["client_id"], told["client_secret"]) == ("the-app", "the-s3cret")
    assert told["redirect_uri"] == asked["redirect_uri"]
    assert (status.identity.subject, status.identity.login) == ("42", "tanuki")
    for elsewhere in ("https://gitlab.com/api/v4/user", "https://pages.gitlab.example.com/user"):
        with pytest.raises(HostNotAllowed):
            scene.valet.client("gitlab").get(elsewhere)


def test_a_token_serves_until_its_last_minute_and_each_refresh_token_is_spent_once(scene: Scene) -> None:
    opened(scene)
    scene.sign_in()
    scene.clock.advance(7200 - 61)
    assert scene.token() == "a1"

    for _ in range(2):
        scene.clock.advance(7200)
        assert scene.token() == "a2"
    assert [form(one)["refresh_token"] for one in scene.asked[TOKEN][1:]] == ["r1", "r2"]


def test_a_revocation_proves_the_app(scene: Scene) -> None:
    opened(scene)
    scene.sign_in()
    scene.says(REVOKE, well())

    assert scene.valet.disconnect("gitlab").revoked
    told = form(scene.asked[REVOKE][0])
    assert (told["token"], told["client_id"], told["client_secret"]) == ("r1", "the-app", "the-s3cret")
