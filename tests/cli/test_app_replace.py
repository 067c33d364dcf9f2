"""Replacing the client secret of an app without downtime, and its end."""

from __future__ import annotations

import json
from typing import Any

from valetkey.testing.provider import DEFAULT_CLIENT_SECRET

NEW, HOUR, DAY = "canary-new-secret", 3600, 86400


def replace(kit: Any, *args: str, secret: str = NEW) -> Any:
    return kit.run("app", "replace", "notes", "--secret-stdin", *args, text=f"{secret}\n")


def shown(kit: Any) -> Any:
    return kit.run("app", "show", "notes", "--json").json["app"]


def test_a_new_secret_waits_for_the_next_refresh_and_keeps_the_old_one_beside_it(still: Any) -> None:
    still.connect()
    still.provider.add_secret(NEW)
    before = shown(still)["secret"]

    ran = replace(still, "--overlap", "24h")
    waiting = still.ok("app", "show", "notes")
    still.clock.advance(HOUR)
    still.ok("refresh", "notes")
    after = shown(still)

    assert ran.code == 0
    assert "tried with the next refresh" in ran.out
    assert "stored 0 s ago, not in use yet" in waiting
    assert (after["health"], after["new_secret"], after["secret"] == before) == ("working", None, False)
    assert after["old_secrets"] == [{"fingerprint": before, "until": still.clock.now() + DAY}]
    assert f"fallback       {before} for 24 h" in still.ok("app", "show", "notes")
    assert all(text not in waiting + json.dumps(after) for text in (NEW, DEFAULT_CLIENT_SECRET))
    events = [event for event in still.run("events", "--json").json["events"] if event["kind"].startswith("app_")]
    assert {event["kind"]: event["actor"] for event in events} == {
        "app_secret_added": "command",
        "app_secret_replaced": "command",
    }


def test_a_secret_that_is_refused_is_said_and_the_one_in_use_stays(still: Any) -> None:
    still.declare(secret_check="client_credentials")

    ran = replace(still, secret="the secret's ID")

    assert ran.code == 2
    assert "Notes does not take the new secret (invalid_client, client authentication failed)" in ran.err
    assert "nothing has changed" in ran.err
    assert "refused" in still.ok("app", "show", "notes")
    still.provider.add_secret(NEW)
    assert replace(still, "--ends", "2100-01-01", "--json").json["state"] == "replaced"
    assert shown(still)["secret_ends_at"] == 4102444800


def test_a_new_secret_can_be_taken_back(still: Any) -> None:
    replace(still)

    assert still.ok("app", "replace", "notes", "--withdraw") == "Taken back; the one in use stays.\n"
    assert still.run("app", "replace", "notes", "--withdraw", "--json").json["withdrawn"] is False


def test_the_end_of_a_secret_is_noted_and_the_doctor_tells_of_it(still: Any) -> None:
    still.ok("app", "ends", "notes", "2100-01-01")
    assert shown(still)["secret_ends_at"] == 4102444800
    assert shown(still)["health"] == "working"
    still.ok("app", "ends", "notes", "never")
    assert shown(still)["secret_ends_at"] is None

    with still.session() as session:
        from valetkey.apps import set_end

        set_end(session.core, "notes", still.clock.now() + 12 * DAY)
    assert "its client secret ends in 12 d" in still.run("doctor").out


def test_what_is_wrong_is_said(still: Any) -> None:
    assert "is no length of time" in replace(still, "--overlap", "week").err
    assert "is no date" in replace(still, "--ends", "soon").err
    assert "uses already" in replace(still, secret=DEFAULT_CLIENT_SECRET).err
    assert "nobody to ask" in still.run("app", "replace", "notes").err
    assert "is no moment to come" in still.run("app", "ends", "notes", "2001-01-01").err
