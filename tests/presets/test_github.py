"""GitHub: errors with status 200, answers as forms, tokens without an end."""

from __future__ import annotations

import pytest

from shared.everywhere import Reply
from shared.scene import Scene, body, form, well
from valetkey.errors import ClientRejected, ConnectError, ReauthorizationRequired

TOKEN = "POST https://github.com/login/oauth/access_token"
REVOKE = "DELETE https://api.github.com/applications/the-app/token"


def opened(scene: Scene, *answers: Reply) -> None:
    scene.open("github", scopes=["repo", "read:user"])
    scene.says(TOKEN, *answers)
    scene.says("GET https://api.github.com/user", well(id=1, login="somebody", name=None, email=None))


def test_a_token_of_an_oauth_app_has_no_end_and_its_scopes_have_commas(scene: Scene) -> None:
    opened(scene, well(access_token="gho_1", scope="repo,read:user", token_type="bearer"))
    begun, asked = scene.start()
    status = scene.back(begun, asked, code="the-code")

    assert asked["scope"] == "repo read:user"
    assert (status.state, status.granted, status.expires_at) == ("connected", ("repo", "read:user"), None)
    assert scene.only(TOKEN).headers["accept"] == "application/json"
    assert (status.identity.subject, status.identity.login) == ("1", "somebody")
    scene.clock.advance(200 * 86400)
    assert scene.token() == "gho_1"


def test_an_answer_as_a_form_is_read(scene: Scene) -> None:
    opened(scene, Reply(200, {}, text="access_token=gho_1&scope=repo%2Cread%3Auser&token_type=bearer"))

    status = scene.sign_in()
    assert (status.state, status.granted, scene.token()) == ("connected", ("repo", "read:user"), "gho_1")


@pytest.mark.parametrize("as_form", [False, True])
def test_a_spent_code_is_an_error_with_status_200(scene: Scene, as_form: bool) -> None:
    error = {"error": "bad_verification_code", "error_description": "The code passed is incorrect or expired."}
    text = "&".join(f"{name}={value}" for name, value in error.items()).replace(" ", "+")
    opened(scene, Reply(200, error, text=text if as_form else None))

    with pytest.raises(ConnectError) as caught:
        scene.sign_in()
    assert caught.value.code == "code_refused"


def test_a_wrong_secret_with_status_200_is_the_apps_fault(scene: Scene) -> None:
    opened(scene, well(error="incorrect_client_credentials", error_description="The client_id is not valid."))

    with pytest.raises(ClientRejected):
        scene.sign_in()


def test_fewer_scopes_than_asked_are_told(scene: Scene) -> None:
    opened(scene, well(access_token="gho_1", scope="read:user", token_type="bearer"))

    assert scene.sign_in().missing == ("repo",)


def test_a_token_of_a_github_app_is_refreshed_and_rotates(scene: Scene) -> None:
    def pair(number: int) -> Reply:
        return well(
            access_token=f"ghu_{number}",
            expires_in=28800,
            refresh_token=f"ghr_{number}",
            refresh_token_expires_in=15897600,
            scope="",
            token_type="bearer",
        )

    opened(scene, pair(1), pair(2), well(error="bad_refresh_token", error_description="It is incorrect or expired."))
    status = scene.sign_in()
    scene.clock.advance(28900)

    assert status.refresh_expires_at == pytest.approx(scene.clock.now() - 28900 + 15897600)
    assert scene.token() == "ghu_2"
    assert form(scene.asked[TOKEN][1])["refresh_token"] == "ghr_1"
    scene.clock.advance(28900)
    with pytest.raises(ReauthorizationRequired):
        scene.token()


@pytest.mark.parametrize(("status", "revoked"), [(204, True), (404, True), (422, False)])
def test_revoking_deletes_one_token_with_basic_and_json(scene: Scene, status: int, revoked: bool) -> None:
    opened(scene, well(access_token="gho_1", scope="repo,read:user", token_type="bearer"))
    scene.sign_in()
    scene.says(REVOKE, Reply(status, {}, text="" if status == 204 else None))

    assert bool(scene.valet.disconnect("github").revoked) is revoked
    sent = scene.asked[REVOKE][0]
    assert body(sent) == {"access_token": "gho_1"}
    assert sent.headers["authorization"].startswith("Basic ")
