"""Connecting by a code that a person enters elsewhere (RFC 8628)."""

from __future__ import annotations

from typing import Any

import pytest

from valetkey.engine.device import finish_device, start_device
from valetkey.engine.disconnect import disconnect
from valetkey.errors import (
    AuthorizationDenied,
    ClientRejected,
    ConfigurationError,
    ConnectError,
    ConsentExpired,
    ProviderProtocolError,
    ProviderUnavailable,
    ValetkeyError,
)
from valetkey.model.ports import InDoubt, NotSent
from valetkey.values import Request


def _start(stage: Any, scopes: tuple[str, ...] = ()) -> Any:
    return start_device(stage.world, stage.credentials["notes"], stage.key(), scopes=scopes)


def _finish(stage: Any, flow: Any, on_wait: Any = None) -> Any:
    return finish_device(stage.world, stage.credentials["notes"], stage.key(), flow, scopes=(), on_wait=on_wait)


def _polls(stage: Any) -> list[float]:
    """Record when each question is asked, by the clock that the waits move."""
    times: list[float] = []

    def before(request: Request) -> None:
        if request.url.endswith("/token"):
            times.append(stage.clock.monotonic())

    stage.wire.before = before
    return times


def _gaps(began: float, times: list[float]) -> list[float]:
    return [round(b - a, 3) for a, b in zip([began, *times], times, strict=False)]


def test_a_code_that_was_entered_connects(stage: Any) -> None:
    flow = _start(stage)
    stage.provider.enter_user_code(flow.user_code, login="ada")
    waits: list[float] = []

    record = _finish(stage, flow, waits.append)

    assert (record.state, record.identity.login, record.granted) == ("connected", "ada", ("notes.read", "notes.write"))
    assert record == stage.record()
    assert waits == [600.0]


def test_the_device_code_is_not_shown(stage: Any) -> None:
    flow = _start(stage)

    assert flow.device_code.reveal() not in repr(flow)
    assert flow.verification_uri.startswith(stage.provider.url)
    assert flow.user_code in flow.verification_uri_complete


@pytest.mark.conformance("1 device: interval", "2 C:respects-interval")
def test_the_first_question_waits_for_the_interval_and_pending_goes_on(stage: Any) -> None:
    flow, began, times = _start(stage), stage.clock.monotonic(), _polls(stage)

    def on_wait(_: float) -> None:
        if len(times) == 2:
            stage.provider.enter_user_code(flow.user_code)

    _finish(stage, flow, on_wait)

    assert _gaps(began, times) == [5, 5, 5]


@pytest.mark.conformance("1 device: interval", "2 C:slow-down")
def test_slow_down_adds_five_seconds_for_good(stage: Any) -> None:
    flow, began, times = _start(stage), stage.clock.monotonic(), _polls(stage)
    stage.provider.fail_next(status=400, error="slow_down")
    stage.provider.fail_next(status=400, error="authorization_pending")
    stage.provider.enter_user_code(flow.user_code)

    _finish(stage, flow)

    assert _gaps(began, times) == [5, 10, 10]


@pytest.mark.conformance("1 device: time-out")
@pytest.mark.parametrize("error", [NotSent, InDoubt])
def test_a_lost_answer_doubles_the_interval(stage: Any, error: Any) -> None:
    flow, began, times = _start(stage), stage.clock.monotonic(), []
    stage.provider.enter_user_code(flow.user_code)

    def before(request: Request) -> None:
        if request.url.endswith("/token"):
            times.append(stage.clock.monotonic())
            if len(times) == 1:
                raise error("the line is cut")

    stage.wire.before = before

    _finish(stage, flow)
    assert _gaps(began, times) == [5, 10]


@pytest.mark.conformance("1 device: errors")
def test_nobody_entering_the_code_ends_it_at_its_time(stage: Any) -> None:
    stage.provider.rules.device_code_lifetime = 20
    flow, began = _start(stage), stage.clock.monotonic()

    with pytest.raises(ConsentExpired):
        _finish(stage, flow)

    assert stage.clock.monotonic() - began <= 20
    assert stage.ungranted(stage.key())


@pytest.mark.conformance("1 device: errors")
@pytest.mark.parametrize(
    ("answer", "error", "code"),
    [
        pytest.param("access_denied", AuthorizationDenied, "authorization_denied", id="denied"),
        pytest.param("expired_token", ConsentExpired, "consent_expired", id="expired"),
        pytest.param("invalid_grant", ConnectError, "code_refused", id="not known any more"),
        pytest.param("invalid_client", ClientRejected, "client_rejected", id="app"),
        pytest.param("weird_error", ConnectError, "authorization_failed", id="any other"),
    ],
)
def test_any_other_answer_stops_it(stage: Any, answer: str, error: type[ValetkeyError], code: str) -> None:
    flow = _start(stage)
    stage.provider.fail_next(status=400, error=answer, times=None)

    with pytest.raises(error) as caught:
        _finish(stage, flow)

    assert caught.value.code == code
    assert stage.provider.token_requests == 1
    assert stage.ungranted(stage.key())


def test_the_person_says_no(stage: Any) -> None:
    flow = _start(stage)
    stage.provider.enter_user_code(flow.user_code, approve=False)

    with pytest.raises(AuthorizationDenied):
        _finish(stage, flow)


def test_a_disconnect_while_waiting_wins(stage: Any) -> None:
    stage.connect()
    flow = _start(stage)
    stage.provider.enter_user_code(flow.user_code)

    with pytest.raises(ConnectError) as caught:
        _finish(stage, flow, lambda _: disconnect(stage.world, stage.credentials["notes"], stage.key()))
    assert caught.value.code == "connection_disconnected"
    assert stage.provider.live_grants == 0


def test_a_credential_without_the_endpoint_says_so(stage: Any) -> None:
    stage.change(device_authorization_url="")

    with pytest.raises(ConfigurationError) as caught:
        _start(stage)
    assert caught.value.code == "device_flow_missing"


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        pytest.param({"status": 503}, ProviderUnavailable, id="not now"),
        pytest.param({"status": 500}, ProviderUnavailable, id="in trouble"),
        pytest.param({"status": 200, "body": "{}"}, ProviderProtocolError, id="no code"),
        pytest.param({"status": 401, "error": "invalid_client"}, ClientRejected, id="app"),
        pytest.param({"status": 400, "error": "invalid_scope"}, ConnectError, id="scope"),
    ],
)
def test_a_start_that_fails_is_told(stage: Any, fault: dict[str, Any], error: type[ValetkeyError]) -> None:
    stage.provider.fail_next(**fault, endpoint="device_authorization")

    with pytest.raises(error):
        _start(stage)


@pytest.mark.parametrize("error", [NotSent, InDoubt])
def test_a_start_without_an_answer_is_told(stage: Any, error: Any) -> None:
    stage.wire.cut("/device_authorization", error)

    with pytest.raises(ProviderUnavailable):
        _start(stage)
