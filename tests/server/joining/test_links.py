"""Connect links: what account holders see, whom the page lets on, and what becomes of it (DESIGN section 8, rule 2)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from typing import Any
from urllib.parse import urlsplit

import pytest

from valetkey.engine.link_lists import list_links
from valetkey.engine.links import find_link
from valetkey.errors import ConfigurationError

RETURN = "https://app.acme.example/settings"


class Holder:
    """An account holder with a link, in a browser of their own."""

    def __init__(self, walk: Any, **fields: Any) -> None:
        self.walk = walk
        self.practice = walk.site.practice
        given = {"owner": "contoso", "return_to": RETURN, **fields}
        self.link = self.practice.valet.connect_link("notes", **given)
        self.path = urlsplit(self.link).path

    @property
    def state(self) -> str:
        return str(list_links(self.practice.valet._core.world, "test")[0][0].state)

    def open(self) -> Any:
        return self.walk.visitor.get(self.path)

    def go(self) -> str:
        """Open the page and go on; returns the provider's address."""
        assert self.open().status_code == 200
        url: str = self.walk.way_out(self.walk.visitor.post(self.path, do="go"))
        return url

    def come_back(self, callback: str) -> Any:
        """Come back with the provider's answer, and follow to the page of the outcome."""
        answer = self.walk.come_back(callback)
        return self.walk.visitor.get(answer.headers["location"]) if answer.status_code == 303 else answer

    def connect(self, login: str = "ada") -> Any:
        return self.come_back(self.walk.provider.approve(self.go(), login=login))

    def way_back(self, page: Any) -> str:
        found = re.search(r'href="(https://app\.acme\.example[^"]*)"', page.text)
        return unescape(found[1]) if found else ""


@pytest.fixture
def acme(site_of: Any) -> Iterator[Any]:
    names = {"contoso": "Contoso Ltd"}
    with site_of(product="Acme \u202eCRM", workspace=names.get, return_urls=["https://app.acme.example/"]) as site:
        yield site


@pytest.fixture
def holder(acme: Any, walker: Any) -> Holder:
    return Holder(walker(acme, acme.visitor()))


def test_the_page_names_the_product_and_the_workspace_in_plain_words(holder: Holder) -> None:
    page = holder.open()

    assert holder.walk.title(page) == "Connect your Notes account to Acme CRM"
    assert '<b class="strong">Contoso Ltd</b>' in page.text
    assert "Works once, in this browser, for 30 min" in page.text
    visible = re.sub(r"<[^>]+>", " ", page.text.partition("<main")[2])
    for word in ("owner", "credential", "scope", "token", "contoso "):
        assert word not in visible


def test_a_link_connects_an_account_once(holder: Holder) -> None:
    page = holder.connect()

    assert holder.walk.title(page) == "Notes is connected"
    assert holder.way_back(page) == f"{RETURN}?valetkey_result=connected"
    (status,) = holder.practice.valet.connections()
    assert (status.connection.owner, status.state, holder.state) == ("contoso", "connected", "used")
    assert holder.walk.title(holder.open()) == "Notes is connected"  # in this browser
    holder.walk.visitor.post(holder.path, do="go")
    assert len(holder.practice.valet.connections()) == 1


@pytest.mark.conformance("1 core: start by the person")
def test_looking_at_a_link_uses_up_nothing_and_binds_nothing(holder: Holder, walker: Any, acme: Any) -> None:
    for _ in range(3):
        assert walker(acme, acme.visitor()).visitor.get(holder.path).status_code == 200

    assert holder.state == "opened"
    assert holder.walk.title(holder.connect()) == "Notes is connected"


def test_a_link_that_was_begun_belongs_to_its_browser(holder: Holder, walker: Any, acme: Any) -> None:
    url = holder.go()
    thief = walker(acme, acme.visitor())

    page = thief.visitor.get(holder.path)
    assert (page.status_code, thief.title(page)) == (403, "This link belongs to another browser")
    stolen = thief.come_back(holder.walk.provider.approve(url))
    assert (stolen.status_code, holder.walk.provider.token_requests) == (403, 0)
    assert holder.state == "at_provider"


def test_a_used_link_is_of_no_use_elsewhere(holder: Holder, walker: Any, acme: Any) -> None:
    holder.connect()
    other = walker(acme, acme.visitor())

    page = other.visitor.get(holder.path)

    assert (page.status_code, other.title(page)) == (410, "This link was used already")


def test_a_link_that_ended_says_so_and_leads_back(holder: Holder) -> None:
    holder.practice.clock.advance(1801)

    page = holder.open()

    assert (page.status_code, holder.walk.title(page)) == (410, "This link has expired")
    assert holder.way_back(page) == f"{RETURN}?valetkey_result=expired"
    assert holder.walk.visitor.get("/connect/" + "x" * 56).status_code == 404


