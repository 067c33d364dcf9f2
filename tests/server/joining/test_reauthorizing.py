"""Re-authorizing a connection: the same id, and a question where it is another account than before."""

from __future__ import annotations

from typing import Any

import pytest


def connection(walk: Any, account: str = "") -> Any:
    return next(s for s in walk.site.practice.valet.connections() if s.connection.account == account)


class Again:
    """Ada's connection is authorized again, by whom the test says."""

    def __init__(self, walk: Any) -> None:
        self.walk = walk
        self.first = walk.site.practice.connect("notes", owner="u1", login="ada")
        self.page = f"/console/connections/{self.first.connection_id}/reauthorize"

    def sign_in(self, login: str) -> Any:
        assert "Re-authorize ada" in self.walk.title(self.walk.visitor.get(self.page))
        out = self.walk.way_out(self.walk.visitor.post(self.page))
        return self.walk.come_back(self.walk.provider.approve(out, login=login))

    def question(self) -> str:
        """Sign in as Bob; returns the address of the question."""
        address: str = self.sign_in("bob").headers["location"]
        assert address.startswith("/console/decide/")
        page = self.walk.visitor.get(address)
        assert self.walk.title(page) == "This is another account"
        assert "Nothing has changed yet" in page.text
        return address


@pytest.fixture
def again(walk: Any) -> Again:
    return Again(walk)


def test_the_same_account_keeps_the_id(again: Again) -> None:
    answer = again.sign_in("ada")

    assert answer.headers["location"] == f"/console/connections/{again.first.connection_id}"
    assert connection(again.walk).connection == again.first.connection


def test_another_account_is_asked_about_and_calls_work_on_meanwhile(again: Again) -> None:
    again.question()

    assert connection(again.walk).identity.login == "ada"
    assert again.walk.site.practice.client("notes", owner="u1").get("/me").json()["login"] == "ada"


def test_keeping_withdraws_the_new_sign_in(again: Again) -> None:
    address = again.question()

    answer = again.walk.visitor.post(address, choice="keep")

    assert answer.headers["location"] == f"/console/connections/{again.first.connection_id}"
    assert connection(again.walk).identity.login == "ada"
    assert again.walk.provider.live_grants == 1
    assert again.walk.visitor.get(address).status_code == 410
    assert again.walk.visitor.post(address, choice="switch").status_code == 410


def test_switching_keeps_the_id_and_withdraws_the_old_access(again: Again) -> None:
    address = again.question()

    again.walk.visitor.post(address, choice="switch")

    status = connection(again.walk)
    assert (status.connection, status.identity.login) == (again.first.connection, "bob")
    assert again.walk.provider.live_grants == 1
    assert again.walk.site.practice.client("notes", owner="u1").get("/me").json()["login"] == "bob"


def test_a_second_connection_gets_a_label(again: Again) -> None:
    address = again.question()
    assert "Write an account label" in again.walk.visitor.post(address, choice="second", account=" ").text

    again.walk.visitor.post(address, choice="second", account="home")

    assert connection(again.walk).identity.login == "ada"
    assert connection(again.walk, "home").identity.login == "bob"
    assert again.walk.provider.live_grants == 2


def test_a_label_in_use_leaves_the_question_open(again: Again) -> None:
    again.walk.site.practice.connect("notes", owner="u1", account="home", login="carol")
    address = again.question()

    page = again.walk.visitor.post(address, choice="second", account="home")

    assert page.status_code == 400
    assert "is connected already" in page.text
    assert again.walk.visitor.get(address).status_code == 200


def test_the_question_belongs_to_the_browser_that_signed_in(again: Again, site: Any) -> None:
    address = again.question()
    other = site.operator()

    assert other.get(address).status_code == 410
    other.get("/console/connections")
    assert other.post(address, choice="switch").status_code == 410
    assert connection(again.walk).identity.login == "ada"


def test_an_unknown_choice_changes_nothing(again: Again) -> None:
    address = again.question()

    assert again.walk.visitor.post(address, choice="all of it").status_code == 400
    assert again.walk.provider.live_grants == 2


def test_the_question_ends_after_ten_minutes(again: Again) -> None:
    address = again.question()
    again.walk.site.practice.clock.advance(601)

    assert again.walk.visitor.get(address).status_code == 410
    again.walk.visitor.get("/callback/notes?state=any")  # whoever comes by next
    again.walk.site.practice.valet.close()  # waits for what goes on beside
    assert again.walk.provider.live_grants == 1


def test_a_connection_of_another_environment_is_not_found(walk: Any) -> None:
    assert walk.visitor.get("/console/connections/con_nothing/reauthorize").status_code == 404
