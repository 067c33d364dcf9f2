"""`valetkey console` and `valetkey serve`: they start, sign in by a link, stop cleanly, and refuse what is not safe."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

PASSWORD = "four words of my own"
PATIENCE = 60.0


class Started:
    """A server of the command, in a process of its own."""

    def __init__(self, kit: Any, *args: str) -> None:
        self.process: subprocess.Popen[str] = kit.start(*args, "--json", stdin=subprocess.DEVNULL)
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, self.process.communicate(timeout=PATIENCE)[1]
        self.told: dict[str, Any] = json.loads(line)

    @property
    def url(self) -> str:
        return str(self.told["url"])

    def stop(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, str]:
        self.process.send_signal(number)
        _, err = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, err


@pytest.fixture
def started(bare: Any) -> Iterator[Callable[..., Started]]:
    made: list[Started] = []

    def start(*args: str) -> Started:
        made.append(Started(bare, *args))
        return made[-1]

    yield start
    for one in made:
        if one.process.poll() is None:
            one.process.kill()
        one.process.communicate()


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def sign_in(link: str) -> httpx2.Response:
    """Do what a browser does with a login link."""
    base, _, path = link.partition("/login/")
    with httpx2.Client(base_url=base) as client:
        page = client.get(f"/login/{path}")
        token = page.text.partition('name="csrf" value="')[2].partition('"')[0]
        secret = path.partition("token=")[2]
        client.post("/login/link", data={"csrf": token, "token": secret}, headers={"Origin": base})
        return client.get("/console/connections")


def test_the_console_starts_signs_in_and_ends(started: Callable[..., Started]) -> None:
    console = started("console", "--port", str(free_port()), "--no-browser")
    page = sign_in(console.told["login_link"])

    assert (page.status_code, "Connections" in page.text) == (200, True)
    assert console.stop() == (0, "The console has ended.\n")


def test_ctrl_c_ends_the_console(started: Callable[..., Started]) -> None:
    console = started("console", "--port", str(free_port()), "--no-browser")

    status, said = console.stop(signal.SIGINT)
    assert (status, said.strip()) == (130, "interrupted")


def test_another_link_signs_in_to_a_console_that_runs(started: Callable[..., Started], bare: Any) -> None:
    console = started("console", "--port", str(free_port()), "--no-browser")
    (link,) = bare.process("console", "login-link", "--json").json["login_links"]

    assert link.startswith(console.url)
    assert sign_in(link).status_code == 200
    console.stop()
    gone = bare.process("console", "login-link", "--json")
    assert (gone.code, gone.json["error"]["code"]) == (1, "console_missing")


def test_a_console_of_another_environment_is_another(started: Callable[..., Started], bare: Any) -> None:
    started("console", "--port", str(free_port()), "--no-browser", "--env", "dev")

    assert bare.process("console", "login-link", "--env", "prod").code == 1


def test_the_next_port_is_taken_aloud(started: Callable[..., Started]) -> None:
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            taken.bind(("127.0.0.1", 8421))
        except OSError:
            pass  # somebody else has it, which is as good
        else:
            taken.listen()
        console = started("console", "--no-browser")
        _, err = console.stop()

    port = int(console.url.rpartition(":")[2])
    assert port > 8421
    assert f"port 8421 is taken, so the console is at port {port}" in err


def test_a_port_that_was_asked_for_is_not_replaced(bare: Any) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        for words in (["console", "--no-browser"], ["serve"]):
            ran = bare.process(*words, "--port", str(taken.getsockname()[1]), "--json")
            assert (ran.code, ran.json["error"]["code"]) == (2, "port_in_use")


def test_the_browser_gets_a_file_of_its_owner_and_no_link(
    started: Callable[..., Started], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program, notes = tmp_path / "browser", tmp_path / "notes"
    program.write_text(f'#!/bin/sh\necho "$1" >"{notes}.new" && mv "{notes}.new" "{notes}"\n', encoding="utf-8")
    program.chmod(0o700)
    monkeypatch.setenv("BROWSER", f"{program} %s")
    console = started("console", "--port", str(free_port()))
    give_up = time.monotonic() + PATIENCE
    while not notes.exists():
        assert time.monotonic() < give_up, "no browser was opened"
        time.sleep(0.02)
    given = notes.read_text(encoding="utf-8").strip()
    page = Path(given.removeprefix("file://"))

    assert given.startswith("file://")
    assert stat.S_IMODE(page.stat().st_mode) == 0o600
    found = re.search(r"url=([^\"]+)\"", page.read_text(encoding="utf-8"))
    assert found
    assert found[1] == console.told["login_link"]
    assert sign_in(found[1]).status_code == 200
    console.stop()
    assert not page.exists()


def test_where_no_browser_is_the_next_step_is_said(bare: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BROWSER")
    with bare.start("console", "--port", str(free_port()), stdin=subprocess.DEVNULL) as process:
        said = process.stderr.readline()
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=PATIENCE)

    assert said == "There is no browser to open here. A link to sign in with: valetkey console login-link\n"


# -- serving others


def test_beyond_this_machine_it_demands_an_address_and_an_operator(bare: Any) -> None:
    public = ["--base-url", "https://connect.example.com"]
    refusals = [
        (["--host", "0.0.0.0"], "public_url_missing"),  # noqa: S104 - it is what is refused
        (["--host", "0.0.0.0", "--base-url", "http://connect.example.com"], "url_invalid"),  # noqa: S104
        (["--host", "0.0.0.0", "--base-url", "http://127.0.0.1"], "public_url_missing"),  # noqa: S104
        (public, "operator_missing"),
    ]
    for words, code in refusals:
        ran = bare.run("serve", *words, "--json")
        assert (ran.code, ran.json["error"]["code"]) == (2, code), words
    bare.ok("serve", "operator", "add", "sam", "--grade", "connections", text=PASSWORD)
    assert bare.run("serve", *public, "--json").json["error"]["code"] == "operator_missing"


def test_beyond_this_machine_it_demands_the_key(bare: Any) -> None:
    bare.declare()
    bare.ok("serve", "operator", "add", "mira", text=PASSWORD)
    (Path(os.environ["VALETKEY_HOME"]) / "key").unlink()
    ran = bare.run("serve", "--base-url", "https://connect.example.com", "--json")

    assert (ran.code, ran.json["error"]["code"]) == (5, "key_missing")


def test_it_serves_behind_a_proxy(bare: Any, started: Callable[..., Started]) -> None:
    bare.ok("serve", "operator", "add", "mira", text=PASSWORD)
    port = free_port()
    server = started("serve", "--port", str(port), "--base-url", "https://connect.example.com/keys/")
    headers = {"Host": "connect.example.com"}
    page = httpx2.get(f"http://127.0.0.1:{port}/login", headers=headers)

    assert server.url == "https://connect.example.com/keys"
    assert 'action="/keys/login"' in page.text
    assert "secure" in page.headers["set-cookie"].lower()
    (link,) = bare.run("console", "login-link", "--json").json["login_links"]
    assert link.startswith("https://connect.example.com/keys/login/link?token=")
    assert server.stop() == (0, "The server has ended.\n")


def test_operators_are_looked_after_from_the_command(bare: Any) -> None:
    assert bare.ok("serve", "operator", "add", "mira", text=f"{PASSWORD}\n") == "mira may sign in now: everything.\n"
    bare.ok("serve", "operator", "add", "sam", "--grade", "look", text=PASSWORD)
    assert bare.run("serve", "operator", "disable", "mira", "--json").json["error"]["code"] == "operator_last"
    bare.ok("serve", "operator", "disable", "sam")
    found = bare.run("serve", "operator", "list", "--json").json["operators"]
    assert [(one["name"], one["grade"], one["standing"]) for one in found] == [
        ("mira", "everything", "active"),
        ("sam", "look", "disabled"),
    ]
    bare.ok("serve", "operator", "enable", "sam")
    bare.ok("serve", "operator", "password", "sam", text="and some other words")
    assert bare.run("serve", "operator", "remove", "sam").code == 2
    bare.ok("serve", "operator", "remove", "sam", "--yes")
    assert "sam" not in bare.ok("serve", "operator", "list")
    for words in (["add", "mira"], ["add", "jo"], ["enable", "nobody"]):
        text = "short" if words[1] == "jo" else PASSWORD
        assert bare.run("serve", "operator", *words, text=text).code == 2


def test_a_password_is_asked_for_twice_and_does_not_show(bare: Any, terminal: Callable[..., Any]) -> None:
    screen = terminal("serve", "operator", "add", "mira")
    screen.wait_for("Password: ")
    screen.type(f"{PASSWORD}\n")
    screen.wait_for("The same once more: ")
    screen.type("and some other words\n")
    assert screen.end() == 2
    assert "the two passwords differ" in screen.seen

    screen = terminal("serve", "operator", "add", "mira")
    screen.wait_for("Password: ")
    screen.type(f"{PASSWORD}\n")
    screen.wait_for("The same once more: ")
    screen.type(f"{PASSWORD}\n")
    assert screen.end() == 0
    assert PASSWORD not in screen.seen
    assert "mira" in bare.ok("serve", "operator", "list")


@pytest.mark.parametrize("package", ["starlette", "uvicorn", "argon2", "jinja2", "python_multipart"])
def test_without_the_extra_it_says_what_to_install(package: str) -> None:
    program = f"import sys; sys.modules[{package!r}] = None; from valetkey.cli import main; sys.exit(main(['serve']))"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=PATIENCE, check=False)

    assert ran.returncode == 2, ran
    assert "[extra_missing]" in ran.stderr
    assert 'pip install "valetkey[server]"' in ran.stderr
