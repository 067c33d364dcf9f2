"""Connecting a person who is asked on another device (OpenID CIBA), from the command line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from valetkey.http import HttpEndpoint
from valetkey.values import Request, Response

CODE = "canary-4711"


class Bank:
    """The command with a credential that asks people on their phones, and what was sent to ask."""

    def __init__(self, kit: Any) -> None:
        self._kit = kit
        self.asked: list[dict[str, list[str]]] = []
        self.on_asked: Callable[[], object] = lambda: kit.provider.answer_phone("ada")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._kit, name)

    def connect(self, *words: str, text: str = "") -> Any:
        return self._kit.run("connect", "bank", *words, text=text)


@pytest.fixture
def bank(still: Any, monkeypatch: pytest.MonkeyPatch) -> Bank:
    """Have Ada answer her phone as soon as she is asked."""
    made = Bank(still)
    url = f"{still.provider.issuer}/bc-authorize"
    still.declare("bank", scopes=["openid"], backchannel_authentication_url=url, authorization_url="")
    real = HttpEndpoint.send

    def send(self: HttpEndpoint, request: Request, *, deadline: float) -> Response:
        response = real(self, request, deadline=deadline)
        if urlsplit(request.url).path == "/bc-authorize":
            made.asked.append(parse_qs((request.body or b"").decode()))
            if response.status == 200:
                made.on_asked()
        return response

    monkeypatch.setattr(HttpEndpoint, "send", send)
    return made


@pytest.mark.conformance("1 CIBA: registration and hints")
@pytest.mark.parametrize("more", [(), ("--ciba",)])
def test_who_is_named_is_asked_and_the_message_shows_meanwhile(more: tuple[str, ...], bank: Bank) -> None:
    ran = bank.connect("--login-hint", "ada", "--binding-message", "X-42", *more)

    assert (ran.code, ran.out) == (0, "Connected as ada@example.com. Granted: openid. Renews itself.\n"), ran
    assert ran.err == (
        'Waiting 10 min for a yes by ada on another device (Ctrl-C to stop) ... There it has to say "X-42" too.\n'
    )
    (asked,) = bank.asked
    assert (asked["login_hint"], asked["binding_message"]) == (["ada"], ["X-42"])
    assert "user_code" not in asked


def test_the_persons_own_code_comes_by_stdin_and_shows_nowhere(bank: Bank) -> None:
    bank.provider.require_user_code("ada", CODE)

    ran = bank.connect("--login-hint", "ada", "--user-code", "--json", text=CODE + "\n")

    assert ran.json["connection"]["state"] == "connected"
    assert [form["user_code"] for form in bank.asked] == [[CODE]]
    assert CODE not in ran.out + ran.err + bank.ok("events", "--json") + bank.ok("export")


def test_a_person_at_the_terminal_is_asked_for_all_that_is_missing(kit: Any, terminal: Any) -> None:
    url = f"{kit.provider.issuer}/bc-authorize"
    kit.declare("bank", scopes=["openid"], backchannel_authentication_url=url, authorization_url="")
    kit.provider.require_user_code("ada", CODE)
    screen = terminal("connect", "bank")
    screen.wait_for("Who is asked, as Notes knows them: ")
    screen.type("ada\n")
    screen.wait_for("Notes wants the person's own code with the question.\n")
    screen.wait_for("The person's own code (hidden): ")
    screen.type(CODE + "\n")
    screen.wait_for("Waiting 10 min for a yes by ada")
    kit.provider.answer_phone("ada")

    assert screen.end() == 0, screen.seen
    assert "Connected as ada@example.com." in screen.seen
    assert CODE not in screen.raw


@pytest.mark.parametrize(
    ("words", "status", "code"),
    [
        pytest.param((), 2, "terminal_missing", id="nobody to ask who"),
        pytest.param(("--ciba",), 2, "terminal_missing", id="nobody to ask who, though it is said how"),
        pytest.param(("--login-hint", ""), 2, "usage", id="an empty hint"),
        pytest.param(("--login-hint", "ada", "--user-code"), 2, "entry_empty", id="no code on stdin"),
        pytest.param(("--login-hint", "ada", "--device"), 2, "usage", id="two ways"),
        pytest.param(
            ("--login-hint", "ada", "--binding-message", "a\nb"), 2, "binding_message_invalid", id="two lines"
        ),
    ],
)
def test_what_is_missing_or_does_not_fit_is_said_and_nobody_is_asked(
    words: tuple[str, ...], status: int, code: str, bank: Bank
) -> None:
    ran = bank.connect(*words, "--json")

    assert (ran.code, ran.json["error"]["code"]) == (status, code)
    assert bank.asked == []


def test_a_code_that_is_missing_or_wrong_is_told_where_nobody_can_be_asked(bank: Bank) -> None:
    bank.provider.require_user_code("ada", CODE)

    missing = bank.connect("--login-hint", "ada")
    wrong = bank.connect("--login-hint", "ada", "--user-code", text="0000")

    assert (missing.code, wrong.code) == (3, 3)
    assert "[missing_user_code]" in missing.err
    assert "--user-code" in missing.err
    assert "[invalid_user_code]" in wrong.err
    assert "0000" not in wrong.err
    assert len(bank.asked) == 2


def test_a_no_is_told_and_nothing_is_stored(bank: Bank) -> None:
    bank.on_asked = lambda: bank.provider.answer_phone("ada", approve=False)

    ran = bank.connect("--login-hint", "ada")

    assert ran.code == 3
    assert "[authorization_denied]" in ran.err
    assert bank.run("status", "--json").json["connections"][0]["state"] == "pending"


def test_where_nobody_signs_in_nobody_is_asked(bank: Bank) -> None:
    bank.declare("robot", grant="client_credentials", authorization_url="")

    ran = bank.run("connect", "robot", "--login-hint", "ada")

    assert (ran.code, "nobody signs in for robot" in ran.err) == (2, True)
