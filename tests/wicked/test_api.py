"""APIs and their challenges, tokens that are bound to a key, devices, and taking a grant back."""

from __future__ import annotations

from typing import Any

import pytest

from shared.waiting import settle
from valetkey import (
    AuthorizationDenied,
    ConnectError,
    ConsentExpired,
    ProviderProtocolError,
    ReauthorizationRequired,
    Secret,
    StepUpRequired,
)
from valetkey.engine.device import finish_device, start_device
from valetkey.protocol.signing import generate_key, read_key
from valetkey.testing.provider import DEFAULT_CLIENT_ID

conformance = pytest.mark.conformance
YOUNG = 120
"""Seconds after which a token that an API refuses is worth a refresh."""


@pytest.fixture
def young(trial: Any) -> Any:
    """A connection whose token is good by all that is known here."""
    trial.declare()
    trial.sign_in()
    trial.age(YOUNG)
    trial.server.reset_counters()
    return trial


@conformance("2 own: step-up", "1 core: 401 is not always", "1 step-up: challenge", "1 step-up: bounded")
def test_an_api_that_wants_a_stronger_sign_in_gets_no_refresh(young: Any) -> None:
    young.server.misbehave("api-step-up")

    for _ in range(2):
        error = young.refused(young.use)
        assert isinstance(error, StepUpRequired)
        assert (error.acr_values, error.max_age) == (("gold",), 60)

    assert (young.server.refresh_requests, young.server.api_requests) == (0, 2)
    assert young.status.state == "connected"


@conformance("1 core: challenges")
def test_an_api_that_wants_more_scopes_gets_no_refresh(young: Any) -> None:
    young.server.misbehave("api-scope-for-ever")

    assert [young.use() for _ in range(3)] == [403] * 3

    assert (young.server.refresh_requests, young.server.api_requests) == (0, 3)
    assert young.status.state == "connected"


@conformance("1 core: challenges")
@pytest.mark.parametrize("name", ["api-no-error-code", "api-many-challenges"])
def test_a_dead_token_is_renewed_once_however_that_is_said(young: Any, name: str) -> None:
    young.server.misbehave(name)
    young.server.expire_access_tokens()

    assert young.use() == 200
    assert young.server.refreshes == 1


@conformance("0 11")
@pytest.mark.parametrize(("declared", "status", "refreshes"), [(False, 403, 0), (True, 200, 1)])
def test_a_403_for_a_dead_token_brings_a_refresh_only_where_that_is_declared(
    trial: Any, declared: bool, status: int, refreshes: int
) -> None:
    trial.declare(refresh_on_403=declared)
    trial.sign_in()
    trial.age(YOUNG)
    trial.server.misbehave("api-dead-403")
    trial.server.expire_access_tokens()

    assert (trial.use(), trial.server.refreshes) == (status, refreshes)


@conformance("1 core: challenges")
def test_an_api_that_refuses_every_token_gets_one_refresh_and_one_retry(young: Any) -> None:
    young.server.misbehave("api-refuses-for-ever")

    assert young.use() == 401
    assert (young.server.refreshes, young.server.api_requests) == (1, 2)
    assert young.use() == 401
    assert young.server.refreshes == 1, "it is not asked again at once"


# -- bound tokens ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "token_requests"),
    [
        pytest.param((), 1, id="no nonce", marks=conformance("2 F:happy-path-no-dpop-nonce")),
        pytest.param(("dpop-nonce",), 2, id="nonces", marks=conformance("2 F:happy-path", "1 DPoP: nonces")),
        pytest.param(
            ("dpop-scheme-case",),
            2,
            id="odd case",
            marks=conformance("2 F:rs-dpop-auth-scheme-case-insensitivity", "1 DPoP: scheme"),
        ),
        pytest.param(("clock-ahead",), 2, id="ahead", marks=conformance("2 own: clock off", "1 DPoP: clock")),
        pytest.param(("clock-behind",), 2, id="behind", marks=conformance("2 own: clock off", "1 DPoP: clock")),
    ],
)
def test_a_bound_token_lives_through_nonces_and_wrong_clocks(
    trial: Any, names: tuple[str, ...], token_requests: int
) -> None:
    trial.declare(sender_constraint="dpop")
    trial.server.misbehave(*names)

    assert trial.sign_in().expires_at == trial.clock.now() + 3600, "it is counted by the own clock"
    assert trial.server.token_requests == token_requests
    assert trial.use() == 200
    trial.age()
    assert trial.use() == 200
    trial.age(YOUNG)
    trial.server.expire_access_tokens()
    assert trial.use() == 200, "a nonce does not use up the retry"
    assert (trial.server.refreshes, trial.server.reuses) == (2, 0)


