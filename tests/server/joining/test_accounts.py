"""Your connected accounts: an owner's own page, for that owner alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from valetkey.server.texts import ENGLISH, said
from valetkey.testing.provider import DEFAULT_CLIENT_ID


@pytest.fixture
def acme(site_of: Any) -> Iterator[Any]:
    with site_of(product="Acme CRM", current_owner=lambda request: request.cookies.get("user")) as site:
        yield site


@pytest.fixture
def person(acme: Any, walker: Any) -> Any:
    """Make the walk of whoever is signed in to the application under that id."""

    def made(owner: str | None) -> Any:
        walk = walker(acme, acme.visitor())
        if owner is not None:
            walk.visitor.client.cookies.set("user", owner)
            walk.visitor.get("/accounts")
        return walk

    return made


def only(walk: Any, **query: Any) -> Any:
    (status,) = walk.site.practice.valet.connections(**query)
    return status


def test_an_owner_connects_refreshes_and_disconnects(person: Any) -> None:
    ada = person("ada-inc")
    assert "Not connected" in ada.visitor.get("/accounts").text

    ada.come_back(ada.provider.approve(ada.way_out(ada.visitor.post("/accounts/connect/notes"))))
    status = only(ada)
    assert (status.connection.owner, status.state) == ("ada-inc", "connected")

    ada.visitor.get("/accounts")
    answer = ada.visitor.post(f"/accounts/{status.connection_id}/refresh")
    assert "The access was renewed" in ada.visitor.get(answer.headers["location"]).text
    assert ada.provider.refreshes == 1

    page = ada.visitor.get(f"/accounts/{status.connection_id}/disconnect")
    assert ada.title(page) == "Disconnect ada@example.com?"
    ada.visitor.post(f"/accounts/{status.connection_id}/disconnect")
    assert only(ada).state == "disconnected"
    assert ada.provider.live_grants == 0


@pytest.mark.scenario(14)
def test_nobody_sees_what_is_anothers(person: Any) -> None:
    """The same bytes for what is another owner's and for what is not there."""
    ada, bob = person("ada-inc"), person("bob-inc")
    connection = ada.site.practice.connect("notes", owner="ada-inc").connection_id
    own = ada.site.practice.connect("notes").connection_id  # the program's own

    assert "ada@example.com" not in bob.visitor.get("/accounts").text
    for other in (connection, own):
        for act in ("connect", "refresh", "disconnect"):
            answers = [bob.visitor.post(f"/accounts/{id_}/{act}") for id_ in (other, "con_nothing")]
            assert [answer.status_code for answer in answers] == [404, 404]
            assert answers[0].content == answers[1].content
        assert bob.visitor.get(f"/accounts/{other}/disconnect").status_code == 404
    assert {s.state for s in ada.site.practice.valet.connections()} == {"connected"}
    assert ada.provider.refreshes == 0


def test_whoever_is_signed_in_by_the_time_of_the_answer_must_be_who_began(person: Any) -> None:
    ada = person("ada-inc")
    callback = ada.provider.approve(ada.way_out(ada.visitor.post("/accounts/connect/notes")))
    ada.visitor.client.cookies.set("user", "bob-inc")

    page = ada.come_back(callback)

    assert (page.status_code, ada.title(page)) == (403, "You are signed in as somebody else")
    assert ada.provider.token_requests == 0


def test_the_answer_of_somebody_elses_browser_is_refused(person: Any) -> None:
    ada, thief = person("ada-inc"), person("ada-inc")
    callback = ada.provider.approve(ada.way_out(ada.visitor.post("/accounts/connect/notes")))

    page = thief.come_back(callback)

    assert (page.status_code, ada.provider.token_requests) == (403, 0)


def test_somebody_who_is_not_signed_in_is_told_so(person: Any) -> None:
    nobody = person(None)

    page = nobody.visitor.get("/accounts")

    assert (page.status_code, nobody.title(page)) == (401, "Sign in first")
    assert "Acme CRM" in page.text


