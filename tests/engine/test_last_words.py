"""What may end a grant, and what may not (R12): answers of little use, empty ones, and clocks that are wrong."""

from __future__ import annotations

from typing import Any

import pytest

from valetkey.engine.lifecycle import Want, obtain
from valetkey.engine.status import status_of
from valetkey.engine.world import open_grant
from valetkey.errors import ProviderError, ProviderUnavailable, ReauthorizationRequired
from valetkey.testing.provider import OMIT

HOUR = 3600


def get(stage: Any, **want: Any) -> Any:
    return obtain(stage.world, stage.key(), Want(**want))


def test_an_answer_without_access_token_but_with_a_new_refresh_token_costs_nothing(expired: Any) -> None:
    expired.provider.change_answer(1, access_token="")

    assert get(expired).record.state == "connected"
    assert (expired.provider.refreshes, expired.provider.reuses) == (2, 0)


def test_the_refresh_token_of_an_answer_of_an_unknown_type_is_what_the_next_refresh_sends(expired: Any) -> None:
    expired.provider.token_type_as("mac", 1)
    with pytest.raises(ProviderError):
        get(expired)
    expired.clock.advance(HOUR)

    held = get(expired)

    assert (expired.provider.refreshes, expired.provider.reuses) == (2, 0)
    assert held.grant.quarantined is None
    assert held.record.doubt == 0


def test_a_refresh_token_from_quarantine_that_does_not_rotate_stays(expired: Any) -> None:
    expired.provider.token_type_as("mac", 1)
    with pytest.raises(ProviderError):
        get(expired)
    kept = open_grant(expired.world, expired.record())
    assert kept is not None
    expired.clock.advance(HOUR)
    expired.provider.rules.rotate = False
    expired.provider.change_answer(1, refresh_token=OMIT)

    assert get(expired).grant.refresh_token == kept.quarantined


def test_a_grant_that_ends_in_quarantine_was_lost_in_rotation_and_not_withdrawn(expired: Any) -> None:
    expired.provider.token_type_as("mac", 1)
    with pytest.raises(ProviderError):
        get(expired)
    expired.provider.fail_next(status=400, error="invalid_grant")
    expired.clock.advance(HOUR)

    with pytest.raises(ReauthorizationRequired) as caught:
        get(expired)

    assert caught.value.reason == "lost_in_rotation"


def test_only_unclear_answers_in_a_row_add_up(expired: Any) -> None:
    for plan in ({"status": 503}, {"status": 503}, {"status": 400, "body": b""}, {"status": 400, "body": b""}):
        expired.provider.fail_next(**plan)
        with pytest.raises(ProviderUnavailable):
            get(expired)
        expired.clock.advance(HOUR)

    assert get(expired).record.state == "connected"


def test_unclear_answers_to_a_hasty_person_count_once(stage: Any) -> None:
    stage.connect()
    stage.provider.fail_next(status=400, body=b"", times=5)

    for _ in range(5):
        with pytest.raises(ProviderUnavailable):
            get(stage, manual=True, refused=stage.record().access_fp)

    assert stage.record().state == "refresh_failing"
    assert get(stage).record.state == "refresh_failing"


def test_a_clock_that_was_ahead_for_a_while_ends_nothing(stage: Any) -> None:
    stage.provider.omit_refresh_token()
    stage.connect()
    token = stage.record().access_fp
    right = stage.clock.now()
    stage.clock.set(right + 2 * HOUR)
    with pytest.raises(ReauthorizationRequired):
        get(stage)

    stage.clock.set(right)

    assert get(stage).record.access_fp == token
    status = status_of(stage.key(), stage.record(), stage.credentials["notes"], now=stage.clock.now())
    assert (status.state, status.reason) == ("expires_soon", "")
    stage.clock.set(right + 2 * HOUR)
    with pytest.raises(ReauthorizationRequired):
        get(stage)
