"""Choosing a password by an invitation.  Opening the link uses up nothing; a password that was taken does."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from valetkey.errors import ConfigurationError
from valetkey.server.asking import HOME, Ask, get, post
from valetkey.server.pages.login import WINDOW, signed_in
from valetkey.server.passwords import SHORTEST

_TRIES: Final = 30


def show(ask: Ask) -> Response:
    """Show the form for a password."""
    return _page(ask, ask.request.query_params.get("token", ""))


def accept(ask: Ask) -> Response:
    """Take the password, use up the invitation, and sign in."""
    token, password = ask.field("token"), ask.field("password")
    if ask.server.operators.invited(token) is None:
        return _over(ask)
    if ask.server.limits.take(f"invitation:{token}", limit=_TRIES, window=WINDOW):
        return _over(ask)
    if password != ask.field("again"):
        return _page(ask, token, status=400, trouble="The two passwords differ. Type the same one twice.")
    try:
        operator = ask.server.operators.accept(token, password)
    except ConfigurationError as error:
        return _page(ask, token, status=400, trouble=f"{error}: {error.hint}.")
    return _over(ask) if operator is None else signed_in(ask, operator, HOME)


def _page(ask: Ask, token: str, *, status: int = 200, trouble: str = "") -> Response:
    operator = ask.server.operators.invited(token)
    if operator is None:
        return _over(ask)
    return ask.page(
        "invitation.html", status=status, operator=operator, token=token, shortest=SHORTEST, trouble=trouble
    )


def _over(ask: Ask) -> Response:
    return ask.page("invitation-over.html", status=410)


ROUTES: Final = [get("/login/invitation", show, grade=None), post("/login/invitation", accept, grade=None)]
