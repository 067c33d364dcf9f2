"""Using a connection: token, header, request, exec."""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

PRINT = "import os; print(*(f'{n}={os.environ[n]}' for n in sorted(os.environ) if n.endswith('_TOKEN')))"


def live(kit: Any, text: str) -> bool:
    return bool(kit.provider.is_live(text))


# -- token, header


def test_the_token_comes_alone_on_a_pipe(kit: Any) -> None:
    kit.connect()

    token = kit.ok("token", "notes")

    assert live(kit, token)
    assert "\n" not in token


def test_on_a_terminal_a_line_break_follows(kit: Any, terminal: Any) -> None:
    kit.connect()

    for args in (["token", "notes"], ["token", "notes", "--owner", "bob"]):
        screen = terminal(*args)
        screen.end()
        assert screen.seen.endswith("\n")


def test_the_token_as_json(kit: Any) -> None:
    kit.connect(owner="ada", account="work")

    found = kit.run("token", "notes", "--owner", "ada", "--account", "work", "--json").json

    assert live(kit, found["access_token"])
    assert (found["token_type"], found["header"]) == ("Bearer", "Authorization: Bearer {token}")
    assert found["expires_at"] > 1_700_000_000


def test_a_header_of_the_providers_own_is_printed_as_it_is_sent(kit: Any) -> None:
    kit.declare("shop", token_header="X-Shop-Access-Token: {token}")
    kit.connect("shop")

    name, _, value = kit.ok("header", "shop").partition(": ")

    assert name == "X-Shop-Access-Token"
    assert live(kit, value.strip())
    assert kit.run("token", "shop", "--json").json["header"] == "X-Shop-Access-Token: {token}"


def test_the_header_is_as_curl_reads_it(kit: Any) -> None:
    kit.connect()

    name, _, value = kit.ok("header", "notes").partition(": ")

    assert name == "Authorization"
    assert value.startswith("Bearer ")
    assert value.endswith("\n")
    assert live(kit, value.removeprefix("Bearer ").strip())


@pytest.mark.parametrize("command", ["token", "header"])
def test_an_expired_token_is_refreshed_first(command: str, still: Any) -> None:
    still.connect()
    before = still.ok(command, "notes")
    still.clock.advance(3600 - 59)

    after = still.ok(command, "notes")

    assert after != before
    assert still.provider.refreshes == 1


@pytest.mark.parametrize(
    ("args", "code", "exit_code", "hint"),
    [
        pytest.param(["nots"], "credential_unknown", 2, 'use "notes"', id="unknown"),
        pytest.param(["notes"], "not_connected", 3, "valetkey connect notes", id="never connected"),
        pytest.param(["notes", "--owner", "bob"], "not_connected", 3, "--owner bob", id="another owner"),
    ],
)
def test_why_there_is_no_token(args: list[str], code: str, exit_code: int, hint: str, kit: Any) -> None:
    ran = kit.run("token", *args)

    assert (ran.code, ran.out) == (exit_code, "")
    assert f"[{code}]" in ran.err
    assert hint in ran.err


def test_which_account_is_asked_where_there_are_several(kit: Any) -> None:
    kit.connect(account="work")
    kit.connect(account="home")

    ran = kit.run("token", "notes")

    assert ran.code == 2
    assert "[ambiguous_account]" in ran.err
    assert "'work'" in ran.err


def test_a_grant_that_was_taken_back(still: Any) -> None:
    still.connect()
    still.provider.revoke("ada")
    still.clock.advance(3600)

    ran = still.run("token", "notes", "--json")

    assert ran.code == 3
    assert ran.json["error"]["code"] == "reauthorization_required"
    assert ran.json["error"]["hint"] == "run: valetkey connect notes"


def test_a_provider_that_is_down(still: Any) -> None:
    still.connect()
    still.provider.fail_next(status=503)
    still.clock.advance(3600)

    ran = still.run("token", "notes")

    assert ran.code == 4
    assert "[provider_unavailable]" in ran.err


# -- request


@pytest.fixture
def connected(kit: Any) -> Any:
    kit.connect()
    return kit


def test_the_body_comes_as_it_is(connected: Any) -> None:
    ran = connected.run("request", "notes", "/me")

    assert ran.code == 0
    assert json.loads(ran.out)["login"] == "ada"
    assert ran.err == ""


