"""Connecting without a browser at hand, and apps that sign in for themselves, at a real authorization server."""

from __future__ import annotations

import builtins
import re
import sys
from typing import Any

import pytest

from valetkey import AuthorizationDenied, ConfigurationError, ConsentExpired, NotConnected

AGES = 400
ADDRESS = re.compile(r"^(http://\S+/auth\?\S+)$", re.MULTILINE)


# -- by device (RFC 8628) ----------------------------------------------------------------------------------------------


def follows_the_link(who: Any, shown: str) -> None:
    found = re.search(r"^Or open (\S+) and compare the code\.$", shown, re.MULTILINE)
    assert found is not None
    who.visit(found[1])


def types_the_code(who: Any, shown: str) -> None:
    found = re.search(r"^Open (\S+) and enter this code:\n\n +(\S+)\n", shown, re.MULTILINE)
    assert found is not None
    who.enter(found[1], found[2])


def meanwhile(program: Any, capsys: pytest.CaptureFixture[str], acts: Any, who: Any, *, after: int) -> None:
    """Have somebody do something with what the program shows, while it sleeps for that many times."""

    def sleeping() -> None:
        if len(program.clock.slept) == after:
            acts(who, capsys.readouterr().err)

    program.clock.on_sleep = sleeping


@pytest.mark.conformance("1 device: interval")
@pytest.mark.parametrize("acts", [follows_the_link, types_the_code])
def test_a_device_waits_for_the_person_as_long_as_it_was_told(
    program: Any, person: Any, capsys: pytest.CaptureFixture[str], acts: Any
) -> None:
    meanwhile(program, capsys, acts, person("bob"), after=3)

    status = program.valet.connect("device", how="device")

    assert (status.state, status.identity.subject) == ("connected", "bob")
    assert program.clock.slept == [1.0, 1.0, 1.0], "the interval that the server asked for, before each question"
    asked = "urn:ietf:params:oauth:grant-type:device_code"
    assert (program.server.count(f"{asked} refused"), program.server.count(f"{asked} granted")) == (2, 1)
    program.clock.advance(AGES)
    assert program.call("device").json()["sub"] == "bob"
    assert (program.server.refreshes, program.server.count("reuse")) == ((1, 0), 0)


@pytest.mark.conformance("1 resource: parameter")
def test_a_device_gets_a_token_for_the_api_that_it_named(
    program: Any, person: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    api = f"{program.server.issuer}/resource"
    known = {"resources": [api], "scopes": ["offline_access", "api.read"], "userinfo_url": "", "api_base_url": api}
    program.declare("tv", client="device", **known)
    meanwhile(program, capsys, follows_the_link, person("bob"), after=2)

    assert program.valet.connect("tv", how="device").state == "connected"

    assert program.client("tv").get(api).json()["aud"] == api
    program.clock.advance(AGES)
    assert program.client("tv").get(api).json()["aud"] == api, "refreshed for the same"


def test_a_person_who_says_no_at_the_code_is_a_denial(
    program: Any, person: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    meanwhile(program, capsys, follows_the_link, person(approves=False), after=1)

    with pytest.raises(AuthorizationDenied):
        program.valet.connect("device", how="device")

    assert program.client("device").status().state == "pending"


def test_a_code_that_nobody_enters_runs_out(program: Any) -> None:
    with pytest.raises(ConsentExpired):
        program.valet.connect("device", how="device")

    assert 115 <= sum(program.clock.slept) <= 120
    with pytest.raises(NotConnected):
        program.call("device")


# -- by the browser of this machine, and by hand (RFC 8252) ------------------------------------------------------------


@pytest.mark.conformance("1 native: loopback listener")
@pytest.mark.parametrize("name", ["basic", "public", "odd"])
def test_the_browser_comes_back_to_this_machine_on_any_port(program: Any, person: Any, browse: Any, name: str) -> None:
    who = person("carol")
    done = browse(who)

    status = program.valet.connect(name)

    done()
    assert (status.state, status.identity.subject) == ("connected", "carol")
    assert f"{name} is connected" in who.page
    assert "carol@example.test" in who.page
    assert program.call(name).status_code == 200


def test_the_person_sees_on_the_page_that_it_was_denied(program: Any, person: Any, browse: Any) -> None:
    who = person(approves=False)
    done = browse(who)

    with pytest.raises(AuthorizationDenied):
        program.valet.connect("public")

    done()
    assert "Nothing was connected" in who.page


def test_the_answer_can_be_pasted(
    program: Any, person: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def paste() -> str:
        found = ADDRESS.search(capsys.readouterr().err)
        assert found is not None
        callback: str = person().sign_in(found[1])
        return callback

    monkeypatch.setattr(builtins, "input", paste)
    monkeypatch.setitem(sys.modules, "readline", None)

    status = program.valet.connect("post", how="paste")

    assert status.state == "connected"
    assert program.call("post").status_code == 200


# -- the app itself (RFC 6749 section 4.4) -----------------------------------------------------------------------------


def test_an_app_gets_its_own_token_and_a_new_one_when_that_ends(program: Any) -> None:
    for _ in range(2):
        assert program.call("service").json() == {"sub": None, "client_id": "service", "scope": "api.read"}
    assert program.server.count("client_credentials granted") == 1

    program.clock.advance(AGES)
    assert program.call("service").status_code == 200
    assert program.server.count("client_credentials granted") == 2
    assert program.tokens("service").get("refresh_token") is None


def test_an_apps_own_token_is_revoked_when_it_is_disconnected(program: Any) -> None:
    assert program.valet.connect("service").state == "connected"
    held = program.tokens("service")["access_token"]
    assert program.server.accepts(held)

    done = program.client("service").disconnect()

    assert done.revoked == ("access_token",)
    assert not program.server.accepts(held)


def test_nobody_signs_in_for_an_app(program: Any) -> None:
    with pytest.raises(ConfigurationError) as caught:
        program.valet.authorize("service")

    assert caught.value.code == "consent_not_needed"
