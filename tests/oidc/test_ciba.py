"""People who are asked on another device (OpenID CIBA Core, poll mode), at a real authorization server."""

from __future__ import annotations

from typing import Any

import pytest

from valetkey import AuthorizationDenied, BackchannelRequest, ConnectError, Secret

ASKED = "urn:openid:params:grant-type:ciba"
AGES = 400


def answers(program: Any, login: str, *, after: int = 1, approve: bool = True) -> list[str | None]:
    """Have somebody answer while the program sleeps for that many times; return what the phone showed."""
    shown: list[str | None] = []

    def sleeping() -> None:
        if len(program.clock.slept) == after:
            shown.append(program.server.answer_phone(login, approve=approve))

    program.clock.on_sleep = sleeping
    return shown


def ask(program: Any, **wants: Any) -> Any:
    return program.valet.connect("ciba", how="ciba", request=BackchannelRequest(**wants))


@pytest.mark.conformance("1 CIBA: interval", "1 CIBA: answers to polls")
def test_a_yes_connects_and_the_connection_lives_on(program: Any) -> None:
    shown = answers(program, "ada", after=2)

    status = ask(program, login_hint="ada", binding_message="X-42")

    assert (status.state, status.identity.subject, status.refreshable) == ("connected", "ada", True)
    assert shown == ["X-42"]
    assert program.clock.slept == [5.0, 5.0], "no interval was named"
    assert (program.server.count(f"{ASKED} refused"), program.server.count(f"{ASKED} granted")) == (1, 1)
    program.clock.advance(AGES)
    assert program.call("ciba").json()["sub"] == "ada"
    assert program.server.refreshes == (1, 0)


@pytest.mark.conformance("1 CIBA: user code")
def test_a_person_with_a_code_of_their_own_is_asked_with_it_only(program: Any) -> None:
    for code, error in ((None, "missing_user_code"), (Secret("1174"), "invalid_user_code")):
        with pytest.raises(ConnectError) as caught:
            ask(program, login_hint="bob", user_code=code)
        assert caught.value.code == error
        assert "1174" not in str(caught.value) + caught.value.hint
    answers(program, "bob")

    assert ask(program, login_hint="bob", user_code=Secret("4711")).identity.subject == "bob"


def test_a_no_and_an_unknown_person_connect_nobody(program: Any) -> None:
    answers(program, "ada", approve=False)
    with pytest.raises(AuthorizationDenied):
        ask(program, login_hint="ada")
    for wants, error in (
        ({"login_hint": "eve"}, "unknown_user_id"),
        ({"login_hint": "ada", "binding_message": "so & so"}, "binding_message_invalid"),
    ):
        with pytest.raises(ConnectError) as caught:
            ask(program, **wants)
        assert caught.value.code == error
        assert caught.value.hint

    assert program.client("ciba").status().state == "pending"