def test_data_makes_it_a_post(connected: Any) -> None:
    ran = connected.run("request", "notes", "/notes", "--json-body", "-d", '{"text": "hi"}')

    assert ran.code == 0, ran
    assert json.loads(ran.out)["text"] == "hi"
    assert "hi" in connected.ok("request", "notes", "GET", "/notes")


@pytest.mark.parametrize("how", ["text", "file", "stdin"])
def test_data_comes_from_the_line_a_file_or_stdin(how: str, connected: Any, tmp_path: Path) -> None:
    body = "größe=1&x=%20"
    (tmp_path / "body").write_text(body, encoding="utf-8")
    data = {"text": body, "file": f"@{tmp_path / 'body'}", "stdin": "-"}[how]

    ran = connected.run("request", "notes", "put", "/echo", "-d", data, "-H", "X-Mine: yes", text=body)

    seen = json.loads(ran.out)
    assert seen["method"] == "PUT"
    assert seen["body"] == body
    headers = {name.lower(): value for name, value in seen["headers"].items()}
    assert headers["x-mine"] == "yes"
    assert headers["content-type"] == "application/x-www-form-urlencoded"


def test_status_and_headers_are_shown_when_asked_for(connected: Any) -> None:
    shown = connected.ok("request", "notes", "/me", "--include")

    head, _, body = shown.partition("\r\n\r\n" if "\r\n" in shown else "\n\n")
    assert head.startswith("HTTP/1.1 200")
    assert "content-type: application/json" in head
    assert json.loads(body)["login"] == "ada"


@pytest.mark.parametrize(("args", "code"), [([], 0), (["--fail"], 1)])
def test_an_error_of_the_api_is_told_and_fails_only_when_asked(args: list[str], code: int, connected: Any) -> None:
    ran = connected.run("request", "notes", "/nowhere", *args)

    assert ran.code == code
    assert ran.err == "404 Not Found\n"
    assert "not_found" in ran.out


