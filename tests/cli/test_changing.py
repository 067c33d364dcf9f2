"""Refreshing and disconnecting by hand."""

from __future__ import annotations

from typing import Any


def test_a_refresh_by_hand(still: Any) -> None:
    still.connect()

    assert still.ok("refresh", "notes") == "Refreshed notes. The new token ends in 60 min.\n"

    assert still.provider.refreshes == 1
    assert still.run("refresh", "notes", "--json").json["connection"]["state"] == "connected"


def test_a_refresh_that_fails_keeps_the_old_token(still: Any) -> None:
    still.connect()
    still.provider.fail_next(status=503)

    assert still.run("refresh", "notes").code == 4

    assert still.provider.is_live(still.ok("token", "notes"))


def test_disconnecting_says_truthfully_what_was_revoked(kit: Any) -> None:
    kit.connect()

    assert kit.ok("disconnect", "notes", "--yes") == "Disconnected. Notes confirmed that the token is revoked.\n"

    assert kit.provider.live_grants == 0
    assert kit.run("token", "notes").code == 3


def test_disconnecting_says_what_may_still_live(kit: Any) -> None:
    kit.connect()
    kit.provider.fail_next(status=400, error="unsupported_token_type", times=2, endpoint="revocation")

    found = kit.run("disconnect", "notes", "--yes", "--json").json

    assert "did not confirm" in found["told"]
    assert found["may_live"]
    assert kit.run("token", "notes").code == 3


def test_nothing_to_disconnect(kit: Any) -> None:
    ran = kit.run("disconnect", "notes")

    assert ran.code == 0
    assert ran.out == "There was nothing to disconnect.\n"


def test_it_is_asked_first(kit: Any, terminal: Any) -> None:
    kit.connect()

    unasked = kit.run("disconnect", "notes")
    screen = terminal("disconnect", "notes")
    screen.wait_for("Disconnect notes (ada@example.com)? [y/N] ")
    screen.type("n\n")

    assert unasked.code == 2
    assert "--yes" in unasked.err
    assert screen.end() == 1
    assert "nothing was changed" in screen.seen
    assert kit.provider.live_grants == 1


def test_yes_is_yes(kit: Any, terminal: Any) -> None:
    kit.connect()

    screen = terminal("disconnect", "notes")
    screen.wait_for("[y/N] ")
    screen.type("y\n")

    assert screen.end() == 0
    assert "Disconnected." in screen.seen
    assert kit.provider.live_grants == 0


def test_a_dry_run_says_what_a_disconnect_would_do_and_does_nothing(kit: Any) -> None:
    kit.connect()
    said = kit.ok("disconnect", "notes", "--dry-run")
    assert "Notes is told to withdraw the access." in said
    assert "The tokens are erased here at once." in said
    found = kit.run("disconnect", "notes", "--dry-run", "--json").json
    assert found["would"]["revokes"] is True
    assert kit.provider.live_grants == 1
