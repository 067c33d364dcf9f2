"""Bad input before and while signing in: each is a clear error with a code and a next step that works."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from valetkey import (
    AuthenticationRequest,
    AuthorizationDenied,
    BackchannelRequest,
    ClientRejected,
    ConfigurationError,
    ConnectError,
    NotConnected,
    StateMismatch,
    ValetkeyError,
)
from valetkey.testing.provider import DEFAULT_CLIENT_ID, DEFAULT_CLIENT_SECRET

HOUR = 3600
ADD = ("--client-id", DEFAULT_CLIENT_ID, "--secret-stdin")


def app(face: Any) -> tuple[Any, str]:
    """Return the secret service and the id under which the app is kept there."""
    return face.practice.secrets, face.practice.wiring.credential("notes").secret_id


# -- which credential


@pytest.mark.parametrize(
    "use",
    [
        pytest.param(lambda face: face.client("ntoes").get("/me"), id="call"),
        pytest.param(lambda face: face.client("ntoes").get_access_token(), id="token"),
        pytest.param(lambda face: face.client("ntoes").status(), id="status"),
        pytest.param(lambda face: face.client("ntoes").refresh(), id="refresh"),
        pytest.param(lambda face: face.valet.authorize("ntoes"), id="authorize"),
        pytest.param(lambda face: face.valet.connect("ntoes"), id="connect"),
        pytest.param(lambda face: face.valet.disconnect("ntoes"), id="disconnect"),
        pytest.param(lambda face: face.valet.rename("ntoes", to="work"), id="rename"),
        pytest.param(lambda face: face.valet.connections(credential="ntoes"), id="filter of connections"),
        pytest.param(lambda face: list(face.valet.export(credential="ntoes")), id="filter of an export"),
    ],
)
def test_an_unknown_credential_is_named_with_the_nearest_one(face: Any, refused: Any, use: Any) -> None:
    error = refused(lambda: use(face), ConfigurationError, "credential_unknown", '"ntoes"', 'did you mean "notes"')

    assert error.hint.startswith('use "notes"')
    assert len(face.valet.connections()) == 0


def test_declaring_it_as_the_hint_says_makes_it_known(face: Any, refused: Any) -> None:
    error = refused(lambda: face.client("crm").get("/me"), ConfigurationError, "credential_unknown", "crm", "notes")

    line = re.search(r"wire_oauth2_credential\((.*?), preset=\.\.\.\)", error.hint)
    assert line is not None
    face.practice.wiring.oauth2_credential(json.loads(line[1]), preset="github")
    with pytest.raises(NotConnected):
        face.client("crm").get("/me")


@pytest.mark.parametrize("name", ["", " ", "a b", "notes\n", None, 7])
def test_what_can_be_no_name_is_told_without_advice_that_cannot_work(face: Any, refused: Any, name: Any) -> None:
    error = refused(lambda: face.client(name).get("/me"), ConfigurationError, "credential_unknown")

    assert "wire_oauth2_credential" not in error.hint


# -- the app


def test_without_app_credentials_nobody_is_sent_anywhere(face: Any, refused: Any, follow: Any) -> None:
    service, secret_id = app(face)
    service.delete(secret_id)
    for begin in (face.valet.authorize, face.valet.connect, lambda name: face.valet.connect(name, how="device")):
        error = refused(lambda begin=begin: begin("notes"), ConfigurationError, "app_missing", "notes", secret_id)
    assert error.hint == "valetkey app add notes --env test"
    assert face.practice.provider.requests == ()

    follow(error.hint, *ADD, text=DEFAULT_CLIENT_SECRET)

    assert face.practice.connect("notes").state == "connected"


def test_without_app_credentials_a_valid_token_serves_and_the_grant_is_kept(
    face: Any, refused: Any, stored: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    face.practice.connect("notes")
    service, secret_id = app(face)
    service.delete(secret_id)

    assert face.client().get("/me").status_code == 200
    face.practice.clock.advance(HOUR + 1)
    before = stored()
    refused(lambda: face.client().get("/me"), ConfigurationError, "app_missing", "VALETKEY_NOTES_CLIENT_ID")

    assert stored() == before
    assert (face.client().status().state, face.client().status().reason) == ("app_error", "app_missing")
    monkeypatch.setenv("VALETKEY_NOTES_CLIENT_ID", DEFAULT_CLIENT_ID)
    monkeypatch.setenv("VALETKEY_NOTES_CLIENT_SECRET", DEFAULT_CLIENT_SECRET)
    assert face.client().get("/me").status_code == 200


@pytest.mark.parametrize(
    ("kept", "named"),
    [
        pytest.param("hush-canary, no JSON", "not a JSON object", id="no JSON"),
        pytest.param('["hush-canary"]', "not a JSON object", id="another kind of JSON"),
        pytest.param('{"client_secret": "hush-canary"}', "client_id is missing", id="half of it"),
    ],
)
def test_app_credentials_that_cannot_be_read_are_told_without_showing_them(
    face: Any, refused: Any, kept: str, named: str
) -> None:
    service, secret_id = app(face)
    service.set(secret_id, kept)

    error = refused(lambda: face.valet.authorize("notes"), ConfigurationError, "secret_invalid", secret_id, named)

    assert "hush-canary" not in f"{error} {error.hint} {error.__cause__!r} {error.__context__!r}"
    assert error.hint.endswith(f"valetkey secret set {secret_id}")


def test_a_wrong_client_secret_touches_no_connection_and_is_over_when_it_is_right(
    face: Any, refused: Any, follow: Any, sql: Any
) -> None:
    face.practice.connect("notes")
    service, secret_id = app(face)
    service.set(secret_id, json.dumps({"client_id": DEFAULT_CLIENT_ID, "client_secret": "wrong-canary"}))
    face.practice.clock.advance(HOUR + 1)
    before = sql("SELECT sealed, state, version, failures, claim_holder FROM connection")
    asked = face.practice.provider.token_requests

    for _ in range(3):
        error = refused(lambda: face.client().get("/me"), ClientRejected, "client_rejected", "notes", "invalid_client")
        assert "wrong-canary" not in f"{error} {error.hint} {error.__cause__!r}"

    assert face.practice.provider.token_requests == asked + 1, "a rejected secret is not sent again and again"
    assert sql("SELECT sealed, state, version, failures, claim_holder FROM connection") == before
    assert face.client().status().state == "app_error"
    service.delete(secret_id)
    follow(error.hint, *ADD, text=DEFAULT_CLIENT_SECRET)
    assert face.client().get("/me").status_code == 200, "at once: it is another secret"
    assert face.client().status().state == "connected"


def test_a_wrong_client_secret_while_connecting_leaves_no_grant(face: Any, refused: Any) -> None:
    service, secret_id = app(face)
    service.set(secret_id, json.dumps({"client_id": DEFAULT_CLIENT_ID, "client_secret": "wrong-canary"}))

    error = refused(lambda: face.practice.connect("notes"), ClientRejected, "client_rejected", "notes")

    assert error.hint.endswith("valetkey app add notes --env test")
    states = [(status.state, status.granted) for status in face.valet.connections()]
    assert states in ([], [("pending", ())]), "a row that waits for a grant may stay: others may rely on it"


# -- the person


def say_no(face: Any, error: str = "access_denied", description: str = "") -> Callable[[], Any]:
    """Let the person, or the provider, refuse the consent of an owner's second account."""

    def work() -> Any:
        start = face.valet.authorize("notes", owner="ada", account="work")
        face.practice.provider.deny_next(error, description)
        return face.valet.finish(face.practice.provider.approve(start.url), binding=start.binding, owner="ada")

    return work


