"""Connecting from the console, and a page for each way in which it does not end well (SPEC section 7)."""

from __future__ import annotations

from collections.abc import Callable
from html import unescape
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from valetkey.engine.preflight import Probe
from valetkey.server.pages import joining
from valetkey.testing.provider import DEFAULT_CLIENT_ID


def only(practice: Any, **query: Any) -> Any:
    (status,) = practice.valet.connections(**query)
    return status


def failures(site: Any) -> list[str]:
    return [event.detail["code"] for event in site.practice.valet.events() if event.kind == "connect_failed"]


def query(url: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


def test_an_operator_connects_an_account_of_an_owner(walk: Any) -> None:
    answer = walk.connect(whose="owner", owner="u1", account="work", scope="notes.write")

    status = only(walk.site.practice)
    assert answer.status_code == 303
    assert answer.headers["location"] == f"/console/connections/{status.connection_id}"
    assert (status.connection.owner, status.connection.account, status.state) == ("u1", "work", "connected")
    assert status.identity.login == "ada"
    (event,) = [e for e in walk.site.practice.valet.events() if e.kind == "connected"]
    assert event.actor == "login link"


@pytest.mark.scenario(2)
def test_the_address_that_is_shown_is_the_one_that_is_sent(walk: Any) -> None:
    sent = query(walk.begin())["redirect_uri"]

    assert f">{sent}</code>" in walk.visitor.get("/console/compare/notes").text
    assert sent == "http://127.0.0.1:8421/callback/notes"


def test_an_owner_that_is_left_empty_is_not_the_program_itself(walk: Any) -> None:
    walk.visitor.get("/console/connections")

    answer = walk.visitor.post("/console/connect/notes", whose="owner", owner=" ")

    assert answer.status_code == 400
    assert "the owner is empty" in answer.text


def test_connecting_takes_more_than_looking(site: Any, walker: Any) -> None:
    onlooker = walker(site, site.operator("look"))
    onlooker.visitor.get("/console/connections")

    assert onlooker.visitor.post("/console/connect/notes", whose="own").status_code == 403
    assert onlooker.visitor.post("/console/connect/notes", whose="own", csrf="forged").status_code == 403


def test_a_callback_of_a_credential_that_is_not_there_is_not_found(walk: Any) -> None:
    assert walk.come_back("/callback/nothing?code=x&state=y").status_code == 404


# -- what does not end well --------------------------------------------------------------------------------------------


@pytest.mark.scenario(15)
def test_an_answer_is_taken_once(walk: Any) -> None:
    callback = walk.provider.approve(walk.begin())
    assert walk.come_back(callback).status_code == 303

    again = walk.come_back(callback)

    assert (again.status_code, walk.title(again)) == (400, "We could not match this answer to your request")
    assert len(walk.site.practice.valet.connections()) == 1
    assert failures(walk.site) == ["state_mismatch"]


@pytest.mark.scenario(15)
def test_a_forged_state_is_refused(walk: Any) -> None:
    walk.begin()

    page = walk.come_back("/callback/notes?code=stolen-code-1234&state=made-up-5678")

    assert walk.title(page) == "We could not match this answer to your request"
    assert "stolen-code-1234" not in page.text
    assert "made-up-5678" not in page.text


def test_another_browser_cannot_finish_and_the_right_one_still_can(site: Any, walk: Any, walker: Any) -> None:
    callback = walk.provider.approve(walk.begin())
    other = walker(site, site.operator())

    page = other.come_back(callback)

    assert other.title(page) == "We could not match this answer to your request"
    assert "absent" in page.text
    assert len(site.practice.valet.connections()) == 0
    assert walk.come_back(callback).status_code == 303


@pytest.mark.conformance("1 native: own path")
def test_an_answer_to_another_credentials_callback_is_refused(walk: Any) -> None:
    walk.site.practice.declare("others")
    callback = walk.provider.approve(walk.begin())

    page = walk.come_back(callback.replace("/callback/notes", "/callback/others"))

    assert walk.title(page) == "We could not match this answer to your request"
    assert failures(walk.site) == ["callback_mismatch"]
    assert walk.provider.token_requests == 0


def test_an_answer_of_another_server_is_refused(walk: Any) -> None:
    walk.provider.answer_iss("https://attacker.example")

    page = walk.come_back(walk.provider.approve(walk.begin()))

    assert walk.title(page) == "The answer came from a different server"
    assert walk.provider.token_requests == 0
    assert failures(walk.site) == ["issuer_mismatch"]


def fails(**fault: Any) -> Callable[[Any], None]:
    return lambda provider: provider.fail_next(**fault)


def denies(error: str, description: str = "") -> Callable[[Any], None]:
    return lambda provider: provider.deny_next(error, description)


@pytest.mark.scenario(3)
@pytest.mark.parametrize(
    ("fault", "title", "code", "words"),
    [
        pytest.param(denies("access_denied"), "Access was not allowed", "authorization_denied", "Try again", id="no"),
        pytest.param(
            denies("access_denied", "AADSTS65001: consent of an administrator is needed"),
            "Access was not allowed",
            "authorization_denied",
            DEFAULT_CLIENT_ID,
            id="administrator",
        ),
        pytest.param(
            denies("access_denied", "Your request has been sent to an administrator"),
            "An administrator has to approve this",
            "authorization_denied",
            "Wait for the approval",
            id="approval pending",
        ),
        pytest.param(
            denies("redirect_uri_mismatch"),
            "The redirect address does not match",
            "redirect_uri_mismatch",
            "http://127.0.0.1:8421/callback/notes",
            id="redirect",
        ),
        pytest.param(
            denies("unauthorized_client"),
            "This app may not use this way of signing in",
            "unauthorized_client",
            "Enable the authorization-code grant",
            id="unauthorized",
        ),
        pytest.param(
            denies("invalid_scope"),
            "Notes does not know one of the scopes",
            "invalid_scope",
            "enable its API",
            id="scope",
        ),
        pytest.param(
            denies("temporarily_unavailable"), "Notes is not answering", "provider_unavailable", "Try again", id="later"
        ),
        pytest.param(
            fails(status=401, error="invalid_client"),
            "Notes does not accept the app\u2019s client secret",
            "client_rejected",
            "Create a new client secret",
            id="client",
        ),
        pytest.param(
            fails(status=400, error="invalid_grant"),
            "The sign-in took too long or was used twice",
            "code_refused",
            "check the server\u2019s clock",
            id="grant",
        ),
        pytest.param(fails(status=503), "Notes is not answering", "provider_unavailable", "Try again", id="down"),
        pytest.param(
            lambda provider: provider.drop_after(),
            "Notes gave no readable answer",
            "exchange_failed",
            "Start again",
            id="lost",
        ),
    ],
)
def test_each_failure_has_a_page_of_its_own(walk: Any, fault: Any, title: str, code: str, words: str) -> None:
    fault(walk.provider)
    callback = walk.provider.approve(walk.begin(account="work"))

    page = walk.come_back(callback)

    assert page.status_code in {400, 502}
    assert walk.title(page) == title
    assert words in page.text
    assert failures(walk.site) == [code]
    (event,) = [e for e in walk.site.practice.valet.events() if e.kind == "connect_failed"]
    assert (event.account, event.detail["request"] in page.text) == ("work", True)
    assert event.detail["request"] in walk.visitor.get("/console/events?kind=connect_failed").text
    for name in ("code", "state"):
        assert query(callback).get(name, "-never-") not in page.text
    assert not [token for token in walk.provider.tokens_ever_issued() if token in page.text]
    assert {status.state for status in walk.site.practice.valet.connections()} <= {"pending"}


@pytest.mark.parametrize(
    ("off", "said"),
    [(0.6, "It agrees with that of Notes."), (312.4, "It is 312 s ahead of"), (-4.0, "It is 4 s behind")],
)
def test_a_code_that_was_refused_says_how_far_the_clocks_are_apart(
    walk: Any, off: float, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(joining, "probe", lambda *_: Probe(answers=True, clock_off=off))
    walk.provider.fail_next(status=400, error="invalid_grant")

    assert said in unescape(walk.connect().text)


def test_a_failure_offers_to_begin_the_same_again(walk: Any) -> None:
    walk.provider.deny_next()
    page = walk.come_back(walk.provider.approve(walk.begin(whose="owner", owner="u1", account="work")))
    walk.visitor.csrf = page.text.partition('name="csrf" value="')[2].partition('"')[0]

    for field in ('name="owner" value="u1"', 'name="account" value="work"', 'action="/console/connect/notes"'):
        assert field in page.text


@pytest.mark.conformance("1 core: sanitize")
def test_hostile_words_of_a_provider_stay_text(walk: Any) -> None:
    walk.provider.deny_next("access_denied", "<script>alert(1)</script>" + "x y " * 400)

    page = walk.come_back(walk.provider.approve(walk.begin()))

    assert "<script>alert" not in page.text
    assert "&lt;script&gt;" in page.text
    assert "x y " * 100 not in page.text


def test_an_app_that_is_missing_is_said_before_anybody_leaves(walk: Any) -> None:
    walk.site.practice.secrets.delete("notes-app-credentials")
    walk.visitor.get("/console/connections")

    page = walk.visitor.post("/console/connect/notes", whose="own")

    assert (page.status_code, walk.title(page)) == (400, "Notes has no app credentials yet")


def test_a_redirect_uri_that_leads_elsewhere_is_said_before_anybody_leaves(walk: Any) -> None:
    walk.site.practice.declare("others", redirect_uri="https://app.example.com/back")
    walk.visitor.get("/console/connections")

    page = walk.visitor.post("/console/connect/others", whose="own")

    assert walk.title(page) == "The answer of this provider goes elsewhere"
    assert "https://app.example.com/back" in page.text


# -- well, but --------------------------------------------------------------------------------------------------------


def test_a_scope_that_was_not_given_is_said(walk: Any) -> None:
    walk.provider.narrow_scopes("notes.read")

    answer = walk.connect()

    assert answer.headers["location"].endswith("/connected")
    page = walk.visitor.get(answer.headers["location"])
    assert walk.title(page) == "One permission is missing"
    assert "<code>notes.write</code>" in page.text


def test_a_missing_refresh_token_is_said(walk: Any) -> None:
    walk.provider.omit_refresh_token()

    page = walk.visitor.get(walk.connect().headers["location"])

    assert walk.title(page) == "Connected, but it will end in 60 min"
    assert "offline access" in page.text
