"""Looking: status, connections, events."""

from __future__ import annotations

import json
from typing import Any

import pytest

from valetkey.stores.sqlite import SQLiteStore


@pytest.fixture
def many(still: Any) -> Any:
    """Two owners: one is well, of the other the access was withdrawn two hours ago; one more is disconnected."""
    still.declare("slack", display_name="Slack")
    still.connect()
    still.connect("slack", "ada")
    still.connect("slack", "bob", "old", login="bob")
    still.ok("disconnect", "slack", "--owner", "bob", "--account", "old", "--yes")
    still.connect("slack", "bob", "work", login="bob")
    still.provider.revoke("bob")
    still.clock.advance(3600)
    assert still.run("token", "slack", "--owner", "bob", "--account", "work").code == 3
    still.clock.advance(7200)
    return still


def test_the_table_says_how_it_is_and_what_to_do(many: Any) -> None:
    assert many.ok("status") == (
        "CREDENTIAL  OWNER  ACCOUNT  IDENTITY         STATE         EXPIRES  GRANTED                  LAST REFRESH\n"
        "notes       -      -        ada@example.com  connected     on use   notes.read, notes.write  -\n"
        "slack       ada    -        ada@example.com  connected     on use   notes.read, notes.write  -\n"
        "slack       bob    old      bob@example.com  disconnected  -        -                        -\n"
        "slack       bob    work     bob@example.com  needs_reauth  -        notes.read, notes.write  "
        "refused 2 h ago: access withdrawn\n"
        "  -> valetkey connect slack --owner bob --account work\n"
    )


def test_looking_asks_no_provider_and_changes_nothing(many: Any) -> None:
    many.provider.reset_counters()
    before = many.ok("events", "--json")

    many.ok("status")
    many.ok("status", "slack", "--json")

    assert many.provider.requests == ()
    assert many.ok("events", "--json") == before


def test_the_json_has_everything(many: Any) -> None:
    found = many.run("status", "--json").json

    assert found["format_version"] == 1
    broken = [one for one in found["connections"] if one["state"] == "needs_reauth"]
    assert [(one["credential"], one["owner"], one["account"]) for one in broken] == [("slack", "bob", "work")]
    assert broken[0]["reason"] == "revoked"
    assert broken[0]["hint"] == "run: valetkey connect slack --owner bob --account work"
    assert set(broken[0]) == {
        *("id", "credential", "owner", "account", "env", "state", "reason", "hint", "identity", "expires_at"),
        *("refresh_expires_at", "refreshable", "granted", "requested", "missing", "params", "last_refresh_at"),
        "choices",
        *("last_used_at", "next_try_at", "resource_tokens"),
    }


@pytest.mark.parametrize(
    ("args", "code"),
    [
        pytest.param([], 1, id="one of all is not well"),
        pytest.param(["notes"], 0, id="well"),
        pytest.param(["slack", "--owner", "ada"], 0, id="one owner's is well"),
        pytest.param(["slack", "--owner", "bob"], 1, id="one owner's is not"),
        pytest.param(["slack", "--owner", "bob", "--account", "old"], 1, id="disconnected, and asked for by name"),
        pytest.param(["slack", "--owner", "eve"], 1, id="never connected, and asked for by name"),
    ],
)
def test_check_says_by_its_exit_code_whether_all_is_well(args: list[str], code: int, many: Any) -> None:
    assert many.run("status", *args, "--check").code == code
    assert many.run("status", *args).code == 0


def test_what_nobody_connected_is_no_trouble_unless_asked_for(kit: Any) -> None:
    shown = kit.run("status", "--check")

    assert shown.code == 0
    assert "pending" in shown.out
    assert "  -> valetkey connect notes\n" in shown.out
    assert kit.run("status", "notes", "--check").code == 1


def test_a_declared_credential_without_app_says_how_to_add_it(bare: Any) -> None:
    bare.declare(app=False)
    bare.declare("team", app=True, per_owner=True)

    shown = bare.ok("status")

    assert "  -> valetkey app add notes\n" in shown
    assert "  -> valetkey connect team --owner ID\n" in shown