@pytest.mark.parametrize(
    ("description", "why", "hint"),
    [
        pytest.param("the person said no", "by_person", "try again and allow the access", id="denied"),
        pytest.param("your request is pending approval", "approval_pending", "wait until", id="approval pending"),
        pytest.param("AADSTS90094: admin consent is required", "by_admin", "ask an administrator", id="administrator"),
    ],
)
def test_a_refused_consent_says_who_refused_and_how_to_go_on(
    face: Any, refused: Any, left: Any, description: str, why: str, hint: str
) -> None:
    error = refused(say_no(face, description=description), AuthorizationDenied, "authorization_denied", description)

    assert error.why == why
    assert error.hint.startswith(hint)
    assert error.hint.endswith("valetkey connect notes --owner ada --account work --env test"), "this very account"
    assert left() == []


def test_a_refused_consent_leaves_the_connection_that_there_is(face: Any, refused: Any, stored: Any) -> None:
    face.practice.connect("notes", owner="ada", account="work")
    before = stored()

    refused(say_no(face), AuthorizationDenied, "authorization_denied")

    assert stored() == before
    assert face.client(owner="ada", account="work").get("/me").status_code == 200


# -- the answer


@pytest.fixture
def answer(face: Any) -> tuple[Any, str]:
    """Begin a sign-in; return its start and the address that the browser was sent back to."""
    start = face.valet.authorize("notes")
    return start, face.practice.provider.approve(start.url)


