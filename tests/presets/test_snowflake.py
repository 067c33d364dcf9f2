"""Snowflake: accounts with hosts of their own, an offline scope of its own, and rotation as the integration says."""

from __future__ import annotations

from typing import Any

import pytest

from shared.scene import Scene, form, well
from valetkey.errors import ConfigurationError

HOST = "myorg-account1.snowflakecomputing.com"
TOKEN = f"POST https://{HOST}/oauth/token-request"
ANSWER: dict[str, Any] = {"token_type": "Bearer", "expires_in": 599, "username": "SOMEBODY", "scope": "refresh_token"}


def opened(scene: Scene, *answers: dict[str, Any], app: dict[str, str] | None = None, **declared: Any) -> None:
    scene.open("snowflake", app, params={"host": HOST}, **declared)
    scene.says(TOKEN, *(well(**{**ANSWER, **answer}) for answer in answers))


def test_the_offline_scope_is_always_asked_for_beside_the_role(scene: Scene) -> None:
    opened(scene, {"access_token": "a1", "refresh_token": "r1"}, scopes=["session:role:ANALYST"])
    begun, asked = scene.start()
    status = scene.back(begun, asked, code="the-code")

    assert begun.url.startswith(f"https://{HOST}/oauth/authorize?")
    assert asked["scope"] == "session:role:ANALYST refresh_token"
    assert asked["code_challenge_method"] == "S256"
    assert scene.only(TOKEN).headers["authorization"].startswith("Basic ")
    assert status.params["username"] == "SOMEBODY"


@pytest.mark.parametrize(
    ("answers", "sent"),
    [
        pytest.param([{}, {}], ["r1", "r1"], id="stays"),
        pytest.param([{"refresh_token": "r2"}, {"refresh_token": "r3"}], ["r1", "r2"], id="single use"),
    ],
)
def test_refresh_tokens_stay_or_rotate_as_the_integration_says(
    scene: Scene, answers: list[dict[str, str]], sent: list[str]
) -> None:
    opened(
        scene,
        {"access_token": "a1", "refresh_token": "r1"},
        *({"access_token": f"a{number}", **answer} for number, answer in enumerate(answers, 2)),
    )
    scene.sign_in()
    for wanted in ("a2", "a3"):
        scene.clock.advance(600)
        assert scene.token() == wanted

    assert [form(one).get("refresh_token") for one in scene.asked[TOKEN]] == [None, *sent]


def test_single_use_can_be_asked_for_at_the_exchange(scene: Scene) -> None:
    opened(
        scene,
        {"access_token": "a1", "refresh_token": "r1"},
        token_params={"enable_single_use_refresh_tokens": "true"},
    )
    scene.sign_in()

    assert form(scene.only(TOKEN))["enable_single_use_refresh_tokens"] == "true"


def test_the_client_for_programs_of_ones_own_needs_no_integration(scene: Scene) -> None:
    own = {"client_id": "LOCAL_APPLICATION", "client_secret": "LOCAL_APPLICATION"}
    opened(scene, {"access_token": "a1", "refresh_token": "r1"}, app=own)
    _, asked = scene.start()

    assert asked["client_id"] == "LOCAL_APPLICATION"


def test_calls_say_that_the_token_is_one_of_oauth(scene: Scene) -> None:
    opened(scene, {"access_token": "a1", "refresh_token": "r1"})
    scene.says(f"GET https://{HOST}/api/v2/databases", well())
    scene.sign_in()
    scene.valet.client("snowflake").get("/databases")

    sent = scene.only(f"GET https://{HOST}/api/v2/databases")
    assert sent.headers["x-snowflake-authorization-token-type"] == "OAUTH"


@pytest.mark.parametrize(
    "host",
    [
        "snowflakecomputing.com.evil.example",
        "evil.example",
        "acme.snowflakecomputing.org",
        "a/b.snowflakecomputing.com",
        "",
    ],
)
def test_a_host_that_is_not_the_providers_is_refused(scene: Scene, host: str) -> None:
    with pytest.raises(ConfigurationError, match="host"):
        scene.open("snowflake", params={"host": host})