def test_whoever_was_at_the_provider_in_time_may_finish(holder: Holder) -> None:
    holder.practice.clock.advance(1700)
    url = holder.go()
    callback = holder.walk.provider.approve(url)
    holder.practice.clock.advance(50)
    assert holder.walk.title(holder.come_back(callback)) == "Notes is connected"


def test_a_newer_link_ends_the_older(holder: Holder) -> None:
    newer = Holder(holder.walk)

    assert holder.open().status_code == 410
    assert newer.walk.title(newer.connect()) == "Notes is connected"


def test_a_link_that_is_withdrawn_at_the_provider_redeems_nothing(holder: Holder) -> None:
    callback = holder.walk.provider.approve(holder.go())
    Holder(holder.walk)  # withdraws it

    assert holder.come_back(callback).status_code == 410
    assert holder.walk.provider.token_requests == 0


@pytest.mark.parametrize(
    ("trouble", "title", "result", "state"),
    [
        pytest.param(lambda p: p.deny_next(), "Nothing was connected", "denied", "declined", id="denied"),
        pytest.param(
            lambda p: p.deny_next("access_denied", "request has been sent to an administrator"),
            "An administrator has to approve this",
            "approval_pending",
            "opened",
            id="approval pending",
        ),
        pytest.param(
            lambda p: p.fail_next(status=401, error="invalid_client"),
            "Notes could not be connected",
            "error",
            "opened",
            id="error",
        ),
    ],
)
def test_each_outcome_is_a_page_and_can_be_tried_again(
    holder: Holder, trouble: Any, title: str, result: str, state: str
) -> None:
    trouble(holder.walk.provider)

    page = holder.connect()

    assert holder.walk.title(page) == title
    assert holder.way_back(page) == f"{RETURN}?valetkey_result={result}"
    assert holder.state == state
    again = re.search(r'action="(/connect/again/[^"]+)"', page.text)
    assert again
    url = holder.walk.way_out(holder.walk.visitor.post(again[1], do="go"))
    assert holder.walk.title(holder.come_back(holder.walk.provider.approve(url))) == "Notes is connected"


def test_an_error_names_a_request_and_nothing_else(holder: Holder) -> None:
    holder.walk.provider.fail_next(status=401, error="invalid_client", description="secret of app 17 expired")

    page = holder.connect()

    (event,) = [e for e in holder.practice.valet.events() if e.kind == "connect_failed"]
    assert event.detail["request"] in page.text
    assert "invalid_client" not in page.text
    assert "app 17" not in page.text


def test_somebody_who_would_rather_not(holder: Holder) -> None:
    holder.open()

    answer = holder.walk.visitor.post(holder.path, do="decline")

    page = holder.walk.visitor.get(answer.headers["location"])
    assert holder.walk.title(page) == "Nothing was connected"
    assert holder.state == "declined"
    assert holder.way_back(page) == f"{RETURN}?valetkey_result=denied"


def test_a_missing_permission_can_still_be_given_or_left_out(holder: Holder) -> None:
    holder.walk.provider.narrow_scopes("notes.read")
    page = holder.connect()
    assert holder.walk.title(page) == "One permission is missing"
    again = re.search(r'action="(/connect/again/[^"]+)"', page.text)
    assert again

    holder.walk.visitor.post(again[1], do="accept")

    assert holder.state == "used"
    assert holder.walk.title(holder.open()) == "Notes is connected"


def test_the_page_of_an_outcome_belongs_to_its_browser(holder: Holder, walker: Any, acme: Any) -> None:
    holder.connect()
    (link,) = list_links(holder.practice.valet._core.world, "test")[0]

    assert walker(acme, acme.visitor()).visitor.get(f"/connect/outcome/{link.id}").status_code == 403
    assert holder.walk.visitor.get("/connect/outcome/nothing").status_code == 403


# -- another account than before ---------------------------------------------------------------------------------------


def as_bob(holder: Holder) -> tuple[str, Any]:
    holder.practice.connect("notes", owner="contoso", login="ada")
    answer = holder.walk.come_back(holder.walk.provider.approve(holder.go(), login="bob"))
    address: str = answer.headers["location"]
    return address, holder.walk.visitor.get(address)


def test_another_account_is_asked_about_and_cannot_be_switched_to(holder: Holder) -> None:
    address, page = as_bob(holder)

    assert holder.walk.title(page) == "This is another account"
    assert 'value="switch"' not in page.text
    assert holder.walk.visitor.post(address, choice="switch").status_code == 400
    (status,) = holder.practice.valet.connections()
    assert status.identity.login == "ada"