def test_an_error_of_the_api_stands_on_a_line_of_its_own(
    connected: Any, terminal: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    screen = terminal("request", "notes", "/nowhere")
    screen.end()
    piped = connected.run("request", "notes", "/nowhere").out
    monkeypatch.setattr("valetkey.cli.request.is_terminal", lambda stream: stream is sys.stderr)
    seen = connected.run("request", "notes", "/nowhere")

    assert screen.seen.endswith("}\n404 Not Found\n")
    assert (seen.out, seen.err) == (piped, "\n404 Not Found\n"), "the bytes of the body are the API's"
    assert connected.run("request", "notes", "/nowhere", "-o", os.devnull).err == "404 Not Found\n"


def test_the_body_goes_into_a_file(connected: Any, tmp_path: Path) -> None:
    ran = connected.run("request", "notes", "/me", "-o", str(tmp_path / "me.json"))

    assert (ran.code, ran.out) == (0, "")
    assert json.loads((tmp_path / "me.json").read_text())["login"] == "ada"


def test_the_token_goes_to_no_other_host(connected: Any) -> None:
    ran = connected.run("request", "notes", "https://evil.example/")

    assert ran.code == 2
    assert "[host_not_allowed]" in ran.err
    own = connected.provider.url.removeprefix("http://")
    assert f"valetkey app add notes --api-host {own} --api-host evil.example" in ran.err
    assert "practice-at-" not in ran.err


@pytest.mark.parametrize(
    ("args", "said"),
    [
        pytest.param(["/me", "GET"], "write [METHOD] URL", id="the wrong way round"),
        pytest.param(["GET", "/me", "/you"], "write [METHOD] URL", id="too many words"),
        pytest.param(["/me", "-H", "Bad header"], "'NAME: VALUE'", id="no header"),
        pytest.param(["/me", "-H", "Authorization: Bearer x"], "leave it away", id="an authorization of its own"),
        pytest.param(["/me", "--json-body", "-d", "{"], "[body_invalid]", id="no JSON"),
        pytest.param(["/me", "-d", "@/nowhere/file"], "[file_unusable]", id="no such file"),
    ],
)
def test_a_request_that_makes_no_sense(args: list[str], said: str, connected: Any) -> None:
    ran = connected.run("request", "notes", *args)

    assert ran.code == 2
    assert said in ran.err
    assert connected.provider.api_requests == 0


def test_an_api_that_is_not_there(kit: Any) -> None:
    kit.declare("gone", api_base_url="http://127.0.0.1:1", api_hosts=["127.0.0.1:1"])
    kit.connect("gone")

    ran = kit.run("request", "gone", "/me")

    assert ran.code == 4
    assert "[api_unreachable]" in ran.err


class Hostile(BaseHTTPRequestHandler):
    """An API that tries to change the title of the window."""

    def do_GET(self) -> None:
        body = b"before \x1b]0;owned\x07 after"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as the base has it
        """Say nothing."""


@pytest.fixture
def hostile(kit: Any) -> Iterator[None]:
    """Declare and connect such an API."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Hostile) as server:
        threading.Thread(target=server.serve_forever).start()
        host = f"127.0.0.1:{server.server_port}"
        kit.declare("hostile", api_base_url=f"http://{host}", api_hosts=[host])
        kit.connect("hostile")
        yield
        server.shutdown()


@pytest.mark.usefixtures("hostile")
def test_a_terminal_is_not_steered_by_an_api(kit: Any, terminal: Any) -> None:
    screen = terminal("request", "hostile", "/", "--include", NO_COLOR="1")

    assert screen.end() == 0
    assert "before" in screen.raw
    assert "\x1b" not in screen.raw
    assert screen.raw.endswith("after\n")
    assert "\x1b]0;owned\x07" in kit.ok("request", "hostile", "/"), "a pipe gets it as it is"


# -- exec


def run_child(kit: Any, *args: str) -> Any:
    return kit.process("exec", *args)


def test_the_token_is_in_the_environment_of_the_program_alone(connected: Any) -> None:
    connected.declare("my-notes")
    connected.connect("my-notes", login="bob")

    ran = run_child(connected, "notes", "my-notes", "--", sys.executable, "-c", PRINT)

    assert ran.code == 0, ran
    found = dict(pair.split("=", 1) for pair in ran.out.split())
    assert set(found) == {"NOTES_TOKEN", "MY_NOTES_TOKEN"}
    assert all(live(connected, token) for token in found.values())
    assert "NOTES_TOKEN" not in os.environ


def test_the_variable_may_have_another_name(connected: Any) -> None:
    ran = run_child(connected, "notes", "--as", "GH_TOKEN", "--", sys.executable, "-c", PRINT)

    assert ran.out.startswith("GH_TOKEN=practice-at-")


@pytest.mark.parametrize("code", [0, 1, 7, 126, 127])
def test_the_exit_code_is_that_of_the_program(code: int, connected: Any) -> None:
    assert run_child(connected, "notes", "--", "sh", "-c", f"exit {code}").code == code


def test_options_of_the_program_are_its_own(connected: Any) -> None:
    ran = run_child(connected, "notes", "--", "printf", "%s ", "--json", "--", "--help")

    assert ran.out == "--json -- --help "


def test_a_program_gets_the_usual_signals(connected: Any) -> None:
    ran = run_child(connected, "notes", "--", "sh", "-c", "yes | head -1; kill -TERM $$")

    assert (ran.out, ran.err) == ("y\n", "")  # with SIGPIPE ignored, yes would complain
    assert ran.code == -15


@pytest.mark.parametrize(
    ("args", "code"),
    [
        pytest.param(["notes", "--", "no-such-program-anywhere"], "program_not_started", id="no such program"),
        pytest.param(["notes", "--", "/"], "program_not_started", id="a folder"),
        pytest.param(["notes"], "usage", id="nothing to run"),
        pytest.param(["--", "true"], "usage", id="no name"),
        pytest.param(["notes", "--as", "A", "--as", "B", "--", "true"], "usage", id="too many variables"),
        pytest.param(["nots", "--", "true"], "credential_unknown", id="unknown"),
        pytest.param(["notes", "--owner", "bob", "--", "true"], "not_connected", id="not connected"),
    ],
)
def test_a_program_that_never_started_is_125(args: list[str], code: str, connected: Any) -> None:
    ran = run_child(connected, *args)

    assert (ran.code, ran.out) == (125, "")
    assert f"[{code}]" in ran.err


# -- tokens that are bound


def test_a_token_that_is_bound_is_not_handed_out(kit: Any) -> None:
    kit.declare("bound", sender_constraint="dpop")
    kit.connect("bound")

    for args in (["token", "bound"], ["token", "bound", "--json"], ["header", "bound"], ["exec", "bound", "--", "env"]):
        ran = kit.run(*args)
        assert ran.code in {2, 125}, ran
        assert "is bound to a key (DPoP)" in ran.err + ran.out
        assert not ran.out or "access_token" not in ran.out
    assert kit.run("token", "bound", "--json").json["error"]["code"] == "token_bound"
