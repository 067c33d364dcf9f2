"""The web application of the documentation: in front of GitHub's stand-in, with people and their browsers."""

from __future__ import annotations

import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

import pytest

CLIENT_ID = "Ov23liEXAMPLE"
CLIENT_SECRET = "0123456789abcdef-EXAMPLE"


class Browser:
    """Somebody's browser: it knows who is signed in to the application, and keeps cookies."""

    def __init__(self, app: Any, user: str) -> None:
        self._app = validator(app)
        self.user = user
        self.cookie = ""

    def open(self, url: str) -> tuple[str, dict[str, str], str]:
        """Return status, headers and text of a page of the application."""
        parts = urlsplit(url)
        environ: dict[str, Any] = {"SCRIPT_NAME": "", "PATH_INFO": parts.path, "QUERY_STRING": parts.query}
        environ |= {"HTTP_COOKIE": self.cookie} if self.cookie else {}
        environ |= {"REMOTE_USER": self.user} if self.user else {}
        setup_testing_defaults(environ)
        answer: list[Any] = []

        def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            answer.extend([status, dict(headers), exc_info])
            return lambda _: None

        body = self._app(environ, start_response)
        text = b"".join(body).decode()
        body.close()
        status, headers, _ = answer
        if "Set-Cookie" in headers:
            self.cookie = headers["Set-Cookie"].partition(";")[0]
        return status, headers, text


class Site:
    def __init__(self, elsewhere: Any, root: Path) -> None:
        self.elsewhere = elsewhere
        self.names = runpy.run_path(str(root / "docs_src" / "web_app.py"))
        self.app = self.names["app"]

    def browser(self, user: str) -> Browser:
        return Browser(self.app, user)

    def agree(self, location: str, *, deny: bool = False) -> str:
        """Let the person agree at GitHub, or not; return the address that the browser is sent to."""
        here = f"{self.elsewhere.github.url}/authorize?{urlsplit(location).query}"
        assert location.startswith("https://github.com/login/oauth/authorize?")
        provider = self.elsewhere.github
        callback: str = provider.deny(here) if deny else provider.approve(here)
        return callback


@pytest.fixture
def site(elsewhere: Any, root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setenv("VALETKEY_GITHUB_CLIENT_ID", CLIENT_ID)
    monkeypatch.setenv("VALETKEY_GITHUB_CLIENT_SECRET", CLIENT_SECRET)
    elsewhere.github.allow_redirect("http://localhost:8000/callback/github", client_id=CLIENT_ID)
    site = Site(elsewhere, root)
    yield site
    site.names["valet"].close()


def test_a_user_connects_and_the_application_calls_the_api_for_them(site: Site) -> None:
    ada = site.browser("ada")
    assert "github/ada is not connected to GitHub yet" in ada.open("/")[2]

    status, headers, _ = ada.open("/connect")
    assert status.startswith("303")
    assert "; Path=/callback/github; Max-Age=600; HttpOnly; SameSite=Lax" in headers["Set-Cookie"]
    callback = site.agree(headers["Location"])
    status, headers, _ = ada.open(callback)

    assert (status, headers["Location"]) == ("303 See Other", "/")
    assert ada.open("/")[2] == "<p>GitHub knows you as octocat.</p>"
    assert "not connected" in site.browser("ben").open("/")[2]


def test_the_answer_counts_only_in_the_browser_that_began_and_only_once(site: Site) -> None:
    ada, elsewhere = site.browser("ada"), site.browser("ada")
    callback = site.agree(ada.open("/connect")[1]["Location"])

    status, _, text = elsewhere.open(callback)
    assert status.startswith("400")
    assert "which began the sign-in" in text
    kept = ada.cookie
    assert ada.open(callback)[0].startswith("303"), "the attempt used nothing up"
    ada.cookie = kept
    assert ada.open(callback)[0].startswith("400")


def test_whoever_finishes_is_whoever_began(site: Site) -> None:
    ada, ben = site.browser("ada"), site.browser("ben")
    callback = site.agree(ada.open("/connect")[1]["Location"])
    ben.cookie = ada.cookie

    status, _, text = ben.open(callback)

    assert status.startswith("400")
    assert "started by somebody else" in text


def test_a_denied_consent_offers_another_try(site: Site) -> None:
    ada = site.browser("ada")
    callback = site.agree(ada.open("/connect")[1]["Location"], deny=True)

    status, _, text = ada.open(callback)

    assert status.startswith("400")
    assert "access was not allowed" in text
    assert "Try again" in text


def test_nobody_signed_in_sees_nothing(site: Site) -> None:
    assert site.browser("").open("/")[0].startswith("401")
    assert site.browser("ada").open("/nowhere")[0].startswith("404")


def test_while_github_is_down_the_application_says_so_and_the_connection_lives(site: Site) -> None:
    ada = site.browser("ada")
    callback = site.agree(ada.open("/connect")[1]["Location"])
    site.elsewhere.github.fail_next(status=503)

    assert ada.open(callback)[0].startswith("503")
