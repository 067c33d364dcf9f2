"""The token endpoint: codes, clients, and what may be asked (RFC 6749, 7636, 9700)."""

from __future__ import annotations

import base64
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