def test_without_a_current_owner_there_is_no_such_page(site: Any) -> None:
    assert site.visitor().get("/accounts").status_code == 404


def test_a_form_of_another_browser_is_refused(person: Any) -> None:
    ada, bob = person("ada-inc"), person("bob-inc")
    connection = ada.site.practice.connect("notes", owner="ada-inc").connection_id

    assert ada.visitor.post(f"/accounts/{connection}/disconnect", csrf=bob.visitor.csrf).status_code == 403
    assert ada.visitor.post(f"/accounts/{connection}/disconnect", origin="https://attacker.example").status_code == 403


@pytest.mark.parametrize("state", ["sign_in", "paused"])
def test_trouble_is_told_in_plain_words(person: Any, state: str) -> None:
    ada = person("ada-inc")
    practice = ada.site.practice
    practice.connect("notes", owner="ada-inc")
    if state == "sign_in":
        practice.provider.revoke()
    else:
        practice.provider.register_client(DEFAULT_CLIENT_ID, "another secret")
    answer = ada.visitor.post(f"/accounts/{only(ada).connection_id}/refresh")

    page = ada.visitor.get(answer.headers["location"]).text

    assert "It could not be renewed just now" in page
    assert said(f"accounts.{state}") in page
    for word in ("owner", "scope", "token", "credential", "invalid_"):
        assert word not in page.partition("<main")[2].replace('name="csrf"', "")


def test_signing_in_again_keeps_the_connection(person: Any) -> None:
    ada = person("ada-inc")
    before = ada.site.practice.connect("notes", owner="ada-inc")
    ada.provider.revoke()
    ada.visitor.post(f"/accounts/{before.connection_id}/refresh")
    ada.visitor.get("/accounts")

    ada.come_back(ada.provider.approve(ada.way_out(ada.visitor.post(f"/accounts/{before.connection_id}/connect"))))

    assert (only(ada).connection, only(ada).state) == (before.connection, "connected")


def test_another_account_becomes_a_second_one_or_nothing(person: Any) -> None:
    ada = person("ada-inc")
    before = ada.site.practice.connect("notes", owner="ada-inc", login="ada")
    out = ada.way_out(ada.visitor.post(f"/accounts/{before.connection_id}/connect"))
    question = ada.come_back(ada.provider.approve(out, login="bob")).headers["location"]
    page = ada.visitor.get(question)
    assert ada.title(page) == "This is another account"

    ada.visitor.client.cookies.set("user", "bob-inc")
    assert ada.visitor.get(question).status_code == 410
    ada.visitor.client.cookies.set("user", "ada-inc")
    ada.visitor.post(question, choice="second", account="home")

    assert {(s.connection.account, s.identity.login) for s in ada.site.practice.valet.connections()} == {
        ("", "ada"),
        ("home", "bob"),
    }


def test_a_denial_is_a_page_that_leads_back(person: Any) -> None:
    ada = person("ada-inc")
    ada.provider.deny_next()

    page = ada.come_back(ada.provider.approve(ada.way_out(ada.visitor.post("/accounts/connect/notes"))))

    assert ada.title(page) == "Nothing was connected"
    assert 'href="/accounts"' in page.text


# -- the texts ---------------------------------------------------------------------------------------------------------


def test_what_is_put_into_a_text_is_escaped_and_stars_make_it_strong() -> None:
    text = said("done.as", product="<b>Acme</b>", account="a*b & {c}")

    assert text == '&lt;b&gt;Acme&lt;/b&gt; now works with <b class="strong">a*b &amp; {c}</b>.'


def test_a_language_that_is_not_there_is_english() -> None:
    assert said("accounts.title", "tlh") == "Your connected accounts"


@pytest.mark.parametrize("key", sorted(ENGLISH))
def test_no_text_speaks_of_technical_things(key: str) -> None:
    for word in ("token", "scope", "credential", "OAuth", "owner"):
        assert word not in ENGLISH[key]
