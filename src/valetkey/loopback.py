"""The loopback listener: takes the one answer of a browser sign-in on this machine (RFC 8252 section 7.3).

Loopback is not private: other users of the machine and any web page can reach it.  So the browser is opened on a
local file that only its owner can read; that file leads to a one-time start address, which sets a cookie and goes on
to the provider; and the callback counts only with that cookie and with the state of this very sign-in.
"""

from __future__ import annotations

import contextlib
import hmac
import os
import secrets
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Generator
from pathlib import Path
from types import TracebackType
from typing import Final, Self
from urllib.parse import parse_qs, urlsplit

from valetkey import _pages
from valetkey._loopserver import Call, LoopServer, Reply
from valetkey._pages import Outcome
from valetkey.errors import ConnectError, ConsentExpired

__all__ = ["LoopbackListener", "Outcome", "start_file"]

_REPORT_SECONDS: Final = 60.0
"""How long the finished browser waits for the word on how it went: longer than an exchange may take."""
_LINGER_SECONDS: Final = 3.0
"""How long the listener stays for a browser that has not fetched the last page yet."""
_DONE, _REFUSED, _ANSWERED = "/done", "/refused", "/answered"
"""Where the callback leads, so that no code and no state stays in the address bar and the history."""
_SLICE: Final = 0.5
"""Waiting goes in slices: an endless wait cannot be interrupted on every system."""


