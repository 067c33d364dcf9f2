"""Stories that need more than the console: a proxy, the command, another provider, a store that goes away."""

from __future__ import annotations

import json
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from http.client import HTTPConnection, HTTPResponse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from cryptography import x509

from shared.authority import Authority
from shared.console_over import PracticeOver
from shared.oidc_server import Server, running
from shared.valkey import Server as Valkey

LIST = "/console/connections"
PATIENCE = 60
PUBLIC = "connect.acme.example"
"""The browser finds this name on this machine."""
ONE_HOP = ("connection", "keep-alive", "transfer-encoding", "date", "server", "content-length")
scenario = pytest.mark.scenario


# -- a proxy -----------------------------------------------------------------------------------------------------------


class Forward(BaseHTTPRequestHandler):
    """A proxy that takes the path of the public address off, as docs/console.md tells to set one up."""

    target = ""

    def do_GET(self) -> None:
        assert self.path.startswith("/keys/"), "the browser left the path of the public address"
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        there = HTTPConnection(self.target, timeout=PATIENCE)
        there.request(self.command, self.path.removeprefix("/keys"), body, dict(self.headers))
        answer = there.getresponse()
        if answer.getheader("content-type", "").startswith("text/event-stream"):
            self._pass_on(answer, there)
            return
        content = answer.read()
        there.close()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ONE_HOP:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _pass_on(self, answer: HTTPResponse, there: HTTPConnection) -> None:
        """Pass on what comes, as long as the browser stays; an answer that does not end cannot be read first."""
        self.close_connection = True
        self.send_response(answer.status)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        while self.connection not in select.select([self.connection, there.sock], [], [])[0]:
            part = answer.read1()
            if not part:
                break
            self.wfile.write(part)
        there.close()
        answer.close()

    do_POST = do_GET  # noqa: N815 - as the class of the standard library calls it

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[tuple[str, type[Forward]]]:
    """Run a proxy that speaks TLS; gives its public address, and what is to be told where it leads."""
    forward: type[Forward] = type("Forward", (Forward,), {})
    with ThreadingHTTPServer(("127.0.0.1", 0), forward) as server:
        context = Authority(tmp_path).context(x509.DNSName(PUBLIC))
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"https://{PUBLIC}:{server.server_port}/keys", forward
        server.shutdown()
        thread.join()


@scenario(2)
def test_behind_a_proxy_the_redirect_uri_that_is_shown_is_the_one_that_is_sent(
    practice: Any, proxy: tuple[str, type[Forward]], served: Any, people: Callable[..., Any]
) -> None:
    public, forward = proxy
    site = served(base_url=public, root_path="/keys")
    forward.target = site.base.removeprefix("http://")
    somebody = people(SimpleNamespace(base=public, sessions=site.sessions), ignore_https_errors=True)
    sent: list[str] = []
    somebody.context.on("request", lambda request: sent.append(request.url))
    page = somebody.page
    page.goto(f"{public}/login/link?token={site.sessions.link().reveal()}")
    somebody.press("Open the Console")
    page.goto(f"{public}/console/new/notes/scopes")
    page.get_by_label("My program itself").check()
    somebody.press("Continue")
    shown = somebody.sees("Sign in at Notes").locator("#u2").text_content()
    practice.provider.allow_redirect(shown)
    somebody.out_and_back()
    somebody.page.wait_for_url(f"{public}/console/connections/con_*")

    assert shown == f"{public}/callback/notes"
    assert any(shown == redirect_uri_of(url) for url in sent)
    somebody.demand_calm()


def redirect_uri_of(url: str) -> str:
    return parse_qs(urlsplit(url).query).get("redirect_uri", [""])[0]


# -- the command -------------------------------------------------------------------------------------------------------


