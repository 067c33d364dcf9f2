"""What every request passes and every answer gets: known hosts, own origin for writes, bounded bodies, strict headers.

DESIGN rules: DNS rebinding is stopped by the list of hosts, cross-site writes by `Origin` (and a CSRF token beside it,
see `asking`), and foreign content by the Content-Security-Policy.
"""

from __future__ import annotations

import secrets
from typing import Final
from urllib.parse import urlsplit

from fastapi import HTTPException
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from valetkey.errors import StoreUnavailable
from valetkey.logs import get_logger
from valetkey.server.api.problems import answer, other_host
from valetkey.server.refusals import ELSEWHERE, STORE_DOWN, TOO_LONG, UNEXPECTED, for_api, refused
from valetkey.server.settings import BODY_LIMIT, Settings

CSP: Final = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self';"
    " form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script';"
    " trusted-types 'none'"
)
HEADERS: Final = {
    "content-security-policy": CSP,
    "x-content-type-options": "nosniff",
    # Not no-referrer: browsers then send "Origin: null" with our own forms.
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})


_log = get_logger("server")


class Guard:
    """ASGI middleware around the whole application."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app = app
        self.settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse what is not for us, and dress every answer."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id = scope.setdefault("state", {})["request_id"] = f"req_{secrets.token_hex(6)}"
        dressed = _dressed(send, request_id)
        if answer := self._refused(scope, Headers(scope=scope)):
            await answer(scope, receive, dressed)
            return
        try:
            await self.app(scope, _bounded(receive), dressed)
        except _TooLong:
            await refused(scope, TOO_LONG)(scope, receive, dressed)
        except StoreUnavailable as error:
            _log.warning("%s: the store does not answer: %s", request_id, error)
            await refused(scope, STORE_DOWN)(scope, receive, dressed)
        except ClientDisconnect:
            _log.debug("%s: the visitor left", request_id)
        except Exception as error:  # noqa: BLE001 - logged, and the last place for a page
            _log.exception("%s: a mistake of ours (%s)", request_id, type(error).__name__)
            await refused(scope, UNEXPECTED)(scope, receive, dressed)

    def _refused(self, scope: Scope, headers: Headers) -> Response | None:
        if _name(headers.get("host", "")) not in self.settings.hosts:
            if for_api(scope):
                return answer(other_host())
            # No page: what it would link to is refused too.
            return PlainTextResponse("This host name is not known here. Add it to allowed_hosts.\n", status_code=421)
        length = headers.get("content-length", "0")
        if length.isdecimal() and int(length) > BODY_LIMIT:
            return refused(scope, TOO_LONG)
        if for_api(scope):  # no cookie counts there, so it does not matter what site a browser is on
            return None
        demanded = scope["method"] not in SAFE and "authorization" not in headers and not _is_callback(scope)
        return refused(scope, ELSEWHERE) if demanded and not self._own(scope, headers) else None

    def _own(self, scope: Scope, headers: Headers) -> bool:
        """Whether a write comes from a page of ours: by `Origin`, else by what the browser says of the request."""
        given = headers.get("origin")
        if given is None:
            return headers.get("sec-fetch-site") == "same-origin"
        return given == self._origin(scope, headers)

    def _origin(self, scope: Scope, headers: Headers) -> str:
        if self.settings.base_url and _name(headers["host"]) not in {"127.0.0.1", "localhost", "[::1]"}:
            parts = urlsplit(self.settings.base_url)
            return f"{parts.scheme}://{parts.netloc}"
        return f"{scope['scheme']}://{headers['host']}"


def _is_callback(scope: Scope) -> bool:
    """Whether a provider may send a form here: what it brings is taken only with the cookie of its sign-in."""
    return str(scope["path"]).removeprefix(scope.get("root_path", "")).startswith("/callback/")


def _name(host: str) -> str:
    """Return a Host header without its port, in small letters."""
    head, _, port = host.rpartition(":")
    return (head if head and port.isdecimal() else host).lower()


class _HalfSent(Exception):
    """An answer cannot begin: another one has."""


class _TooLong(HTTPException):
    """More of a body came than is taken: one that FastAPI lets through while it reads a body."""

    def __init__(self) -> None:
        super().__init__(TOO_LONG.status)


def _bounded(receive: Receive) -> Receive:
    seen = 0

    async def take() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > BODY_LIMIT:
            raise _TooLong
        return message

    return take


def _dressed(send: Send, request_id: str) -> Send:
    begun = False

    async def dress(message: Message) -> None:
        nonlocal begun
        if message["type"] == "http.response.start":
            if begun:  # half an answer is out already: the connection is closed, and nobody takes it for whole
                raise _HalfSent
            begun = True
            headers = MutableHeaders(scope=message)
            headers["x-request-id"] = request_id
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
            headers.setdefault("cache-control", "no-store")
        await send(message)

    return dress
