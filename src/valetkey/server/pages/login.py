"""Signing in and out.  A GET of a login link shows a page and uses up nothing; the POST uses it up (DESIGN 8.7)."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from valetkey.server.asking import Ask, get, post

HOME: Final = "/console/connections"


def home(ask: Ask) -> Response:
    """Lead to the console."""
    return ask.go(HOME)


def show(ask: Ask) -> Response:
    """Show how to sign in."""
    return ask.go(HOME) if ask.session else ask.page("login.html", trouble="")


def show_link(ask: Ask) -> Response:
    """Show what a login link does, without using it up."""
    token = ask.request.query_params.get("token", "")
    if not ask.server.sessions.link_lives(token):
        return _over(ask)
    return ask.page("login-link.html", token=token)


def use_link(ask: Ask) -> Response:
    """Sign in by a login link, once."""
    session = ask.server.sessions.use_link(ask.field("token"))
    return _over(ask) if session is None else ask.sign_in(ask.go(HOME), session)


def leave(ask: Ask) -> Response:
    """Sign out."""
    ask.server.sessions.end(ask.operator.token.reveal())
    return ask.sign_out(ask.go("/login"))


def _over(ask: Ask) -> Response:
    trouble = "This link was used already, or its minute is over. Make a new one."
    return ask.page("login.html", status=410, trouble=trouble)


ROUTES: Final = [
    get("/", home),
    get("/console", home),
    get("/login", show, grade=None),
    get("/login/link", show_link, grade=None),
    post("/login/link", use_link, grade=None),
    post("/logout", leave, grade="look"),
]
