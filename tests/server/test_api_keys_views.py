"""How API keys are told: what is usual is left out, what is long is cut."""

from __future__ import annotations

from typing import Any

import pytest

from valetkey.engine.api_keys import SCOPES, ApiKey
from valetkey.server.views.api_keys import WARNED, choices, made, row

NOW = 1_800_000_000.0


def key(**fields: Any) -> ApiKey:
    return ApiKey(**{"id": "8f3a41c0", "name": "crm", "scopes": ("read",), **fields})


@pytest.mark.parametrize(
    ("fields", "owners", "limits"),
    [
        pytest.param({}, "all owners", "", id="no limits"),
        pytest.param({"owners": ("u-1",)}, "owner u-1", "", id="one owner"),
        pytest.param({"owners": tuple("abcde")}, "owners a, b, c and 2 more", "", id="many owners"),
        pytest.param({"credentials": ("google", "stripe")}, "all owners", "google, stripe", id="credentials"),
        pytest.param(
            {"networks": ("10.4.0.0/24",), "rate": 60}, "all owners", "from 10.4.0.0/24, 60 calls a minute", id="more"
        ),
        pytest.param({"identities": False}, "all owners", "no identities", id="no identities"),
    ],
)
def test_limits(fields: dict[str, Any], owners: str, limits: str) -> None:
    shown = row(key(**fields), NOW)

    assert (shown.owners, shown.limits) == (owners, limits)


@pytest.mark.parametrize(
    ("ends", "said", "over"),
    [
        pytest.param(None, "never", False, id="never"),
        pytest.param(NOW + 90 * 86400, "in 90 days", False, id="ahead"),
        pytest.param(NOW, "ended 0 s ago", True, id="just now"),
    ],
)
def test_ends(ends: float | None, said: str, over: bool) -> None:
    shown = row(key(ends_at=ends), NOW)

    assert (shown.ends.said, shown.over) == (said, over)


def test_scopes_by_which_tokens_leave_are_marked() -> None:
    assert row(key(scopes=("read", "read_secret")), NOW).scopes == (("read", False), ("read_secret", True))
    assert made(key(scopes=("read_secret",)), NOW).scopes == (("read_secret", True),)
    assert [scope for scope, _, ticked, warned in choices(("refresh",)) if ticked or warned] == [
        "read_secret",
        "refresh",
    ]
    assert set(SCOPES) > WARNED