@pytest.fixture
def console() -> Iterator[dict[str, Any]]:
    """Start the console as a newcomer does; gives what it tells."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    command = [sys.executable, "-m", "valetkey.cli", "console", "--port", str(port), "--no-browser", "--json"]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=PATIENCE)


@scenario(1)
def test_from_the_first_start_to_a_program_that_runs(
    console: dict[str, Any], people: Callable[..., Any], tmp_path: Path
) -> None:
    somebody = people(SimpleNamespace(base=console["url"]), permissions=["clipboard-read", "clipboard-write"])
    somebody.page.goto(console["login_link"])
    somebody.press("Open the Console")
    somebody.sees("Connect your first account")
    somebody.press("Connect the demo provider")
    somebody.press("Approve")
    somebody.sees("ada@example.com")
    somebody.page.locator("[data-copy=code1]").click()
    somebody.page.locator("#live", has_text="Copied.").wait_for(state="attached")
    program = tmp_path / "snippet.py"
    program.write_text(somebody.page.evaluate("navigator.clipboard.readText()"))

    ran = subprocess.run(
        [sys.executable, program], capture_output=True, text=True, check=False, timeout=PATIENCE, cwd=tmp_path
    )
    assert (ran.stdout, ran.returncode) == ("200\n", 0), ran.stderr
    somebody.demand_calm()


# -- a provider that this project did not write ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def oidc_provider(left_out: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(left_out, tmp_path_factory.mktemp("oidc")) as server:
        yield server


@pytest.mark.oidc
@scenario(2, 4, 16)
def test_accounts_of_a_real_provider_are_connected_by_the_wizard_and_by_a_link(
    practice: Any, served: Any, oidc_provider: Server, people: Callable[..., Any]
) -> None:
    practice.clock.set(time.time())  # the provider's clock is this machine's
    declared = practice.wiring.oauth2_credential(
        "basic", **oidc_provider.fields("basic"), display_name="Acme ID", identity={"subject": "sub", "email": "email"}
    )
    practice.secrets.set(declared.secret_id, json.dumps(oidc_provider.app("basic")))
    practice.valet._core.base_url = None
    site = served(product="Acme CRM")
    somebody = people(site)
    somebody.sign_in()
    somebody.open("/console/new/basic/scopes")
    somebody.page.get_by_label("My program itself").check()
    somebody.press("Continue")
    somebody.out_and_back("Acme ID")
    somebody.press("Approve")
    somebody.press("Approve")
    somebody.page.wait_for_url("**/console/connections/con_*")
    somebody.sees("alice@example.test")
    somebody.press("Refresh now")
    somebody.told("Refreshed.")

    somebody.open("/console/links/new?credential=basic")
    somebody.page.get_by_label("Owner ID").fill("hooli")
    somebody.press("Create link")
    link = somebody.page.locator("#lnk").inner_text()
    holder = people(site)
    holder.open(link)
    holder.press("Continue to Acme ID")
    holder.page.get_by_label("Login").fill("bob")
    holder.press("Approve")
    holder.press("Approve")
    holder.sees("Acme ID is connected")

    found = {(s.connection.owner, s.identity.email) for s in practice.valet.connections(credential="basic")}
    assert found == {(None, "alice@example.test"), ("hooli", "bob@example.test")}
    assert practice.client("basic", owner="hooli").get("/resource").status_code == 200
    somebody.open(f"{LIST}/{practice.client('basic', owner='hooli').status().connection_id}")
    somebody.follow("Disconnect")
    somebody.press("Disconnect")
    somebody.told("Disconnected.")
    somebody.demand_calm()
    holder.demand_calm()


# -- the store goes away -----------------------------------------------------------------------------------------------


@pytest.fixture
def valkey() -> Iterator[Valkey]:
    with tempfile.TemporaryDirectory() as folder:  # paths of sockets are short
        server = Valkey(Path(folder), "--appendonly", "yes", "--appendfsync", "always", "--save", "")
        yield server
        server.kill()


@pytest.fixture
def over_valkey(valkey: Valkey, site_class: Any, tmp_path: Path) -> Iterator[Any]:
    with PracticeOver(tmp_path, valkey.url()) as practice, site_class(practice) as site:
        yield site


@scenario(24)
def test_pages_come_back_by_themselves_once_the_store_is_started_again(
    valkey: Valkey, over_valkey: Any, people: Callable[..., Any]
) -> None:
    practice = over_valkey.practice
    status = practice.connect(owner="contoso")
    somebody = people(over_valkey)
    somebody.sign_in()
    page = somebody.open(LIST)
    page.locator("[data-age]", has_text="live").wait_for()
    other = somebody.context.new_page()
    valkey.kill()

    assert other.goto(f"{LIST}/{status.connection_id}").status == 503
    other.get_by_text("No connection is marked as broken because of this").wait_for()
    page.locator("[data-age]", has_text="not live at present").wait_for()
    valkey.start()
    other.get_by_role("heading", level=1, name="ada@example.com").wait_for()
    page.locator("[data-age]", has_text="· live").wait_for()
    states = page.locator("[data-part=state]").all_inner_texts()
    assert (states, practice.client(owner="contoso").status().state) == (["Connected"], "connected")
    assert [event.kind for event in practice.valet.events() if event.connection_id] == ["connected"]
