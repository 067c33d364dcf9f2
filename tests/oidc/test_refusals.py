"""What a real authorization server refuses, over both facades: each a clear error, and nothing is lost."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from valetkey import (
    AuthorizationDenied,
    ClientRejected,
    IssuerMismatch,
    NotConnected,
    ProviderUnavailable,
    StateMismatch,
)

AGES = 400
CALLBACK = "http://127.0.0.1:8421/callback/basic"


def test_a_person_who_says_no_is_a_denial(program: Any, person: Any) -> None:
    with pytest.raises(AuthorizationDenied) as caught:
        program.connect("basic", person(approves=False))

    assert "the person said no" in str(caught.value)
    assert program.server.count("tokens") == 0
    assert program.client("basic").status().state == "pending"


def test_a_person_who_says_no_to_connecting_again_costs_nothing(program: Any, person: Any) -> None:
    program.connect("basic")

    with pytest.raises(AuthorizationDenied):
        program.connect("basic", person(approves=False))

    assert program.call("basic").status_code == 200


@pytest.mark.conformance("1 core: state", "2 own: two callbacks")
def test_a_callback_counts_once(program: Any, person: Any) -> None:
    start = program.valet.authorize("basic")
    callback = person().sign_in(start.url)
    program.valet.finish(callback, binding=start.binding)

    with pytest.raises(StateMismatch):
        program.valet.finish(callback, binding=start.binding)

    # The code was not sent twice, or the server would have ended the grant (RFC 6749 section 4.1.2).
    assert program.server.count("authorization_code refused") == 0
    assert program.call("basic").status_code == 200


@pytest.mark.parametrize(
    ("change", "code"),
    [
        pytest.param(lambda url: url.replace("state=", "state=x"), "state_mismatch", id="other state"),
        pytest.param(lambda url: url.replace(":8421/", ":8422/"), "callback_mismatch", id="other port"),
        pytest.param(
            lambda url: url.replace("/callback/basic", "/callback/post"), "callback_mismatch", id="other path"
        ),
    ],
)
def test_an_answer_that_came_elsewhere_is_refused(program: Any, person: Any, change: Any, code: str) -> None:
    start = program.valet.authorize("basic")
    callback = person().sign_in(start.url)

    with pytest.raises(StateMismatch) as caught:
        program.valet.finish(change(callback), binding=start.binding)

    assert caught.value.code == code
    assert program.server.count("tokens") == 0


@pytest.mark.conformance("1 core: state")
def test_the_browser_that_began_must_finish(program: Any, person: Any) -> None:
    start, other = program.valet.authorize("basic"), program.valet.authorize("basic")

    with pytest.raises(StateMismatch) as caught:
        program.valet.finish(person().sign_in(start.url), binding=other.binding)

    assert caught.value.code == "binding_mismatch"


@pytest.mark.conformance("1 metadata: iss table", "1 core: mix-up")
@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"issuer": "https://login.example.com"}, id="another issuer is declared"),
        pytest.param({"issuer": None}, id="the server's name is cut out of the answer"),
    ],
)
def test_the_answer_of_another_server_is_refused(program: Any, person: Any, change: dict[str, Any]) -> None:
    declared = {name: value for name, value in change.items() if value}
    program.declare("mixed", client="basic", redirect_uri=CALLBACK, **declared)
    start = program.valet.authorize("mixed")
    callback = person().sign_in(start.url)
    issuer = parse_qs(urlsplit(callback).query)["iss"]
    assert issuer == [program.server.issuer], "RFC 9207: the server says who it is"
    if not declared:
        callback = callback.partition("&iss=")[0]

    with pytest.raises(IssuerMismatch):
        program.valet.finish(callback, binding=start.binding)

    assert program.server.count("tokens") == 0
    assert program.client("mixed").status().state == "pending"


@pytest.mark.parametrize(
    ("name", "redirect_uri"),
    [
        pytest.param("basic", "http://127.0.0.1:8421/callback/else", id="other path"),
        pytest.param("basic", "http://localhost:8421/callback/basic", id="other spelling of the host"),
        pytest.param("post", "http://127.0.0.1:8422/callback/post", id="other port, at a client with exact ones"),
    ],
)
def test_the_server_sends_nobody_to_a_redirect_uri_that_is_not_registered(
    program: Any, person: Any, name: str, redirect_uri: str
) -> None:
    start = program.valet.authorize(name, redirect_uri=redirect_uri)

    with pytest.raises(RuntimeError, match="redirect_uri did not match"):
        person().sign_in(start.url)


# -- the app -----------------------------------------------------------------------------------------------------------


@pytest.mark.conformance("2 own: invalid_client")
@pytest.mark.parametrize("name", ["basic", "post", "odd"])
def test_a_wrong_client_secret_is_the_apps_fault_and_the_connection_is_untouched(program: Any, name: str) -> None:
    before = program.connect(name)
    good = program.secrets.get(f"{name}-app-credentials")
    program.secrets.set(f"{name}-app-credentials", json.dumps({**json.loads(good), "client_secret": "wrong"}))
    program.clock.advance(AGES)

    for _ in range(3):
        with pytest.raises(ClientRejected) as caught:
            program.call(name)

    assert (caught.value.error, caught.value.retryable) == ("invalid_client", False)
    status = program.client(name).status()
    assert (status.state, status.connection_id) == ("app_error", before.connection_id)
    assert program.server.refreshes == (0, 1), "the server was asked once"

    program.secrets.set(f"{name}-app-credentials", good)
    assert program.call(name).status_code == 200
    assert program.client(name).status().state == "connected"
    assert program.server.count("reuse") == 0


def test_a_wrong_client_secret_stops_a_sign_in(program: Any) -> None:
    app = json.dumps({**program.server.app("basic"), "client_secret": "wrong"})
    program.secrets.set("basic-app-credentials", app)

    with pytest.raises(ClientRejected) as caught:
        program.connect("basic")

    assert "valetkey app add basic" in caught.value.hint
    assert program.client("basic").status().state == "pending"


# -- trouble -----------------------------------------------------------------------------------------------------------


@pytest.mark.conformance("2 own: patience")
def test_a_server_that_is_busy_is_waited_for_and_the_grant_heals(program: Any) -> None:
    program.connect("basic")
    program.clock.advance(AGES)
    program.server.switch(busy=2)

    with pytest.raises(ProviderUnavailable) as caught:
        program.call("basic")

    assert caught.value.status == 503
    assert caught.value.retry_after >= 1
    status = program.client("basic").status()
    assert status.state == "refresh_failing"
    assert status.next_try_at >= program.clock.now() + 1

    with pytest.raises(ProviderUnavailable):
        program.call("basic")
    assert program.server.count("busy") == 1, "not before it said"

    program.clock.advance(10)
    with pytest.raises(ProviderUnavailable):
        program.call("basic")
    program.clock.advance(10)
    assert program.call("basic").status_code == 200
    assert program.client("basic").status().state == "connected"
    assert (program.server.count("busy"), program.server.refreshes) == (2, (1, 0))


def test_while_the_server_is_busy_the_old_token_serves(program: Any) -> None:
    program.connect("basic")
    program.clock.advance(300 - 30)
    program.server.switch(busy=100)

    assert program.call("basic").status_code == 200
    assert program.client("basic").status().state == "refresh_failing"


def test_a_server_that_is_busy_with_a_sign_in_says_so(program: Any) -> None:
    program.server.switch(busy=1)

    with pytest.raises(ProviderUnavailable):
        program.connect("basic")
    with pytest.raises(NotConnected):
        program.call("basic")

    assert program.connect("basic").state == "connected"
