"""Withings: an action beside each grant, answers in ``body``, and errors with status 200."""

from __future__ import annotations

import pytest

from shared.everywhere import Reply
from shared.scene import Scene, form, well
from valetkey.errors import ConnectError, ProviderUnavailable, ReauthorizationRequired

TOKEN = "POST https://wbsapi.withings.net/v2/oauth2"


def tokens(access: str, refresh: str) -> Reply:
    body = {
        "userid": "363",
        "access_token": access,
        "refresh_token": refresh,
        "scope": "user.metrics",
        "expires_in": 10800,
        "token_type": "Bearer",
    }
    return well(status=0, body=body)


def open_it(scene: Scene) -> None:
    scene.open("withings")
    scene.says(TOKEN, tokens("one", "r1"), tokens("two", "r2"))


def test_the_code_is_exchanged_with_an_action_and_the_body_is_read(scene: Scene) -> None:
    open_it(scene)
    begun, asked = scene.start()
    status = scene.back(begun, asked, code="the-code")

    assert asked["scope"] == "user.metrics"
    assert "code_challenge" not in asked
    assert form(scene.only(TOKEN)) == {
        "action": "requesttoken",
        "grant_type": "authorization_code",
        "client_id": "the-app",
        "client_secret": "the-s3cret",
        "code": "the-code",
        "redirect_uri": asked["redirect_uri"],
    }
    assert (status.state, status.params["userid"]) == ("connected", "363")
    assert status.granted == ("user.metrics",)
    assert status.expires_at == pytest.approx(scene.clock.now() + 10800)


def test_what_needs_a_contract_is_asked_for_only_when_it_is_wanted_and_with_a_comma(scene: Scene) -> None:
    credential = scene.open("withings", scopes=["user.metrics", "user.info"])
    _, asked = scene.start()

    assert asked["scope"] == "user.metrics,user.info"
    assert credential.loopback == "https_only"


def test_a_renewal_names_the_action_too_and_brings_the_next_refresh_token(scene: Scene) -> None:
    open_it(scene)
    scene.sign_in()
    scene.clock.advance(10900)

    assert scene.token() == "two"
    given = form(scene.asked[TOKEN][1])
    assert (given["action"], given["grant_type"], given["refresh_token"]) == ("requesttoken", "refresh_token", "r1")
    scene.clock.advance(10900)
    scene.token()
    assert form(scene.asked[TOKEN][2])["refresh_token"] == "r2"


def test_a_status_other_than_zero_is_an_error_though_the_answer_is_200(scene: Scene) -> None:
    open_it(scene)
    scene.says(TOKEN, well(status=503, body={}, error="Invalid Params: invalid code"))

    with pytest.raises(ConnectError):
        scene.sign_in()


def test_a_grant_that_is_gone_wants_a_person(scene: Scene) -> None:
    open_it(scene)
    scene.sign_in()
    scene.says(TOKEN, well(status=401, body={}, error="XRequestID: Not provided invalid_token"))
    scene.clock.advance(10900)

    with pytest.raises(ReauthorizationRequired):
        scene.token()


def test_too_many_requests_cost_no_grant(scene: Scene) -> None:
    open_it(scene)
    scene.sign_in()
    scene.says(TOKEN, well(status=601, body={}, error="Too Many Requests"))
    scene.clock.advance(10900)

    with pytest.raises(ProviderUnavailable):
        scene.token()
    waits = scene.status().next_try_at - scene.clock.now()
    scene.says(TOKEN, tokens("two", "r2"))
    scene.clock.advance(waits + 1)
    assert scene.token() == "two"
