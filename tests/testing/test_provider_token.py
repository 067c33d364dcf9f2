"""The token and revocation endpoints (RFC 6749, 7009, 7636, 9700)."""

from __future__ import annotations

import base64
import threading
from typing import Any

import pytest

from valetkey.testing import FakeClock, PracticeProvider


def assert_refused(response: Any, error: str, status: int = 400) -> None:
    assert (response.status_code, response.json()["error"]) == (status, error)
    assert response.headers["Cache-Control"] == "no-store"


# -- the code


def test_a_code_buys_tokens_with_all_that_the_answer_must_hold(app: Any) -> None:
    response = app.exchange(app.code())

    tokens = response.json()
    assert tokens.keys() == {"access_token", "token_type", "expires_in", "scope", "refresh_token"}
    assert (tokens["token_type"], tokens["expires_in"]) == ("Bearer", 3600)
    assert tokens["scope"] == "notes.read notes.write"
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["Pragma"] == "no-cache"


def test_a_code_that_comes_twice_kills_what_it_bought(app: Any, provider: PracticeProvider) -> None:
    code = app.code()
    tokens = app.exchange(code).json()
    assert provider.live_grants == 1

    assert_refused(app.exchange(code), "invalid_grant")

    assert app.get("/me", tokens["access_token"]).status_code == 401
    assert_refused(app.refresh(tokens["refresh_token"]), "invalid_grant")
    assert provider.live_grants == 0


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"redirect_uri": "http://127.0.0.1:5051/callback"}, id="another port"),
        pytest.param({"redirect_uri": None}, id="no redirect URI"),
        pytest.param({"code_verifier": "w" * 43}, id="another verifier"),
        pytest.param({"code_verifier": None}, id="no verifier"),
        pytest.param({"code": "guess"}, id="unknown code"),
    ],
)
def test_a_code_fits_only_the_request_that_it_came_from(app: Any, changes: dict[str, str | None]) -> None:
    code = app.code()

    assert_refused(app.exchange(**{"code": code, **changes}), "invalid_grant")
    assert app.exchange(code).status_code == 200


def test_a_short_verifier_is_refused_though_it_fits(app: Any) -> None:
    code = app.code(code_challenge=app.challenge("short"))

    assert_refused(app.exchange(code, code_verifier="short"), "invalid_grant")


def test_a_verifier_without_a_challenge_is_refused(app: Any, provider: PracticeProvider) -> None:
    provider.rules.requires_pkce = False
    code = app.code(code_challenge=None, code_challenge_method=None)

    assert_refused(app.exchange(code), "invalid_grant")


def test_a_code_lives_sixty_seconds(app: Any, clock: FakeClock) -> None:
    early, late = app.code(), app.code()

    clock.advance(59)
    assert app.exchange(early).status_code == 200
    clock.advance(1)
    assert_refused(app.exchange(late), "invalid_grant")


def test_a_code_is_of_no_use_to_another_client(app: Any, provider: PracticeProvider) -> None:
    provider.register_client("other", "s")

    assert_refused(app.exchange(app.code(), app.basic("other", "s")), "invalid_grant")


def test_a_client_without_refresh_tokens_gets_none(app: Any, provider: PracticeProvider) -> None:
    provider.register_client("short", "s", grant_types=["authorization_code"])

    assert "refresh_token" not in app.exchange(app.code(client_id="short"), app.basic("short", "s")).json()


# -- who asks


def test_basic_is_form_decoded_so_that_odd_characters_work(app: Any) -> None:
    assert set("% :+/&=") & set(app.client_secret) >= set("% :+/&=")
    assert app.exchange(app.code()).status_code == 200


def test_basic_without_form_encoding_is_refused(app: Any) -> None:
    raw = base64.b64encode(f"{app.client_id}:{app.client_secret}".encode()).decode()

    response = app.exchange(app.code(), {"Authorization": f"Basic {raw}"})

    assert_refused(response, "invalid_client", 401)


@pytest.mark.parametrize(
    ("headers", "form"),
    [
        pytest.param({"Authorization": "Basic !!!"}, {}, id="no base64"),
        pytest.param({"Authorization": "Basic bm9jb2xvbg=="}, {}, id="no colon"),
        pytest.param({"Authorization": "Bearer abc"}, {}, id="another scheme"),
        pytest.param({}, {}, id="nothing at all"),
        pytest.param({}, {"client_id": "practice-app"}, id="an id without its secret"),
        pytest.param({}, {"client_id": "practice-app", "client_secret": "wrong"}, id="a method not registered"),
        pytest.param({}, {"client_id": "nobody", "client_secret": "x"}, id="unknown client"),
    ],
)
def test_a_client_that_does_not_prove_itself_gets_401_and_a_challenge(
    app: Any, headers: dict[str, str], form: dict[str, str]
) -> None:
    response = app.token(headers, grant_type="client_credentials", **form)

    assert_refused(response, "invalid_client", 401)
    assert response.headers["WWW-Authenticate"].startswith("Basic ")