@pytest.mark.parametrize(
    "binding", [pytest.param(None, id="no cookie"), pytest.param("", id="empty cookie"), "another-browser"]
)
def test_a_callback_without_its_binding_is_refused_and_not_used_up(
    face: Any, refused: Any, answer: tuple[Any, str], binding: str | None
) -> None:
    start, callback = answer

    error = refused(lambda: face.valet.finish(callback, binding=binding), StateMismatch, "binding_mismatch")

    assert "same browser" in error.hint
    assert ("cookie" in str(error)) == (not binding)
    assert start.binding.reveal() not in f"{error} {error.hint}"
    assert face.practice.provider.token_requests == 0
    assert face.valet.finish(callback, binding=start.binding).state == "connected", "it still waits for its browser"


def test_a_replayed_callback_is_refused_and_costs_the_connection_nothing(
    face: Any, refused: Any, answer: tuple[Any, str]
) -> None:
    start, callback = answer
    face.valet.finish(callback, binding=start.binding)

    refused(lambda: face.valet.finish(callback, binding=start.binding), StateMismatch, "state_mismatch", "used already")

    assert face.practice.provider.token_requests == 1, "the code is not sent twice: that would end the grant"
    assert face.client().get("/me").status_code == 200


def test_a_callback_that_comes_too_late_is_refused(face: Any, refused: Any, answer: tuple[Any, str]) -> None:
    start, callback = answer
    face.practice.clock.advance(601)

    error = refused(lambda: face.valet.finish(callback, binding=start.binding), StateMismatch, "state_mismatch")

    assert "start again" in error.hint
    assert face.practice.provider.token_requests == 0
    assert face.practice.connect("notes").state == "connected"


@pytest.mark.parametrize("callback", ["", "hello", "https://[::1", "?", "http://127.0.0.1:8421/callback/notes"])
def test_what_is_no_callback_is_refused(face: Any, refused: Any, answer: tuple[Any, str], callback: str) -> None:
    start, _ = answer

    refused(lambda: face.valet.finish(callback, binding=start.binding), StateMismatch, "state_mismatch")


# -- this machine


@pytest.fixture
def taken() -> Iterator[int]:
    """Return a port of 127.0.0.1 at which another program listens."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        yield other.getsockname()[1]


def test_a_port_in_use_is_named_and_another_one_works(
    face: Any, refused: Any, left: Any, taken: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = refused(lambda: face.valet.connect("notes", port=taken), ConnectError, "port_in_use", str(taken))

    assert "another port" in error.hint
    assert left() == []
    assert face.practice.provider.requests == ()
    monkeypatch.delenv("BROWSER")
    with socket.create_server(("127.0.0.1", 0)) as other:
        free = other.getsockname()[1]
    with pytest.raises(ValetkeyError, match="browser"):  # so far it goes: it listens, and looks for a browser
        face.valet.connect("notes", port=free)


@pytest.mark.conformance("1 step-up: challenge", "5 bad input: contradictions")
def test_a_person_at_hand_is_asked_as_the_program_says_and_an_unfit_way_is_told(
    face: Any, refused: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr("valetkey.interaction.TerminalInteraction.show_url", lambda _, url: asked.append(url))
    monkeypatch.setattr("builtins.input", lambda: face.practice.provider.approve(asked[0]))
    wants = AuthenticationRequest(prompt="login", max_age=0, login_hint="ada")
    assert face.valet.connect("notes", how="paste", request=wants).state == "connected"
    sent = parse_qs(urlsplit(asked[0]).query)
    assert (sent["prompt"], sent["max_age"], sent["login_hint"]) == (["login"], ["0"], ["ada"])

    elsewhere = BackchannelRequest(login_hint="ada")
    for how, request, takes in (
        ("browser", elsewhere, "AuthenticationRequest"),
        ("paste", elsewhere, "AuthenticationRequest"),
        ("ciba", wants, "BackchannelRequest"),
        ("device", wants, "nothing"),
        ("browser", {"max_age": 0}, "AuthenticationRequest"),
    ):
        connect = partial(face.valet.connect, "notes", how=how, request=request)
        error = refused(connect, ConfigurationError, "request_unsuitable", type(request).__name__)
        assert takes in str(error)
    assert len(asked) == 1


def test_no_browser_is_told_with_the_other_ways_which_work(
    face: Any, refused: Any, left: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("BROWSER")
    error = refused(lambda: face.valet.connect("notes"), ConnectError, "browser_missing", "no browser")

    assert 'how="paste"' in error.hint
    assert left() == []
    asked: list[str] = []
    monkeypatch.setattr("valetkey.interaction.TerminalInteraction.show_url", lambda _, url: asked.append(url))
    monkeypatch.setattr("builtins.input", lambda: face.practice.provider.approve(asked[0]))
    assert face.valet.connect("notes", how="paste").state == "connected"