def test_nothing_at_all_says_how_to_begin(bare: Any) -> None:
    ran = bare.run("status")

    assert (ran.code, ran.out) == (0, "")
    assert "valetkey practice" in ran.err


@pytest.mark.parametrize("command", ["status", "connections"])
def test_an_owner_that_is_none_is_told_without_a_credential(command: str, bare: Any) -> None:
    ran = bare.run(command, "--owner", "")

    assert ran.code == 2
    assert ran.err.startswith("error: the owner is empty [owner_invalid]\n  -> give --owner an id")


def test_a_provider_that_is_down_shows_with_its_next_try(still: Any) -> None:
    still.connect()
    still.provider.fail_next(status=503, headers={"Retry-After": "120"})
    still.clock.advance(3600)
    still.run("token", "notes")

    shown = still.ok("status", "notes")

    assert "refresh_failing" in shown
    assert "failing, next try on use, in 2 min\n" in shown
    assert "  -> nothing to do: it is tried again at its next use; at once with: valetkey refresh notes\n" in shown
    still.clock.advance(119.7)
    assert "failing, next try on use\n" in still.ok("status", "notes"), "not: in 0 s"


def test_a_wrong_client_secret_is_the_apps_trouble(still: Any) -> None:
    still.connect()
    still.run("app", "add", "notes", "--client-id", "practice-app", "--secret-stdin", text="wrong")
    still.clock.advance(3600)

    ran = still.run("token", "notes")

    assert ran.code == 2
    assert "[client_rejected]" in ran.err
    assert [one["state"] for one in still.run("status", "--json").json["connections"]] == ["app_error"]
    assert "valetkey app add notes" in still.ok("status")


def test_a_connection_that_nobody_declares_any_more_does_not_hide_the_others(kit: Any) -> None:
    kit.declare("gone")
    kit.connect("gone")
    kit.connect()
    with kit.session() as session:
        session.core.store.delete_document("declaration", "gone", env="default")

    shown = kit.run("status", "--json").json["connections"]

    assert [(one["credential"], one["state"], one["reason"]) for one in shown] == [
        ("gone", "app_error", "credential_unknown"),
        ("notes", "connected", ""),
    ]
    assert "valetkey app add gone" in kit.ok("status")
    assert len(kit.run("connections", "--json").json["connections"]) == 2
    assert "fail  gone: its app cannot be used (credential_unknown)" in kit.run("doctor").out


def test_times_are_told(still: Any) -> None:
    still.connect()
    still.clock.advance(600)
    still.ok("refresh", "notes")
    still.clock.advance(300)

    shown = still.ok("status", "notes")

    assert "in 55 min" in shown
    assert "5 min ago" in shown


def test_on_a_narrow_terminal_every_line_fits(kit: Any, terminal: Any) -> None:
    kit.connect(owner="someone-with-a-rather-long-name@example.com")

    screen = terminal("status", NO_COLOR="1", columns=80)

    assert screen.end() == 0
    assert screen.raw == screen.seen, "no colour"
    assert all(len(line) <= 80 for line in screen.seen.splitlines())
    assert "ACCOUNT" not in screen.seen


def test_states_have_colours_on_a_terminal(kit: Any, terminal: Any) -> None:
    kit.connect()

    screen = terminal("status")

    assert screen.end() == 0
    assert "\x1b[32mconnected\x1b[0m" in screen.raw


# -- connections


@pytest.fixture
def five(still: Any) -> Any:
    for owner in ("ada", "bob", "eve", "kim", "lea"):
        still.connect(owner=owner, login=owner)
    return still


def owners(found: dict[str, Any]) -> list[str]:
    return [one["owner"] for one in found["connections"]]


@pytest.mark.parametrize("state", [None, "connected"])
def test_pages_go_on_where_they_ended(state: str | None, five: Any) -> None:
    more = ["--state", state] if state else []
    seen, cursor = [], None
    for _ in range(3):
        found = five.run("connections", "--json", "--limit", "2", *more, *(["--cursor", cursor] if cursor else [])).json
        seen.append(owners(found))
        cursor = found["cursor"]

    assert seen == [["ada", "bob"], ["eve", "kim"], ["lea"]]
    assert cursor is None


