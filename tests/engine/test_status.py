"""What is told about a connection: seven states, and never a false alarm or a false calm."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from valetkey.engine.status import status_of
from valetkey.model.connections import ConnectionKey, Record, Sealed
from valetkey.model.credentials import OAuth2Credential

NOW = 1_800_000_000.0
DAY = 86400.0
KEY = ConnectionKey("default", "notes", "ada")
NOTES = OAuth2Credential(name="notes", display_name="Notes", scopes=("read", "write"))
GOOD = Record(
    id="con_1",
    key=KEY,
    state="connected",
    sealed=Sealed(b"", "dk"),
    refreshable=True,
    expires_at=NOW + 3600,
    obtained_at=NOW,
    granted=("read", "write"),
    requested=("read", "write"),
)


def state(record: Record | None, **how: Any) -> str:
    return status_of(KEY, record, NOTES, now=NOW, **how).state


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        pytest.param({}, "connected", id="all is well"),
        pytest.param({"expires_at": NOW - 1}, "connected", id="a lapsed access token that can be renewed is no alarm"),
        pytest.param({"refreshable": False, "expires_at": NOW + 3600}, "expires_soon", id="cannot renew itself"),
        pytest.param({"refreshable": False, "expires_at": NOW + 8 * DAY}, "connected", id="ends, but not soon"),
        pytest.param({"refreshable": False, "expires_at": None}, "connected", id="never ends"),
        pytest.param({"refresh_expires_at": NOW + 90 * DAY}, "connected", id="refresh token far from its end"),
        pytest.param(
            {"refresh_expires_at": NOW + 3 * DAY, "obtained_at": NOW - 87 * DAY},
            "expires_soon",
            id="the refresh token itself ends soon",
        ),
        pytest.param(
            {"refresh_expires_at": NOW + 6 * DAY, "obtained_at": NOW - DAY},
            "connected",
            id="a refresh token of a week is no alarm on its second day",
        ),
        pytest.param({"state": "refresh_failing"}, "refresh_failing", id="failing"),
        pytest.param({"state": "needs_reauth"}, "needs_reauth", id="dead"),
        pytest.param({"state": "disconnected", "sealed": None}, "disconnected", id="disconnected"),
        pytest.param({"state": "pending", "sealed": None}, "pending", id="never connected"),
    ],
)
def test_the_state_comes_from_record_and_clock(change: dict[str, Any], expected: str) -> None:
    assert state(replace(GOOD, **change)) == expected


def test_nothing_stored_is_pending_and_says_what_to_run() -> None:
    status = status_of(KEY, None, NOTES, now=NOW)

    assert (status.state, status.hint, status.requested) == (
        "pending",
        "run: valetkey connect notes --owner ada",
        ("read", "write"),
    )


@pytest.mark.parametrize(
    ("stored", "expected"),
    [("connected", "app_error"), ("refresh_failing", "app_error"), ("needs_reauth", "needs_reauth")],
)
def test_a_rejected_app_shows_on_its_connections_but_does_not_hide_a_dead_grant(stored: Any, expected: str) -> None:
    status = status_of(KEY, replace(GOOD, state=stored), NOTES, now=NOW, app_error="invalid_client")

    assert status.state == expected
    if expected == "app_error":
        assert status.reason == "invalid_client"
        assert "valetkey app add notes" in status.hint


def test_missing_scopes_are_those_asked_for_and_not_given() -> None:
    assert status_of(KEY, replace(GOOD, granted=("read",)), NOTES, now=NOW).missing == ("write",)
    assert status_of(KEY, replace(GOOD, granted=("write", "read", "more")), NOTES, now=NOW).missing == ()
