"""Exchanging tokens from the command line (RFC 8693): for a person, and for a script."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import click
import pytest

from valetkey.cli.exchanging import exchange
from valetkey.http import HttpEndpoint
from valetkey.values import Request, Response

conformance = pytest.mark.conformance
HOUR = 3600
KIND = "urn:ietf:params:oauth:token-type:"
CANARY = "canary-eyJhbGciOi"


class Shop:
    """The command, and what it sent to exchange tokens."""

    def __init__(self, kit: Any, sent: list[dict[str, list[str]]]) -> None:
        self._kit, self.sent = kit, sent

    def __getattr__(self, name: str) -> Any:
        return getattr(self._kit, name)


@pytest.fixture
def shop(still: Any, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """Ada's connection to ``notes``, and ``billing``, for which its token can be exchanged."""
    sent: list[dict[str, list[str]]] = []
    real = HttpEndpoint.send

    def send(self: HttpEndpoint, request: Request, *, deadline: float) -> Response:
        form = parse_qs((request.body or b"").decode())
        if form.get("grant_type", [""])[0].endswith(":token-exchange"):
            sent.append(form)
        return real(self, request, deadline=deadline)

    monkeypatch.setattr(HttpEndpoint, "send", send)
    still.provider.allow_target("billing")
    still.declare("billing", grant="token_exchange", scopes=[])
    still.connect("notes", owner="ada")
    return Shop(still, sent)


def mine(kit: Any) -> str:
    token: str = kit.ok("token", "notes", "--owner", "ada")
    return token


def test_a_connections_token_is_exchanged_and_the_next_step_is_told(shop: Any) -> None:
    ran = shop.run("exchange", "billing", "--from", "notes", "--owner", "ada", "--audience", "billing")

    assert ran.code == 0, ran
    assert ran.out == "Exchanged. Granted: notes.read, notes.write. Ends in 60 min, and is exchanged again then.\n"
    line = ran.err.strip().removeprefix("-> ").split()
    assert line[:5] == ["valetkey", "request", "billing", "--owner", "ada"]
    assert line[5] == "--account"
    assert line[-1] == "URL"
    url = f"{shop.provider.issuer}/me"
    assert json.loads(shop.ok(*line[1:-1], url))["login"] == "ada"
    (form,) = shop.sent
    assert (form["subject_token"], form["audience"]) == ([mine(shop)], ["billing"])
    assert form["subject_token_type"] == [KIND + "access_token"]
    assert "actor_token" not in form


def test_the_same_call_asks_nobody_and_a_script_gets_the_token_alone(shop: Any) -> None:
    words = ("exchange", "billing", "--from", "notes", "--owner", "ada", "--audience", "billing")

    token = shop.ok(*words, "--token")

    assert shop.ok(*words, "--token") == token
    assert "\n" not in token
    assert token != mine(shop)
    assert shop.ok(*words, "--header") == f"Authorization: Bearer {token}\n"
    found = json.loads(shop.ok(*words, "--token", "--json"))
    assert (found["format_version"], found["access_token"], found["token_type"]) == (1, token, "Bearer")
    assert shop.ok("token", "billing", "--owner", found["owner"], "--account", found["account"]) == token
    assert len(shop.sent) == 1
    shop.clock.advance(HOUR + 1)
    assert shop.ok(*words, "--token") != token
    assert len(shop.sent) == 2


def test_the_connection_comes_as_json_without_a_token(shop: Any) -> None:
    ran = shop.run("exchange", "billing", "--from", "notes", "--owner", "ada", "--audience", "billing", "--json")

    connection = ran.json["connection"]
    assert (connection["state"], connection["credential"], connection["owner"]) == ("connected", "billing", "ada")
    kept = json.loads(connection["params"]["exchange"])
    assert kept["audience"] == ["billing"]
    assert mine(shop) not in ran.out


@conformance("1 exchange: request and answer")
def test_a_given_token_comes_by_stdin_or_from_a_file(shop: Any, tmp_path: Path) -> None:
    token, file = mine(shop), tmp_path / "token"
    file.write_text(token + "\n")
    words = ("exchange", "billing", "--audience", "billing", "--token")

    piped = shop.ok(*words, text=token + "\n")

    assert shop.ok(*words, "--subject-file", str(file)) == piped
    assert shop.ok(*words, "--subject-file", "-", text=token) == piped
    (form,) = shop.sent
    assert form["subject_token"] == [token]
    ran = shop.run(*words[:-1], "--json", text=token)
    assert ran.json["connection"]["refreshable"] is False


