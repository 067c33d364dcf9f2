"""Whole stories in a real browser, from the first page to the last; README.md says which scenario each one plays."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from valetkey.errors import ClientRejected, ProviderUnavailable
from valetkey.testing.provider import DEFAULT_CLIENT_ID, DEFAULT_CLIENT_SECRET

LIST = "/console/connections"
RETURN = "https://app.acme.example/settings"
RECORD = """cell => {
  window.seen = [];
  new MutationObserver(() => window.seen.push(cell.textContent)).observe(cell, { childList: true });
}"""
scenario = pytest.mark.scenario


@pytest.fixture
def site(practice: Any, site_class: Any) -> Iterator[Any]:
    """An application at its real address, so that the provider leads back to it."""
    core, pretended = practice.valet._core, practice.valet._core.base_url
    core.base_url = None
    with site_class(practice, product="Acme CRM", return_urls=[RETURN]) as site:
        core.base_url = pretended
        yield site


@pytest.fixture
def mira(person: Callable[..., Any]) -> Any:
    """An operator who has signed in."""
    mira = person()
    mira.sign_in()
    return mira


def page_of(status: Any) -> str:
    return f"{LIST}/{status.connection_id}"


def sign_ins(provider: Any) -> int:
    """Return how often somebody was sent to the provider."""
    return sum(seen.endpoint == "authorization" for seen in provider.requests)


@scenario(2, 12)
def test_by_keyboard_alone_a_server_is_set_up_connected_and_disconnected(site: Any, mira: Any) -> None:
    provider, keys = site.practice.provider, mira.page.keyboard
    sent: list[str] = []
    mira.context.on("request", lambda request: sent.append(request.url))
    mira.open("/console/new")
    mira.key("link", "Enter endpoints")
    fields = provider.credential_fields()
    typed = {
        "name": "intern",
        "authorization_url": fields["authorization_url"],
        "token_url": fields["token_url"],
        "scopes": "notes.read",
        "client_id": DEFAULT_CLIENT_ID,
        "client_secret": DEFAULT_CLIENT_SECRET,
    }
    for name, value in typed.items():
        mira.tab_to(mira.page.locator(f"input[name={name}]"))
        keys.type(value)
    keys.press("Enter")
    mira.sees("What should the connection be able to do?")
    mira.tab_to(mira.page.locator("input[name=owner]"))
    keys.type("contoso")
    mira.key("button", "Continue")
    shown = mira.sees("Sign in at intern").locator("#u2").text_content()
    provider.allow_redirect(shown)
    with mira.context.expect_page() as opened:
        mira.key("link", "Open intern")
    mira.page = opened.value
    mira.page.wait_for_url("**/console/connections/con_*")
    (asked,) = [parse_qs(urlsplit(url).query) for url in sent if url.startswith(fields["authorization_url"])]
    assert asked["redirect_uri"] == [shown] == [f"{site.base}/callback/intern"]

    mira.key("link", "Disconnect")
    mira.sees("Disconnect ")
    mira.key("button", "Disconnect")
    mira.told("Disconnected.")
    assert [status.state for status in site.practice.valet.connections()] == ["disconnected"]
    mira.demand_calm()


@scenario(4, 20)
def test_whoever_signs_in_again_is_asked_where_it_is_another_account(site: Any, mira: Any) -> None:
    practice = site.practice
    status = practice.connect(owner="contoso")
    bare = practice.declare("files", display_name="Files Cloud", revocation_url="")
    other = practice.connect(bare.name, owner="contoso")

    def again(login: str) -> None:
        practice.provider.approve_as(login)
        mira.open(page_of(status))
        mira.follow("Re-authorize")
        mira.press("Continue to Notes")

    def is_asked(login: str) -> None:
        again(login)
        mira.sees("This is another account")
        assert practice.client(owner="contoso").get("/me").json()["login"] == "ada"  # the old grant works throughout

    mira.open(page_of(status))
    mira.press("Refresh now")
    mira.told("Refreshed.")
    again("ada")
    mira.page.wait_for_url(f"**{page_of(status)}")

    is_asked("bob")
    mira.page.get_by_label("Keep ada").check()
    mira.press("Continue")
    mira.sees("ada@example.com")
    is_asked("bob")
    practice.clock.advance(601)
    mira.press("Continue")
    mira.sees("no question any more")
    is_asked("bob")
    mira.page.get_by_label("Make a second connection").check()
    mira.page.get_by_role("textbox", name="Account label").fill("private")
    mira.press("Continue")
    mira.sees("bob@example.com")
    is_asked("carol")
    mira.page.get_by_label("Switch to carol").check()
    mira.press("Continue")
    mira.sees("carol@example.com")
    found = {
        (s.connection_id == status.connection_id, s.identity.login)
        for s in practice.valet.connections(credential="notes")
    }
    assert found == {(True, "carol"), (False, "bob")}

    for one, words in [(status, "Disconnected. Notes confirmed"), (other, "Files Cloud has no revocation endpoint")]:
        mira.open(page_of(one))
        mira.follow("Disconnect")
        mira.press("Disconnect")
        mira.told(words)
    mira.expected = 410  # the question that was over
    mira.demand_calm()


@scenario(6)
def test_a_provider_that_is_down_is_never_told_as_the_account_holders_trouble(site: Any, mira: Any) -> None:
    practice = site.practice
    practice.connect(owner="contoso")
    client = practice.client(owner="contoso")
    page = mira.open(LIST)
    page.locator("[data-age]", has_text="live").wait_for()
    state = page.locator("[data-part=state]")
    state.evaluate(RECORD)

    practice.provider.fail_next(status=503, times=3)
    for tried in (2, 3, 4):
        with pytest.raises(ProviderUnavailable):
            client.refresh()
        state.get_by_text(f"503, try {tried} in").wait_for()
        practice.clock.advance(600)
    page.locator("[data-count=refresh_failing]", has_text="1").wait_for()
    client.refresh()
    state.get_by_text("Connected").wait_for()

    seen = page.evaluate("window.seen")
    assert [shown.partition("503")[0] for shown in seen] == ["Refresh failing"] * 3 + ["Connected"]
    mira.demand_calm()


@scenario(8, 22)
def test_a_secret_is_replaced_without_a_failed_refresh_and_without_a_sign_in(site: Any, mira: Any) -> None:
    practice, provider = site.practice, site.practice.provider
    owners = ("contoso", "hooli")
    for owner in owners:
        practice.connect(owner=owner)
    before = sign_ins(provider)

    def replace(secret: str) -> Any:
        mira.page.get_by_label("New client secret").and_(mira.page.locator("input")).fill(secret)
        mira.press("Check and replace")
        mira.told("It is tried with the next refresh")
        for owner in owners:
            assert practice.client(owner=owner).refresh().state == "connected"
        return mira.open("/console/apps/notes")

    mira.open("/console/apps/notes")
    assert "the wrong one" not in replace("the wrong one").content()
    mira.told("The new client secret was not taken")
    provider.add_secret("the second")
    replace("the second")
    provider.remove_secret(DEFAULT_CLIENT_SECRET)
    for owner in owners:
        practice.client(owner=owner).refresh()
    assert provider.refresh_requests - provider.refreshes == 1, "more was refused than the wrong one"

    provider.add_secret("the third")
    provider.remove_secret("the second")
    with pytest.raises(ClientRejected):
        practice.client(owner="hooli").refresh()
    page = mira.open(LIST)
    assert page.locator("[data-part=state]", has_text="App needs fixing").count() == 2
    page.locator("[data-row]").first.get_by_role("link", name="Fix app").click()
    mira.told("does not accept the app\u2019s client secret")
    replace("the third")
    page = mira.open(LIST)
    assert page.locator("[data-part=state]", has_text="Connected").count() == 2
    assert sign_ins(provider) == before
    mira.demand_calm()


@scenario(11)
def test_without_script_an_account_is_connected(site: Any, person: Callable[..., Any]) -> None:
    somebody = person(java_script_enabled=False)
    somebody.sign_in()
    somebody.open("/console/new/notes/scopes")
    somebody.page.get_by_label("My program itself").check()
    somebody.press("Continue")
    with somebody.context.expect_page() as opened:
        somebody.page.get_by_role("link", name="Open Notes").click()
    opened.value.wait_for_url("**/console/connections/con_*")
    opened.value.close()

    somebody.follow("I have signed in")
    somebody.sees("ada@example.com")
    assert [status.state for status in site.practice.valet.connections()] == ["connected"]


@scenario(16, 19)
def test_a_connect_link_is_shown_once_and_connects_once(site: Any, mira: Any, person: Callable[..., Any]) -> None:
    def make(owner: str, return_to: str = RETURN) -> str:
        mira.open("/console/links/new")
        mira.page.get_by_label("Owner ID").fill(owner)
        mira.page.get_by_label("Afterwards go to").fill(return_to)
        mira.press("Create link")
        return mira.page.locator("#lnk").inner_text() if return_to == RETURN else ""

    link = make("hooli")
    shown_no_more(mira, link.rpartition("/")[2])
    make("hooli", "https://attacker.example/")
    mira.told("not among the addresses")

    one, other = person(), person()
    one.open(link)
    one.press("Continue to Notes")
    one.sees("Notes is connected")
    other.open(link, status=410)
    other.sees("This link was used already")
    site.practice.provider.rules.auto_approve = False
    link = make("contoso")
    one.open(link)
    one.press("Continue to Notes")
    one.sees("Practice provider")
    other.open(link, status=403)
    other.sees("This link belongs to another browser")
    link = make("northwind")
    site.practice.clock.advance(8 * 86400)
    other.open(link, status=410)
    other.sees("This link has expired")
    assert [status.connection.owner for status in site.practice.valet.connections()] == ["hooli"]


@scenario(19)
def test_an_api_key_is_shown_in_one_answer_only(site: Any, mira: Any) -> None:
    mira.open("/console/settings/api-keys")
    mira.page.get_by_label("Name").fill("report-job")
    mira.press("Create key")
    secret = mira.page.locator("code#key").inner_text()
    shown_no_more(mira, secret)
    assert site.base


def shown_no_more(person: Any, secret: str) -> None:
    """Reload, go on, and go back, as somebody does who looks for what was shown; fail where it is shown."""
    page = person.page
    assert secret in page.content()
    page.reload()
    assert secret not in page.content(), "shown again after a reload"
    page.go_back()
    assert secret not in page.content(), "shown on the page before"
    page.go_forward()
    assert secret not in page.content(), "kept by the browser"


@scenario(21)
def test_an_owner_is_forgotten_and_a_sign_in_under_way_cannot_finish(site: Any, mira: Any) -> None:
    practice, owner = site.practice, "forget-me-7"
    practice.connect(owner=owner, login="wilhelmina")
    practice.provider.rules.auto_approve = False
    mira.open("/console/new/notes/scopes")
    mira.page.get_by_label("Owner ID").fill(owner)
    mira.page.get_by_label("Account", exact=True).or_(mira.page.locator("[name=account]")).first.fill("second")
    mira.press("Continue")
    with mira.context.expect_page() as opened:
        mira.page.get_by_role("link", name="Open Notes").click()
    there = opened.value
    there.get_by_role("button", name="Approve").wait_for()

    mira.open(f"/console/owner?id={owner}")
    mira.page.get_by_role("link", name="Forget").click()
    mira.page.get_by_label(f"Type {owner} to confirm").fill(owner)
    mira.press("Forget this owner")
    mira.told("The owner is forgotten.")
    there.get_by_role("button", name="Approve").click()
    there.wait_for_url(f"{site.base}/callback/**")

    assert list(practice.valet.connections()) == []
    store = Path(practice.valet._core.store.path)
    with closing(sqlite3.connect(store)) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    held = store.read_bytes().lower()
    for trace in (owner, "wilhelmina"):
        assert trace.encode() not in held
        assert trace not in mira.open("/console/events").content()
        assert mira.open(f"{LIST}?q={trace}").locator("[data-row]").count() == 0
