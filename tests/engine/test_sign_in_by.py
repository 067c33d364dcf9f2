"""Refresh tokens that end however often they are used: when a person is told of it, and by what."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from valetkey.engine.lifecycle import obtain
from valetkey.engine.probing import probe
from valetkey.engine.status import sign_in_soon, status_of
from valetkey.engine.windows import due_at, windows
from valetkey.errors import ConfigurationError

HOUR = 3600.0
DAY = 24 * HOUR


def lives(stage: Any, days: float, **fields: Any) -> Any:
    """Connect where refresh tokens end so many days after the sign-in."""
    credential = stage.change(refresh_token_max_lifetime=days * DAY, **fields)
    stage.connect()
    return credential


def refreshed(stage: Any, *, after: float) -> Any:
    stage.clock.advance(after)
    return obtain(stage.world, stage.key()).record


def state(stage: Any) -> str:
    credential = stage.credentials["notes"]
    return status_of(stage.key(), stage.record(), credential, now=stage.clock.now()).state


def test_the_end_counts_from_the_sign_in_and_no_refresh_moves_it(stage: Any) -> None:
    began = stage.clock.now()
    lives(stage, 60)
    assert stage.record().refresh_expires_at == began + 60 * DAY

    assert refreshed(stage, after=20 * DAY).refresh_expires_at == began + 60 * DAY
    assert refreshed(stage, after=20 * DAY).refresh_expires_at == began + 60 * DAY

    stage.connect()
    assert stage.record().refresh_expires_at == began + 100 * DAY, "a new sign-in begins anew"


def test_the_shorter_of_both_lives_counts(stage: Any) -> None:
    began = stage.clock.now()
    lives(stage, 60, refresh_token_lifetime=30 * DAY)

    assert stage.record().refresh_expires_at == began + 30 * DAY
    assert refreshed(stage, after=25 * DAY).refresh_expires_at == began + 55 * DAY
    assert refreshed(stage, after=25 * DAY).refresh_expires_at == began + 60 * DAY


def counted(stage: Any) -> dict[str, int]:
    counts = stage.store.counts(env="test", now=stage.clock.now())
    return {state: n for (_, state), n in counts.items()}


@pytest.mark.parametrize(
    ("days", "quiet", "told"),
    [
        pytest.param(60, 52.9, 53.1, id="a week before"),
        pytest.param(5, 3.9, 4.1, id="in the last fifth of a short life"),
    ],
)
def test_the_status_tells_in_time_also_right_after_a_refresh(stage: Any, days: int, quiet: float, told: float) -> None:
    lives(stage, days)

    refreshed(stage, after=quiet * DAY)
    assert state(stage) == "connected"
    assert counted(stage) == {"connected": 1}
    assert sign_in_soon(stage.world, stage.record()) is None

    refreshed(stage, after=(told - quiet) * DAY)
    assert state(stage) == "expires_soon"
    assert counted(stage) == {"expires_soon": 1}, "counts tell what the status tells"
    assert sign_in_soon(stage.world, stage.record()) == stage.record().refresh_expires_at


def test_log_and_event_tell_once(stage: Any, caplog: pytest.LogCaptureFixture) -> None:
    lives(stage, 60)
    with caplog.at_level(logging.WARNING, logger="valetkey"):
        for _ in range(59):
            refreshed(stage, after=DAY)

    told = [event for event in stage.events() if event.kind == "sign_in_due"]
    assert len(told) == 1
    assert told[0].detail == {"by": stage.record().refresh_expires_at}
    assert 6 * DAY <= told[0].detail["by"] - told[0].at <= 7 * DAY
    assert [line for line in caplog.messages if "must sign in again within" in line] == [
        "notes: somebody must sign in again within 7.0 days"
    ]


def test_nobody_keeps_alive_what_no_use_keeps_alive(stage: Any) -> None:
    credential = lives(stage, 60)
    record = stage.record()

    assert due_at(record, credential) == windows(record, credential).soft
    idle = stage.change(refresh_token_max_lifetime=None, refresh_token_lifetime=60 * DAY)
    assert due_at(record, idle) == windows(record, idle).soft

    # An access token that outlives its refresh token: only a life that use prolongs is worth a refresh.
    stage.provider.change_answer(endpoint="token", expires_in=90 * DAY)
    stage.connect()
    alive = due_at(stage.record(), idle)
    assert alive is not None
    assert alive < stage.clock.now() + 60 * DAY
    stage.change(refresh_token_max_lifetime=60 * DAY, refresh_token_lifetime=None)
    stage.connect()
    ends = due_at(stage.record(), stage.credentials["notes"])
    assert ends is not None
    assert ends > stage.clock.now() + 60 * DAY


def test_where_nothing_is_known_nothing_is_told(stage: Any) -> None:
    stage.connect()
    assert sign_in_soon(stage.world, stage.record()) is None
    assert state(stage) == "connected"


# -- the harmless call ------------------------------------------------------------------------------------------------


def test_where_there_is_no_userinfo_the_harmless_call_tests_a_connection(stage: Any) -> None:
    userinfo = stage.credentials["notes"].userinfo_url
    stage.change(userinfo_url="")
    stage.connect()
    assert not probe(stage.world, stage.key()).possible

    stage.change(verify=userinfo)
    found = probe(stage.world, stage.key())
    assert (found.possible, found.ok, found.status, found.identity) == (True, True, 200, None)

    stage.provider.expire_access_tokens()
    assert (probe(stage.world, stage.key()).ok, probe(stage.world, stage.key()).status) == (False, 401)


@pytest.mark.parametrize(
    ("body", "ok"),
    [
        pytest.param(b'{"ok": false, "error": "invalid_auth"}', False, id="Slack"),
        pytest.param(b'{"errors": [{"message": "Not authenticated"}]}', False, id="GraphQL"),
        pytest.param(b'{"data": {"me": {}}, "errors": [{"message": "one field"}]}', True, id="GraphQL, in part"),
        pytest.param(b'{"error": {"code": "ok"}, "data": {}}', True, id="an error that is none"),
        pytest.param(b"pong", True, id="no JSON"),
    ],
)
def test_an_answer_may_say_no_with_a_status_of_success(stage: Any, body: bytes, ok: bool) -> None:
    stage.connect()
    stage.provider.fail_next(status=200, body=body, endpoint="userinfo")

    found = probe(stage.world, stage.key())

    assert (found.ok, found.status) == (ok, 200)
    assert ("says no" in found.said) is not ok


def test_the_harmless_call_goes_to_no_other_host(stage: Any) -> None:
    stage.change(userinfo_url="", verify="https://else.example/ping")
    stage.connect()

    with pytest.raises(ConfigurationError) as caught:
        probe(stage.world, stage.key())
    assert caught.value.code == "verify_elsewhere"
