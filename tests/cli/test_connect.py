"""Connecting from the command: by browser, pasted address and device code."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest


def test_the_browser_opens_and_the_account_is_connected(kit: Any, browser: Callable[[], str]) -> None:
    ran = kit.process("connect", "notes")

    assert ran.code == 0, ran
    assert ran.out == "Connected as ada@example.com. Granted: notes.read, notes.write. Renews itself.\n"
    assert ran.err == "Opening your browser for Notes (Ctrl-C to stop) ...\n"
    given, _, page = browser().partition("\n")
    assert given.startswith("file:///")
    assert "Connected" in page
    assert kit.provider.live_grants == 1


def test_the_status_comes_as_json(kit: Any, browser: Callable[[], str]) -> None:
    found = kit.process("connect", "notes", "--account", "work", "--scope", "notes.read", "--json").json

    assert browser()
    assert found["format_version"] == 1
    connection = found["connection"]
    assert connection["id"].startswith("con_")
    assert (connection["state"], connection["account"], connection["identity"]["login"]) == ("connected", "work", "ada")
    assert set(connection["granted"]) == {"notes.read", "notes.write"}


def test_what_the_browser_says_is_not_in_the_answer(
    kit: Any, browser: Callable[[], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opens = os.environ["BROWSER"].replace("%s", '"$1"')
    talks = tmp_path / "talks"
    talks.write_text(f"#!/bin/sh\necho 'Opening in existing session.'\n{opens}\n")
    talks.chmod(0o700)
    monkeypatch.setenv("BROWSER", f"{talks} %s")

    ran = kit.process("connect", "notes", "--json")

    assert ran.json["connection"]["state"] == "connected"
    assert "Opening in existing session.\n" in ran.err
    assert browser()


def test_the_connection_that_the_same_sign_in_fills_is_told_of(kit: Any, browser: Callable[[], str]) -> None:
    """This provider gives no second set of tokens, so what it tells of is how the second connection is."""
    places = {"param_names": {"scope": "user_scope"}, "answer_paths": {"access_token": "person.access_token"}}
    kit.declare("person", **places)
    kit.declare("bot", beside="person")

    ran = kit.process("connect", "bot")
    assert browser()
    assert ran.out.startswith("Connected as ada@example.com.")
    assert "person, which the same sign-in was to fill, is pending" in ran.err
    assert "valetkey connect person" in ran.err

    kit.connect("person")
    again = kit.process("connect", "bot")
    assert again.out.endswith("person, which the same sign-in fills, is connected.\n")


@pytest.mark.parametrize("paste", [False, True], ids=["browser", "paste"])
def test_how_the_person_is_asked_goes_along(kit: Any, browser: Callable[[], str], *, paste: bool) -> None:
    words = ["--prompt", "login", "--max-age", "300", "--acr-values", "phr phrh"]
    if paste:
        with kit.start("connect", "notes", "--paste", *words) as process:
            shown = ""
            while not (found := re.findall(r"^(http\S+/authorize\S+)$", shown, re.MULTILINE)):
                shown += process.stderr.readline()
            process.communicate(kit.provider.approve(found[0]) + "\n", timeout=60)
        asked = parse_qs(urlsplit(found[0]).query)
        assert (asked["prompt"], asked["max_age"], asked["acr_values"]) == (["login"], ["300"], ["phr phrh"])
    else:
        assert kit.process("connect", "notes", *words).code == 0
        assert browser()
        first = next(seen for seen in kit.provider.requests if seen.endpoint == "authorization")
        assert {"prompt", "max_age", "acr_values"} <= set(first.parameters)


@pytest.mark.parametrize(
    ("args", "says"),
    [
        pytest.param(["--device", "--prompt", "login"], "go with a sign-in in a browser", id="device"),
        pytest.param(["--login-hint", "ada", "--max-age", "3"], "go with a sign-in in a browser", id="by phone"),
        pytest.param(["--prompt", "often"], "authentication_request_invalid", id="no such word"),
        pytest.param(["--prompt", "none login"], "authentication_request_invalid", id="none, and more"),
        pytest.param(["--max-age", "-1"], "--max-age", id="no age"),
    ],
)
def test_how_the_person_cannot_be_asked_is_told(kit: Any, args: list[str], says: str) -> None:
    ran = kit.run("connect", "notes", *args)

    assert ran.code == 2
    assert says in " ".join(ran.err.split())
    assert kit.provider.requests == ()


@pytest.mark.usefixtures("browser")
def test_a_fixed_port_is_listened_on(kit: Any) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    assert kit.process("connect", "notes", "--port", str(port)).code == 0


def test_a_port_in_use_is_told(kit: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ran = kit.process("connect", "notes", "--port", str(taken.getsockname()[1]))

    assert ran.code == 2
    assert "[port_in_use]" in ran.err
    assert "  -> " in ran.err
    assert "Opening" not in ran.err


def test_without_a_browser_the_other_ways_are_named(kit: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BROWSER")

    ran = kit.run("connect", "notes")

    assert ran.code == 3
    assert "[browser_missing]" in ran.err
    assert "--paste" in ran.err
    assert "--device" in ran.err


@pytest.mark.usefixtures("browser")
def test_a_person_who_says_no_is_told_and_nothing_is_stored(kit: Any) -> None:
    kit.provider.deny_next()

    ran = kit.process("connect", "notes", "--json")

    assert ran.code == 3
    assert ran.json["error"]["code"] == "authorization_denied"
    assert kit.run("status", "--json").json["connections"][0]["state"] == "pending"


@pytest.mark.usefixtures("browser")
def test_scopes_that_were_not_granted_are_told(kit: Any) -> None:
    kit.provider.narrow_scopes("notes.read")

    ran = kit.process("connect", "notes")

    assert ran.code == 0
    assert "Granted: notes.read." in ran.out
    assert "not granted: notes.write" in ran.err


def test_nobody_answers(kit: Any) -> None:
    ran = kit.run("connect", "notes", "--timeout", "1")  # the browser of the tests does nothing

    assert ran.code == 3
    assert "[consent_expired]" in ran.err


def test_an_address_is_opened_anywhere_and_pasted_back(kit: Any) -> None:
    with kit.start("connect", "notes", "--paste") as process:
        shown = ""
        while (found := re.search(r"^http://127\.0\.0\.1\S+/authorize\?\S+$", shown, re.MULTILINE)) is None:
            line = process.stderr.readline()
            assert line, shown
            shown += line
        out, _ = process.communicate(kit.provider.approve(found[0]) + "\n", timeout=60)

    assert process.returncode == 0
    assert out.startswith("Connected as ada@example.com.")


@pytest.mark.parametrize(
    ("text", "code"),
    [
        pytest.param("", "paste_empty", id="the input ends"),
        pytest.param("\n", "paste_empty", id="an empty line"),
        pytest.param(
            "http://127.0.0.1:8421/callback/notes?code=x&state=forged\n", "state_mismatch", id="another state"
        ),
    ],
)
def test_what_is_pasted_has_to_be_the_answer(text: str, code: str, kit: Any) -> None:
    ran = kit.run("connect", "notes", "--paste", text=text)

    assert ran.code == 3
    assert f"[{code}]" in ran.err
    assert kit.provider.token_requests == 0


def test_a_code_is_shown_and_entered_elsewhere(kit: Any) -> None:
    with kit.start("connect", "notes", "--device") as process:
        shown = ""
        while (found := re.search(r"^    (\S{4}-\S{4})$", shown, re.MULTILINE)) is None:
            line = process.stderr.readline()
            assert line, shown
            shown += line
        kit.provider.enter_user_code(found[1])
        out, _ = process.communicate(timeout=60)

    assert f"{kit.provider.url}/device" in shown
    assert process.returncode == 0
    assert out.startswith("Connected as ada@example.com.")


def test_an_app_of_its_own_needs_nobody(bare: Any) -> None:
    bare.declare("jobs", grant="client_credentials")

    assert bare.ok("connect", "jobs").startswith("Connected as practice-app.")
    assert bare.ok("token", "jobs").startswith("practice-at-")


@pytest.mark.parametrize(
    "args",
    [
        pytest.param(["--device", "--paste"], id="device and paste"),
        pytest.param(["--paste", "--port", "8421"], id="paste and port"),
        pytest.param(["--no-browser", "--device"], id="page and device"),
    ],
)
def test_two_ways_at_once_are_refused(args: list[str], kit: Any) -> None:
    ran = kit.run("connect", "notes", *args)

    assert ran.code == 2
    assert "choose one" in ran.err


def test_the_page_can_be_opened_by_hand(kit: Any, browser: Callable[[], str]) -> None:
    import os
    import shlex
    import subprocess

    with kit.start("connect", "notes", "--no-browser") as process:
        shown = ""
        while (found := re.search(r"^file://\S+$", shown, re.MULTILINE)) is None:
            line = process.stderr.readline()
            assert line, shown
            shown += line
        words = [found[0] if word == "%s" else word for word in shlex.split(os.environ["BROWSER"]) if word != "&"]
        subprocess.run(words, check=True, timeout=60)
        out, _ = process.communicate(timeout=60)

    assert process.returncode == 0
    assert out.startswith("Connected as ada@example.com.")
    assert "Connected" in browser()


@pytest.mark.usefixtures("browser")
def test_however_many_ask_at_once_one_tab_opens(kit: Any) -> None:
    with kit.provider.hold("authorization") as hold, kit.start("connect", "notes") as first:
        hold.arrived.wait(60)
        with kit.start("connect", "notes") as second, kit.start("connect", "notes") as third:
            waiting = [process.stderr.readline() for process in (second, third)]
            hold.release()
            ended = [process.communicate(timeout=60)[0] for process in (first, second, third)]

    assert all(line.startswith("Another process has the browser open for Notes") for line in waiting)
    assert len(set(ended)) == 1
    assert ended[0].startswith("Connected as ada@example.com.")
    assert [first.returncode, second.returncode, third.returncode] == [0, 0, 0]
    assert sum(seen.endpoint == "authorization" for seen in kit.provider.requests) == 1


def test_where_the_page_is_opened_by_hand_waiting_is_told_once_and_ends_in_time(kit: Any) -> None:
    with kit.start("connect", "notes", "--no-browser") as first:
        while "file://" not in (line := first.stderr.readline()):
            assert line
        ran = kit.process("connect", "notes", "--no-browser", "--timeout", "2")
        first.terminate()
        first.communicate(timeout=60)

    assert ran.code == 3
    assert ran.err.count("Another process has the browser open for Notes") == 1
    assert "error: another process still has the browser open for Notes, after 2 s [consent_expired]" in ran.err


def test_connecting_without_an_app_says_how_to_add_it(bare: Any) -> None:
    bare.declare(app=False)

    ran = bare.run("connect", "notes")

    assert ran.code == 2
    assert "[app_missing]" in ran.err
    assert "valetkey app add notes" in ran.err


def test_a_name_that_nobody_declared_is_told_with_how_to_declare_it(kit: Any) -> None:
    ran = kit.run("connect", "mine")

    assert ran.code == 2
    assert ran.err.splitlines() == [
        'error: credential "mine" is not declared (declared: notes) [credential_unknown]',
        "  -> to declare it: valetkey app add mine --preset PROVIDER; see: valetkey providers list",
    ]


def test_a_mistyped_provider_is_told_with_the_right_one(kit: Any) -> None:
    ran = kit.run("connect", "githb")

    assert ran.code == 2
    assert ran.err.splitlines()[1:] == [
        '  -> is "github" meant? valetkey app add github; another provider: valetkey app add --help'
    ]


def test_an_owner_is_needed_where_that_is_declared(bare: Any) -> None:
    bare.declare(per_owner=True)

    assert "[owner_required]" in bare.run("connect", "notes").err
    assert "[owner_invalid]" in bare.run("connect", "notes", "--owner", "").err


@pytest.mark.parametrize(
    ("declared", "args", "hint"),
    [
        pytest.param({}, [], "valetkey app add notes --redirect-uri https://", id="no address is declared"),
        pytest.param({}, ["--paste"], "valetkey app add notes --redirect-uri https://", id="nor for pasting"),
        pytest.param({"redirect_uri": "https://a.example/cb"}, [], "-> valetkey connect notes --paste", id="one is"),
    ],
)
def test_a_provider_that_takes_no_address_on_this_machine(
    declared: dict[str, str], args: list[str], hint: str, bare: Any
) -> None:
    bare.declare(loopback="https_only", **declared)

    ran = bare.run("connect", "notes", *args)

    assert ran.code == 2
    assert "[redirect_https_only]" in ran.err
    assert hint in ran.err


@pytest.mark.parametrize("declared", [{"loopback": "https_only"}, {"redirect_uri": "https://a.example/cb"}, {}])
@pytest.mark.parametrize("args", [["--paste"], ["--device"], ["--timeout", "1"]], ids=["paste", "device", "browser"])
def test_an_answer_that_comes_as_a_form_is_of_the_served_callback(
    declared: dict[str, str], args: list[str], bare: Any
) -> None:
    bare.declare(response_mode="form_post", device_authorization_url="", **declared)

    ran = bare.run("connect", "notes", *args, text="https://a.example/cb?code=1&state=2\n")

    assert (ran.code, ran.out) == (2, "")
    assert ("[device_flow_missing]" if "--device" in args else "[answer_as_form]") in ran.err
    assert ("valetkey serve --base-url" in ran.err) == ("--device" not in args)
    assert "--paste" not in ran.err
    assert "/authorize" not in ran.err, "nobody is sent to sign in for nothing"


def test_an_address_elsewhere_can_be_pasted(bare: Any) -> None:
    bare.declare(loopback="https_only", redirect_uri="https://a.example/cb")

    ran = bare.run("connect", "notes", "--paste", text="https://a.example/cb?error=access_denied&state=forged\n")

    assert "redirect_uri=https%3A%2F%2Fa.example%2Fcb" in ran.err
    assert "[state_mismatch]" in ran.err
