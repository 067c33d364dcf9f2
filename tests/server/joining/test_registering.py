"""The console registers an app at a server that takes dynamic registration (RFC 7591)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from valetkey.engine.registrations import registered
from valetkey.testing import WickedServer

HERE = "/console/apps/elsewhere/register"


@pytest.fixture
def server(practice: Any) -> Iterator[WickedServer]:
    with WickedServer(clock=practice.clock) as server:
        yield server


@pytest.fixture
def dynamic(site: Any, server: WickedServer) -> Any:
    """Declare a credential of that server whose app registers itself; returns the site."""
    fields = {**server.credential_fields(discover=True), "scopes": ["notes.read"], "registration": "dynamic"}
    site.practice.wiring.oauth2_credential("elsewhere", **fields, client_metadata={"client_name": "Acme Notes"})
    return site


def kept(site: Any) -> Any:
    core = site.practice.valet._core
    return registered(core.store, core.sealer, core.env, core.credential("elsewhere"))


def asked(server: WickedServer) -> int:
    return sum(seen.endpoint == "registration" for seen in server.requests)


def test_what_will_be_said_is_shown_first_and_then_done(dynamic: Any, server: WickedServer) -> None:
    operator = dynamic.operator()
    assert HERE in operator.get("/console/apps/elsewhere").text
    assert HERE in operator.get("/console/new/elsewhere/app").text

    page = operator.get(HERE)
    assert page.status_code == 200
    for text in (f"{server.issuer}/register", "Acme Notes", "/callback/elsewhere", "notes.read"):
        assert text in page.text
    assert asked(server) == 0  # looking changes nothing

    answer = operator.post(HERE)
    assert (answer.status_code, answer.headers["location"].partition("?")[0]) == (303, "/console/apps/elsewhere")
    known = kept(dynamic).registration
    assert any(uri.endswith("/callback/elsewhere") for uri in known.redirect_uris)
    told = operator.get(answer.headers["location"])
    assert "The app has registered itself." in told.text
    assert known.client_id in told.text
    for secret in (known.client_secret, known.token):
        assert secret is None or secret.reveal() not in told.text
    core = dynamic.practice.valet._core
    event = core.store.list_events(env=core.env, limit=1, newest_first=True)[0]
    assert (event.kind, event.credential) == ("app_registered", "elsewhere")
    assert event.actor not in {"", "library"}
    assert "App registered itself" in operator.get("/console/events").text


def test_another_registration_needs_a_fresh_sign_in_and_says_what_it_does(dynamic: Any, server: WickedServer) -> None:
    operator = dynamic.operator()
    operator.get(HERE)
    operator.post(HERE)
    before = kept(dynamic).registration.client_id
    page = operator.get(HERE)
    assert "It has registered itself before" in page.text
    assert before in page.text

    dynamic.practice.clock.advance(600)
    operator.get(HERE)
    answer = operator.post(HERE)
    assert answer.headers["location"] == f"/login/again?next={HERE}"
    assert asked(server) == 1
    assert kept(dynamic).registration.client_id == before


@pytest.mark.parametrize(
    ("switch", "status", "code"),
    [
        pytest.param("registration-refused", 502, "registration_refused", id="refused"),
        pytest.param("registration-no-secret", 502, "registration_refused", id="an answer of no use"),
        pytest.param("registration-huge", 502, "provider_unavailable", id="no answer to read"),
    ],
)
def test_what_the_server_does_wrong_is_said_and_nothing_is_stored(
    dynamic: Any, server: WickedServer, switch: str, status: int, code: str
) -> None:
    operator = dynamic.operator()
    operator.get(HERE)
    server.misbehave(switch)

    page = operator.post(HERE)

    assert page.status_code == status
    assert "The app was not registered" in page.text
    assert f"<code>{code}</code>" in page.text
    assert "Nothing was stored." in page.text
    assert kept(dynamic) is None
    server.behave()
    assert operator.post(HERE).status_code == 303


def test_a_server_that_registers_no_apps_is_told_with_the_way_by_hand(site: Any) -> None:
    operator = site.operator()
    operator.get("/console/apps/notes/register")

    page = operator.post("/console/apps/notes/register")

    assert page.status_code == 400
    assert "<code>registration_unfit</code>" in page.text
    assert "/console/new/notes/app" in page.text
    assert "An app was added by hand" in page.text


def test_a_server_that_is_in_no_list_is_declared_and_registered_without_a_client_id(
    site: Any, server: WickedServer
) -> None:
    operator = site.operator()
    operator.get("/console/new/own")
    typed = {"name": "elsewhere", "issuer": server.issuer, "registers": "1"}

    answer = operator.post("/console/new/own", **typed)
    assert answer.headers["location"] == HERE
    operator.get(HERE)
    assert operator.post(HERE).status_code == 303
    assert kept(site).registration.client_id
    assert site.practice.valet._core.credential("elsewhere").source == "console"


def test_only_who_may_do_everything_registers_apps(dynamic: Any, server: WickedServer) -> None:
    operator = dynamic.operator("connections")
    assert operator.get(HERE).status_code == 403
    operator.get("/console/connections")
    assert operator.post(HERE).status_code == 403
    assert asked(server) == 0
    assert dynamic.operator().get("/console/apps/nobody/register").status_code == 404
