"""The `practice` fixture: a real sign-in, real refreshes, one clock; and the plugin that brings it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

import valetkey.testing
from valetkey.errors import AuthorizationDenied, IssuerMismatch, ReauthorizationRequired, ValetkeyError
from valetkey.testing import FakeClock, Practice, PracticeProvider
from valetkey.testing.clock import START


def test_a_connected_account_can_call_the_api(practice: Practice) -> None:
    status = practice.connect("notes")

    assert status.state == "connected"
    assert status.identity is not None
    assert status.identity.login == "ada"
    assert status.expires_at == START + 3600
    assert practice.client().get("/me").json()["login"] == "ada"


def test_a_token_about_to_expire_is_refreshed_once(practice: Practice) -> None:
    practice.connect("notes")
    practice.clock.advance(3600 - 59)

    assert practice.valet.client("notes").get("/me").status_code == 200
    assert practice.provider.refreshes == 1


def test_a_token_outside_the_buffer_is_left_alone(practice: Practice) -> None:
    practice.connect("notes")
    practice.clock.advance(3600 - 601)

    assert practice.valet.client("notes").get("/me").status_code == 200
    assert practice.provider.refresh_requests == 0


@pytest.mark.parametrize(
    ("status", "error", "state"),
    [
        pytest.param(400, "invalid_grant", "needs_reauth", id="the account holder took the grant back"),
        pytest.param(503, None, "refresh_failing", id="the provider is down: keep the grant"),
        pytest.param(429, "slow_down", "refresh_failing", id="the provider asks for patience: keep the grant"),
        pytest.param(401, "invalid_client", "app_error", id="the app's secret is wrong: keep the grant"),
    ],
)
def test_only_a_dead_grant_asks_the_person_again(
    practice: Practice, status: int, error: str | None, state: str
) -> None:
    practice.connect("notes")
    practice.clock.advance(3601)
    practice.provider.fail_next(status=status, error=error)

    with pytest.raises(ValetkeyError):
        practice.valet.client("notes").get("/me")

    assert practice.valet.client("notes").status().state == state


def test_owners_and_accounts_are_kept_apart(practice: Practice) -> None:
    practice.connect(owner="u1", account="work", login="grace")
    practice.connect(owner="u1", account="home", login="linus")

    assert practice.client(owner="u1", account="work").get("/me").json()["login"] == "grace"
    assert practice.client(owner="u1", account="home").get("/me").json()["login"] == "linus"
    assert practice.provider.live_grants == 2


def test_a_sign_in_fails_as_the_switches_have_it(practice: Practice) -> None:
    practice.provider.deny_next()
    with pytest.raises(AuthorizationDenied):
        practice.connect()

    practice.provider.answer_iss("https://evil.example", times=1)
    with pytest.raises(IssuerMismatch):
        practice.connect()

    assert practice.connect().state == "connected"


def test_both_valets_share_store_clock_and_provider(practice: Practice) -> None:
    practice.connect(owner="u1")
    practice.clock.advance(3601)

    async def call() -> int:
        async with practice.async_valet as valet:
            return (await valet.client("notes", owner="u1").get("/me")).status_code

    assert asyncio.run(call()) == 200
    assert practice.client(owner="u1").get("/me").status_code == 200
    assert practice.provider.refreshes == 1


def test_more_credentials_can_be_declared(practice: Practice) -> None:
    practice.declare("reader", scopes=["notes.read"])

    status = practice.connect("reader")

    assert status.granted == ("notes.read",)
    assert practice.client("reader").get("/notes").json() == {"notes": []}


def test_it_works_without_pytest_and_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    before = threading.active_count()
    with Practice() as practice:
        practice.connect()
        folder = practice._folder
        assert (folder / "practice.db").exists()
        address = practice.provider.url
        assert address

    assert not folder.exists()
    assert threading.active_count() == before


def test_two_practices_know_nothing_of_each_other(practice: Practice) -> None:
    practice.connect()

    with Practice() as other:
        assert other.client().status().state == "pending"
        assert other.provider.live_grants == 0


def test_a_revoked_grant_is_reported_with_the_way_out(practice: Practice) -> None:
    practice.connect()
    practice.provider.revoke("ada")
    practice.clock.advance(3601)

    with pytest.raises(ReauthorizationRequired) as caught:
        practice.client().get("/me")

    assert caught.value.reason == "revoked"
    assert "valetkey connect notes" in caught.value.hint


def test_the_provider_comes_alone_too_by_the_real_clock(practice_provider: PracticeProvider) -> None:
    assert practice_provider.url.startswith("http://127.0.0.1:")


def test_the_plugin_imports_nothing_of_weight() -> None:
    heavy = ["httpx2", "cryptography", "joserfc", "sqlite3", "asyncio", "http.server", "valetkey.testing.provider"]
    program = f"""
import sys, pytest
before = set(sys.modules)
import valetkey.testing.plugin
print(*sorted((set(sys.modules) - before) & set({heavy!r})))
"""

    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert ran.stdout.split() == []


@pytest.mark.parametrize("name", valetkey.testing.__all__)
def test_everything_promised_can_be_imported(name: str) -> None:
    found: Any = getattr(valetkey.testing, name)

    assert found.__name__ == name
    assert name in dir(valetkey.testing)


def test_nothing_else_can() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = valetkey.testing.Nothing


def test_the_clock_of_the_fixture_is_the_providers(practice: Practice) -> None:
    assert isinstance(practice.clock, FakeClock)
    practice.clock.advance(10)
    practice.connect()

    assert practice.provider.requests[-1].at == START + 10
