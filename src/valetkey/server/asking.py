"""One request as handlers see it: who asks, the form they sent, and how to answer.

Handlers are plain blocking functions and run in threads; what is asynchronous (reading a body) is done before.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import URL, FormData
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from valetkey.core import Core
from valetkey.desk import Desk
from valetkey.errors import ConfigurationError, StoreUnavailable, ValetkeyError, clean
from valetkey.server.bodies import read_form
from valetkey.server.brand import Brand, Brands
from valetkey.server.calls import CallCounts
from valetkey.server.demo import Demo
from valetkey.server.limits import Limits
from valetkey.server.operators import Operators
from valetkey.server.render import rendered
from valetkey.server.sessions import Grade, Session, Sessions, csrf_token
from valetkey.server.settings import SESSION_LIFE, Settings

HOME: Final = "/console/connections"
"""Where a sign-in leads."""
THEMES: Final = ("light", "dark")
THEME: Final = "valetkey_theme"
"""The cookie of the colour theme: the server renders it, so that nothing flashes."""
_AGAIN: Final = "/login/again"


@dataclass(frozen=True, slots=True)
class Server:
    """What all handlers share."""

    core: Core
    desk: Desk
    settings: Settings
    brand: Brand = field(default_factory=Brand)
    current_owner: Callable[[Request], Any] | None = None
    demo: Demo = field(default_factory=Demo)
    calls: CallCounts = field(kw_only=True)

    @property
    def sessions(self) -> Sessions:
        """Who is signed in."""
        return Sessions(self.core.store, self.core.clock, self.core.env)

    @property
    def operators(self) -> Operators:
        """Who may sign in."""
        return Operators(self.core.store, self.core.clock, self.core.env)

    @property
    def brands(self) -> Brands:
        """What operators stored of the brand; `brand` is what code gave."""
        return Brands(self.core.store, self.core.clock, self.core.env)

    @property
    def limits(self) -> Limits:
        """How often things were tried."""
        return Limits(self.core.store, self.core.clock, self.core.env)


@dataclass(slots=True)
class Ask:
    """One request.

    Attributes:
        server: What all handlers share.
        request: The request itself; its body was read already.
        session: Who is signed in; None on pages that demand nobody.
        form: The fields of a form that was sent; files are refused, but where the route says that they may be.
    """

    server: Server
    request: Request
    session: Session | None = None
    form: FormData = field(default_factory=FormData)
    guest: str = ""
    """A cookie for those who have not signed in: it binds the form of the sign-in to the browser."""
    _brand: Brand | None = None

    @property
    def brand(self) -> Brand:
        """The application, as account holders are told of it: what code gave, and what operators stored."""
        if self._brand is None:
            self._brand = self.server.brand.over(self.server.brands.stored())
        return self._brand

    @property
    def root(self) -> str:
        """The path under which the application is mounted, without a slash at its end."""
        return str(self.request.scope.get("root_path", "")).rstrip("/")

    @property
    def origin(self) -> str:
        """The public origin of the application; on this machine, the one that the browser uses.

        With `url` behind it this is a whole address; the host was checked against those that are allowed.
        """
        settings = self.server.settings
        parts = urlsplit(settings.base_url if settings.public else str(self.request.base_url))
        return f"{parts.scheme}://{parts.netloc}"

    def url(self, path: str) -> str:
        """Return the address of a page of ours, wherever the application is mounted."""
        return f"{self.root}{path}"

    @property
    def operator(self) -> Session:
        """Who is signed in, on pages that demand it."""
        assert self.session is not None  # noqa: S101 - the route demands it
        return self.session

    @property
    def request_id(self) -> str:
        """What names this request in the answer, on error pages and in the log."""
        return str(self.request.scope.get("state", {}).get("request_id", ""))

    @property
    def address(self) -> str:
        """The network address of whoever asks."""
        return self.request.client.host if self.request.client else ""

    def fresh(self) -> bool:
        """Whether whoever is signed in showed who they are within the last minutes: for dangerous acts.

        Routes say ``fresh=True`` and need not ask; where they are not, the browser is led to sign in again, and back.
        """
        return self.session is not None and self.server.sessions.is_fresh(self.session)

    def field(self, name: str) -> str:
        """Return a field of the form, empty where it is missing."""
        value = self.form.get(name, "")
        return value if isinstance(value, str) else ""

    def page(self, template: str, *, status: int = 200, **context: Any) -> Response:
        """Answer with a page."""
        theme = self.request.cookies.get(THEME, "")
        known = {
            "ask": self,
            "env": self.server.core.env,
            "session": self.session,
            "csrf": self.csrf,
            "theme": theme if theme in THEMES else "",
            "path": self.request.url.path.removeprefix(self.root),
            "here": _page_of(self),
        }
        answer = HTMLResponse(rendered(template, {**known, **context}), status_code=status)
        if self.guest and self.session is None:
            self.keep(answer, f"{self.server.settings.cookie}_guest", self.guest, None)
        return answer

    def go(self, path: str) -> Response:
        """Send the browser to another page of ours after a write."""
        return RedirectResponse(self.url(path), status_code=303)

    def sign_in(self, answer: Response, session: Session) -> Response:
        """Give the browser its session: always a new one, so that nobody can plant theirs; the one it had ends."""
        if before := self.request.cookies.get(self.server.settings.cookie, ""):
            self.server.sessions.end(before)
        self.keep(answer, self.server.settings.cookie, session.token.reveal(), SESSION_LIFE)
        return answer

    def sign_out(self, answer: Response) -> Response:
        """Take the session back."""
        self.keep(answer, self.server.settings.cookie, "", 0)
        return answer

    def keep(self, answer: Response, name: str, value: str, life: float | None) -> None:
        """Set a cookie that scripts do not see and that other sites' requests do not carry, but for links to us."""
        path = "/" if name.startswith("__Host-") else self.root or "/"
        secure = self.server.settings.secure
        age = None if life is None else int(life)
        answer.set_cookie(name, value, max_age=age, path=path, secure=secure, httponly=True, samesite="lax")

    @property
    def csrf(self) -> str:
        """The token for the forms on this page."""
        return self.session.csrf if self.session else csrf_token(self.guest)

    def vouched(self) -> bool:
        """Whether the form that was sent is one of ours, for this browser."""
        return hmac.compare_digest(self.field("csrf").encode(), self.csrf.encode())


