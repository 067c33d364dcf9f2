"""Taking grants over from elsewhere, and giving them out."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from valetkey.engine.disconnect import disconnect
from valetkey.engine.transfer import IMPORT_WARNING, export_grants, import_grants
from valetkey.engine.world import open_grant
from valetkey.errors import ConfigurationError, StoreUnavailable
from valetkey.model.connections import Expect, Identity, Sealed
from valetkey.model.grants import Grant
from valetkey.testing.clock import START

END = START + 3600
TOKEN: dict[str, Any] = {
    "access_token": "at-1",
    "refresh_token": "rt-1",
    "expires_at": END,
    "token_type": "bearer",
    "scope": "notes.read notes.write",
}


def _import(stage: Any, *rows: Any, **options: Any) -> Any:
    return import_grants(stage.world, "test", rows, **options)


def _row(**fields: Any) -> dict[str, Any]:
    return {"credential": "notes", "token": TOKEN, **fields}


def _grant(stage: Any, key: Any = None) -> Grant:
    grant = open_grant(stage.world, stage.record(key))
    assert grant is not None
    return grant


def _outcome(report: Any) -> tuple[str, str]:
    (row,) = report.rows
    return row.outcome, row.reason


@pytest.mark.parametrize(
    "row",
    [
        pytest.param(_row(), id="nested"),
        pytest.param({"credential": "notes", **TOKEN}, id="flat"),
        pytest.param(_row(token=json.dumps(TOKEN)), id="as JSON"),
        pytest.param(
            _row(
                token={
                    "accessToken": "at-1",
                    "refreshToken": "rt-1",
                    "expiresAt": END * 1000,
                    "tokenType": "bearer",
                    "scope": "notes.read notes.write",
                }
            ),
            id="camelCase in milliseconds",
        ),
        pytest.param(_row(token={**TOKEN, "expires_at": "2027-01-15T09:00:00Z"}), id="ISO 8601"),
        pytest.param(_row(token={**TOKEN, "expires_at": "2027-01-15T10:00:00+01:00"}), id="ISO 8601 elsewhere"),
        pytest.param(_row(token={**TOKEN, "expires_at": str(END)}), id="time as text"),
        pytest.param(_row(token={**TOKEN, "scope": ["notes.read", "notes.write"]}), id="scopes as a list"),
        pytest.param(
            _row(token={**TOKEN, "expires_at": None, "expires_in": 3600, "obtained_at": START}), id="life and start"
        ),
    ],
)
def test_a_row_is_understood_in_many_spellings(stage: Any, row: dict[str, Any]) -> None:
    assert _outcome(_import(stage, row)) == ("created", "")

    record, grant = stage.record(), _grant(stage)
    assert (grant.access_token.reveal(), grant.refresh_token and grant.refresh_token.reveal()) == ("at-1", "rt-1")
    assert (record.state, record.expires_at, record.refreshable) == ("connected", END, True)
    assert record.granted == ("notes.read", "notes.write")
    assert [event.kind for event in stage.events()] == ["imported"]


def test_everything_else_of_a_row_is_kept(stage: Any) -> None:
    stage.change(params={"tenant": "acme"})
    row = _row(
        owner=UUID(int=7),
        account="work",
        params={"shop": "x", "n": 1},
        tags={"team": "a"},
        identity={"subject": "7", "email": "ada@example.com\x1b", "unknown": 1},
        client_id="practice-app",
        requested=["notes.read"],
    )

    assert _outcome(_import(stage, row)) == ("created", "")

    record = stage.record(stage.key(owner=str(UUID(int=7)), account="work"))
    assert dict(record.params) == {"tenant": "acme", "shop": "x", "n": "1"}
    assert dict(record.tags) == {"team": "a"}
    assert record.identity == Identity(subject="7", email="ada@example.com")
    assert (record.requested, record.client_id) == (("notes.read",), "practice-app")
    assert record.secret_id == f"notes-token/{UUID(int=7)}/work"


def test_a_token_of_unknown_age_has_no_age(stage: Any) -> None:
    _import(stage, _row(token={"access_token": "at-1"}))

    record = stage.record()
    assert (record.obtained_at, record.expires_at, record.refreshable) == (None, None, False)


def test_comma_separated_scopes_are_read_where_the_provider_writes_them_so(stage: Any) -> None:
    stage.change(scope_separator=",")
    _import(stage, _row(token={**TOKEN, "scope": "repo,read:user"}))

    assert stage.record().granted == ("repo", "read:user")


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        pytest.param("text", "no object", id="no object"),
        pytest.param({"token": TOKEN}, "names no credential", id="no credential"),
        pytest.param(_row(credential="other"), "no credential 'other'", id="unknown credential"),
        pytest.param(_row(credential=7), "names no credential", id="credential of another type"),
        pytest.param({"credential": "notes"}, "no access token", id="no token"),
        pytest.param(_row(token={**TOKEN, "access_token": ["x"]}), "access_token is no text", id="a list as token"),
        pytest.param(_row(token={**TOKEN, "refreshToken": {}}), "refreshToken is no text", id="an object as token"),
        pytest.param(_row(owner="a\ud800"), "control characters", id="half a character as owner"),
        pytest.param(_row(tags={"team": {"a": 1}}), "tags hold something", id="an object as tag"),
        pytest.param(_row(tags={"team": "a\ud800"}), "tags hold something", id="half a character as tag"),
        pytest.param(_row(params={"shop\n": "a"}), "params hold something", id="a line break as param"),
        pytest.param(_row(requested=["a", "b\ud800"]), "scopes are neither", id="half a character as scope"),
        pytest.param(_row(token={**TOKEN, "scope": "a\x1b[1m"}), "scopes are neither", id="an escape as scope"),
        pytest.param(_row(client_id="a\ud800"), "client_id holds", id="half a character as client id"),
        pytest.param(_row(token={}), "no access token", id="empty token"),
        pytest.param(_row(token=None), "no object", id="token null"),
        pytest.param(_row(token="at-1"), "no JSON", id="token a bare text"),
        pytest.param(_row(token="[1]"), "no object", id="token a list"),
        pytest.param(_row(token={**TOKEN, "access_token": "a\r\nX: y"}), "header", id="a token with a line break"),
        pytest.param(_row(token={**TOKEN, "refresh_token": "a\nb"}), "refresh token", id="an odd refresh token"),
        pytest.param(_row(token={**TOKEN, "expires_at": "soon"}), "expires_at is no time", id="an odd time"),
        pytest.param(_row(token={**TOKEN, "scope": 7}), "scopes", id="odd scopes"),
        pytest.param(_row(owner=""), "owner", id="an empty owner"),
        pytest.param(_row(owner=["a"]), "owner", id="an odd owner"),
        pytest.param(_row(account=7), "label", id="an odd account"),
        pytest.param(_row(params=[1]), "params", id="odd params"),
        pytest.param(
            _row(token={"access_token": "at-1", "expires_at": START}), "no refresh token", id="ended for good"
        ),
    ],
)
def test_a_bad_row_is_told_and_stops_none_of_the_others(stage: Any, row: Any, reason: str) -> None:
    report = _import(stage, _row(account="a"), row, _row(account="b"))

    assert [one.outcome for one in report.rows] == ["created", "invalid", "created"]
    assert reason in report.rows[1].reason
    assert (report.rows[1].number, report.counts["invalid"], report.counts["created"]) == (2, 1, 2)


def test_an_owner_is_demanded_where_the_declaration_does(stage: Any) -> None:
    stage.change(per_owner=True)

    assert _outcome(_import(stage, _row()))[0] == "invalid"
    assert _outcome(_import(stage, _row(owner="ada")))[0] == "created"


def test_an_apps_own_token_is_not_imported(stage: Any) -> None:
    stage.change(grant="client_credentials")

    assert _outcome(_import(stage, _row()))[0] == "invalid"


def test_a_report_holds_no_secret(stage: Any) -> None:
    rows = [_row(), _row(), _row(token={**TOKEN, "expires_at": "at-1"}), _row(token="rt-1"), _row(client_id="x")]

    report = repr(_import(stage, *rows))
    assert "at-1" not in report
    assert "rt-1" not in report


def test_a_dry_run_says_what_would_be_and_writes_nothing(stage: Any) -> None:
    stage.connect(stage.key(account="there"))
    events = len(stage.events())
    rows = [_row(), _row(), _row(account="there"), _row(token={})]

    report = _import(stage, *rows, dry_run=True)

    assert report.dry_run
    assert [row.outcome for row in report.rows] == ["created", "skipped", "skipped", "invalid"]
    assert stage.store.load(stage.key()) is None
    assert len(stage.events()) == events
    assert [row.outcome for row in _import(stage, *rows).rows] == [row.outcome for row in report.rows]


def test_the_same_rows_again_change_nothing(stage: Any) -> None:
    _import(stage, _row())
    before = stage.record()

    for how in ("skip", "newer"):
        assert _outcome(_import(stage, _row(), on_conflict=how)) == ("skipped", "this very token is there already")
    assert stage.record() == before


@pytest.mark.parametrize(
    ("there", "token", "outcome"),
    [
        pytest.param({"obtained_at": START - 20}, {"obtained_at": START - 10}, "replaced", id="obtained later"),
        pytest.param({"obtained_at": START - 10}, {"obtained_at": START - 20}, "skipped", id="obtained earlier"),
        pytest.param({}, {"expires_at": END + 1}, "replaced", id="ends later"),
        pytest.param({}, {"expires_at": END}, "skipped", id="ends at the same time"),
        pytest.param({"expires_at": None}, {"expires_at": END + 1}, "skipped", id="nobody can tell"),
        pytest.param(
            {"obtained_at": START - 10},
            {"obtained_at": START - 20, "expires_at": END + 9},
            "skipped",
            id="age counts first",
        ),
    ],
)
def test_a_newer_row_replaces_what_is_there(
    stage: Any, there: dict[str, Any], token: dict[str, Any], outcome: str
) -> None:
    _import(stage, _row(token={**TOKEN, **there}, tags={"a": "1"}))
    before = stage.record()
    row = _row(token={**TOKEN, "access_token": "at-2", **token})

    assert _outcome(_import(stage, row))[0] == "skipped"
    assert _outcome(_import(stage, row, on_conflict="newer"))[0] == outcome

    after = stage.record()
    assert after.id == before.id
    assert (after.incarnation > before.incarnation) == (outcome == "replaced")


def test_what_was_disconnected_does_not_come_back_by_an_older_row(stage: Any) -> None:
    stage.connect()
    disconnect(stage.world, stage.credentials["notes"], stage.key())

    for how in ("skip", "newer"):
        assert _outcome(_import(stage, _row(), on_conflict=how))[0] == "skipped"
    assert stage.record().state == "disconnected"


@pytest.mark.parametrize("state", ["needs_reauth", "disconnected", "pending"])
def test_what_was_dead_elsewhere_is_not_taken_for_alive(stage: Any, state: str) -> None:
    assert _outcome(_import(stage, _row(state=state))) == ("skipped", f"it was {state} where it comes from")


def test_a_grant_of_another_app_is_taken_with_a_word_of_warning(stage: Any) -> None:
    outcome, reason = _outcome(_import(stage, _row(client_id="another")))

    assert (outcome, stage.record().client_id) == ("created", "another")
    assert "another client id" in reason


def test_without_app_credentials_rows_are_taken_all_the_same(stage: Any) -> None:
    stage.lose_app()

    assert _outcome(_import(stage, _row())) == ("created", "")
    assert stage.record().client_id == ""


def test_a_disconnect_meanwhile_wins(stage: Any) -> None:
    _import(stage, _row(token={**TOKEN, "obtained_at": START - 20}))
    swap = stage.store.swap

    def overtaken(*args: Any, **options: Any) -> Any:
        stage.store.swap = swap
        disconnect(stage.world, stage.credentials["notes"], stage.key())
        return swap(*args, **options)

    stage.store.swap = overtaken
    row = _row(token={**TOKEN, "access_token": "at-2", "obtained_at": START - 10})

    outcome, reason = _outcome(_import(stage, row, on_conflict="newer"))
    assert (outcome, stage.record().state) == ("skipped", "disconnected")
    assert "disconnected while" in reason


def test_a_store_that_is_down_ends_the_import(stage: Any) -> None:
    stage.break_store("swap")

    with pytest.raises(StoreUnavailable):
        _import(stage, _row())


def test_an_unknown_rule_for_conflicts_is_refused(stage: Any) -> None:
    with pytest.raises(ConfigurationError) as caught:
        _import(stage, _row(), on_conflict="older")
    assert caught.value.code == "on_conflict_unknown"


def test_the_report_says_what_to_stop_first(stage: Any) -> None:
    report = _import(stage)

    assert report.warning == IMPORT_WARNING
    assert "two refreshers" in report.warning
    assert report.counts["created"] == 0


# -- export


def _export(stage: Any, **options: Any) -> list[dict[str, Any]]:
    return list(export_grants(stage.world, "test", **options))


def test_without_tokens_an_export_holds_none(stage: Any) -> None:
    record = stage.connect(stage.key(owner="ada"))

    (row,) = _export(stage)

    text = json.dumps(row)
    assert not any(token in text for token in stage.provider.tokens_ever_issued())
    assert (row["id"], row["owner"], row["state"]) == (record.id, "ada", "connected")
    assert row["identity"]["login"] == "ada"


def test_what_is_exported_can_be_imported(stage: Any) -> None:
    stage.connect(stage.key(owner="ada", account="work"))
    before = stage.record(stage.key(owner="ada", account="work"))
    grant = _grant(stage, before.key)
    rows = json.loads(json.dumps(_export(stage, include_tokens=True)))
    assert stage.store.delete(before)

    assert _outcome(_import(stage, *rows)) == ("created", "")

    after = stage.record(before.key)
    assert _grant(stage, before.key) == grant
    for name in ("granted", "requested", "identity", "params", "client_id", "expires_at", "obtained_at", "access_fp"):
        assert getattr(after, name) == getattr(before, name)


def test_an_export_is_filtered_and_goes_over_all_pages(stage: Any) -> None:
    stage.declare("other")
    for n in range(450):
        _import(stage, _row(owner=f"u{n}", account="x", credential="notes" if n % 2 else "other"))

    assert len(_export(stage)) == 450
    assert {row["credential"] for row in _export(stage, credential="other")} == {"other"}
    assert [row["owner"] for row in _export(stage, owner="u7")] == ["u7"]


def test_what_holds_no_grant_is_not_exported(stage: Any) -> None:
    stage.connect()
    disconnect(stage.world, stage.credentials["notes"], stage.key())

    assert _export(stage) == []


def test_a_grant_that_cannot_be_opened_is_exported_with_a_word_about_it(stage: Any) -> None:

    record = stage.connect()
    stage.connect(stage.key(account="b"))
    stage.store.swap(replace(record, sealed=Sealed(b"x", record.sealed.key_id)), expect=Expect.of(record))

    broken, whole = _export(stage, include_tokens=True)
    assert "cannot be opened" in broken["error"]
    assert "token" not in broken
    assert "token" in whole