class LoopbackListener:
    """Listens on loopback for the answer to one sign-in.  Use it in a ``with`` block: leaving it closes everything.

    >>> with LoopbackListener(port=None, path="/callback/github", provider="GitHub") as listener:
    ...     listener.redirect_uri.startswith("http://127.0.0.1:")
    True

    Args:
        port: The port; None for any that is free.
        path: The path of the redirect URI.
        provider: The provider's name, for the pages.
        host: The host as the redirect URI has it: ``127.0.0.1``, ``localhost`` or ``::1``.

    Raises:
        ConnectError: The port cannot be had (``port_in_use``, ``port_unusable``).
    """

    def __init__(self, *, port: int | None, path: str, provider: str = "The provider", host: str = "127.0.0.1") -> None:
        self._path = path
        self._provider = provider
        self._cookie_name = f"vk_{secrets.token_hex(8)}"
        self._cookie = secrets.token_urlsafe(32)
        self._start_path = f"/start/{secrets.token_urlsafe(32)}"
        self._started = False
        self._authorization_url = ""
        self._state = ""
        self._callback: str | None = None
        self._outcome: Outcome | None = None
        self._shown = False
        self._closed = False
        self._changed = threading.Condition()
        self._server = LoopServer("::1" if host == "::1" else "127.0.0.1", port, self._answer)
        self._host = f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"

    @property
    def port(self) -> int:
        """The port it listens on."""
        return self._server.port

    @property
    def redirect_uri(self) -> str:
        """The redirect URI to ask the provider for."""
        return f"http://{self._host}{self._path}"

    @property
    def start_url(self) -> str:
        """The one-time address that sets the cookie and goes on to the provider.  Whoever has it is the browser."""
        return f"http://{self._host}{self._start_path}"

    @property
    def started(self) -> bool:
        """Whether a browser has come to the start address."""
        return self._started

    def begin(self, authorization_url: str) -> str:
        """Let the start address lead to `authorization_url`, whose ``state`` the answer must have; returns it."""
        states = parse_qs(urlsplit(authorization_url).query).get("state", [""])
        with self._changed:
            self._authorization_url, self._state = authorization_url, states[0]
        return self.start_url

    def answered(self, *, within: float) -> bool:
        """Tell whether the answer has come, waiting for it up to `within` seconds."""
        self._wait_until(lambda: self._callback is not None or self._closed, within)
        return self._callback is not None

    def wait(self, timeout: float) -> str:
        """Return the address that the provider sent the browser back to.

        Raises:
            ConsentExpired: Nobody answered within `timeout` seconds.
            ConnectError: The listener was closed meanwhile (``connect_cancelled``).
        """
        self.answered(within=timeout)
        if self._callback is not None:
            return self._callback
        if self._closed:
            msg = "the sign-in was given up"
            raise ConnectError(msg, code="connect_cancelled")
        msg = f"nobody answered within {timeout:.0f} s"
        raise ConsentExpired(msg, hint="start again; where no browser page opened, connect with --paste or --device")

    def report(self, outcome: Outcome, *, linger: float = _LINGER_SECONDS) -> None:
        """Say how it ended: the browser shows it.  Waits up to `linger` seconds until it does."""
        with self._changed:
            self._outcome = outcome
            self._changed.notify_all()
        if self._callback is not None:
            self._wait_until(lambda: self._shown or self._closed, linger)

    def close(self) -> None:
        """Stop listening; an answer under way is still sent to its end."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._server.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- what is answered

    def _answer(self, call: Call) -> Reply:
        if call.headers.get("host", "").lower() != self._host:
            return _page(421, _pages.plain_page("Wrong address"))
        if call.method != "GET":
            return Reply(405, {"Allow": "GET"})
        if hmac.compare_digest(call.path.encode(), self._start_path.encode()):
            return self._start(call)
        if call.path == self._path:
            return self._take(call)
        if call.path == _DONE and self._has_cookie(call):
            return self._done()
        return self._told(call.path)

    def _told(self, path: str) -> Reply:
        """Return a page that tells of nobody's sign-in."""
        if path == _REFUSED:
            return _page(403, _pages.failed_page(self._provider, "state_mismatch"))
        if path == _ANSWERED:
            return _page(409, _pages.answered_page(self._provider))
        return _page(404, _pages.plain_page("Not found"))

    def _start(self, call: Call) -> Reply:
        """Set the cookie and go to the provider: once, but for the browser that holds the cookie already."""
        with self._changed:
            fresh, self._started = not self._started, True
            target = self._authorization_url
        if not target or not (fresh or self._has_cookie(call)):
            return _page(403, _pages.used_page())
        cookie = f"{self._cookie_name}={self._cookie}; Path=/; Max-Age=900; HttpOnly; SameSite=Lax"
        return Reply(302, {**_pages.HEADERS, "Set-Cookie": cookie, "Location": target})

    def _take(self, call: Call) -> Reply:
        """Take the provider's answer, if it comes by the right browser and to the right question."""
        states = parse_qs(call.query).get("state", [])
        wanted = self._state.encode()
        ours = len(states) == 1 and bool(wanted) and hmac.compare_digest(states[0].encode(), wanted)
        if not ours or not self._has_cookie(call):
            return _lead_to(_REFUSED)
        with self._changed:
            if self._callback is not None:
                return _lead_to(_ANSWERED)
            self._callback = f"{self.redirect_uri}?{call.query}"
            self._changed.notify_all()
        return _lead_to(_DONE)

    def _done(self) -> Reply:
        self._wait_until(lambda: self._outcome is not None or self._closed, _REPORT_SECONDS)
        outcome = self._outcome
        if outcome is None:
            return _page(200, _pages.unknown_page(self._provider))
        with self._changed:
            self._shown = True
            self._changed.notify_all()
        return _page(200, _pages.finish_page(outcome))

    def _has_cookie(self, call: Call) -> bool:
        """Tell whether the request carries our cookie; cookies of other ports come along and are not ours."""
        pairs = (part.strip().partition("=") for part in call.headers.get("cookie", "").split(";"))
        values = [value for name, _, value in pairs if name == self._cookie_name]
        return len(values) == 1 and hmac.compare_digest(values[0].encode(), self._cookie.encode())

    def _wait_until(self, done: Callable[[], bool], seconds: float) -> None:
        end = time.monotonic() + seconds
        with self._changed:
            while not done() and (left := end - time.monotonic()) > 0:
                self._changed.wait(min(left, _SLICE))


@contextlib.contextmanager
def start_file(start_url: str, provider: str) -> Generator[Path]:
    """Write the local page that leads the browser to `start_url`; it is gone when the block ends.

    Only its owner can read it, and only its path, never the address, stands in the browser's command line.
    """
    with private_page(_pages.start_page(start_url, f"Connect {provider}", f"Continue to {provider}")) as path:
        yield path


@contextlib.contextmanager
def private_page(content: bytes) -> Generator[Path]:
    """Write a page that only its owner can read; it is gone when the block ends."""
    folder = Path(tempfile.mkdtemp(prefix="valetkey-"))
    try:
        path = folder / "connect.html"
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        yield path
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _lead_to(path: str) -> Reply:
    return Reply(303, {**_pages.HEADERS, "Location": path})


def _page(status: int, body: bytes) -> Reply:
    return Reply(status, _pages.HEADERS, body)