def test_the_old_account_can_be_kept(holder: Holder) -> None:
    address, _ = as_bob(holder)

    page = holder.walk.visitor.post(address, choice="keep")

    assert holder.walk.title(page) == "Nothing was changed"
    assert holder.walk.provider.live_grants == 1


def test_a_second_account_gets_a_name(holder: Holder) -> None:
    address, _ = as_bob(holder)
    assert "Give the second account a name" in holder.walk.visitor.post(address, choice="second").text

    answer = holder.walk.visitor.post(address, choice="second", account="home")

    assert holder.walk.title(holder.walk.visitor.get(answer.headers["location"])) == "Notes is connected"
    assert {(s.connection.account, s.identity.login) for s in holder.practice.valet.connections()} == {
        ("", "ada"),
        ("home", "bob"),
    }
    assert holder.state == "used"


# -- where the application knows who is signed in ----------------------------------------------------------------------


@pytest.fixture
def known(site_of: Any) -> Iterator[Any]:
    with site_of(product="Acme CRM", current_owner=lambda request: request.cookies.get("user")) as site:
        yield site


def test_only_the_owner_of_the_link_connects(known: Any, walker: Any) -> None:
    holder = Holder(walker(known, known.visitor()), return_to=None)

    nobody = holder.open()
    assert (nobody.status_code, holder.walk.title(nobody)) == (403, "This link is for somebody else")
    assert "Sign in to Acme CRM first" in nobody.text
    holder.walk.visitor.client.cookies.set("user", "northwind")
    assert holder.open().status_code == 403
    holder.walk.visitor.client.cookies.set("user", "contoso")
    assert holder.walk.title(holder.connect()) == "Notes is connected"


def test_whoever_is_somebody_else_by_the_time_of_the_answer_redeems_nothing(known: Any, walker: Any) -> None:
    """The victim of a forged sign-in: the attacker's link, the victim's account."""
    holder = Holder(walker(known, known.visitor()), return_to=None)
    holder.walk.visitor.client.cookies.set("user", "contoso")
    callback = holder.walk.provider.approve(holder.go())
    holder.walk.visitor.client.cookies.set("user", "northwind")

    page = holder.come_back(callback)

    assert holder.walk.title(page) == "This link is for somebody else"
    assert holder.walk.provider.token_requests == 0
    assert "link_refused" in [event.kind for event in holder.practice.valet.events()]


def test_an_application_that_returns_an_empty_owner_is_mistaken(site_of: Any, walker: Any) -> None:
    with site_of(current_owner=lambda _: "") as site:
        holder = Holder(walker(site, site.visitor()), return_to=None)

        assert holder.walk.visitor.client.get(holder.path).status_code >= 400


# -- making links ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        pytest.param({"return_to": "https://attacker.example/"}, "return_url_not_allowed", id="return address"),
        pytest.param({"return_to": "javascript:alert(1)"}, "return_url_invalid", id="no address"),
        pytest.param({"expires_in": 5}, "expiry_invalid", id="life"),
        pytest.param({"owner": ""}, "owner_invalid", id="empty owner"),
        pytest.param({"scopes": "notes.read"}, "scopes_not_a_list", id="scopes"),
    ],
)
def test_what_a_link_cannot_be_is_refused(face: Any, fields: Any, code: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        face.valet.connect_link("notes", **{"owner": "u1", **fields})

    assert caught.value.code == code


def test_both_valets_make_links(face: Any) -> None:
    link = face.valet.connect_link("notes", owner="u1", return_to="http://127.0.0.1:8421/done")

    assert re.fullmatch(r"http://127\.0\.0\.1:8421/connect/[0-9a-f]{24}[\w-]{32}", link)


def test_without_an_address_there_is_no_link(practice: Any) -> None:
    practice.valet._core.base_url = practice.valet._core.server_url = None

    with pytest.raises(ConfigurationError) as caught:
        practice.valet.connect_link("notes")

    assert caught.value.code == "server_url_missing"


def test_the_address_may_be_told_to_the_application_alone(practice: Any, site_of: Any) -> None:
    practice.valet._core.base_url = None
    with site_of(base_url="https://connect.example.com/keys/"):
        link = practice.valet.connect_link("notes", return_to="https://connect.example.com/elsewhere")

    assert link.startswith("https://connect.example.com/keys/connect/")


def test_an_address_that_is_not_allowed_any_more_is_not_gone_to(holder: Holder) -> None:
    holder.practice.valet._core.return_urls = ()

    assert holder.way_back(holder.connect()) == ""
    assert find_link(holder.practice.valet._core.world, list_links(holder.practice.valet._core.world, "test")[0][0].id)