def test_types_targets_scopes_and_who_acts_are_sent(shop: Any, tmp_path: Path) -> None:
    api, actor = "https://billing.example.com/api", tmp_path / "actor"
    shop.provider.allow_target(api)
    shop.connect("notes", owner="ada", account="work", login="robot")
    words = ("exchange", "billing", "--owner", "ada", "--audience", "billing", "--resource", api)

    more = ("--scope", "notes.read", "--requested-type", "access_token")
    shop.ok(*words, *more, "--from", "notes", "--actor", "notes", "--actor-account", "work", "--account", "b")
    actor.write_text(mine(shop))
    given = ("--actor-file", str(actor), "--actor-type", "urn:ietf:params:oauth:token-type:jwt")
    shop.run(*words, *given, "--subject-type", "jwt", text="eyJhbGciOiJub25lIn0.e30.")

    first, second = shop.sent
    robot = shop.ok("token", "notes", "--owner", "ada", "--account", "work")
    assert (first["actor_token"], first["actor_token_type"]) == ([robot], [KIND + "access_token"])
    assert (first["resource"], first["scope"]) == ([api], ["notes.read"])
    assert first["requested_token_type"] == [KIND + "access_token"]
    assert (second["subject_token_type"], second["actor_token_type"]) == ([KIND + "jwt"], [KIND + "jwt"])
    assert second["actor_token"] == [mine(shop)]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        pytest.param(("--from", "notes", "--subject-file", "x"), "--from and --subject-file", id="two subjects"),
        pytest.param(("--actor", "notes", "--actor-file", "x"), "--actor and --actor-file", id="two who act"),
        pytest.param(("--from-account", "work"), "--from-account belongs to --from", id="an account of nothing"),
        pytest.param(("--actor-account", "work"), "--actor-account belongs to --actor", id="an account of nobody"),
        pytest.param(("--actor-file", "-"), "stdin is for one", id="stdin twice"),
        pytest.param(("--actor-file", "-", "--subject-file", "-"), "stdin is for one", id="stdin named twice"),
        pytest.param(("--from", "notes", "--token", "--header"), "choose one", id="two ways to print it"),
        pytest.param((CANARY,), "never an argument", id="a token as an argument"),
        pytest.param((f"--subject-token={CANARY}",), "--subject-token", id="a token as an option"),
    ],
)
def test_what_contradicts_itself_is_refused_and_nothing_is_sent(words: tuple[str, ...], said: str, shop: Any) -> None:
    ran = shop.run("exchange", "billing", *words, text="token")

    assert ran.code == 2
    assert said in ran.err
    assert CANARY not in ran.err + ran.out
    assert shop.sent == []


@pytest.mark.parametrize(
    ("words", "text", "status", "code"),
    [
        pytest.param(("billing",), "", 2, "entry_empty", id="nothing on stdin"),
        pytest.param(("billing",), f"Bearer {CANARY}", 2, "token_malformed", id="a header instead of a token"),
        pytest.param(("billing",), f'{{"access_token":\n"{CANARY}"}}', 2, "token_malformed", id="an answer"),
        pytest.param(("billing", "--subject-file", "nowhere"), "", 2, "file_unusable", id="no file"),
        pytest.param(("billing", "--subject-type", "ticket"), CANARY, 2, "token_type_unknown", id="no type"),
        pytest.param(("billing", "--resource", "/api"), CANARY, 2, "resource_invalid", id="no absolute URI"),
        pytest.param(("notes",), CANARY, 2, "grant_mismatch", id="a credential that exchanges nothing"),
        pytest.param(("biling",), CANARY, 2, "credential_unknown", id="a typing mistake"),
        pytest.param(("billing", "--from", "note"), "", 2, "credential_unknown", id="a mistake in who it is from"),
        pytest.param(("billing", "--from", "notes", "--owner", "bob"), "", 3, "not_connected", id="nobody connected"),
        pytest.param(("billing", "--audience", "moon"), None, 2, "invalid_target", id="a target that is none"),
        pytest.param(("billing", "--audience", "billing"), CANARY, 3, "exchange_refused", id="a token of nobody's"),
    ],
)
def test_what_goes_wrong_has_a_code_and_an_exit_code(
    words: tuple[str, ...], text: str | None, status: int, code: str, shop: Any
) -> None:
    ran = shop.run("exchange", *words, "--json", text=mine(shop) if text is None else text)

    assert (ran.code, ran.json["error"]["code"]) == (status, code), ran
    assert ran.json["error"]["hint"]
    assert CANARY not in ran.out + ran.err


def test_a_provider_that_is_down_is_tried_later(shop: Any) -> None:
    token = mine(shop)
    shop.provider.fail_next(status=503, times=9)

    assert shop.run("exchange", "billing", "--audience", "billing", text=token).code == 4


def test_what_is_got_by_exchange_says_so_where_somebody_would_connect_it(shop: Any) -> None:
    assert "valetkey exchange billing --from NAME" in shop.run("token", "billing").err
    assert "valetkey exchange billing --from NAME" in shop.run("connect", "billing").err
    added = shop.run("app", "add", "billing", "--client-id", "practice", "--public")
    assert "valetkey exchange billing --from NAME" in added.err


def test_a_person_is_asked_without_its_showing(kit: Any, terminal: Any) -> None:
    kit.provider.allow_target("billing")
    kit.declare("billing", grant="token_exchange", scopes=[])
    kit.connect("notes")
    token = kit.ok("token", "notes")
    screen = terminal("exchange", "billing", "--audience", "billing")
    screen.wait_for("The token to exchange: ")
    screen.type(token + "\n")

    assert screen.end() == 0, screen.seen
    assert "Exchanged." in screen.seen
    assert token not in screen.raw


@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize("option", ["subject", "actor", "subject_type", "actor_type", "requested_type", "name"])
def test_names_and_types_are_completed(option: str) -> None:
    (parameter,) = (one for one in exchange.params if one.name == option)
    begun, full = ("id", "id_token") if option.endswith("type") else ("bil", "billing")

    offered = [item.value for item in parameter.shell_complete(click.Context(exchange), begun)]

    assert offered == [full]
