"""The device flow (RFC 8628)."""

from __future__ import annotations

from typing import Any

import pytest

from valetkey.testing import FakeClock, PracticeProvider

DEVICE_CODE = "urn:ietf:params:oauth:grant-type:device_code"


def start(app: Any, **form: str) -> dict[str, Any]:
    answer = app.post("/device_authorization", form)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def poll(app: Any, device: dict[str, Any]) -> Any:
    return app.token(grant_type=DEVICE_CODE, device_code=device["device_code"])


def error_of(response: Any) -> str:
    assert response.status_code == 400
    return str(response.json()["error"])


def test_a_device_is_told_all_that_it_needs(app: Any) -> None:
    device = start(app, scope="notes.read")

    assert device["verification_uri"] == f"{app.provider.issuer}/device"
    assert device["verification_uri_complete"].endswith(f"?user_code={device['user_code']}")
    assert (device["expires_in"], device["interval"]) == (600, 5)


def test_a_device_waits_until_the_person_says_yes(app: Any, provider: PracticeProvider, clock: FakeClock) -> None:
    device = start(app, scope="notes.read")
    assert error_of(poll(app, device)) == "authorization_pending"

    provider.enter_user_code(device["user_code"], login="grace")
    clock.advance(5)
    tokens = poll(app, device).json()

    assert tokens["scope"] == "notes.read"
    assert app.get("/me", tokens["access_token"]).json()["login"] == "grace"
    assert app.refresh(tokens["refresh_token"]).status_code == 200


def test_a_device_code_is_used_once(app: Any, provider: PracticeProvider, clock: FakeClock) -> None:
    device = start(app)
    provider.enter_user_code(device["user_code"])
    assert poll(app, device).status_code == 200

    clock.advance(5)

    assert error_of(poll(app, device)) == "invalid_grant"


def test_the_person_may_type_the_code_in_any_manner(app: Any, provider: PracticeProvider) -> None:
    device = start(app)

    provider.enter_user_code(" " + device["user_code"].lower().replace("-", " "))

    assert poll(app, device).status_code == 200


def test_the_person_may_say_no(app: Any, provider: PracticeProvider) -> None:
    device = start(app)

    provider.enter_user_code(device["user_code"], approve=False)

    assert error_of(poll(app, device)) == "access_denied"


def test_a_planned_denial_counts_here_too(app: Any, provider: PracticeProvider) -> None:
    device = start(app)
    provider.deny_next()

    provider.enter_user_code(device["user_code"])

    assert error_of(poll(app, device)) == "access_denied"


def test_the_person_may_give_less(app: Any, provider: PracticeProvider) -> None:
    provider.narrow_scopes("notes.read")
    device = start(app)

    provider.enter_user_code(device["user_code"])

    assert poll(app, device).json()["scope"] == "notes.read"


def test_who_polls_too_fast_has_to_wait_five_seconds_longer_for_good(
    app: Any, provider: PracticeProvider, clock: FakeClock
) -> None:
    device = start(app)
    poll(app, device)

    clock.advance(4)
    assert error_of(poll(app, device)) == "slow_down"
    clock.advance(9)
    assert error_of(poll(app, device)) == "slow_down"
    clock.advance(15)
    assert error_of(poll(app, device)) == "authorization_pending"
    provider.enter_user_code(device["user_code"])
    clock.advance(15)
    assert poll(app, device).status_code == 200


def test_a_device_code_runs_out(app: Any, provider: PracticeProvider, clock: FakeClock) -> None:
    device = start(app)

    clock.advance(600)

    assert error_of(poll(app, device)) == "expired_token"
    with pytest.raises(LookupError, match="No device"):
        provider.enter_user_code(device["user_code"])


def test_nobody_waits_under_a_wrong_code(app: Any, provider: PracticeProvider) -> None:
    start(app)

    with pytest.raises(LookupError):
        provider.enter_user_code("AAAA-AAAA")


def test_a_code_is_entered_once(app: Any, provider: PracticeProvider) -> None:
    device = start(app)
    provider.enter_user_code(device["user_code"])

    with pytest.raises(LookupError):
        provider.enter_user_code(device["user_code"], approve=False)


def test_a_device_code_is_of_no_use_to_another_client(app: Any, provider: PracticeProvider) -> None:
    provider.register_client("other", "s")
    device = start(app)
    provider.enter_user_code(device["user_code"])

    stolen = app.token(app.basic("other", "s"), grant_type=DEVICE_CODE, device_code=device["device_code"])

    assert error_of(stolen) == "invalid_grant"
    assert poll(app, device).status_code == 200


def test_only_known_clients_with_that_grant_type_may_start(app: Any, provider: PracticeProvider) -> None:
    provider.register_client("web", "s", grant_types=["authorization_code"])

    assert app.post("/device_authorization", {}, {}).json()["error"] == "invalid_client"
    assert app.post("/device_authorization", {}, app.basic("web", "s")).json()["error"] == "unauthorized_client"
    assert app.post("/device_authorization", {"scope": "admin"}).json()["error"] == "invalid_scope"


def test_the_page_for_the_code_is_a_plain_form_filled_in_from_the_complete_address(app: Any) -> None:
    device = start(app)

    page = app.http.get(device["verification_uri_complete"])

    assert page.status_code == 200
    assert f'value="{device["user_code"]}"' in page.text


def test_the_device_answer_can_be_changed(app: Any, provider: PracticeProvider) -> None:
    provider.change_answer(endpoint="device_authorization", interval=None, expires_in="600")

    device = start(app)

    assert (device["interval"], device["expires_in"]) == (None, "600")
