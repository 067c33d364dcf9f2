"""`valetkey events` with the filters of the audit log."""

from __future__ import annotations

import json
import signal
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest


@pytest.fixture
def told(still: Any) -> Any:
    """Three days: Ada and Bob connect; a day later Bob's grant is withdrawn; another day later Ada disconnects."""
    still.declare("slack", display_name="Slack")
    still.connect("notes", "ada")
    still.connect("slack", "bob", "work", login="bob")
    still.clock.advance(86400)
    still.provider.revoke("bob")
    assert still.run("token", "slack", "--owner", "bob", "--account", "work").code == 3
    still.clock.advance(86400)
    still.ok("disconnect", "notes", "--owner", "ada", "--yes")
    return still


def kinds(kit: Any, *args: str) -> list[str]:
    return [event["kind"] for event in kit.run("events", *args, "--json").json["events"]]


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        pytest.param(["--kind", "needs_reauth"], ["needs_reauth"], id="a kind"),
        pytest.param(
            ["--kind", "needs_reauth", "--kind", "disconnected"], ["needs_reauth", "disconnected"], id="two kinds"
        ),
        pytest.param(["--credential", "slack"], ["connected", "needs_reauth"], id="a credential"),
        pytest.param(["--owner", "bob"], ["connected", "needs_reauth"], id="an owner, of all connections"),
        pytest.param(["--account", "work"], ["connected", "needs_reauth"], id="a label, of all connections"),
        pytest.param(["--search", "REVOKED", "--owner", "bob"], ["needs_reauth"], id="a text, whatever its case"),
        pytest.param(["--origin", "worker"], [], id="from where nothing was done"),
        pytest.param(["--actor", "command", "--kind", "disconnected"], ["disconnected"], id="an actor"),
        pytest.param(["--last", "1h"], ["disconnected", "revoked"], id="the last hour"),
        pytest.param(["--last", "25h", "--limit", "1"], ["revoked"], id="the newest of them"),
        pytest.param(["slack", "--owner", "bob", "--account", "work", "--last", "3d"],
                     ["connected", "needs_reauth"], id="of one connection"),
    ],
)  # fmt: skip
def test_filters_choose(told: Any, args: list[str], expected: list[str]) -> None:
    assert kinds(told, *args) == expected


def test_days_are_whole_and_moments_exact(told: Any) -> None:
    first = datetime.fromtimestamp(told.clock.now(), UTC) - timedelta(days=2)
    second = (first + timedelta(days=1)).date().isoformat()

    assert kinds(told, "--from", second, "--to", second) == ["needs_reauth"]
    assert kinds(told, "--to", first.date().isoformat()) == ["connected", "connected"]
    later = (first + timedelta(hours=30)).isoformat()
    assert kinds(told, "--from", later) == ["disconnected", "revoked"]
    assert kinds(told, "--from", later.replace("+00:00", "Z")) == ["disconnected", "revoked"]


@pytest.mark.parametrize(
    ("args", "says"),
    [
        pytest.param(["--kind", "need_reauth"], 'did you mean "needs_reauth"?', id="a kind that is none"),
        pytest.param(["--last", "soon"], "write it as 90m, 24h, 7d or 2w", id="no length"),
        pytest.param(["--from", "yesterday"], "write it as 2026-11-29", id="no day"),
        pytest.param(["--from", "2026-11-02", "--to", "2026-11-01"], "--from is later than --to", id="ends before"),
        pytest.param(["--last", "7d", "--to", "2026-11-01"], "--last ends now", id="two periods"),
        pytest.param(["--follow", "--to", "2026-11-01"], "--follow shows what happens from now on", id="both ways"),
    ],
)
def test_what_cannot_be_meant_is_a_usage_error(still: Any, args: list[str], says: str) -> None:
    ran = still.run("events", *args)

    assert ran.code == 2
    assert says in " ".join(ran.err.split())


def test_a_search_without_a_match_says_so(told: Any) -> None:
    ran = told.run("events", "--search", "no such text")

    assert ran.code == 0
    assert "Nothing of that kind happened." in ran.err


def test_what_is_followed_is_filtered_too(kit: Any) -> None:
    kit.connect()
    with kit.start("events", "--follow", "--json", "--kind", "disconnected", "--kind", "connected") as process:
        first = json.loads(process.stdout.readline())
        kit.ok("refresh", "notes")
        kit.ok("disconnect", "notes", "--yes")
        second = json.loads(process.stdout.readline())
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)

    assert (first["kind"], second["kind"]) == ("connected", "disconnected")
