"""The switches that make right answers odd, each seen from the outside."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs

import pytest

from valetkey.testing import PracticeProvider
from valetkey.testing.provider import OMIT


@pytest.mark.parametrize("value", ["3600", 0, 3600.0, -1, None, "soon"])
def test_expires_in_as_odd_as_you_like(app: Any, provider: PracticeProvider, value: object) -> None:
    provider.expires_in_as(value)

    tokens = app.connect()

    assert tokens["expires_in"] == value
    assert type(tokens["expires_in"]) is type(value)
    assert app.get("/me", tokens["access_token"]).status_code == 200


def test_expires_in_can_be_missing(app: Any, provider: PracticeProvider) -> None:
    provider.expires_in_as(OMIT, times=1)

    assert "expires_in" not in app.connect()
    assert app.connect()["expires_in"] == 3600


def test_the_refresh_token_can_be_missing_though_the_old_one_is_spent(app: Any, provider: PracticeProvider) -> None:
    tokens = app.connect()
    provider.omit_refresh_token()

    assert "refresh_token" not in app.refresh(tokens["refresh_token"]).json()
    assert not provider.is_live(tokens["refresh_token"])


def test_the_token_type_can_be_odd(app: Any, provider: PracticeProvider) -> None:
    provider.token_type_as("mac")

    assert app.connect()["token_type"] == "mac"


def test_any_member_can_be_changed_added_or_left_out(app: Any, provider: PracticeProvider) -> None:
    provider.change_answer(scope=OMIT, access_token=None)
    provider.change_answer(times=1, extra={"a": [1]})

    first = app.connect()
    second = app.connect()

    assert first.keys() == {"access_token", "token_type", "expires_in", "refresh_token", "extra"}
    assert first["access_token"] is None
    assert "extra" not in second


def test_errors_are_not_changed(app: Any, provider: PracticeProvider) -> None:
    provider.change_answer(error="other")

    assert app.refresh("unknown").json()["error"] == "invalid_grant"


def test_answers_can_be_form_encoded(app: Any, provider: PracticeProvider) -> None:
    provider.answer_form_encoded(times=1)

    response = app.exchange(app.code())

    assert response.headers["Content-Type"] == "application/x-www-form-urlencoded"
    tokens = {name: values[0] for name, values in parse_qs(response.text, strict_parsing=True).items()}
    assert tokens["scope"] == "notes.read notes.write"
    assert app.refresh(tokens["refresh_token"]).json()["token_type"] == "Bearer"


def test_iss_can_be_wrong_or_missing_also_with_an_error(app: Any, provider: PracticeProvider) -> None:
    provider.answer_iss("https://evil.example", times=1)
    assert app.answer_of(app.ask())["iss"] == "https://evil.example"

    provider.omit_iss(times=2)
    assert "iss" not in app.answer_of(app.ask())
    assert "iss" not in app.answer_of(app.ask(scope="admin"))

    assert app.answer_of(app.ask())["iss"] == provider.issuer


def test_state_can_be_wrong(app: Any, provider: PracticeProvider) -> None:
    provider.change_answer(endpoint="authorization", state="another")

    assert app.answer_of(app.ask())["state"] == "another"


def test_another_subject_can_answer_at_userinfo(app: Any, provider: PracticeProvider) -> None:
    provider.change_answer(endpoint="userinfo", sub="somebody else")

    assert app.get("/userinfo", app.connect()["access_token"]).json()["sub"] == "somebody else"


def test_the_metadata_can_lie(app: Any, provider: PracticeProvider) -> None:
    provider.change_answer(endpoint="discovery", issuer="https://evil.example")

    metadata = app.http.get(f"{provider.url}/.well-known/oauth-authorization-server").json()

    assert metadata["issuer"] == "https://evil.example"
