"""What pages show, worked out from plain values."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from valetkey.engine.overview import by_state, summed
from valetkey.engine.status import status_of
from valetkey.model.connections import ConnectionKey, Event, Identity, Record, Sealed
from valetkey.model.credentials import OAuth2Credential
from valetkey.model.troubles import Trouble
from valetkey.server.views.banners import banner
from valetkey.server.views.causes import causes
from valetkey.server.views.connections import row, strip
from valetkey.server.views.detail import figures, fingerprint, scopes
from valetkey.server.views.naming import letters, named
from valetkey.server.views.plot import LEFT, NOW, RIGHT, SPAN, plot
from valetkey.server.views.snippet import snippet
from valetkey.server.views.timeline import timeline

T = 1_800_000_000.0
GOOGLE = OAuth2Credential(name="google", display_name="Google Workspace", scopes=("a", "b"))
KEY = ConnectionKey("default", "google", "contoso", "work")
RECORD = Record(
    id="con_1",
    key=KEY,
    state="connected",
    sealed=Sealed(b"", "dk_1"),
    refreshable=True,
    identity=Identity(email="ops@contoso.example", subject="1"),
    granted=("a",),
    requested=("a", "b"),
    obtained_at=T - 1200,
    expires_at=T + 2400,
)


def told(record: Record = RECORD, app_error: str = "") -> Any:
    return status_of(record.key, record, GOOGLE, now=T, app_error=app_error)


@pytest.mark.parametrize(
    ("key", "identity", "title", "place", "spoken"),
    [
        pytest.param(
            KEY,
            Identity(email="ops@contoso.example", login="ops"),
            "ops@contoso.example",
            "Google Workspace · owner contoso · account work",
            "ops@contoso.example, Google Workspace",
            id="e-mail first",
        ),
        pytest.param(
            ConnectionKey("default", "google", "contoso"),
            Identity(login="ops", name="Operations"),
            "ops",
            "Google Workspace · owner contoso",
            "ops, Google Workspace",
            id="the default account is left out",
        ),
        pytest.param(
            ConnectionKey("default", "google"),
            None,
            "",
            "Google Workspace · your program\u2019s own",
            "Google Workspace, your program\u2019s own",
            id="nobody, the program's own",
        ),
    ],
)
def test_a_connection_is_called_by_its_identity(
    key: ConnectionKey, identity: Identity | None, title: str, place: str, spoken: str
) -> None:
    name = named(replace(RECORD, key=key).connection, identity, GOOGLE)
    assert (name.title, name.place, name.spoken) == (title, place, spoken)


def test_names_of_others_are_made_harmless() -> None:
    name = named(replace(RECORD, key=replace(KEY, owner="a\u202eb\x1b[2J")).connection, None, GOOGLE)
    assert name.whose == "owner a b [2J"


@pytest.mark.parametrize(
    ("provider", "expected"),
    [
        pytest.param("Google Workspace", "GW", id="two words"),
        pytest.param("Zoho CRM Plus", "ZC", id="three words"),
        pytest.param("GitHub", "GH", id="camel case"),
        pytest.param("QuickBooks", "QB", id="camel case too"),
        pytest.param("Slack", "Sl", id="one word"),
        pytest.param("SAP", "SA", id="capitals"),
        pytest.param("monday.com", "Mo", id="small letters"),
        pytest.param("X", "X", id="one letter"),
        pytest.param("365 (x)", "36", id="digits"),
        pytest.param("e-conomic", "E", id="a hyphen"),
        pytest.param("", "?", id="nothing"),
    ],
)
def test_letters_stand_for_a_provider(provider: str, expected: str) -> None:
    assert letters(provider) == expected


@pytest.mark.parametrize(
    ("changes", "app_error", "state", "why", "act"),
    [
        ({}, "", "connected", "", "refresh"),
        ({}, "app_missing", "app_error", "no app credentials", "fix"),
        (
            {"state": "needs_reauth", "reason": "revoked"},
            "",
            "needs_reauth",
            "access withdrawn at Google Workspace",
            "reauthorize",
        ),
        (
            {"state": "needs_reauth", "reason": "odd"},
            "",
            "needs_reauth",
            "no longer accepted at Google Workspace",
            "reauthorize",
        ),
        (
            {"state": "refresh_failing", "error": "http_503", "failures": 3, "next_try_at": T + 42},
            "",
            "refresh_failing",
            "503, try 4 in 42 s",
            "retry",
        ),
        (
            {"state": "refresh_failing", "error": "unreachable", "failures": 1, "next_try_at": T - 1},
            "",
            "refresh_failing",
            "cannot be reached, try 2 at its next use",
            "retry",
        ),
        ({"refreshable": False}, "", "expires_soon", "no refresh token", "reauthorize"),
        ({"state": "disconnected", "sealed": None}, "", "disconnected", "", "connect"),
    ],
)
def test_a_row_says_why_and_what_to_do(changes: dict[str, Any], app_error: str, state: str, why: str, act: str) -> None:
    record = replace(RECORD, **changes)
    found = row(told(record, app_error), record, GOOGLE, T)
    whole = f"{found.why} {found.next_try.said}" if found.next_try else found.why
    assert (found.state, whole, found.act) == (state, why, act)


def test_a_row_counts_scopes_and_draws_what_is_left_of_the_token() -> None:
    found = row(told(), RECORD, GOOGLE, T)
    assert (found.scopes, found.short, found.expires.said) == ("1 of 2", True, "in 40 min")
    assert found.life is not None
    assert found.life.left == round(64 * 2400 / 3600)


def test_a_lapsed_token_that_can_be_renewed_is_no_alarm() -> None:
    record = replace(RECORD, expires_at=T - 1080)
    found = row(told(record), record, GOOGLE, T)
    assert (found.word.title, found.expires.said) == ("Connected", "renewed at next use, ended 18 min ago")


@pytest.mark.parametrize(("lasts", "said"), [(False, "no end known"), (True, "does not expire")])
def test_a_token_of_unknown_life_lasts_only_where_the_provider_says_so(lasts: bool, said: str) -> None:
    record = replace(RECORD, expires_at=None)
    credential = replace(GOOGLE, never_expires=lasts)
    status = status_of(record.key, record, credential, now=T, app_error="")

    assert row(status, record, credential, T).expires.said == said


def test_the_strip_puts_what_is_held_against_apps_in_the_place_of_other_states() -> None:
    totals = summed(
        {("google", "connected"): 5, ("google", "needs_reauth"): 1, ("slack", "connected"): 2, ("slack", "pending"): 3},
        {"google": "app_missing"},
    )
    figures = {figure.wanted: (figure.n, figure.more) for figure in strip(by_state(totals))}
    assert figures["action"] == (6, "1 re-authorize, 5 fix app")
    assert figures["connected"] == (2, "renewed in time")
    assert figures["refresh_failing"] == (0, "none")


def test_at_most_three_causes_are_told_the_worst_first() -> None:
    failing = [
        Trouble(credential=name, error=error, n=n, ends_at=RECORD.expires_at)
        for name, error, n in [("a", "http_503", 2), ("b", "http_429", 1), ("c", "no_answer", 1)]
    ]
    totals = {
        ("x", "app_error"): 7,
        ("a", "refresh_failing"): 2,
        ("b", "refresh_failing"): 1,
        ("c", "refresh_failing"): 1,
    }
    found = causes(totals, [], failing, {"x": "invalid_client"}, {}, T)  # type: ignore[arg-type]
    assert [cause.title for cause in found] == [
        "x: client id or secret refused",
        "a: the token endpoint answers 503",
        "b: the token endpoint answers 429",
    ]
    assert found[0].text.startswith("7 connections. ")
    assert "still work for 40 min" in found[1].text


@pytest.mark.parametrize(
    ("error", "title"),
    [
        ("http_503", "a: the token endpoint answers 503"),
        ("unreachable", "a: the token endpoint cannot be reached"),
        ("no_answer", "a: the token endpoint gives no readable answer"),
        ("slow_down", "a: the token endpoint answers with: slow down"),
        ("", "a: the token endpoint gives no readable answer"),
    ],
)
def test_a_cause_is_a_sentence_whatever_a_refresh_met(error: str, title: str) -> None:
    failing = [Trouble(credential="a", error=error, n=1, ends_at=T + 600, next_try_at=T + 42)]
    (found,) = causes({("a", "refresh_failing"): 1}, [], failing, {}, {}, T)  # type: ignore[arg-type]
    assert found.title == title
    assert found.next_try is not None
    told = f"{found.text} {found.next_try.said}."
    assert told.removeprefix("1 connection. ") == (
        "Its access token still works for 10 min. Nothing to do yet: it is tried again by itself, in 42 s."
    )


@pytest.mark.parametrize(("error", "theirs"), [("http_503", True), ("slow_down", True), ("unreachable", False)])
def test_a_banner_puts_no_words_into_the_mouth_of_a_provider_that_was_not_reached(error: str, theirs: bool) -> None:
    record = replace(RECORD, state="refresh_failing", error=error, failures=1)
    found = banner(told(record), record, [], "Google", T)
    assert found is not None
    assert found.theirs is theirs


@pytest.mark.parametrize(
    ("kinds", "state", "more"),
    [
        (["refreshed"] * 4, "connected", "in the last 12 hours"),
        (["refreshed"] * 4 + ["refresh_failed"], "refresh_failing", "in the last 12 hours, and 1 failed"),
        (["refreshed"] * 4, "needs_reauth", "in the last 12 hours; then one was refused"),
    ],
)
def test_the_figure_of_refreshes_says_what_became_of_them(kinds: list[str], state: Any, more: str) -> None:
    record = replace(RECORD, state=state, reason="revoked" if state == "needs_reauth" else "", error="x", failures=1)
    events = [Event(kind=kind, at=T - 60) for kind in kinds]
    shown = figures(told(record), record, events, GOOGLE, T)[-1]
    assert (shown.name, shown.value, shown.more) == ("Refreshes", "4", more)


def test_a_banner_quotes_the_provider_capped_and_cleaned() -> None:
    record = replace(RECORD, state="needs_reauth", reason="revoked", error="invalid_grant", error_text="x\x00" * 4000)
    found = banner(told(record), record, [Event(kind="needs_reauth", at=T - 60)], "Google", T)
    assert found is not None
    assert (found.code, found.raises, found.act) == ("invalid_grant", "ReauthorizationRequired", "reauthorize")
    assert len(found.said) <= 300
    assert "\x00" not in found.said
    assert found.at.endswith("UTC")


def test_all_is_well_without_a_banner() -> None:
    assert banner(told(), RECORD, [], "Google", T) is None


def test_the_plot_stays_in_its_frame_and_is_told_in_words() -> None:
    events = [Event(kind="refreshed", at=T - hours * 3600, seq=100 - hours) for hours in range(40)]
    events.append(Event(kind="refresh_failed", at=T - 100, seq=101))
    drawn = plot(RECORD, events, T)
    assert all(bar.x >= LEFT and bar.x + bar.width <= RIGHT + 1.5 for bar in drawn.bars)
    assert all(LEFT <= mark.x <= NOW for mark in drawn.marks)
    assert sum(mark.kind == "rf" for mark in drawn.marks) == SPAN // 3600
    assert drawn.summary.startswith(
        "In the last 12 hours (UTC) the token was refreshed 12 times; a refresh failed once;"
    )


def test_a_refused_connection_has_no_future_in_the_plot() -> None:
    record = replace(RECORD, state="needs_reauth")
    drawn = plot(record, [Event(kind="needs_reauth", at=T - 600)], T)
    assert [bar.kind for bar in drawn.bars] == ["gap", "cur"]
    assert "refused for good" in drawn.summary


def test_repeats_are_folded_in_the_timeline() -> None:
    kinds = ["refreshed", "refreshed", "refreshed", "refresh_failed", "refreshed", "connected", "connected"]
    events = [Event(kind=kind, at=T - n * 3600, seq=99 - n) for n, kind in enumerate(kinds)]
    assert [entry.title for entry in timeline(events, "Google", T)] == [
        "Refreshed 3 times",
        "Refresh failed",
        "Refreshed",
        "Connected",
        "Connected",
    ]


def test_kinds_that_nobody_knows_are_told_too() -> None:
    (entry,) = timeline([Event(kind="moon_landed", at=T, actor="mira")], "Google", T)
    assert (entry.title, entry.text) == ("Moon landed", "By mira.")


def test_scopes_are_compared_with_what_was_asked_for() -> None:
    record = replace(RECORD, granted=("a", "c"))
    assert [(scope.name, scope.given, bool(scope.more)) for scope in scopes(told(record), record)] == [
        ("a", True, False),
        ("b", False, True),
        ("c", True, True),
    ]


def test_a_fingerprint_is_short_and_grouped() -> None:
    assert (fingerprint("a91f04c277de0000"), fingerprint("")) == ("a91f·04c2·77de", "\u2013")


def test_a_snippet_quotes_whatever_owner_and_account_are() -> None:
    key = ConnectionKey("prod", "my-app", "it's", 'a"b')
    found = snippet(key, replace(GOOGLE, api_base_url="https://api.example.com/"), "")
    assert """my_app = valet.client('my-app', owner="it's", account='a"b')""" in found.sync
    assert "Valet(env='prod')" in found.sync
    assert (
        found.shell
        == """valetkey request my-app https://api.example.com/ --owner 'it'"'"'s' --account 'a"b' --env prod"""
    )
    for program in (found.sync, found.asynchronous):
        compile(program, "snippet", "exec")
