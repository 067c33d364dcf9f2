"""Signing in and what surrounds it, in a real browser: with script and without, by keyboard, without the store."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from valetkey.errors import StoreUnavailable

CONSOLE = "/console/connections"
PASSWORD = "four words of my own"


@pytest.fixture
def mira(site: Any) -> Any:
    return site.server.operators.add("mira@example.com", PASSWORD, "everything", by="test")


@pytest.mark.scenario(11)
@pytest.mark.usefixtures("mira")
@pytest.mark.parametrize("script", [True, False], ids=["with script", "without script"])
def test_a_password_signs_in_and_out(person: Callable[..., Any], script: bool) -> None:
    somebody = person(java_script_enabled=script)
    page = somebody.open("/console/settings/keys")
    page.get_by_label("Name").fill("mira@example.com")
    page.get_by_label("Password").fill("something else")
    page.get_by_role("button", name="Sign in").click()
    assert "do not belong together" in page.get_by_role("alert").inner_text()
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("heading", name="Settings").wait_for()
    assert page.url.endswith("/console/settings/keys")
    page.get_by_role("button", name="Sign out").first.click()
    page.get_by_role("heading", name="Sign in to the Console").wait_for()
    somebody.open(CONSOLE)
    assert "/login" in page.url


@pytest.mark.scenario(23)
def test_a_login_link_opens_the_console_once(site: Any, person: Callable[..., Any]) -> None:
    link = f"/login/link?token={site.sessions.link().reveal()}"
    first, second = person(), person()
    for somebody in (second, first, second):
        somebody.open(link)
    first.page.get_by_role("button", name="Open the Console").click()
    first.page.get_by_role("navigation", name="Main").wait_for()
    second.page.get_by_role("button", name="Open the Console").click()

    assert "used already" in second.page.get_by_role("alert").inner_text()
    first.demand_calm()


@pytest.mark.parametrize("script", [True, False], ids=["with script", "without script"])
def test_a_theme_is_chosen_and_stays(person: Callable[..., Any], script: bool) -> None:
    somebody = person(java_script_enabled=script)
    somebody.sign_in()
    page = somebody.page
    page.evaluate("window.stays = true")
    page.get_by_role("button", name="Dark").locator("visible=true").click()
    page.locator('html[data-theme="dark"]').wait_for(state="attached")
    assert page.evaluate("window.stays === true") is script, "with script the page stays, without it comes anew"
    somebody.open("/console/settings/keys")
    assert page.locator("html").get_attribute("data-theme") == "dark"
    assert page.get_by_role("button", name="Dark").locator("visible=true").get_attribute("aria-pressed") == "true"
    assert somebody.complaints == []


def test_by_keyboard_the_first_stop_leads_to_the_content(person: Callable[..., Any]) -> None:
    somebody = person()
    somebody.sign_in()
    page = somebody.open("/console/settings/operators")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to content"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"


def test_an_operator_is_invited_and_chooses_a_password(site: Any, person: Callable[..., Any]) -> None:
    one, other = person(), person()
    one.sign_in()
    page = one.open("/console/settings/operators")
    page.get_by_label("Name or email").fill("jo@example.com")
    page.get_by_label("May").select_option("look")
    page.get_by_role("button", name="Create invitation").click()
    link = page.locator("#lk").inner_text()
    page.get_by_role("link", name="Done").click()
    assert page.get_by_role("button", name="Withdraw jo@example.com").count() == 1
    assert link not in page.content()

    page = other.open(link.removeprefix(site.base))
    page.get_by_role("textbox", name="Password").fill(PASSWORD)
    page.get_by_label("The same once more").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("navigation", name="Main").wait_for()
    assert page.get_by_role("link", name="Settings").count() == 0
    one.demand_calm()
    other.demand_calm()


def test_pages_come_back_with_the_store(site: Any, person: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    def down(*_: object, **__: object) -> None:
        msg = "the store does not answer"
        raise StoreUnavailable(msg)

    somebody = person()
    somebody.sign_in()
    with monkeypatch.context() as patched:
        patched.setattr(site.server.core.store, "get_document", down)
        page = somebody.open(CONSOLE, status=503)
        page.get_by_text("The next try is in").wait_for()
    page.get_by_role("navigation", name="Main").wait_for()


class Attacker(BaseHTTPRequestHandler):
    """Another site on this machine, which frames what it is told."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(f"<iframe src='{self.path.partition('?')[2]}'></iframe>".encode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def attacker() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Attacker) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.scenario(15)
def test_a_page_in_a_frame_of_another_site_stays_empty(site: Any, person: Callable[..., Any], attacker: str) -> None:
    somebody = person()
    with somebody.page.expect_console_message(lambda said: "frame-ancestors" in said.text):
        somebody.page.goto(f"{attacker}/?{site.base}/login")

    assert all(frame.get_by_text("Sign in to the Console").count() == 0 for frame in somebody.page.frames)
