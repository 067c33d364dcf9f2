"""Plays the person in front of a browser, over plain HTTP: opens pages, presses buttons, follows nothing."""

from __future__ import annotations

import http.client
import re
from collections.abc import Mapping
from html import unescape
from urllib.parse import urlencode, urlsplit

from valetkey.testing._authorization_server import SHOW_PAGE

_TIMEOUT = 60.0
_REQUEST = re.compile(r'name="request" value="([^"]*)"')
_PARAGRAPH = re.compile(r"<p>(.*?)</p>", re.DOTALL)


class ConsentRefused(RuntimeError):
    """The provider showed an error page instead of asking: it does not trust the client or the redirect URI."""


def answer_consent(site: str, authorization_url: str, *, approve: bool, login: str | None) -> str:
    """Open `authorization_url`, press a button, and return where the browser is sent to.

    Raises:
        ValueError: The URL is not one of the provider at `site`.
        ConsentRefused: There was a page without buttons.
    """
    if not authorization_url.startswith(site + "/"):
        msg = f"not a page of this provider: {urlsplit(authorization_url).netloc}"
        raise ValueError(msg)
    location, page = _visit("GET", authorization_url)
    if location is not None:
        return location
    found = _REQUEST.search(page)
    if found is None:
        raise ConsentRefused(_said(page))
    form = {"request": unescape(found[1]), "decision": "approve" if approve else "deny", "login": login or ""}
    location, page = _visit("POST", f"{site}{_consent_path(page)}", form)
    if location is None:
        raise ConsentRefused(_said(page))
    return location


def answer_device(page_url: str, user_code: str, *, approve: bool, login: str | None) -> None:
    """Type a user code and press a button.

    Raises:
        LookupError: No device waits under this code.
    """
    form = {"user_code": user_code, "decision": "approve" if approve else "deny", "login": login or ""}
    _, page = _visit("POST", page_url, form)
    if "Unknown code" in page:
        raise LookupError(_said(page))


def _visit(method: str, url: str, form: Mapping[str, str] | None = None) -> tuple[str | None, str]:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=_TIMEOUT)
    try:
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        headers = {SHOW_PAGE: "page", "Content-Type": "application/x-www-form-urlencoded"}
        connection.request(method, target, body=urlencode(form) if form else None, headers=headers)
        answer = connection.getresponse()
        return answer.getheader("Location"), answer.read().decode("utf-8", "replace")
    finally:
        connection.close()


def _consent_path(page: str) -> str:
    action = re.search(r'action="([^"]*)"', page)
    return urlsplit(unescape(action[1])).path if action else "/consent"


def _said(page: str) -> str:
    return unescape(" ".join(_PARAGRAPH.findall(page))) or "the provider answered without a page"
