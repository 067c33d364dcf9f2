"""A person at a browser, for tests: ``person.py PAGE [NAME] [approve | deny]``.

As a program it is what the variable BROWSER names: it opens the page, signs in as NAME, answers, and goes on until a
page asks for nothing more.  Tests use the class.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from html import unescape
from http.cookiejar import CookieJar
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urljoin, urlsplit
from urllib.request import HTTPCookieProcessor, HTTPErrorProcessor, ProxyHandler, build_opener, url2pathname

_FORM = re.compile(r"<form([^>]*)>(.*?)</form>", re.DOTALL)
_INPUT = re.compile(r'<input type="hidden" name="([^"]*)" value="([^"]*)"')
_ACTION = re.compile(r'action="([^"]*)"')
_TEXT = 'type="text"'
_LINK = re.compile(r'<a href="([^"]*)"')
_HOPS = 30


class _AsTheyCome(HTTPErrorProcessor):
    """Hands out every answer: redirects and errors are for the person."""

    def http_response(self, request: object, response: object) -> object:  # type: ignore[override]
        del request
        return response


_PROGRAMS = "http://127.0.0.1:8421/"


class Person:
    """Somebody with a browser of their own: a cookie jar, and an answer to what the provider asks.

    Attributes:
        page: The text of the page that is open.
        at: Its address.
    """

    def __init__(self, name: str = "alice", *, approves: bool = True, refuses: Sequence[str] = ()) -> None:
        action = "approve" if approves else "deny"
        self._typed: dict[str, str] = {}
        self._answer = {"login": name, "action": action, "refuse": " ".join(refuses)}
        self._opener = build_opener(HTTPCookieProcessor(CookieJar()), _AsTheyCome(), ProxyHandler({}))
        self.page = self.at = ""

    def sign_in(self, url: str) -> str:
        """Open an authorization URL and return the address that the provider sends the browser back to.

        Where the URL is only a reference to the request, that is any address of the tests' programs.
        """
        back = parse_qs(urlsplit(url).query).get("redirect_uri", [_PROGRAMS])[0]
        end = self.visit(url, until=back)
        if not end.startswith(back):
            msg = f"the provider did not send the browser back to {back}, but showed:\n{self.page}"
            raise RuntimeError(msg)
        return end

    def open(self, url: str) -> bool:
        """Open a page of this machine, follow its link, and go on to the end: what a browser command does."""
        page = Path(url2pathname(urlsplit(url).path)).read_text(encoding="utf-8")
        link = _LINK.search(page)
        if link is None:
            msg = f"nothing leads on from {url}:\n{page}"
            raise RuntimeError(msg)
        self.visit(unescape(link[1]))
        return True

    def enter(self, url: str, code: str) -> str:
        """Open a page that asks for a code, type it, and go on to the end."""
        self._typed = {"user_code": code}
        return self.visit(url)

    def visit(self, url: str, *, until: str = "") -> str:
        """Follow redirects and fill in forms; returns where it ends: before `until`, or where nothing is left to do."""
        form: dict[str, str] | None = None
        for _ in range(_HOPS):
            if until and url.startswith(until):
                return url
            target = self._load(url, form)
            if target:
                url, form = urljoin(url, target), None
                continue
            found = _FORM.search(self.page)
            if found is None or (_TEXT in found[2] and not self._typed):
                return url
            url, form = self._fill_in(url, found[1], found[2])
        msg = f"no end after {_HOPS} pages; the last one is {url}:\n{self.page}"
        raise RuntimeError(msg)

    def _load(self, url: str, form: dict[str, str] | None) -> str:
        """Load a page, and return where it redirects to."""
        body = None if form is None else urlencode(form).encode()
        with self._opener.open(url, body, timeout=30) as answer:
            self.at, self.page = url, answer.read().decode("utf-8", "replace")
            target: str = answer.headers.get("Location", "")
            return target

    def _fill_in(self, url: str, attributes: str, inside: str) -> tuple[str, dict[str, str]]:
        action = _ACTION.search(attributes)
        hidden = {name: unescape(value) for name, value in _INPUT.findall(inside)}
        answer = self._answer if "/interaction/" in url else {}
        typed, self._typed = (self._typed, {}) if _TEXT in inside else ({}, self._typed)
        return urljoin(url, unescape(action[1])) if action else url, {**hidden, **answer, **typed}


if __name__ == "__main__":
    page, name, answer = [*sys.argv[1:], *("alice", "approve")[len(sys.argv) - 2 :]]
    Person(name, approves=answer == "approve").open(page)