@conformance("2 own: bearer though DPoP", "1 DPoP: downgrade")
def test_a_bearer_token_in_the_place_of_a_bound_one_is_not_used(trial: Any) -> None:
    trial.declare(sender_constraint="dpop")
    trial.server.misbehave("dpop-bearer")
    assert isinstance(trial.refused(trial.sign_in), ConnectError)
    assert trial.ungranted
    trial.server.behave()
    trial.sign_in()
    trial.age()
    before = trial.grant()
    trial.server.misbehave("dpop-bearer")

    trial.refused(trial.use)

    assert (trial.grant().access_token, trial.grant().dpop_key) == (before.access_token, before.dpop_key)
    assert trial.server.api_requests == 0


@conformance("0 1", "1 client authentication: new assertion for every attempt")
def test_a_nonce_has_the_whole_request_made_anew_with_another_assertion(trial: Any) -> None:
    text = generate_key().reveal()
    public = read_key(Secret(text), what="key", name="app").public_jwk()
    trial.server.register_client(DEFAULT_CLIENT_ID, public_key=public)
    trial.app = {"client_id": DEFAULT_CLIENT_ID, "private_key": text}
    trial.declare(client_auth="private_key_jwt", sender_constraint="dpop")
    trial.server.misbehave("dpop-nonce")

    assert trial.sign_in().state == "connected"
    assert trial.server.token_requests == 2
    trial.age()
    assert trial.use() == 200
    assert trial.server.refreshes == 1


# -- devices -----------------------------------------------------------------------------------------------------------


class Device:
    """A sign-in at a device whose person types the code at once."""

    def __init__(self, trial: Any) -> None:
        trial.declare(grant="authorization_code")
        self.trial = trial
        self.world = trial.valet._core.world
        self.credential = trial.valet._core.credential("notes")
        self.key = trial.status.connection.key
        self.waits: list[float] = []

    def start(self) -> Any:
        return start_device(self.world, self.credential, self.key, scopes=())

    def finish(self, flow: Any) -> Any:
        self.trial.server.enter_user_code(flow.user_code)
        began = self.trial.clock.now()
        try:
            return finish_device(self.world, self.credential, self.key, flow, scopes=())
        finally:
            self.waits.append(self.trial.clock.now() - began)


@pytest.mark.parametrize(
    ("name", "seconds"),
    [
        pytest.param("device-no-interval", 5, marks=conformance("1 device: interval", "2 C:respects-interval")),
        pytest.param("device-pending", 10, marks=conformance("1 device: errors")),
        pytest.param("device-slow-down", 15, marks=conformance("1 device: interval", "2 C:slow-down")),
        pytest.param("device-poll-reset", 15, marks=conformance("1 device: time-out")),
    ],
)
def test_a_device_goes_on_as_slowly_as_it_is_told(trial: Any, name: str, seconds: float) -> None:
    device = Device(trial)
    trial.server.misbehave(name)

    record = device.finish(device.start())

    assert (record.state, device.waits) == ("connected", [seconds])


@pytest.mark.parametrize(
    ("name", "error"),
    [
        pytest.param("device-denied", AuthorizationDenied, marks=conformance("2 C:invalid-access-denied")),
        pytest.param("device-expired", ConsentExpired, marks=conformance("2 C:invalid-expired-token")),
        pytest.param("device-invalid-request", ConnectError, marks=conformance("2 C:invalid-request")),
    ],
)
@conformance("1 device: errors")
def test_a_device_stops_at_a_last_word(trial: Any, name: str, error: type[Exception]) -> None:
    device = Device(trial)
    trial.server.misbehave(name)

    assert isinstance(trial.refused(lambda: device.finish(device.start())), error)

    assert (trial.server.token_requests, trial.ungranted) == (1, True)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("device-no-expiry", marks=conformance("2 C:invalid-missing-expiresin")),
        "device-no-code",
        "device-html",
    ],
)
def test_a_device_does_not_begin_with_half_an_answer(trial: Any, name: str) -> None:
    device = Device(trial)
    trial.server.misbehave(name)

    assert isinstance(trial.refused(device.start), ProviderProtocolError)

    assert (trial.server.token_requests, trial.ungranted) == (0, True)


# -- taking a grant back -----------------------------------------------------------------------------------------------


@conformance("1 revocation: trouble")
@pytest.mark.parametrize("name", ["revocation-503", "revocation-unsupported"])
def test_a_grant_is_forgotten_though_it_cannot_be_revoked_and_that_is_told(trial: Any, name: str) -> None:
    trial.declare()
    trial.sign_in()
    trial.server.misbehave(name)

    done = trial.client.disconnect()
    settle(trial.valet)

    assert done.revoked == ()
    assert done.may_live
    assert isinstance(trial.refused(trial.use), ReauthorizationRequired)
    assert trial.server.live_grants >= 1
