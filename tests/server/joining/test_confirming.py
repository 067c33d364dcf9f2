"""The application has the last word on who came back from a connect page (DESIGN section 8, rule 2)."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from valetkey.engine.api_keys import ApiKeys
from valetkey.engine.deciding import sweep
from valetkey.errors import ConfigurationError, NotConnected, StateMismatch, WrongUser
from valetkey.values import Secret

OWN = "http://127.0.0.1:8421/done"
RETURN = "https://app.acme.example/settings?tab=accounts"


class Crm:
    """An application that knows its own sessions, calls the API, and has no `current_owner`."""

    def __init__(self, site: Any, walker: Any) -> None:
        self.site = site
        self.core = site.practice.valet._core
        self.provider = site.practice.provider
        self.walk = walker(site, site.visitor())
        self.programs: list[httpx2.Client] = []
        self.http = self.program()

    def program(self) -> httpx2.Client:
        keys = ApiKeys(self.core.store, self.core.clock, self.core.env)
        _, secret = keys.add("crm", ["read", "read_secret", "connect"])
        headers = {"Authorization": f"Bearer {secret.reveal()}"}
        self.programs.append(httpx2.Client(base_url=f"{self.site.base}/v1", headers=headers))
        return self.programs[-1]

    def begin(self, **wish: Any) -> dict[str, Any]:
        given = {"credential": "notes", "owner": "ada", "return_to": RETURN, **wish}
        answer = self.http.post("/connect-sessions", json=given)
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()
        return made

    def sign_in(self, url: str, login: str = "ada") -> Any:
        """Go to the provider and back; returns the page that leads back to the application."""
        path = urlsplit(url).path
        assert self.walk.visitor.get(path).status_code == 200
        out = self.walk.way_out(self.walk.visitor.post(path, do="go"))
        answer = self.walk.come_back(self.provider.approve(out, login=login))
        assert answer.status_code == 303
        return self.walk.visitor.get(answer.headers["location"])

    def back(self, page: Any, to: str = f"{RETURN}&") -> dict[str, str]:
        """Come back to the application; returns what the address says."""
        url = self.walk.way_out(page)
        assert url.startswith(to)
        return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}

    def confirm(self, given: dict[str, str], owner: str | None = "ada", **members: Any) -> httpx2.Response:
        body = {"owner": owner, "code": given["valetkey_confirm"], **members}
        return self.http.post(f"/connect-sessions/{given['valetkey_session']}/confirm", json=body)

    def signed_in(self, **wish: Any) -> tuple[dict[str, Any], dict[str, str]]:
        made = self.begin(**wish)
        return made, self.back(self.sign_in(made["url"]))

    def session(self, made: dict[str, Any]) -> tuple[str, str]:
        shown = self.http.get(f"/connect-sessions/{made['id']}").json()
        return shown["state"], shown["outcome"]

    def events(self) -> list[str]:
        return [event.kind for event in self.site.practice.valet.events()]


@contextmanager
def opened(site: Any, walker: Any) -> Generator[Crm]:
    crm = Crm(site, walker)
    yield crm
    for program in crm.programs:
        program.close()


@pytest.fixture
def crm(site_of: Callable[..., Any], walker: Any) -> Iterator[Crm]:
    with (
        site_of(product="Acme CRM", return_urls=["https://app.acme.example/"]) as site,
        opened(site, walker) as crm,
    ):
        yield crm


def refused(answer: httpx2.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["hint"]
    return answer.status_code, answer.json()["code"]


def test_nothing_is_live_before_the_application_confirmed_who_came_back(crm: Crm) -> None:
    made = crm.begin()
    assert (made["confirm"], made["confirm_until"]) == (True, None)
    page = crm.sign_in(made["url"])
    assert crm.walk.title(page) == "One more step at Acme CRM"
    given = crm.back(page)

    assert (given["valetkey_result"], given["valetkey_session"]) == ("confirm", made["id"])
    assert crm.session(made) == ("to_confirm", "")
    assert [status.state for status in crm.site.practice.valet.connections()] == ["pending"]
    with pytest.raises(NotConnected):
        crm.site.practice.client("notes", owner="ada").get_access_token()
    elsewhere = {"json": {"owner": "ada", "code": given["valetkey_confirm"]}}
    other = crm.program().post(f"/connect-sessions/{made['id']}/confirm", **elsewhere)
    assert refused(other) == (403, "api_key_other")
    assert refused(crm.confirm(given, code="guessed")) == (409, "confirmation_mismatch")
    assert refused(crm.http.post("/connect-sessions/nothing/confirm", **elsewhere)) == (404, "resource_unknown")

    done = crm.confirm(given)

    assert (done.status_code, done.json()["state"], done.json()["outcome"]) == (200, "used", "connected")
    (status,) = crm.site.practice.valet.connections()
    assert (status.state, status.connection_id) == ("connected", done.json()["connection_id"])
    assert refused(crm.confirm(given)) == (409, "confirmation_repeated")
    assert crm.walk.title(crm.walk.visitor.get(urlsplit(made["url"]).path)) == "Notes is connected"
    assert [kind for kind in crm.events() if kind != "api_key_made"][-3:] == [
        "link_to_confirm",
        "connected",
        "link_used",
    ]
    (told,) = [event for event in crm.site.practice.valet.events() if event.kind == "connected"]
    assert told.actor == "API key crm"


def test_the_sender_of_a_link_gets_no_code_for_the_one_who_followed_it(crm: Crm, walker: Any) -> None:
    made = crm.begin()
    crm.sign_in(made["url"])
    sender = walker(crm.site, crm.site.visitor()).visitor

    for path in (urlsplit(made["url"]).path, f"/connect/outcome/{made['id']}"):
        page = sender.get(path)
        assert (page.status_code, "valetkey_confirm" in page.text) == (403, False)


def test_somebody_else_who_came_back_gets_their_access_back(crm: Crm) -> None:
    made, given = crm.signed_in()

    assert refused(crm.confirm(given, owner="eve")) == (409, "wrong_user")

    assert crm.provider.live_grants == 0
    assert crm.session(made) == ("withdrawn", "wrong_user")
    assert refused(crm.confirm(given)) == (409, "confirmation_over")
    page = crm.walk.visitor.get(f"/connect/outcome/{made['id']}")
    assert crm.walk.title(page) == "This link is for somebody else"
    assert "valetkey_result=wrong_user" in page.text
    assert [status.state for status in crm.site.practice.valet.connections()] == ["pending"]


def test_what_nobody_confirms_is_given_back(crm: Crm) -> None:
    made, given = crm.signed_in()
    crm.site.practice.clock.advance(600)

    assert refused(crm.confirm(given)) == (409, "confirmation_over")
    assert crm.session(made) == ("opened", "unconfirmed")
    crm.site.practice.valet.run_worker(once=True)
    assert crm.provider.live_grants == 0
    assert "sign_in_dropped" in crm.events()
    given = crm.back(crm.sign_in(made["url"]))  # the link itself has not ended yet
    assert crm.confirm(given).json()["state"] == "used"


def test_a_session_that_is_withdrawn_gives_back_what_waits(crm: Crm) -> None:
    made, given = crm.signed_in()

    assert crm.http.post(f"/connect-sessions/{made['id']}/withdraw").json()["state"] == "withdrawn"

    assert crm.provider.live_grants == 0
    assert refused(crm.confirm(given)) == (409, "confirmation_over")


def test_connecting_again_keeps_the_id_and_the_old_grant_works_throughout(crm: Crm) -> None:
    before = crm.site.practice.connect("notes", owner="ada")
    client = crm.site.practice.client("notes", owner="ada")
    old = client.get_access_token().reveal()
    _, given = crm.signed_in()
    assert client.get("/me").status_code == 200
    crm.site.practice.clock.advance(600)
    sweep(crm.core.world, "test")
    assert client.get("/me").status_code == 200
    assert crm.provider.revocations == 0, "at many providers that ends the old one too"
    client.refresh()

    _, given = crm.signed_in()
    assert client.get_access_token().reveal() != old
    done = crm.confirm(given)

    assert done.json()["connection_id"] == before.connection_id
    assert client.get("/me").status_code == 200
    assert len(crm.site.practice.valet.connections()) == 1


def test_what_was_disconnected_meanwhile_is_not_confirmed(crm: Crm) -> None:
    crm.site.practice.connect("notes", owner="ada")
    _, given = crm.signed_in()

    crm.site.practice.valet.disconnect("notes", owner="ada")

    assert refused(crm.confirm(given)) == (409, "confirmation_over")
    assert crm.provider.live_grants == 0


def test_a_second_account_waits_for_the_last_word_too(crm: Crm) -> None:
    crm.site.practice.connect("notes", owner="ada")
    made = crm.begin()
    question = crm.sign_in(made["url"], login="bob")
    assert crm.walk.title(question) == "This is another account"

    answer = crm.walk.visitor.post(question.url.path, choice="second", account="home")
    given = crm.back(crm.walk.visitor.get(answer.headers["location"]))
    assert {s.connection.account: s.state for s in crm.site.practice.valet.connections()} == {
        "": "connected",
        "home": "pending",
    }

    assert crm.confirm(given).json()["state"] == "used"
    assert {s.connection.account: s.identity.login for s in crm.site.practice.valet.connections()} == {
        "": "ada",
        "home": "bob",
    }


def test_a_permission_that_is_missing_is_told_with_the_confirmation(crm: Crm) -> None:
    crm.provider.narrow_scopes("notes.read")
    _, given = crm.signed_in()

    assert (crm.confirm(given).json()["outcome"], crm.walk.title(crm.walk.visitor.get("/connect/outcome/x"))) == (
        "scopes_missing",
        "This link belongs to another browser",
    )


def test_who_is_to_be_confirmed_where_nobody_says(crm: Crm, site_of: Callable[..., Any], walker: Any) -> None:
    """Where there is an owner whose browser the server cannot know; where it does, it looks by itself."""
    assert crm.begin(owner=None)["confirm"] is False
    assert crm.begin(confirm=False, return_to=None)["confirm"] is False
    given = {"valetkey_session": crm.begin(confirm=False)["id"], "valetkey_confirm": "x"}
    assert refused(crm.confirm(given)) == (409, "confirmation_over")
    with site_of(current_owner=lambda request: request.cookies.get("user")) as site, opened(site, walker) as known:
        assert known.begin(return_to=None)["confirm"] is False


def test_programs_confirm_without_the_api_as_well(face: Any, site_class: Any, walker: Any) -> None:
    with site_class(face.practice) as site, opened(site, walker) as crm:

        def came_back() -> dict[str, str]:
            return crm.back(
                crm.sign_in(face.valet.connect_link("notes", owner=17, return_to=OWN, confirm=True)), to=OWN + "?"
            )

        given = came_back()
        session, code = given["valetkey_session"], given["valetkey_confirm"]
        for link, said, kind, told in (
            ("x", code, ConfigurationError, "link_unknown"),
            (session, "x", StateMismatch, "confirmation_mismatch"),
        ):
            with pytest.raises(kind) as caught:
                face.valet.confirm_link(link, said, owner=17)
            assert caught.value.code == told
        assert face.valet.confirm_link(session, Secret(code), owner=17).state == "connected"

        given = came_back()
        with pytest.raises(WrongUser):
            face.valet.confirm_link(given["valetkey_session"], given["valetkey_confirm"], owner=18)
        assert face.client(owner=17).get_access_token()