def test_a_wrong_secret_is_refused_and_the_grant_lives(app: Any, provider: PracticeProvider) -> None:
    tokens = app.connect()

    response = app.post("/token", {"grant_type": "refresh_token", **tokens}, app.basic(secret="wrong"))

    assert_refused(response, "invalid_client", 401)
    assert provider.is_live(tokens["refresh_token"])
    assert app.refresh(tokens["refresh_token"]).status_code == 200


def test_two_methods_at_once_are_refused(app: Any) -> None:
    form = {"grant_type": "client_credentials", "client_id": app.client_id, "client_secret": app.client_secret}

    assert_refused(app.token(**form), "invalid_request")


def test_two_client_ids_are_refused(app: Any) -> None:
    assert_refused(app.token(grant_type="client_credentials", client_id="other"), "invalid_request")


def test_the_secret_may_come_in_the_body_where_that_is_registered(app: Any, provider: PracticeProvider) -> None:
    provider.register_client("poster", "p&s s", auth="client_secret_post")

    answer = app.token({}, grant_type="client_credentials", client_id="poster", client_secret="p&s s")

    assert answer.status_code == 200
    assert_refused(app.token(app.basic("poster", "p&s s"), grant_type="client_credentials"), "invalid_client", 401)


def test_a_public_client_names_itself_and_may_not_use_client_credentials(app: Any, provider: PracticeProvider) -> None:
    provider.register_client("public")

    tokens = app.exchange(app.code(client_id="public"), {}, client_id="public").json()

    assert app.token(
        {}, grant_type="refresh_token", client_id="public", refresh_token=tokens["refresh_token"]
    ).is_success
    assert_refused(app.token({}, grant_type="client_credentials", client_id="public"), "unauthorized_client")


@pytest.mark.parametrize(("secret", "auth"), [(None, "client_secret_basic"), ("s", "none")])
def test_a_registration_that_contradicts_itself_is_refused(
    provider: PracticeProvider, secret: str | None, auth: Any
) -> None:
    with pytest.raises(ValueError, match="do not go together"):
        provider.register_client("odd", secret, auth=auth)


def test_a_client_can_get_a_new_secret_while_its_grants_live(app: Any, provider: PracticeProvider) -> None:
    tokens = app.connect()

    provider.register_client(app.client_id, "new secret")

    assert_refused(app.refresh(tokens["refresh_token"]), "invalid_client", 401)
    app.client_secret = "new secret"
    assert app.refresh(tokens["refresh_token"]).status_code == 200


# -- what is asked


def test_only_posts_are_taken(app: Any) -> None:
    response = app.http.get(f"{app.provider.issuer}/token")

    assert response.status_code == 405
    assert response.headers["Allow"] == "POST"


def test_only_forms_are_taken(app: Any) -> None:
    response = app.http.post(
        f"{app.provider.issuer}/token", json={"grant_type": "client_credentials"}, headers=app.basic()
    )

    assert_refused(response, "invalid_request")


def test_a_doubled_parameter_is_refused(app: Any) -> None:
    form = {"grant_type": ["client_credentials", "client_credentials"]}

    assert_refused(app.post("/token", form), "invalid_request")


def test_an_empty_parameter_counts_as_absent(app: Any) -> None:
    assert app.token(grant_type="client_credentials", scope="").json()["scope"] == "notes.read notes.write"
    assert_refused(app.token(grant_type="refresh_token", refresh_token=""), "invalid_request")


@pytest.mark.parametrize(
    ("form", "error"),
    [
        pytest.param({}, "invalid_request", id="no grant type"),
        pytest.param({"grant_type": "password"}, "unsupported_grant_type", id="unknown grant type"),
        pytest.param({"grant_type": "authorization_code"}, "invalid_request", id="no code"),
        pytest.param({"grant_type": "client_credentials", "scope": "admin"}, "invalid_scope", id="unknown scope"),
    ],
)
def test_what_cannot_be_granted_is_named(app: Any, form: dict[str, str], error: str) -> None:
    assert_refused(app.token(**form), error)


def test_a_grant_type_that_is_not_registered_is_refused(app: Any, provider: PracticeProvider) -> None:
    provider.register_client("narrow", "s", grant_types=["authorization_code"])

    assert_refused(app.token(app.basic("narrow", "s"), grant_type="client_credentials"), "unauthorized_client")


def test_client_credentials_buy_a_token_for_the_client_itself_and_no_refresh_token(
    app: Any, provider: PracticeProvider
) -> None:
    tokens = app.token(grant_type="client_credentials", scope="notes.read").json()

    assert "refresh_token" not in tokens
    assert app.get("/me", tokens["access_token"]).json()["sub"] == app.client_id
    assert provider.live_grants == 0


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
