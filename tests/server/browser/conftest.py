"""A real browser: Debian's chromium, driven by Playwright, which downloads nothing."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

AXE = Path(__file__).parents[2] / "oidc" / "node_modules" / "axe-core" / "axe.min.js"
ARGUMENTS = [
    "--no-sandbox",
    "--headless",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP connect.acme.example 127.0.0.1",
]
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
LOOK = """
tags => axe.run(document, { runOnly: tags, resultTypes: ['violations'] }).then(found => found.violations.map(
  one => [one.id, one.help, one.nodes.map(node => node.html.slice(0, 160))]))
"""
"""Only what is wrong comes back: to hand over all that axe looked at takes longer than to look."""
TABS = 120
PATIENCE = 15_000
WATCH = """
window.refused = [];
document.addEventListener('securitypolicyviolation', (event) => {
  window.refused.push(`${event.violatedDirective} ${event.blockedURI}`);
});
"""


class Person:
    """Somebody at a real browser, who sees whatever the browser complains of.

    Attributes:
        page: The tab, as Playwright has it.
        complaints: What the browser said in its console.
    """

    def __init__(self, site: Any, browser: Any, **options: Any) -> None:
        self.site = site
        self.context = browser.new_context(base_url=site.base, viewport={"width": 1280, "height": 900}, **options)
        self.context.set_default_timeout(PATIENCE)
        self.context.add_init_script(WATCH)
        self.page = self.context.new_page()
        self.complaints: list[str] = []
        self.expected = 200
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def sign_in(self, grade: str = "everything") -> None:
        """Sign in by a login link, as a person does."""
        self.page.goto(f"/login/link?token={self.site.sessions.link(grade).reveal()}")
        self.page.get_by_role("button", name="Open the Console").click()
        self.page.wait_for_url("**/console/**")

    def open(self, path: str, *, status: int = 200) -> Any:
        """Open a page and return the tab."""
        answer = self.page.goto(path)
        assert answer.status == status, path
        self.expected = status
        return self.page

    def press(self, name: str) -> None:
        """Press a button."""
        self.page.get_by_role("button", name=name, exact=True).click()

    def follow(self, name: str) -> None:
        """Follow a link."""
        self.page.get_by_role("link", name=name, exact=True).click()

    def sees(self, title: str) -> Any:
        """Wait for the page of this title; returns the tab."""
        self.page.get_by_role("heading", level=1, name=title).wait_for()
        return self.page

    def told(self, text: str) -> None:
        """Wait until the page says something."""
        self.page.get_by_text(text).first.wait_for()

    def out_and_back(self, provider: str = "Notes") -> None:
        """From the page that waits, sign in at the provider in the new tab that it opens, and stay in that one."""
        with self.context.expect_page() as opened:
            self.page.get_by_role("link", name=f"Open {provider}").click()
        self.page.close()
        self.page = opened.value

    def tab_to(self, wanted: Any) -> None:
        """Go on with the Tab key until something has the focus, as somebody without a mouse does."""
        wanted.wait_for()
        for _ in range(TABS):
            self.page.keyboard.press("Tab")
            if wanted.evaluate("node => node === document.activeElement"):
                return
        pytest.fail(f"{TABS} tabs do not lead to {wanted}")

    def key(self, role: str, name: str) -> None:
        """Press a button or follow a link by keyboard."""
        self.tab_to(self.page.get_by_role(role, name=name))
        self.page.keyboard.press("Enter")

    def demand_calm(self) -> None:
        """Fail where the browser complained, refused something, or has to scroll sideways."""
        # The browser says in its console that the page itself was not found.
        expected = f"the server responded with a status of {self.expected}" if self.expected >= 400 else None
        assert [said for said in self.complaints if expected is None or expected not in said] == []
        assert self.page.evaluate("window.refused") == []
        wide = self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0, f"the page is {wide} px wider than {self.page.viewport_size}"

    def barriers(self) -> list[str]:
        """Return what axe-core finds."""
        if not self.page.evaluate("'axe' in window"):
            self.page.evaluate(AXE.read_text(encoding="utf-8"))
        return [f"{name}: {text}: {json.dumps(nodes)}" for name, text, nodes in self.page.evaluate(LOOK, RULES)]


@pytest.fixture(scope="module")
def chromium(left_out: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Give a browser.  It ends with the module: Playwright's loop must not be there for tests that run one."""
    program = shutil.which("chromium")
    if program is None:
        left_out("the tests in a browser", "chromium not found; install it")
    if not AXE.exists():
        left_out("the tests in a browser", "axe-core not found; scripts/setup-oidc installs it")
    from playwright.sync_api import sync_playwright

    home = tmp_path_factory.mktemp("browser")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=ARGUMENTS, env={"HOME": str(home)})
        yield browser
        browser.close()


@pytest.fixture
def people(chromium: Any) -> Iterator[Callable[..., Person]]:
    """Make people at browsers of their own, in front of any site."""
    made: list[Person] = []

    def make(site: Any, **options: Any) -> Person:
        made.append(Person(site, chromium, **options))
        return made[-1]

    yield make
    for one in made:
        one.context.close()


@pytest.fixture
def person(site: Any, people: Callable[..., Person]) -> Callable[..., Person]:
    """Make people at browsers of their own, in front of the site of the test."""
    return partial(people, site)
