"""One request as handlers see it: who asks, the form they sent, and how to answer.

Handlers are plain blocking functions and run in threads; what is asynchronous (reading a body) is done before.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from valetkey.core import Core
from valetkey.desk import Desk
from valetkey.server.brand import Brand
from valetkey.server.demo import Demo
from valetkey.server.render import rendered
from valetkey.server.sessions import Grade, Session, Sessions, csrf_token
from valetkey.server.settings import SESSION_LIFE, Settings

THEMES: Final = ("light", "dark")


@dataclass(frozen=True, slots=True)
class Server:
    """What all handlers share."""

    core: Core
    desk: Desk
    settings: Settings
    brand: Brand = field(default_factory=Brand)
    current_owner: Callable[[Request], Any] | None = None
    demo: Demo = field(default_factory=Demo)

    @property
    def sessions(self) -> Sessions:
        """Who is signed in."""
        return Sessions(self.core.store, self.core.clock)


@dataclass(slots=True)
class Ask:
    """One request.

    Attributes:
        server: What all handlers share.
        request: The request itself; its body was read already.
        session: Who is signed in; None on pages that demand nobody.
        form: The fields of a form that was sent; files are refused.
    """

    server: Server
    request: Request
    session: Session | None = None
    form: FormData = field(default_factory=FormData)
    guest: str = ""
    """A cookie for those who have not signed in: it binds the form of the sign-in to the browser."""

    @property
    def root(self) -> str:
        """The path under which the application is mounted, without a slash at its end."""
        return str(self.request.scope.get("root_path", "")).rstrip("/")

    def url(self, path: str) -> str:
        """Return the address of a page of ours, wherever the application is mounted."""
        return f"{self.root}{path}"

    @property
    def operator(self) -> Session:
        """Who is signed in, on pages that demand it."""
        assert self.session is not None  # noqa: S101 - the route demands it
        return self.session

    def field(self, name: str) -> str:
        """Return a field of the form, empty where it is missing."""
        value = self.form.get(name, "")
        return value if isinstance(value, str) else ""

    def page(self, template: str, *, status: int = 200, **context: Any) -> Response:
        """Answer with a page."""
        theme = self.request.cookies.get("valetkey_theme", "")
        known = {
            "ask": self,
            "env": self.server.core.env,
            "session": self.session,
            "csrf": self.csrf,
            "theme": theme if theme in THEMES else "",
            "path": self.request.url.path.removeprefix(self.root),
        }
        answer = HTMLResponse(rendered(template, {**known, **context}), status_code=status)
        if self.guest and self.session is None:
            self.keep(answer, f"{self.server.settings.cookie}_guest", self.guest, None)
        return answer

    def go(self, path: str) -> Response:
        """Send the browser to another page of ours after a write."""
        return RedirectResponse(self.url(path), status_code=303)

    def sign_in(self, answer: Response, session: Session) -> Response:
        """Give the browser its session: always a new one, so that nobody can plant theirs."""
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


def get(path: str, handler: Handler, *, grade: Grade | None = "look") -> Route:
    """Return the route of a page; `grade` None: it demands no sign-in."""
    return Route(path, _endpoint(handler, grade), methods=["GET"])


def post(path: str, handler: Handler, *, grade: Grade | None = "connections") -> Route:
    """Return the route of a form; `grade` None: it demands no sign-in."""
    return Route(path, _endpoint(handler, grade), methods=["POST"])


def _endpoint(handler: Handler, grade: Grade | None) -> Callable[[Request], Any]:
    async def endpoint(request: Request) -> Response:
        server: Server = request.app.state.server
        form = await request.form(max_files=0) if request.method == "POST" else FormData()
        guest = request.cookies.get(f"{server.settings.cookie}_guest", "")
        ask = Ask(server, request, None, form, guest)
        return await run_in_threadpool(_handled, ask, handler, grade)

    return endpoint


def _handled(ask: Ask, handler: Handler, grade: Grade | None) -> Response:
    cookie = ask.request.cookies.get(ask.server.settings.cookie, "")
    ask.session = ask.server.sessions.find(cookie)
    if grade is not None and ask.session is None:
        return ask.go("/login")
    if grade is not None and not ask.operator.may(grade):
        return ask.page("not-allowed.html", status=403, grade=grade)
    if ask.request.method == "POST" and not ask.vouched():
        return ask.page("form-expired.html", status=403)
    ask.guest = ask.guest or secrets.token_urlsafe(16)
    return handler(ask)