def test_a_page_says_how_to_go_on(five: Any) -> None:
    ran = five.run("connections", "--limit", "2")

    assert "2 connections, and there are more" in ran.err
    line = next(line for line in ran.err.splitlines() if "->" in line)
    assert "eve" in five.ok(*line.split("valetkey ")[1].split(), "--limit", "1")
    assert "con_" in ran.out


def test_all_pages_at_once(five: Any) -> None:
    found = five.run("connections", "--all", "--limit", "1", "--json").json

    assert (len(found["connections"]), found["cursor"]) == (5, None)


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        pytest.param(["--owner", "eve"], ["eve"], id="owner"),
        pytest.param(["--search", "KIM@"], ["kim"], id="search"),
        pytest.param(["--credential", "notes"], ["ada", "bob", "eve", "kim", "lea"], id="credential"),
        pytest.param(["--credential", "other"], [], id="another credential"),
        pytest.param(["--state", "needs_reauth"], [], id="a state that none has"),
        pytest.param(["--state", "expires_soon"], [], id="a state that the clock makes"),
        pytest.param(["--state", "disconnected"], ["lea"], id="a state that one has"),
    ],
)
def test_filters(args: list[str], expected: list[str], five: Any) -> None:
    five.declare("other")
    five.ok("disconnect", "notes", "--owner", "lea", "--yes")

    assert owners(five.run("connections", "--json", *args).json) == expected


@pytest.mark.parametrize("anywhere", [True, False])
def test_a_search_that_finds_beginnings_only_says_so(
    five: Any, monkeypatch: pytest.MonkeyPatch, *, anywhere: bool
) -> None:
    monkeypatch.setattr(SQLiteStore, "searches_anywhere", lambda *_: anywhere)

    searched, listed = five.run("connections", "--search", "kim"), five.run("connections")

    assert ("only beginnings are found" in searched.err) == (not anywhere)
    assert "kim" in searched.out
    assert "only beginnings" not in listed.err


@pytest.mark.parametrize("command", ["connections", "export"])
def test_a_filter_by_a_credential_that_is_not_declared_is_a_mistake(command: str, five: Any) -> None:
    ran = five.run(command, "--credential", "ntoes")

    assert (ran.code, ran.out) == (2, "")
    assert 'use "notes"' in ran.err


def test_a_bad_cursor_is_told(five: Any) -> None:
    ran = five.run("connections", "--cursor", "nonsense")

    assert ran.code == 2
    assert "[cursor_invalid]" in ran.err


# -- events


def test_events_tell_what_happened_oldest_first(still: Any) -> None:
    still.connect()
    still.clock.advance(3600)
    still.ok("token", "notes")
    still.ok("disconnect", "notes", "--yes")

    found = still.run("events", "--json").json["events"]

    assert [event["kind"] for event in found] == ["connected", "refreshed", "disconnected", "revoked"]
    assert [event["seq"] for event in found] == sorted(event["seq"] for event in found)
    assert {event["actor"] for event in found} == {"command"}
    shown = still.ok("events").splitlines()
    assert shown[0].split() == ["WHEN", "WHAT", "CONNECTION", "BY", "DETAIL"]
    assert "granted=notes.read,notes.write" in shown[1]


def test_the_last_so_many_and_those_of_one_connection(five: Any) -> None:
    assert [e["owner"] for e in five.run("events", "--limit", "2", "--json").json["events"]] == ["kim", "lea"]
    assert [e["owner"] for e in five.run("events", "notes", "--owner", "bob", "--json").json["events"]] == ["bob"]
    assert "[connection_unknown]" in five.run("events", "notes").err


