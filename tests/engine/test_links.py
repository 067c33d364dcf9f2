"""Connect links: by hash, once, for one browser, until their end; a newer one withdraws the older."""

from __future__ import annotations

from typing import Any

import pytest

from valetkey.engine.disconnect import forget
from valetkey.engine.link_lists import list_links
from valetkey.engine.links import (
    CURRENT,
    KIND,
    bind_link,
    create_link,
    find_link,
    is_bound_to,
    link_of_token,
    note_declined,
    note_failed,
    note_left,
    note_opened,
    note_used,
    withdraw_link,
)
from valetkey.engine.returns import check_return_url, with_result
from valetkey.errors import ConfigurationError
from valetkey.values import Secret

MINE = Secret("what my browser keeps")


@pytest.fixture
def made(stage: Any) -> Any:
    return create_link(stage.world, stage.key(owner="u1"), scopes=["notes.read"], return_to="https://a.example/x")


def test_the_store_has_no_token(stage: Any, made: Any) -> None:
    shown = repr(stage.store.list_documents(KIND)) + repr(stage.store.list_documents(CURRENT))

    assert made.token.reveal() not in shown
    assert made.token.reveal()[24:] not in shown
    found = link_of_token(stage.world, made.token.reveal())
    assert found == made.link


@pytest.mark.parametrize("token", ["", "x", "x" * 24, "x" * 60])
def test_an_unknown_token_is_no_link(stage: Any, made: Any, token: str) -> None:
    assert link_of_token(stage.world, token) is None
    assert link_of_token(stage.world, made.link.id + "guessed") is None


def test_a_link_ends(stage: Any, made: Any) -> None:
    stage.clock.advance(1799)
    assert find_link(stage.world, made.link.id).state == "not_opened"
    stage.clock.advance(1)

    link = find_link(stage.world, made.link.id)
    assert (link.state, link.is_open) == ("expired", False)
    assert bind_link(stage.world, link.id, MINE) is None
    assert note_left(stage.world, link.id) is None


def test_a_newer_link_withdraws_the_older_of_the_same_connection_alone(stage: Any, made: Any) -> None:
    other = create_link(stage.world, stage.key(owner="u2"))
    account = create_link(stage.world, stage.key(owner="u1", account="work"))

    newer = create_link(stage.world, stage.key(owner="u1"))

    states = {link.id: link.state for link in list_links(stage.world, "test")[0]}
    assert states == {
        made.link.id: "withdrawn",
        other.link.id: "not_opened",
        account.link.id: "not_opened",
        newer.link.id: "not_opened",
    }


def test_the_first_browser_that_goes_on_has_it(stage: Any, made: Any) -> None:
    bound = bind_link(stage.world, made.link.id, MINE)

    assert bound is not None
    assert is_bound_to(bound, MINE)
    assert not is_bound_to(bound, Secret("another"))
    assert not is_bound_to(bound, None)
    assert bind_link(stage.world, made.link.id, Secret("another")) is None
    assert bind_link(stage.world, made.link.id, MINE) is not None


def test_it_works_once(stage: Any, made: Any) -> None:
    assert note_used(stage.world, made.link.id, "con_1") is not None
    assert note_used(stage.world, made.link.id, "con_2") is None
    assert bind_link(stage.world, made.link.id, MINE) is None
    assert withdraw_link(stage.world, made.link.id) is None
    assert find_link(stage.world, made.link.id).connection_id == "con_1"


def test_each_step_is_remembered(stage: Any, made: Any) -> None:
    world, link = stage.world, made.link
    steps = [note_opened(world, link), note_left(world, link.id), note_failed(world, link.id, "error", "req_1")]
    steps += [note_declined(world, link.id), note_left(world, link.id), note_used(world, link.id, "con_1")]

    assert [step.state for step in steps] == ["opened", "at_provider", "opened", "declined", "at_provider", "used"]
    kinds = [event.kind for event in stage.events() if event.kind.startswith("link_")]
    assert kinds == ["link_created", "link_declined", "link_used"]


def test_lists_begin_with_the_newest_and_are_read_in_pages(stage: Any) -> None:
    made = []
    for number in range(5):
        stage.clock.advance(1)
        made.append(create_link(stage.world, stage.key(owner=f"u{number}")).link.id)

    first, after = list_links(stage.world, "test", limit=3)
    rest, end = list_links(stage.world, "test", limit=3, after=after)

    assert [link.id for link in (*first, *rest)] == made[::-1]
    assert end == ""
    assert [
        link.key.owner for link in list_links(stage.world, "test", wanted=lambda one: one.key.owner == "u2")[0]
    ] == ["u2"]
    assert list_links(stage.world, "other") == ([], "")


@pytest.mark.parametrize("expires_in", [0, 59, 30 * 86400 + 1, float("nan"), -1])
def test_a_life_out_of_range_is_refused(stage: Any, expires_in: float) -> None:
    with pytest.raises(ConfigurationError) as caught:
        create_link(stage.world, stage.key(), expires_in=expires_in)

    assert caught.value.code == "expiry_invalid"


def test_forgetting_an_owner_forgets_the_links(stage: Any, made: Any) -> None:
    forget(stage.world, "u1", "test")

    assert find_link(stage.world, made.link.id) is None
    assert not stage.store.list_documents(CURRENT)


ALLOWED = ("https://app.example.com/", "https://other.example.com/deep/")


@pytest.mark.parametrize(
    "url", ["https://app.example.com/", "https://app.example.com/a?b=c", "https://other.example.com/deep/x"]
)
def test_addresses_below_an_allowed_one_are_taken(url: str) -> None:
    assert check_return_url(url, ALLOWED) == url


@pytest.mark.conformance("1 core: no open redirector")
@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("https://attacker.example/", "return_url_not_allowed"),
        ("https://app.example.com.attacker.example/", "return_url_not_allowed"),
        ("https://app.example.com:444/", "return_url_not_allowed"),
        ("https://other.example.com/", "return_url_not_allowed"),
        ("https://other.example.com/deeper", "return_url_not_allowed"),
        ("https://other.example.com/deep/../up", "return_url_invalid"),
        ("https://other.example.com/deep/%2e%2E/up", "return_url_invalid"),
        ("https://app.example.com@attacker.example/", "return_url_invalid"),
        ("http://app.example.com/", "return_url_invalid"),
        ("//attacker.example/", "return_url_invalid"),
        ("javascript:alert(1)", "return_url_invalid"),
        ("https:\\\\attacker.example", "return_url_invalid"),
        ("https://app.example.com/\n", "return_url_invalid"),
        ("https://app.example.com:x/", "return_url_invalid"),
        ("", "return_url_invalid"),
    ],
)
def test_other_addresses_are_refused(url: str, code: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        check_return_url(url, ALLOWED)

    assert caught.value.code == code


def test_the_result_is_said_once_in_the_query() -> None:
    assert with_result("https://a.example/x?y=1&valetkey_result=old#z", "denied") == (
        "https://a.example/x?y=1&valetkey_result=denied#z"
    )
