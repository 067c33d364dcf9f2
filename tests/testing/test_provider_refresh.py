"""Refreshing, rotation and revocation (RFC 6749 section 6, 7009, 9700 section 4.14)."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from valetkey.testing import FakeClock, PracticeProvider


def assert_refused(response: Any, error: str, status: int = 400) -> None:
    assert (response.status_code, response.json()["error"]) == (status, error)


# -- refreshing


def test_a_refresh_rotates_and_the_old_token_is_spent(app: Any, provider: PracticeProvider) -> None:
    tokens = app.connect()

    new = app.refresh(tokens["refresh_token"]).json()

    assert new["refresh_token"] != tokens["refresh_token"]
    assert new["access_token"] != tokens["access_token"]
    assert not provider.is_live(tokens["refresh_token"])
    assert provider.is_live(new["refresh_token"])
    assert provider.is_live(tokens["access_token"])
    assert (provider.refreshes, provider.refresh_requests, provider.reuses, provider.double_sends) == (1, 1, 0, 0)


def test_a_spent_token_that_comes_back_kills_the_whole_family(app: Any, provider: PracticeProvider) -> None:
    first = app.connect()
    second = app.refresh(first["refresh_token"]).json()

    assert_refused(app.refresh(first["refresh_token"]), "invalid_grant")

    assert_refused(app.refresh(second["refresh_token"]), "invalid_grant")
    assert app.get("/me", second["access_token"]).status_code == 401
    assert (provider.reuses, provider.double_sends, provider.live_grants) == (1, 1, 0)


def test_reuse_may_be_refused_without_further_harm(app: Any, provider: PracticeProvider) -> None:
    provider.rules.on_reuse = "deny"
    first = app.connect()
    second = app.refresh(first["refresh_token"]).json()

    assert_refused(app.refresh(first["refresh_token"]), "invalid_grant")

    assert app.refresh(second["refresh_token"]).status_code == 200
    assert provider.reuses == 1


def test_reuse_may_be_forgiven_for_a_while(app: Any, provider: PracticeProvider, clock: FakeClock) -> None:
    provider.rules.on_reuse = "grace"
    first = app.connect()
    second = app.refresh(first["refresh_token"]).json()

    clock.advance(29.9)
    third = app.refresh(first["refresh_token"])
    assert third.status_code == 200
    assert app.refresh(second["refresh_token"]).status_code == 200

    clock.advance(0.1)
    assert_refused(app.refresh(first["refresh_token"]), "invalid_grant")
    assert_refused(app.refresh(third.json()["refresh_token"]), "invalid_grant")


def test_reuse_may_not_matter(app: Any, provider: PracticeProvider, clock: FakeClock) -> None:
    provider.rules.on_reuse = "none"
    first = app.connect()
    app.refresh(first["refresh_token"])

    clock.advance(1_000_000)

    assert app.refresh(first["refresh_token"]).status_code == 200


def test_without_rotation_the_same_token_serves_and_is_not_repeated(app: Any, provider: PracticeProvider) -> None:
    provider.rules.rotate = False
    tokens = app.connect()

    answers = [app.refresh(tokens["refresh_token"]).json() for _ in range(2)]

    assert all("refresh_token" not in answer for answer in answers)
    assert (provider.refreshes, provider.reuses, provider.double_sends) == (2, 0, 1)


def test_without_rotation_the_same_token_may_be_repeated(app: Any, provider: PracticeProvider) -> None:
    provider.rules.rotate, provider.rules.repeat_refresh_token = False, True
    tokens = app.connect()

    assert app.refresh(tokens["refresh_token"]).json()["refresh_token"] == tokens["refresh_token"]


def test_a_refresh_may_end_the_older_access_tokens(app: Any, provider: PracticeProvider) -> None:
    provider.rules.refresh_ends_access_tokens = True
    other, tokens = app.connect(), app.connect()

    new = app.refresh(tokens["refresh_token"]).json()

    assert app.get("/me", tokens["access_token"]).status_code == 401
    assert app.get("/me", new["access_token"]).status_code == 200
    assert app.get("/me", other["access_token"]).status_code == 200


def test_a_refresh_may_ask_for_less_but_not_for_more(app: Any) -> None:
    tokens = app.connect(scope="notes.read")

    assert_refused(app.refresh(tokens["refresh_token"], scope="notes.read notes.write"), "invalid_scope")
    assert app.refresh(tokens["refresh_token"], scope="notes.read").json()["scope"] == "notes.read"


def test_a_narrower_refresh_does_not_narrow_the_grant(app: Any) -> None:
    tokens = app.connect()

    narrow = app.refresh(tokens["refresh_token"], scope="notes.read").json()

    assert narrow["scope"] == "notes.read"
    assert app.get("/notes", narrow["access_token"]).status_code == 200
    assert app.refresh(narrow["refresh_token"]).json()["scope"] == "notes.read notes.write"


def test_a_refresh_token_is_of_no_use_to_another_client_and_is_not_spent_by_it(
    app: Any, provider: PracticeProvider
) -> None:
    provider.register_client("thief", "s")
    tokens = app.connect()

    stolen = app.token(app.basic("thief", "s"), grant_type="refresh_token", refresh_token=tokens["refresh_token"])

    assert_refused(stolen, "invalid_grant")
    assert app.refresh(tokens["refresh_token"]).status_code == 200


def test_refresh_tokens_may_have_an_end_which_each_rotation_moves(
    app: Any, provider: PracticeProvider, clock: FakeClock
) -> None:
    provider.rules.refresh_token_lifetime = 1000
    tokens = app.connect()
    assert tokens["refresh_token_expires_in"] == 1000

    clock.advance(999)
    tokens = app.refresh(tokens["refresh_token"]).json()
    clock.advance(999)
    assert provider.is_live(tokens["refresh_token"])
    clock.advance(1)

    assert not provider.is_live(tokens["refresh_token"])
    assert_refused(app.refresh(tokens["refresh_token"]), "invalid_grant")


def test_access_tokens_live_as_long_as_they_say(app: Any, provider: PracticeProvider, clock: FakeClock) -> None:
    provider.rules.access_token_lifetime = 90
    tokens = app.connect()
    assert tokens["expires_in"] == 90

    clock.advance(89)
    assert app.get("/me", tokens["access_token"]).status_code == 200
    clock.advance(1)
    assert app.get("/me", tokens["access_token"]).status_code == 401


def test_of_many_racers_with_one_token_one_wins(app: Any, provider: PracticeProvider) -> None:
    provider.rules.on_reuse = "deny"
    tokens = app.connect()
    statuses: list[int] = []
    threads = [
        threading.Thread(target=lambda: statuses.append(app.refresh(tokens["refresh_token"]).status_code))
        for _ in range(16)
    ]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(statuses) == [200, *[400] * 15]
    assert (provider.refreshes, provider.reuses, provider.double_sends) == (1, 15, 15)


# -- revoking


def test_revoking_a_refresh_token_takes_its_access_tokens_along(app: Any, provider: PracticeProvider) -> None:
    tokens = app.connect()

    response = app.post("/revoke", {"token": tokens["refresh_token"], "token_type_hint": "refresh_token"})

    assert (response.status_code, response.content) == (200, b"")
    assert app.get("/me", tokens["access_token"]).status_code == 401
    assert_refused(app.refresh(tokens["refresh_token"]), "invalid_grant")
    assert (provider.revocations, provider.live_grants) == (1, 0)


def test_revoking_a_spent_refresh_token_ends_the_grant_too(app: Any, provider: PracticeProvider) -> None:
    tokens = app.connect()
    app.refresh(tokens["refresh_token"])

    app.post("/revoke", {"token": tokens["refresh_token"]})

    assert provider.live_grants == 0


def test_revoking_an_access_token_ends_that_one_alone(app: Any, provider: PracticeProvider) -> None:
    tokens = app.connect()

    app.post("/revoke", {"token": tokens["access_token"], "token_type_hint": "refresh_token"})

    assert app.get("/me", tokens["access_token"]).status_code == 401
    assert provider.is_live(tokens["refresh_token"])


def test_revoking_what_is_unknown_is_no_error(app: Any) -> None:
    assert app.post("/revoke", {"token": "unknown"}).status_code == 200


def test_revoking_needs_a_token_a_client_and_that_clients_token(app: Any, provider: PracticeProvider) -> None:
    provider.register_client("other", "s")
    tokens = app.connect()

    assert_refused(app.post("/revoke", {}), "invalid_request")
    assert_refused(app.post("/revoke", {"token": tokens["refresh_token"]}, {}), "invalid_client", 401)
    foreign = app.post("/revoke", {"token": tokens["refresh_token"]}, app.basic("other", "s"))
    assert_refused(foreign, "invalid_grant")
    assert provider.is_live(tokens["refresh_token"])


@pytest.mark.parametrize("by", ["login", "token", "all"])
def test_the_person_can_take_the_grant_back(app: Any, provider: PracticeProvider, by: str) -> None:
    ada, grace = app.connect(), app.connect(login_hint="grace")

    match by:
        case "login":
            ended = provider.revoke("ada")
        case "token":
            ended = provider.revoke(refresh_token=ada["refresh_token"])
        case _:
            ended = provider.revoke()

    assert ended == (2 if by == "all" else 1)
    assert app.get("/me", ada["access_token"]).status_code == 401
    assert_refused(app.refresh(ada["refresh_token"]), "invalid_grant")
    assert provider.is_live(grace["refresh_token"]) is (by != "all")


def test_taking_back_what_nobody_gave_ends_nothing(app: Any, provider: PracticeProvider) -> None:
    app.connect()

    assert provider.revoke("nobody") == 0
    assert provider.revoke(refresh_token="unknown") == 0
    assert provider.live_grants == 1


def test_access_tokens_can_die_early_while_the_grant_lives(app: Any, provider: PracticeProvider) -> None:
    tokens = app.connect()

    provider.expire_access_tokens()

    assert app.get("/me", tokens["access_token"]).status_code == 401
    new = app.refresh(tokens["refresh_token"]).json()
    assert app.get("/me", new["access_token"]).status_code == 200
