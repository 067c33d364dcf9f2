"""Signing in once more before a dangerous act: what a browser left open on a desk must not do by itself."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from valetkey.server.asking import Ask, get, post
from valetkey.server.pages.login import WRONG, counted, leads_to, signed_in, too_many


def show(ask: Ask) -> Response:
    """Ask for the password once more; who came by a login link takes another one."""
    path = leads_to(ask.request.query_params.get("next", ""))
    return ask.go(path) if ask.fresh() else _page(ask, path)


def prove(ask: Ask) -> Response:
    """Take the password, and begin a session that is fresh."""
    path = leads_to(ask.field("next"))
    name = ask.operator.operator
    if ask.operator.local:
        return _page(ask, path)
    if wait := counted(ask, name):
        return too_many(ask, wait)
    operator = ask.server.operators.check(name, ask.field("password"))
    return signed_in(ask, operator, path) if operator else _page(ask, path, status=403, trouble=WRONG)


def _page(ask: Ask, path: str, *, status: int = 200, trouble: str = "") -> Response:
    return ask.page("login-again.html", status=status, target=path, trouble=trouble)


ROUTES: Final = [get("/login/again", show), post("/login/again", prove, grade="look")]