def test_events_are_followed_until_interrupted(kit: Any) -> None:
    import signal

    kit.connect()
    with kit.start("events", "--follow", "--json") as process:
        first = json.loads(process.stdout.readline())
        kit.ok("refresh", "notes")
        second = json.loads(process.stdout.readline())
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)

    assert (first["kind"], second["kind"]) == ("connected", "refreshed")
    assert process.returncode == 130
    assert out == ""
    assert err.strip() == "interrupted"


def test_followed_events_are_lines_for_people_too(kit: Any) -> None:
    import signal

    kit.connect()
    with kit.start("events", "notes", "--follow") as process:
        line = process.stdout.readline()
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)

    assert line.split()[2:] == ["connected", "notes", "command", "granted=notes.read,notes.write"]


def test_nothing_happened_yet(bare: Any) -> None:
    ran = bare.run("events")

    assert (ran.code, ran.out, ran.err) == (0, "", "Nothing happened yet.\n")


# -- what the API says -------------------------------------------------------------------------------------------------


def test_verify_asks_each_api_whether_it_takes_the_token(many: Any) -> None:
    many.declare("quiet", userinfo_url="")
    many.connect("quiet")
    many.ok("token", "notes")
    many.provider.reset_counters()

    shown = many.ok("status", "--verify")

    ends = {line.split()[0] + (line.split()[1] if "slack" in line else ""): line for line in shown.splitlines()}
    assert ends["CREDENTIAL"].endswith("API")
    assert ends["notes"].endswith("takes it")
    assert ends["slackada"].endswith("takes it"), "it was refreshed first, as for any call"
    assert ends["quiet"].endswith("no call known")
    assert ends["slackbob"].endswith("-"), "there is no token to ask with"
    assert "API" not in many.ok("status").splitlines()[0]


def test_verify_tells_a_refusal_and_changes_nothing(many: Any) -> None:
    many.ok("token", "notes")
    before = many.run("status", "notes", "--json").json["connections"][0]
    many.provider.expire_access_tokens()
    many.provider.reset_counters()

    ran = many.run("status", "notes", "--verify", "--check")
    told = many.run("status", "notes", "--verify", "--json").json["connections"][0]

    assert ran.code == 1
    assert ran.out.splitlines()[1].endswith("refuses it (401)")
    assert many.run("status", "notes", "--verify").code == 0, "only --check counts"
    assert told.pop("verified") == {"ok": False, "status": 401, "said": "Notes answered 401."}
    assert told == before, "a refused token is not refreshed for it"
    assert many.run("status", "notes", "--check").code == 0


@pytest.mark.parametrize(
    ("answer", "cell", "below"),
    [
        pytest.param({"status": 403}, "refuses it (403)", "Notes answered 403.", id="forbidden"),
        pytest.param(
            {"status": 200, "error": "no"}, "refuses it (200)", "says no in its answer", id="success that is none"
        ),
        pytest.param({"status": 503}, "no answer (503)", "Notes answered 503.", id="down"),
        pytest.param({"status": 429}, "no answer (429)", "Notes answered 429.", id="too often"),
    ],
)
def test_only_a_refusal_is_called_one(many: Any, answer: dict[str, Any], cell: str, below: str) -> None:
    many.ok("token", "notes")
    many.provider.fail_next(endpoint="userinfo", times=None, **answer)

    row, said = many.ok("status", "notes", "--verify").splitlines()[1:3]

    assert row.endswith(cell)
    assert below in said


def test_an_api_that_does_not_answer_said_nothing(many: Any) -> None:
    many.ok("token", "notes")
    many.declare("notes", userinfo_url="https://127.0.0.1:1/me")

    row, said = many.ok("status", "notes", "--verify").splitlines()[1:3]

    assert row.endswith("no answer")
    assert "Notes did not answer" in said


def test_what_kept_a_token_from_being_asked_about_is_told_above_the_next_step(still: Any) -> None:
    still.connect()
    still.clock.advance(7200)
    still.provider.fail_next(status=503, times=None)

    row, said = still.ok("status", "notes", "--verify").splitlines()[1:3]

    assert row.endswith("no answer")
    assert said.startswith("  ")
    assert "503" in said