Handler = Callable[[Ask], Response]


def get(path: str, handler: Handler, *, grade: Grade | None = "look", fresh: bool = False) -> Route:
    """Return the route of a page; `grade` None: it demands no sign-in.

    Args:
        path: Its address.
        handler: Makes the answer, in a thread.
        grade: What somebody must be allowed to do.
        fresh: Whether they must have signed in a moment ago: for what cannot be undone, or gives others power.
    """
    return Route(path, _endpoint(handler, grade, fresh=fresh), methods=["GET"])


def post(
    path: str, handler: Handler, *, grade: Grade | None = "connections", fresh: bool = False, files: int = 0
) -> Route:
    """Return the route of a form, with at most so many files; the other arguments are those of `get`."""
    return Route(path, _endpoint(handler, grade, fresh=fresh, files=files), methods=["POST"])


def _endpoint(handler: Handler, grade: Grade | None, *, fresh: bool, files: int = 0) -> Callable[[Request], Any]:
    async def endpoint(request: Request) -> Response:
        server: Server = request.app.state.server
        form = await read_form(request, files=files) if request.method == "POST" else FormData()
        guest = request.cookies.get(f"{server.settings.cookie}_guest", "")
        ask = Ask(server, request, None, form, guest)
        try:
            return await run_in_threadpool(_handled, ask, handler, grade, fresh)
        finally:
            await form.close()

    return endpoint


def _handled(ask: Ask, handler: Handler, grade: Grade | None, fresh: bool) -> Response:
    cookie = ask.request.cookies.get(ask.server.settings.cookie, "")
    ask.session = ask.server.sessions.find(cookie)
    if grade is not None and ask.session is None:
        return ask.go(_login(ask))
    if grade is not None and not ask.operator.may(grade):
        return ask.page("not-allowed.html", status=403, grade=grade)
    if ask.request.method == "POST" and not ask.vouched():
        return ask.page("form-expired.html", status=403)
    if fresh and not ask.fresh():
        return ask.go(f"{_AGAIN}?{urlencode({'next': _page_of(ask)})}")
    ask.guest = ask.guest or secrets.token_urlsafe(16)
    try:
        return handler(ask)
    except StoreUnavailable:
        raise
    except ValetkeyError as error:
        return troubled(ask, error)


def _login(ask: Ask) -> str:
    """Return the address of the sign-in, which leads back to the page that was asked for."""
    path = _page_of(ask)
    return f"/login?{urlencode({'next': path})}" if is_page(path) and path != HOME else "/login"


def _page_of(ask: Ask) -> str:
    """Return the page that was asked for, or on which the form stood that was sent."""
    url = ask.request.url
    if ask.request.method != "GET":
        url = URL(ask.request.headers.get("referer", ""))
    path = url.path.removeprefix(ask.root)
    return f"{path}?{url.query}" if url.query else path


def is_page(path: str) -> bool:
    """Whether `path` is the address of a console page of ours, to which a browser may be led."""
    return path.startswith("/console") and path.isprintable() and "\\" not in path and "//" not in path


def troubled(ask: Ask, error: ValetkeyError) -> Response:
    """Show what went wrong, with the next step; to those who are not signed in, its code alone."""
    shown = ask.session is not None
    told = {"told": clean(error, 500) if shown else "", "hint": clean(error.hint, 500) if shown else ""}
    status = 409 if isinstance(error, ConfigurationError) else 500
    return ask.page("trouble.html", status=status, code=error.code, request_id=ask.request_id, **told)
